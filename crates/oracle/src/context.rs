//! What every checker works with.

use crate::ledger::{Ledger, Tally};
use crate::named::Named;
use crate::outside::Outside;
use crate::report::Report;
use crate::rule::Rule;
use crate::violation::{Text, Violation};
use core::fmt;
use frame::subpages::PER_WORD;
use frame::{Descriptor, Flags};
use machine::{Core, HUGE_ORDER, Machine, Pfn};
use object::Objects;
use space::Spaces;

/// One run of an audit.
pub(crate) struct Run<'r, 'm, M: Machine> {
    pub(crate) machine: &'m M,
    pub(crate) core: Core<'m>,
    pub(crate) spaces: &'r Spaces<'m, M>,
    pub(crate) outside: Outside<'r>,
    pub(crate) ledger: &'r mut dyn Ledger,
    pub(crate) sink: &'r mut dyn FnMut(Violation),
    pub(crate) report: Report,
    pub(crate) named: Named,
}

impl<'r, 'm, M: Machine> Run<'r, 'm, M> {
    /// What pages belong to.
    pub(crate) fn objects(&self) -> &'r Objects<'m, M> {
        self.spaces.objects()
    }

    /// Counts a check; tells of a violation if it does not hold. (The macro [`holds`] is the way to call it.)
    #[inline]
    pub(crate) fn check(&mut self, rule: Rule, holds: bool, message: fmt::Arguments<'_>) {
        self.report.note(rule);
        if !holds {
            self.violated(rule, message);
        }
    }

    #[cold]
    fn violated(&mut self, rule: Rule, message: fmt::Arguments<'_>) {
        self.report.violations += 1;
        (self.sink)(Violation { rule, text: Text::new(message) });
    }

    /// The claims on a frame.
    pub(crate) fn tally(&mut self, frame: Pfn) -> &mut Tally {
        self.ledger.tally(frame)
    }

    /// Notes that something owns a frame, if there is such a frame.
    pub(crate) fn claim(&mut self, frame: Pfn) {
        if frame < self.spaces.frames().memmap().end() {
            let owners = &mut self.tally(frame).owners;
            *owners = owners.saturating_add(1);
        }
    }

    /// The head of the folio that a frame which an entry names is part of; the frame itself if there is none.
    pub(crate) fn head(&self, frame: Pfn) -> Pfn {
        let memmap = self.spaces.frames().memmap();
        self.descriptor(frame).and_then(|_| memmap.quiet_head(frame)).map_or(frame, |(head, _)| head)
    }

    /// Whether the bit of a page of a large folio, by its head, is set, and means something.
    pub(crate) fn has_bit(&self, head: Pfn, page: u64) -> bool {
        let meta = self.spaces.frames().descriptor(head).quiet_meta();
        let by_pages = meta.order() == HUGE_ORDER && meta.flags().has(Flags::BY_PAGES);
        let bits = || self.spaces.frames().subpages(head).quiet_bits((page / PER_WORD) as usize);
        by_pages && bits() >> (page % PER_WORD) & 1 == 1
    }

    /// The descriptor of a frame that an entry or a slot names, if it has one that was ever initialised.
    pub(crate) fn descriptor(&self, frame: Pfn) -> Option<&'m Descriptor> {
        let memmap = self.spaces.frames().memmap();
        let known =
            frame < memmap.end() && memmap.quiet_subsection(frame).state() == frame::SubsectionState::Active;
        known.then(|| memmap.descriptor(frame))
    }
}

/// `holds!(run, rule, condition, "message", arguments)`: the arguments are looked at only if the condition is
/// false.
macro_rules! holds {
    ($run:expr, $rule:ident, $holds:expr, $($message:tt)+) => {
        $run.check($crate::rule::Rule::$rule, $holds, format_args!($($message)+))
    };
}
pub(crate) use holds;
