//! Runs a program and records it.
//!
//! The tool that watches is `perf` where it may, `strace` where it may not, and `valgrind` where
//! page touches are asked for. A small helper process stands between the tool and the program: it
//! switches transparent huge pages off for the program alone, and asks Linux what the program
//! cost once it has ended. The helper is this same executable; see [`helper`].

mod counts;
mod error;
pub mod helper;
mod host;
mod order;
mod perf;
mod pipes;
mod scratch;
mod strace;
mod valgrind;
mod watch;

pub use counts::Outcome;
pub use error::RecordError;
pub use order::{Order, Tool};

use crate::Recording;

/// Runs the program of `order` and records its calls and, with `perf`, its faults.
///
/// The program keeps its standard streams. What it returned is in the [`Outcome`].
///
/// # Errors
///
/// When no tool can be used, the program cannot be started, or what the tool wrote makes no sense.
pub fn record(order: &Order) -> Result<(Recording, Outcome), RecordError> {
    let (mut recording, outcome, notes) = match order.tool {
        Tool::Perf => perf::record(order, perf::ready()?)?,
        Tool::Strace => strace::record(order, Vec::new())?,
        Tool::Auto => match perf::ready() {
            Ok(ready) => perf::record(order, ready)?,
            Err(why) => strace::record(order, vec![format!("not recorded with perf: {why}")])?,
        },
    };
    host::describe(&mut recording, order, notes);
    recording.linux = outcome.counts;
    Ok((recording, outcome))
}

/// Runs the program of `order` twice: plainly, for what Linux counts, and under `valgrind`, which
/// tells every page the program touches.
///
/// # Errors
///
/// When `valgrind` is missing, the program cannot be started, or the output makes no sense.
pub fn record_touches(order: &Order) -> Result<(Recording, Outcome), RecordError> {
    valgrind::ready()?;
    let outcome = helper::run_plain(order)?;
    let mut recording = valgrind::record(order)?;
    let notes = vec![
        "calls and touches come from a run under valgrind; Linux's counts come from a plain run \
         of the same program"
            .to_owned(),
        "valgrind places mappings where it likes, and its own memory is left out".to_owned(),
        "one nanosecond of the recording's clock is one instruction".to_owned(),
    ];
    host::describe(&mut recording, order, notes);
    recording.linux = outcome.counts;
    Ok((recording, outcome))
}
