//! One event as one short line.

use freehold::machine::entry::Kind;
use freehold::machine::trace::{
    Asker, FaultOutcome, Held, Mapped, Owner, Shared, Source, Toward, Uncached, Verdict, Work,
};
use freehold::machine::x86_64::X86_64;
use freehold::machine::{
    Access, Asid, Entry, EntryFormat, Event, FileKey, Level, Order, Perms, Vpn, VpnRange, level,
};

/// An event in plain words, without who and when. Locks too.
#[must_use]
pub fn tell(event: &Event) -> String {
    of_locks(event)
        .or_else(|| of_frames(event))
        .or_else(|| of_files(event))
        .or_else(|| of_others(event))
        .or_else(|| of_tables(event))
        .or_else(|| of_faults(event))
        .or_else(|| of_revocation(event))
        .or_else(|| of_machine(event))
        .unwrap_or_else(|| format!("{event:?}"))
}

fn of_locks(event: &Event) -> Option<String> {
    Some(match event {
        Event::Locked(lock) => format!("takes the {} lock at {:#x}", level::name(lock.level), lock.key),
        Event::Unlocked(lock) => {
            format!("gives back the {} lock at {:#x}", level::name(lock.level), lock.key)
        }
        Event::Waits { key } => format!("sleeps until {key:#x} is woken"),
        _ => return None,
    })
}

fn of_frames(event: &Event) -> Option<String> {
    Some(match *event {
        Event::FrameAllocated { frame, order, mobility, owner, node, zone, source } => {
            let zone = ["DMA32", "Normal", "Movable"].get(usize::from(zone)).copied().unwrap_or("unknown");
            format!(
                "{} {:#x} allocated for {}, {mobility:?}, from {} of node {} zone {zone}",
                block(order),
                frame.0,
                owned(owner),
                list(source),
                node.0
            )
        }
        Event::FrameFreed { frame, order, to } => {
            format!("{} {:#x} freed to {}", block(order), frame.0, list(to))
        }
        Event::AnonBorn { frame, index, lineage } => format!(
            "frame {:#x} becomes anonymous page {:#x} of lineage {lineage}, exclusive",
            frame.0,
            Vpn(index).addr().0
        ),
        Event::FolioSplit { frame, order } => {
            format!("{} {:#x} live by themselves from here on", block(order), frame.0)
        }
        Event::Reclaimed { pages } => format!("memory is short: {pages} cached pages dropped"),
        Event::OomKilled { asid, badness } => {
            format!("memory is short: {} is killed ({badness} frames)", space(asid))
        }
        _ => return None,
    })
}

fn of_files(event: &Event) -> Option<String> {
    Some(match *event {
        Event::PageCached { frame, file, index } => {
            format!("frame {:#x} becomes {}", frame.0, page_of(file, index))
        }
        Event::PageRead { frame, file, index } => {
            format!("{} is read into frame {:#x}", page_of(file, index), frame.0)
        }
        Event::PageUncached { frame, file, index, why } => {
            let why = match why {
                Uncached::Truncated => "truncated",
                Uncached::Dropped => "dropped",
                Uncached::Unreadable => "unreadable",
            };
            format!("frame {:#x} is {} no longer: {why}", frame.0, page_of(file, index))
        }
        Event::PageDirtied { frame, file, index } => {
            format!("{} (frame {:#x}) is marked dirty", page_of(file, index), frame.0)
        }
        Event::WritebackBegun { frame, file, index } => {
            format!("{} (frame {:#x}) is going to be written", page_of(file, index), frame.0)
        }
        Event::WritebackEnded { frame, file, index, stored } => {
            let how = if stored { "is written" } else { "could not be written" };
            format!("{} (frame {:#x}) {how}", page_of(file, index), frame.0)
        }
        _ => return None,
    })
}

/// Swap, pins and devices: those who have a page beside its mappings.
fn of_others(event: &Event) -> Option<String> {
    Some(match *event {
        Event::SwapCached { frame, slot } => {
            format!("frame {:#x} is in the swap cache, for {}", frame.0, slot_of(slot))
        }
        Event::SwapUncached { frame } => format!("frame {:#x} leaves the swap cache", frame.0),
        Event::SwappedOut { frame, slot } => {
            format!("frame {:#x} is going to be written to {}", frame.0, slot_of(slot))
        }
        Event::SwappedIn { frame, slot } => format!("frame {:#x} is read from {}", frame.0, slot_of(slot)),
        Event::Pinned { frame, held } => format!("frame {:#x} is pinned: {}", frame.0, counts(held)),
        Event::Unpinned { frame } => format!("a pin on frame {:#x} is given back", frame.0),
        Event::TransferBegun { transfer, frame, offset, len, toward } => {
            let what = match toward {
                Toward::Device => "load",
                Toward::Memory => "store",
            };
            let last = offset + len.saturating_sub(1);
            format!(
                "a device is to {what} bytes {offset:#x} to {last:#x} of frame {:#x} (transfer {transfer})",
                frame.0
            )
        }
        Event::TransferEnded { transfer, frame, toward } => {
            let what = match toward {
                Toward::Device => "has loaded from",
                Toward::Memory => "has stored to",
            };
            format!("the device {what} frame {:#x} (transfer {transfer})", frame.0)
        }
        _ => return None,
    })
}

/// A slot of a swap area.
fn slot_of(bits: u64) -> String {
    format!("slot {} of swap area {}", bits >> 5, bits & 0x1f)
}

fn of_tables(event: &Event) -> Option<String> {
    Some(match *event {
        Event::SpaceMade { asid, root } => format!("{} begins, root table {:#x}", space(asid), root.0.0),
        Event::SpaceEnded { asid } => format!("{} ends", space(asid)),
        Event::TableLinked { asid, table, level, page } => {
            format!("table {:#x} of level {} linked for {} of {}", table.0.0, level.0, at(page), space(asid))
        }
        Event::TableUnlinked { asid, table, level, page } => format!(
            "empty table {:#x} of level {} unlinked at {} of {}",
            table.0.0,
            level.0,
            at(page),
            space(asid)
        ),
        Event::EntryChanged { asid, page, level, before, after } => {
            format!("{} of {}: {}", at(page), space(asid), change(before, after, level))
        }
        Event::WorkBegun { asid, pages, work } => {
            format!("{} of {}: {}", range(pages), space(asid), work_name(work))
        }
        _ => return None,
    })
}

fn of_faults(event: &Event) -> Option<String> {
    Some(match *event {
        Event::FaultBegun { asid, addr, access, asker } => {
            let who = if asker == Asker::Program { "" } else { " (asked for by a call)" };
            format!("{} {:#x} of {} faults{who}", access_name(access), addr.0, space(asid))
        }
        Event::FaultRetried { page } => format!("the fault at {} starts over: something changed", at(page)),
        Event::FaultEnded { addr, outcome } => {
            format!("the fault at {:#x} is over: {}", addr.0, outcome_name(outcome))
        }
        Event::MapChosen { page, frame, mapped } => {
            format!("{} gets frame {:#x}: {}", at(page), frame.0, mapped_name(mapped))
        }
        Event::StoreJudged { page, frame, verdict, held } => {
            format!("a store to {}, frame {:#x}: {}", at(page), frame.0, verdict_name(verdict, held))
        }
        Event::Copied { asid, page, from, to } => {
            format!("{} of {}: frame {:#x} copied to {:#x}", at(page), space(asid), from.0, to.0)
        }
        Event::ForkShared { page, frame, parent, child, what } => {
            let what = match what {
                Shared::Anonymous => "exclusive to nobody from here on",
                Shared::File => "a page of a file",
                Shared::Zero => "the page of zeros",
            };
            format!(
                "fork: {}, frame {:#x}, of {} is shared with {}: {what}",
                at(page),
                frame.0,
                space(parent),
                space(child)
            )
        }
        Event::ForkRefused { page, frame, held } => {
            format!("fork: {}, frame {:#x}, has {}: copied at once", at(page), frame.0, counts(held))
        }
        Event::Merged { asid, page, from, to } if from == to => {
            format!("{} of {}: frame {:#x} becomes a merged page", at(page), space(asid), from.0)
        }
        Event::Merged { asid, page, from, to } => {
            format!("{} of {}: frame {:#x} is merged with {:#x}", at(page), space(asid), from.0, to.0)
        }
        Event::Moved { from, to, order: Order::ZERO } => {
            format!("frame {:#x} is moved to {:#x}", from.0, to.0)
        }
        Event::Moved { from, to, order } => {
            format!("{} frames at {:#x} are moved to {:#x}", order.frames(), from.0, to.0)
        }
        Event::MoveRefused { frame, held } => {
            format!("frame {:#x} is not moved: it has {}", frame.0, counts(held))
        }
        _ => return None,
    })
}

fn of_revocation(event: &Event) -> Option<String> {
    Some(match *event {
        Event::FlushBegun { asid, generation, pages, tables, cpus } => {
            let what = pages.map_or("all pages".into(), range);
            let upper = if tables { ", upper levels too" } else { "" };
            format!("flush {generation} of {}: {what}{upper}, {} in it", space(asid), cpus_named(cpus))
        }
        Event::FlushEnded { asid, generation } => {
            format!("flush {generation} of {} is done", space(asid))
        }
        Event::GraceBegun => "waits for walkers of unlinked tables".into(),
        Event::GraceEnded => "nobody walks the unlinked tables any more".into(),
        _ => return None,
    })
}

fn of_machine(event: &Event) -> Option<String> {
    Some(match *event {
        Event::IpiSent { to, flush } => format!("asks CPU {} to flush (flush {flush} of the machine)", to.0),
        Event::IpiTaken { from, flush } => format!("takes CPU {}'s request to flush ({flush})", from.0),
        Event::IpiAnswered { from, flush } => format!("has flushed and tells CPU {} ({flush})", from.0),
        Event::SpaceLoaded { asid: Some(asid), stale } => {
            let kept = if stale { ", what the CPU kept of it is dropped" } else { "" };
            format!("translates through {}{kept}", space(asid))
        }
        Event::SpaceLoaded { asid: None, .. } => "translates through no space".into(),
        Event::TaskRuns => "gets the CPU".into(),
        Event::TaskStops => "lets the CPU go".into(),
        _ => return None,
    })
}

// ---- parts of sentences ----

fn block(order: Order) -> String {
    match order.frames() {
        1 => "frame".into(),
        frames => format!("{frames} frames from"),
    }
}

fn owned(owner: Owner) -> &'static str {
    match owner {
        Owner::User => "user pages",
        Owner::Kernel => "the kernel",
    }
}

fn list(source: Source) -> &'static str {
    match source {
        Source::CpuList => "the CPU's list",
        Source::Zone => "the zone",
    }
}

fn space(asid: Asid) -> String {
    format!("space {}", asid.0)
}

fn at(page: Vpn) -> String {
    format!("page {:#x}", page.addr().0)
}

fn page_of(file: FileKey, index: u64) -> String {
    format!("page {index} of file {}", file.0)
}

/// A range of pages, as addresses.
pub(crate) fn range(pages: VpnRange) -> String {
    match pages.pages() {
        1 => at(pages.start),
        count => format!("{count} pages from {:#x}", pages.start.addr().0),
    }
}

/// What an entry became.
pub(crate) fn change(before: Entry, after: Entry, level: Level) -> String {
    format!("{} -> {}", entry(before, level), entry(after, level))
}

/// What an entry is.
pub(crate) fn entry(entry: Entry, level: Level) -> String {
    match X86_64::kind(entry, level) {
        Kind::Empty => "nothing".into(),
        Kind::Table(table) => format!("table {:#x}", table.0.0),
        Kind::Absent(value) => format!("absent ({value:#x})"),
        Kind::Leaf(frame) => {
            let attrs = X86_64::attrs(entry);
            let dirty = if attrs.dirty { " dirty" } else { "" };
            format!("frame {:#x} {}{dirty}", frame.0, rights(attrs.perms))
        }
    }
}

/// What an entry allows.
pub(crate) fn rights(perms: Perms) -> String {
    let letter = |is: bool, letter: char| if is { letter } else { '-' };
    [letter(perms.read, 'r'), letter(perms.write, 'w'), letter(perms.execute, 'x')].iter().collect()
}

/// Load, store or fetch.
pub(crate) fn access_name(access: Access) -> &'static str {
    match access {
        Access::Read => "a load of",
        Access::Write => "a store to",
        Access::Execute => "a fetch from",
    }
}

/// What a range goes through.
pub(crate) fn work_name(work: Work) -> String {
    match work {
        Work::Unmap => "unmapped".into(),
        Work::Discard => "contents given up".into(),
        Work::Truncate => "truncated".into(),
        Work::Clean => "write-protected, to be written to the file".into(),
        Work::Protect => "other rights".into(),
        Work::Forget => "contents not needed any more".into(),
        Work::Collapse => "made one page of 2 MiB".into(),
        Work::Move { to } => format!("moved to {:#x}", to.addr().0),
        Work::Fork { child } => format!("copied for {}", space(child)),
        Work::ForkPasses { child } => format!("not copied for {}, which can fault", space(child)),
    }
}

/// How a fault ended.
pub(crate) fn outcome_name(outcome: FaultOutcome) -> &'static str {
    match outcome {
        FaultOutcome::Resolved => "resolved",
        FaultOutcome::NotMapped => "SIGSEGV, nothing is mapped there",
        FaultOutcome::NotAllowed => "SIGSEGV, the mapping does not allow it",
        FaultOutcome::Bus => "SIGBUS",
        FaultOutcome::Killed => "the space is dying",
        FaultOutcome::Shortage => "no memory",
    }
}

fn mapped_name(mapped: Mapped) -> &'static str {
    match mapped {
        Mapped::ZeroPage => "the page of zeros",
        Mapped::NewPage => "a new page",
        Mapped::FilePage => "the file's page",
        Mapped::SharedPage => "the file's page, to be stored to",
        Mapped::Around => "the file's page, beside the one asked for",
        Mapped::PrivateCopy => "a private copy of the file's page",
    }
}

/// What is counted of a frame.
pub(crate) fn counts(held: Held) -> String {
    let some = |count: u32, one: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    };
    format!("{}, {}, {}", some(held.refs, "reference"), some(held.maps, "mapping"), some(held.pins, "pin"))
}

/// What was decided about a store.
pub(crate) fn verdict_name(verdict: Verdict, held: Held) -> String {
    match verdict {
        Verdict::Exclusive => format!("exclusive ({}): written in place", counts(held)),
        Verdict::Alone => format!("nobody else has it ({}): written in place", counts(held)),
        Verdict::SharedMapping => "a shared mapping: written in place".into(),
        Verdict::Spurious => "allowed already".into(),
        Verdict::Shared => format!("somebody else may see it ({}): copied", counts(held)),
        Verdict::FilePage => format!("the file's page, mapped privately ({}): copied", counts(held)),
        Verdict::ZeroPage => "the page of zeros: replaced by a new page".into(),
        Verdict::Merged => "it stands for several equal pages: copied".into(),
    }
}

fn cpus_named(cpus: u32) -> String {
    match cpus {
        0 => "no CPU".into(),
        1 => "1 CPU".into(),
        cpus => format!("{cpus} CPUs"),
    }
}
