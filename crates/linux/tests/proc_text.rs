//! The texts of `/proc`.

mod common;

use common::*;
use frame::Id;
use linux::{FileName, FileNames, FileRights};
use machine::FileKey;
use object::File;

const P: u64 = PAGE;

struct Names;

impl FileNames for Names {
    fn name(&self, _: Id<File>, key: FileKey) -> Option<FileName<'_>> {
        let name = FileName { device: (8, 0x12), inode: 1_311_768, path: "/usr/lib/libc.so.6" };
        (key == FileKey(1)).then_some(name)
    }
}

#[test]
fn maps_are_linux_s_to_the_column() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    let file = s.file(1, 64 * P, FileRights::READ);
    s.mmap_file(BASE, 4 * P, READ | EXEC, PRIVATE | FIXED, &file, 3 * P).expect("mapped");
    s.mmap_file(BASE + 4 * P, 2 * P, READ, SHARED | FIXED, &file, 0x20 * P).expect("mapped");
    s.mmap(BASE + 8 * P, 2 * P, RW, SHARED | ANON | FIXED).expect("mapped");
    s.anon(0x7f12_3456_7000, 1, 0);
    s.linux.brk(&mut s.cx, s.process, HEAP + P).expect("a heap");
    let mut text = String::new();
    s.linux.maps(&mut s.cx, s.process, &Names, &mut text).expect("text");
    let inode = text.lines().nth(2).and_then(|line| line.split(' ').nth(4)).expect("an inode").to_string();
    let shared = format!("10008000-1000a000 rw-s 00000000 00:01 {inode} ");
    assert_eq!(
        text,
        format!(
            "10000000-10004000 r-xp 00003000 08:12 1311768                            /usr/lib/libc.so.6\n\
             10004000-10006000 r--s 00020000 08:12 1311768                            /usr/lib/libc.so.6\n\
             {shared:<73}/dev/zero (deleted)\n\
             20000000-20001000 rw-p 00000000 00:00 0                                  [heap]\n\
             7f1234567000-7f1234568000 ---p 00000000 00:00 0 \n"
        )
    );
}

#[test]
fn status_counts_what_there_is() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    let file = s.file(1, 64 * P, FileRights::READ);
    s.anon(BASE, 10, RW);
    s.mmap_file(BASE + 32 * P, 4 * P, READ | EXEC, PRIVATE | FIXED, &file, 0).expect("mapped");
    s.mmap(BASE + 64 * P, 2 * P, RW, SHARED | ANON | FIXED).expect("mapped");
    s.mmap(BASE + 4096 * P, 4 * P, RW, PRIVATE | ANON | FIXED | GROWSDOWN).expect("mapped");
    s.store(BASE, 1).expect("stored");
    s.store(BASE + 64 * P, 1).expect("stored");
    s.linux.mlock(&mut s.cx, s.process, BASE, 2 * P).expect("locked");
    s.linux.munmap(&mut s.cx, s.process, BASE + 8 * P, 2 * P).expect("unmapped");
    let mut text = String::new();
    s.linux.status(s.process, &mut text).expect("text");
    assert_eq!(
        text,
        "VmPeak:\t      80 kB\n\
         VmSize:\t      72 kB\n\
         VmLck:\t       8 kB\n\
         VmPin:\t       0 kB\n\
         VmHWM:\t      12 kB\n\
         VmRSS:\t      12 kB\n\
         RssAnon:\t       8 kB\n\
         RssFile:\t       0 kB\n\
         RssShmem:\t       4 kB\n\
         VmData:\t      32 kB\n\
         VmStk:\t      16 kB\n\
         VmExe:\t       0 kB\n\
         VmLib:\t      16 kB\n\
         VmPTE:\t      12 kB\n\
         VmSwap:\t       0 kB\n"
    );
}

/// The number in the line that starts with this label.
fn value(text: &str, label: &str) -> u64 {
    let line = text.lines().find(|line| line.split([':', ' ']).next() == Some(label));
    let line = line.unwrap_or_else(|| panic!("no {label} in\n{text}"));
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number")
}

#[test]
fn meminfo_and_vmstat_add_up() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    let text_of = |s: &System<'_>| {
        let (mut meminfo, mut vmstat) = (String::new(), String::new());
        s.linux.meminfo(&mut meminfo).expect("text");
        s.linux.vmstat(&s.cx, &mut vmstat).expect("text");
        (meminfo, vmstat)
    };
    let (before, stat_before) = text_of(&s);
    let file = s.file(1, 64 * P, FileRights::READ);
    s.mmap_file(BASE + 512 * P, 16 * P, READ, PRIVATE | FIXED, &file, 0).expect("mapped");
    s.load(BASE + 512 * P).expect("read");
    s.anon(BASE, 100, RW);
    for page in 0..100 {
        s.store(BASE + page * P, 1).expect("stored");
    }
    let (after, stat_after) = text_of(&s);
    assert_eq!(value(&after, "MemTotal"), value(&before, "MemTotal"));
    assert_eq!(value(&after, "AnonPages"), 400);
    assert_eq!(value(&after, "Cached"), 64);
    assert_eq!(value(&after, "Committed_AS") - value(&before, "Committed_AS"), 400);
    let used = value(&before, "MemFree") - value(&after, "MemFree");
    assert!(used >= 400 + 64, "{used}");
    assert_eq!(value(&stat_after, "nr_anon_pages"), 100);
    let faults = value(&stat_after, "pgfault") - value(&stat_before, "pgfault");
    assert_eq!(faults, 101);
    assert_eq!(value(&stat_after, "nr_free_pages") * 4, value(&after, "MemFree"));
    assert_eq!(value(&stat_after, "oom_kill"), 0);
}

#[test]
fn buddyinfo_counts_free_blocks() {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    s.anon(BASE, 64, RW);
    for page in 0..64 {
        s.store(BASE + page * P, 1).expect("stored");
    }
    let mut text = String::new();
    s.linux.buddyinfo(&mut text).expect("text");
    for line in text.lines() {
        let (zone, counts) = line.split_at(24);
        assert!(zone.starts_with("Node 0, zone "), "{line}");
        assert_eq!(counts.split_whitespace().count(), 11, "{line}");
    }
}
