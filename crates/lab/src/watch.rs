//! What judges look at, wherever a manager runs on the simulated machine: the CPUs' translations as the
//! oracle reads them, who holds what, and the words that programs stored.

use freehold::Manager;
use freehold::frame::{Id, SlabView};
use freehold::linux::{Linux, Process};
use freehold::machine::entry::Kind;
use freehold::machine::x86_64::X86_64;
use freehold::machine::{Asid, CpuId, Cx, EntryFormat, KernelFrame, Pfn, VirtAddr, Vpn, VpnRange};
use freehold::object::swap::Stored;
use freehold::object::{File, Held};
use freehold::space::VmaFlags;
use freehold::table::Soft;
use oracle::{Audit, Holders, Known, Ledger, Link, Outside, Report, Tlbs, Translation, Violation};
use sim::SimMachine;
use sim::shadow::Shadow;

/// The machine's TLBs, as the oracle reads them.
struct Seen<'a>(&'a SimMachine);

impl Tlbs for Seen<'_> {
    fn loaded(&self, cpu: CpuId) -> Option<(KernelFrame, Asid)> {
        self.0.loaded_space(cpu)
    }

    fn for_each_translation(&self, see: &mut dyn FnMut(&Translation)) {
        self.0.for_each_translation(|entry| {
            see(&Translation {
                cpu: entry.cpu,
                asid: entry.asid,
                page: entry.pages.start,
                frame: entry.frame,
                perms: entry.perms,
                dirty: entry.dirty,
            });
        });
    }

    fn for_each_link(&self, see: &mut dyn FnMut(&Link)) {
        self.0.for_each_upper(|upper| {
            see(&Link { cpu: upper.cpu, asid: upper.asid, page: upper.pages.start, table: upper.table });
        });
    }
}

/// The floor above the oracle's view has frames for its processes; who runs the manager has files open.
struct Holding<'a, 'm> {
    linux: &'a Linux<'m, SimMachine>,
    others: &'a Others<'a>,
}

/// Calls what it is given with every page that somebody holds.
pub type EachHeld<'a> = &'a dyn Fn(&mut dyn FnMut(Held));

/// What those have who run the manager.
#[derive(Clone, Copy)]
pub struct Others<'a> {
    /// How often a file is open, not counting mappings.
    pub opens: &'a dyn Fn(Id<File>) -> u64,
    /// The pages they hold.
    pub holds: EachHeld<'a>,
}

impl<'a> Others<'a> {
    /// Files that are open, and no pages.
    pub fn files(opens: &'a dyn Fn(Id<File>) -> u64) -> Others<'a> {
        Others { opens, holds: &|_| {} }
    }
}

impl Holding<'_, '_> {
    fn for_each_held(&self, see: &mut dyn FnMut(Held)) {
        self.linux.for_each_held(see);
        (self.others.holds)(see);
    }
}

impl Holders for Holding<'_, '_> {
    fn for_each_frame(&self, hold: &mut dyn FnMut(Pfn)) {
        self.for_each_held(&mut |held| {
            if let Held::Got(frame) = held {
                hold(frame);
            }
        });
    }

    fn for_each_pin(&self, pin: &mut dyn FnMut(Pfn)) -> Known {
        self.for_each_held(&mut |held| {
            if let Held::Pinned(frame) = held {
                pin(frame);
            }
        });
        Known::All
    }

    fn for_each_slab(&self, visit: &mut dyn FnMut(&'static str, &dyn SlabView, u64)) {
        for (name, slab) in self.linux.slab_views() {
            visit(name, slab, slab.live());
        }
    }

    fn opens(&self, file: Id<File>) -> Option<u64> {
        Some((self.others.opens)(file))
    }
}

/// Checks the whole state of a quiet machine.
pub fn audit(
    manager: &Manager<'_, SimMachine>,
    others: &Others<'_>,
    ledger: &mut dyn Ledger,
    sink: &mut dyn FnMut(Violation),
) -> Report {
    let machine = manager.machine();
    let audit = Audit::new(machine, manager.core(), manager.spaces());
    let (seen, held) = (Seen(machine), Holding { linux: manager.linux(), others });
    audit.run(ledger, Outside { tlbs: &seen, holders: &held }, sink)
}

/// Calls `see` with every word that the programs of an address space stored to private memory, what it must
/// hold, and what the frame that is mapped there holds (`None`: nothing is mapped). Nothing is under way.
/// A killed space is passed over: it was reaped.
pub fn for_each_stored(
    manager: &Manager<'_, SimMachine>,
    process: Id<Process>,
    (shadow, memory): (&Shadow, u32),
    see: &mut dyn FnMut(VirtAddr, u64, Option<u64>),
) {
    let (machine, spaces) = (manager.machine(), manager.spaces());
    let Some(space) = manager.linux().process(process).space().map(|id| spaces.space(id)) else { return };
    // Those who share a killed space may not have noticed yet.
    let Some(table) = space.table().filter(|_| !space.was_killed()) else { return };
    let walker = spaces.walker(table);
    shadow.for_each_stored(memory, &mut |addr, value| {
        let seen = walker.quiet_peek(machine, addr.page());
        let found = match X86_64::kind(seen.entry, seen.level) {
            Kind::Leaf(first) => {
                let within = addr.page().0 & ((1 << seen.level.span_shift()) - 1);
                Some(machine.peek_word(first.plus(within), addr.offset()))
            }
            Kind::Absent(entry) => swapped_word(manager, entry, addr.offset()),
            Kind::Empty | Kind::Table(_) => None,
        };
        see(addr, value, found);
    });
}

/// A word of a page that is swapped out. Nothing is under way.
fn swapped_word(manager: &Manager<'_, SimMachine>, entry: u64, offset: u64) -> Option<u64> {
    let Some(Soft::Swap { slot, .. }) = Soft::from_payload(entry) else { return None };
    let machine = manager.machine();
    let whole = |bytes: &[u8]| {
        let word = bytes.get(offset as usize..offset as usize + 8)?;
        Some(u64::from_le_bytes(word.try_into().ok()?))
    };
    match manager.linux().objects().quiet_stored(machine, slot)? {
        Stored::Cached(frame) => Some(machine.peek_word(frame, offset)),
        Stored::File(key) => Some(machine.sim_files().word(key, slot.page, (offset / 8) as usize)),
        Stored::Filled(word) => Some(word),
        Stored::Packed(len, bytes) => SimMachine::peek_packed(&bytes[..len], offset),
        Stored::Whole(bytes) => whole(&bytes),
    }
}

/// The pages by which a fault at `addr` extended a stack; `known` tells the first page from there on that was
/// mapped before. Another CPU may extend it further meanwhile: `known` is asked last.
pub fn grown_stack<'m>(
    manager: &Manager<'m, SimMachine>,
    cx: &mut Cx<'m, SimMachine>,
    process: Id<Process>,
    addr: VirtAddr,
    known: &dyn Fn() -> Option<Vpn>,
) -> Option<VpnRange> {
    if known() == Some(addr.page()) {
        return None;
    }
    let linux = manager.linux();
    let vma = linux.spaces().vma_at(cx.at(), linux.process(process).space()?, addr.page())?;
    let grown =
        VpnRange::new(vma.range.start, known().map_or(vma.range.end, |known| known.min(vma.range.end)));
    (vma.flags.contains(VmaFlags::GROWS_DOWN) && grown.contains(addr.page())).then_some(grown)
}
