//! Ours and Linux's in turn, as a row.

use super::stats::{Measurement, Samples, in_turn};
use super::{Goal, Options, Peer, Row, Side, Trouble};

/// What is measured.
pub(super) struct Work {
    /// What it is called.
    pub(super) name: &'static str,
    /// Of the figures: nanoseconds each.
    pub(super) unit: &'static str,
    /// How Linux does it.
    pub(super) peer: &'static str,
    /// What it has to reach.
    pub(super) goal: Option<Goal>,
    /// What one side does and the other does not.
    pub(super) leaves_out: &'static str,
}

/// Measures ours, Linux's, and perhaps a floor, in turn. Each answers its figure of one repetition.
pub(super) fn row<'a>(
    options: &Options,
    work: &Work,
    ours: Measurement<'a>,
    linux: Measurement<'a>,
    floor: Option<Measurement<'a>>,
) -> Result<Row, Trouble> {
    let mut sides: Vec<Measurement<'a>> = vec![ours, linux];
    sides.extend(floor);
    let samples = in_turn(options, &mut sides)?;
    Ok(Row { floor: samples.get(2).map(Samples::median), ..of_samples(work, &samples[0], &samples[1]) })
}

/// The row of what was measured in turn.
pub(super) fn of_samples(work: &Work, ours: &Samples, linux: &Samples) -> Row {
    let peer = Peer { name: work.peer.into(), value: linux.median(), min: Some(linux.min()) };
    Row {
        min: Some(ours.min()),
        goal: work.goal,
        leaves_out: work.leaves_out.into(),
        counts: vec![
            ("reps", ours.len() as u64),
            ("slow_reps", ours.slow() as u64),
            ("slow_reps_of_peer", linux.slow() as u64),
        ],
        ..Row::new(Side::Native, work.name, ours.median(), work.unit).beside(peer)
    }
}
