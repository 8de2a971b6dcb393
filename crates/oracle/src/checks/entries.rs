//! Entries of page tables: what they map, and what they let pass.

use super::merged;
use super::swap;
use super::tables::{self, Table};
use crate::context::{Run, holds};
use core::fmt;
use frame::descriptor::INDEX_BITS;
use frame::{Descriptor, Id, Meta, State};
use machine::entry::{Attrs, Kind};
use machine::{Access, Entry, EntryFormat, Level, Machine, Order, Pfn, Vpn, VpnRange};
use object::ksm::merge::is_merged_zero;
use object::{File, FileKind, Lineage, owner_id, owner_number};
use space::{Space, Vma, VmaFlags};
use table::{PageTable, Rss, Sight, Soft, is_locked};

/// Where an entry is.
#[derive(Clone, Copy)]
struct At {
    space: u32,
    page: Vpn,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "space {} {:?}", self.space, self.page)
    }
}

/// The VMA an entry lies in.
#[derive(Clone, Copy)]
struct Around<'m> {
    range: VpnRange,
    flags: VmaFlags,
    vma: &'m Vma,
    file: Option<MappedFile>,
}

#[derive(Clone, Copy)]
struct MappedFile {
    id: Id<File>,
    kind: FileKind,
    end: u64,
}

/// An entry that maps a counted page.
struct Mapped<'m> {
    at: At,
    pfn: Pfn,
    /// Which page of its folio the (first) frame is.
    part: u64,
    attrs: Attrs,
    /// Of the folio's head.
    page: &'m Descriptor,
    state: State,
    around: Option<Around<'m>>,
}

impl Mapped<'_> {
    fn is_private(&self) -> Option<bool> {
        self.around.map(|around| around.flags.is_private())
    }
}

/// What was counted in one space.
#[derive(Default)]
struct Counted {
    tables: u64,
    /// Entries of 2 MiB.
    wholes: u64,
    rss: [u64; Rss::ALL.len()],
    locked: u64,
    merged_zeros: u64,
}

/// Checks all tables and entries of a space. VMAs are compared if their tree is sound. Answers how many map
/// the page of zeros in the place of a merged page.
pub(crate) fn check<'m, M: Machine>(
    run: &mut Run<'_, 'm, M>,
    (id, table): (Id<Space>, Id<PageTable>),
    vmas_are_sound: bool,
) -> u64 {
    let spaces = run.spaces;
    let (walker, tree) = (spaces.walker(table), spaces.tables().get(table));
    let lineage = spaces.lineage_of(id);
    let mut vmas = vmas_are_sound.then(|| spaces.quiet_vmas(id));
    let mut around: Option<Around<'m>> = None;
    let mut counted = Counted::default();
    walker.survey(run.machine, &mut |sight| match sight {
        Sight::Table { frame, level, first, header, used, lock } => {
            counted.tables += 1;
            tables::check(run, tree, &Table { frame, level, first, header, used, lock });
        }
        Sight::Entry { page, level, entry } => {
            let behind = |around: &Option<Around<'_>>| around.is_none_or(|a| a.range.end <= page);
            while behind(&around) {
                let Some((range, vma)) = vmas.as_mut().and_then(Iterator::next) else { break };
                around = Some(look_around(run, range, spaces.vma(vma)));
            }
            let around = around.filter(|a| a.range.contains(page));
            let at = At { space: id.raw(), page };
            if vmas_are_sound {
                tr2(run, (at, level), M::Entry::attrs(entry), around.as_ref());
            }
            counted.wholes += u64::from(level == Level::HUGE);
            check_entry(run, (at, level, entry), (around, lineage), &mut counted);
        }
    });
    tables::tr1_spares(run, (&walker, tree), counted.wholes);
    tables::tr1_count(run, tree, counted.tables);
    tr4(run, id, tree, &counted);
    counted.merged_zeros
}

fn look_around<'m, M: Machine>(run: &Run<'_, 'm, M>, range: VpnRange, vma: &'m Vma) -> Around<'m> {
    let file = vma.file().map(|id| {
        let report = run.objects().file_report(id);
        MappedFile { id, kind: report.kind, end: report.end }
    });
    Around { range, flags: vma.flags(), vma, file }
}

/// One entry: claims what it maps.
fn check_entry<'m, M: Machine>(
    run: &mut Run<'_, 'm, M>,
    (at, level, entry): (At, Level, Entry),
    (around, lineage): (Option<Around<'m>>, Option<Id<Lineage>>),
    counted: &mut Counted,
) {
    if let Some(Soft::Swap { slot, sole }) = Soft::of::<M>(entry, level) {
        run.report.entries += 1;
        counted.rss[Rss::Swap as usize] += 1;
        return swap::entry(run, at, (slot, sole));
    }
    let is_moving = matches!(Soft::of::<M>(entry, level), Some(Soft::Migration { .. }));
    holds!(run, CR18, !is_moving, "{at}: a page that nobody moves is on its way");
    let Kind::Leaf(pfn) = M::Entry::kind(entry, level) else { return };
    run.report.entries += 1;
    let attrs = M::Entry::attrs(entry);
    if is_locked::<M>(entry, level) {
        counted.locked += 1 << level.span_shift();
    }
    vr5(run, at, attrs, around.as_ref());
    cr29(run, at, pfn, attrs);
    counted.merged_zeros += u64::from(is_merged_zero::<M>(entry));
    if attrs.special || pfn == run.objects().zero_frame() {
        return;
    }
    let Some((head, page, state)) = fr5(run, at, (pfn, level)) else { return };
    let entries = &mut run.tally(head).entries;
    *entries = entries.saturating_add(1);
    if level == Level::LEAF && page.quiet_meta().order() > Order::ZERO {
        let parts = &mut run.tally(pfn).parts;
        *parts = parts.saturating_add(1);
    }
    let part = u64::from(pfn.0 - head.0);
    let mapped = Mapped { at, pfn, part, attrs, page, state, around };
    counted.rss[rss_of(run, &mapped) as usize] += 1 << level.span_shift();
    cr1(run, &mapped);
    pr2(run, &mapped);
    pr4(run, &mapped, lineage);
    pr5(run, &mapped);
    pr7(run, &mapped);
}

/// How the page counts.
fn rss_of<M: Machine>(run: &Run<'_, '_, M>, mapped: &Mapped<'_>) -> Rss {
    if matches!(mapped.state, State::Anon | State::Ksm) {
        return Rss::Anon;
    }
    let around = mapped.around.and_then(|around| around.file).map(|file| file.kind);
    let by_owner = || {
        let owner = owner_id(mapped.page.quiet_owner().0)?;
        run.objects().file_ids().find(|&id| id == owner).map(|id| run.objects().file(id).kind())
    };
    if around.or_else(by_owner) == Some(FileKind::Memory) { Rss::Shmem } else { Rss::File }
}

fn tr2<M: Machine>(
    run: &mut Run<'_, '_, M>,
    (at, level): (At, Level),
    attrs: Attrs,
    around: Option<&Around<'_>>,
) {
    holds!(run, TR2, around.is_some(), "{at}: an entry outside of every VMA");
    let Some(around) = around else { return };
    let pages = VpnRange::sized(at.page, 1 << level.span_shift());
    holds!(run, TR2, around.range.covers(&pages), "{at}: an entry sticks out of its VMA");
    let (entry, vma) = (attrs.perms, around.flags.perms());
    let within = (!entry.read || vma.allow(Access::Read))
        && (!entry.write || vma.write)
        && (!entry.execute || vma.execute);
    holds!(run, TR2, within, "{at}: {entry:?} in a VMA with {vma:?}");
}

fn tr4<M: Machine>(run: &mut Run<'_, '_, M>, id: Id<Space>, tree: table::Counted<'_>, counted: &Counted) {
    for kind in Rss::ALL {
        let (own, found) = (tree.rss(kind), counted.rss[kind as usize]);
        holds!(run, TR4, own == found, "space {}: {own} {kind:?} pages, {found} are mapped", id.raw());
    }
    let (own, found) = (tree.locked(), counted.locked);
    holds!(run, TR4, own == found, "space {}: {own} locked pages, {found} are mapped", id.raw());
}

fn vr5<M: Machine>(run: &mut Run<'_, '_, M>, at: At, attrs: Attrs, around: Option<&Around<'_>>) {
    let Some(around) = around else { return };
    let (marked, locked) = (attrs.locked, around.flags.is_locked());
    holds!(run, VR5, marked == locked, "{at}: marked as locked: {marked}, its VMA is: {locked}");
}

fn cr29<M: Machine>(run: &mut Run<'_, '_, M>, at: At, pfn: Pfn, attrs: Attrs) {
    let is_zero = pfn == run.objects().zero_frame();
    holds!(run, CR29, attrs.special == is_zero, "{at}: {pfn:?} is mapped as special: {}", attrs.special);
    holds!(run, CR29, !is_zero || !attrs.perms.write, "{at}: the zero page is writable");
}

/// What is mapped is a page that somebody may map, or part of a large one. Answers its folio's head, with
/// descriptor and state.
fn fr5<'m, M: Machine>(
    run: &mut Run<'_, 'm, M>,
    at: At,
    (pfn, level): (Pfn, Level),
) -> Option<(Pfn, &'m Descriptor, State)> {
    let head = run.head(pfn);
    let page = run.descriptor(head);
    let meta = page.map(Descriptor::quiet_meta);
    let of_user = |m: Meta| m.is_head() && matches!(m.state(), State::Anon | State::File | State::Ksm);
    // An entry of 2 MiB maps a folio of that size, from its first frame on.
    let in_size = |m: Meta| m.order().frames() >= 1 << level.span_shift();
    let placed = level == Level::LEAF || head == pfn;
    let mappable = meta.is_some_and(|m| of_user(m) && in_size(m)) && placed;
    holds!(run, FR5, mappable, "{at}: {pfn:?} is mapped at level {} and is {:?}", level.0, meta);
    page.zip(meta).filter(|_| mappable).map(|(page, meta)| (head, page, meta.state()))
}

fn cr1<M: Machine>(run: &mut Run<'_, '_, M>, mapped: &Mapped<'_>) {
    if mapped.state == State::Ksm {
        let (at, pfn, write) = (mapped.at, mapped.pfn, mapped.attrs.perms.write);
        holds!(run, KR1, !write, "{at}: merged {pfn:?} is writable");
    }
    if mapped.state == State::Anon && mapped.attrs.perms.write {
        let (at, pfn, counts) = (mapped.at, mapped.pfn, mapped.page.quiet_counts());
        let exclusive = counts.is_exclusive() || run.has_bit(Pfn(pfn.0 - mapped.part as u32), mapped.part);
        holds!(run, CR1, exclusive, "{at}: {pfn:?} is writable and shared: {counts:?}");
    }
}

fn pr2<M: Machine>(run: &mut Run<'_, '_, M>, mapped: &Mapped<'_>) {
    let (at, pfn, attrs) = (mapped.at, mapped.pfn, mapped.attrs);
    let file = mapped.around.and_then(|around| around.file);
    let noted = file.is_some_and(|file| file.kind == FileKind::Regular) && mapped.state == State::File;
    if noted && mapped.is_private() == Some(false) && (attrs.perms.write || attrs.dirty) {
        let is_dirty = run.tally(pfn).is_dirty;
        holds!(run, PR2, is_dirty, "{at}: {pfn:?} is writable or dirty here and clean in its file");
    }
}

fn pr4<M: Machine>(run: &mut Run<'_, '_, M>, mapped: &Mapped<'_>, lineage: Option<Id<Lineage>>) {
    let Some(around) = mapped.around else { return };
    let (at, pfn, (owner, index)) = (mapped.at, mapped.pfn, mapped.page.quiet_owner());
    let found = (owner, index + mapped.part);
    let cut = |index: u64| index & ((1 << INDEX_BITS) - 1);
    if mapped.state == State::Ksm {
        let index = around.vma.anon_index(mapped.at.page);
        return merged::kr2(run, mapped.pfn, lineage, (&mapped.at, cut(index)));
    }
    let wanted = match mapped.state {
        State::Anon => lineage.map(|lineage| (owner_number(lineage), cut(around.vma.anon_index(at.page)))),
        _ => around.file.map(|file| (owner_number(file.id), cut(around.vma.file_index(at.page)))),
    };
    holds!(run, PR4, wanted == Some(found), "{at}: {pfn:?} is of {found:?}, its VMA says {wanted:?}");
}

fn pr5<M: Machine>(run: &mut Run<'_, '_, M>, mapped: &Mapped<'_>) {
    let Some(around) = mapped.around else { return };
    let Some(file) = around.file else { return };
    let (at, pfn, index, end) = (mapped.at, mapped.pfn, around.vma.file_index(mapped.at.page), file.end);
    holds!(run, PR5, index < end, "{at}: {pfn:?} is page {index} of a file of {end}");
}

fn pr7<M: Machine>(run: &mut Run<'_, '_, M>, mapped: &Mapped<'_>) {
    let (at, pfn, write) = (mapped.at, mapped.pfn, mapped.attrs.perms.write);
    let (Some(private), state) = (mapped.is_private(), mapped.state) else { return };
    let own = matches!(state, State::Anon | State::Ksm);
    let kept = if private { own || !write } else { state == State::File };
    let mapping = if private { "a private" } else { "a shared" };
    holds!(run, PR7, kept, "{at}: {state:?} {pfn:?} in {mapping} mapping, writable: {write}");
}
