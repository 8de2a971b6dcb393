//! Every call with its first, second, third ... allocation refused: a clean error, nothing changed, nothing
//! leaked, and the same call succeeds afterwards.

mod common;

use common::*;
use fault::How;
use linux::{Cloned, Errno, ExecImage, Exit, FileRights, Iovec, MapFile, Mremap, Segment, Signal};
use machine::{Access, Perms, VirtAddr, Vpn, VpnRange};
use object::Held;
use sim::SimMachine;

use Errno::*;

const P: u64 = PAGE;
/// Eight pages, written.
const A: u64 = BASE;
/// Four pages of a file, shared, written.
const SHARED_FILE: u64 = BASE + 32 * P;
/// Four pages of a file, private, untouched.
const PRIVATE_FILE: u64 = BASE + 40 * P;
/// Four pages of shared memory, untouched.
const MEMORY: u64 = BASE + 48 * P;
/// A stack of four pages.
const STACK: u64 = BASE + 4096 * P;
/// Far from everything: needs page tables of its own.
const FAR: u64 = 0x5000_0000_0000;

struct Ground {
    file: MapFile,
}

fn prepare(system: &mut System<'_>) -> Ground {
    system.warm_up();
    let file = system.file(7, 64 * P, FileRights::READ | FileRights::WRITE);
    system.anon(A, 8, RW);
    for page in 0..8 {
        system.store(A + page * P, 100 + page).expect("stored");
    }
    system.mmap_file(SHARED_FILE, 4 * P, RW, SHARED | FIXED, &file, 0).expect("mapped");
    system.store(SHARED_FILE, 200).expect("stored");
    system.mmap_file(PRIVATE_FILE, 4 * P, RW, PRIVATE | FIXED, &file, 32 * P).expect("mapped");
    system.mmap(MEMORY, 4 * P, RW, SHARED | ANON | FIXED).expect("mapped");
    system.mmap(STACK, 4 * P, RW, PRIVATE | ANON | FIXED | GROWSDOWN).expect("mapped");
    Ground { file }
}

/// What a failed call may leave behind.
#[derive(Clone, Copy, PartialEq)]
enum Leaves {
    Nothing,
    /// Pages brought in, or VMAs changed before the trouble, as on Linux.
    Parts,
}

type Call = fn(&mut System<'_>, &Ground) -> Result<(), Errno>;

/// Ends everything, and answers how many frames are free then.
fn tear_down(mut system: System<'_>, ground: &Ground) -> u64 {
    let System { linux, cx, process, .. } = &mut system;
    linux.leave(cx, *process);
    linux.exit(cx, *process, Exit::Code(0));
    linux.objects().close(cx.at(), ground.file.file).expect("written");
    while linux.objects().drop_clean(cx.at(), u64::MAX) > 0 {}
    assert_eq!(linux.spaces().in_use(), [0, 0, 0], "spaces, VMAs, nodes");
    assert_eq!(linux.all_processes().count(), 0, "processes");
    assert_eq!(linux.spaces().committed(), 0, "committed pages");
    assert_eq!(linux.objects().census(), Default::default(), "objects");
    system.free()
}

/// A call whose `n`-th allocation failed, and what there was before it.
struct Attempt<'m> {
    system: System<'m>,
    ground: Ground,
    maps: String,
    count: Count,
    answer: Result<(), Errno>,
}

fn attempt(machine: &SimMachine, n: u64, call: Call) -> Attempt<'_> {
    let mut system = System::new(machine);
    let ground = prepare(&mut system);
    let (maps, count) = (system.maps(), system.count());
    system.linux.frames().fail_after(Some(n));
    let answer = call(&mut system, &ground);
    system.linux.frames().fail_after(None);
    Attempt { system, ground, maps, count, answer }
}

fn check(name: &str, leaves: Leaves, refusals: &[Errno], call: Call) {
    let reference = {
        let machine = machine(16 << 20);
        let mut system = System::new(&machine);
        let ground = prepare(&mut system);
        tear_down(system, &ground)
    };
    let mut succeeded = 0;
    let mut refused = 0;
    for n in 1.. {
        let machine = machine(16 << 20);
        let Attempt { mut system, ground, maps, count, answer } = attempt(&machine, n, call);
        if let Err(errno) = answer {
            assert!(refusals.contains(&errno), "{name}: allocation {n}: {errno}");
            refused += 1;
            if leaves == Leaves::Nothing {
                assert_eq!(system.maps(), maps, "{name}: allocation {n}: the layout changed");
                assert_eq!(system.count(), count, "{name}: allocation {n}: something leaked");
            }
            for page in 0..8 {
                assert_eq!(system.load(A + page * P), Ok(100 + page), "{name}: allocation {n}");
            }
            assert_eq!(system.load(SHARED_FILE), Ok(200), "{name}: allocation {n}");
            assert_eq!(call(&mut system, &ground), Ok(()), "{name}: allocation {n}: the second time");
        }
        succeeded = if answer.is_ok() { succeeded + 1 } else { 0 };
        let free = tear_down(system, &ground);
        assert_eq!(free, reference, "{name}: allocation {n}: frames are gone");
        if succeeded == 3 {
            break;
        }
    }
    assert!(refused > 0, "{name}: never met a shortage");
}

fn fault(system: &mut System<'_>, addr: u64, access: Access) -> Result<(), Errno> {
    system.touch(addr, access).map(drop).map_err(|signal| match signal {
        Signal::Kill => ENOMEM,
        other => panic!("{other:?}"),
    })
}

fn remap(s: &mut System<'_>, addr: u64, old: u64, new: u64, flags: u64, to: u64) -> Result<(), Errno> {
    let args = Mremap { addr, old_len: old * P, new_len: new * P, flags, new_addr: to };
    s.linux.mremap(&mut s.cx, s.process, &args).map(drop)
}

#[test]
fn mmap() {
    use Leaves::Nothing;
    check("anonymous", Nothing, &[ENOMEM], |s, _| s.mmap(0, 4 * P, READ, PRIVATE | ANON).map(drop));
    check("anonymous, in the middle of another", Nothing, &[ENOMEM], |s, _| {
        s.mmap(STACK + P, P, READ, PRIVATE | ANON | FIXED).map(drop)
    });
    check("shared memory", Nothing, &[ENOMEM], |s, _| s.mmap(0, 4 * P, RW, SHARED | ANON).map(drop));
    check("file", Nothing, &[ENOMEM], |s, ground| {
        s.mmap_file(0, 4 * P, RW, SHARED, &ground.file, 0).map(drop)
    });
    check("file over others", Nothing, &[ENOMEM], |s, ground| {
        s.mmap_file(SHARED_FILE + 2 * P, 8 * P, READ, PRIVATE | FIXED, &ground.file, P).map(drop)
    });
    check("populated", Nothing, &[ENOMEM], |s, _| {
        s.mmap(FAR, 4 * P, RW, PRIVATE | ANON | POPULATE | FIXED).map(drop)
    });
    check("locked", Nothing, &[ENOMEM], |s, _| {
        s.mmap(FAR, 4 * P, RW, PRIVATE | ANON | LOCKED | FIXED).map(drop)
    });
}

#[test]
fn munmap() {
    check("the middle", Leaves::Nothing, &[ENOMEM], |s, _| {
        s.linux.munmap(&mut s.cx, s.process, STACK + P, P)
    });
    check("the middle of a file mapping", Leaves::Nothing, &[ENOMEM], |s, _| {
        s.linux.munmap(&mut s.cx, s.process, PRIVATE_FILE + P, P)
    });
}

#[test]
fn mprotect() {
    check("the middle", Leaves::Nothing, &[ENOMEM], |s, _| {
        s.linux.mprotect(&mut s.cx, s.process, A + 2 * P, 2 * P, READ)
    });
    check("the middle of a file mapping", Leaves::Nothing, &[ENOMEM], |s, _| {
        s.linux.mprotect(&mut s.cx, s.process, SHARED_FILE + P, P, READ)
    });
}

#[test]
fn mremap() {
    use Leaves::{Nothing, Parts};
    check("grows and moves", Nothing, &[ENOMEM], |s, _| remap(s, A, 8, 64, 1, 0));
    check("a part moves", Nothing, &[ENOMEM], |s, _| remap(s, A + 2 * P, 2, 4, 1, 0));
    check("moves far", Nothing, &[ENOMEM], |s, _| remap(s, A, 8, 8, 3, FAR));
    check("moves a file far", Nothing, &[ENOMEM], |s, _| remap(s, SHARED_FILE, 4, 4, 3, FAR));
    check("moves onto something", Parts, &[ENOMEM], |s, _| remap(s, PRIVATE_FILE, 2, 2, 3, MEMORY + P));
    check("is left behind", Nothing, &[ENOMEM], |s, _| remap(s, A, 8, 8, 5, 0));
    check("is duplicated", Nothing, &[ENOMEM], |s, _| remap(s, MEMORY, 0, 4, 1, 0));
}

#[test]
fn brk() {
    check("grows", Leaves::Nothing, &[ENOMEM], |s, _| {
        s.linux.brk(&mut s.cx, s.process, HEAP + 4 * P).map(drop)
    });
}

#[test]
fn madvise() {
    use Leaves::{Nothing, Parts};
    fn advise(s: &mut System<'_>, addr: u64, pages: u64, advice: u64) -> Result<(), Errno> {
        s.linux.madvise(&mut s.cx, s.process, addr, pages * P, advice)
    }
    check("kept, splits", Nothing, &[EAGAIN], |s, _| advise(s, A + 2 * P, 2, 10));
    check("will need", Parts, &[ENOMEM], |s, _| advise(s, PRIVATE_FILE, 4, 3));
    check("populate for writing", Parts, &[ENOMEM], |s, _| advise(s, STACK, 4, 23));
    check("populate for reading", Parts, &[ENOMEM], |s, _| advise(s, PRIVATE_FILE, 4, 22));
    check("populate shared memory", Parts, &[ENOMEM], |s, _| advise(s, MEMORY, 4, 23));
}

#[test]
fn mlock() {
    check("splits and populates", Leaves::Parts, &[ENOMEM, EAGAIN], |s, _| {
        s.linux.mlock(&mut s.cx, s.process, STACK + P, 2 * P)
    });
    check("on fault", Leaves::Nothing, &[ENOMEM], |s, _| {
        s.linux.mlock2(&mut s.cx, s.process, STACK + P, 2 * P, 1)
    });
    check("unlocks the middle", Leaves::Parts, &[ENOMEM, EAGAIN], |s, _| {
        s.linux.mlock(&mut s.cx, s.process, A, 8 * P)?;
        s.linux.munlock(&mut s.cx, s.process, A + P, P)
    });
    check("everything", Leaves::Parts, &[ENOMEM], |s, _| {
        s.mmap(0, 4 * P, READ, PRIVATE | ANON)?;
        s.linux.mlockall(&mut s.cx, s.process, 3)
    });
}

#[test]
fn mincore_stores_its_answer() {
    check("mincore", Leaves::Parts, &[EFAULT, EAGAIN], |s, _| s.mincore(A, 8 * P, STACK));
}

#[test]
fn fork_and_clone() {
    use Leaves::Nothing;
    fn end(s: &mut System<'_>, child: frame::Id<linux::Process>) {
        s.linux.exit(&mut s.cx, child, Exit::Code(0));
        s.linux.wait(&mut s.cx, s.process, Some(child), linux::Waiting::Poll).expect("a zombie");
    }
    check("fork", Nothing, &[ENOMEM], |s, _| {
        let child = s.linux.fork(&mut s.cx, s.process)?;
        end(s, child);
        Ok(())
    });
    check("vfork", Nothing, &[ENOMEM], |s, _| {
        let child = s.linux.vfork(&mut s.cx, s.process)?;
        end(s, child);
        Ok(())
    });
    check("clone", Nothing, &[ENOMEM], |s, _| match s.linux.clone(&mut s.cx, s.process, 0x100)? {
        Cloned::Child(child) => {
            end(s, child);
            Ok(())
        }
        Cloned::Thread => unreachable!("a process was asked for"),
    });
    check("a store after fork", Leaves::Parts, &[ENOMEM], |s, _| {
        let child = s.linux.fork(&mut s.cx, s.process)?;
        let stored = fault(s, A, Access::Write);
        end(s, child);
        stored
    });
}

#[test]
fn exec() {
    fn image_of(ground: &Ground) -> [Segment; 3] {
        let perms = |write, execute| Perms { read: true, write, execute };
        let at = |page: u64, pages| VpnRange::sized(Vpn(0x400 + page), pages);
        [
            Segment { range: at(0, 4), perms: perms(false, true), object: Some((ground.file.file, 0)) },
            Segment { range: at(4, 2), perms: perms(true, false), object: Some((ground.file.file, 4)) },
            Segment { range: at(6, 2), perms: perms(true, false), object: None },
        ]
    }
    check_exec(|s, ground| {
        let segments = image_of(ground);
        let stack = Some(VpnRange::sized(Vpn(0x7_ffff_0000), 32));
        let code = (VirtAddr(0x40_0000), VirtAddr(0x40_4000));
        let image = ExecImage { segments: &segments, stack, break_start: 0x40_8000, code };
        s.linux.exec(&mut s.cx, s.process, Some(machine::TaskId(0)), &image)
    });
}

/// As `check`, but what succeeds replaces the ground.
fn check_exec(call: Call) {
    let mut refused = 0;
    for n in 1.. {
        let machine = machine(16 << 20);
        let Attempt { mut system, ground, maps, count, answer } = attempt(&machine, n, call);
        match answer {
            Ok(()) => {
                assert!(system.maps().contains("[stack]"));
                tear_down(system, &ground);
                break;
            }
            Err(errno) => assert_eq!(errno, ENOMEM, "allocation {n}"),
        }
        refused += 1;
        assert_eq!(system.maps(), maps, "allocation {n}: the old program goes on");
        assert_eq!(system.count(), count, "allocation {n}: something leaked");
        assert_eq!(system.load(A), Ok(100));
        tear_down(system, &ground);
    }
    assert!(refused > 5, "{refused}");
}

#[test]
fn faults() {
    use Leaves::Nothing;
    check("first store", Nothing, &[ENOMEM], |s, _| fault(s, STACK, Access::Write));
    check("first load", Nothing, &[ENOMEM], |s, _| fault(s, STACK, Access::Read));
    check("stack growth", Leaves::Parts, &[ENOMEM], |s, _| fault(s, STACK - 2 * P, Access::Write));
    check("load of a file", Nothing, &[ENOMEM], |s, _| fault(s, PRIVATE_FILE, Access::Read));
    check("store to a private file page", Nothing, &[ENOMEM], |s, _| fault(s, PRIVATE_FILE, Access::Write));
    check("store to a shared file page", Leaves::Parts, &[ENOMEM], |s, ground| {
        s.mmap_file(FAR, P, RW, SHARED | FIXED, &ground.file, 48 * P)?;
        fault(s, FAR, Access::Write)
    });
    check("store to shared memory", Nothing, &[ENOMEM], |s, _| fault(s, MEMORY, Access::Write));
}

/// Holds the page at an address, and lets it go again.
fn hold(s: &mut System<'_>, addr: u64, how: How) -> Result<(), Errno> {
    let mut held = [Held::Nothing];
    s.linux.hold_pages(&mut s.cx, s.process, (VirtAddr(addr).page(), how), &mut held)?;
    s.linux.release_page(&mut s.cx, held[0]);
    Ok(())
}

/// The same while a child shares every page.
fn hold_shared(s: &mut System<'_>, addr: u64, how: How) -> Result<(), Errno> {
    let child = s.linux.fork(&mut s.cx, s.process)?;
    let held = hold(s, addr, how);
    s.linux.exit(&mut s.cx, child, Exit::Code(0));
    s.linux.wait(&mut s.cx, s.process, None, linux::Waiting::Poll).expect("a zombie");
    held
}

#[test]
fn pages_that_others_hold() {
    use Leaves::Nothing;
    check("a pin to store", Nothing, &[ENOMEM], |s, _| hold(s, STACK, How::pin(Access::Write)));
    check("a pin to load", Nothing, &[ENOMEM], |s, _| hold(s, STACK, How::pin(Access::Read)));
    check("a long pin to load", Nothing, &[ENOMEM], |s, _| hold(s, STACK, How::pin(Access::Read).long()));
    check("a long pin of a file's page", Nothing, &[ENOMEM], |s, _| {
        hold(s, PRIVATE_FILE, How::pin(Access::Read).long())
    });
    check("a reference", Nothing, &[ENOMEM], |s, _| hold(s, PRIVATE_FILE, How::get(Access::Write)));
    check("a pin of a shared page", Nothing, &[ENOMEM], |s, _| hold_shared(s, A, How::pin(Access::Read)));
}

#[test]
fn calls_that_hold_pages() {
    use Leaves::Nothing;
    check("vmsplice", Nothing, &[ENOMEM], |s, _| {
        let pipe = s.linux.pipe(&mut s.cx)?;
        let bytes = Iovec { base: PRIVATE_FILE, len: 2 * P };
        let spliced = s.linux.vmsplice(&mut s.cx, s.process, (pipe, &[bytes]), 0);
        s.linux.close_pipe(&mut s.cx, pipe);
        if spliced? == bytes.len { Ok(()) } else { Err(ENOMEM) }
    });
    check("fixed buffers", Nothing, &[ENOMEM], |s, _| {
        let ring = s.linux.ring(&mut s.cx)?;
        let buffers = [Iovec { base: STACK, len: 2 * P }, Iovec { base: A, len: 8 * P }];
        let registered = s.linux.register_buffers(&mut s.cx, s.process, ring, &buffers);
        s.linux.close_ring(&mut s.cx, ring);
        registered
    });
    check("process_vm_readv", Nothing, &[ENOMEM, EFAULT], |s, _| {
        let (to, from) = ([Iovec { base: STACK, len: P }], [Iovec { base: STACK + P, len: P }]);
        let done = s.linux.process_vm_readv(&mut s.cx, s.process, s.process, (&to, &from), 0)?;
        if done == P { Ok(()) } else { Err(ENOMEM) }
    });
    // Whatever kept it from copying anything (Linux: mem_rw()).
    check("/proc/PID/mem", Nothing, &[EIO], |s, _| {
        s.linux.mem_write(&mut s.cx, (s.process, s.process), STACK, &[0; 8]).map(drop)
    });
}

/// Calls that need no memory of their own: they succeed whatever is refused.
#[test]
fn what_needs_no_memory_succeeds() {
    let calls: [(&str, Call); 5] = [
        ("munmap of whole mappings", |s, _| s.linux.munmap(&mut s.cx, s.process, A, 8 * P)),
        ("dropping contents", |s, _| s.linux.madvise(&mut s.cx, s.process, A, 8 * P, 4)),
        ("msync", |s, _| s.linux.msync(&mut s.cx, s.process, SHARED_FILE, 4 * P, 4)),
        ("fsync", |s, ground| s.linux.fsync(&mut s.cx, s.process, &ground.file)),
        ("ftruncate", |s, ground| s.linux.ftruncate(&mut s.cx, s.process, &ground.file, P)),
    ];
    for (name, call) in calls {
        for n in 1..4 {
            let machine = machine(16 << 20);
            let mut system = System::new(&machine);
            let ground = prepare(&mut system);
            system.linux.frames().fail_after(Some(n));
            let answer = call(&mut system, &ground);
            if answer == Err(ENOMEM) && name == "munmap of whole mappings" {
                // Linux prepares too, and may fail.
                continue;
            }
            assert_eq!(answer, Ok(()), "{name}: allocation {n}");
        }
    }
}
