//! What a recording says: plain data, free of how it is stored and of where it came from.

mod call;
mod event;
mod example;
mod ids;
mod mapping;
mod provenance;
mod recording;
mod summary;
mod validate;

pub use call::Call;
pub use event::{Access, Event, EventKind, ForkMemory, Origin, PageRun};
pub use example::example;
pub use ids::{FileId, ProcessId, TaskId};
pub use mapping::{Backing, FileInfo, FileKind, Mapping, MappingKind, Prot, Sharing};
pub use provenance::{Lack, LinuxCounts, Provenance};
pub use recording::{Process, Recording, Task};
pub use summary::{CallCounts, Summary};
pub use validate::{Broken, Invalid, USER_TOP};
