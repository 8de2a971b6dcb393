//! A walk through two levels of tables: a guest's, which lie in its memory, and its host's.
//!
//! A virtual machine monitor maps the guest's physical memory in its own address space. The guest's tables
//! are pages of that memory, and the frame numbers in them are the guest's: each step of a walk needs a
//! translation by the host's tables. So each step holds the page of the guest's table, by a reference that
//! is counted (without a lock where it is mapped, else a fault brings it in), reads one entry from it,
//! once, and gives it back. No step relies on a translation of the step before, so the host may swap,
//! migrate or merge those pages at any time.
//!
//! What the guest writes is input: numbers outside its memory, loops, leaves at odd levels end the walk.
//! The answer is a value, true at some moment: who maps it for the guest holds the page and looks again
//! (LR3; KVM: `mmu_invalidate_retry`).
//!
//! Linux: `walk_addr_generic()` in `arch/x86/kvm/mmu/paging_tmpl.h`, `host_pfn_mapping_level()`.

use crate::faults::Faults;
use crate::pin::{HoldError, How};
use frame::Id;
use machine::entry::Kind;
use machine::{Access, Cx, Entry, EntryFormat, Level, Machine, PAGE_SHIFT, Perms, Vpn, VpnRange, level};
use object::Held;
use space::Space;
use table::Sample;

/// Entries of a guest's table, as of a host's.
const ENTRIES: u64 = 512;

/// A guest's address space, as its host sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Guest {
    /// Where the guest's physical memory lies in the host's space: its frame 0 first.
    pub memory: VpnRange,
    /// The guest frame with the table of the highest level (the guest's `CR3`).
    pub root: u64,
}

/// What a page of a guest leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translated {
    /// The guest frame.
    pub frame: u64,
    /// Level of the guest's entry.
    pub level: Level,
    /// What the guest's entries allow, all levels together.
    pub perms: Perms,
    /// The page of the host's space that is this guest frame.
    pub page: Vpn,
    /// What the host maps there now, if anything.
    pub backing: Option<Sample>,
}

impl Translated {
    /// Bytes that one translation of both levels may span: the smaller of the two pages.
    pub fn bytes(&self) -> Option<u64> {
        let guest = 1u64 << (self.level.span_shift() + PAGE_SHIFT);
        self.backing.map(|host| host.bytes.min(guest))
    }
}

/// Why a page of a guest leads nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GuestError {
    /// The guest maps nothing there, or does not allow the access: its own page fault.
    Fault,
    /// The guest's entry of this level is none: a frame outside its memory, a large page at an odd place.
    Malformed(Level),
    /// The host cannot bring the guest's table in.
    Host(HoldError),
}

impl From<HoldError> for GuestError {
    fn from(error: HoldError) -> Self {
        GuestError::Host(error)
    }
}

impl core::fmt::Display for GuestError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            GuestError::Fault => f.write_str("the guest maps nothing there"),
            GuestError::Malformed(level) => write!(f, "the guest's entry of level {} is none", level.0),
            GuestError::Host(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for GuestError {}

impl Guest {
    /// Where a guest frame lies in the host's space.
    fn page_of(&self, frame: u64) -> Option<Vpn> {
        (frame < self.memory.pages()).then(|| self.memory.start + frame)
    }
}

impl<'m, M: Machine> Faults<'m, M> {
    /// Translates a page of a guest, whose memory lies in a space that is in use. The guest's tables have the
    /// machine's own format.
    ///
    /// # Errors
    /// [`GuestError::Fault`] is the guest's to handle, the others its monitor's.
    pub fn translate_guest(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        space: Id<Space>,
        guest: &Guest,
        (page, access): (Vpn, Access),
    ) -> Result<Translated, GuestError> {
        if page.0 >> M::Entry::ROOT_SPAN_SHIFT != 0 {
            return Err(GuestError::Fault);
        }
        let (mut table, mut level) = (guest.root, Level::ROOT);
        let mut perms = Perms { read: true, write: true, execute: true };
        loop {
            let host = guest.page_of(table).ok_or(GuestError::Malformed(level))?;
            let entry = self.read_guest_entry(cx, (space, host), page.0 >> level.span_shift())?;
            let kind = M::Entry::kind(entry, level);
            perms = perms.and(M::Entry::attrs(entry).perms);
            if !matches!(kind, Kind::Table(_) | Kind::Leaf(_)) || !perms.allow(access) {
                return Err(GuestError::Fault);
            }
            match kind {
                Kind::Table(next) if level > Level::LEAF => table = next.0.0.into(),
                Kind::Leaf(first) => {
                    let frame = frame_of(first.0.into(), page, level).ok_or(GuestError::Malformed(level))?;
                    let page = guest.page_of(frame).ok_or(GuestError::Malformed(level))?;
                    let backing = self.backing(cx, space, page);
                    return Ok(Translated { frame, level, perms, page, backing });
                }
                _ => return Err(GuestError::Malformed(level)),
            }
            level = Level(level.0 - 1);
        }
    }

    /// One entry of a guest's table, whose page is held meanwhile.
    fn read_guest_entry(
        &self,
        cx: &mut Cx<'m, M, { level::PROCESS }>,
        (space, host): (Id<Space>, Vpn),
        index: u64,
    ) -> Result<Entry, GuestError> {
        let mut held = [Held::Nothing];
        self.hold(cx, space, (host, How::get(Access::Read)), &mut held)?;
        let mut bytes = [0; size_of::<Entry>()];
        if let Some(frame) = held[0].frame() {
            let offset = index % ENTRIES * size_of::<Entry>() as u64;
            cx.machine().read_frame(cx.cpu(), frame, offset, &mut bytes);
        }
        self.let_go(cx, held[0]);
        Ok(Entry(u64::from_le_bytes(bytes)))
    }

    /// What the host maps at a page.
    fn backing(&self, cx: &mut Cx<'m, M, { level::PROCESS }>, space: Id<Space>, page: Vpn) -> Option<Sample> {
        let table = self.spaces().space(space).table()?;
        self.spaces().walker(table).sample(cx.at(), page)
    }
}

/// The frame of a page in what a leaf of a level maps, if a leaf can stand there.
fn frame_of(first: u64, page: Vpn, level: Level) -> Option<u64> {
    let inside = (1u64 << level.span_shift()) - 1;
    (level < Level::ROOT && first & inside == 0).then_some(first | page.0 & inside)
}
