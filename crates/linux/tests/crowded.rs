//! Pages of files that are mapped as often as can be counted.

mod common;

use common::*;
use frame::counts::{Freed, MAPS_MAX};
use linux::{Exit, FileRights, MapFile, Signal};
use machine::{Pfn, VirtAddr};
use sim::SimMachine;
use space::Mapped;

/// A process that maps a file, and its page as it stands with all the mappings of many others.
struct Crowd<'m> {
    s: System<'m>,
    file: MapFile,
    page: Pfn,
    others: u64,
}

impl<'m> Crowd<'m> {
    fn new(machine: &'m SimMachine) -> Self {
        let mut s = System::new(machine);
        let file = s.file(7, PAGE, FileRights::READ | FileRights::WRITE);
        s.mmap_file(BASE, PAGE, RW, SHARED | FIXED, &file, 0).expect("mapped");
        s.store(BASE, 5).expect("stored");
        let space = s.linux.process(s.process).space().expect("a space");
        let found = s.linux.spaces().page_mapped(s.cx.at(), space, VirtAddr(BASE).page());
        let Mapped::Page(page) = found else { panic!("{found:?}") };
        Crowd { s, file, page, others: 0 }
    }

    fn maps(&self) -> u64 {
        self.s.linux.frames().descriptor(self.page).maps(&self.s.cx)
    }

    fn fill_up(&mut self) {
        let more = MAPS_MAX - self.maps();
        let page = self.s.linux.frames().descriptor(self.page);
        page.add_entries(&self.s.cx, more, MAPS_MAX).expect("room");
        self.others += more;
    }

    fn disperse(&mut self) {
        let page = self.s.linux.frames().descriptor(self.page);
        for _ in 0..std::mem::take(&mut self.others) {
            page.remove_map(&self.s.cx);
            assert_eq!(page.put(&self.s.cx), Freed::No);
        }
    }

    /// A program that maps the file, too.
    fn newcomer(&mut self) {
        let process = self.s.linux.first_process(&mut self.s.cx).expect("a process");
        self.s.become_process(process);
        let file = &self.file;
        self.s.mmap_file(BASE, PAGE, RW, SHARED | FIXED, file, 0).expect("mapped");
    }
}

#[test]
fn who_comes_last_gets_the_page_all_the_same() {
    let machine = machine(16 << 20);
    let mut crowd = Crowd::new(&machine);
    let first = crowd.s.process;
    crowd.fill_up();
    crowd.newcomer();
    assert_eq!(crowd.s.load(BASE), Ok(5));
    assert_eq!(crowd.maps(), MAPS_MAX, "the first one's mapping went for it");
    crowd.s.store(BASE, 6).expect("stored");
    crowd.s.become_process(first);
    assert_eq!(crowd.s.load(BASE), Ok(6), "and comes back the same way");
    crowd.disperse();
}

#[test]
fn what_is_locked_in_memory_stays() {
    let machine = machine(16 << 20);
    let mut crowd = Crowd::new(&machine);
    let first = crowd.s.process;
    crowd.s.linux.mlock(&mut crowd.s.cx, first, BASE, PAGE).expect("locked");
    crowd.fill_up();
    crowd.newcomer();
    assert!(matches!(crowd.s.load(BASE), Err(Signal::Bus { .. })), "nobody can make room");
    crowd.s.become_process(first);
    assert_eq!(crowd.s.load(BASE), Ok(5));
    crowd.disperse();
}

#[test]
fn a_child_has_the_file_s_page_and_no_copy() {
    let machine = machine(16 << 20);
    let mut crowd = Crowd::new(&machine);
    let first = crowd.s.process;
    crowd.fill_up();
    let child = crowd.s.linux.fork(&mut crowd.s.cx, first).expect("a child");
    crowd.s.store(BASE, 6).expect("stored");
    crowd.s.become_process(child);
    assert_eq!(crowd.s.load(BASE), Ok(6));
    crowd.disperse();
    crowd.s.become_process(first);
    crowd.s.linux.exit(&mut crowd.s.cx, child, Exit::Code(0));
    assert_eq!(crowd.maps(), 0, "they went when the child came");
}
