//! Walks of page tables without a lock, and the rules by which they are kept from what is freed.
//!
//! The rule is chosen when a manager is made ([`WalkRule`]). The default marks an epoch ([`crate::epoch`]):
//! it is inlined here, interrupts nobody, and does nothing where an entry of 2 MiB changes, because walkers
//! act on values and look again (LR1 to LR3, LR16). Others are a [`Walk`] each, in a file of their own;
//! those that Linux had or was offered are under `baseline/`.
//!
//! Only walks of tables follow the rule. Other lockless reads of the manager (VMA trees, and the walks that
//! end at a table's lock) are in epochs under every rule, so a table is freed when both are past it.

use crate::{CpuId, CpuSet, Memory, Word};
use core::fmt::Debug;

/// A rule of walks other than the default.
pub trait Walk: Debug + Sync {
    /// Its name on command lines.
    fn name(&self) -> &'static str;
    /// A walk begins on this CPU. Answers what its end is told. Walks nest on a CPU, also by interrupts.
    fn begin(&self, on: &dyn View) -> u64;
    /// The walk ends.
    fn end(&self, on: &dyn View, begun: u64);
    /// An entry of 2 MiB of the space was taken or changed its kind. Its table's lock is held, interrupts are
    /// on.
    fn changed(&self, on: &dyn View);
    /// Tables of the space were unlinked: returns when no walk that may have seen them goes on. No spin lock
    /// is held, interrupts are on.
    fn wait(&self, on: &dyn View);
}

/// What a rule sees of the machine and of the space that is walked: shared words, interrupts, CPUs.
pub trait View: Memory<Word = Word> {
    /// The CPU this runs on.
    fn cpu(&self) -> CpuId;
    /// All CPUs.
    fn cpus(&self) -> CpuSet;
    /// The CPUs that have the space loaded now (Linux: `mm_cpumask`).
    fn cpus_of_space(&self) -> CpuSet;
    /// A word of the space, shared by all CPUs; 0 at first.
    fn word_of_space(&self) -> &Word;
    /// A word of a CPU, on a line of its own; 0 at first.
    fn word_of_cpu(&self, cpu: CpuId) -> &Word;
    /// Disables interrupts on this CPU; answers 1 if they were on, else 0.
    fn disable_interrupts(&self) -> u64;
    /// Enables them again if they were on.
    fn restore_interrupts(&self, were_on: u64);
    /// Interrupts CPUs (not this one) and waits until all have taken it; who has interrupts off takes it
    /// later. Nothing is flushed. Each passes a full fence.
    fn interrupt(&self, cpus: &CpuSet);
}

/// How walks are kept from what is freed.
#[derive(Clone, Copy, Debug, Default)]
pub enum WalkRule {
    /// By epochs.
    #[default]
    Epoch,
    /// Otherwise.
    Other(&'static dyn Walk),
}

impl WalkRule {
    /// Its name on command lines.
    pub fn name(&self) -> &'static str {
        match self {
            WalkRule::Epoch => "epoch",
            WalkRule::Other(rule) => rule.name(),
        }
    }
}

crate::cells! {
    /// A CPU's word for a rule.
    #[repr(align(64))]
    pub(crate) struct OfCpu {
        pub(crate) word: Word,
    }
}
