//! Files read and written past the page cache.

mod common;

use common::*;
use linux::{Errno, FileRights, Iovec, MapFile};
use machine::FileKey;
use sim::{SimMachine, synthetic};

use Errno::*;

const P: u64 = PAGE;

fn bytes(base: u64, len: u64) -> Iovec {
    Iovec { base, len }
}

fn opened<'m>(machine: &'m SimMachine, size: u64) -> (System<'m>, MapFile) {
    let mut s = System::new(machine);
    let file = s.file(7, size, FileRights::READ | FileRights::WRITE);
    s.anon(BASE, 8, RW);
    (s, file)
}

fn read(s: &mut System<'_>, file: &MapFile, offset: u64, into: Iovec) -> Result<u64, Errno> {
    s.linux.read_direct(&mut s.cx, s.process, (file, offset), into)
}

fn write(s: &mut System<'_>, file: &MapFile, offset: u64, from: Iovec) -> Result<u64, Errno> {
    s.linux.write_direct(&mut s.cx, s.process, (file, offset), from)
}

fn initial(page: u64, word: u64) -> u64 {
    synthetic::file_word(7, page, 0, word)
}

#[test]
fn pages_come_from_the_file_itself() {
    let machine = machine(16 << 20);
    let (mut s, file) = opened(&machine, 4 * P);
    assert_eq!(read(&mut s, &file, P, bytes(BASE, 2 * P)), Ok(2 * P));
    assert_eq!((s.load(BASE), s.load(BASE + P + 8)), (Ok(initial(1, 0)), Ok(initial(2, 1))));
    assert_eq!(s.linux.objects().file(file.file).cached_pages(), 0, "past the cache");
    // What a program has stored to a shared mapping is newer than the file.
    s.mmap_file(BASE + 16 * P, P, RW, SHARED | FIXED, &file, 0).expect("mapped");
    s.store(BASE + 16 * P, 42).expect("stored");
    assert_eq!(read(&mut s, &file, 0, bytes(BASE, P)), Ok(P));
    assert_eq!(s.load(BASE), Ok(42));
}

#[test]
fn the_end_of_the_file_ends_it() {
    let machine = machine(16 << 20);
    let (mut s, file) = opened(&machine, P + 1000);
    s.store(BASE + P + 1000, 5).expect("stored");
    assert_eq!(read(&mut s, &file, 0, bytes(BASE, 4 * P)), Ok(P + 1000));
    assert_eq!((s.load(BASE + P), s.load(BASE + P + 1000)), (Ok(initial(1, 0)), Ok(5)));
    assert_eq!(read(&mut s, &file, 2 * P, bytes(BASE, P)), Ok(0));
}

#[test]
fn pages_go_to_the_file_and_to_who_maps_it() {
    let machine = machine(16 << 20);
    let (mut s, file) = opened(&machine, 4 * P);
    s.mmap_file(BASE + 16 * P, 2 * P, RW, SHARED | FIXED, &file, 0).expect("mapped");
    assert_eq!(s.load(BASE + 16 * P), Ok(initial(0, 0)));
    s.store(BASE, 11).expect("stored");
    s.store(BASE + 3 * P, 12).expect("stored");
    assert_eq!(write(&mut s, &file, 0, bytes(BASE, 4 * P)), Ok(4 * P));
    let word = |page| machine.sim_files().word(FileKey(7), page, 0);
    assert_eq!((word(0), word(1), word(3)), (11, 0, 12));
    assert_eq!(s.load(BASE + 16 * P), Ok(11), "a cached page that is mapped has the new bytes");
    assert_eq!(s.load(BASE + 17 * P), Ok(0));
}

#[test]
fn fixed_buffers_are_read_and_written_by_index() {
    let machine = machine(16 << 20);
    let (mut s, file) = opened(&machine, 4 * P);
    let ring = s.linux.ring(&mut s.cx).expect("a ring");
    let buffers = [bytes(BASE, 2 * P), bytes(BASE + 2 * P, 2 * P)];
    s.linux.register_buffers(&mut s.cx, s.process, ring, &buffers).expect("pinned");
    let into = (ring, 1, P, P);
    assert_eq!(s.linux.read_fixed(&mut s.cx, s.process, (&file, 2 * P), into), Ok(P));
    assert_eq!(s.load(BASE + 3 * P), Ok(initial(2, 0)));
    s.store(BASE, 9).expect("stored");
    assert_eq!(s.linux.write_fixed(&mut s.cx, s.process, (&file, 0), (ring, 0, 0, 2 * P)), Ok(2 * P));
    assert_eq!(machine.sim_files().word(FileKey(7), 0, 0), 9);
    let beyond = s.linux.read_fixed(&mut s.cx, s.process, (&file, 0), (ring, 1, 2 * P, P));
    assert_eq!(beyond, Err(EFAULT));
    s.linux.close_ring(&mut s.cx, ring);
}

#[test]
fn what_is_refused() {
    let machine = machine(16 << 20);
    let (mut s, file) = opened(&machine, 4 * P);
    let deaf = MapFile { rights: FileRights::empty(), ..file };
    assert_eq!(read(&mut s, &deaf, 0, bytes(BASE, P)), Err(EBADF));
    assert_eq!(write(&mut s, &deaf, 0, bytes(BASE, P)), Err(EBADF));
    for (offset, into) in [(8, bytes(BASE, P)), (0, bytes(BASE + 8, P)), (0, bytes(BASE, P - 8))] {
        assert_eq!(read(&mut s, &file, offset, into), Err(EINVAL));
        assert_eq!(write(&mut s, &file, offset, into), Err(EINVAL));
    }
    assert_eq!(write(&mut s, &file, 3 * P, bytes(BASE, 2 * P)), Err(EINVAL), "it does not grow");
    assert_eq!(read(&mut s, &file, 0, bytes(BASE + 8 * P, P)), Err(EFAULT));
    assert_eq!(read(&mut s, &file, 0, bytes(BASE + 7 * P, 2 * P)), Ok(P), "up to the hole");
    s.linux.mprotect(&mut s.cx, s.process, BASE, P, READ).expect("protected");
    assert_eq!(read(&mut s, &file, 0, bytes(BASE, P)), Err(EFAULT));
    assert_eq!(write(&mut s, &file, 0, bytes(BASE, P)), Ok(P));
}
