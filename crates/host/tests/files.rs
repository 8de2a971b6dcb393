//! Files that processes of several threads map: shared stores, private copies, writing back, truncation.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![forbid(unsafe_code)]

mod common;

use common::{Calls, Clock, DONTNEED, Dice, FIXED, P, PRIVATE, RW, SHARED, World, machine, seed};
use freehold::frame::Id;
use freehold::linux::{FileRights, MapFile, Mmap, Process};
use freehold::machine::{CpuId, FileKey, VirtAddr};
use freehold::object::FileKind;
use host::Program;

const KEY: FileKey = FileKey(5);
const PAGES: u64 = 96;
const SHARED_AT: u64 = 0x10_0000_0000;
const PRIVATE_AT: u64 = 0x20_0000_0000;
const MS_SYNC: u64 = 4;

/// What the file had in a page before anybody stored.
fn original(page: u64) -> u64 {
    0xf11e_0000 + page
}

fn map(program: &mut Program<'_, '_>, file: &MapFile, addr: u64, kind: u64) {
    let args = Mmap { addr, len: PAGES * P, prot: RW, flags: kind | FIXED, offset: 0 };
    let process = program.process();
    assert_eq!(program.linux().mmap(program.cx(), process, &args, Some(file)), Ok(addr));
}

/// Adds to the page's word through the shared mapping: `turns` times by each thread, all of which must count.
fn thread(program: &mut Program<'_, '_>, file: &MapFile, clock: &Clock, dice: &mut Dice) -> Vec<u64> {
    map(program, file, SHARED_AT, SHARED);
    map(program, file, PRIVATE_AT, PRIVATE);
    let process = program.process();
    let mut added = vec![0; PAGES as usize];
    let mut copies = vec![None; PAGES as usize];
    while !clock.is_over() {
        let page = dice.below(PAGES);
        let (shared, private) = (VirtAddr(SHARED_AT + page * P), VirtAddr(PRIVATE_AT + page * P));
        match dice.below(20) {
            0..8 => {
                program.faulting(|cpu| cpu.fetch_add(shared, 1)).expect("mapped");
                added[page as usize] += 1;
            }
            8..12 => {
                let value = dice.next();
                program.store(private, value).expect("mapped");
                copies[page as usize] = Some(value);
            }
            12..16 => {
                let found = program.load(private).expect("mapped");
                match copies[page as usize] {
                    Some(value) => assert_eq!(found, value, "a private page"),
                    None => assert!((original(page)..original(page) + (1 << 32)).contains(&found)),
                }
            }
            16 => {
                let len = (1 + dice.below(4)).min(PAGES - page) * P;
                assert_eq!(program.linux().msync(program.cx(), process, shared.0, len, MS_SYNC), Ok(()));
            }
            17 => {
                assert_eq!(program.advise(private.0, 1, DONTNEED), Ok(()));
                copies[page as usize] = None;
            }
            18 => assert_eq!(program.advise(shared.0, 1, DONTNEED), Ok(())),
            _ => {
                program.linux().objects().drop_clean(program.cx().at(), 8);
            }
        }
    }
    added
}

#[test]
fn every_addition_to_a_shared_file_counts_and_is_written_back() {
    let seed = seed("every_addition_to_a_shared_file_counts_and_is_written_back");
    let machine = machine(seed, 3, 16 << 20);
    for page in 0..PAGES {
        let mut bytes = [0; P as usize];
        bytes[..8].copy_from_slice(&original(page).to_ne_bytes());
        machine.set_file_page(KEY, page, &bytes);
    }
    let world = World::new(&machine);
    let objects = world.linux().objects();
    let opened = objects.open(world.cx().at(), KEY, FileKind::Regular, PAGES * P).expect("a file");
    let file = MapFile { file: opened, rights: FileRights::READ | FileRights::WRITE };
    let clock = Clock::millis(1500);
    // Two threads of one process each have mappings of their own there; the third is another process.
    let processes: Vec<Id<Process>> = (0..3).map(|_| world.process()).collect();
    let added: Vec<Vec<u64>> = machine.run(|threads| {
        let all: Vec<_> = processes
            .iter()
            .zip(0..)
            .map(|(&process, number)| {
                let (world, file, clock) = (&world, &file, &clock);
                threads.spawn(CpuId(number), move |cpu| {
                    let mut program = Program::new(cpu, &world.manager, process).expect("a thread");
                    thread(&mut program, file, clock, &mut Dice(seed ^ u64::from(number)))
                })
            })
            .collect();
        all.into_iter().map(|thread| thread.join().expect("no panic").expect("a CPU")).collect()
    });
    let total: u64 = added.iter().flatten().sum();
    println!("{total} additions");
    assert!(total > 100);
    world.linux().fsync(&mut world.cx(), processes[0], &file).expect("written");
    for page in 0..PAGES {
        let stored = machine.file_page(KEY, page);
        let word = u64::from_ne_bytes(stored[..8].try_into().expect("eight bytes"));
        let sum: u64 = added.iter().map(|added| added[page as usize]).sum();
        assert_eq!(word, original(page) + sum, "page {page}");
    }
    objects.close(world.cx().at(), opened).expect("written");
    world.finish();
}
