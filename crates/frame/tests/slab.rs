//! Slabs: zeroed objects, stable types, exact accounts.

mod common;

use common::{Host, Started, audit::audit, mib, range};
use frame::{Config, Id, Slab, State};
use machine::{Cells, CpuId, Field, Word};
use proptest::prelude::*;
use std::collections::BTreeMap;

machine::cells! {
    /// A small object with a mark in it.
    struct Small {
        mark: Field<u64>,
        lock: Word,
    }
}

machine::cells! {
    /// Not a divisor of a frame.
    struct Odd {
        mark: Field<u64>,
        rest: [Field<u64>; 40],
    }
}

machine::cells! {
    /// As large as a frame.
    struct Page {
        mark: Field<u64>,
        rest: [Field<u64>; 511],
    }
}

trait Marked: Cells {
    fn mark(&self) -> &Field<u64>;
}

macro_rules! marked {
    ($($t:ident),*) => {$(impl Marked for $t { fn mark(&self) -> &Field<u64> { &self.mark } })*};
}
marked!(Small, Odd, Page);

fn run<T: Marked>(steps: &[(u32, bool, usize)]) {
    let host = Host::new(3, &[range(1 << 20, mib(64), 0)]);
    let (s, slab) = Started::with(&host, &Config::default(), |boot| Slab::<Host, T>::new(boot).unwrap());
    let mut model: BTreeMap<Id<T>, u64> = BTreeMap::new();
    for (i, &(cpu, frees, which)) in steps.iter().enumerate() {
        let mut cx = s.cx(cpu);
        if frees {
            let Some(&id) = model.keys().nth(which % model.len().max(1)) else { continue };
            assert_eq!(slab.get(id).mark().get(), model.remove(&id).unwrap());
            slab.free(cx.at(), id);
        } else {
            let id = slab.alloc(cx.at(), &s.frames).unwrap();
            assert_eq!(slab.get(id).mark().replace(i as u64 + 1), 0, "objects are zeroed");
            assert_eq!(model.insert(id, i as u64 + 1), None, "an object is handed out once");
        }
    }
    assert_eq!(slab.in_use(), model.len() as u64);
    assert!(slab.ids().eq(model.keys().copied()));
    for (&id, &mark) in &model {
        assert_eq!(slab.get(id).mark().get(), mark, "objects do not overlap");
        assert_eq!(core::ptr::from_ref(slab.get(id)) as usize % 64, 0);
    }
    assert_eq!(audit(&s.frames), slab.frames());
    assert!(s.frames.blocks().filter(|b| b.meta.state() == State::Slab).count() as u64 == slab.frames());
}

fn steps() -> impl Strategy<Value = Vec<(u32, bool, usize)>> {
    prop::collection::vec((0..3u32, prop::bool::weighted(0.4), any::<usize>()), 1..1500)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn small_objects(steps in steps()) { run::<Small>(&steps) }
    #[test]
    fn odd_objects(steps in steps()) { run::<Odd>(&steps) }
    #[test]
    fn whole_pages(steps in steps()) { run::<Page>(&steps) }
}

#[test]
fn an_old_id_still_leads_to_an_object() {
    let host = Host::new(1, &[range(1 << 20, mib(16), 0)]);
    let (s, slab) = Started::with(&host, &Config::default(), |boot| Slab::<Host, Small>::new(boot).unwrap());
    let mut cx = s.cx(0);
    let id = slab.alloc(cx.at(), &s.frames).unwrap();
    let object = slab.get(id);
    slab.free(cx.at(), id);
    assert!(core::ptr::eq(object, slab.get(id)));
    assert_eq!(slab.in_use(), 0);
}

#[test]
fn a_shortage_leaves_the_slab_as_it_was() {
    let host = Host::new(1, &[range(1 << 20, mib(4), 0)]);
    let config = Config { movable_percent: 0, min_free_kib: Some(128) };
    let (s, slab) = Started::with(&host, &config, |boot| Slab::<Host, Page>::new(boot).unwrap());
    let mut cx = s.cx(0);
    let mut ids = Vec::new();
    while let Ok(id) = slab.alloc(cx.at(), &s.frames) {
        ids.push(id);
    }
    assert!(ids.len() as u64 > s.frames.total_frames() / 2);
    assert_eq!(slab.in_use(), ids.len() as u64);
    assert_eq!(audit(&s.frames), slab.frames());
    let id = ids.pop().unwrap();
    slab.free(cx.at(), id);
    assert!(slab.alloc(cx.at(), &s.frames).is_ok(), "a freed object serves the next request");
}

#[test]
fn what_was_freed_is_used_again_before_the_slab_grows() {
    let host = Host::new(2, &[range(1 << 20, mib(16), 0)]);
    let (s, slab) = Started::with(&host, &Config::default(), |boot| Slab::<Host, Odd>::new(boot).unwrap());
    let fill = |cpu| -> Vec<_> {
        let mut cx = s.cx(cpu);
        (0..2000).map(|_| slab.alloc(cx.at(), &s.frames).unwrap()).collect()
    };
    let ids = fill(0);
    let frames = slab.frames();
    // Every other object first, so that each frame is partly free for a while.
    for parity in [0, 1] {
        for &id in ids.iter().filter(|id| id.raw() % 2 == parity) {
            slab.free(s.cx(1).at(), id);
        }
    }
    fill(0);
    // The CPUs keep fewer than 48 of them, which is worth five frames.
    assert!(slab.frames() <= frames + 5, "{} frames, then {}", frames, slab.frames());
    assert_eq!(audit(&s.frames), slab.frames());
}

#[test]
fn every_allocation_of_a_growing_slab_can_fail() {
    for n in 1..4 {
        let host = Host::new(1, &[range(1 << 20, mib(16), 0)]);
        let (s, slab) =
            Started::with(&host, &Config::default(), |boot| Slab::<Host, Small>::new(boot).unwrap());
        let mut cx = s.cx(0);
        s.frames.fail_after(Some(n));
        assert!(slab.alloc(cx.at(), &s.frames).is_err(), "the object, its frame, the directory");
        assert_eq!(audit(&s.frames), 0, "nothing is leaked");
        assert_eq!(slab.in_use(), 0);
        assert!(slab.alloc(cx.at(), &s.frames).is_ok());
    }
}

#[test]
fn cpus_share_a_slab() {
    const CPUS: u32 = 4;
    let host = Host::new(CPUS, &[range(1 << 20, mib(64), 0)]);
    let (s, slab) = Started::with(&host, &Config::default(), |boot| Slab::<Host, Small>::new(boot).unwrap());
    let exchange = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for cpu in 0..CPUS {
            let (s, slab, exchange) = (&s, &slab, &exchange);
            scope.spawn(move || {
                let mut cx = s.cx(cpu);
                assert_eq!(cx.cpu(), CpuId(cpu));
                for round in 0..200u64 {
                    for _ in 0..40 {
                        let id = slab.alloc(cx.at(), &s.frames).unwrap();
                        assert_eq!(slab.get(id).mark.replace(u64::from(id.raw()) + 1), 0);
                        exchange.lock().unwrap().push(id);
                    }
                    let keep = if round % 20 == 19 { 0 } else { 20 };
                    for _ in keep..40 {
                        let Some(id) = exchange.lock().unwrap().pop() else { break };
                        assert_eq!(slab.get(id).mark.get(), u64::from(id.raw()) + 1);
                        slab.free(cx.at(), id);
                    }
                }
            });
        }
    });
    let mut left = exchange.into_inner().unwrap();
    left.sort();
    assert!(slab.ids().eq(left.iter().copied()));
    assert_eq!(slab.in_use(), left.len() as u64);
    assert_eq!(audit(&s.frames), slab.frames());
}
