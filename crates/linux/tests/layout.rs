//! Which calls split VMAs and which merge them: Linux's rules, as pictures.
//!
//! A picture is a row of pages from `BASE`. A letter is a page: `w` is private and read-write, `r`
//! read-only, `x` read-execute, `n` inaccessible, `s` shared memory, `f` a private file; `.` is a hole. `|`
//! is a border between VMAs.

mod common;

use common::*;
use linux::{Errno, FileRights, MapFile, Mremap};
use object::FileKind;
use space::VmaFlags;

const P: u64 = PAGE;

/// The VMAs from `BASE` to `BASE + pages`.
fn picture(s: &mut System<'_>, pages: u64) -> String {
    let space = s.linux.process(s.process).space().expect("alive");
    let mut cells = vec!['.'; pages as usize];
    let mut borders = vec![false; pages as usize];
    let base = BASE / P;
    let linux = &s.linux;
    linux.spaces().for_each_vma(s.cx.at(), space, |vma| {
        let kind = vma.file.map(|file| linux.objects().file(file).kind());
        let letter = match kind {
            Some(FileKind::Memory) => 's',
            Some(FileKind::Regular) => 'f',
            None if vma.flags.contains(VmaFlags::EXEC) => 'x',
            None if vma.flags.contains(VmaFlags::WRITE) => 'w',
            None if vma.flags.contains(VmaFlags::READ) => 'r',
            None => 'n',
        };
        for page in vma.range.start.0..vma.range.end.0 {
            if (base..base + pages).contains(&page) {
                cells[(page - base) as usize] = letter;
            }
        }
        if (base + 1..base + pages).contains(&vma.range.start.0) {
            borders[(vma.range.start.0 - base) as usize] = true;
        }
    });
    let mut text = String::new();
    for (at, (&cell, &border)) in cells.iter().zip(&borders).enumerate() {
        if border && cells[at - 1] != '.' {
            text.push('|');
        }
        text.push(cell);
    }
    text
}

/// A system, and the calls in units of pages.
struct Ground<'m> {
    s: System<'m>,
    file: MapFile,
}

impl Ground<'_> {
    fn map(&mut self, page: u64, pages: u64, prot: u64) -> &mut Self {
        self.s.anon(BASE + page * P, pages, prot);
        self
    }

    fn shared(&mut self, page: u64, pages: u64) -> &mut Self {
        self.s.mmap(BASE + page * P, pages * P, RW, SHARED | ANON | FIXED).expect("room");
        self
    }

    fn file(&mut self, page: u64, pages: u64, first: u64) -> &mut Self {
        let file = self.file;
        self.s.mmap_file(BASE + page * P, pages * P, READ, PRIVATE | FIXED, &file, first * P).expect("room");
        self
    }

    fn unmap(&mut self, page: u64, pages: u64) -> &mut Self {
        let s = &mut self.s;
        s.linux.munmap(&mut s.cx, s.process, BASE + page * P, pages * P).expect("unmapped");
        self
    }

    fn protect(&mut self, page: u64, pages: u64, prot: u64) -> &mut Self {
        let s = &mut self.s;
        s.linux.mprotect(&mut s.cx, s.process, BASE + page * P, pages * P, prot).expect("changed");
        self
    }

    fn advise(&mut self, page: u64, pages: u64, advice: u64) -> &mut Self {
        let s = &mut self.s;
        s.linux.madvise(&mut s.cx, s.process, BASE + page * P, pages * P, advice).expect("taken");
        self
    }

    fn lock(&mut self, page: u64, pages: u64) -> &mut Self {
        let s = &mut self.s;
        s.linux.mlock(&mut s.cx, s.process, BASE + page * P, pages * P).expect("locked");
        self
    }

    fn unlock(&mut self, page: u64, pages: u64) -> &mut Self {
        let s = &mut self.s;
        s.linux.munlock(&mut s.cx, s.process, BASE + page * P, pages * P).expect("unlocked");
        self
    }

    fn touch(&mut self, page: u64, pages: u64) -> &mut Self {
        for page in page..page + pages {
            self.s.store(BASE + page * P, page).expect("stored");
        }
        self
    }

    fn remap(&mut self, page: u64, old: u64, new: u64, flags: u64, to: u64) -> Result<u64, Errno> {
        let (addr, old_len, new_len) = (BASE + page * P, old * P, new * P);
        let args = Mremap { addr, old_len, new_len, flags, new_addr: BASE + to * P };
        self.s.linux.mremap(&mut self.s.cx, self.s.process, &args).map(|at| at.wrapping_sub(BASE) / P)
    }

    fn shows(&mut self, expected: &str) -> &mut Self {
        let pages = expected.chars().filter(|&c| c != '|').count() as u64;
        assert_eq!(picture(&mut self.s, pages), expected);
        self
    }
}

fn on_ground(test: impl FnOnce(&mut Ground<'_>)) {
    let machine = machine(64 << 20);
    let mut s = System::new(&machine);
    let file = s.file(1, 64 * P, FileRights::READ);
    test(&mut Ground { s, file });
}

#[test]
fn equal_neighbours_are_one() {
    on_ground(|g| {
        g.map(0, 2, RW).shows("ww..").map(2, 2, RW).shows("wwww");
        g.map(6, 2, RW).shows("wwww..ww").map(4, 2, RW).shows("wwwwwwww");
    });
}

#[test]
fn unequal_neighbours_are_not() {
    on_ground(|g| {
        g.map(0, 2, RW).map(2, 2, READ).map(4, 2, 0).map(6, 2, READ | EXEC);
        g.shows("ww|rr|nn|xx");
    });
}

#[test]
fn shared_memory_never_merges_with_other_shared_memory() {
    on_ground(|g| {
        g.shared(0, 2).shared(2, 2).shows("ss|ss");
        g.map(4, 2, RW).shows("ss|ss|ww");
    });
}

#[test]
fn files_merge_where_their_pages_follow() {
    on_ground(|g| {
        g.file(0, 2, 0).file(2, 2, 2).shows("ffff");
        g.file(4, 2, 8).shows("ffff|ff");
        g.file(4, 2, 4).shows("ffffff");
    });
}

#[test]
fn mapping_over_splits_and_merges() {
    on_ground(|g| {
        g.map(0, 8, RW).map(2, 2, READ).shows("ww|rr|wwww");
        g.map(2, 2, RW).shows("wwwwwwww");
        g.map(0, 2, READ).shows("rr|wwwwww").map(6, 2, READ).shows("rr|wwww|rr");
    });
}

#[test]
fn munmap_splits() {
    on_ground(|g| {
        g.map(0, 8, RW).unmap(3, 2).shows("www..www");
        g.unmap(0, 1).shows(".ww..www").unmap(7, 1).shows(".ww..ww.");
        g.unmap(2, 4).shows(".w....w.");
    });
}

#[test]
fn mprotect_splits_and_merges() {
    on_ground(|g| {
        g.map(0, 8, RW).protect(2, 4, READ).shows("ww|rrrr|ww");
        g.protect(0, 4, READ).shows("rrrrrr|ww");
        g.protect(6, 2, READ).shows("rrrrrrrr");
        g.protect(0, 2, RW).protect(4, 2, RW).shows("ww|rr|ww|rr");
        g.protect(2, 2, RW).shows("wwwwww|rr");
        g.protect(1, 6, 0).shows("w|nnnnnn|r");
    });
}

#[test]
fn touched_memory_merges_like_untouched() {
    on_ground(|g| {
        g.map(0, 2, RW).touch(0, 2).map(2, 2, RW).shows("wwww");
        g.touch(2, 2).protect(1, 2, READ).shows("w|rr|w").protect(1, 2, RW).shows("wwww");
    });
}

#[test]
fn advice_that_is_kept_splits() {
    on_ground(|g| {
        g.map(0, 6, RW).advise(2, 2, 10).shows("ww|ww|ww").advise(2, 2, 11).shows("wwwwww");
        g.advise(0, 3, 18).shows("www|www").advise(0, 3, 19).shows("wwwwww");
        g.advise(2, 2, 4).shows("wwwwww").advise(1, 2, 1).shows("w|ww|www").advise(0, 6, 0).shows("wwwwww");
    });
}

#[test]
fn locks_split() {
    on_ground(|g| {
        g.map(0, 6, RW).lock(2, 2).shows("ww|ww|ww").lock(0, 6).shows("wwwwww");
        g.unlock(1, 1).shows("w|w|wwww").unlock(0, 6).shows("wwwwww");
    });
}

#[test]
fn mremap_in_place() {
    on_ground(|g| {
        g.map(0, 2, RW).map(6, 2, RW);
        assert_eq!(g.remap(0, 2, 4, 0, 0), Ok(0));
        g.shows("wwww..ww");
        assert_eq!(g.remap(0, 4, 6, 0, 0), Ok(0));
        g.shows("wwwwwwww");
        assert_eq!(g.remap(0, 8, 3, 0, 0), Ok(0));
        g.shows("www.....");
    });
}

#[test]
fn mremap_moves() {
    on_ground(|g| {
        g.map(0, 6, RW).touch(0, 6);
        assert_eq!(g.remap(2, 2, 2, 3, 8), Ok(8));
        g.shows("ww..ww..ww");
        assert_eq!(g.s.load(BASE + 8 * P), Ok(2), "the pages moved too");
        // Back where they came from, they merge again: their pages have their old places.
        assert_eq!(g.remap(8, 2, 2, 3, 2), Ok(2));
        g.shows("wwwwww....");
    });
}

#[test]
fn a_move_that_fails_has_emptied_its_target() {
    on_ground(|g| {
        g.map(0, 2, RW).map(2, 2, READ).map(8, 4, RW);
        assert_eq!(g.remap(1, 2, 2, 3, 8), Err(Errno::EFAULT), "the range leaves its mapping");
        g.shows("ww|rr......ww");
        assert_eq!(g.remap(4, 2, 2, 3, 10), Err(Errno::EFAULT), "nothing is mapped there");
        g.shows("ww|rr......ww");
    });
}

#[test]
fn a_move_whose_tail_is_no_range_has_emptied_its_target() {
    on_ground(|g| {
        g.map(0, 2, RW).map(4, 2, RW);
        assert_eq!(g.remap(4, USER_END / P, 1, 3, 0), Err(Errno::EINVAL));
        g.shows(".w..ww");
    });
}

#[test]
fn moved_pages_do_not_merge_where_they_do_not_belong() {
    on_ground(|g| {
        g.map(0, 4, RW).touch(0, 4);
        assert_eq!(g.remap(0, 2, 2, 3, 4), Ok(4));
        g.shows("..ww|ww");
        // Untouched pages have no place yet.
        g.map(10, 2, RW).map(14, 2, RW);
        assert_eq!(g.remap(14, 2, 2, 3, 12), Ok(12));
        g.shows("..ww|ww....wwww..");
    });
}

#[test]
fn mremap_leaves_an_empty_mapping_behind() {
    on_ground(|g| {
        g.map(0, 2, RW).touch(0, 2);
        assert_eq!(g.remap(0, 2, 2, 7, 6), Ok(6));
        g.shows("ww....ww");
        assert_eq!((g.s.load(BASE), g.s.load(BASE + 7 * P)), (Ok(0), Ok(1)));
    });
}

#[test]
fn mremap_duplicates_shared_memory() {
    on_ground(|g| {
        g.shared(0, 2).touch(0, 2);
        assert_eq!(g.remap(0, 0, 2, 3, 6), Ok(6));
        g.shows("ss....ss");
        assert_eq!(g.s.load(BASE + 7 * P), Ok(1));
        g.s.store(BASE + 6 * P, 9).expect("stored");
        assert_eq!(g.s.load(BASE), Ok(9));
    });
}

#[test]
fn the_heap_is_one() {
    on_ground(|g| {
        let heap = |g: &mut Ground<'_>| {
            let maps = g.s.maps();
            maps.lines().filter(|line| line.ends_with("[heap]")).map(String::from).collect::<Vec<_>>()
        };
        for pages in [1, 2, 7] {
            let end = HEAP + pages * P;
            assert_eq!(g.s.linux.brk(&mut g.s.cx, g.s.process, end), Ok(end));
            assert_eq!(heap(g).len(), 1);
        }
        assert_eq!(
            heap(g),
            ["20000000-20007000 rw-p 00000000 00:00 0                                  [heap]"]
        );
        assert_eq!(g.s.linux.brk(&mut g.s.cx, g.s.process, HEAP + 100), Ok(HEAP + 100));
        assert_eq!(
            heap(g),
            ["20000000-20001000 rw-p 00000000 00:00 0                                  [heap]"]
        );
    });
}

#[test]
fn mappings_go_down_from_the_top() {
    on_ground(|g| {
        let first = g.s.mmap(0, 4 * P, READ, PRIVATE | ANON).expect("room");
        let second = g.s.mmap(0, 4 * P, RW, PRIVATE | ANON).expect("room");
        let third = g.s.mmap(0, 4 * P, RW, PRIVATE | ANON).expect("room");
        assert_eq!((first - second, second - third), (4 * P, 4 * P));
        let s = &mut g.s;
        s.linux.munmap(&mut s.cx, s.process, second, 4 * P).expect("unmapped");
        assert_eq!(s.mmap(0, 4 * P, RW, PRIVATE | ANON), Ok(second), "the highest gap that fits");
        assert_eq!(s.mmap(0, 8 * P, RW, PRIVATE | ANON), Ok(third - 8 * P));
    });
}

#[test]
fn low_mappings_go_up_from_the_bottom() {
    on_ground(|g| {
        let (low, flags) = (0x4000_0000, PRIVATE | ANON | 0x40);
        let s = &mut g.s;
        assert_eq!(s.mmap(0, 4 * P, RW, flags), Ok(low));
        assert_eq!(s.mmap(0, 4 * P, READ, flags), Ok(low + 4 * P));
        s.linux.munmap(&mut s.cx, s.process, low, 4 * P).expect("unmapped");
        assert_eq!(s.mmap(0, 5 * P, RW, flags), Ok(low + 8 * P), "the lowest gap that fits");
        assert_eq!(s.mmap(0, 4 * P, RW, flags), Ok(low));
        assert_eq!(s.mmap(BASE, 4 * P, RW, flags), Ok(BASE), "a hint that is free and low");
        assert_eq!(s.mmap(BASE + P, 4 * P, RW, flags), Ok(low + 13 * P));
        assert_eq!(s.mmap(1 << 40, 4 * P, READ, flags), Ok(low + 17 * P), "a hint that is not low");
        assert_eq!(s.mmap(0, 1 << 30, READ, flags), Err(Errno::ENOMEM));
        let all = (1 << 30) - 21 * P;
        assert_eq!(s.mmap(0, all, 0, flags), Ok(low + 21 * P), "to the last page");
        assert_eq!(s.mmap(0, P, RW, flags), Err(Errno::ENOMEM));
        assert_eq!(s.mmap(1 << 40, P, RW, flags | FIXED), Ok(1 << 40), "a fixed place is not looked at");
    });
}

#[test]
fn stacks_keep_their_guard() {
    on_ground(|g| {
        let stack = BASE + 1000 * P;
        g.s.mmap(stack, 4 * P, RW, PRIVATE | ANON | FIXED | GROWSDOWN).expect("a stack");
        let near = g.s.mmap(stack - 16 * P, P, RW, PRIVATE | ANON).expect("room");
        assert_ne!(near, stack - 16 * P, "a hint into the guard is not taken");
        g.s.store(stack - 20 * P, 1).expect("the stack grows");
        g.s.anon(stack - 400 * P, 1, RW);
        assert!(g.s.store(stack - 200 * P, 1).is_err(), "not up to its neighbour");
        g.s.store(stack - 100 * P, 1).expect("but as far as the guard allows");
    });
}

#[test]
fn untouched_memory_that_became_unwritable_is_no_longer_promised() {
    on_ground(|g| {
        let promised = g.s.linux.spaces().committed();
        g.map(0, 4, RW).map(4, 4, READ);
        assert_eq!(g.s.linux.spaces().committed(), promised + 4);
        let (s, half) = (&mut g.s, 2 * P);
        s.linux.mprotect(&mut s.cx, s.process, BASE + half, half, READ).expect("changed");
        assert_eq!(s.linux.spaces().committed(), promised + 2);
        assert_eq!(picture(s, 8), "ww|rrrrrr", "it is like what never was writable");
        s.store(BASE, 1).expect("stored");
        s.linux.mprotect(&mut s.cx, s.process, BASE, half, READ).expect("changed");
        assert_eq!(s.linux.spaces().committed(), promised + 2, "a page that was stored to stays promised");
        assert_eq!(picture(s, 8), "rr|rrrrrr");
    });
}

#[test]
fn a_heap_that_is_gone_does_not_shrink() {
    on_ground(|g| {
        let s = &mut g.s;
        assert_eq!(s.linux.brk(&mut s.cx, s.process, HEAP + 8 * P), Ok(HEAP + 8 * P));
        s.linux.munmap(&mut s.cx, s.process, HEAP + 4 * P, 4 * P).expect("unmapped");
        assert_eq!(s.linux.brk(&mut s.cx, s.process, HEAP + 5 * P), Ok(HEAP + 8 * P));
        assert_eq!(s.linux.brk(&mut s.cx, s.process, HEAP + 3 * P), Ok(HEAP + 3 * P), "some of it is there");
    });
}

#[test]
fn a_mapping_grows_in_place_into_the_guard_of_a_stack() {
    on_ground(|g| {
        g.map(0, 2, READ);
        g.s.mmap(BASE + 4 * P, P, RW, PRIVATE | ANON | FIXED | GROWSDOWN).expect("a stack");
        let s = &mut g.s;
        let args = Mremap { addr: BASE, old_len: 2 * P, new_len: 4 * P, flags: 0, new_addr: 0 };
        assert_eq!(s.linux.mremap(&mut s.cx, s.process, &args), Ok(BASE));
        assert_eq!(picture(s, 5), "rrrr|w");
    });
}

#[test]
fn second_mappings_of_shared_memory_merge() {
    on_ground(|g| {
        let s = &mut g.s;
        s.mmap(BASE, 4 * P, RW, SHARED | ANON | FIXED).expect("shared memory");
        let copy = |s: &mut System<'_>, from: u64, pages: u64, to: u64| {
            let (addr, new_addr) = (BASE + from * P, BASE + to * P);
            let args = Mremap { addr, old_len: 0, new_len: pages * P, flags: 3, new_addr };
            s.linux.mremap(&mut s.cx, s.process, &args)
        };
        assert_eq!(copy(s, 0, 2, 8), Ok(BASE + 8 * P));
        assert_eq!(copy(s, 2, 2, 10), Ok(BASE + 10 * P));
        assert_eq!(picture(s, 12), "ssss....ssss");
    });
}
