//! A machine, its frames and its page tables, for tests.
#![allow(dead_code)]

#[path = "../../../revoke/tests/fake/mod.rs"]
pub(crate) mod fake;

use fake::Fake;
use frame::{Config, Frames, Id, Request};
use machine::entry::{Attrs, Kind};
use machine::x86_64::X86_64;
use machine::{Core, Counter, Cx, Entry, EntryFormat, Level, Perms, Pfn, Vpn, VpnRange, level};
use table::{PageTable, Payload, Reaper, Refill, Rss, TableBatch, Tables, Urgency, Verdict, Walker};

/// Everything a test needs. Shared by threads that stand for CPUs.
pub(crate) struct World {
    pub(crate) fake: &'static Fake,
    pub(crate) core: Core<'static>,
    pub(crate) frames: Frames<'static, Fake>,
    pub(crate) tables: Tables<'static, Fake>,
}

pub(crate) type TestCx = Cx<'static, Fake>;

pub(crate) const RW: Perms = Perms { read: true, write: true, execute: false };

impl World {
    pub(crate) fn new(cpus: u32) -> World {
        let (fake, boot, core) = Fake::start(cpus, 4096);
        let tables = Tables::new(&boot).expect("memory for the start");
        let frames = Frames::new(fake, &boot, &Config::default()).expect("memory for the start");
        World { fake, core, frames, tables }
    }

    pub(crate) fn cx(&self, cpu: u32) -> TestCx {
        self.fake.cx(self.core, cpu)
    }

    pub(crate) fn table(&self) -> Id<PageTable> {
        self.tables.create(self.cx(0).at(), &self.frames).expect("there is memory")
    }

    pub(crate) fn walker(&self, id: Id<PageTable>) -> Walker<'_, 'static, Fake> {
        self.tables.walker(&self.frames, id)
    }

    pub(crate) fn batch(&self, id: Id<PageTable>) -> TableBatch<'_, 'static, Fake> {
        TableBatch::new(self.tables.get(id).domain(), &self.frames)
    }

    /// A user frame with a reference, which the test owns.
    pub(crate) fn page(&self, cx: &mut TestCx) -> Pfn {
        self.frames.allocate_user(cx.at(), &Request::user()).expect("there is memory").0
    }

    pub(crate) fn put(&self, cx: &mut Cx<'static, Fake, { level::SLEEP_MAX }>, frame: Pfn) {
        self.frames.put(cx.at(), frame);
    }

    /// Empties and frees a page table; answers what it held, in order.
    pub(crate) fn destroy(&self, cx: &mut TestCx, id: Id<PageTable>) -> Vec<Payload> {
        let mut all = Everything::default();
        let mut batch = self.batch(id);
        self.walker(id).clear(cx.at(), &mut batch, &mut all);
        self.tables.destroy(cx.at(), &self.frames, id, batch, |_, payload| all.finished.push(payload));
        all.finished
    }

    /// Tables that were made and not freed.
    pub(crate) fn tables_left(&self) -> u64 {
        self.core.total(Counter::TableAlloc) - self.core.total(Counter::TableFree)
    }
}

/// Takes all there is.
#[derive(Default)]
pub(crate) struct Everything {
    pub(crate) taken: Vec<(Vpn, Entry)>,
    pub(crate) splits: u32,
    pub(crate) finished: Vec<Payload>,
    pub(crate) refill: Option<Refill>,
}

impl Reaper<'static, Fake> for Everything {
    fn verdict(&mut self, _: &mut Cx<'static, Fake, { level::TABLE1 }>, _: Vpn, entry: Entry) -> Verdict {
        let is_page = matches!(X86_64::kind(entry, Level::LEAF), Kind::Leaf(_));
        Verdict::Take((is_page && !X86_64::attrs(entry).special).then_some(Rss::Anon))
    }
    fn taken(&mut self, _: &mut Cx<'static, Fake, { level::TABLE1 }>, page: Vpn, old: Entry) -> Urgency {
        self.taken.push((page, old));
        Urgency::Settle
    }
    fn splits(&mut self, _: &mut Cx<'static, Fake, { level::TABLE1 }>, _: Entry) {
        self.splits += 1;
    }
    fn refill(&self) -> Refill {
        self.refill.unwrap_or(Refill::Possible)
    }
    fn finish(&mut self, _: &mut Cx<'static, Fake, { level::SLEEP_MAX }>, payload: Payload) {
        self.finished.push(payload);
    }
}

pub(crate) fn leaf(frame: Pfn, perms: Perms) -> Entry {
    X86_64::leaf(frame, Attrs { perms, ..Attrs::default() }, Level::LEAF)
}

pub(crate) fn huge(frame: Pfn, perms: Perms) -> Entry {
    X86_64::leaf(frame, Attrs { perms, ..Attrs::default() }, Level::HUGE)
}

pub(crate) fn range(start: u64, end: u64) -> VpnRange {
    VpnRange::new(Vpn(start), Vpn(end))
}
