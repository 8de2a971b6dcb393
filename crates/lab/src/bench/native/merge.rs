//! Merging equal pages.

use freehold::machine::PAGE_SIZE;
use native::peer::{Area, Clock, PagesOf};

use super::attempt::Attempt;
use super::beside::{self, Work};
use super::content;
use super::ours::{MERGEABLE, Ours, Room, on_machine};
use super::scanner::{Cost, Scanner};
use super::stats::{Measurement, Samples, in_turn};
use super::{Goal, Options, Row, Side, Trouble};

const LEAVES_OUT: &str = "Both scan until every second page is merged with its equal: a checksum a page \
    and pass (xxhash on Linux, XXH3 here), then trees ordered by contents. Linux's scanner is a thread of \
    its own, at nice 5: its time is what it ran for (/proc/PID/schedstat), its waits are not in it; it \
    also passes over pages that were long not merged (smart_scan). Ours is a library call a pass.";

/// The bench.
pub(super) fn rows(options: &Options) -> Result<Vec<Row>, Trouble> {
    let pages = options.sized(32_768, 64);
    on_machine(&Room::small(pages * PAGE_SIZE), |ours| match Scanner::find() {
        Ok(scanner) => beside_linux(options, ours, &scanner, pages),
        Err(why) => alone(options, ours, pages, &why),
    })
}

fn beside_linux(
    options: &Options,
    ours: &mut Ours<'_, '_>,
    scanner: &Scanner,
    pages: u64,
) -> Result<Vec<Row>, Trouble> {
    let (mut our_totals, mut linux_totals) = (Vec::new(), Vec::new());
    let mut freehold = || noted(ours_merges(ours, pages)?, &mut our_totals);
    let mut linux = || noted(linux_merges(scanner, pages)?, &mut linux_totals);
    let samples = in_turn(options, &mut [&mut freehold, &mut linux])?;
    let scan = Work {
        name: "KSM scan of a page",
        unit: "ns/page",
        peer: "ksmd",
        goal: Some(Goal::ratio_at_most(0.5, 0.4)),
        leaves_out: LEAVES_OUT,
    };
    let whole = Work {
        name: "KSM until all are merged, each page saved",
        unit: "ns/page",
        goal: None,
        leaves_out: "",
        ..scan
    };
    // The round before the first does not count here either.
    let per_saved =
        |totals: &[f64]| totals[1..].iter().map(|ns| ns / (pages / 2) as f64).collect::<Samples>();
    let whole = beside::of_samples(&whole, &per_saved(&our_totals), &per_saved(&linux_totals));
    Ok(vec![beside::of_samples(&scan, &samples[0], &samples[1]).counted(ours.counts()), whole])
}

/// Ours, where Linux's cannot be had.
fn alone(options: &Options, ours: &mut Ours<'_, '_>, pages: u64, why: &Trouble) -> Result<Vec<Row>, Trouble> {
    let mut freehold = || ours_merges(ours, pages).map(|cost| cost.ns / cost.scanned);
    let sides: &mut [Measurement<'_>] = &mut [&mut freehold];
    let samples = in_turn(options, sides)?;
    Ok(vec![Row {
        min: Some(samples[0].min()),
        leaves_out: format!("Linux's scanner cannot be run here: {why}"),
        ..Row::new(Side::Native, "KSM scan of a page", samples[0].median(), "ns/page")
    }])
}

/// Notes the whole, and answers the part of one page.
fn noted(cost: Cost, totals: &mut Vec<f64>) -> Result<f64, Trouble> {
    totals.push(cost.ns);
    Ok(cost.ns / cost.scanned)
}

/// Which contents a page has: each is there twice.
fn twice(page: u64, pages: u64) -> [u8; content::PAGE] {
    content::random(page % (pages / 2))
}

fn linux_merges(scanner: &Scanner, pages: u64) -> Result<Cost, Trouble> {
    let mut area = Area::map((pages * PAGE_SIZE) as usize, PagesOf::FourKib).at("mmap")?;
    area.populate().at("MADV_POPULATE_WRITE")?;
    for page in 0..pages {
        area.write(page as usize, &twice(page, pages)).at("a store")?;
    }
    area.merge().at("MADV_MERGEABLE")?;
    let cost = scanner.merges(pages / 2);
    area.unmap().at("munmap")?;
    scanner.forget()?;
    cost
}

fn ours_merges(ours: &mut Ours<'_, '_>, pages: u64) -> Result<Cost, Trouble> {
    let mapped = ours.map(pages * PAGE_SIZE)?;
    for page in 0..pages {
        ours.program.write(mapped.page(page), &twice(page, pages)).at("a store")?;
    }
    ours.advise(mapped, MERGEABLE)?;
    let linux = ours.linux();
    let mut scanned = 0;
    // What ksmd ran for is all that is known of it: the same of ours.
    let ns = ours.timed(Clock::Thread, |ours| {
        // A pass to see them, one to see that they did not change; what is left over is one too many.
        for _ in 0..4 {
            scanned += linux.ksm_scan(ours.program.cx(), u64::MAX);
            if linux.ksm_report(ours.program.cx()).totals.sharing >= pages / 2 {
                return Ok(());
            }
        }
        Err(Trouble::new(&"four passes did not merge all pages"))
    })?;
    ours.unmap(mapped)?;
    linux.ksm_forget(ours.program.cx());
    Ok(Cost { ns, scanned: scanned as f64 })
}
