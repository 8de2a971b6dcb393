//! Random operations on a page table against a map of pages.

mod world;

use machine::entry::Attrs;
use machine::x86_64::X86_64;
use machine::{Counter, Entry, EntryFormat, Level, Perms, Pfn, Vpn, VpnRange};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;
use table::{Cursor, Rss, Sight};
use world::{Everything, RW, World, leaf};

#[derive(Clone, Debug)]
enum Op {
    Install { page: Vpn, frame: u32, fail: Option<u64> },
    Take(Vpn),
    ReadOnly(Vpn),
    Replace { page: Vpn, frame: u32 },
    Move { from: Vpn, to: Vpn },
    Sweep(VpnRange),
    Prune(VpnRange),
    Look(VpnRange),
}

fn page() -> impl Strategy<Value = Vpn> {
    let bases = prop::sample::select(vec![0, 508, 1022, 1 << 18, (1 << 27) - 3, (1 << 36) - 8]);
    (bases, 0..8u64).prop_map(|(base, n)| Vpn(base + n))
}

fn pages() -> impl Strategy<Value = VpnRange> {
    prop_oneof![
        (page(), 1..2000u64).prop_map(|(start, n)| VpnRange::sized(start, n.min((1 << 36) - start.0))),
        (page(), page()).prop_map(|(a, b)| VpnRange::new(a.min(b), a.max(b))),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let frame = 100..400u32;
    prop_oneof![
        6 => (page(), frame.clone(), prop::option::weighted(0.2, 1..4u64))
            .prop_map(|(page, frame, fail)| Op::Install { page, frame, fail }),
        2 => page().prop_map(Op::Take),
        1 => page().prop_map(Op::ReadOnly),
        1 => (page(), frame).prop_map(|(page, frame)| Op::Replace { page, frame }),
        1 => (page(), page()).prop_map(|(from, to)| Op::Move { from, to }),
        1 => pages().prop_map(Op::Sweep),
        1 => pages().prop_map(Op::Prune),
        1 => pages().prop_map(Op::Look),
    ]
}

type Model = BTreeMap<u64, Entry>;

fn read_only(entry: Entry) -> Entry {
    let perms = Perms { write: false, ..X86_64::attrs(entry).perms };
    X86_64::with_attrs(entry, Attrs { perms, ..X86_64::attrs(entry) }, Level::LEAF)
}

fn in_range(model: &Model, range: VpnRange) -> Vec<(Vpn, Entry)> {
    let range = range.start.0..range.end.0;
    model.range(range).map(|(&page, &entry)| (Vpn(page), entry)).collect()
}

const ANON: Option<Rss> = Some(Rss::Anon);

fn apply(world: &World, id: frame::Id<table::PageTable>, model: &mut Model, op: Op) {
    let (walker, mut cx, mut batch) = (world.walker(id), world.cx(0), world.batch(id));
    match op {
        Op::Install { page, frame, fail } => {
            world.frames.fail_after(fail);
            if let Ok(mut locked) = walker.lock_leaf(cx.at(), page)
                && let std::collections::btree_map::Entry::Vacant(slot) = model.entry(page.0)
            {
                assert_eq!(locked.entry(page), Entry::EMPTY);
                locked.install(page, *slot.insert(leaf(Pfn(frame), RW)), ANON);
            }
            world.frames.fail_after(None);
        }
        Op::Take(page) => {
            if let Some(entry) = model.remove(&page.0) {
                let mut leaf = walker.lock_leaf_existing(cx.at(), page).expect("an entry is there");
                let (old, token) = leaf.take(page, ANON);
                assert_eq!(old, entry);
                batch.push(&mut leaf, token);
            }
        }
        Op::ReadOnly(page) => {
            if let Some(entry) = model.get_mut(&page.0) {
                let mut leaf = walker.lock_leaf_existing(cx.at(), page).expect("an entry is there");
                let (old, token) = leaf.change(page, read_only);
                batch.push(&mut leaf, token);
                assert_eq!(old, std::mem::replace(entry, read_only(old)));
            }
        }
        Op::Replace { page, frame } => {
            if let Some(entry) = model.get_mut(&page.0) {
                let mut locked = walker.lock_leaf_existing(cx.at(), page).expect("an entry is there");
                let new = leaf(Pfn(frame), RW);
                let old = locked.replace(&mut batch, page, (ANON, ANON), new);
                assert_eq!(old, std::mem::replace(entry, new));
            }
        }
        Op::Move { from, to } => {
            if model.contains_key(&from.0) && !model.contains_key(&to.0) {
                let pair = walker.lock_pair(cx.at(), from, (&walker, to)).expect("there is memory");
                let mut pair = pair.expect("an entry is there");
                let (old, token) = pair.from().lift(from, ANON);
                batch.push(pair.cx(), token);
                pair.to().install(to, old, ANON);
                model.insert(to.0, old);
                model.remove(&from.0);
            }
        }
        Op::Sweep(range) => {
            let mut all = Everything::default();
            walker.sweep(cx.at(), range, &mut batch, &mut all);
            assert_eq!(all.taken, in_range(model, range));
            model.retain(|&page, _| !range.contains(Vpn(page)));
        }
        Op::Prune(range) => walker.prune(cx.at(), range, &mut batch, |_, _| unreachable!()),
        Op::Look(range) => {
            let (mut cursor, mut met) = (Cursor::new(range), Vec::new());
            while let Some((leaf, part)) = cursor.next(&walker, cx.at()) {
                let mut page = part.start;
                while let Some((found, entry)) = leaf.next_used(page, part.end) {
                    met.push((found, entry));
                    page = found + 1;
                }
            }
            assert_eq!(met, in_range(model, range));
        }
    }
    walker.settle(cx.at(), &mut batch, |_, _| {});
}

fn check(world: &World, id: frame::Id<table::PageTable>, model: &Model) {
    let walker = world.walker(id);
    let (mut tables, mut entries) = (0, Vec::new());
    walker.survey(world.fake, &mut |sight| match sight {
        Sight::Table { header, used, .. } => {
            tables += 1;
            assert_eq!(u64::from(header.used), used);
        }
        Sight::Entry { page, entry, .. } => entries.push((page.0, entry)),
    });
    assert_eq!(entries, model.iter().map(|(&page, &entry)| (page, entry)).collect::<Vec<_>>());
    assert_eq!(walker.table().tables(), tables);
    assert_eq!(world.tables_left(), tables);
    assert_eq!(walker.table().rss(Rss::Anon), model.len() as u64);
    let mut cx = world.cx(0);
    for (&page, &entry) in model {
        assert_eq!(walker.peek(cx.at(), Vpn(page)).entry, entry);
    }
}

#[test]
fn a_page_table_is_a_map_from_pages_to_entries() {
    let world = World::new(1);
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&prop::collection::vec(op(), 1..60), |ops| {
            let id = world.table();
            let mut model = Model::new();
            for op in ops {
                apply(&world, id, &mut model, op);
                check(&world, id, &model);
            }
            world.destroy(&mut world.cx(0), id);
            assert_eq!(world.tables_left(), 0);
            assert_eq!(world.core.total(Counter::TlbIpis), 0);
            Ok(())
        })
        .expect("tables and map agree");
}
