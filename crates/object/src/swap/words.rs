//! An array of shared words in kernel frames, as long as an area has slots.
//!
//! ```text
//!  root (1 frame)        directories (512 of them)    words (512 a frame)
//!  [ frame | ... ]  ->   [ frame | ... ]          ->  [ word | word ... ]
//! ```
//!
//! The frames stay with the array when its area is no longer used, and serve the next one: like a slab's
//! objects, a word that once belonged to a slot always is one. So whoever holds an old slot number reads a
//! word that says that nothing is there.

use frame::{Frames, State};
use machine::cells::cast_words;
use machine::{Cx, Field, KernelFrame, Machine, Pfn, Shortage, Word, level};

/// Words, or names of frames, in a frame.
const PER_FRAME: u64 = 512;
/// The most words an array can have.
pub(crate) const WORDS_MAX: u64 = PER_FRAME * PER_FRAME * PER_FRAME;

/// A frame's names of other frames.
type Directory<'m> = &'m [Field<Option<Pfn>>];

machine::cells! {
    /// See the module. Covered by whoever makes or ends the area; the words are shared.
    pub(crate) struct Words {
        root: Field<Option<Pfn>>,
        /// How many words have frames.
        ready: Field<u64>,
    }
}

fn directory<M: Machine>(machine: &M, frame: Pfn) -> Directory<'_> {
    cast_words(machine.kernel_area(KernelFrame(frame), 1))
}

impl Words {
    /// The word of a number below what was made ready.
    pub(crate) fn word<'m, M: Machine>(&self, machine: &'m M, index: u64) -> Option<&'m Word> {
        let leaf = index / PER_FRAME;
        let directories = directory(machine, self.root.get()?);
        let leaves = directory(machine, directories.get((leaf / PER_FRAME) as usize)?.get()?);
        let words = leaves.get((leaf % PER_FRAME) as usize)?.get()?;
        machine.kernel_area(KernelFrame(words), 1).get((index % PER_FRAME) as usize)
    }

    /// Makes at least so many words ready. After a shortage those that were ready before are.
    pub(crate) fn make_ready<'m, M: Machine>(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        frames: &Frames<'m, M>,
        words: u64,
    ) -> Result<(), Shortage> {
        debug_assert!(words <= WORDS_MAX, "an area has more slots than words can be had for");
        let before = self.ready.get();
        while self.ready.get() < words {
            if let Err(shortage) = self.add_frame(cx, frames) {
                self.cut(cx, frames, before);
                return Err(shortage);
            }
        }
        Ok(())
    }

    fn add_frame<'m, M: Machine>(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        frames: &Frames<'m, M>,
    ) -> Result<(), Shortage> {
        let (machine, leaf) = (cx.machine(), self.ready.get() / PER_FRAME);
        let root = match self.root.get() {
            Some(root) => root,
            None => {
                let root = kernel_frame(cx, frames)?;
                self.root.set(Some(root));
                root
            }
        };
        let place = &directory(machine, root)[(leaf / PER_FRAME) as usize];
        let leaves = match place.get() {
            Some(leaves) => leaves,
            None => {
                let leaves = kernel_frame(cx, frames)?;
                place.set(Some(leaves));
                leaves
            }
        };
        let words = kernel_frame(cx, frames)?;
        directory(machine, leaves)[(leaf % PER_FRAME) as usize].set(Some(words));
        self.ready.add(PER_FRAME);
        Ok(())
    }

    /// How many words have frames.
    pub(crate) fn ready(&self) -> u64 {
        self.ready.get()
    }

    /// Frees what lies behind the first so many words: nobody has seen them.
    pub(crate) fn cut<'m, M: Machine>(
        &self,
        cx: &mut Cx<'m, M, { level::REGISTRY }>,
        frames: &Frames<'m, M>,
        words: u64,
    ) {
        let machine = cx.machine();
        let Some(root) = self.root.get() else { return };
        let kept = words.div_ceil(PER_FRAME);
        for (first, place) in (0..).step_by(PER_FRAME as usize).zip(directory(machine, root)) {
            let Some(leaves) = place.get() else { break };
            for (leaf, words) in (first..).zip(directory(machine, leaves)) {
                if leaf >= kept
                    && let Some(frame) = words.replace(None)
                {
                    frames.put(cx.at(), frame);
                }
            }
            if first >= kept {
                place.set(None);
                frames.put(cx.at(), leaves);
            }
        }
        if kept == 0 {
            self.root.set(None);
            frames.put(cx.at(), root);
        }
        self.ready.set(words);
    }

    /// Every frame of the array: for checkers of a quiet machine.
    pub(crate) fn for_each_frame<M: Machine>(&self, machine: &M, see: &mut dyn FnMut(Pfn)) {
        let Some(root) = self.root.get() else { return };
        see(root);
        for leaves in directory(machine, root).iter().map_while(Field::get) {
            see(leaves);
            directory(machine, leaves).iter().map_while(Field::get).for_each(&mut *see);
        }
    }
}

/// A frame of zeros for the manager's own use.
fn kernel_frame<'m, M: Machine>(
    cx: &mut Cx<'m, M, { level::REGISTRY }>,
    frames: &Frames<'m, M>,
) -> Result<Pfn, Shortage> {
    let KernelFrame(frame) = frames.allocate_kernel(cx)?;
    frames.descriptor(frame).set_state(cx, State::Slab);
    Ok(frame)
}
