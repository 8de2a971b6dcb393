//! What a CPU has on lines of its own.

use crate::barrier::Barrier;
use crate::config::Checks;
use crate::tlb::Tlb;
use machine::{Asid, KernelFrame, Pfn};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64, fence};

/// Turns of a spin loop before the host may run another thread here: who is waited for may have no processor.
const SPINS: u64 = 128;

/// Numbers that are odd while something lasts.
#[repr(align(128))]
pub(crate) struct Marks {
    /// Odd inside an access of user mode, from before its TLB is looked at until memory was accessed.
    section: AtomicU64,
    /// Odd while interrupts are off.
    interrupts_off: AtomicU64,
    /// Turns of spin loops.
    spins: AtomicU64,
    /// The root of the loaded space, plus 1, and above it the space; 0 is none.
    space: AtomicU64,
}

/// A CPU.
pub(crate) struct Cpu {
    marks: Marks,
    pub(crate) tlb: Tlb,
    /// Not parked: somebody may be inside an access, or have interrupts off.
    awake: AtomicBool,
    /// A thread has the CPU.
    pub(crate) claimed: AtomicBool,
}

/// Spins once; lets other threads of the host run now and then.
pub(crate) fn spin(turn: u64) {
    if turn % SPINS == SPINS - 1 {
        std::thread::yield_now();
    } else {
        std::hint::spin_loop();
    }
}

/// Waits until a number that was odd is another.
fn wait_while_odd(mark: &AtomicU64) {
    // ORDERING: Acquire pairs with the Release that ends what lasts: it is over before the caller goes on.
    let seen = mark.load(Acquire);
    let mut turn = 0;
    while seen % 2 == 1 && mark.load(Acquire) == seen {
        spin(turn);
        turn += 1;
    }
}

/// An access of user mode that is under way.
pub(crate) struct Section<'a> {
    mark: &'a AtomicU64,
    /// What the mark is behind it.
    after: u64,
}

impl Drop for Section<'_> {
    #[inline]
    fn drop(&mut self) {
        // ORDERING: Release pairs with the Acquire in `wait_while_odd`: the access is over.
        self.mark.store(self.after, Release);
    }
}

impl Cpu {
    pub(crate) fn new(checks: Checks) -> Cpu {
        let number = || AtomicU64::new(0);
        let marks = Marks { section: number(), interrupts_off: number(), spins: number(), space: number() };
        Cpu { marks, tlb: Tlb::new(checks), awake: AtomicBool::new(true), claimed: AtomicBool::new(false) }
    }

    // ---- this CPU ----

    /// Begins an access.
    #[inline]
    pub(crate) fn section(&self, barrier: Barrier) -> Section<'_> {
        let mark = &self.marks.section;
        // RELAXED: only this CPU writes it; `light` pairs with the heavy barrier of who flushes.
        let before = mark.load(Relaxed);
        mark.store(before.wrapping_add(1), Relaxed);
        barrier.light();
        Section { mark, after: before.wrapping_add(2) }
    }

    /// Ends an access whose guard was forgotten.
    #[cfg(test)]
    pub(crate) fn end_section(&self) {
        // ORDERING: as in `Section`'s `drop`.
        self.marks.section.fetch_add(1, Release);
    }

    /// Disables interrupts; answers whether they were enabled.
    #[inline]
    pub(crate) fn irq_save(&self, barrier: Barrier) -> bool {
        let mark = &self.marks.interrupts_off;
        // RELAXED: only this CPU writes it; `light` pairs with the heavy barrier of who waits.
        let seen = mark.load(Relaxed);
        if seen % 2 == 1 {
            return false;
        }
        mark.store(seen.wrapping_add(1), Relaxed);
        barrier.light();
        true
    }

    /// Enables interrupts.
    #[inline]
    pub(crate) fn irq_enable(&self) {
        let mark = &self.marks.interrupts_off;
        // RELAXED: only this CPU writes it.
        let seen = mark.load(Relaxed);
        if seen % 2 == 1 {
            // ORDERING: Release pairs with the Acquire in `wait_while_odd`.
            mark.store(seen.wrapping_add(1), Release);
        }
    }

    /// One turn of a spin loop.
    #[inline]
    pub(crate) fn relax(&self) {
        // RELAXED: only this CPU writes it.
        let turn = self.marks.spins.load(Relaxed);
        self.marks.spins.store(turn.wrapping_add(1), Relaxed);
        spin(turn);
    }

    /// Translates through another root.
    pub(crate) fn load_space(&self, root: Option<(KernelFrame, Asid)>) {
        let bits = root.map_or(0, |(table, asid)| (u64::from(asid.0) << 32 | u64::from(table.0.0)) + 1);
        // ORDERING: Release, for checkers of a quiet machine; only this CPU uses it.
        self.marks.space.store(bits, Release);
    }

    /// The root that user mode translates through.
    #[inline]
    pub(crate) fn space(&self) -> Option<(KernelFrame, Asid)> {
        // ORDERING: Acquire pairs with the Release in `load_space`.
        let bits = self.marks.space.load(Acquire).checked_sub(1)?;
        Some((KernelFrame(Pfn(bits as u32)), Asid((bits >> 32) as u32)))
    }

    /// Runs `sleep` as a parked CPU: who flushes need not make it pass a fence.
    pub(crate) fn while_parked(&self, sleep: impl FnOnce()) {
        // ORDERING: Release pairs with the load in `is_awake`: accesses before are over.
        self.awake.store(false, Release);
        sleep();
        // RELAXED: the fence orders it.
        self.awake.store(true, Relaxed);
        // ORDERING: SeqCst pairs with the fence in `flush` (a Dekker pair): who flushes sees this CPU awake,
        // or its next access sees emptied slots and changed tables.
        fence(SeqCst);
    }

    // ---- other CPUs ----

    /// Whether the CPU may be inside something. The caller passed a full fence after what it changed.
    pub(crate) fn is_awake(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `while_parked`, the caller's fence with the one there.
        self.awake.load(Acquire)
    }

    /// Waits until an access that may have begun before the caller's heavy barrier is over.
    pub(crate) fn wait_for_access(&self) {
        wait_while_odd(&self.marks.section);
    }

    /// Waits until interrupts, if they were off at the caller's heavy barrier, were on.
    pub(crate) fn wait_for_interrupts(&self) {
        wait_while_odd(&self.marks.interrupts_off);
    }
}
