//! Holding pages for the kernel: `get_user_pages` and its kin.

use freehold::fault::How;
use freehold::machine::{Access, PAGE_SIZE};
use freehold::object::Held;
use native::peer::{Area, Clock, PagesOf, Pipe};

use super::attempt::Attempt;
use super::beside::{self, Work};
use super::ours::{Mapped, Ours, Room, on_machine};
use super::{Goal, Options, Row, Trouble, stats};

/// Pages of a call.
const PAGES: usize = 256;

const LEAVES_OUT: &str = "Freehold pins 256 pages in a call (pin_user_pages_fast: the page counts a pin, \
    and fork copies it early) and unpins them one by one. Linux's vmsplice takes a plain reference to each \
    of 256 pages (get_user_pages_fast) and puts it into a pipe's slot; splice to /dev/null then takes each \
    slot out and drops the reference: the two calls and the pipe's slots are in Linux's time, pins are in \
    ours.";

/// The bench.
pub(super) fn rows(options: &Options) -> Result<Vec<Row>, Trouble> {
    let calls = options.sized(512, 2);
    // 4 MiB: as many pages as a program's buffers have, several times over.
    let bytes = (4 * PAGES) as u64 * PAGE_SIZE;
    let pages = (calls * PAGES) as f64;
    on_machine(&Room::small(bytes), |ours| {
        let mapped = ours.map_populated(bytes)?;
        let area = Area::map(bytes as usize, PagesOf::FourKib).at("mmap")?;
        area.populate().at("MADV_POPULATE_WRITE")?;
        let pipe = Pipe::new(PAGES).at("a pipe of 1 MiB")?;
        let mut held = vec![Held::Nothing; PAGES];
        let mut both = |clock: Clock| -> Result<f64, Trouble> {
            ours.timed(clock, |ours| (0..calls).try_for_each(|call| hold(ours, mapped, call, &mut held)))
                .map(|took| took / pages)
        };
        let mut linux = || {
            let started = options.clock.now();
            for call in 0..calls {
                pipe.take(&area, call % 4 * PAGES, PAGES).at("vmsplice")?;
                pipe.give_back(PAGES).at("splice")?;
            }
            Ok((options.clock.now() - started) as f64 / pages)
        };
        let mut linux_takes = || {
            let mut took = 0;
            for call in 0..calls {
                let started = options.clock.now();
                pipe.take(&area, call % 4 * PAGES, PAGES).at("vmsplice")?;
                took += options.clock.now() - started;
                pipe.give_back(PAGES).at("splice")?;
            }
            Ok(took as f64 / pages)
        };
        let mut freehold = || both(options.clock);
        let samples = stats::in_turn(options, &mut [&mut freehold, &mut linux, &mut linux_takes])?;
        let work = Work {
            name: "pin and unpin a page, 256 a call",
            unit: "ns/page",
            peer: "vmsplice + splice",
            goal: Some(Goal::ratio_at_most(0.6, 0.5)),
            leaves_out: LEAVES_OUT,
        };
        let stricter = Work {
            name: "pin and unpin, beside taking alone",
            peer: "vmsplice",
            goal: None,
            leaves_out: "",
            ..work
        };
        let row = beside::of_samples(&work, &samples[0], &samples[1]);
        let stricter = beside::of_samples(&stricter, &samples[0], &samples[2]);
        Ok(vec![row.counted(ours.counts()), stricter])
    })
}

/// Pins pages and lets go of them.
fn hold(ours: &mut Ours<'_, '_>, mapped: Mapped, call: usize, held: &mut [Held]) -> Result<(), Trouble> {
    let (linux, process) = (ours.linux(), ours.program.process());
    let first = mapped.page((call % 4 * PAGES) as u64).page();
    let cx = ours.program.cx();
    let took = linux.hold_pages(cx, process, (first, How::pin(Access::Read)), held).at("a pin")?;
    if took < held.len() {
        return Err(Trouble::new(&format!("{took} pages of {} were pinned", held.len())));
    }
    for held in held {
        linux.release_page(cx, std::mem::take(held));
    }
    Ok(())
}
