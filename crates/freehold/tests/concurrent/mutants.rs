//! Every bug that can be planted is noticed, by the race that is named here and for the reason that is named
//! here. One that survives fails the test, and so does one without a race.

use crate::race::PLANTED;
use crate::{narrow, races};
use freehold::machine::Plant;
use std::any::Any;
use std::panic::{catch_unwind, set_hook, take_hook};

/// What must notice a planted bug.
struct Row {
    plant: Plant,
    race: fn(),
    /// What it says then.
    says: &'static str,
}

const fn row(plant: Plant, race: fn(), says: &'static str) -> Row {
    Row { plant, race, says }
}

const ROWS: &[Row] = &[
    row(Plant::FlushForgotten, races::munmap_and_mmap_of_one_place_and_faults, "in round"),
    row(Plant::FreedBeforeFlush, races::munmap_and_mmap_of_one_place_and_faults, "StaleTranslation"),
    row(Plant::TableWithoutGrace, narrow::a_truncation_through_tables_that_go, "spins on descriptor"),
    row(Plant::UpperLevelsKept, narrow::a_table_that_serves_elsewhere, "Ok(111)"),
    row(Plant::NestedIgnored, narrow::dontneed_of_what_a_truncation_takes, "what was dropped is there"),
    row(Plant::GenerationRaisedLate, narrow::a_cpu_that_comes_back_to_an_unmapped_page, "after munmap"),
    row(Plant::GenerationIgnored, narrow::a_cpu_that_comes_back_to_an_unmapped_page, "after munmap"),
    row(Plant::StampUnchecked, races::mprotect_and_stores_through_old_translations, "stores are forbidden"),
    row(Plant::EntryUnchecked, races::two_faults_on_one_page, "the entry is in use"),
    row(Plant::EmptyLeafSkipped, narrow::a_fault_in_a_leaf_table_that_is_there_and_empty, "with entries"),
    row(Plant::HoleBelieved, races::splits_and_merges_under_faults, "Err(Segv)"),
    row(Plant::ForkLeavesWritable, races::fork_and_stores_to_what_it_copies, "the child had"),
    row(Plant::ForkLeavesExclusive, races::fork_and_stores_to_what_it_copies, "mapped once (CR2)"),
    row(Plant::ForkUnmarked, races::a_child_has_no_store_without_the_one_before, "is there"),
    row(Plant::ReuseByMapcount, narrow::a_parent_writes_what_its_child_just_dropped, "reads Ok(9)"),
    row(Plant::CopyBeforeFlush, narrow::a_copy_that_others_write_and_read_at_once, "after a store of 5"),
    row(Plant::SplitForgetsPrivate, races::a_first_private_page_is_not_lost_by_a_split_or_merge, "Ok(0)"),
    row(Plant::DirtyClearedLate, races::msync_and_stores, "in the file"),
    row(Plant::DisownedLate, races::truncate_and_faults_on_the_files_pages, "is there"),
    row(Plant::UptodateEarly, races::two_readers_fill_the_page_cache, "deadbeef"),
    row(Plant::GetFromZero, narrow::a_lookup_of_a_page_that_reclaim_takes, "a reference to a free folio"),
    row(Plant::WaiterFlagLate, narrow::a_truncation_that_waits_for_a_page_being_read, "parked in the kernel"),
    row(Plant::UnlockWithoutWake, races::truncate_and_faults_on_the_files_pages, "parked in the kernel"),
    row(Plant::PromiseKept, races::fork_and_munmap, "VR3"),
    row(Plant::PromiseLeaked, narrow::a_shortage_inside_mmap, "VR4"),
    row(Plant::DrainForgotten, races::two_readers_fill_the_page_cache, "FR1"),
    row(Plant::GuardGapForgotten, narrow::a_stack_keeps_its_distance, "in the guard gap"),
];

#[test]
fn every_planted_bug_has_a_race_that_notices_it() {
    for plant in Plant::ALL {
        assert!(ROWS.iter().any(|row| row.plant == *plant), "{plant}: nothing is said to notice it");
    }
}

/// `docs/judges.md` tells the story of each, with the race.
#[test]
fn the_documented_bugs_are_those_that_can_be_planted() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/judges.md");
    let text = std::fs::read_to_string(path).expect("docs/judges.md");
    let told =
        |plant: &Plant| text.lines().filter(|line| line.starts_with(&format!("| `{plant}` |"))).count();
    for plant in Plant::ALL {
        assert_eq!(told(plant), 1, "{plant}");
    }
}

#[test]
fn no_planted_bug_survives() {
    // What a planted bug says is looked at here, and is no news to whoever runs the test.
    let usual = take_hook();
    set_hook(Box::new(move |info| {
        if PLANTED.get().is_none() {
            usual(info);
        }
    }));
    let wrong: Vec<String> = ROWS.iter().filter_map(|row| judge(row).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `Err`: the bug went unnoticed, or something else was noticed.
fn judge(row: &Row) -> Result<(), String> {
    PLANTED.set(Some(row.plant));
    let outcome = catch_unwind(row.race);
    PLANTED.set(None);
    let Err(panic) = outcome else { return Err(format!("{} survives", row.plant)) };
    let said = message(&*panic);
    match said.contains(row.says) {
        true => Ok(()),
        false => Err(format!("{}: not {:?}, but: {said}", row.plant, row.says)),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("nothing")
}
