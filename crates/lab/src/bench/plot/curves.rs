//! How a figure grows with CPUs: a curve for each policy, both axes by powers.

use std::collections::BTreeMap;

use super::svg::{Anchor, Stroke, Svg};
use crate::bench::Row;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 440.0;
/// The corner of the axes, and where they end.
const LEFT: f64 = 80.0;
const BOTTOM: f64 = 390.0;
const RIGHT: f64 = 520.0;
const TOP: f64 = 60.0;
const COLOURS: [&str; 8] =
    ["#3a7d44", "#b23a48", "#33658a", "#d4a017", "#6a4c93", "#8d6a4f", "#2a9d8f", "#555555"];

/// Figures by CPUs.
type Curve = BTreeMap<u32, f64>;

/// The curves of rows with the same name; `None` if none has three points.
pub(super) fn picture(title: &str, rows: &[&Row]) -> Option<String> {
    let mut curves: BTreeMap<String, Curve> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.value > 0.0) {
        let policy =
            [&row.policy, &row.profile].into_iter().flatten().cloned().collect::<Vec<_>>().join(", ");
        if let Some(cpus) = row.cpus.filter(|cpus| *cpus > 0) {
            curves.entry(policy).or_default().insert(cpus, row.value);
        }
    }
    curves.retain(|_, curve| curve.len() >= 3);
    let axes = Axes::of(&curves)?;
    let mut svg = Svg::new(WIDTH, HEIGHT, title);
    axes.draw(&mut svg, rows.first().map_or("", |row| row.unit));
    for (index, (name, curve)) in curves.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let points: Vec<(f64, f64)> = curve.iter().map(|(cpus, value)| axes.point(*cpus, *value)).collect();
        svg.line(&points, colour, Stroke::Thick);
        points.iter().for_each(|point| svg.dot(*point, colour));
        let y = TOP + 18.0 * index as f64;
        svg.rectangle((RIGHT + 16.0, y - 9.0), (10.0, 10.0), colour);
        svg.text((RIGHT + 32.0, y), Anchor::Start, 11, name);
    }
    Some(svg.file())
}

/// Which CPUs and figures there are.
struct Axes {
    cpus: Vec<u32>,
    /// As powers of ten.
    low: f64,
    high: f64,
}

impl Axes {
    fn of(curves: &BTreeMap<String, Curve>) -> Option<Axes> {
        let mut cpus: Vec<u32> = curves.values().flat_map(|curve| curve.keys().copied()).collect();
        cpus.sort_unstable();
        cpus.dedup();
        let values = || curves.values().flat_map(|curve| curve.values().copied());
        let low = values().min_by(f64::total_cmp)?.log10().floor();
        let high = values().max_by(f64::total_cmp)?.log10().ceil().max(low + 1.0);
        Some(Axes { cpus, low, high })
    }

    fn point(&self, cpus: u32, value: f64) -> (f64, f64) {
        let (first, last) = (self.cpus[0], self.cpus[self.cpus.len() - 1]);
        let across = f64::from(cpus).log2() - f64::from(first).log2();
        let whole = f64::from(last).log2() - f64::from(first).log2();
        let up = (value.log10() - self.low) / (self.high - self.low);
        (LEFT + (RIGHT - LEFT) * across / whole, BOTTOM - (BOTTOM - TOP) * up)
    }

    fn draw(&self, svg: &mut Svg, unit: &str) {
        svg.line(&[(LEFT, TOP), (LEFT, BOTTOM), (RIGHT, BOTTOM)], "#222", Stroke::Thin);
        for &cpus in &self.cpus {
            let (x, _) = self.point(cpus, 1.0);
            svg.line(&[(x, BOTTOM), (x, BOTTOM + 5.0)], "#222", Stroke::Thin);
            svg.text((x, BOTTOM + 18.0), Anchor::Middle, 11, &cpus.to_string());
        }
        svg.text((f64::midpoint(LEFT, RIGHT), BOTTOM + 36.0), Anchor::Middle, 11, "CPUs");
        svg.text((12.0, TOP - 16.0), Anchor::Start, 11, unit);
        for power in self.low as i32..=self.high as i32 {
            let (_, y) = self.point(self.cpus[0], 10f64.powi(power));
            svg.line(&[(LEFT, y), (RIGHT, y)], "#ddd", Stroke::Thin);
            svg.text((LEFT - 8.0, y + 4.0), Anchor::End, 11, &format!("1e{power}"));
        }
        // What grows with CPUs as it should is parallel to this.
        let (first, last) = (self.cpus[0], self.cpus[self.cpus.len() - 1]);
        let start = 10f64.powf(self.low);
        let growth = f64::from(last) / f64::from(first);
        let end = start * growth.min(10f64.powf(self.high - self.low));
        let reached = f64::from(first) * (end / start);
        let (x, y) = self.point(first, end);
        let x = x
            + (RIGHT - LEFT) * (reached.log2() - f64::from(first).log2())
                / (f64::from(last).log2() - f64::from(first).log2());
        svg.line(&[self.point(first, start), (x, y)], "#999", Stroke::Dashed);
    }
}
