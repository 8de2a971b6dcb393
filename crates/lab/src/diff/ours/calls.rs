//! Operations, on Freehold.

use freehold::frame::Id;
use freehold::linux::{CloneFlags, Errno, Mmap, Mremap, Process, Rlimit};
use freehold::machine::{Cx, VirtAddr};
use native::arena::{END, PAGE, START};
use native::{Answer, Call, Op, Status};
use sim::{SimMachine, TaskCtx};

use super::World;

const MAYMOVE_FIXED: u64 = 3;
/// A near return.
const RETURN: u64 = 0xc3;

/// A call that failed.
pub(super) fn failed(errno: Errno) -> Answer {
    Answer { status: Status::Errno(errno.number()), value: 0 }
}

fn good(value: u64) -> Answer {
    Answer { status: Status::Good, value }
}

fn done(result: Result<(), Errno>) -> Answer {
    result.map_or_else(failed, |()| good(0))
}

impl<'w> World<'w> {
    /// Does an operation of the process of slot `me`.
    pub(super) fn execute(&self, ctx: TaskCtx<'_>, me: usize, op: &Op) -> Answer {
        let [a, b, ..] = op.args;
        match op.call {
            Call::Load => self.load(ctx, a),
            Call::Store => match ctx.store(self, VirtAddr(a), b) {
                Ok(()) => good(0),
                Err(signal) => self.fault(signal),
            },
            Call::Execute => self.execute_word(ctx, a),
            Call::Scan => self.scan(ctx, a, b),
            Call::Layout => self.layout(ctx, me),
            Call::Fork => self.fork(ctx, me, a as usize, CloneFlags::empty()),
            Call::Clone => self.fork(ctx, me, a as usize, CloneFlags::VM),
            Call::Exit => self.exit(ctx, me, a),
            Call::Wait => self.wait(ctx, me, a),
            Call::VmRead | Call::VmWrite => self.copy(ctx, me, op),
            Call::Splice | Call::PipeRead | Call::MemRead | Call::MemWrite => self.copy(ctx, me, op),
            _ => {
                ctx.syscall();
                ctx.enter_user(self);
                self.call(ctx, me, op)
            }
        }
    }

    /// Bytes that do not go by loads and stores.
    fn copy(&self, ctx: TaskCtx<'_>, me: usize, op: &Op) -> Answer {
        let [a, b, c, ..] = op.args;
        ctx.syscall();
        ctx.enter_user(self);
        match op.call {
            Call::Splice => self.splice(ctx, me, (a, b), c),
            Call::PipeRead => self.read_pipe(ctx, a),
            Call::MemRead => self.read_mem(ctx, me, a, (b, c)),
            Call::MemWrite => self.write_mem(ctx, me, a, (b, c), op.args[3]),
            _ => self.vm(ctx, me, op),
        }
    }

    /// A memory call.
    fn call(&self, ctx: TaskCtx<'_>, me: usize, op: &Op) -> Answer {
        let Some(id) = self.process(me) else { return Answer::SKIPPED };
        let (linux, cx) = (self.manager.linux(), &mut self.cx(ctx));
        let [a, b, c, ..] = op.args;
        match op.call {
            Call::Mmap => self.mmap(cx, me, &op.args),
            Call::Mremap => {
                let args =
                    Mremap { addr: a, old_len: b, new_len: c, flags: op.args[3], new_addr: op.args[4] };
                let made = linux.mremap(cx, id, &args);
                self.housed(cx, me, made, (c, op.args[5]))
            }
            Call::Munmap => done(linux.munmap(cx, id, a, b)),
            Call::Mprotect => done(linux.mprotect(cx, id, a, b, c)),
            Call::Madvise => done(linux.madvise(cx, id, a, b, c)),
            Call::Msync => done(linux.msync(cx, id, a, b, c)),
            Call::Mlock => done(linux.mlock(cx, id, a, b)),
            Call::Mlock2 => done(linux.mlock2(cx, id, a, b, c)),
            Call::Munlock => done(linux.munlock(cx, id, a, b)),
            Call::Mlockall => done(linux.mlockall(cx, id, a)),
            Call::Munlockall => done(linux.munlockall(cx, id)),
            Call::Brk => linux.brk(cx, id, a).map_or_else(failed, good),
            Call::Mincore => self.mincore(cx, me, (a, b), c),
            Call::Prctl => self.prctl(cx, id, a as u32, b),
            Call::Prlimit => {
                let new = Rlimit { soft: b, hard: c };
                done(linux.prlimit(cx, id, a, Some(new)).map(drop))
            }
            Call::Ftruncate => self.truncate(cx, me, a, b),
            Call::Fsync => match self.files.get(a) {
                Some(file) => done(linux.fsync(cx, id, file)),
                None => failed(Errno::EBADF),
            },
            _ => Answer::SKIPPED,
        }
    }

    /// `prctl`; its other arguments are 0.
    fn prctl(&self, cx: &mut Cx<'w, SimMachine>, id: Id<Process>, option: u32, argument: u64) -> Answer {
        let linux = self.manager.linux();
        match option {
            41 => done(linux.set_thp_disable(id, [argument, 0, 0, 0])),
            42 => linux.get_thp_disable(id, [argument, 0, 0, 0]).map_or_else(failed, good),
            67 => done(linux.set_memory_merge(cx, id, argument, [0; 3])),
            _ => linux.memory_merge(id, [argument, 0, 0, 0]).map_or_else(failed, |on| good(u64::from(on))),
        }
    }

    fn mmap(&self, cx: &mut Cx<'w, SimMachine>, me: usize, args: &[u64; 7]) -> Answer {
        let Some(id) = self.process(me) else { return Answer::SKIPPED };
        let [addr, len, prot, flags, file, offset, land] = *args;
        let made =
            self.manager.linux().mmap(cx, id, &Mmap { addr, len, prot, flags, offset }, self.files.get(file));
        self.housed(cx, me, made, (len, land))
    }

    /// What came to lie outside of the arena is moved into it, as the worker does.
    fn housed(
        &self,
        cx: &mut Cx<'w, SimMachine>,
        me: usize,
        made: Result<u64, Errno>,
        (len, land): (u64, u64),
    ) -> Answer {
        let at = match made {
            Err(errno) => return failed(errno),
            Ok(at) if (START..END).contains(&at) => return good(at),
            Ok(at) => at,
        };
        let Some(id) = self.process(me) else { return Answer::SKIPPED };
        self.ran.borrow_mut().has_landed = true;
        let len = len.div_ceil(PAGE) * PAGE;
        let args = Mremap { addr: at, old_len: len, new_len: len, flags: MAYMOVE_FIXED, new_addr: land };
        match self.manager.linux().mremap(cx, id, &args) {
            Ok(moved) => good(moved),
            Err(errno) => {
                if let Err(errno) = self.manager.linux().munmap(cx, id, at, len) {
                    self.complain(&format!("a mapping outside of the arena stays: {errno}"));
                }
                Answer { status: Status::Homeless(errno.number()), value: 0 }
            }
        }
    }

    /// Into memory outside of the arena (vector 0) the answer is a bit a page, or a sum.
    fn mincore(&self, cx: &mut Cx<'w, SimMachine>, me: usize, (addr, len): (u64, u64), vec: u64) -> Answer {
        let Some(id) = self.process(me) else { return Answer::SKIPPED };
        let linux = self.manager.linux();
        if vec != 0 {
            return done(linux.mincore(cx, id, addr, len, vec, &mut |cx, to, bytes| {
                linux.copy_to_user(cx, id, to, bytes)
            }));
        }
        let doubt = self.doubt(cx, me, (addr, len));
        if doubt != 0 {
            let ran = &mut *self.ran.borrow_mut();
            ran.doubt.insert(ran.answers.answers.len(), doubt);
        }
        let mut sum = 0u64;
        let mut add = |_: &mut Cx<'w, SimMachine>, _, bytes: &[u8]| {
            sum = bytes.iter().fold(sum, |sum, byte| sum.rotate_left(1) ^ u64::from(byte & 1));
            Ok(())
        };
        // The address is only for the check that it is one of user space.
        linux.mincore(cx, id, addr, len, START, &mut add).map_or_else(failed, |()| good(sum))
    }

    /// `ftruncate`: the machine's file grows before, and shrinks after.
    fn truncate(&self, cx: &mut Cx<'w, SimMachine>, me: usize, file: u64, size: u64) -> Answer {
        let Some(id) = self.process(me) else { return Answer::SKIPPED };
        let Some(file) = self.files.get(file) else { return failed(Errno::EBADF) };
        let key = self.files.disk_key(file);
        let before = key.and_then(|key| self.sim.sim_files().size(key));
        let result = self.manager.linux().ftruncate(cx, id, file, size);
        if let (Some(key), Some(_), Ok(())) = (key, before, result) {
            self.sim.sim_files().truncate(key, size);
        }
        done(result)
    }

    // ---- accesses ----

    /// Signal and code of an access that failed.
    pub(super) fn signalled(&self, signal: sim::Signal) -> (u8, u8) {
        use freehold::linux::Signal;
        match (signal, self.signal.take()) {
            (sim::Signal::Segv, Some(Signal::Segv { code, .. })) => (11, code as u8),
            (sim::Signal::Bus, Some(Signal::Bus { code, .. })) => (7, code as u8),
            (sim::Signal::Kill, _) => (9, 0),
            _ => (0, 0),
        }
    }

    fn fault(&self, signal: sim::Signal) -> Answer {
        let (number, code) = self.signalled(signal);
        Answer { status: Status::Signal(number, code), value: 0 }
    }

    fn load(&self, ctx: TaskCtx<'_>, addr: u64) -> Answer {
        match ctx.load(self, VirtAddr(addr)) {
            Ok(value) => good(value),
            Err(signal) => self.fault(signal),
        }
    }

    fn execute_word(&self, ctx: TaskCtx<'_>, addr: u64) -> Answer {
        match ctx.load(self, VirtAddr(addr)) {
            Err(signal) => self.fault(signal),
            Ok(found) if found & 0xff != RETURN => good(0),
            Ok(_) => match ctx.execute(self, VirtAddr(addr)) {
                Ok(()) => good(1),
                Err(signal) => self.fault(signal),
            },
        }
    }
}
