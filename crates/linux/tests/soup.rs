//! Any call with any arguments, thousands of times: no panic, no lost frame, nothing left in the end.

mod common;

use common::*;
use linux::{Config, Exit, FileRights, MapFile, Mmap, Mremap, Policy, Rlimit, Waiting};
use machine::{Access, TaskId};

/// Nobody maps more than this, or soups would take hours to bring it in.
const ADDRESS_SPACE: u64 = 64 << 20;

const P: u64 = PAGE;

/// Whatever a call answers: only what it leaves behind is looked at.
fn ignore<T, E>(_: Result<T, E>) {}

/// A small generator: equal seeds, equal soups.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// Mostly where something is, sometimes anywhere.
    fn addr(&mut self) -> u64 {
        match self.below(24) {
            0 => self.next(),
            1 => USER_END.wrapping_sub(self.below(4) * P),
            2 => 0u64.wrapping_sub(self.below(4) * P),
            3 => self.below(32) * P,
            4 => BASE + self.below(1 << 20),
            5 => HEAP + self.below(64) * P,
            6 => 0x7fff_f000_0000 - self.below(4096) * P,
            _ => BASE + self.below(96) * P,
        }
    }

    fn len(&mut self) -> u64 {
        match self.below(20) {
            0 => self.next(),
            1 => 0,
            2 => 0u64.wrapping_sub(self.below(8192)),
            3 => self.below(1 << 24),
            _ => (1 + self.below(24)) * P,
        }
    }

    fn bits(&mut self, all: u64) -> u64 {
        let odd = if self.one_in(32) { self.next() } else { 0 };
        self.next() & all | odd
    }
}

fn mmap(s: &mut System<'_>, dice: &mut Dice, files: &[MapFile]) {
    let kind = 1 + dice.below(2);
    let flags = dice.bits(FIXED | GROWSDOWN | LOCKED | NORESERVE | POPULATE | NOREPLACE | 0x40) & !0x20;
    let file = files.get(dice.below(files.len() as u64 + 2) as usize).copied();
    let flags = flags | kind | if file.is_none() { ANON } else { 0 };
    let offset = if dice.one_in(16) { dice.next() } else { dice.below(32) * P };
    let args = Mmap { addr: dice.addr(), len: dice.len(), prot: dice.bits(7), flags, offset };
    let _ = s.linux.mmap(&mut s.cx, s.process, &args, file.as_ref());
}

fn family(s: &mut System<'_>, dice: &mut Dice) {
    let (linux, cx, process) = (&s.linux, &mut s.cx, s.process);
    let child = match dice.below(3) {
        0 => linux.vfork(cx, process),
        _ => linux.fork(cx, process),
    };
    if let Ok(child) = child {
        if dice.one_in(2) {
            s.become_process(child);
            let _ = s.touch(dice.addr(), Access::Write);
            let _ = s.linux.madvise(&mut s.cx, child, BASE, 64 * P, 4);
            s.become_process(process);
        }
        s.linux.exit(&mut s.cx, child, Exit::Code(0));
    }
    let _ = s.linux.wait(&mut s.cx, process, None, Waiting::Poll);
}

fn call(s: &mut System<'_>, dice: &mut Dice, files: &[MapFile]) {
    let (addr, len) = (dice.addr(), dice.len());
    let process = s.process;
    match dice.below(40) {
        0..8 => mmap(s, dice, files),
        8..11 => ignore(s.linux.munmap(&mut s.cx, process, addr, len)),
        11..14 => ignore(s.linux.mprotect(&mut s.cx, process, addr, len, dice.bits(7))),
        14..17 => {
            let (flags, new_len, new_addr) = (dice.bits(7), dice.len(), dice.addr());
            let args = Mremap { addr, old_len: len, new_len, flags, new_addr };
            ignore(s.linux.mremap(&mut s.cx, process, &args));
        }
        17 => ignore(s.linux.brk(
            &mut s.cx,
            process,
            if dice.one_in(8) { addr } else { HEAP + len % (1 << 20) },
        )),
        18..21 => ignore(s.linux.madvise(&mut s.cx, process, addr, len, dice.below(26))),
        21 => ignore(s.linux.mlock2(&mut s.cx, process, addr, len, dice.bits(1))),
        22 => ignore(s.linux.munlock(&mut s.cx, process, addr, len)),
        23 if dice.one_in(4) => ignore(s.linux.mlockall(&mut s.cx, process, dice.bits(7))),
        23 => ignore(s.linux.munlockall(&mut s.cx, process)),
        24 => ignore(s.linux.msync(&mut s.cx, process, addr, len, dice.bits(6))),
        25 => {
            let vec = dice.addr();
            ignore(s.mincore(addr, len, vec));
        }
        26 => family(s, dice),
        27 => {
            let file = files[dice.below(files.len() as u64) as usize];
            ignore(s.linux.ftruncate(&mut s.cx, process, &file, dice.below(48) * P + dice.below(2) * 77));
        }
        28 => {
            let file = files[dice.below(files.len() as u64) as usize];
            ignore(s.linux.fsync(&mut s.cx, process, &file));
        }
        29 => {
            let limit = Rlimit { soft: dice.below(ADDRESS_SPACE), hard: ADDRESS_SPACE };
            ignore(s.linux.prlimit(&mut s.cx, process, dice.below(16), Some(limit)));
        }
        n => {
            let access = [Access::Read, Access::Write, Access::Write, Access::Execute][n as usize % 4];
            ignore(s.touch(addr, access));
        }
    }
}

fn limit(s: &mut System<'_>) {
    let limit = Rlimit { soft: ADDRESS_SPACE, hard: ADDRESS_SPACE };
    s.linux.prlimit(&mut s.cx, s.process, 9, Some(limit)).expect("lowered");
}

fn soup(seed: u64, calls: u64, policy: Policy) {
    let machine = machine(16 << 20);
    let mut s = System::with(&machine, Config { shortage: policy, ..Config::default() });
    let both = FileRights::READ | FileRights::WRITE;
    let files = [s.file(1, 24 * P, both), s.file(2, 24 * P + 99, FileRights::READ), s.file(3, 8 * P, both)];
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ seed);
    limit(&mut s);
    for step in 0..calls {
        if policy == Policy::Fail && dice.one_in(4) {
            s.linux.frames().fail_after(Some(1 + dice.below(8)));
        }
        call(&mut s, &mut dice, &files);
        s.linux.frames().fail_after(None);
        let space = s.linux.process(s.process).space().expect("alive");
        if s.linux.spaces().space(space).is_killed(&s.cx) || step % 5000 == 4999 {
            let next = s.linux.first_process(&mut s.cx);
            s.linux.detach(&mut s.cx, TaskId(0));
            s.linux.exit(&mut s.cx, s.process, Exit::Signal(9));
            s.process = next.or_else(|_| s.linux.first_process(&mut s.cx)).expect("room");
            s.linux.attach(&mut s.cx, s.process, TaskId(0)).expect("a task");
            s.linux.enter(&mut s.cx, s.process);
            limit(&mut s);
        }
    }
    s.linux.idle(&mut s.cx);
    s.linux.exit(&mut s.cx, s.process, Exit::Code(0));
    for file in files {
        s.linux.objects().close(s.cx.at(), file.file).expect("written");
    }
    while s.linux.objects().drop_clean(s.cx.at(), u64::MAX) > 0 {}
    let count = s.count();
    assert_eq!((count.spaces, count.processes, count.committed), ([0, 0, 0], 0, 0), "seed {seed}");
    assert_eq!(count.objects, Default::default(), "seed {seed}");
    assert_eq!(machine.violations(), [], "seed {seed}");
}

#[test]
fn any_call_with_any_arguments() {
    for seed in 1..5 {
        soup(seed, 10_000, Policy::Kill);
    }
}

#[test]
fn any_call_while_allocations_fail() {
    for seed in 5..9 {
        soup(seed, 10_000, Policy::Fail);
    }
}
