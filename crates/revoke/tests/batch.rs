//! What a batch promises, on a machine whose translation caches go stale.

mod fake;

use fake::Fake;
use machine::{Asid, Boot, Core, Counter, CpuSet, Cx, KernelFrame, Pfn, Vpn, VpnRange, level};
use revoke::{Batch, CpuTlbs, Domain, Revoked, Room};
use std::cell::RefCell;

const ROOT: KernelFrame = KernelFrame(Pfn(20));

machine::cells! {
    /// Room for two domains.
    struct Domains { all: [Domain; 8] }
}

struct World {
    fake: &'static Fake,
    core: Core<'static>,
    tlbs: CpuTlbs<'static>,
    domains: &'static Domains,
    boot: Boot<'static, Fake>,
}

fn world(cpus: u32) -> World {
    let (fake, boot, core) = Fake::start(cpus, 512);
    let tlbs = CpuTlbs::new(&boot).unwrap();
    let domains = &boot.array::<Domains>(1).unwrap()[0];
    let cx = fake.cx(core, 0);
    for (i, domain) in domains.all.iter().enumerate() {
        domain.init(&cx, &tlbs, Asid(i as u32 + 1));
    }
    World { fake, core, tlbs, domains, boot }
}

impl World {
    fn cx(&self, cpu: u32) -> Cx<'static, Fake> {
        self.fake.cx(self.core, cpu)
    }

    /// The context of CPU 0, the first domain, and some room.
    fn start(&self, room: u32) -> (Cx<'static, Fake>, &'static Domain, Pool) {
        (self.cx(0), &self.domains.all[0], Pool::of(400, room))
    }
}

struct Pool(RefCell<Vec<KernelFrame>>);

impl Pool {
    fn of(first: u32, frames: u32) -> Pool {
        Pool(RefCell::new((first..first + frames).map(|i| KernelFrame(Pfn(i))).collect()))
    }
    fn left(&self) -> usize {
        self.0.borrow().len()
    }
}

impl Room<'static, Fake> for Pool {
    fn take_room(&self, _: &mut Cx<'static, Fake, { level::TABLE1 }>, _: usize) -> Option<KernelFrame> {
        self.0.borrow_mut().pop()
    }
    fn return_room(&self, _: &mut Cx<'static, Fake, { level::TABLE1 }>, frame: KernelFrame) {
        self.0.borrow_mut().push(frame);
    }
}

fn page(n: u64) -> VpnRange {
    VpnRange::sized(Vpn(n), 1)
}

type Pages<'b> = Batch<'b, 'static, Fake, u64>;

#[test]
fn many_changes_are_one_round_and_payloads_come_back_in_order() {
    let world = world(2);
    let (mut cx, domain, pool) = world.start(60);
    domain.activate(world.cx(1).at(), &world.tlbs, ROOT);
    let mut batch = Pages::new(domain, &pool);
    for n in 0..20_000 {
        assert!(!batch.is_full());
        batch.push(cx.at(), Revoked::page(domain, page(n), n));
    }
    assert!(pool.left() < 30);
    let mut seen = Vec::new();
    batch.settle(cx.at(), |_, n| seen.push(n));
    assert_eq!(seen, (0..20_000).collect::<Vec<_>>());
    assert_eq!(pool.left(), 60);
    assert_eq!(world.core.total(Counter::TlbFlushRounds), 1);
    assert_eq!(world.core.total(Counter::TlbIpis), 1);
    assert_eq!(world.core.total(Counter::GracePeriods), 0, "no table was unlinked");
    assert_eq!(world.fake.flushes.lock().unwrap()[0].1.pages, None, "more than 33 pages: all of the space");
    batch.settle(cx.at(), |_, _| unreachable!());
    assert_eq!(world.core.total(Counter::Batches), 1);
}

#[test]
fn without_room_a_batch_is_full_early_and_works_again_once_settled() {
    let world = world(1);
    let (mut cx, domain, pool) = world.start(0);
    let mut batch = Pages::new(domain, &pool);
    let mut finished = 0;
    for n in 0..100 {
        if batch.is_full() {
            batch.settle(cx.at(), |_, _| finished += 1);
        }
        batch.push(cx.at(), Revoked::page(domain, page(n), n));
    }
    batch.settle(cx.at(), |_, _| finished += 1);
    assert_eq!(finished, 100);
    assert!(world.core.total(Counter::Batches) >= 3);
}

#[test]
fn room_is_made_for_many_payloads_before_the_first_or_refused() {
    let world = world(1);
    let (mut cx, domain, pool) = world.start(3);
    let mut batch = Pages::new(domain, &pool);
    assert!(batch.make_room(cx.at(), 600));
    assert_eq!(pool.left(), 1);
    for n in 0..600 {
        batch.push(cx.at(), Revoked::page(domain, page(n), n));
    }
    assert!(!batch.make_room(cx.at(), 3 * 512), "three frames and what is inline have fewer places left");
    let mut seen = Vec::new();
    batch.settle(cx.at(), |_, n| seen.push(n));
    assert_eq!(seen, (0..600).collect::<Vec<_>>());
    assert_eq!(pool.left(), 3);
}

#[test]
fn what_is_finished_was_seen_ahead_once() {
    let world = world(1);
    let (mut cx, domain, pool) = world.start(3);
    let mut batch = Pages::new(domain, &pool);
    for n in 0..700 {
        batch.push(cx.at(), Revoked::page(domain, page(n), n));
    }
    let (ahead, mut finished) = (RefCell::new(Vec::new()), 0);
    batch.settle_ahead(
        cx.at(),
        |_, n| ahead.borrow_mut().push(n),
        |_, n| {
            let seen = ahead.borrow().len() as u64;
            assert!(n == finished && (n + 1..=n + 17).contains(&seen), "{n}: {seen} seen ahead");
            finished += 1;
        },
    );
    assert_eq!(finished, 700);
    assert_eq!(*ahead.borrow(), (0..700).collect::<Vec<_>>());
}

#[test]
fn a_space_nobody_is_active_in_is_not_flushed() {
    let world = world(2);
    let (mut cx, domain, pool) = world.start(1);
    let mut batch = Pages::new(domain, &pool);
    batch.push(cx.at(), Revoked::page(domain, page(1), 1));
    batch.settle(cx.at(), |_, _| {});
    assert!(world.fake.flushes.lock().unwrap().is_empty());
    assert_eq!(world.core.total(Counter::TlbLocal), 0);
}

#[test]
fn only_this_cpu_is_local_and_few_pages_are_flushed_one_by_one() {
    let world = world(2);
    let (mut cx, domain, pool) = world.start(1);
    domain.activate(cx.at(), &world.tlbs, ROOT);
    world.fake.hold(0, domain.asid(), Vpn(7));
    world.fake.hold(0, domain.asid(), Vpn(50));
    let mut batch = Pages::new(domain, &pool);
    batch.push(cx.at(), Revoked::change(domain, page(7)));
    assert!(world.fake.holds(0, domain.asid(), Vpn(7)));
    batch.flush_now(cx.at());
    assert!(!world.fake.holds(0, domain.asid(), Vpn(7)));
    assert!(world.fake.holds(0, domain.asid(), Vpn(50)));
    assert!(batch.is_empty());
    assert_eq!(world.core.total(Counter::TlbLocal), 1);
    assert_eq!(world.core.total(Counter::TlbFlushRounds), 0);
}

#[test]
fn an_unlinked_table_costs_one_grace_period_and_flushes_upper_levels() {
    let world = world(2);
    let (mut cx, domain, pool) = world.start(1);
    domain.activate(world.cx(1).at(), &world.tlbs, ROOT);
    let mut batch = Pages::new(domain, &pool);
    batch.push(cx.at(), Revoked::table(domain, VpnRange::sized(Vpn(0), 512), 1));
    batch.push(cx.at(), Revoked::table(domain, VpnRange::sized(Vpn(512), 512), 2));
    batch.push(cx.at(), Revoked::page(domain, page(3), 3));
    batch.settle(cx.at(), |_, _| {});
    assert_eq!(world.core.total(Counter::GracePeriods), 1);
    let flushes = world.fake.flushes.lock().unwrap();
    assert_eq!(flushes.len(), 1);
    assert!(flushes[0].1.tables);
}

#[test]
fn entries_hardware_never_saw_need_no_flush_but_give_their_payload() {
    let world = world(2);
    let (mut cx, domain, pool) = world.start(1);
    domain.activate(world.cx(1).at(), &world.tlbs, ROOT);
    let mut batch = Pages::new(domain, &pool);
    batch.push(cx.at(), Revoked::unseen(domain, page(1), Some(5)));
    let mut got = 0;
    batch.settle(cx.at(), |_, n| got = n);
    assert_eq!(got, 5);
    assert!(world.fake.flushes.lock().unwrap().is_empty());
}

#[test]
fn a_cpu_that_left_is_not_asked_and_drops_what_it_kept_when_it_comes_back() {
    let world = world(2);
    let domain = &world.domains.all[0];
    let asid = domain.asid();
    let pool = Pool::of(400, 1);
    let mut cx = world.cx(0);
    let mut lazy = world.cx(1);
    domain.activate(lazy.at(), &world.tlbs, ROOT);
    world.fake.hold(1, asid, Vpn(7));
    domain.deactivate(lazy.at(), &world.tlbs);
    domain.activate(lazy.at(), &world.tlbs, ROOT);
    assert!(world.fake.holds(1, asid, Vpn(7)), "nothing was revoked meanwhile");
    domain.deactivate(lazy.at(), &world.tlbs);
    let mut batch = Pages::new(domain, &pool);
    batch.push(cx.at(), Revoked::page(domain, page(7), 7));
    batch.settle(cx.at(), |_, _| {});
    assert_eq!(world.core.total(Counter::TlbIpis), 0);
    assert!(world.fake.holds(1, asid, Vpn(7)));
    domain.activate(lazy.at(), &world.tlbs, ROOT);
    assert!(!world.fake.holds(1, asid, Vpn(7)));
}

#[test]
fn a_cpu_that_was_flushed_while_active_keeps_the_rest_across_a_break() {
    let world = world(2);
    let (domain, other) = (&world.domains.all[0], &world.domains.all[1]);
    let pool = Pool::of(400, 1);
    let mut cx = world.cx(0);
    let mut target = world.cx(1);
    domain.activate(target.at(), &world.tlbs, ROOT);
    world.fake.hold(1, domain.asid(), Vpn(7));
    world.fake.hold(1, domain.asid(), Vpn(8));
    let mut batch = Pages::new(domain, &pool);
    batch.push(cx.at(), Revoked::page(domain, page(7), 7));
    batch.settle(cx.at(), |_, _| {});
    domain.switch(target.at(), &world.tlbs, (other, ROOT));
    assert_eq!(domain.active(&cx), CpuSet::EMPTY);
    other.switch(target.at(), &world.tlbs, (domain, ROOT));
    assert!(!world.fake.holds(1, domain.asid(), Vpn(7)));
    assert!(world.fake.holds(1, domain.asid(), Vpn(8)));
}

#[test]
fn a_cpu_forgets_the_oldest_of_many_spaces_and_then_drops() {
    let world = world(1);
    let mut cx = world.cx(0);
    for domain in &world.domains.all {
        domain.activate(cx.at(), &world.tlbs, ROOT);
        world.fake.hold(0, domain.asid(), Vpn(1));
        domain.deactivate(cx.at(), &world.tlbs);
    }
    let (first, last) = (&world.domains.all[0], &world.domains.all[7]);
    last.activate(cx.at(), &world.tlbs, ROOT);
    assert!(world.fake.holds(0, last.asid(), Vpn(1)));
    last.switch(cx.at(), &world.tlbs, (first, ROOT));
    assert!(!world.fake.holds(0, first.asid(), Vpn(1)));
}

#[test]
fn a_new_space_with_the_name_of_a_dead_one_finds_no_old_translations() {
    let world = world(1);
    let mut cx = world.cx(0);
    let domain = &world.domains.all[0];
    domain.activate(cx.at(), &world.tlbs, ROOT);
    world.fake.hold(0, domain.asid(), Vpn(1));
    domain.deactivate(cx.at(), &world.tlbs);
    let reborn = &world.boot.array::<Domains>(1).unwrap()[0].all[0];
    reborn.init(&cx, &world.tlbs, domain.asid());
    reborn.activate(cx.at(), &world.tlbs, ROOT);
    assert!(!world.fake.holds(0, domain.asid(), Vpn(1)));
}

#[test]
fn who_found_entries_empty_flushes_while_another_batch_owes_a_flush() {
    let world = world(2);
    let domain = &world.domains.all[0];
    let pool = Pool::of(400, 1);
    let (mut cx, mut other) = (world.cx(0), world.cx(1));
    domain.activate(other.at(), &world.tlbs, ROOT);
    world.fake.hold(1, domain.asid(), Vpn(7));
    let mut first = Pages::new(domain, &pool);
    first.push(other.at(), Revoked::page(domain, page(7), 7));

    let mut second = Pages::new(domain, &pool);
    second.answer_for(page(7));
    second.settle(cx.at(), |_, _| unreachable!());
    assert!(!world.fake.holds(1, domain.asid(), Vpn(7)), "L-10");

    first.settle(other.at(), |_, _| {});
    let before = world.fake.flushes.lock().unwrap().len();
    second.answer_for(page(7));
    second.settle(cx.at(), |_, _| unreachable!());
    assert_eq!(world.fake.flushes.lock().unwrap().len(), before, "nobody owes a flush any more");
    assert_eq!(domain.owed(&cx), 0);
}

#[test]
fn a_cpu_claims_no_generation_while_an_earlier_flush_is_under_way() {
    let world = world(1);
    let cx = world.cx(0);
    let words = world.boot.array::<machine::Word>(2).unwrap();
    let (begun, done) = (&words[0], &words[1]);
    revoke::protocol::begin(&cx, begun);
    revoke::protocol::begin(&cx, begun);
    revoke::protocol::finish(&cx, done);
    assert_eq!(revoke::protocol::confirm(&cx, begun, done), None, "the other may not have read the set yet");
    revoke::protocol::finish(&cx, done);
    assert_eq!(revoke::protocol::confirm(&cx, begun, done), Some(2));
}

#[test]
#[should_panic(expected = "a batch is settled before it is dropped")]
#[cfg(debug_assertions)]
fn dropping_an_unsettled_batch_is_noticed() {
    let world = world(1);
    let (mut cx, domain, pool) = world.start(1);
    let mut batch = Pages::new(domain, &pool);
    batch.push(cx.at(), Revoked::page(domain, page(7), 7));
}
