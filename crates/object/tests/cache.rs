//! Finding, reading, writing and dropping cached pages.

mod world;

use core::sync::atomic::{AtomicBool, Ordering};
use frame::Id;
use machine::{CpuId, FileKey, IoError, PAGE_SIZE, UserFrame};
use object::radix::Mark;
use object::{File, FileError, FileKind, How, PageCtx, PageError, SIZE_MAX, WINDOW, Want};
use std::collections::BTreeMap;
use std::sync::Mutex;
use world::audit::{audit, audit_with};
use world::{Event, Host, Random, World};

const KEY: FileKey = FileKey(3);

fn open(world: &World<'_>, pages: u64) -> Id<File> {
    world.objects.open(world.cx(0).at(), KEY, FileKind::Regular, pages * PAGE_SIZE).unwrap()
}

fn first_byte(host: &Host, frame: UserFrame) -> u8 {
    let mut byte = [0];
    host.read_bytes(frame, &mut byte);
    byte[0]
}

#[test]
fn a_miss_reads_the_aligned_window_up_to_the_end_of_the_file() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let file = open(&world, 20);
    let ctx = PageCtx { file, index: 18 };
    assert!(objects.page(cx.at(), ctx, Want::Existing).unwrap().is_none());
    let fetched = objects.page(cx.at(), ctx, Want::Read).unwrap().unwrap();
    assert_eq!(fetched.how, How::Read);
    assert_eq!(first_byte(&host, fetched.page.frame()), Host::original(3, 18));
    let pages = [18, 16, 17, 19];
    assert_eq!(host.events(), pages.map(Event::Read), "the page that is waited for is read first");
    audit_with(&world, &BTreeMap::from([(fetched.page.pfn(), 1)]));
    objects.release(cx.at(), fetched.page);
    for index in 16..20 {
        let again = objects.page(cx.at(), PageCtx { file, index }, Want::Read).unwrap().unwrap();
        assert_eq!(again.how, How::Hit);
        objects.release(cx.at(), again.page);
    }
    let beyond = objects.page(cx.at(), PageCtx { file, index: 20 }, Want::Read);
    assert!(matches!(beyond, Err(PageError::BeyondEnd)));
    objects.read_ahead(cx.at(), file, 0, u64::MAX).unwrap();
    assert_eq!(objects.file(file).cached_pages(), 20);
    assert_eq!(WINDOW, 16);
    audit(&world);
}

#[test]
fn shared_memory_is_born_as_zeros_and_dies_with_its_last_user() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let file = objects.create_memory(cx.at(), 5 * PAGE_SIZE).unwrap();
    let ctx = PageCtx { file, index: 4 };
    let fetched = objects.page(cx.at(), ctx, Want::Read).unwrap().unwrap();
    assert_eq!((fetched.how, first_byte(&host, fetched.page.frame())), (How::Born, 0));
    objects.mark_dirty(cx.at(), ctx, fetched.page.pfn());
    objects.release(cx.at(), fetched.page);
    assert_eq!(objects.file(file).cached_pages(), 1);
    assert_eq!(objects.writeback(cx.at(), file, 0..5), Ok(()));
    assert_eq!(objects.drop_clean(cx.at(), 10), 0, "nowhere else to find it");
    audit(&world);
    objects.close(cx.at(), file).unwrap();
    assert_eq!(objects.census(), object::Census::default());
    assert_eq!(host.events(), []);
    audit(&world);
}

#[test]
fn sizes_beyond_what_an_index_holds_are_refused() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    for size in [SIZE_MAX + 1, 1 << 63, u64::MAX] {
        assert_eq!(objects.create_memory(cx.at(), size), Err(FileError::TooLarge));
        assert_eq!(objects.open(cx.at(), KEY, FileKind::Regular, size), Err(FileError::TooLarge));
    }
    let file = objects.create_memory(cx.at(), SIZE_MAX).unwrap();
    assert_eq!(objects.truncate(cx.at(), file, SIZE_MAX + 1), Err(FileError::TooLarge));
    let last = PageCtx { file, index: SIZE_MAX / PAGE_SIZE - 1 };
    let page = objects.page(cx.at(), last, Want::Read).unwrap().unwrap().page;
    objects.release(cx.at(), page);
    for index in [last.index + 1, u64::MAX] {
        let beyond = objects.page(cx.at(), PageCtx { file, index }, Want::Read);
        assert!(matches!(beyond, Err(PageError::BeyondEnd)));
        assert!(objects.lookup(cx.at(), PageCtx { file, index }).is_none());
    }
    objects.close(cx.at(), file).unwrap();
    assert_eq!(objects.census(), object::Census::default());
}

#[test]
fn the_second_reader_waits_for_the_first_and_holds_nothing_meanwhile() {
    let host = Host::new(16);
    let world = World::new(&host);
    let objects = &world.objects;
    let file = open(&world, 1);
    let ctx = PageCtx { file, index: 0 };
    host.gate.shut();
    std::thread::scope(|scope| {
        let read = |n| {
            let world = &world;
            move || {
                let mut cx = world.cx(n);
                let fetched = world.objects.page(cx.at(), ctx, Want::Read).unwrap().unwrap();
                let result = (fetched.page.pfn(), fetched.how);
                world.objects.release(cx.at(), fetched.page);
                result
            }
        };
        let first = scope.spawn(read(1));
        host.gate.wait_for_somebody();
        let waiters: Vec<_> = (2..6).map(|n| scope.spawn(read(n))).collect();
        let mut cx = world.cx(0);
        assert!(objects.lookup(cx.at(), ctx).is_none(), "not up to date yet");
        assert!(objects.page(cx.at(), ctx, Want::Existing).unwrap().is_none());
        let mut pfn = None;
        objects.for_each_cached(file, &mut |page| pfn = Some(page.pfn));
        let page = objects.frames().descriptor(pfn.unwrap());
        while world.core.parking.waiting_for(page.wait_key()) < 4 {
            std::thread::yield_now();
        }
        assert_eq!(page.refs(&cx), 2, "the cache and the reader; waiters hold nothing (WR22)");
        host.gate.open();
        let (pfn, how) = first.join().unwrap();
        assert_eq!(how, How::Read);
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), (pfn, How::Waited));
        }
    });
    assert_eq!(host.events(), [Event::Read(0)]);
    audit(&world);
}

#[test]
fn no_wake_up_is_lost_however_the_reads_fall() {
    let host = Host::new(16);
    let world = World::new(&host);
    let file = open(&world, 1);
    std::thread::scope(|scope| {
        for n in 0..world::CPUS {
            let world = &world;
            scope.spawn(move || {
                let (objects, mut cx) = (&world.objects, world.cx(n));
                for _ in 0..2000 {
                    let fetched =
                        objects.page(cx.at(), PageCtx { file, index: 0 }, Want::Read).unwrap().unwrap();
                    objects.release(cx.at(), fetched.page);
                    objects.invalidate(cx.at(), file, 0..1);
                }
            });
        }
    });
    audit(&world);
}

#[test]
fn a_page_that_cannot_be_read_leaves_the_cache_and_others_try_for_themselves() {
    let host = Host::new(16);
    let world = World::new(&host);
    let objects = &world.objects;
    let file = open(&world, 1);
    let ctx = PageCtx { file, index: 0 };
    host.failing.lock().unwrap().insert(0);
    host.gate.shut();
    std::thread::scope(|scope| {
        let failing = scope.spawn(|| objects.page(world.cx(1).at(), ctx, Want::Read).map(|_| ()));
        host.gate.wait_for_somebody();
        let waiting = scope.spawn(|| {
            let mut cx = world.cx(2);
            let fetched = objects.page(cx.at(), ctx, Want::Read).unwrap().unwrap();
            objects.release(cx.at(), fetched.page);
            fetched.how
        });
        host.gate.open();
        assert_eq!(failing.join().unwrap(), Err(PageError::Io));
        assert_eq!(waiting.join().unwrap(), How::Read);
    });
    audit(&world);
}

#[test]
fn truncation_waits_for_a_read_and_then_takes_the_page() {
    let host = Host::new(16);
    let world = World::new(&host);
    let objects = &world.objects;
    let file = open(&world, 4);
    let ctx = PageCtx { file, index: 2 };
    host.gate.shut();
    let truncated = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| objects.page(world.cx(1).at(), ctx, Want::Read).unwrap().unwrap().page);
        host.gate.wait_for_somebody();
        let truncater = scope.spawn(|| {
            objects.truncate(world.cx(2).at(), file, PAGE_SIZE).unwrap();
            truncated.store(true, Ordering::SeqCst);
        });
        while objects.file(file).size(&world.cx(0)) > PAGE_SIZE {
            std::thread::yield_now();
        }
        assert!(!truncated.load(Ordering::SeqCst), "the page is locked by its reader");
        host.gate.open();
        truncater.join().unwrap();
        let mut cx = world.cx(0);
        let page = reader.join().unwrap();
        assert!(!objects.still_cached(&cx, &page), "a fault that got the page now starts over");
        objects.mark_dirty(cx.at(), ctx, page.pfn());
        objects.release(cx.at(), page);
        assert!(matches!(objects.page(cx.at(), ctx, Want::Read), Err(PageError::BeyondEnd)));
    });
    assert_eq!(objects.file(file).dirty_pages(), 0);
    audit(&world);
}

#[test]
fn a_failed_write_is_reported_once_and_the_page_stays_dirty() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let file = open(&world, 40);
    objects.read_ahead(cx.at(), file, 0, 40).unwrap();
    for index in 0..40 {
        let ctx = PageCtx { file, index };
        let page = objects.lookup(cx.at(), ctx).unwrap();
        objects.mark_dirty(cx.at(), ctx, page.pfn());
        objects.mark_dirty(cx.at(), ctx, page.pfn());
        objects.release(cx.at(), page);
    }
    assert_eq!(objects.file(file).dirty_pages(), 40);
    host.events();
    host.failing.lock().unwrap().extend([1, 39]);
    assert_eq!(objects.writeback(cx.at(), file, 0..u64::MAX), Err(IoError));
    assert_eq!(host.events(), (0..40).map(Event::Write).collect::<Vec<_>>());
    assert_eq!(objects.file(file).dirty_pages(), 2);
    assert_eq!(objects.writeback(cx.at(), file, 2..39), Ok(()), "reported already");
    assert_eq!(objects.invalidate(cx.at(), file, 0..u64::MAX), 38, "what is dirty stays");
    assert!(objects.is_marked(cx.at(), PageCtx { file, index: 1 }, Mark::Dirty));
    host.failing.lock().unwrap().insert(39);
    assert_eq!(objects.close(cx.at(), file), Err(IoError), "the last close writes and reports");
    assert_eq!(objects.file(file).dirty_pages(), 1);
    let again = open(&world, 40);
    assert_eq!(again, file, "a file with pages is found again");
    assert_eq!(objects.close(cx.at(), file), Ok(()));
    assert_eq!(objects.file(file).dirty_pages(), 0);
    audit(&world);
    assert_eq!(objects.drop_clean(cx.at(), u64::MAX), 2);
    assert_eq!(objects.census(), object::Census::default(), "nobody has it open, and it has no page left");
    audit(&world);
}

#[test]
fn pages_in_use_are_not_reclaimed_and_pages_used_lately_come_last() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let file = open(&world, 16);
    objects.read_ahead(cx.at(), file, 0, 1).unwrap();
    let used = objects.page(cx.at(), PageCtx { file, index: 7 }, Want::Read).unwrap().unwrap().page;
    let lately = objects.page(cx.at(), PageCtx { file, index: 9 }, Want::Read).unwrap().unwrap().page;
    objects.release(cx.at(), lately);
    assert_eq!(objects.drop_clean(cx.at(), 14), 14);
    assert!(objects.lookup(cx.at(), PageCtx { file, index: 0 }).is_none());
    let lately = objects.lookup(cx.at(), PageCtx { file, index: 9 }).expect("it is spared while others last");
    objects.release(cx.at(), lately);
    assert_eq!(objects.drop_clean(cx.at(), 14), 1);
    assert!(objects.still_cached(&cx, &used));
    objects.release(cx.at(), used);
    assert_eq!(objects.drop_clean(cx.at(), 14), 1);
    assert_eq!(objects.file(file).cached_pages(), 0);
    audit(&world);
}

#[test]
fn a_forgotten_file_goes_with_its_last_user() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let file = open(&world, 16);
    objects.read_ahead(cx.at(), file, 0, 16).unwrap();
    objects.forget(cx.at(), KEY);
    let other = open(&world, 16);
    assert_ne!(file, other, "the key is free for a new file");
    objects.retain(cx.at(), file);
    assert!(objects.try_retain(cx.at(), other));
    objects.close(cx.at(), other).unwrap();
    for id in [file, file, other] {
        objects.close(cx.at(), id).unwrap();
    }
    assert!(!objects.try_retain(cx.at(), file), "an old number opens nothing");
    assert_eq!(objects.census(), object::Census::default());
    audit(&world);
}

#[test]
fn files_come_and_go_under_users_without_a_lock() {
    let host = Host::new(16);
    let world = World::new(&host);
    let seen = [const { core::sync::atomic::AtomicU32::new(u32::MAX) }; 2];
    std::thread::scope(|scope| {
        for n in 0..6 {
            let (world, seen) = (&world, &seen);
            scope.spawn(move || {
                let (objects, mut cx) = (&world.objects, world.cx(n));
                let mut random = Random(u64::from(n) + 99);
                for _ in 0..3000 {
                    let slot = &seen[random.below(2) as usize];
                    let old = slot.load(Ordering::Relaxed);
                    let id = if random.below(3) == 0 || old == u32::MAX {
                        let id = match random.below(2) {
                            0 => objects.create_memory(cx.at(), 4 * PAGE_SIZE),
                            _ => objects.open(cx.at(), KEY, FileKind::Regular, 4 * PAGE_SIZE),
                        };
                        slot.store(id.unwrap().raw(), Ordering::Relaxed);
                        id.unwrap()
                    } else if objects.try_retain(cx.at(), Id::from_raw(old)) {
                        Id::from_raw(old)
                    } else {
                        continue;
                    };
                    let ctx = PageCtx { file: id, index: random.below(4) };
                    let page = objects.page(cx.at(), ctx, Want::Read).unwrap().unwrap().page;
                    objects.mark_dirty(cx.at(), ctx, page.pfn());
                    objects.release(cx.at(), page);
                    if random.below(8) == 0 {
                        objects.forget(cx.at(), KEY);
                    }
                    objects.close(cx.at(), id).unwrap();
                }
            });
        }
    });
    world.objects.forget(world.cx(0).at(), KEY);
    assert_eq!(world.objects.census(), object::Census::default());
    audit(&world);
}

#[test]
fn bytes_behind_the_end_become_zeros() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let file = open(&world, 3);
    let ctx = PageCtx { file, index: 1 };
    objects.read_ahead(cx.at(), file, 0, 3).unwrap();
    objects.truncate(cx.at(), file, PAGE_SIZE + 100).unwrap();
    objects.truncate(cx.at(), file, 3 * PAGE_SIZE).unwrap();
    let page = objects.lookup(cx.at(), ctx).unwrap();
    let mut bytes = [0; 200];
    host.read_bytes(page.frame(), &mut bytes);
    assert_eq!(bytes[..100], [Host::original(3, 1); 100]);
    assert_eq!(bytes[100..], [0; 100]);
    assert!(objects.is_marked(cx.at(), ctx, Mark::Dirty));
    objects.release(cx.at(), page);
    assert_eq!(objects.file(file).cached_pages(), 2);
    audit(&world);
}

#[test]
fn a_shortage_anywhere_leaves_nothing_behind() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let frames = objects.frames();
    let mut failed = 0;
    for n in 1.. {
        frames.fail_after(Some(n));
        let result = objects.open(cx.at(), KEY, FileKind::Regular, 100 * PAGE_SIZE).map(|file| {
            let page = objects.page(cx.at(), PageCtx { file, index: 99 }, Want::Read);
            let page = page.map(|fetched| objects.release(cx.at(), fetched.unwrap().page));
            audit(&world);
            let shared = objects.create_memory(cx.at(), PAGE_SIZE << 20).map(|shared| {
                let page = objects.page(cx.at(), PageCtx { file: shared, index: 70_000 }, Want::Read);
                let page = page.map(|fetched| objects.release(cx.at(), fetched.unwrap().page));
                audit(&world);
                objects.close(cx.at(), shared).unwrap();
                page.is_ok()
            });
            objects.close(cx.at(), file).unwrap();
            objects.forget(cx.at(), KEY);
            page.is_ok() && shared == Ok(true)
        });
        frames.fail_after(None);
        audit(&world);
        assert_eq!(objects.census(), object::Census::default());
        match result {
            Ok(true) if n > 30 => break,
            Ok(true) => {}
            _ => failed += 1,
        }
    }
    assert!(failed >= 9, "file, frame and node; memory file, frame, nodes: {failed}");
}

#[test]
fn readers_writers_truncation_and_reclaim_at_once() {
    let host = Host::new(32);
    let world = World::new(&host);
    let objects = &world.objects;
    let file = open(&world, 64);
    let shared = objects.create_memory(world.cx(0).at(), 64 * PAGE_SIZE).unwrap();
    let sizes = Mutex::new(());
    std::thread::scope(|scope| {
        for n in 1..6 {
            let (world, sizes) = (&world, &sizes);
            scope.spawn(move || {
                let (objects, mut cx) = (&world.objects, world.cx(n));
                let mut random = Random(u64::from(n) * 7919);
                for _ in 0..3000 {
                    let file = if random.below(4) == 0 { shared } else { file };
                    let ctx = PageCtx { file, index: random.below(64) };
                    match random.below(100) {
                        0..=2 => {
                            let _one = sizes.lock().unwrap();
                            objects.truncate(cx.at(), file, random.below(64 * PAGE_SIZE)).unwrap();
                            objects.truncate(cx.at(), file, 64 * PAGE_SIZE).unwrap();
                        }
                        3..=9 => drop(objects.writeback(cx.at(), file, 0..64)),
                        10..=14 => drop(objects.drop_clean(cx.at(), 20)),
                        15..=30 => {
                            if let Some(page) = objects.lookup(cx.at(), ctx) {
                                objects.mark_dirty(cx.at(), ctx, page.pfn());
                                objects.release(cx.at(), page);
                            }
                        }
                        31 => {
                            world.host.failing.lock().unwrap().insert(ctx.index);
                            let page = objects.page(cx.at(), ctx, Want::Read);
                            if let Ok(Some(fetched)) = page {
                                objects.release(cx.at(), fetched.page);
                            }
                            world.host.failing.lock().unwrap().clear();
                        }
                        _ => match objects.page(cx.at(), ctx, Want::Read) {
                            Ok(fetched) => objects.release(cx.at(), fetched.unwrap().page),
                            Err(error) => assert!(matches!(error, PageError::BeyondEnd | PageError::Io)),
                        },
                    }
                }
            });
        }
    });
    audit(&world);
    let mut cx = world.cx(0);
    let _ = objects.writeback(cx.at(), file, 0..64);
    objects.close(cx.at(), file).unwrap();
    objects.close(cx.at(), shared).unwrap();
    objects.forget(cx.at(), KEY);
    assert_eq!(objects.census(), object::Census::default());
    audit(&world);
}

#[test]
fn a_store_is_in_the_backing_after_writeback() {
    let host = Host::new(16);
    let world = World::new(&host);
    let (objects, mut cx) = (&world.objects, world.cx(0));
    let file = open(&world, 1);
    let ctx = PageCtx { file, index: 0 };
    let page = objects.page(cx.at(), ctx, Want::Read).unwrap().unwrap().page;
    machine::Machine::write_frame(&host, CpuId(0), page.frame(), 0, &[9; 3]);
    objects.mark_dirty(cx.at(), ctx, page.pfn());
    objects.writeback(cx.at(), file, 0..1).unwrap();
    assert_eq!(host.stored.lock().unwrap()[&(3, 0)][..4], [9, 9, 9, Host::original(3, 0)]);
    objects.release(cx.at(), page);
    assert_eq!(objects.invalidate(cx.at(), file, 0..1), 1);
    let page = objects.page(cx.at(), ctx, Want::Read).unwrap().unwrap().page;
    assert_eq!(first_byte(&host, page.frame()), 9, "read again from where it was stored");
    objects.release(cx.at(), page);
    audit(&world);
}
