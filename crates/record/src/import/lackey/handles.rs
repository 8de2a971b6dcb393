//! What a process has open, and passes on to the processes it forks.

use std::collections::HashMap;

use super::line::Args;
use crate::import::{Builder, FileKey, decode_call};
use crate::{Call, FileId};

/// A segment of System V shared memory.
#[derive(Clone, Copy)]
struct Segment {
    key: u64,
    len: u64,
}

/// The open files and the shared memory of a process.
#[derive(Clone, Default)]
pub(super) struct Handles {
    /// The path of each open descriptor.
    open: HashMap<u64, String>,
    /// The segments this process or one before it got, by their identifier.
    segments: HashMap<u64, Segment>,
    /// The length of what is attached, by its address.
    attached: HashMap<u64, u64>,
}

impl Handles {
    /// A call succeeded that may have opened or closed something.
    pub(super) fn note(&mut self, number: u64, args: &Args, value: u64) {
        let [first, second, ..] = args.values;
        match number {
            OPEN | OPENAT => {
                self.open.insert(value, args.text.clone().unwrap_or_default());
            }
            MEMFD_CREATE => {
                let name = args.text.as_deref().unwrap_or_default();
                self.open.insert(value, format!("/memfd:{name}"));
            }
            CLOSE => {
                self.open.remove(&first);
            }
            SHMGET => {
                self.segments.insert(value, Segment { key: first, len: second });
            }
            _ => {}
        }
    }

    /// The memory call that a call is. Attaching and detaching of shared memory are mapping and
    /// unmapping a file of shared memory.
    pub(super) fn memory_call(
        &mut self,
        number: u64,
        args: &Args,
        ret: i64,
        builder: &mut Builder,
    ) -> Option<Call> {
        match number {
            SHMAT if ret >= 0 => self.attach(args, ret as u64, builder),
            SHMDT if ret >= 0 => {
                let addr = args.values[0];
                self.attached.remove(&addr).map(|len| Call::Munmap { addr, len })
            }
            _ => decode_call(number, &args.values, self.mapped_file(number, args, ret, builder)),
        }
    }

    fn attach(&mut self, args: &Args, at: u64, builder: &mut Builder) -> Option<Call> {
        let [id, addr, how, ..] = args.values;
        let Segment { key, len } = *self.segments.get(&id)?;
        self.attached.insert(at, len);
        let path = format!("/SYSV{:08x}", key as u32);
        let file = Some(builder.file(FileKey { path, inode: id }, len));
        let prot = if how & SHM_RDONLY == 0 { PROT_READ | PROT_WRITE } else { PROT_READ };
        Some(Call::Mmap { addr, len, prot, flags: MAP_SHARED, file, offset: 0 })
    }

    fn mapped_file(&self, number: u64, args: &Args, ret: i64, builder: &mut Builder) -> Option<FileId> {
        let [_, len, _, flags, descriptor, offset] = args.values;
        if number != MMAP || flags & MAP_ANONYMOUS != 0 || ret < 0 {
            return None;
        }
        let unknown = || "unknown".to_owned();
        let path = self.open.get(&descriptor).cloned().unwrap_or_else(unknown);
        Some(builder.file(FileKey { path, inode: 0 }, offset.saturating_add(len)))
    }
}

const OPEN: u64 = 2;
const CLOSE: u64 = 3;
const MMAP: u64 = 9;
const SHMGET: u64 = 29;
const SHMAT: u64 = 30;
const SHMDT: u64 = 67;
const OPENAT: u64 = 257;
const MEMFD_CREATE: u64 = 319;
const PROT_READ: u64 = 1;
const PROT_WRITE: u64 = 2;
const MAP_SHARED: u64 = 1;
const MAP_ANONYMOUS: u64 = 0x20;
const SHM_RDONLY: u64 = 0o10000;
