//! Large folios: taking them apart, the bits of their pages, finding them without a reference.

mod common;

use common::{Host, Started, audit::audit, mib, range};
use frame::counts::{Counts, Pinned};
use frame::{AtCap, Config, Exclusive, Flags, Request, Reserve, State, SubsectionState, ZoneKind};
use machine::{HUGE_ORDER, NodeId, Order, Pfn};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const START: u32 = 1 << 20;
const PAGES: u64 = HUGE_ORDER.frames();

fn host() -> Host {
    Host::new(2, &[range(START, mib(64), 0)])
}

fn large(s: &Started<'_>) -> Pfn {
    s.frames.allocate(s.cx(0).at(), &Request::user().order(HUGE_ORDER)).unwrap()
}

#[test]
fn a_frozen_folio_becomes_512_of_which_each_is_freed_by_itself() {
    let host = host();
    let s = Started::new(&host, &Config::default());
    let mut cx = s.cx(0);
    let head = large(&s);
    let first = s.frames.descriptor(head);
    first.set_owner(&cx, 7, 4096);
    first.set_state(&cx, State::Anon);
    first.set(&cx, Flags::DIRTY.and(Flags::BY_PAGES).and(Flags::WAITERS));
    assert!(first.try_lock(&cx));
    s.frames.subpages(head).fill(&cx);
    first.get(&cx).unwrap();
    assert!(!first.freeze_at(&cx, 1), "somebody else has a reference");
    assert!(first.freeze_at(&cx, 2));
    assert_eq!(s.frames.try_get_folio(cx.at(), head.plus(9)), None, "it is frozen");

    s.frames.split_folio(cx.at(), head, |page| Counts::new(1 + page % 2, page % 2, Exclusive::No));
    for page in 0..PAGES {
        let (pfn, part) = (head.plus(page), s.frames.descriptor(head.plus(page)));
        let meta = part.meta(&cx);
        assert_eq!((meta.is_head(), meta.order(), meta.state()), (true, Order::ZERO, State::Anon));
        assert_eq!((meta.node(), meta.zone()), (NodeId(0), ZoneKind::Normal));
        assert_eq!(part.owner_and_index(&cx), (7, 4096 + page));
        assert_eq!((part.refs(&cx), part.maps(&cx)), (1 + page % 2, page % 2));
        let kept = if page == 0 { Flags::WAITERS } else { Flags::default() };
        assert_eq!(meta.flags(), Flags::DIRTY.and(Flags::LOCKED).and(kept), "page {page}");
        assert_eq!(s.frames.folio(&cx, pfn), (pfn, Order::ZERO));
    }
    assert_eq!(audit(&s.frames), PAGES);
    assert!(first.unlock(&cx), "who waited is still known");
    for page in (0..PAGES).rev() {
        let part = s.frames.descriptor(head.plus(page));
        assert!(page == 0 || !part.unlock(&cx), "nobody waits for a part");
        if page % 2 == 1 {
            part.remove_map(&cx);
            s.frames.put(cx.at(), head.plus(page));
        }
        s.frames.put(cx.at(), head.plus(page));
    }
    assert_eq!(audit(&s.frames), 0);
    s.frames.drain_all(cx.at());
    assert_eq!(large(&s), head, "its frames are one block again");
}

#[test]
fn a_refused_freeze_and_an_undone_one_leave_the_folio_as_it_was() {
    let host = host();
    let s = Started::new(&host, &Config::default());
    let (mut cx, head) = (s.cx(0), large(&s));
    let first = s.frames.descriptor(head);
    first.add_map(&cx, Exclusive::Yes).unwrap();
    first.pin(&cx).unwrap();
    let before = first.counts(&cx);
    assert!(!first.freeze_at(&cx, 1) && !first.freeze_at(&cx, 3));
    assert_eq!(first.counts(&cx), before);
    assert!(first.freeze_at(&cx, 2));
    assert!(!first.try_get(&cx));
    first.unfreeze_to(&cx, 2);
    assert_eq!(first.counts(&cx), before);
    s.frames.unpin(cx.at(), head.plus(3));
    first.remove_map(&cx);
    s.frames.put(cx.at(), head.plus(511));
    assert_eq!(audit(&s.frames), 0);
}

#[test]
fn pages_in_a_row_are_shared_a_word_at_a_time_or_not_at_all() {
    let host = host();
    let s = Started::new(&host, &Config::default());
    let (mut cx, head) = (s.cx(0), large(&s));
    let (first, pages) = (s.frames.descriptor(head), s.frames.subpages(head));
    first.add_map(&cx, Exclusive::No).unwrap();
    pages.fill(&cx);
    pages.make_exclusive_all(&cx, &[1 << 63, u64::MAX, 0b101, 0, 0, 0, 0, 1 << 63]);
    assert_eq!(s.frames.try_pin_subpage(cx.at(), head.plus(511)), Some(head));
    assert_eq!(pages.try_share_run(&cx, 60..131), Err(Pinned));
    assert!([63, 64, 127, 128, 130].iter().all(|&page| pages.is_exclusive(&cx, page)));
    assert!([62, 129, 131].iter().all(|&page| !pages.is_exclusive(&cx, page)));
    s.frames.unpin(cx.at(), head.plus(511));
    assert_eq!(pages.try_share_run(&cx, 63..129), Ok([1 << 63, u64::MAX, 1, 0, 0, 0, 0, 0]));
    assert!((63..129).all(|page| !pages.is_exclusive(&cx, page)));
    assert!(pages.is_exclusive(&cx, 130) && pages.is_exclusive(&cx, 511));
    assert_eq!(pages.try_share_run(&cx, 0..512).map(|bits| (bits[2], bits[7])), Ok((0b100, 1 << 63)));
    first.remove_map(&cx);
    s.frames.put(cx.at(), head);
    assert_eq!(audit(&s.frames), 0);
}

#[test]
fn the_bits_start_as_the_head_s_and_then_speak_for_themselves() {
    let host = host();
    let s = Started::new(&host, &Config::default());
    for exclusive in [Exclusive::Yes, Exclusive::No] {
        let (mut cx, head) = (s.cx(0), large(&s));
        let (first, pages) = (s.frames.descriptor(head), s.frames.subpages(head));
        first.add_map(&cx, exclusive).unwrap();
        assert!(!pages.are_filled(&cx));
        pages.fill(&cx);
        first.add_entries(&cx, PAGES - 1, u64::MAX >> 44).unwrap();
        assert!(pages.are_filled(&cx) && !first.is_exclusive(&cx));
        let all = exclusive == Exclusive::Yes;
        assert!((0..PAGES).all(|page| pages.is_exclusive(&cx, page) == all));
        assert_eq!((first.refs(&cx), first.maps(&cx)), (PAGES, PAGES));

        pages.make_exclusive(&cx, 70);
        assert_eq!(pages.try_share(&cx, 70), Ok(()));
        assert!(!pages.is_exclusive(&cx, 70));
        pages.make_exclusive(&cx, 71);
        assert_eq!(s.frames.try_pin_subpage(cx.at(), head.plus(70)), None, "page 70 is shared");
        assert_eq!(s.frames.try_pin_subpage(cx.at(), head.plus(71)), Some(head));
        assert_eq!(pages.try_share(&cx, 71), Err(Pinned));
        assert_eq!(pages.try_share(&cx, 70), Ok(()), "it is shared already");
        assert!(pages.is_exclusive(&cx, 71), "a refusal leaves the bit");
        s.frames.unpin(cx.at(), head.plus(71));
        assert_eq!(pages.try_share(&cx, 71), Ok(()));
        // A second fill, for another entry of 2 MiB: all pages are shared, and stay so.
        if !all {
            pages.fill(&cx);
            assert!((0..PAGES).all(|page| !pages.is_exclusive(&cx, page)));
        }
        for _ in 0..PAGES {
            first.remove_map(&cx);
            s.frames.put(cx.at(), head.plus(5));
        }
        assert_eq!(audit(&s.frames), 0);
    }
}

#[test]
fn a_folio_takes_so_many_entries_and_no_more() {
    let host = host();
    let s = Started::new(&host, &Config::default());
    let (mut cx, head) = (s.cx(0), large(&s));
    let first = s.frames.descriptor(head);
    assert_eq!(first.add_entries(&cx, 3, 3), Ok(()));
    assert_eq!(first.add_entries(&cx, 1, 3), Err(AtCap));
    assert_eq!((first.refs(&cx), first.maps(&cx)), (4, 3));
    for _ in 0..3 {
        first.remove_map(&cx);
        s.frames.put(cx.at(), head);
    }
    s.frames.put(cx.at(), head);
}

#[test]
fn who_looks_a_frame_up_while_its_folio_is_taken_apart_gets_the_right_folio() {
    let host = host();
    let s = Started::new(&host, &Config::default());
    let over = AtomicBool::new(false);
    let [whole, parts] = [(); 2].map(|()| AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut cx = s.cx(1);
            while !over.load(Ordering::Relaxed) {
                let frames = (0..mib(64)).step_by(37).map(|i| Pfn(START).plus(i));
                let active = |pfn| s.frames.memmap().quiet_subsection(pfn).state() == SubsectionState::Active;
                for (n, pfn) in frames.filter(|&pfn| active(pfn)).enumerate() {
                    let pinned = n % 2 == 0;
                    let found = match pinned {
                        true => s.frames.try_pin_folio(cx.at(), pfn),
                        false => s.frames.try_get_folio(cx.at(), pfn),
                    };
                    let Some(head) = found else { continue };
                    assert_eq!(s.frames.folio(&cx, pfn).0, head);
                    let count = if head == pfn { &parts } else { &whole };
                    count.fetch_add(1, Ordering::Relaxed);
                    match pinned {
                        true => s.frames.unpin(cx.at(), head),
                        false => s.frames.put(cx.at(), head),
                    }
                }
            }
        });
        let mut cx = s.cx(0);
        for split in 0..300 {
            let head = large(&s);
            let first = s.frames.descriptor(head);
            first.set_state(&cx, State::Anon);
            // Readers get their turn: at the whole now and then, and at a freeze that fails for them.
            let wait_for = |count: &AtomicU64| {
                let before = count.load(Ordering::Relaxed);
                while split % 30 == 0 && count.load(Ordering::Relaxed) == before {
                    std::thread::yield_now();
                }
            };
            wait_for(&whole);
            while !first.freeze_at(&cx, 1) {
                std::thread::yield_now();
            }
            s.frames.split_folio(cx.at(), head, |_| Counts::ONE);
            wait_for(&parts);
            (0..PAGES).for_each(|page| s.frames.put(cx.at(), head.plus(page)));
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(audit(&s.frames), 0);
}

#[test]
fn what_is_optional_stays_above_the_low_watermark_and_what_lasts_out_of_the_movable_zone() {
    let host = Host::new(1, &[range(START, mib(64), 0)]);
    let s = Started::new(&host, &Config { movable_percent: 50, min_free_kib: Some(4096) });
    let mut cx = s.cx(0);
    let lasting = s.frames.allocate(cx.at(), &Request::user().lasting()).unwrap();
    assert_eq!(s.frames.descriptor(lasting).zone(&cx), ZoneKind::Normal);
    let optional = Request::user().order(HUGE_ORDER).reserve(Reserve::Optional);
    let mut got = Vec::new();
    while let Ok(pfn) = s.frames.allocate(cx.at(), &optional) {
        got.push(pfn);
    }
    assert!(s.frames.zones().all(|zone| zone.free >= zone.low), "the reserves are whole");
    assert!(s.frames.allocate(cx.at(), &Request::user()).is_ok());
    for pfn in got {
        s.frames.put(cx.at(), pfn);
    }
}
