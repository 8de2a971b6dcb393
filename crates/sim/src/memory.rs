//! Kernel memory: one lazily committed host mapping that holds the frame descriptors and every kernel frame.
//!
//! Everything is in one mapping at fixed offsets, so that a word has a number which does not depend on where
//! the host put the mapping. All decisions of the simulator use that number, never an address.

use crate::config::SimError;
use machine::{PAGE_SIZE, Word};
use memmap2::{Advice, MmapMut, MmapOptions};
use std::cell::{Cell, RefCell};

/// Words of a descriptor.
const DESCRIPTOR_WORDS: u64 = 4;
/// Words of a frame.
pub(crate) const FRAME_WORDS: u64 = PAGE_SIZE / 8;
/// Bytes of a cache line.
const LINE: u64 = 64;
/// Mappings up to this size are cleared and used again, which spares the host's page faults.
const REUSED_BYTES: u64 = 256 << 20;
/// A mapping of which more frames than this were exposed is cheaper to give back.
const REUSED_FRAMES: u64 = 2048;
/// A mapping with more descriptors than this (in bytes) is cheaper to give back.
const REUSED_MEMMAP: u64 = 2 << 20;
/// How many mappings wait for their next use, a host thread.
const SPARES: usize = 4;

thread_local! {
    static SPARE: RefCell<Vec<Maps>> = const { RefCell::new(Vec::new()) };
}

/// The two host mappings of a machine.
struct Maps {
    /// Descriptors, then kernel frames.
    words: MmapMut,
    /// One word of state a cache line of `words`.
    lines: MmapMut,
}

/// The kernel's memory.
pub(crate) struct KernelMemory {
    maps: Option<Maps>,
    memmap_bytes: u64,
    frames: u64,
    /// One bit a frame that was ever looked at; empty when the mapping will not be used again.
    exposed: RefCell<Vec<u64>>,
    exposed_count: Cell<u64>,
}

fn map(bytes: u64, what: &'static str) -> Result<MmapMut, SimError> {
    let host = |error: std::io::Error| SimError::Host { what, error: error.to_string() };
    let len = usize::try_from(bytes).map_err(|e| SimError::Host { what, error: e.to_string() })?;
    let map = MmapOptions::new().len(len).no_reserve_swap().map_anon().map_err(host)?;
    // Without this a touched word could commit 2 MiB. A host without huge pages refuses, which is as good.
    let _ = map.advise(Advice::NoHugePage);
    Ok(map)
}

#[inline]
fn words_of(map: &MmapMut) -> &[Word] {
    // SAFETY: 1. the mapping is page-aligned, readable, writable and lives as long as the reference; 2.
    // `Word` is transparent over `AtomicU64`, any bits are valid; 3. nobody takes a plain slice of the
    // mapping while a machine uses it: `MmapMut`'s own slices are taken only in `recycle`, from an owned
    // `Maps`.
    unsafe { std::slice::from_raw_parts(map.as_ptr().cast::<Word>(), map.len() / size_of::<Word>()) }
}

impl KernelMemory {
    /// Memory for frames below `frames`.
    pub(crate) fn new(frames: u64) -> Result<KernelMemory, SimError> {
        let memmap_bytes = (frames * DESCRIPTOR_WORDS * 8).next_multiple_of(PAGE_SIZE);
        let bytes = memmap_bytes + frames * PAGE_SIZE;
        let reusable = bytes <= REUSED_BYTES && memmap_bytes <= REUSED_MEMMAP;
        let spare = SPARE.with(|spare| {
            let mut spare = spare.borrow_mut();
            let fits = spare.iter().position(|maps| maps.words.len() as u64 == bytes);
            fits.map(|index| spare.swap_remove(index))
        });
        let maps = match spare {
            Some(maps) => maps,
            None => Maps {
                words: map(bytes, "kernel memory")?,
                lines: map((bytes / LINE * 8).next_multiple_of(PAGE_SIZE), "cache-line states")?,
            },
        };
        let exposed = if reusable { vec![0; frames.div_ceil(64) as usize] } else { Vec::new() };
        let exposed = RefCell::new(exposed);
        Ok(KernelMemory { maps: Some(maps), memmap_bytes, frames, exposed, exposed_count: Cell::new(0) })
    }

    #[inline]
    fn maps(&self) -> &Maps {
        // Taken out only by `drop`.
        self.maps.as_ref().expect("a live machine has its memory")
    }

    /// Where words and line states live, for the access path.
    #[inline]
    pub(crate) fn views(&self) -> (&[Word], &[Word]) {
        let maps = self.maps();
        (words_of(&maps.words), words_of(&maps.lines))
    }

    /// The descriptors' words.
    #[inline]
    pub(crate) fn memmap(&self) -> &[Word] {
        &words_of(&self.maps().words)[..(self.frames * DESCRIPTOR_WORDS) as usize]
    }

    /// The words of kernel frames.
    ///
    /// # Panics
    /// If they are not all below the machine's last frame.
    #[inline]
    pub(crate) fn area(&self, first: u64, frames: u64) -> &[Word] {
        assert!(
            first + frames <= self.frames,
            "kernel frames {first:#x}+{frames:#x} are past the end of memory"
        );
        self.expose(first, frames);
        let start = (self.memmap_bytes / 8 + first * FRAME_WORDS) as usize;
        &words_of(&self.maps().words)[start..start + (frames * FRAME_WORDS) as usize]
    }

    /// One word of a kernel frame, for hardware walks: `None` past the end of memory.
    #[inline]
    pub(crate) fn table_word(&self, frame: u64, index: u64) -> Option<&Word> {
        if frame >= self.frames {
            return None;
        }
        words_of(&self.maps().words).get((self.memmap_bytes / 8 + frame * FRAME_WORDS + index) as usize)
    }

    pub(crate) fn expose(&self, first: u64, frames: u64) {
        let mut exposed = self.exposed.borrow_mut();
        if exposed.is_empty() {
            return;
        }
        for frame in first..first + frames {
            let (word, bit) = ((frame / 64) as usize, 1 << (frame % 64));
            if exposed[word] & bit == 0 {
                exposed[word] |= bit;
                self.exposed_count.set(self.exposed_count.get() + 1);
            }
        }
    }

    /// Names a word by its number, for reports.
    pub(crate) fn describe(&self, number: u64) -> String {
        let memmap_words = self.memmap_bytes / 8;
        match number.checked_sub(memmap_words) {
            None => format!(
                "descriptor of pfn {:#x}, word {}",
                number / DESCRIPTOR_WORDS,
                number % DESCRIPTOR_WORDS
            ),
            Some(n) if n / FRAME_WORDS < self.frames => {
                format!("kernel frame {:#x}, word {}", n / FRAME_WORDS, n % FRAME_WORDS)
            }
            Some(_) => "a word outside kernel memory".into(),
        }
    }

    /// Clears what was used, so that the mapping can serve another machine.
    fn recycle(&self, maps: &mut Maps) {
        let memmap = self.memmap_bytes as usize;
        maps.words[..memmap].fill(0);
        maps.lines[..memmap / LINE as usize * 8].fill(0);
        let per_frame = (PAGE_SIZE / LINE * 8) as usize;
        for (index, &bits) in self.exposed.borrow().iter().enumerate() {
            let mut bits = bits;
            while bits != 0 {
                let frame = index * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let start = memmap + frame * PAGE_SIZE as usize;
                maps.words[start..start + PAGE_SIZE as usize].fill(0);
                let start = memmap / LINE as usize * 8 + frame * per_frame;
                maps.lines[start..start + per_frame].fill(0);
            }
        }
    }
}

impl Drop for KernelMemory {
    fn drop(&mut self) {
        let Some(mut maps) = self.maps.take() else { return };
        if self.exposed.borrow().is_empty() || self.exposed_count.get() > REUSED_FRAMES {
            return;
        }
        // The thread may be ending: then the mapping just goes.
        let full = SPARE.try_with(|spare| spare.borrow().len() >= SPARES).unwrap_or(true);
        if !full {
            self.recycle(&mut maps);
            let _ = SPARE.try_with(|spare| spare.borrow_mut().push(maps));
        }
    }
}
