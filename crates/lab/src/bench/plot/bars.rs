//! Ratios to peers, as bars: on a line where all are near 1, else by powers of ten.

use super::svg::{Anchor, Stroke, Svg};
use crate::bench::Row;
use crate::bench::row::{Measure, Met};

const WIDTH: f64 = 900.0;
/// Where bars begin.
const LEFT: f64 = 400.0;
/// How long the longest is.
const LONG: f64 = 400.0;
/// Of a bar and the room below it.
const STEP: f64 = 24.0;
const TOP: f64 = 56.0;

const GOOD: &str = "#3a7d44";
const MISSED: &str = "#b23a48";
const NEUTRAL: &str = "#5a6f8c";

/// Where a ratio lies.
struct Scale {
    /// As powers of ten, if the ratios are far apart.
    logarithmic: bool,
    low: f64,
    high: f64,
}

impl Scale {
    fn of(ratios: &[f64]) -> Scale {
        let low = ratios.iter().copied().fold(1.0, f64::min);
        let high = ratios.iter().copied().fold(1.0, f64::max);
        if low > 0.05 && high < 20.0 {
            return Scale { logarithmic: false, low: 0.0, high: high * 1.05 };
        }
        Scale { logarithmic: true, low: low.log10().floor(), high: high.log10().ceil() }
    }

    fn x(&self, ratio: f64) -> f64 {
        let place = if self.logarithmic { ratio.log10() } else { ratio };
        LEFT + LONG * ((place - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

/// A bar for each row that has a ratio; `None` if no row has.
pub(super) fn picture(title: &str, rows: &[&Row]) -> Option<String> {
    let rows: Vec<(&Row, f64)> =
        rows.iter().filter_map(|row| Some((*row, row.ratio.filter(|ratio| *ratio > 0.0)?))).collect();
    if rows.is_empty() {
        return None;
    }
    let scale = Scale::of(&rows.iter().map(|(_, ratio)| *ratio).collect::<Vec<_>>());
    let height = TOP + STEP * rows.len() as f64 + 20.0;
    let mut svg = Svg::new(WIDTH, height, title);
    svg.text((12.0, 40.0), Anchor::Start, 11, "value / peer; a tick is what must be reached, the line is 1");
    for (index, (row, ratio)) in rows.iter().enumerate() {
        bar(&mut svg, &scale, row, (*ratio, TOP + STEP * index as f64));
    }
    let one = scale.x(1.0);
    svg.line(&[(one, TOP - 6.0), (one, height - 14.0)], "#222", Stroke::Dashed);
    Some(svg.file())
}

fn bar(svg: &mut Svg, scale: &Scale, row: &Row, (ratio, y): (f64, f64)) {
    let fill = match row.met() {
        Some(Met::Missed) => MISSED,
        Some(_) => GOOD,
        None => NEUTRAL,
    };
    svg.text((LEFT - 8.0, y + 13.0), Anchor::End, 11, &label(row));
    svg.rectangle((LEFT, y), ((scale.x(ratio) - LEFT).max(1.0), 16.0), fill);
    if let Some(goal) = row.goal.filter(|goal| goal.measure == Measure::Ratio && goal.must > 0.0) {
        let x = scale.x(goal.must);
        svg.line(&[(x, y - 2.0), (x, y + 18.0)], "#222", Stroke::Thick);
    }
    let shown = if ratio >= 0.01 { format!("{ratio:.3}") } else { format!("1 / {:.0}", 1.0 / ratio) };
    svg.text((scale.x(ratio).max(scale.x(1.0)) + 6.0, y + 13.0), Anchor::Start, 11, &shown);
}

/// What a bar is called.
fn label(row: &Row) -> String {
    let cpus = row.cpus.map(|cpus| format!("{cpus} CPUs"));
    let words = [Some(row.name.clone()), row.policy.clone(), row.profile.clone(), cpus];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
