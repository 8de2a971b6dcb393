//! The index of cached pages against a plain map.

mod world;

use machine::lock::Spin;
use machine::{Pfn, level};
use object::radix::{INDEX_END, InsertError, Mark, Nodes, Tree};
use std::collections::BTreeMap;
use world::{Host, Random, World};

machine::cells! {
    struct Cache {
        lock: Spin<{ level::CACHE }>,
        tree: Tree,
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Page {
    pfn: Pfn,
    dirty: bool,
    writeback: bool,
}

struct Fixture<'m> {
    world: World<'m>,
    cache: &'m Cache,
    nodes: Nodes<'m, Host>,
}

fn fixture(host: &Host) -> Fixture<'_> {
    let (world, (cache, nodes)) =
        World::with(host, |boot| (&boot.array::<Cache>(1).unwrap()[0], Nodes::new(boot).unwrap()));
    Fixture { world, cache, nodes }
}

impl Fixture<'_> {
    fn compare(&self, model: &BTreeMap<u64, Page>) {
        let mut seen = BTreeMap::new();
        self.cache.tree.survey(&self.nodes, &mut |v| {
            seen.insert(v.index, Page { pfn: v.pfn, dirty: v.dirty, writeback: v.writeback });
        });
        assert_eq!(&seen, model);
    }
}

fn an_index(random: &mut Random) -> u64 {
    match random.below(4) {
        0 => random.below(64),
        1 => random.below(300),
        2 => 4096 * random.below(20) + random.below(3),
        _ => INDEX_END - 1 - random.below(3) * 70_000,
    }
}

#[test]
fn a_tree_is_a_map_with_marks() {
    let host = Host::new(16);
    let f = fixture(&host);
    let (tree, nodes) = (&f.cache.tree, &f.nodes);
    let mut model: BTreeMap<u64, Page> = BTreeMap::new();
    let mut random = Random(0x5eed);
    for step in 0..30_000u32 {
        let mut cx = f.world.cx(0);
        let mut held = f.cache.lock.lock(&mut cx);
        let index = an_index(&mut random);
        match random.below(10) {
            0..=3 => {
                let pfn = Pfn(step + 1);
                let result = tree.insert(&mut held, nodes, f.world.objects.frames(), (index, pfn));
                let expected = if model.contains_key(&index) { Err(InsertError::Exists) } else { Ok(()) };
                assert_eq!(result, expected);
                model.entry(index).or_insert(Page { pfn, dirty: false, writeback: false });
            }
            4..=5 => assert_eq!(tree.remove(&mut held, nodes, index), model.remove(&index).map(|p| p.pfn)),
            6 => {
                let was_clean =
                    model.get_mut(&index).is_some_and(|p| !core::mem::replace(&mut p.dirty, true));
                assert_eq!(tree.set(&mut held, nodes, index, Mark::Dirty), was_clean);
            }
            7 => {
                let was_dirty = model.get_mut(&index).is_some_and(|p| core::mem::take(&mut p.dirty));
                assert_eq!(tree.clear(&mut held, nodes, index, Mark::Dirty), was_dirty);
                if let Some(page) = model.get_mut(&index) {
                    tree.set(&mut held, nodes, index, Mark::Writeback);
                    page.writeback = true;
                }
            }
            8 => {
                let end = index.saturating_add(random.below(5000)).min(INDEX_END);
                let next = model.range(index..end.max(index)).find(|(_, p)| p.dirty);
                let found = tree.next(&held, nodes, index, end, Mark::Dirty);
                assert_eq!(found, next.map(|(&i, p)| (i, p.pfn)));
            }
            _ => {
                let next = model.range(index..).next();
                let found = tree.next(&held, nodes, index, INDEX_END, Mark::Present);
                assert_eq!(found, next.map(|(&i, p)| (i, p.pfn)));
                assert_eq!(tree.find(&held, nodes, index).map(|f| f.pfn), model.get(&index).map(|p| p.pfn));
            }
        }
        drop(held);
        if step % 1000 == 0 {
            f.compare(&model);
        }
        if step % 9000 == 8999 {
            // Empty it, so that every way of shrinking is met.
            let mut cx = f.world.cx(0);
            let mut held = f.cache.lock.lock(&mut cx);
            while let Some((index, page)) = model.pop_last() {
                assert_eq!(tree.remove(&mut held, nodes, index), Some(page.pfn));
            }
            assert_eq!(nodes.in_use(), 0, "an empty tree has no nodes");
        }
    }
}

#[test]
fn a_shortage_leaves_the_tree_as_it_was() {
    let host = Host::new(16);
    let f = fixture(&host);
    let (tree, nodes, frames) = (&f.cache.tree, &f.nodes, f.world.objects.frames());
    let mut cx = f.world.cx(0);
    let mut held = f.cache.lock.lock(&mut cx);
    tree.insert(&mut held, nodes, frames, (5, Pfn(1))).unwrap();
    let before = nodes.in_use();
    let model = BTreeMap::from([(5, Page { pfn: Pfn(1), dirty: false, writeback: false })]);
    let mut failures = 0;
    loop {
        failures += 1;
        frames.fail_after(Some(failures));
        match tree.insert(&mut held, nodes, frames, (INDEX_END - 1, Pfn(2))) {
            Err(InsertError::Shortage(_)) => {
                assert_eq!(nodes.in_use(), before);
                f.compare(&model);
            }
            other => {
                assert_eq!(other, Ok(()));
                break;
            }
        }
    }
    frames.fail_after(None);
    assert_eq!(failures, 11, "five levels above the old root, and a path of five below the new one");
    assert_eq!(tree.find(&held, nodes, 5).map(|f| f.pfn), Some(Pfn(1)));
}
