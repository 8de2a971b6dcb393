//! `execve`: the process goes on with another program.

use crate::errno::{Call, Errno};
use crate::process::Process;
use crate::system::Linux;
use frame::Id;
use machine::{Cx, Machine, Perms, TaskId, VirtAddr, VpnRange, level};
use object::File;
use space::{Error, Mapping, Place, Sharing, Space, VmaFlags};

/// One mapping a program starts with. Segments are private and may overlap: later ones replace earlier ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Its pages.
    pub range: VpnRange,
    /// What accesses it allows.
    pub perms: Perms,
    /// The file and its first page; `None` is zeros (`.bss`, `[vdso]` and the like).
    pub object: Option<(Id<File>, u64)>,
}

/// What a program starts with, as its loader laid it out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExecImage<'a> {
    /// Program, interpreter, vdso.
    pub segments: &'a [Segment],
    /// The stack as it is at start; it grows downwards from there.
    pub stack: Option<VpnRange>,
    /// Where the heap starts, in bytes.
    pub break_start: u64,
    /// The program's own code, in bytes: start and end (for `VmExe`).
    pub code: (VirtAddr, VirtAddr),
}

/// What `mprotect` may make of a program's segments.
const ALL: Perms = Perms { read: true, write: true, execute: true };

impl<'m, M: Machine> Linux<'m, M> {
    /// `execve`, called by `task` (the one thread left; `None` while the process has none): builds the new
    /// space, then lets the old one go. On error the old program goes on unharmed.
    pub fn exec(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        task: Option<TaskId>,
        image: &ExecImage<'_>,
    ) -> Result<(), Errno> {
        let object = self.process(process);
        let old = self.space_of(process)?;
        if self.is_killed(cx, old) {
            return Err(Errno::EINTR);
        }
        let limits = object.limits();
        let new = self.run(cx, process, Call::Exec, |cx, _| self.spaces().create(cx, &limits))?;
        // LINUX: ksm_execve(): the choice outlives the program, as does the memory policy.
        self.spaces().inherit_merge_any(new, old);
        let policy = self.spaces().space(old).policy();
        let loaded = self.run(cx, process, Call::Exec, |cx, _| {
            self.spaces().set_space_policy(cx, new, policy)?;
            self.load(cx, new, image)
        });
        if let Err(errno) = loaded {
            self.spaces().release(cx.at(), new);
            return Err(errno);
        }
        self.switch_space(cx, process, task, (old, new));
        object.break_start.set(VirtAddr(image.break_start));
        object.code_start.set(image.code.0);
        object.code_end.set(image.code.1);
        self.give_space_back(cx, process);
        Ok(())
    }

    /// The process uses the new space from here on. If this CPU runs the process it changes over.
    fn switch_space(
        &self,
        cx: &mut Cx<'m, M>,
        process: Id<Process>,
        task: Option<TaskId>,
        (old, new): (Id<Space>, Id<Space>),
    ) {
        {
            let _held = self.shared.registry.lock(cx);
            self.detach_others_locked(process, task);
            self.process(process).space.set(Some(new));
        }
        if self.is_loaded_here(cx, old) {
            self.enter(cx, process);
        }
        self.let_go(cx, old);
    }

    /// Maps the image into an empty space. Starting over does no harm: every place is fixed.
    fn load(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        image: &ExecImage<'_>,
    ) -> Result<(), Error> {
        for segment in image.segments {
            self.load_segment(cx, space, segment, VmaFlags::empty())?;
        }
        if let Some(stack) = image.stack {
            let perms = Perms { read: true, write: true, execute: false };
            let segment = Segment { range: stack, perms, object: None };
            self.load_segment(cx, space, &segment, VmaFlags::GROWS_DOWN | VmaFlags::STACK)?;
        }
        self.spaces().init_break(cx, space, image.break_start);
        Ok(())
    }

    fn load_segment(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        segment: &Segment,
        flags: VmaFlags,
    ) -> Result<(), Error> {
        let mapping = Mapping {
            place: Place::Fixed(segment.range.start),
            pages: segment.range.pages(),
            perms: segment.perms,
            max_perms: ALL,
            sharing: Sharing::Private,
            object: segment.object,
            flags,
        };
        self.spaces().map(cx, space, &mapping).map(drop)
    }
}
