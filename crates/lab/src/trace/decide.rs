//! Every decision a developer may question: which rule it follows, and which function of Linux (6.12) decides
//! the same.

use freehold::machine::Event;
use freehold::machine::trace::{Mapped, Shared, Uncached, Verdict, Work};

/// A decision.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// A short name.
    pub key: &'static str,
    /// The rule (docs/rules.md).
    pub rule: &'static str,
    /// The function of Linux that decides the same.
    pub linux: &'static str,
    /// Why, in a sentence.
    pub why: &'static str,
}

macro_rules! decisions {
    ($($name:ident: $key:literal, $rule:literal, $linux:literal, $why:literal;)*) => {
        $(const $name: &Decision = &Decision { key: $key, rule: $rule, linux: $linux, why: $why };)*

        /// All of them.
        pub const DECISIONS: &[&Decision] = &[$($name),*];
    };
}

decisions! {
    // Where nothing was mapped.
    ZERO_PAGE: "zero page", "CR29", "do_anonymous_page",
        "nothing was stored there yet: a load gets the one page of zeros, read-only";
    NEW_PAGE: "new page", "CR5", "do_anonymous_page",
        "the first store to anonymous memory: a new page, exclusive to this mapping";
    FILE_PAGE: "file page", "PR1", "do_read_fault",
        "a load of a mapped file: the cached page itself is mapped";
    AROUND: "fault-around", "PR1", "filemap_map_pages",
        "cached pages around a load of a file are mapped with it";
    SHARED_PAGE: "shared page", "PR2", "do_shared_fault",
        "a store to a shared mapping: the file's own page, marked dirty first";
    PRIVATE_COPY: "private copy", "PR7", "do_cow_fault",
        "a store to a private mapping of a file must not reach the file's page: it is copied at once";
    // A store to what is mapped read-only.
    EXCLUSIVE: "exclusive", "CR11", "do_wp_page",
        "the page is exclusive to this mapping: it is written in place";
    ALONE: "alone", "CR11", "wp_can_reuse_anon_folio",
        "nobody else has the page any more: it becomes exclusive and is written in place";
    SHARED_MAPPING: "shared mapping", "PR2", "wp_page_shared",
        "stores to a shared mapping are for everybody: the page is marked dirty and written in place";
    SPURIOUS: "spurious", "CR1", "handle_pte_fault",
        "the entry allows the access already";
    COPY_SHARED: "copied: shared", "CR11", "wp_can_reuse_anon_folio",
        "somebody else may see the page, so a store must go to a copy";
    COPY_FILE: "copied: file", "PR7", "do_wp_page",
        "the page is the file's, and a private mapping must not change it: a store goes to a copy";
    COPY_ZERO: "copied: zeros", "CR29", "wp_page_copy",
        "the page of zeros is everybody's: a store gets a new page";
    COPY_MERGED: "copied: merged", "CR20", "do_wp_page",
        "the page stands for several equal pages and never changes: a store goes to a copy";
    MERGED: "merged", "CR20", "try_to_merge_one_page",
        "the page has the bytes of another, and nobody can change them: both become one, read-only";
    // Held by others.
    PINNED: "pinned", "CR3", "try_grab_folio",
        "somebody reads or writes the page's bytes by its frame: it stays this program's page until then";
    // Fork.
    FORK_SHARED: "fork: shared", "CR6", "copy_present_ptes",
        "parent and child share the page, read-only: who stores first gets a copy";
    FORK_FILE: "fork: file", "PR7", "copy_present_ptes",
        "the page is the file's: the child maps it, too";
    FORK_ZERO: "fork: zeros", "CR29", "copy_present_ptes",
        "the page of zeros is everybody's";
    FORK_COPIED: "fork: copied", "CR6", "copy_present_page",
        "the page is pinned, or counted to the limit, and stays the parent's alone: the child gets a copy";
    FORK_PASSED: "fork: not copied", "PR7", "vma_needs_copy",
        "there is no private page in the mapping: the child finds its pages again by faulting";
    // Ranges.
    UNMAP: "unmapped", "LR10", "zap_pte_range",
        "the mapping goes: translations are taken, flushed once, then frames are let go";
    DISCARD: "discarded", "LR10", "zap_pte_range",
        "private contents are given up, the mapping stays";
    TRUNCATE: "truncated", "PR5", "unmap_mapping_range",
        "the file ends before the page now: no translation of it may stay";
    CLEAN: "cleaned", "LR11", "folio_mkclean",
        "the page is being written to its file: a later store must fault, to mark it dirty again";
    PROTECT: "protected", "CR13", "change_pte_range",
        "the mapping's rights changed; a page becomes writable without a fault only if it is exclusive";
    FORGET: "free lazily", "LR10", "madvise_free_pte_range",
        "the program does not need the contents: accessed and dirty bits go";
    COLLAPSE: "collapsed", "CR25", "collapse_huge_page",
        "small pages that nobody else holds are copied into one page of 2 MiB";
    MOVE: "moved", "LR10", "move_ptes",
        "mremap: the entry moves, old translations go before the tables are unlocked";
    // Cache.
    UNCACHED: "truncated from cache", "PR5", "truncate_inode_folio",
        "the file ends before the page now";
    DROPPED: "dropped from cache", "FR3", "__remove_mapping",
        "the page is clean and only the cache has it: it can be read again";
    UNREADABLE: "unreadable", "PR1", "filemap_read_folio",
        "a page that could not be read does not stay in the cache";
    // Tables, flushes, shortage.
    PRUNED: "table unlinked", "LR4", "free_pte_range",
        "a table without entries goes: unlinked, flushed, waited for, freed";
    FLUSH: "flush", "LR10", "flush_tlb_mm_range",
        "CPUs that may hold the old translations drop them before anything is reused";
    OOM: "OOM kill", "VR4", "oom_kill_process",
        "nothing else made memory free: the largest space dies";
}

/// The decision that an event tells of, if it does.
#[must_use]
pub const fn decision_of(event: &Event) -> Option<&'static Decision> {
    Some(match event {
        Event::MapChosen { mapped, .. } => mapping(*mapped),
        Event::StoreJudged { verdict, .. } => store(*verdict),
        Event::ForkShared { what: Shared::Anonymous, .. } => FORK_SHARED,
        Event::ForkShared { what: Shared::File, .. } => FORK_FILE,
        Event::ForkShared { what: Shared::Zero, .. } => FORK_ZERO,
        Event::ForkRefused { .. } => FORK_COPIED,
        Event::Merged { .. } => MERGED,
        Event::Pinned { .. } => PINNED,
        Event::WorkBegun { work, .. } => return of_work(*work),
        Event::PageUncached { why: Uncached::Truncated, .. } => UNCACHED,
        Event::PageUncached { why: Uncached::Dropped, .. } => DROPPED,
        Event::PageUncached { why: Uncached::Unreadable, .. } => UNREADABLE,
        Event::TableUnlinked { .. } => PRUNED,
        Event::FlushBegun { .. } => FLUSH,
        Event::OomKilled { .. } => OOM,
        _ => return None,
    })
}

const fn mapping(mapped: Mapped) -> &'static Decision {
    match mapped {
        Mapped::ZeroPage => ZERO_PAGE,
        Mapped::NewPage => NEW_PAGE,
        Mapped::FilePage => FILE_PAGE,
        Mapped::SharedPage => SHARED_PAGE,
        Mapped::Around => AROUND,
        Mapped::PrivateCopy => PRIVATE_COPY,
    }
}

const fn store(verdict: Verdict) -> &'static Decision {
    match verdict {
        Verdict::Exclusive => EXCLUSIVE,
        Verdict::Alone => ALONE,
        Verdict::SharedMapping => SHARED_MAPPING,
        Verdict::Spurious => SPURIOUS,
        Verdict::Shared => COPY_SHARED,
        Verdict::FilePage => COPY_FILE,
        Verdict::ZeroPage => COPY_ZERO,
        Verdict::Merged => COPY_MERGED,
    }
}

const fn of_work(work: Work) -> Option<&'static Decision> {
    Some(match work {
        Work::Unmap => UNMAP,
        Work::Discard => DISCARD,
        Work::Truncate => TRUNCATE,
        Work::Clean => CLEAN,
        Work::Protect => PROTECT,
        Work::Forget => FORGET,
        Work::Collapse => COLLAPSE,
        Work::Move { .. } => MOVE,
        Work::ForkPasses { .. } => FORK_PASSED,
        // Each page of it is decided by itself.
        Work::Fork { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::DECISIONS;

    #[test]
    fn every_decision_names_a_rule_of_the_book_and_is_named_once() {
        let rules = include_str!("../../../../docs/rules.md");
        for (number, decision) in DECISIONS.iter().enumerate() {
            assert!(rules.contains(&format!("| {}", decision.rule)), "{decision:?}");
            assert!(!decision.linux.is_empty() && !decision.why.ends_with('.'), "{decision:?}");
            let others = &DECISIONS[number + 1..];
            assert!(others.iter().all(|other| other.key != decision.key), "{decision:?}");
        }
    }
}
