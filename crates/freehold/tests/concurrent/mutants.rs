//! Every planted bug is noticed.

use crate::race::PLANTED;
use crate::races;
use freehold::machine::Plant;
use std::panic::catch_unwind;

const RACES: &[(&str, fn())] = &[
    ("a_fault_and_munmap_of_an_empty_leaf_table", races::a_fault_and_munmap_of_an_empty_leaf_table),
    ("two_faults_on_one_page", races::two_faults_on_one_page),
    ("fork_and_stores_to_what_it_copies", races::fork_and_stores_to_what_it_copies),
    ("a_child_has_no_store_without_the_one_before", races::a_child_has_no_store_without_the_one_before),
    (
        "a_first_private_page_is_not_lost_by_a_split_or_merge",
        races::a_first_private_page_is_not_lost_by_a_split_or_merge,
    ),
    ("fork_and_munmap", races::fork_and_munmap),
    ("munmap_and_mmap_of_one_place_and_faults", races::munmap_and_mmap_of_one_place_and_faults),
    ("mprotect_and_stores_through_old_translations", races::mprotect_and_stores_through_old_translations),
    ("mremap_and_faults_at_both_places", races::mremap_and_faults_at_both_places),
    ("two_readers_fill_the_page_cache", races::two_readers_fill_the_page_cache),
    ("truncate_and_faults_on_the_files_pages", races::truncate_and_faults_on_the_files_pages),
    ("truncate_and_faults_on_private_copies", races::truncate_and_faults_on_private_copies),
    ("msync_and_stores", races::msync_and_stores),
    (
        "a_file_that_munmap_closes_while_it_is_faulted_in",
        races::a_file_that_munmap_closes_while_it_is_faulted_in,
    ),
    ("exec_and_exit_of_a_borrower_and_faults", races::exec_and_exit_of_a_borrower_and_faults),
    ("two_threads_grow_a_stack", races::two_threads_grow_a_stack),
    ("dontneed_and_faults", races::dontneed_and_faults),
    ("splits_and_merges_under_faults", races::splits_and_merges_under_faults),
    ("drains_and_allocations", races::drains_and_allocations),
    ("the_oom_killer_takes_a_space_that_is_faulting", races::the_oom_killer_takes_a_space_that_is_faulting),
    ("the_oom_killer_spares_a_child_in_the_making", races::the_oom_killer_spares_a_child_in_the_making),
];

#[test]
#[ignore]
fn explore() {
    let plant: Plant = std::env::var("PLANT").unwrap().parse().unwrap();
    let only = std::env::var("RACE").unwrap();
    for (name, race) in RACES.iter().filter(|(name, _)| *name == only) {
        PLANTED.set(Some(plant));
        let caught = catch_unwind(*race);
        PLANTED.set(None);
        let told = match caught {
            Ok(()) => "-".into(),
            Err(payload) => payload.downcast_ref::<String>().cloned().unwrap_or("?".into()),
        };
        eprintln!("RESULT {} {name}: {}", plant, told.lines().take(3).collect::<Vec<_>>().join(" | "));
    }
}
