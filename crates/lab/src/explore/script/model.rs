//! A scenario, as its file says it. Names are resolved: they are numbers here.

use super::areas::SwapStep;
use super::entry::Standing;
use super::holding::PinStep;
use super::ksm::Ksm;
use freehold::machine::{Perms, VirtAddr, Vpn};

pub use super::terms::{
    EventName, Expr, FileName, FileWord, Operator, Pages, PinName, PipeName, ProcessName, RegionName, Sign,
    Value, VariableName, WordAt,
};

/// A scenario.
#[derive(Clone, PartialEq, Debug)]
pub struct Scenario {
    /// What it is, in one line.
    pub title: String,
    /// What goes wrong without the rule.
    pub why: String,
    /// The rules it exercises, by their numbers in `docs/rules.md` or the facts.
    pub rules: Vec<String>,
    /// Where Linux decides the same.
    pub source: String,
    /// What must be left out of the manager for it to fail.
    pub breaks: String,
    /// The machine.
    pub machine: MachineShape,
    /// Names of processes.
    pub processes: Vec<String>,
    /// Files.
    pub files: Vec<FileShape>,
    /// Places in address spaces.
    pub regions: Vec<Region>,
    /// Names of variables.
    pub variables: Vec<String>,
    /// Names of events.
    pub events: Vec<String>,
    /// How many names of pins there are.
    pub pins: usize,
    /// How many names of pipes there are.
    pub pipes: usize,
    /// What CPU 0 does before the others start.
    pub setup: Vec<Step>,
    /// What CPUs do at the same time, by CPU.
    pub cpus: Vec<Script>,
    /// What CPU 0 does when all are done.
    pub end: Vec<Step>,
}

/// The machine of a scenario.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MachineShape {
    /// CPUs.
    pub cpus: u32,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Nodes.
    pub nodes: u32,
}

/// A file of a scenario.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileShape {
    /// Its name.
    pub name: String,
    /// Its size at the start.
    pub pages: u64,
}

/// A place in address spaces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Region {
    /// Its name.
    pub name: String,
    /// The first page.
    pub start: Vpn,
    /// How many.
    pub pages: u64,
}

/// What one CPU does.
#[derive(Clone, PartialEq, Debug)]
pub struct Script {
    /// As which process.
    pub process: ProcessName,
    /// Step by step.
    pub steps: Vec<Step>,
    /// What is done once in an interrupt, between any two moments of the CPU; nothing if there is none.
    pub interrupt: Vec<Step>,
}

/// A place in the file: line and column, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// One step.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// Where it stands.
    pub at: Place,
    /// As it was written.
    pub text: String,
    /// What it does.
    pub action: Action,
}

/// What a step does.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// A call of the acting process.
    Call(Call, Wanted),
    /// A load.
    Read(WordAt, Wanted),
    /// A store.
    Write(WordAt, Expr, Wanted),
    /// What kernels do beside calls.
    Chore(Chore),
    /// An event happens: who waits for it goes on.
    Signal(EventName),
    /// Waits for an event.
    Await(EventName),
    /// Waits until this holds.
    AwaitThat(Expr),
    /// A variable gets a value.
    Set(VariableName, Expr),
    /// This must hold.
    Expect(Expr),
    /// A walk without a lock: the number of the frame that is mapped there, 0 for none.
    Walk(Walk, Wanted),
    /// A dump of the page table: how many pages it tells of.
    Dump(Pages, Wanted),
    /// The entry of this word's page must be so.
    Entry(WordAt, Standing),
    /// Something with pages that others hold.
    Pins(PinStep, Wanted),
    /// About swap areas.
    Swap(SwapStep, Wanted),
    /// A block, several times.
    Repeat {
        /// How often at most.
        times: u64,
        /// Counts the rounds, from 1.
        counter: Option<VariableName>,
        /// Ends it early; asked before each round.
        until: Option<Expr>,
        /// The block.
        body: Vec<Step>,
    },
    /// A block inside a lockless reader's guard.
    Walking(Vec<Step>),
    /// A block as another process.
    As(ProcessName, Vec<Step>),
}

/// A call.
#[derive(Clone, PartialEq, Debug)]
pub enum Call {
    /// `mmap` at a fixed place.
    Map(Map),
    /// `munmap`.
    Unmap(Pages),
    /// `mprotect`.
    Protect(Pages, Perms),
    /// `mremap` to a fixed place; with `keep` the old place stays mapped (`MREMAP_DONTUNMAP`).
    Remap {
        /// From here.
        from: Pages,
        /// To here.
        to: Pages,
        /// What becomes of the old place.
        old: OldPlace,
    },
    /// `madvise`.
    Advise(Pages, Advice),
    /// `msync(MS_SYNC)`.
    Sync(Pages),
    /// `mlock`.
    Lock(Pages),
    /// `mlock2(MLOCK_ONFAULT)`.
    LockOnFault(Pages),
    /// `munlock`.
    Unlock(Pages),
    /// `brk`: the heap reaches so many pages into its region.
    Break(RegionName, Expr),
    /// `fork`.
    Fork(ProcessName),
    /// `clone(CLONE_VM)`: a process in the same address space.
    Clone(ProcessName),
    /// `vfork`: the same, and the caller waits until the child has exec'd or exited.
    Vfork(ProcessName),
    /// `execve`.
    Exec(Image),
    /// `exit` of the task with this code.
    Exit(u8),
    /// `waitpid`.
    Wait(ProcessName),
    /// `ftruncate`, in bytes.
    Truncate(FileName, Expr),
    /// `fsync`.
    Fsync(FileName),
    /// `read(2)` of a word.
    Get(FileWord),
    /// 4 written to `/proc/PID/clear_refs`.
    ClearRefs,
    /// Pages move to other frames.
    Move(Pages, Moving),
    /// Folios of 2 MiB become small ones.
    Split(Pages),
    /// Reclaim takes pages, however young.
    Evict(Pages),
}

/// Which frames pages move to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moving {
    /// Any others.
    Anywhere,
    /// Those of a node (`move_pages`).
    ToNode(u64),
    /// None now: the next use of a page tells from which node it comes (NUMA balancing).
    WhenUsed,
}

/// What `map` maps.
#[derive(Clone, PartialEq, Debug)]
pub struct Map {
    /// Where.
    pub pages: Pages,
    /// What is allowed.
    pub perms: Perms,
    /// Whether stores are for all.
    pub is_shared: bool,
    /// The file and its first page, unless it is anonymous.
    pub file: Option<(FileName, Expr)>,
    /// `MAP_POPULATE`, `MAP_LOCKED`, `MAP_NORESERVE`, `MAP_GROWSDOWN`.
    pub flags: u64,
}

/// What `mremap` leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OldPlace {
    /// Nothing.
    Unmapped,
    /// An empty mapping.
    Kept,
}

/// Advice, by the name and number of `madvise`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advice {
    /// As it is written here.
    pub name: &'static str,
    /// As `madvise` takes it.
    pub number: u64,
}

/// What `exec` starts with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Image {
    /// Where the stack is: the last page of the region, which grows down.
    pub stack: Option<RegionName>,
    /// Where the heap starts.
    pub heap: Option<RegionName>,
}

/// What kernels do beside calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chore {
    /// Clean cached pages that nobody uses are dropped: of this file, or of all.
    Reclaim(Option<FileName>),
    /// All CPUs' lists of free frames go back to their zones.
    Drain,
    /// Nobody gets a frame any more, until somebody gives one back.
    Shortage,
    /// Pages move out of the way of large blocks, as far as it goes.
    Compact,
    /// This CPU translates through no space until it is back in user mode.
    Idle,
    /// Equal pages are merged, or merged ones parted.
    Ksm(Ksm),
}

/// A walk without a lock.
#[derive(Clone, PartialEq, Debug)]
pub struct Walk {
    /// In whose tables, if not in one's own.
    pub of: Option<ProcessName>,
    /// Where to.
    pub at: WordAt,
}

/// What a call or an access may come to.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Wanted {
    /// One of these. If there is none: success, or anything if it is bound to a variable.
    pub any_of: Vec<Alternative>,
    /// Which variable gets it.
    pub bind: Option<VariableName>,
}

/// One thing it may come to.
#[derive(Clone, PartialEq, Debug)]
pub enum Alternative {
    /// Success, with this value.
    Is(Expr),
    /// Success.
    Done,
    /// This failure.
    Fails(Sign),
    /// Any failure.
    FailsSomehow,
}

impl Region {
    /// Where a page of it starts.
    pub fn addr(&self, page: u64) -> VirtAddr {
        (self.start + page).addr()
    }
}
