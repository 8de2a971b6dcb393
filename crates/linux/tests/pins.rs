//! Pages that others than the program hold: exact counts, limits, errors, and who sees which bytes.

mod common;

use common::*;
use fault::{FaultError, How, Rights};
use frame::Id;
use linux::{Errno, Exit, FileRights, Iovec, Resource, Rlimit};
use machine::{Access, Counter, CpuId, Machine, Pfn, VirtAddr, Vpn};
use object::{Held, Hold};
use sim::SimMachine;

use Errno::*;

const P: u64 = PAGE;

fn page(addr: u64) -> Vpn {
    VirtAddr(addr).page()
}

fn hold(s: &mut System<'_>, addr: u64, how: How) -> Result<Held, Errno> {
    let mut held = [Held::Nothing];
    let done = s.linux.hold_pages(&mut s.cx, s.process, (page(addr), how), &mut held)?;
    assert_eq!(done, 1);
    Ok(held[0])
}

fn pin(s: &mut System<'_>, addr: u64, access: Access) -> Held {
    hold(s, addr, How::pin(access)).expect("a pin")
}

fn frame(held: Held) -> Pfn {
    held.frame().expect("a frame").0
}

fn counts(s: &System<'_>, held: Held) -> (u64, u64, u64, bool) {
    let counts = s.linux.frames().descriptor(frame(held)).counts(&s.cx);
    (counts.refs(), counts.maps(), counts.pins(), counts.is_exclusive())
}

fn word(s: &System<'_>, held: Held, offset: u64) -> u64 {
    let mut bytes = [0; 8];
    s.machine.read_frame(CpuId(0), held.frame().expect("a frame"), offset, &mut bytes);
    u64::from_le_bytes(bytes)
}

fn ways(s: &System<'_>) -> (u64, u64) {
    (s.counter(Counter::HeldFast), s.counter(Counter::HeldSlow))
}

fn bytes(base: u64, len: u64) -> Iovec {
    Iovec { base, len }
}

#[test]
fn every_pin_is_counted_and_given_back() {
    let machine = machine(16 << 20);
    let mut s = System::new(&machine);
    s.anon(BASE, 2, RW);
    s.store(BASE, 1).expect("stored");
    let held: Vec<Held> = (0..100).map(|_| pin(&mut s, BASE, Access::Write)).collect();
    assert_eq!(counts(&s, held[0]), (101, 1, 100, true));
    assert_eq!(ways(&s), (100, 0), "what is mapped well is pinned without a lock");
    for (given_back, &one) in held.iter().enumerate() {
        assert_eq!(counts(&s, one).2, 100 - given_back as u64);
        s.linux.release_page(&mut s.cx, one);
    }
    assert_eq!(counts(&s, held[0]), (1, 1, 0, true));
    assert_eq!((s.counter(Counter::PinAcquired), s.counter(Counter::PinReleased)), (100, 100));
}

#[test]
fn references_are_no_pins() {
    let machine = machine(16 << 20);
    let mut s = System::new(&machine);
    s.anon(BASE, 1, RW);
    s.store(BASE, 1).expect("stored");
    let held: Vec<Held> =
        (0..1200).map(|_| hold(&mut s, BASE, How::get(Access::Read)).expect("a reference")).collect();
    assert_eq!(counts(&s, held[0]), (1201, 1, 0, true));
    // Where pins are guessed from more than 1024 references this would be copied (C-23).
    let copied = s.counter(Counter::CowCopied);
    let child = s.linux.fork(&mut s.cx, s.process).expect("a child");
    assert_eq!(s.counter(Counter::CowCopied), copied);
    assert_eq!(counts(&s, held[0]), (1202, 2, 0, false));
    s.linux.exit(&mut s.cx, child, Exit::Code(0));
    held.iter().for_each(|&one| s.linux.release_page(&mut s.cx, one));
    assert_eq!(counts(&s, held[0]), (1, 1, 0, false));
}

#[test]
fn what_is_missing_is_brought_in_under_the_lock() {
    let machine = machine(16 << 20);
    let mut s = System::new(&machine);
    s.anon(BASE, 4, RW);
    let written = pin(&mut s, BASE, Access::Write);
    assert_eq!(counts(&s, written), (2, 1, 1, true));
    let zero = pin(&mut s, BASE + P, Access::Read);
    assert!(matches!(zero, Held::Zero(_)), "a short pin to load needs no page of one's own");
    let own = hold(&mut s, BASE + 2 * P, How::pin(Access::Read).long()).expect("a pin");
    assert_eq!(counts(&s, own), (2, 1, 1, true), "a long one does");
    assert_eq!(ways(&s), (0, 3));
    s.store(BASE + 2 * P, 5).expect("stored");
    assert_eq!(word(&s, own, 0), 5);
    assert_eq!(s.counter(Counter::CowCopied), 0);
    [written, zero, own].into_iter().for_each(|held| s.linux.release_page(&mut s.cx, held));
}

#[test]
fn fork_copies_what_is_pinned_and_shares_the_rest() {
    let machine = machine(16 << 20);
    let mut s = System::new(&machine);
    s.anon(BASE, 2, RW);
    s.store(BASE, 1).expect("stored");
    s.store(BASE + P, 2).expect("stored");
    let held = pin(&mut s, BASE, Access::Read);
    let child = s.linux.fork(&mut s.cx, s.process).expect("a child");
    assert_eq!(s.counter(Counter::CowCopied), 1);
    assert_eq!(counts(&s, held), (2, 1, 1, true));
    s.store(BASE, 3).expect("stored");
    assert_eq!(word(&s, held, 0), 3, "the program and the device have one page");
    let parent = s.process;
    s.become_process(child);
    assert_eq!((s.load(BASE), s.load(BASE + P)), (Ok(1), Ok(2)));
    s.linux.release_page(&mut s.cx, held);
    s.become_process(parent);
}

#[test]
fn a_shared_page_is_made_ones_own_before_it_is_pinned() {
    let machine = machine(16 << 20);
    let mut s = System::new(&machine);
    s.anon(BASE, 1, RW);
    s.store(BASE, 1).expect("stored");
    let child = s.linux.fork(&mut s.cx, s.process).expect("a child");
    let (copied, unshared) = (s.counter(Counter::CowCopied), s.counter(Counter::CowUnshared));
    let held = pin(&mut s, BASE, Access::Read);
    assert_eq!(s.counter(Counter::CowCopied), copied + 1);
    assert_eq!(s.counter(Counter::CowUnshared), unshared + 1);
    // The last one need not copy.
    let parent = s.process;
    s.become_process(child);
    let last = pin(&mut s, BASE, Access::Read);
    assert_eq!(s.counter(Counter::CowCopied), copied + 1);
    assert_ne!(frame(held), frame(last));
    s.linux.release_page(&mut s.cx, last);
    s.become_process(parent);
    s.linux.release_page(&mut s.cx, held);
}

#[test]
fn a_pin_outlives_its_mapping_and_its_process() {
    let machine = machine(16 << 20);
    let mut s = System::new(&machine);
    let parent = s.process;
    let child = s.linux.fork(&mut s.cx, parent).expect("a child");
    s.become_process(child);
    s.anon(BASE, 2, RW);
    s.store(BASE, 1).expect("stored");
    s.store(BASE + P, 2).expect("stored");
    let (unmapped, left) = (pin(&mut s, BASE, Access::Write), pin(&mut s, BASE + P, Access::Write));
    s.linux.munmap(&mut s.cx, s.process, BASE, P).expect("unmapped");
    assert_eq!(counts(&s, unmapped), (1, 0, 1, true), "row 27: the pin keeps the page, and its bit");
    s.become_process(parent);
    s.linux.exit(&mut s.cx, child, Exit::Code(0));
    assert_eq!(counts(&s, left), (1, 0, 1, true));
    assert_eq!((word(&s, unmapped, 0), word(&s, left, 0)), (1, 2));
    let free = s.free();
    s.linux.release_page(&mut s.cx, unmapped);
    s.linux.release_page(&mut s.cx, left);
    assert_eq!(s.free(), free + 2);
    assert_eq!(machine.violations(), []);
}

#[test]
fn rights_are_the_programs_or_a_debuggers() {
    let machine = machine(16 << 20);
    let mut s = System::new(&machine);
    let file = s.file(7, 4 * P, FileRights::READ | FileRights::WRITE);
    s.anon(BASE, 1, READ);
    s.anon(BASE + P, 1, 0);
    s.mmap_file(BASE + 2 * P, P, READ, SHARED | FIXED, &file, 0).expect("mapped");
    s.mmap_file(BASE + 3 * P, P, RW, SHARED | FIXED, &file, P).expect("mapped");
    s.mmap_file(BASE + 4 * P, P, READ, PRIVATE | FIXED, &file, 2 * P).expect("mapped");
    let (read, write) = (How::pin(Access::Read), How::pin(Access::Write));
    for (at, how, answer) in [
        (0, read, Ok(())),
        (0, write, Err(EFAULT)),
        (0, write.forced(), Ok(())),
        (1, read, Err(EFAULT)),
        (1, read.forced(), Ok(())),
        (1, write.forced(), Ok(())),
        (2, write, Err(EFAULT)),
        (2, write.forced(), Err(EFAULT)),
        (3, write, Ok(())),
        // Nobody would tell the file what is stored through it.
        (3, write.long(), Err(EFAULT)),
        (3, read.long(), Ok(())),
        (4, write.forced(), Ok(())),
        (5, read, Err(EFAULT)),
        (5, read.forced(), Err(EFAULT)),
    ] {
        let held = hold(&mut s, BASE + at * P, how);
        assert_eq!(held.map(drop), answer, "page {at}, {how:?}");
        held.into_iter().for_each(|held| s.linux.release_page(&mut s.cx, held));
    }
    assert!(s.store(BASE, 1).is_err(), "the program may do no more than before");
    assert!(s.load(BASE + P).is_err());
    let kernel = hold(&mut s, 1 << 47, read.forced());
    assert_eq!(kernel.map(drop), Err(EFAULT), "nothing is held beyond user space");
    assert_eq!((write.rights, write.forced().rights), (Rights::Mapped, Rights::Forced));
}

#[test]
fn what_was_stored_through_a_pin_reaches_the_file() {
    let machine = machine(16 << 20);
    let mut s = System::new(&machine);
    let file = s.file(7, 4 * P, FileRights::READ | FileRights::WRITE);
    s.mmap_file(BASE, P, RW, SHARED | FIXED, &file, 0).expect("mapped");
    let held = pin(&mut s, BASE, Access::Write);
    s.linux.fsync(&mut s.cx, s.process, &file).expect("written");
    // The entry is read-only again, and the file believes that it has all bytes.
    s.machine.write_frame(CpuId(0), held.frame().expect("a frame"), 8, &77u64.to_le_bytes());
    s.linux.release_dirty(&mut s.cx, held);
    s.linux.fsync(&mut s.cx, s.process, &file).expect("written");
    assert_eq!(machine.sim_files().word(machine::FileKey(7), 0, 1), 77);
}

#[test]
fn a_range_is_held_up_to_what_cannot_be() {
    let machine = machine(16 << 20);
    let mut s = System::new(&machine);
    s.anon(BASE, 3, RW);
    let mut held = [Held::Nothing; 5];
    let how = How::pin(Access::Write);
    assert_eq!(s.linux.hold_pages(&mut s.cx, s.process, (page(BASE), how), &mut held), Ok(3));
    assert_eq!(held[3..], [Held::Nothing; 2]);
    let beyond = (page(BASE + 3 * P), how);
    assert_eq!(s.linux.hold_pages(&mut s.cx, s.process, beyond, &mut held[3..]), Err(EFAULT));
    held.into_iter().for_each(|held| s.linux.release_page(&mut s.cx, held));
    let space = s.linux.process(s.process).space().expect("alive");
    let answer = s.linux.faults().hold(s.cx.at(), space, beyond, &mut held);
    assert!(matches!(answer, Err(fault::HoldError::Fault(FaultError::Segv(_)))));
}

#[test]
fn a_count_at_its_cap_refuses() {
    let machine = machine(16 << 20);
    let mut s = System::new(&machine);
    s.anon(BASE, 1, RW);
    s.store(BASE, 1).expect("stored");
    let first = pin(&mut s, BASE, Access::Write);
    let counts = s.linux.frames().descriptor(frame(first));
    for _ in 1..frame::counts::PINS_MAX {
        counts.pin(&s.cx).expect("room");
    }
    assert_eq!(hold(&mut s, BASE, How::pin(Access::Write)), Err(ENOMEM));
    let own = (s.process, s.process);
    assert_eq!(s.linux.mem_write(&mut s.cx, own, BASE, &[1]), Err(EIO), "that is all a debugger is told");
    assert!(hold(&mut s, BASE, How::get(Access::Read)).is_ok());
    assert_eq!(counts.pins(&s.cx), frame::counts::PINS_MAX);
}

// ---- pipes ----

#[test]
fn a_pipe_has_the_pages_and_not_copies() {
    let machine = machine(16 << 20);
    let mut s = System::new(&machine);
    s.anon(BASE, 20, RW);
    for at in 0..20 {
        s.store(BASE + at * P, 100 + at).expect("stored");
    }
    let pipe = s.linux.pipe(&mut s.cx).expect("a pipe");
    let all = bytes(BASE, 20 * P);
    assert_eq!(s.linux.vmsplice(&mut s.cx, s.process, (pipe, &[all]), 0), Ok(16 * P), "as many as fit");
    assert_eq!(s.linux.vmsplice(&mut s.cx, s.process, (pipe, &[all]), 0), Err(EAGAIN));
    assert_eq!(s.counter(Counter::PinAcquired), 0, "references, not pins");
    s.anon(BASE + 32 * P, 4, RW);
    let into = bytes(BASE + 32 * P, P + 8);
    assert_eq!(s.linux.read_pipe(&mut s.cx, s.process, pipe, into), Ok(P + 8));
    assert_eq!((s.load(BASE + 32 * P), s.load(BASE + 33 * P)), (Ok(100), Ok(101)));
    // The rest of the second page is still in it; a bad address takes nothing out.
    assert_eq!(s.linux.read_pipe(&mut s.cx, s.process, pipe, bytes(0x10, 8)), Err(EFAULT));
    assert_eq!(s.linux.read_pipe(&mut s.cx, s.process, pipe, bytes(BASE + 32 * P, P)), Ok(P));
    assert_eq!(s.load(BASE + 32 * P + P - 8), Ok(102), "8 bytes less of the second page, 8 of the third");
    let free = s.free();
    s.linux.munmap(&mut s.cx, s.process, BASE, 20 * P).expect("unmapped");
    assert!(s.free() < free + 20, "the pipe keeps what it has");
    s.linux.close_pipe(&mut s.cx, pipe);
    assert!(s.free() >= free + 20);
}

#[test]
fn what_a_pipe_refuses() {
    let machine = machine(16 << 20);
    let mut s = System::new(&machine);
    s.anon(BASE, 1, RW);
    s.store(BASE, 1).expect("stored");
    let pipe = s.linux.pipe(&mut s.cx).expect("a pipe");
    for (ranges, flags, answer) in [
        (&[bytes(BASE, P)][..], 0x10, Err(EINVAL)),
        (&[bytes(BASE, P)], 0xf, Ok(P)),
        (&[], 0, Ok(0)),
        (&[bytes(BASE, 0)], 0, Ok(0)),
        (&[bytes(BASE + P, 8)], 0, Err(EFAULT)),
        (&[bytes(BASE, 2 * P)], 0, Ok(P)),
        (&[bytes(BASE, u64::MAX)], 0, Err(EINVAL)),
        (&[bytes(BASE, 1 << 63)], 0, Err(EINVAL)),
        (&[bytes(BASE, 1 << 62), bytes(BASE, 8)], 0, Err(EFAULT)),
        (&[bytes(USER_END, P)], 0, Err(EFAULT)),
    ] {
        assert_eq!(s.linux.vmsplice(&mut s.cx, s.process, (pipe, ranges), flags), answer, "{ranges:x?}");
    }
    let many = vec![bytes(BASE, 0); linux::IOV_MAX + 1];
    assert_eq!(s.linux.vmsplice(&mut s.cx, s.process, (pipe, &many), 0), Err(EINVAL));
    s.linux.close_pipe(&mut s.cx, pipe);
    let empty = s.linux.pipe(&mut s.cx).expect("a pipe");
    assert_eq!(s.linux.read_pipe(&mut s.cx, s.process, empty, bytes(BASE, 8)), Err(EAGAIN));
    s.linux.close_pipe(&mut s.cx, empty);
}

// ---- other processes ----

#[test]
fn bytes_of_another_process() {
    let machine = machine(16 << 20);
    let mut s = System::new(&machine);
    s.anon(BASE, 4, RW);
    for word in 0..1024 {
        s.store(BASE + word * 8, word).expect("stored");
    }
    let parent = s.process;
    let child = s.linux.fork(&mut s.cx, parent).expect("a child");
    s.store(BASE, 7).expect("stored");
    s.become_process(child);
    let (to, from) = ([bytes(BASE + 2 * P + 4, 3000), bytes(BASE + 3 * P, 2000)], [bytes(BASE + 100, 5000)]);
    let read = s.linux.process_vm_readv(&mut s.cx, child, parent, (&to, &from), 0);
    assert_eq!(read, Ok(5000));
    // Bytes 100 and on, at an odd place: the word at 104 of the source is at 8 of the target.
    assert_eq!(s.load(BASE + 2 * P + 8), Ok(13));
    assert_eq!(s.load(BASE), Ok(0), "the child's own page stays");
    let written =
        s.linux.process_vm_writev(&mut s.cx, child, parent, (&[bytes(BASE + 8, 8)], &[bytes(BASE, 8)]), 0);
    assert_eq!(written, Ok(8));
    s.become_process(parent);
    assert_eq!(s.load(BASE), Ok(1));
    assert_eq!(machine.violations(), []);
}

#[test]
fn what_process_vm_answers() {
    let machine = machine(16 << 20);
    let mut s = System::new(&machine);
    s.anon(BASE, 2, RW);
    s.anon(BASE + 2 * P, 1, READ);
    let own = s.process;
    let child = s.linux.fork(&mut s.cx, own).expect("a child");
    let good = bytes(BASE, 8);
    let mut read = |local: &[Iovec], remote: &[Iovec], flags| {
        s.linux.process_vm_readv(&mut s.cx, own, child, (local, remote), flags)
    };
    assert_eq!(read(&[good], &[good], 1), Err(EINVAL));
    assert_eq!(read(&[good], &[bytes(BASE + 8 * P, 8)], 0), Err(EFAULT));
    assert_eq!(read(&[bytes(BASE + 8 * P, 8)], &[good], 0), Err(EFAULT));
    assert_eq!(read(&[bytes(BASE, u64::MAX)], &[good], 0), Err(EINVAL));
    assert_eq!(read(&[bytes(BASE, 1 << 50), good], &[good], 0), Err(EFAULT));
    assert_eq!(read(&[bytes(BASE, 1 << 50)], &[good], 0), Ok(8), "2 GiB at most are looked at");
    assert_eq!(read(&[], &[good], 0), Ok(0));
    let (none, bad) = (bytes(BASE, 0), bytes(BASE, u64::MAX));
    assert_eq!(read(&[none], &[bad], 0), Ok(0), "nobody looks at the other side");
    assert_eq!(read(&[none], &vec![good; linux::IOV_MAX + 1], 0), Ok(0));
    assert_eq!(read(&[good], &[bad], 0), Err(EINVAL));
    assert_eq!(read(&[good], &[bytes(BASE, 0)], 0), Ok(0));
    assert_eq!(read(&[good], &[bytes(BASE + 3 * P - 4, 8)], 0), Ok(4), "up to the hole");
    assert_eq!(read(&[bytes(BASE, 4)], &[good], 0), Ok(4), "as far as there is room");
    let write = s.linux.process_vm_writev(&mut s.cx, own, child, (&[good], &[bytes(BASE + 2 * P, 8)]), 0);
    assert_eq!(write, Err(EFAULT), "no rights but the process's own");
    s.linux.exit(&mut s.cx, child, Exit::Code(0));
    let gone = s.linux.process_vm_readv(&mut s.cx, own, child, (&[good], &[good]), 0);
    assert_eq!(gone, Err(ESRCH));
}

#[test]
fn a_debugger_writes_what_is_read_only_and_only_there() {
    let machine = machine(16 << 20);
    let mut s = System::new(&machine);
    s.anon(BASE, 2, RW);
    s.store(BASE, 1).expect("stored");
    s.store(BASE + P, 2).expect("stored");
    s.linux.mprotect(&mut s.cx, s.process, BASE, 2 * P, READ).expect("protected");
    let (own, child) = (s.process, s.linux.fork(&mut s.cx, s.process).expect("a child"));
    let ids = (own, child);
    let patch = [0xcc; 16];
    assert_eq!(s.linux.mem_write(&mut s.cx, ids, BASE + P - 8, &patch), Ok(16));
    let mut back = [0; 16];
    assert_eq!(s.linux.mem_read(&mut s.cx, ids, BASE + P - 8, &mut back), Ok(16));
    assert_eq!(back, patch);
    assert_eq!((s.load(BASE), s.load(BASE + P)), (Ok(1), Ok(2)), "the parent has its own");
    assert_eq!(s.linux.mem_read(&mut s.cx, ids, BASE + 2 * P - 8, &mut back), Ok(8));
    assert_eq!(s.linux.mem_write(&mut s.cx, ids, BASE + 2 * P, &patch), Err(EIO));
    s.become_process(child);
    assert!(s.store(BASE, 1).is_err(), "it is as protected as before");
}

#[test]
fn a_stack_grows_for_a_debugger_and_the_upper_half_is_no_place() {
    let machine = machine(16 << 20);
    let mut s = System::new(&machine);
    let (own, stack) = (s.process, 0x4000_0000);
    s.mmap(stack, P, RW, GROWSDOWN | FIXED | PRIVATE | ANON).expect("mapped");
    assert_eq!(s.linux.mem_write(&mut s.cx, (own, own), stack - 3 * P, &[7; 8]), Ok(8));
    assert_eq!(s.load(stack - 3 * P), Ok(u64::from_le_bytes([7; 8])));
    let far = stack - (16 << 20);
    assert_eq!(s.linux.mem_read(&mut s.cx, (own, own), far, &mut [0; 8]), Err(EIO), "beyond the limit");
    let beyond = s.linux.mem_read(&mut s.cx, (own, own), 1 << 63, &mut []);
    assert_eq!(beyond, Err(Errno::EINVAL));
}

// ---- rings ----

fn ring(s: &mut System<'_>) -> Id<linux::Ring> {
    s.linux.ring(&mut s.cx).expect("a ring")
}

#[test]
fn fixed_buffers_are_all_or_nothing() {
    let machine = machine(32 << 20);
    let mut s = System::new(&machine);
    s.anon(BASE, 200, RW);
    s.store(BASE + 70 * P, 5).expect("stored");
    let ring = ring(&mut s);
    let register =
        |s: &mut System<'_>, buffers: &[Iovec]| s.linux.register_buffers(&mut s.cx, s.process, ring, buffers);
    assert_eq!(register(&mut s, &[]), Err(EINVAL));
    assert_eq!(register(&mut s, &[bytes(0, P)]), Err(EFAULT));
    assert_eq!(register(&mut s, &[bytes(BASE, 0)]), Err(EFAULT));
    assert_eq!(register(&mut s, &[bytes(BASE, (1 << 30) + 1)]), Err(EFAULT));
    assert_eq!(register(&mut s, &[bytes(u64::MAX - 8, 8)]), Err(EOVERFLOW));
    assert_eq!(register(&mut s, &[bytes(BASE, 199 * P), bytes(BASE + 199 * P, 2 * P)]), Err(EFAULT));
    assert_eq!(s.counter(Counter::PinAcquired), s.counter(Counter::PinReleased), "none of them stays");
    assert_eq!(s.linux.unregister_buffers(&mut s.cx, ring), Err(ENXIO));
    let buffers = [bytes(BASE + 8, 100), bytes(BASE + P + 16, 150 * P)];
    assert_eq!(register(&mut s, &buffers), Ok(()));
    assert_eq!(register(&mut s, &buffers), Err(EBUSY));
    assert_eq!(s.counter(Counter::PinAcquired) - s.counter(Counter::PinReleased), 1 + 151);
    let (frame, at, len) = s.linux.fixed_bytes(&mut s.cx, ring, (1, 69 * P - 16)).expect("a byte");
    assert_eq!((at, len), (0, P));
    assert_eq!(word(&s, Held::Got(frame.0), 0), 5);
    assert_eq!(s.linux.fixed_bytes(&mut s.cx, ring, (0, 99)).map(|(_, at, len)| (at, len)), Ok((107, 1)));
    for nowhere in [(0, 100), (1, 150 * P), (2, 0), (usize::MAX, 0)] {
        assert_eq!(s.linux.fixed_bytes(&mut s.cx, ring, nowhere).map(drop), Err(EFAULT), "{nowhere:?}");
    }
    s.linux.close_ring(&mut s.cx, ring);
    assert_eq!(s.counter(Counter::PinAcquired), s.counter(Counter::PinReleased));
}

#[test]
fn fixed_buffers_count_as_locked_memory() {
    let machine = machine(16 << 20);
    let mut s = System::new(&machine);
    let old = s.linux.process(s.process).limit(Resource::Memlock);
    let limit = Rlimit { soft: 4 * P, hard: old.hard };
    s.linux.prlimit(&mut s.cx, s.process, 8, Some(limit)).expect("a lower limit");
    s.anon(BASE, 8, RW);
    let (one, two) = (ring(&mut s), ring(&mut s));
    let register = |s: &mut System<'_>, ring, pages| {
        s.linux.register_buffers(&mut s.cx, s.process, ring, &[bytes(BASE, pages * P)])
    };
    assert_eq!(register(&mut s, one, 5), Err(ENOMEM));
    assert_eq!(register(&mut s, one, 3), Ok(()));
    assert_eq!(register(&mut s, two, 2), Err(ENOMEM), "what other rings have counts, too");
    assert_eq!(register(&mut s, two, 1), Ok(()));
    s.linux.close_ring(&mut s.cx, one);
    s.linux.unregister_buffers(&mut s.cx, two).expect("registered");
    assert_eq!(register(&mut s, two, 4), Ok(()));
    s.linux.close_ring(&mut s.cx, two);
}

/// What is pinned for long is moved out of the Movable zone first, and brought in outside of it.
#[test]
fn long_pins_keep_out_of_the_movable_zone() {
    let machine = machine(64 << 20);
    let mut s = movable(&machine);
    s.anon(BASE, 4, RW);
    s.store(BASE, 1).expect("stored");
    let zone = |s: &System<'_>, held| s.linux.frames().descriptor(frame(held)).zone(&s.cx);
    let short = pin(&mut s, BASE, Access::Write);
    assert_eq!(zone(&s, short), frame::ZoneKind::Movable, "the machine prefers it for such pages");
    assert_eq!(
        hold(&mut s, BASE, How::pin(Access::Write).long()),
        Err(ENOMEM),
        "it is pinned: it cannot move"
    );
    s.linux.release_page(&mut s.cx, short);
    let long = hold(&mut s, BASE, How::pin(Access::Write).long()).expect("a pin");
    assert_ne!(zone(&s, long), frame::ZoneKind::Movable);
    assert_eq!((s.load(BASE), counts(&s, long)), (Ok(1), (2, 1, 1, true)));
    let fresh = hold(&mut s, BASE + P, How::pin(Access::Write).long()).expect("a pin");
    assert_ne!(zone(&s, fresh), frame::ZoneKind::Movable);
    assert_eq!(s.counter(Counter::PgMigrateSuccess), 1, "what is brought in for it need not be moved");
    assert_eq!((How::pin(Access::Read).hold, How::get(Access::Read).hold), (Hold::Pin, Hold::Get));
    [long, fresh].into_iter().for_each(|held| s.linux.release_page(&mut s.cx, held));
    assert_eq!(machine.violations(), []);
}

fn movable(machine: &SimMachine) -> System<'_> {
    System::with_frames(machine, &frame::Config { movable_percent: 50, ..frame::Config::default() })
}

/// A large page is moved whole if there is a block for it outside of the Movable zone; otherwise it is split,
/// and the page that is to be pinned moves.
#[test]
fn a_large_page_leaves_the_movable_zone_before_it_is_pinned_for_long() {
    const HUGE: u64 = 2 << 20;
    let at = |block: u64| (1 << 30) + block * HUGE;
    for room in [true, false] {
        let machine = machine(64 << 20);
        let mut s = movable(&machine);
        s.anon(at(0), 512, RW);
        s.linux.madvise(&mut s.cx, s.process, at(0), HUGE, 14).expect("followed");
        s.store(at(0) + 7 * P, 7).expect("stored");
        s.store(at(0) + 8 * P, 8).expect("stored");
        let zone = |s: &System<'_>, frame| s.linux.frames().descriptor(frame).zone(&s.cx);
        let before = s.touch(at(0) + 7 * P, Access::Read).expect("a page").0;
        let head = s.linux.frames().folio(&s.cx, before).0;
        assert_eq!(zone(&s, head), frame::ZoneKind::Movable);
        let lasting = frame::Request::user().lasting().order(machine::HUGE_ORDER);
        let mut taken = Vec::new();
        while !room && let Ok(block) = s.linux.frames().allocate_user(s.cx.at(), &lasting) {
            taken.push(block);
        }
        let long = hold(&mut s, at(0) + 7 * P, How::pin(Access::Write).long()).expect("a pin");
        assert_ne!(zone(&s, s.linux.frames().folio(&s.cx, frame(long)).0), frame::ZoneKind::Movable);
        let (whole, parted) = if room { (1, 0) } else { (0, 1) };
        assert_eq!(s.counter(Counter::ThpMigrationSuccess), whole);
        assert_eq!(
            (s.counter(Counter::ThpMigrationSplit), s.counter(Counter::ThpSplitPage)),
            (parted, parted)
        );
        assert_eq!(s.counter(Counter::PgMigrateSuccess), if room { 512 } else { 1 });
        assert_eq!((s.load(at(0) + 7 * P), s.load(at(0) + 8 * P)), (Ok(7), Ok(8)));
        let next = hold(&mut s, at(0) + 8 * P, How::pin(Access::Write).long()).expect("a pin");
        assert!(!room || frame(next) == frame(long).plus(1), "all of it has moved");
        let fork = s.linux.fork(&mut s.cx, s.process).expect("a child");
        s.store(at(0) + 7 * P, 9).expect("stored");
        assert_eq!(word(&s, long, 0), 9, "program and holder have one page");
        s.linux.exit(&mut s.cx, fork, Exit::Code(0));
        [long, next].into_iter().for_each(|held| s.linux.release_page(&mut s.cx, held));
        taken.into_iter().for_each(|block| s.linux.frames().put(s.cx.at(), block.0));
        assert_eq!(machine.violations(), []);
    }
}
