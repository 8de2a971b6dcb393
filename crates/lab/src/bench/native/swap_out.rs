//! Putting pages out to compressed memory.

use std::fs;

use freehold::machine::{Counter, PAGE_SIZE};
use freehold::object::swap::SwapDevice;
use native::peer::{Area, PagesOf};

use super::attempt::Attempt;
use super::beside::{self, Work};
use super::content;
use super::ours::{Ours, PAGEOUT, Room, on_machine};
use super::stats::in_turn;
use super::{Options, Row, Side, Trouble};

const NAME: &str = "swap-out of a page to compressed memory";

const LEAVES_OUT: &str = "Half of each page is dice, half zero. Freehold compresses with LZ4 (lz4_flex) \
    into memory of its own; Linux with the algorithm of the zram device, through its block layer. Linux \
    also charges the slot to a control group and keeps shadows for refault distances.";

/// The bench.
pub(super) fn rows(options: &Options) -> Result<Vec<Row>, Trouble> {
    let pages = options.sized(16_384, 32);
    // Compressed pages lie beside those that are not put out yet.
    on_machine(&Room::small(2 * pages * PAGE_SIZE), |ours| {
        let device = SwapDevice::Compressed { disk: 0, pages: 2 * pages };
        ours.linux().swapon(ours.program.cx(), device, None).at("swapon")?;
        match compressed_area() {
            Ok(algorithm) => beside_linux(options, ours, pages, &algorithm),
            Err(why) => alone(options, ours, pages, &why),
        }
    })
}

/// The algorithm of the only swap area, if that is compressed memory; the error says why not.
fn compressed_area() -> Result<String, Trouble> {
    let swaps = fs::read_to_string("/proc/swaps").at("/proc/swaps")?;
    let areas: Vec<&str> = swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    let [area] = areas[..] else {
        return Err(Trouble::new(&format!("{} swap areas, not one of zram", areas.len())));
    };
    let disk = area.strip_prefix("/dev/").filter(|name| name.starts_with("zram"));
    let disk = disk.ok_or_else(|| Trouble::new(&"the swap area is not of zram"))?;
    let file = format!("/sys/block/{disk}/comp_algorithm");
    let known = fs::read_to_string(&file).at(&file)?;
    let chosen = known.split(['[', ']']).nth(1).unwrap_or("unknown");
    Ok(chosen.into())
}

fn beside_linux(
    options: &Options,
    ours: &mut Ours<'_, '_>,
    pages: u64,
    algorithm: &str,
) -> Result<Vec<Row>, Trouble> {
    let mut freehold = || ours_out(options, ours, pages);
    let mut linux = || linux_out(options, pages);
    let samples = in_turn(options, &mut [&mut freehold, &mut linux])?;
    let work = Work { name: NAME, unit: "ns/page", peer: "MADV_PAGEOUT", goal: None, leaves_out: LEAVES_OUT };
    let mut row = beside::of_samples(&work, &samples[0], &samples[1]).counted(ours.counts());
    if let Some(peer) = &mut row.peer {
        peer.name = format!("{} (zram, {algorithm})", peer.name);
    }
    Ok(vec![row])
}

/// Ours, where Linux has no such area.
fn alone(options: &Options, ours: &mut Ours<'_, '_>, pages: u64, why: &Trouble) -> Result<Vec<Row>, Trouble> {
    let mut freehold = || ours_out(options, ours, pages);
    let samples = in_turn(options, &mut [&mut freehold])?;
    Ok(vec![Row {
        min: Some(samples[0].min()),
        leaves_out: format!("Linux's is not available here: {why}"),
        ..Row::new(Side::Native, NAME, samples[0].median(), "ns/page")
    }])
}

/// Trouble if hardly any page went.
fn gone(out: u64, pages: u64) -> Result<(), Trouble> {
    if out >= pages * 9 / 10 {
        return Ok(());
    }
    Err(Trouble::new(&format!("{out} pages of {pages} were put out")))
}

/// Nanoseconds of a page.
fn ours_out(options: &Options, ours: &mut Ours<'_, '_>, pages: u64) -> Result<f64, Trouble> {
    let mapped = ours.map(pages * PAGE_SIZE)?;
    for page in 0..pages {
        ours.program.write(mapped.page(page), &content::half_random(page)).at("a store")?;
    }
    let before = ours.manager.core().total(Counter::PSwpOut);
    let took = ours.timed(options.clock, |ours| ours.advise(mapped, PAGEOUT))?;
    gone(ours.manager.core().total(Counter::PSwpOut) - before, pages)?;
    ours.unmap(mapped)?;
    Ok(took / pages as f64)
}

/// Nanoseconds of a page.
fn linux_out(options: &Options, pages: u64) -> Result<f64, Trouble> {
    let mut area = Area::map((pages * PAGE_SIZE) as usize, PagesOf::FourKib).at("mmap")?;
    area.populate().at("MADV_POPULATE_WRITE")?;
    for page in 0..pages {
        area.write(page as usize, &content::half_random(page)).at("a store")?;
    }
    let before = swapped_kib()?;
    let started = options.clock.now();
    area.page_out().at("MADV_PAGEOUT")?;
    let took = options.clock.now() - started;
    gone(swapped_kib()?.saturating_sub(before) / 4, pages)?;
    Ok(took as f64 / pages as f64)
}

/// How much of this process is swapped out.
fn swapped_kib() -> Result<u64, Trouble> {
    let status = fs::read_to_string("/proc/self/status").at("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmSwap:"));
    let number = line.and_then(|line| line.split_whitespace().next()).and_then(|word| word.parse().ok());
    number.ok_or_else(|| Trouble::new(&"/proc/self/status: no VmSwap"))
}
