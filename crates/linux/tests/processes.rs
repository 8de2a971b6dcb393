//! Processes and threads: whose space is whose.

mod common;

use common::*;
use linux::{Cloned, Errno, ExecImage, Exit, FileRights, Segment, Signal, Waiting};
use machine::{Access, Counter, Perms, TaskId, VirtAddr, Vpn, VpnRange};

const P: u64 = PAGE;

#[test]
fn fork_shares_until_one_writes() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    let parent = s.process;
    s.anon(BASE, 4, RW);
    s.mmap(BASE + 8 * P, P, RW, SHARED | ANON | FIXED).expect("shared");
    for page in 0..4 {
        s.store(BASE + page * P, 10 + page).expect("stored");
    }
    s.store(BASE + 8 * P, 1).expect("stored");
    let child = s.linux.fork(&mut s.cx, parent).expect("a child");
    assert_eq!(s.counter(Counter::CowCopied), 0);

    s.store(BASE, 77).expect("stored");
    s.become_process(child);
    assert_eq!(s.load(BASE), Ok(10), "the child sees what was there");
    s.store(BASE + P, 88).expect("stored");
    s.store(BASE + 8 * P, 2).expect("stored");
    s.become_process(parent);
    assert_eq!(s.load(BASE), Ok(77));
    assert_eq!(s.load(BASE + P), Ok(11), "the parent does not see the child's store");
    assert_eq!(s.load(BASE + 8 * P), Ok(2), "shared memory is shared");
    assert_eq!(s.counter(Counter::CowCopied), 2);
}

#[test]
fn the_last_one_left_writes_in_place() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    s.anon(BASE, 4, RW);
    for page in 0..4 {
        s.store(BASE + page * P, page).expect("stored");
    }
    let child = s.linux.fork(&mut s.cx, s.process).expect("a child");
    s.linux.exit(&mut s.cx, child, Exit::Code(0));
    for page in 0..4 {
        s.store(BASE + page * P, 9).expect("stored");
    }
    assert_eq!((s.counter(Counter::CowCopied), s.counter(Counter::CowReused)), (0, 4));
}

#[test]
fn vfork_borrows_the_space_until_exec_or_exit() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    let parent = s.process;
    s.anon(BASE, 1, RW);
    let child = s.linux.vfork(&mut s.cx, parent).expect("a child");
    assert!(s.linux.is_borrowing(&s.cx, child));
    assert_eq!(s.linux.process(child).space(), s.linux.process(parent).space());
    s.become_process(child);
    s.store(BASE, 5).expect("stored");
    let image = ExecImage { segments: &[], stack: None, break_start: HEAP, code: Default::default() };
    s.linux.exec(&mut s.cx, child, Some(TaskId(0)), &image).expect("exec");
    assert!(!s.linux.is_borrowing(&s.cx, child));
    assert!(s.touch(BASE, Access::Read).is_err(), "the child has left");
    s.become_process(parent);
    assert_eq!(s.load(BASE), Ok(5), "the parent sees the child's store");

    let second = s.linux.vfork(&mut s.cx, parent).expect("a child");
    s.linux.exit(&mut s.cx, second, Exit::Code(3));
    assert!(!s.linux.is_borrowing(&s.cx, second));
    s.linux.wait_vfork(&mut s.cx, second);
    assert_eq!(s.load(BASE), Ok(5));
    let answer = s.linux.wait(&mut s.cx, parent, Some(second), Waiting::Block);
    assert_eq!(answer, Ok(Some((second, Exit::Code(3)))));
}

#[test]
fn exec_replaces_everything() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    let file = s.file(1, 16 * P, FileRights::READ);
    s.anon(BASE, 4, RW);
    s.store(BASE, 1).expect("stored");
    s.linux.mlockall(&mut s.cx, s.process, 2).expect("future");
    let perms = |write, execute| Perms { read: true, write, execute };
    let segments = [
        Segment {
            range: VpnRange::sized(Vpn(0x400), 4),
            perms: perms(false, true),
            object: Some((file.file, 0)),
        },
        Segment {
            range: VpnRange::sized(Vpn(0x404), 2),
            perms: perms(true, false),
            object: Some((file.file, 4)),
        },
        Segment { range: VpnRange::sized(Vpn(0x406), 2), perms: perms(true, false), object: None },
    ];
    let image = ExecImage {
        segments: &segments,
        stack: Some(VpnRange::sized(Vpn(0x7_ffff_0000), 32)),
        break_start: 0x40_8000,
        code: (VirtAddr(0x40_0000), VirtAddr(0x40_4000)),
    };
    s.linux.exec(&mut s.cx, s.process, Some(TaskId(0)), &image).expect("exec");
    assert_eq!(
        s.maps(),
        "00400000-00404000 r-xp 00000000 00:00 0 \n\
         00404000-00406000 rw-p 00004000 00:00 0 \n\
         00406000-00408000 rw-p 00000000 00:00 0 \n\
         7ffff0000000-7ffff0020000 rw-p 00000000 00:00 0                          [stack]\n"
    );
    assert!(matches!(s.touch(BASE, Access::Read), Err(Signal::Segv { .. })));
    s.touch(0x40_0000, Access::Execute).expect("code");
    s.store(0x40_4000, 1).expect("data");
    s.store(0x40_6000, 1).expect("bss");
    s.store(0x7fff_f001_f000, 1).expect("stack");
    s.store(0x7fff_f000_0000 - 4 * P, 1).expect("the stack grows");
    assert_eq!(s.linux.brk(&mut s.cx, s.process, 0x40_a000), Ok(0x40_a000));
    s.store(0x40_9000, 1).expect("heap");
    assert!(s.maps().contains("00406000-0040a000") || s.maps().contains("[heap]"), "{}", s.maps());
    assert_eq!(s.rss()[0], 5);
}

#[test]
fn exec_with_an_impossible_image_leaves_the_old_program() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    s.anon(BASE, 4, RW);
    s.store(BASE, 1).expect("stored");
    let (maps, count) = (s.maps(), s.count());
    let everything = Perms { read: true, write: true, execute: true };
    for (range, expected) in [
        (VpnRange::sized(Vpn(0x400), 0), Errno::EINVAL),
        (VpnRange::sized(Vpn((1 << 35) - 1), 4), Errno::ENOMEM),
        (VpnRange::sized(Vpn(1 << 51), 1), Errno::ENOMEM),
        (VpnRange::new(Vpn(9), Vpn(4)), Errno::EINVAL),
    ] {
        let segments = [Segment { range, perms: everything, object: None }];
        let image = ExecImage { segments: &segments, stack: None, break_start: 0, code: Default::default() };
        let answer = s.linux.exec(&mut s.cx, s.process, Some(TaskId(0)), &image);
        assert_eq!(answer, Err(expected), "{range:?}");
        assert_eq!((s.maps(), s.count()), (maps.clone(), count));
        assert_eq!(s.load(BASE), Ok(1));
    }
}

#[test]
fn threads_share_a_space_and_the_last_one_ends_it() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    let process = s.process;
    let flags = 0x1_0000 | 0x800 | 0x100;
    assert_eq!(s.linux.clone(&mut s.cx, process, flags), Ok(Cloned::Thread));
    s.linux.attach(&mut s.cx, process, TaskId(5)).expect("a thread");
    s.linux.attach(&mut s.cx, process, TaskId(9)).expect("a thread");
    assert_eq!(s.linux.process(process).threads(), 3);
    assert_eq!(s.linux.process_of(TaskId(9)), Some(process));
    assert!(!s.linux.exit_task(&mut s.cx, TaskId(5), Exit::Code(0)));
    assert_eq!(s.linux.process_of(TaskId(5)), None);
    let image = ExecImage { segments: &[], stack: None, break_start: HEAP, code: Default::default() };
    s.linux.exec(&mut s.cx, process, Some(TaskId(0)), &image).expect("exec");
    assert_eq!(s.linux.process(process).threads(), 1, "exec leaves one");
    assert_eq!(s.linux.process_of(TaskId(9)), None);
    assert!(s.linux.exit_task(&mut s.cx, TaskId(0), Exit::Code(0)));
    assert_eq!(s.linux.all_processes().count(), 0, "nobody waits for the first process");
    assert_eq!(s.linux.spaces().in_use(), [0, 0, 0]);
}

#[test]
fn zombies_wait_and_orphans_are_forgotten() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    let parent = s.process;
    let children: Vec<_> = (0..3).map(|_| s.linux.fork(&mut s.cx, parent).expect("a child")).collect();
    assert_eq!(s.linux.wait(&mut s.cx, parent, None, Waiting::Poll), Ok(None), "all live");
    s.linux.exit(&mut s.cx, children[1], Exit::Code(7));
    assert_eq!(s.linux.process(children[1]).space(), None);
    assert_eq!(s.linux.munmap(&mut s.cx, children[1], BASE, P), Err(Errno::ESRCH), "it has ended");
    let other = s.linux.wait(&mut s.cx, parent, Some(children[0]), Waiting::Poll);
    assert_eq!(other, Ok(None), "that one lives");
    let ended = s.linux.wait(&mut s.cx, parent, None, Waiting::Block);
    assert_eq!(ended, Ok(Some((children[1], Exit::Code(7)))));
    let again = s.linux.wait(&mut s.cx, parent, Some(children[1]), Waiting::Poll);
    assert_eq!(again, Err(Errno::ECHILD));

    let grandchild = s.linux.fork(&mut s.cx, children[0]).expect("a grandchild");
    let zombie = s.linux.fork(&mut s.cx, children[0]).expect("another");
    s.linux.exit(&mut s.cx, zombie, Exit::Code(0));
    assert_eq!(s.linux.all_processes().count(), 5);
    s.linux.exit(&mut s.cx, children[0], Exit::Code(0));
    assert_eq!(s.linux.all_processes().count(), 4, "the zombie went with its parent");
    assert_eq!(s.linux.process(grandchild).parent(), None);
    s.linux.exit(&mut s.cx, grandchild, Exit::Code(0));
    assert_eq!(s.linux.all_processes().count(), 3, "nobody waits for an orphan");
}

#[test]
fn children_are_waited_for_in_the_order_of_their_birth() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    let parent = s.process;
    let children: Vec<_> = (0..4).map(|_| s.linux.fork(&mut s.cx, parent).expect("a child")).collect();
    for number in [2, 0, 3] {
        s.linux.exit(&mut s.cx, children[number], Exit::Code(number as u8));
    }
    let mut next =
        || s.linux.wait(&mut s.cx, parent, None, Waiting::Poll).map(|ended| ended.map(|(id, _)| id));
    assert_eq!(
        [next(), next(), next()],
        [Ok(Some(children[0])), Ok(Some(children[2])), Ok(Some(children[3]))]
    );
    assert_eq!(next(), Ok(None), "one lives");
    s.linux.exit(&mut s.cx, children[1], Exit::Code(1));
    let youngest = s.linux.fork(&mut s.cx, parent).expect("a child");
    s.linux.exit(&mut s.cx, youngest, Exit::Code(0));
    let mut next =
        || s.linux.wait(&mut s.cx, parent, None, Waiting::Poll).map(|ended| ended.map(|(id, _)| id));
    assert_eq!([next(), next(), next()], [Ok(Some(children[1])), Ok(Some(youngest)), Err(Errno::ECHILD)]);
}

#[test]
fn limits_are_inherited_and_separate() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    let low = linux::Rlimit { soft: 1 << 20, hard: 1 << 21 };
    s.linux.prlimit(&mut s.cx, s.process, 9, Some(low)).expect("lowered");
    let child = s.linux.fork(&mut s.cx, s.process).expect("a child");
    assert_eq!(s.linux.prlimit(&mut s.cx, child, 9, None), Ok(low));
    let high = linux::Rlimit { soft: 1 << 21, hard: 1 << 21 };
    s.linux.prlimit(&mut s.cx, child, 9, Some(high)).expect("raised");
    assert_eq!(s.linux.prlimit(&mut s.cx, s.process, 9, None), Ok(low));
    assert_eq!(s.mmap(0, 3 << 19, READ, PRIVATE | ANON), Err(Errno::ENOMEM));
    s.become_process(child);
    s.mmap(0, 3 << 19, READ, PRIVATE | ANON).expect("the child may");
}
