//! Steps about pages that others hold than the program: pins, references, devices, debuggers.

use freehold::machine::Access;

use super::areas::Way;
use super::terms::{EventName, Expr, FileWord, Pages, PinName, PipeName, ProcessName, WordAt};

/// What such a step does.
#[derive(Clone, PartialEq, Debug)]
pub enum PinStep {
    /// Pages are held from here on.
    Hold(Pages, Hold, PinName),
    /// They are given back.
    LetGo(PinName, Stored),
    /// A device loads a word, and the step waits for it.
    Load(PinWord),
    /// A device is told to store a word.
    Store(PinWord, Expr, Waits),
    /// All that the CPU told devices to do is done.
    Finish,
    /// A page of a file goes into a page of a fixed buffer, or the other way (`IORING_OP_READ_FIXED`,
    /// `IORING_OP_WRITE_FIXED`).
    Transfer(PinWord, FileWord, Way),
    /// The ring has no buffers any more.
    Unregister(PinName),
    /// `vmsplice` of pages into a pipe.
    Splice(Pages, PipeName),
    /// The oldest page leaves a pipe; its first word is looked at before.
    Receive(PipeName),
    /// `process_vm_readv` of a word of a process into a word of one's own.
    VmRead(ProcessName, WordAt, WordAt),
    /// `process_vm_writev` the other way.
    VmWrite(ProcessName, WordAt, WordAt),
    /// A word of `/proc/PID/mem` is read.
    Peek(ProcessName, WordAt),
    /// A word of `/proc/PID/mem` is written.
    Poke(ProcessName, WordAt, Expr),
    /// The kernel takes every mapping of the page away, if it can, and gives them back.
    Detach(WordAt, Option<Pause>),
}

/// A moment in the middle of a step, which lasts until other CPUs have done what they want to do in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pause {
    /// Happens when the moment begins.
    pub begins: EventName,
    /// Ends it.
    pub until: EventName,
}

/// How pages are held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hold {
    /// To load, or to store.
    pub access: Access,
    /// What kind of hold.
    pub kind: HoldKind,
    /// With a debugger's rights.
    pub is_forced: bool,
}

/// What kind of hold it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HoldKind {
    /// `FOLL_GET`.
    Reference,
    /// `FOLL_PIN`.
    Pin,
    /// `FOLL_PIN | FOLL_LONGTERM`.
    LongPin,
    /// A fixed buffer of a ring of its own.
    Ring,
}

/// Whether something was stored through a hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stored {
    /// Nothing.
    Nothing,
    /// The pages are marked dirty.
    Something,
}

/// Whether a step waits for what it told a device to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waits {
    /// It does.
    Yes,
    /// It goes on.
    No,
}

/// A word of pages that are held.
#[derive(Clone, PartialEq, Debug)]
pub struct PinWord {
    /// The hold.
    pub pin: PinName,
    /// The page of it.
    pub page: Option<Expr>,
    /// The byte of the page: a multiple of 8.
    pub offset: u64,
}

const VERBS: [&str; 15] = [
    "pin",
    "hold",
    "register",
    "unregister",
    "fill",
    "save",
    "unpin",
    "dma",
    "splice",
    "receive",
    "vmread",
    "vmwrite",
    "peek",
    "poke",
    "detach",
];

/// Whether a step of this name is one of these.
pub(super) fn is_verb(verb: &str) -> bool {
    VERBS.contains(&verb)
}

impl PinStep {
    /// Whether it comes to a number.
    pub(super) fn has_value(&self) -> bool {
        matches!(self, PinStep::Load(_) | PinStep::Receive(_) | PinStep::VmRead(..) | PinStep::Peek(..))
    }

    /// Calls `see` with every expression in it.
    pub fn exprs(&self, see: &mut dyn FnMut(&Expr)) {
        let mut pages = |pages: &Pages| pages.first.iter().chain(&pages.end).for_each(&mut *see);
        match self {
            PinStep::Hold(of, ..) | PinStep::Splice(of, _) => pages(of),
            PinStep::Load(word) => word.page.iter().for_each(see),
            PinStep::Transfer(word, place, _) => {
                word.page.iter().chain(place.page.as_deref()).for_each(see);
            }
            PinStep::Store(word, value, _) => word.page.iter().chain([value]).for_each(see),
            PinStep::VmRead(_, one, two) | PinStep::VmWrite(_, one, two) => {
                one.page.iter().chain(&two.page).for_each(see);
            }
            PinStep::Peek(_, word) | PinStep::Detach(word, _) => word.page.iter().for_each(see),
            PinStep::Poke(_, word, value) => word.page.iter().chain([value]).for_each(see),
            PinStep::LetGo(..) | PinStep::Finish | PinStep::Receive(_) | PinStep::Unregister(_) => {}
        }
    }
}
