//! How much an audit looked at.

use crate::rule::{RULES, Rule};

/// What an audit visited, and how often each rule was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// Address spaces.
    pub spaces: u64,
    /// VMAs.
    pub vmas: u64,
    /// Page tables.
    pub tables: u64,
    /// Entries that map something.
    pub entries: u64,
    /// Files.
    pub files: u64,
    /// Cached pages.
    pub cached: u64,
    /// Blocks of frames, free or not.
    pub blocks: u64,
    /// Translations of CPUs.
    pub translations: u64,
    /// Violations that were told.
    pub violations: u64,
    by_rule: [u64; RULES],
}

impl Report {
    /// Nothing so far.
    pub const EMPTY: Report = Report {
        spaces: 0,
        vmas: 0,
        tables: 0,
        entries: 0,
        files: 0,
        cached: 0,
        blocks: 0,
        translations: 0,
        violations: 0,
        by_rule: [0; RULES],
    };

    /// How often something was checked.
    pub fn checks(&self) -> u64 {
        self.by_rule.iter().sum()
    }

    /// How often one rule was checked.
    pub fn checks_of(&self, rule: Rule) -> u64 {
        self.by_rule[rule as usize]
    }

    /// How many rules were checked at least once.
    pub fn rules(&self) -> usize {
        self.by_rule.iter().filter(|&&checks| checks > 0).count()
    }

    /// Adds another audit's figures.
    pub fn add(&mut self, other: &Report) {
        let pairs = [
            (&mut self.spaces, other.spaces),
            (&mut self.vmas, other.vmas),
            (&mut self.tables, other.tables),
            (&mut self.entries, other.entries),
            (&mut self.files, other.files),
            (&mut self.cached, other.cached),
            (&mut self.blocks, other.blocks),
            (&mut self.translations, other.translations),
            (&mut self.violations, other.violations),
        ];
        for (sum, more) in pairs {
            *sum += more;
        }
        for (sum, more) in self.by_rule.iter_mut().zip(other.by_rule) {
            *sum += more;
        }
    }

    pub(crate) fn note(&mut self, rule: Rule) {
        self.by_rule[rule as usize] += 1;
    }
}

impl Default for Report {
    fn default() -> Self {
        Report::EMPTY
    }
}
