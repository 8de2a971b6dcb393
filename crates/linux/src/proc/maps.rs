//! `/proc/PID/maps`.

use crate::args::is_page_aligned;
use crate::process::Process;
use crate::system::Linux;
use core::fmt::{self, Write};
use frame::Id;
use machine::{Cx, FileKey, Machine, PAGE_SHIFT, VirtAddr};
use object::{File, FileKind};
use space::{Snapshot, VmaFlags};

/// What the kernel around knows about a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileName<'n> {
    /// Major and minor number of its device.
    pub device: (u32, u32),
    /// Its number on the device.
    pub inode: u64,
    /// Its path.
    pub path: &'n str,
}

/// Names of files, as the kernel around knows them.
pub trait FileNames {
    /// The name of a file; `None` shows as anonymous shared memory, or as a file without name. The key is
    /// what a regular file was opened by.
    fn name(&self, file: Id<File>, key: FileKey) -> Option<FileName<'_>>;
}

/// No file has a name.
impl FileNames for () {
    fn name(&self, _: Id<File>, _: FileKey) -> Option<FileName<'_>> {
        None
    }
}

/// The column names start in, counted from 0.
const NAME_COLUMN: usize = 73;
/// What Linux shows for anonymous shared memory: a file of its own.
const SHARED_MEMORY: FileName<'static> = FileName { device: (0, 1), inode: 0, path: "/dev/zero (deleted)" };

/// What Linux shows for memory without a file.
const NAMELESS: FileName<'static> = FileName { device: (0, 0), inode: 0, path: "" };

/// Counts what is written through it.
struct Counted<'w> {
    out: &'w mut dyn Write,
    written: usize,
}

impl Write for Counted<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.written += s.len();
        self.out.write_str(s)
    }
}

/// One line (Linux: `show_map_vma`).
fn line(out: &mut dyn Write, vma: &Snapshot, name: &FileName<'_>) -> fmt::Result {
    let shown = |flag, yes: char| if vma.flags.contains(flag) { yes } else { '-' };
    let offset = vma.file.map_or(0, |_| vma.file_index(vma.range.start) << PAGE_SHIFT);
    debug_assert!(is_page_aligned(offset));
    let mut out = Counted { out, written: 0 };
    write!(
        out,
        "{:08x}-{:08x} {}{}{}{} {:08x} {:02x}:{:02x} {} ",
        vma.range.start.addr().0,
        vma.range.end.addr().0,
        shown(VmaFlags::READ, 'r'),
        shown(VmaFlags::WRITE, 'w'),
        shown(VmaFlags::EXEC, 'x'),
        if vma.flags.is_private() { 'p' } else { 's' },
        offset,
        name.device.0,
        name.device.1,
        name.inode
    )?;
    if !name.path.is_empty() {
        let padding = NAME_COLUMN.saturating_sub(out.written);
        write!(out, "{:padding$}{}", "", name.path)?;
    }
    out.write_char('\n')
}

impl<'m, M: Machine> Linux<'m, M> {
    /// Writes `/proc/PID/maps` of a process. Its layout stays locked for reading meanwhile.
    pub fn maps(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        names: &dyn FileNames,
        out: &mut dyn Write,
    ) -> fmt::Result {
        let Some(space) = self.process(process).space() else { return Ok(()) };
        let heap_start = self.process(process).break_start.get();
        let heap_end = VirtAddr(self.heap_end(cx, process).unwrap_or(0));
        let mut written = Ok(());
        self.spaces().for_each_vma(cx.at(), space, |vma| {
            if written.is_ok() {
                written = line(out, vma, &self.name_of(vma, names, heap_start, heap_end));
            }
        });
        written
    }

    /// LINUX: get_vma_name().
    fn name_of<'n>(
        &self,
        vma: &Snapshot,
        names: &'n dyn FileNames,
        heap_start: VirtAddr,
        heap_end: VirtAddr,
    ) -> FileName<'n> {
        if let Some(file) = vma.file {
            let object = self.objects().file(file);
            return names.name(file, object.key()).unwrap_or(match object.kind() {
                FileKind::Memory => FileName { inode: u64::from(file.raw()), ..SHARED_MEMORY },
                FileKind::Regular => NAMELESS,
            });
        }
        let heap = vma.range.start.addr() < heap_end && vma.range.end.addr() > heap_start;
        let path = match () {
            () if vma.flags.contains(VmaFlags::STACK) => "[stack]",
            () if heap => "[heap]",
            () => "",
        };
        FileName { path, ..NAMELESS }
    }
}
