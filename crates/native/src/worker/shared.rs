//! What the processes of a program share: its operations and answers, who lives, whose turn it is.
//!
//! Only who has the turn touches anything but its own wake-up word, so relaxed accesses do; passing the turn
//! on is a release and an acquire of that word.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU8, AtomicU32, AtomicU64};

use super::sys::{sys, sys3};
use crate::op::{ANSWER_BYTES, AREA_BYTES, Answer, Area, FILES, OP_BYTES, OPS_MAX, Op, SLOTS};

/// The most areas of the layouts of one program.
pub(super) const AREAS_MAX: usize = 1 << 14;
/// The most processes one program makes.
pub(super) const SERIALS_MAX: usize = OPS_MAX + 1;
/// How many stacks there are for processes that share their memory.
pub(super) const STACKS: usize = 32;
/// Bytes of one.
pub(super) const STACK_BYTES: usize = 32 << 10;
/// Nobody's number.
pub(super) const NOBODY: u32 = u32::MAX;

/// A process of the program.
pub(super) struct Slot {
    /// 1 when it is this process's turn, or all is over.
    pub(super) wake: AtomicU32,
    /// The number of the process that has the slot: counted from 0 over the program; [`NOBODY`] before.
    pub(super) serial: AtomicU32,
    /// Whether it lives.
    pub(super) alive: AtomicU32,
    /// Who shares its memory: a number all of them have.
    pub(super) group: AtomicU32,
    /// Which stack it runs on.
    pub(super) stack: AtomicU32,
}

/// The table.
pub(super) struct Shared {
    pub(super) slots: [Slot; SLOTS],
    /// The operation whose turn it is.
    pub(super) next: AtomicU32,
    /// How many there are.
    pub(super) count: AtomicU32,
    /// Set when the program is over.
    pub(super) over: AtomicU32,
    /// How many processes, groups and stacks were handed out.
    pub(super) serials: AtomicU32,
    pub(super) groups: AtomicU32,
    pub(super) stacks: AtomicU32,
    /// How many areas there are.
    pub(super) areas: AtomicU32,
    /// What went wrong, as a reply tells it.
    pub(super) trouble: AtomicU64,
    /// Process ids by serial, and whether the process is over (1) or over and waited for (2).
    pub(super) pids: [AtomicI32; SERIALS_MAX],
    pub(super) ended: [AtomicU8; SERIALS_MAX],
    /// The open files, and -1.
    pub(super) fds: [AtomicI32; FILES],
    /// The two ends of the pipe: for reading, for writing.
    pub(super) pipe: [AtomicI32; 2],
    pub(super) memlock: AtomicU64,
    /// Where the stacks are (in each process's own memory).
    pub(super) stack_base: AtomicU64,
    /// Only the holder of the turn, or the nursery between programs, touches these.
    ops: [AtomicU64; OPS_MAX * OP_BYTES / 8],
    answers: [AtomicU64; OPS_MAX * ANSWER_BYTES / 8],
    area_words: [AtomicU64; AREAS_MAX * AREA_BYTES / 8],
}

/// For processes that start with nothing but a number.
static TABLE: AtomicPtr<Shared> = AtomicPtr::new(std::ptr::null_mut());

/// The table; `None` before [`map`].
pub(super) fn table() -> Option<&'static Shared> {
    // RELAXED: set before any other process was made.
    let table = TABLE.load(Relaxed);
    // SAFETY: it is mapped for good and made of atomics, for which all bits are valid.
    unsafe { table.as_ref() }
}

/// Anonymous memory: shared with processes made from here on, or private.
pub(super) fn map_memory(len: usize, flags: libc::c_int) -> Result<u64, String> {
    let prot = (libc::PROT_READ | libc::PROT_WRITE) as u64;
    let flags = (flags | libc::MAP_ANONYMOUS) as u64;
    // SAFETY: a new mapping where nothing is.
    let at = unsafe { sys(libc::SYS_mmap, [0, len as u64, prot, flags, u64::MAX, 0]) };
    u64::try_from(at).map_err(|_| format!("mmap of {len} bytes: error {}", -at))
}

/// Makes the table.
pub(super) fn map() -> Result<&'static Shared, String> {
    let at = map_memory(size_of::<Shared>(), libc::MAP_SHARED)?;
    let stacks = map_memory(STACKS * STACK_BYTES, libc::MAP_PRIVATE)?;
    // RELAXED: there is no other process yet.
    TABLE.store(at as *mut Shared, Relaxed);
    let shared = table().ok_or("mmap answered 0")?;
    shared.stack_base.store(stacks, Relaxed);
    Ok(shared)
}

impl Shared {
    /// Ready for a program.
    pub(super) fn reset(&self, count: u32, memlock: u64) {
        for slot in &self.slots {
            slot.wake.store(0, Relaxed);
            slot.serial.store(NOBODY, Relaxed);
            slot.alive.store(0, Relaxed);
        }
        for zero in [&self.next, &self.over, &self.serials, &self.groups, &self.stacks, &self.areas] {
            zero.store(0, Relaxed);
        }
        self.count.store(count, Relaxed);
        self.memlock.store(memlock, Relaxed);
        self.trouble.store(0, Relaxed);
    }

    /// Memory for operations, to read them into.
    ///
    /// # Safety
    ///
    /// There must be no process but the nursery, and no other borrow of it.
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn ops_mut(&self, count: usize) -> &mut [u8] {
        let at = self.ops.as_ptr().cast::<u8>().cast_mut();
        // SAFETY: the words are interior-mutable and live as long as the table; the caller has them alone.
        unsafe { std::slice::from_raw_parts_mut(at, count.min(OPS_MAX) * OP_BYTES) }
    }

    /// Some words as bytes, for writing them out.
    ///
    /// # Safety
    ///
    /// Nobody may change the words while the bytes are borrowed.
    unsafe fn bytes(words: &[AtomicU64], len: usize) -> &[u8] {
        // SAFETY: every word is eight bytes; the caller keeps others away.
        unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<u8>(), len.min(words.len() * 8)) }
    }

    /// The answers as bytes.
    ///
    /// # Safety
    ///
    /// There must be no process but the nursery.
    pub(super) unsafe fn answer_bytes(&self, count: usize) -> &[u8] {
        // SAFETY: the caller's business.
        unsafe { Self::bytes(&self.answers, count * ANSWER_BYTES) }
    }

    /// The areas as bytes.
    ///
    /// # Safety
    ///
    /// There must be no process but the nursery.
    pub(super) unsafe fn area_bytes(&self) -> &[u8] {
        let count = self.areas.load(Relaxed) as usize;
        // SAFETY: the caller's business.
        unsafe { Self::bytes(&self.area_words, count * AREA_BYTES) }
    }

    /// An operation; `None` past the last one, or if it makes no sense.
    pub(super) fn op(&self, number: u32) -> Option<Op> {
        let words = self.ops.as_chunks::<8>().0.get(number as usize)?;
        let mut bytes = [0; OP_BYTES];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
            chunk.copy_from_slice(&word.load(Relaxed).to_le_bytes());
        }
        Op::from_bytes(&bytes)
    }

    /// Notes an answer.
    pub(super) fn answer(&self, number: u32, answer: Answer) {
        write_words(&self.answers, number as usize * 2, &answer.to_bytes());
    }

    /// Notes an area.
    pub(super) fn push_area(&self, area: &Area) {
        let number = self.areas.load(Relaxed) as usize;
        if number < AREAS_MAX {
            write_words(&self.area_words, number * AREA_BYTES / 8, &area.to_bytes());
            self.areas.store(number as u32 + 1, Relaxed);
        }
    }

    /// Gives the turn to a process.
    pub(super) fn wake(&self, slot: usize) {
        let word = &self.slots[slot].wake;
        // ORDERING: Release pairs with the Acquire in `sleep`: what was done so far is seen.
        word.store(1, Release);
        // SAFETY: the word lives as long as the table.
        unsafe { sys3(libc::SYS_futex, std::ptr::from_ref(word) as u64, libc::FUTEX_WAKE as u64, 8) };
    }

    /// Waits for the turn.
    pub(super) fn sleep(&self, slot: usize) {
        let word = &self.slots[slot].wake;
        // ORDERING: Acquire pairs with the Release in `wake`.
        while word.load(Acquire) == 0 {
            // SAFETY: the word lives as long as the table.
            unsafe { sys3(libc::SYS_futex, std::ptr::from_ref(word) as u64, libc::FUTEX_WAIT as u64, 0) };
        }
        word.store(0, Relaxed);
    }

    /// The program is over for everybody.
    pub(super) fn finish(&self) {
        self.over.store(1, Release);
        (0..SLOTS).for_each(|slot| self.wake(slot));
    }
}

fn write_words(to: &[AtomicU64], first: usize, bytes: &[u8]) {
    let Some(to) = to.get(first..) else { return };
    for (word, chunk) in to.iter().zip(bytes.as_chunks::<8>().0) {
        word.store(u64::from_le_bytes(*chunk), Relaxed);
    }
}
