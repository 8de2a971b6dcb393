//! Looking at entries, as the copy-on-write table speaks of them.

use freehold::frame::State;
use freehold::machine::{Entry, EntryFormat, Level, Machine, Pfn, VirtAddr};
use freehold::table::{Seen, Soft, Walker};
use sim::SimMachine;

use super::super::script::{PageOf, Pages, Place, Size, Sole, Standing, Value, Walk, WordAt};
use super::outcome::{Failure, Kind};
use super::world::{Actor, World};

type Format = <SimMachine as Machine>::Entry;

impl World<'_> {
    /// `entry a[0] is ...`
    pub(super) fn check_entry(&self, who: Actor<'_>, at: Place, word: &WordAt, due: Standing) -> String {
        self.point(who.ctx);
        let addr = self.addr(who, at, word);
        let found = self.standing(who, at, addr);
        if found == due {
            return "it is".into();
        }
        let text = format!("the entry of {} is {found}, not {due}", self.describe(addr));
        self.fail(who.ctx, at, Failure::new(Kind::Expectation, text))
    }

    /// `frame a[0]`: the frame that is mapped there; 0 for none.
    pub(super) fn frame_at(&self, who: Actor<'_>, at: Place, word: &WordAt) -> u64 {
        let addr = self.addr(who, at, word);
        let seen = self.seen(who, at, addr);
        let mapped = seen.and_then(|seen| frame_of(seen, addr));
        mapped.map_or(0, |pfn| u64::from(pfn.0))
    }

    /// `walk a[0]`, `walk of C a[0]`; in an interrupt as a profiler does.
    pub(super) fn walk(&self, who: Actor<'_>, at: Place, walk: &Walk) -> Value {
        self.point(who.ctx);
        let addr = self.addr(who, at, &walk.at);
        let of = Actor { process: walk.of.unwrap_or(who.process), ..who };
        let mut cx = self.cx(who.ctx);
        let frame = self.walker(of, at).and_then(|walker| match cx.in_interrupt() {
            true => walker.sample(cx.at(), addr.page()).map(|sample| sample.frame),
            false => frame_of(walker.peek(cx.at(), addr.page()), addr),
        });
        Value::Word(frame.map_or(0, |pfn| u64::from(pfn.0)))
    }

    /// `dump a`: how many pages the dump of the page table tells of.
    pub(super) fn dump(&self, who: Actor<'_>, at: Place, pages: &Pages) -> Value {
        let range = self.range(who, at, pages);
        let mut told = 0;
        if let Some(walker) = self.walker(who, at) {
            walker.dump(self.cx(who.ctx).at(), range, |_, run| told += run.pages.pages());
        }
        Value::Word(told)
    }

    /// The way to the tables of the actor's process; none if it has none yet.
    pub(super) fn walker(&self, who: Actor<'_>, at: Place) -> Option<Walker<'_, '_, SimMachine>> {
        let (linux, live) = (self.manager.linux(), self.live(who, at));
        let spaces = linux.spaces();
        let table = spaces.space(linux.process(live.id).space()?).table()?;
        Some(spaces.walker(table))
    }

    fn seen(&self, who: Actor<'_>, at: Place, addr: VirtAddr) -> Option<Seen> {
        Some(self.walker(who, at)?.peek(self.cx(who.ctx).at(), addr.page()))
    }

    fn standing(&self, who: Actor<'_>, at: Place, addr: VirtAddr) -> Standing {
        let Some(seen) = self.seen(who, at, addr).filter(|seen| seen.entry != Entry::EMPTY) else {
            return Standing::Empty;
        };
        match Soft::of::<SimMachine>(seen.entry, seen.level) {
            Some(Soft::Swap { sole, .. }) => {
                Standing::Swapped(sole_if(sole == freehold::table::Sole::Exclusive))
            }
            Some(Soft::Migration { kind, .. }) => Standing::Moving(sole_if(kind.is_exclusive())),
            None => self.mapped(who, seen, addr),
        }
    }

    fn mapped(&self, who: Actor<'_>, seen: Seen, addr: VirtAddr) -> Standing {
        let Some(pfn) = frame_of(seen, addr) else { return Standing::Empty };
        let attrs = Format::attrs(seen.entry);
        if attrs.special {
            return Standing::Zero;
        }
        let (objects, cx) = (self.manager.linux().objects(), self.cx(who.ctx));
        let (head, _) = objects.frames().folio(&cx, pfn);
        let page = match objects.frames().descriptor(head).state(&cx) {
            State::Anon => PageOf::Anonymous(sole_if(objects.is_exclusive(&cx, pfn))),
            State::Ksm => PageOf::Ksm,
            _ => PageOf::File,
        };
        let size = if seen.level == Level::HUGE { Size::Huge } else { Size::Small };
        Standing::Mapped { size, perms: attrs.perms, page }
    }
}

fn sole_if(exclusive: bool) -> Sole {
    if exclusive { Sole::Exclusive } else { Sole::Shared }
}

/// The frame of the page at an address, if the entry maps one.
fn frame_of(seen: Seen, addr: VirtAddr) -> Option<Pfn> {
    let first = seen.leaf::<SimMachine>()?;
    Some(first.plus(addr.page().0 & ((1 << seen.level.span_shift()) - 1)))
}
