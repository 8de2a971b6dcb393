//! Which pages leave memory: from the node that is short, and of the kind that is wanted.

mod common;

use common::{ANON, BASE, FIXED, LOCKED, PAGE, PRIVATE, READ, RW, System, machine};
use linux::{Errno, FileRights, SwapDevice};
use machine::{Counter, FileKey, NodeId};
use sim::{SimConfig, SimMachine};
use space::Stats;

const SWAP: FileKey = FileKey(7);
/// `MPOL_BIND`.
const BIND: u64 = 2;

fn at(page: u64) -> u64 {
    BASE + page * PAGE
}

fn with_swap(machine: &SimMachine) -> System<'_> {
    let mut system = System::with(machine, linux::Config::default());
    let pages = 8192;
    machine.sim_files().create_zeroed(SWAP, pages * PAGE);
    system.linux.swapon(&mut system.cx, SwapDevice::File { key: SWAP, pages }, None).expect("an area");
    system
}

fn stats(system: &System<'_>) -> Stats {
    let space = system.linux.process(system.process).space().expect("alive");
    system.linux.spaces().stats(space)
}

fn store(system: &mut System<'_>, first: u64, pages: u64) {
    (first..first + pages).for_each(|page| system.store(at(page), page + 1).expect("stored"));
}

/// How far the free frames of a node's zones are from their watermarks, high and low: the least.
fn above(system: &System<'_>, node: u8) -> (i64, i64) {
    let zones = system.linux.frames().zones().filter(|zone| zone.node == NodeId(node) && zone.managed > 0);
    let distances = zones.map(|zone| {
        let free = zone.free as i64;
        (free - zone.high as i64, free - zone.low as i64)
    });
    distances.min().expect("a zone")
}

#[test]
fn the_node_that_is_short_gives_its_pages() {
    let config =
        SimConfig { cpus: 2, nodes: 2, memory_bytes: 32 << 20, tasks_max: 8, ..SimConfig::default() };
    let machine = SimMachine::new(&config).expect("a machine");
    let mut system = with_swap(&machine);
    // Node 0 has plenty. Node 1 is to hold more than it has.
    let (here, there) = (1000, 5000);
    system.anon(BASE, here, RW);
    store(&mut system, 0, here);
    let spare = 200;
    system.anon(at(here), there + spare, RW);
    let range = (at(here), (there + spare) * PAGE);
    system.linux.mbind(&mut system.cx, system.process, range, (BIND, 2), 0).expect("bound");
    store(&mut system, here, there);
    let swapped = stats(&system).swapped;
    assert!(swapped > 900, "{swapped} pages are swapped out");
    assert_eq!(system.counter(Counter::OomKill), 0);
    let before = system.counter(Counter::PSwpIn);
    (0..here).for_each(|page| assert_eq!(system.load(at(page)), Ok(page + 1)));
    assert_eq!(system.counter(Counter::PSwpIn), before, "no page of node 0 had to go");
    // Background reclaim goes on where its watermark is not met, and nowhere else.
    let end = here + there;
    let more = (0..spare).find(|more| {
        store(&mut system, end + more, 1);
        above(&system, 1).1 < 0
    });
    assert!(more.is_some(), "node 1 stays above its low watermark");
    let anon = stats(&system).anon_rss;
    while system.linux.background_reclaim(&mut system.cx, 16) {}
    let (high, _) = above(&system, 1);
    assert!(high >= 0, "node 1 is {high} above its high watermark");
    assert!(stats(&system).anon_rss < anon);
    (0..here).for_each(|page| assert_eq!(system.load(at(page)), Ok(page + 1)));
    assert_eq!(system.counter(Counter::PSwpIn), before, "nor for that");
    (here..here + there).for_each(|page| assert_eq!(system.load(at(page)), Ok(page + 1), "page {page}"));
}

/// How many pages of a thousand leave a machine that becomes short: anonymous ones, and of a file.
fn gone(swappiness: u64) -> (u64, u64) {
    let machine = machine(16 << 20);
    let mut system = with_swap(&machine);
    system.linux.set_swappiness(swappiness).expect("a choice");
    let (pages, locked) = (1000, 2000);
    system.anon(BASE, pages, RW);
    store(&mut system, 0, pages);
    let file = system.file(9, pages * PAGE, FileRights::READ);
    let place = at(pages);
    assert_eq!(system.mmap_file(place, pages * PAGE, READ, PRIVATE | FIXED, &file, 0), Ok(place));
    (pages..2 * pages).for_each(|page| assert!(system.load(at(page)).is_ok()));
    assert_eq!((stats(&system).anon_rss, stats(&system).file_rss), (pages, pages));
    let place = at(2 * pages);
    assert_eq!(system.mmap(place, locked * PAGE, RW, PRIVATE | ANON | FIXED | LOCKED), Ok(place));
    assert_eq!((stats(&system).mlocked, system.counter(Counter::OomKill)), (locked, 0));
    let gone = (stats(&system).swapped, pages - stats(&system).file_rss);
    (0..pages).for_each(|page| assert_eq!(system.load(at(page)), Ok(page + 1)));
    gone
}

#[test]
fn the_kind_that_is_wanted_goes_first() {
    for swappiness in [0, 60] {
        let (anonymous, of_file) = gone(swappiness);
        assert!(anonymous == 0 && of_file > 0, "{swappiness}: {anonymous} and {of_file}");
    }
    for swappiness in [140, 200] {
        let (anonymous, of_file) = gone(swappiness);
        assert!(anonymous > 0 && of_file == 0, "{swappiness}: {anonymous} and {of_file}");
    }
    let (anonymous, of_file) = gone(100);
    assert!(anonymous + of_file > 0, "100: {anonymous} and {of_file}");
    let machine = machine(8 << 20);
    let system = System::new(&machine);
    assert_eq!(system.linux.set_swappiness(201), Err(Errno::EINVAL));
    assert_eq!(system.linux.balance().swappiness().get(), 60);
}
