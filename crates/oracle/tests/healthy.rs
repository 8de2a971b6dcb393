//! A machine whose manager does its work breaks no rule.

mod common;

use common::*;
use machine::{Access, CpuId, Vpn, VpnRange};
use object::FileKind;
use oracle::{Report, Rule};
use space::{Advice, Grow, LockMode, Remap, RemapPlace, Source, VmaFlags};

#[test]
fn an_empty_machine_breaks_no_rule() {
    let machine = machine(64 << 20);
    let mut world = World::new(&machine);
    let report = world.healthy();
    assert!(report.checks_of(Rule::FR1) > 0 && report.blocks > 0);
    assert_eq!((report.spaces, report.entries), (0, 0));
}

#[test]
fn memory_that_is_mapped_touched_and_unmapped_breaks_no_rule() {
    let machine = machine(64 << 20);
    let mut world = World::new(&machine);
    let space = world.create();
    world.healthy();
    world.run_on(0, Some(space));
    let range = world.anon(space, 0x1000, 1100, RW);
    world.healthy();
    world.touch_all(0, VpnRange::sized(range.start, 600), Access::Write);
    world.touch_all(0, VpnRange::sized(range.start + 600, 100), Access::Read);
    let report = world.healthy();
    assert_eq!((report.vmas, report.entries), (1, 700));
    assert!(report.translations >= 700);
    let spaces = world.faults.spaces();
    spaces.unmap(world.cxs[0].at(), space, VpnRange::sized(range.start + 100, 550)).expect("unmapped");
    assert_eq!(world.healthy().entries, 150);
    world.run_on(0, None);
    world.healthy();
    world.release(space);
    let report = world.healthy();
    assert_eq!((report.spaces, report.tables, report.entries), (0, 0, 0));
}

#[test]
fn families_that_share_and_part_break_no_rule() {
    let machine = machine(64 << 20);
    let mut world = World::new(&machine);
    let parent = world.create();
    world.run_on(0, Some(parent));
    let range = world.anon(parent, 0x1000, 64, RW);
    world.touch_all(0, range, Access::Write);
    let child = world.fork(parent);
    world.healthy();
    world.run_on(1, Some(child));
    world.touch_all(1, VpnRange::sized(range.start, 16), Access::Write);
    world.healthy();
    world.touch_all(0, VpnRange::sized(range.start + 8, 16), Access::Write);
    world.healthy();
    let grandchild = world.fork(child);
    world.healthy();
    world.run_on(1, None);
    world.release(child);
    world.healthy();
    world.touch_all(0, range, Access::Write);
    world.run_on(1, Some(grandchild));
    world.touch_all(1, range, Access::Write);
    world.healthy();
    world.run_on(0, None);
    world.release(parent);
    world.healthy();
    world.run_on(1, None);
    world.release(grandchild);
    world.healthy();
}

#[test]
fn files_that_are_read_written_and_cut_break_no_rule() {
    let machine = machine(64 << 20);
    let mut world = World::new(&machine);
    let space = world.create();
    world.run_on(0, Some(space));
    let file = world.open(1, FileKind::Regular, 100);
    let memory = world.open(2, FileKind::Memory, 50);
    let shared = world.map_at(space, 0x1000, 100, RW, More::shared(file, 0));
    let private = world.map_at(space, 0x2000, 60, RW, More::private(file, 40));
    let shmem = world.map_at(space, 0x3000, 50, RW, More::shared(memory, 0));
    world.healthy();
    world.touch_all(0, VpnRange::sized(shared.start, 40), Access::Read);
    world.touch_all(0, VpnRange::sized(shared.start + 20, 40), Access::Write);
    world.touch_all(0, VpnRange::sized(private.start, 30), Access::Read);
    world.touch_all(0, VpnRange::sized(private.start + 20, 20), Access::Write);
    world.touch_all(0, shmem, Access::Write);
    let report = world.healthy();
    assert!(report.cached >= 130 && report.files == 2);
    let child = world.fork(space);
    world.healthy();
    let objects = world.faults.spaces().objects();
    objects.writeback(world.cxs[0].at(), file, 0..100).expect("written");
    world.healthy();
    world.touch_all(0, VpnRange::sized(shared.start + 25, 4), Access::Write);
    let objects = world.faults.spaces().objects();
    objects.truncate(world.cxs[0].at(), file, 30 * 4096 + 5).expect("cut");
    world.healthy();
    world.run_on(1, Some(child));
    world.touch_all(1, VpnRange::sized(shared.start, 31), Access::Write);
    world.healthy();
    world.run_on(1, None);
    world.release(child);
    world.run_on(0, None);
    world.release(space);
    world.healthy();
    world.close(memory);
    world.close(file);
    world.healthy();
    let objects = world.faults.spaces().objects();
    objects.drop_clean(world.cxs[0].at(), u64::MAX);
    assert_eq!(world.healthy().cached, 0);
}

#[test]
fn rearranged_mappings_break_no_rule() {
    let machine = machine(64 << 20);
    let mut world = World::new(&machine);
    let space = world.create();
    world.run_on(0, Some(space));
    let range = world.anon(space, 0x1000, 64, RW);
    world.touch_all(0, range, Access::Write);
    let cx = world.cxs[0].at();
    let spaces = world.faults.spaces();
    spaces.protect(cx, space, VpnRange::sized(Vpn(0x1008), 8), READ, Grow::No).expect("protected");
    spaces.advise(cx, space, VpnRange::sized(Vpn(0x1020), 8), Advice::Sequential).expect("advised");
    spaces.lock(cx, space, VpnRange::sized(Vpn(0x1028), 4), LockMode::Now).expect("locked");
    spaces.advise(cx, space, VpnRange::sized(Vpn(0x1010), 4), Advice::DontNeed).expect("dropped");
    world.healthy();
    let remap = Remap {
        old: VpnRange::sized(Vpn(0x1000), 8),
        new_pages: 16,
        place: RemapPlace::Fixed(Vpn(0x9123)),
        source: Source::Unmap,
    };
    let cx = world.cxs[0].at();
    world.faults.spaces().remap(cx, space, &remap).expect("moved");
    world.healthy();
    let child = world.fork(space);
    world.healthy();
    world.touch_all(0, VpnRange::sized(Vpn(0x9123), 16), Access::Write);
    let cx = world.cxs[0].at();
    let spaces = world.faults.spaces();
    spaces.protect(cx, space, VpnRange::sized(Vpn(0x1008), 8), RW, Grow::No).expect("protected");
    spaces.unlock(cx, space, VpnRange::sized(Vpn(0x1028), 4)).expect("unlocked");
    spaces.init_break(cx, space, 0x2000_0000);
    spaces.set_break(cx, space, 0x2001_2345).expect("grown");
    world.map_at(space, 0x5_0000, 16, RW, More::flags(VmaFlags::GROWS_DOWN | VmaFlags::STACK));
    world.touch(0, Vpn(0x4_fff8), Access::Write);
    world.touch_all(0, VpnRange::sized(Vpn(0x2_0000), 0x12), Access::Write);
    world.healthy();
    let cx = world.cxs[0].at();
    world.faults.spaces().set_break(cx, space, 0x2000_0000).expect("shrunk");
    world.healthy();
    world.run_on(0, None);
    world.release(space);
    world.healthy();
    world.release(child);
    world.healthy();
}

/// A CPU that left a space keeps translations nobody flushes; it may not use them, and drops them when it is
/// back.
#[test]
fn what_a_cpu_keeps_of_a_space_it_left_breaks_no_rule() {
    let machine = machine(64 << 20);
    let mut world = World::new(&machine);
    let space = world.create();
    world.run_on(0, Some(space));
    world.run_on(1, Some(space));
    let range = world.anon(space, 0x1000, 8, RW);
    world.touch_all(0, range, Access::Write);
    world.touch_all(1, range, Access::Write);
    world.run_on(1, None);
    world.healthy();
    assert_eq!(machine.translations(CpuId(1)), 8);
    let cx = world.cxs[0].at();
    world.faults.spaces().unmap(cx, space, range).expect("unmapped");
    assert_eq!(machine.translations(CpuId(1)), 8);
    world.healthy();
    world.run_on(1, Some(space));
    assert_eq!(machine.translations(CpuId(1)), 0);
    world.healthy();
}

#[test]
fn reports_add_up() {
    let machine = machine(64 << 20);
    let mut world = World::new(&machine);
    let one = world.healthy();
    let mut sum = Report::default();
    sum.add(&one);
    sum.add(&one);
    assert_eq!(sum.checks(), 2 * one.checks());
    assert_eq!(sum.checks_of(Rule::FR1), 2 * one.checks_of(Rule::FR1));
    assert!(sum.rules() <= Rule::ALL.len());
}
