//! What each side does of what costs time: a gain that is a missing feature is no gain.

/// Of a feature, what Freehold does and what Linux does.
const FEATURES: [[&str; 3]; 17] = [
    ["", "Freehold", "Linux"],
    ["way in and out", "a library call", "a trap a call (bench floors, the empty call)"],
    ["arguments, limits, commit accounting", "yes", "yes"],
    ["fresh memory zeroed", "yes, really", "yes"],
    ["frames from per-CPU lists, zones, watermarks", "yes", "yes"],
    ["reference, mapping count, owner (reverse map)", "yes", "yes"],
    ["exclusive pages, early copies of pinned ones", "yes", "yes"],
    ["resident-set counts", "yes", "yes, batched by CPU"],
    ["ages for reclaim", "in the descriptor", "LRU lists, through batches of each CPU"],
    ["memory control groups", "no", "charges and uncharges each page"],
    ["page tables of 4 levels, accessed and dirty bits", "yes", "yes"],
    ["tables freed behind lockless walkers", "one grace period a call", "RCU, or interrupts"],
    ["flush of this CPU", "a software TLB is emptied", "INVLPG, or a reload of CR3"],
    ["flush of others", "membarrier(2), waiting for accesses", "interrupts, waiting for handlers"],
    ["events counted", "yes", "yes"],
    ["userfaultfd, soft-dirty", "no", "checked for on the way"],
    ["hardened lists, retpolines, preemption points", "bounds are checked", "as configured"],
];

/// The table, a line a feature.
pub(crate) fn text() -> String {
    let width = |column: usize| FEATURES.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    let line = |[what, ours, linux]: [&str; 3]| format!("  {what:<first$}  {ours:<second$}  {linux}\n");
    FEATURES.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_documentation_has_the_same_table() {
        let documentation = include_str!("../../../../../docs/benchmarks.md");
        for [what, ours, linux] in &super::FEATURES[1..] {
            let line = format!("| {what} | {ours} | {linux} |");
            assert!(documentation.contains(&line), "{line}");
        }
    }
}
