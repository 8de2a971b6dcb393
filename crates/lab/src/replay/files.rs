//! The recording's files on the simulated machine.

use std::collections::BTreeMap;

use freehold::Manager;
use freehold::frame::Id;
use freehold::linux::{FileRights, MapFile};
use freehold::machine::{CpuId, FileKey, PAGE_SIZE, TaskId};
use freehold::object::{File, FileKind};
use record::{FileId, FileInfo, Recording};
use sim::SimMachine;
use sim::shadow::{Shadow, Source};

use crate::exit::Error;

/// A file of the recording, open for as long as the replay lasts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenFile {
    /// As calls take it.
    pub(crate) map: MapFile,
    /// Its name in the backing and in the shadow.
    pub(crate) key: FileKey,
}

/// All files of a recording, by number.
#[derive(Debug)]
pub(crate) struct Files {
    files: Vec<OpenFile>,
    /// By the file's number on the machine: its name.
    keys: BTreeMap<u32, FileKey>,
}

/// Keys below are the recording's files; from here on they are nameless shared memory.
const NAMELESS: u64 = 1 << 32;

impl Files {
    /// Creates the files and opens them. Nothing is known of their bytes: regular files get synthetic ones.
    pub(crate) fn open(
        recording: &Recording,
        manager: &Manager<'_, SimMachine>,
        shadow: &mut Shadow,
    ) -> Result<Files, Error> {
        let mut cx = manager.cx(CpuId(0), TaskId(0));
        let mut files = Vec::with_capacity(recording.files.len());
        for (number, info) in recording.files.iter().enumerate() {
            let key = FileKey(number as u64 + 1);
            let (kind, size) = (kind_of(info), size_of_file(info));
            match kind {
                FileKind::Regular => {
                    manager.machine().sim_files().create(key, size);
                    shadow.file(key, size);
                }
                FileKind::Memory => shadow.file_zeroed(key, size),
            }
            let file = manager.linux().objects().open(cx.at(), key, kind, size);
            let file =
                file.map_err(|error| Error::new(&format!("file {} ({}): {error}", number, info.name)))?;
            files.push(OpenFile { map: MapFile { file, rights: FileRights::READ | FileRights::WRITE }, key });
        }
        let keys = files.iter().map(|open| (open.map.file.raw(), open.key)).collect();
        Ok(Files { files, keys })
    }

    /// Reads the files into the page cache, as far as a quarter of memory goes.
    pub(crate) fn warm(&self, manager: &Manager<'_, SimMachine>) -> Result<(), Error> {
        let mut cx = manager.cx(CpuId(0), TaskId(0));
        let objects = manager.linux().objects();
        let mut room = manager.frames().free_frames() / 4;
        for file in &self.files {
            let cached = objects.file(file.map.file);
            if cached.kind() == FileKind::Regular {
                let pages = cached.end(&cx).min(room);
                room -= pages;
                let read = objects.read_ahead(cx.at(), file.map.file, 0, pages);
                read.map_err(|shortage| Error::new(&shortage))?;
            }
        }
        Ok(())
    }

    /// A file.
    pub(crate) fn get(&self, id: FileId) -> OpenFile {
        self.files[id.0 as usize]
    }

    /// Where the bytes of a mapping come from, for the shadow.
    pub(crate) fn source(&self, file: Option<FileId>, offset: u64, shared: bool) -> Option<Source> {
        let page = offset / PAGE_SIZE;
        match (file, shared) {
            (Some(file), true) => Some(Source::Shared { file: self.get(file).key, page }),
            (Some(file), false) => Some(Source::Private { file: self.get(file).key, page }),
            (None, false) => Some(Source::Anonymous),
            (None, true) => None,
        }
    }

    /// How often the replay has a file open.
    pub(crate) fn opens(&self, file: Id<File>) -> u64 {
        u64::from(self.keys.contains_key(&file.raw()))
    }

    /// What the shadow calls a file of the recording.
    pub(crate) fn key_of(&self, file: Id<File>) -> Option<FileKey> {
        self.keys.get(&file.raw()).copied()
    }

    /// Closes the files: dirty pages are written.
    pub(crate) fn close(&self, manager: &Manager<'_, SimMachine>) -> Result<(), Error> {
        let mut cx = manager.cx(CpuId(0), TaskId(0));
        for file in &self.files {
            let closed = manager.linux().objects().close(cx.at(), file.map.file);
            closed.map_err(|error| Error::new(&format!("file {}: {error}", file.key.0 - 1)))?;
        }
        Ok(())
    }
}

/// A shadow file for nameless shared memory, the `number`th of the run.
pub(crate) fn nameless(shadow: &mut Shadow, number: u64, len: u64) -> FileKey {
    let file = FileKey(NAMELESS + number);
    shadow.file_zeroed(file, len);
    file
}

/// Devices are taken for what `/dev/zero` is.
fn kind_of(info: &FileInfo) -> FileKind {
    match info.kind {
        record::FileKind::Regular => FileKind::Regular,
        record::FileKind::Device | record::FileKind::SharedMemory | record::FileKind::SharedAnonymous => {
            FileKind::Memory
        }
    }
}

/// A device has no end.
fn size_of_file(info: &FileInfo) -> u64 {
    match info.kind {
        record::FileKind::Device => freehold::object::SIZE_MAX,
        _ => info.size,
    }
}
