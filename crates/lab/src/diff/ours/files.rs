//! The files of a program, here.

use freehold::Manager;
use freehold::frame::Id;
use freehold::linux::{FileRights, MapFile};
use freehold::machine::{CpuId, FileKey, PAGE_SIZE, TaskId};
use freehold::object::{File, FileKind};
use native::{Backing, FILES};
use sim::SimMachine;
use sim::synthetic::file_word;

use crate::exit::Error;

const MEMORY: FileKey = FileKey(1);
const DISK: FileKey = FileKey(2);
const SEALED: FileKey = FileKey(3);

/// Bytes of each at the start: the worker's `files.rs` has the same.
const MEMORY_BYTES: u64 = 8 * PAGE_SIZE;
const DISK_BYTES: u64 = 6 * PAGE_SIZE + 0x900;
const SEALED_BYTES: u64 = 4 * PAGE_SIZE;

/// What the disk's file holds at the start: the machine's synthetic bytes.
pub(crate) fn disk_contents() -> Vec<u8> {
    let word = |at: u64| file_word(DISK.0, at / PAGE_SIZE, 0, at % PAGE_SIZE / 8);
    (0..DISK_BYTES / 8).flat_map(|n| word(n * 8).to_le_bytes()).collect()
}

/// Open files, by number.
pub(super) struct Files {
    open: [MapFile; FILES],
}

impl Files {
    pub(super) fn open(manager: &Manager<'_, SimMachine>) -> Result<Files, Error> {
        manager.machine().sim_files().create(DISK, DISK_BYTES);
        let mut cx = manager.cx(CpuId(0), TaskId(0));
        let mut open = |key, kind, size| {
            let file = manager.linux().objects().open(cx.at(), key, kind, size);
            file.map_err(|error| Error::new(&error))
        };
        let memory = open(MEMORY, FileKind::Memory, MEMORY_BYTES)?;
        let disk = open(DISK, FileKind::Regular, DISK_BYTES)?;
        let sealed = open(SEALED, FileKind::Memory, SEALED_BYTES)?;
        let (read, write) = (FileRights::READ, FileRights::WRITE);
        let seals = FileRights::SEAL_WRITE | FileRights::SEAL_SHRINK | FileRights::SEAL_GROW;
        let with = |file, rights| MapFile { file, rights };
        Ok(Files {
            open: [
                with(memory, read | write),
                with(memory, read),
                with(disk, read | write),
                with(disk, read),
                with(disk, write),
                with(sealed, read | write | seals),
            ],
        })
    }

    /// A file by its number in programs.
    pub(super) fn get(&self, number: u64) -> Option<&MapFile> {
        self.open.get(usize::try_from(number).ok()?)
    }

    /// The name of the disk's file among the machine's, if this is it.
    pub(super) fn disk_key(&self, file: &MapFile) -> Option<FileKey> {
        (file.file == self.open[2].file).then_some(DISK)
    }

    /// What a mapping of this file is called.
    pub(super) fn backing(&self, file: Id<File>) -> Backing {
        match self.open.iter().position(|open| open.file == file) {
            Some(0 | 1) => Backing::Memory,
            Some(5) => Backing::Sealed,
            Some(_) => Backing::Disk,
            None => Backing::Nameless,
        }
    }

    /// How often it is open here.
    pub(super) fn opens(&self, file: Id<File>) -> u64 {
        u64::from(self.open.iter().any(|open| open.file == file))
    }

    /// Closes all of them.
    pub(super) fn close(&self, manager: &Manager<'_, SimMachine>) -> Result<(), String> {
        let mut cx = manager.cx(CpuId(0), TaskId(0));
        for number in [0, 2, 5] {
            let closed = manager.linux().objects().close(cx.at(), self.open[number].file);
            closed.map_err(|error| format!("closing a file: {error}"))?;
        }
        Ok(())
    }
}
