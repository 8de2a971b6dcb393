//! Rows as a table for each side.

use super::row::{Better, Measure};
use super::{Goal, Row, Side};

/// All rows, the sides apart; behind the native ones, what each side does.
pub(super) fn text(rows: &[Row], features: &str) -> String {
    let mut text = String::new();
    for (side, title) in [
        (Side::Native, "Native: on this machine, beside this Linux"),
        (Side::Simulated, "Simulated: the simulator's nanoseconds, beside others in the same simulator"),
    ] {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.side == side).collect();
        if !rows.is_empty() {
            if !text.is_empty() {
                text.push('\n');
            }
            text += &format!("{title}\n{}{}", columns(&rows), leaves_out(&rows));
            if side == Side::Native && rows.iter().any(|row| row.peer.is_some()) {
                text += &format!("\n{features}");
            }
        }
    }
    text
}

const HEADS: [&str; 12] = [
    "bench", "policy", "profile", "cpus", "median", "least", "peer", "median", "least", "unit", "ratio",
    "goal",
];

fn columns(rows: &[&Row]) -> String {
    let mut cells: Vec<Vec<String>> = vec![HEADS.map(String::from).to_vec()];
    cells.extend(rows.iter().map(|row| line(row)));
    let used: Vec<usize> =
        (0..HEADS.len()).filter(|&column| cells[1..].iter().any(|row| !row[column].is_empty())).collect();
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADS.len()).map(width).collect();
    let mut text = String::new();
    for row in &cells {
        let shown = used.iter().map(|&column| match column {
            3..=5 | 7 | 8 | 10 => format!("{:>width$}", row[column], width = widths[column]),
            _ => format!("{:<width$}", row[column], width = widths[column]),
        });
        text += format!("  {}", shown.collect::<Vec<_>>().join("  ")).trim_end();
        text.push('\n');
    }
    text
}

fn line(row: &Row) -> Vec<String> {
    let peer = row.peer.as_ref();
    let or_empty = |value: Option<f64>| value.map_or_else(String::new, figure);
    let mut goal = row.goal.as_ref().map_or_else(String::new, goal);
    if let Some(met) = row.met() {
        goal += &format!(": {}", met.name());
    }
    vec![
        row.name.clone(),
        row.policy.clone().unwrap_or_default(),
        row.profile.clone().unwrap_or_default(),
        row.cpus.map_or_else(String::new, |cpus| cpus.to_string()),
        figure(row.value),
        or_empty(row.min),
        peer.map_or_else(String::new, |peer| peer.name.clone()),
        or_empty(peer.map(|peer| peer.value)),
        or_empty(peer.and_then(|peer| peer.min)),
        row.unit.into(),
        or_empty(row.ratio),
        goal,
    ]
}

/// A goal in few words.
fn goal(goal: &Goal) -> String {
    let sign = match goal.better {
        Better::Lower => "<=",
        Better::Higher => ">=",
    };
    let of = match goal.measure {
        Measure::Ratio => "",
        Measure::Value => "median ",
    };
    let aim = goal.aim.map_or_else(String::new, |aim| format!(" ({aim})"));
    format!("{of}{sign} {}{aim}", goal.must)
}

/// What sides leave out, each sentence once.
fn leaves_out(rows: &[&Row]) -> String {
    let mut said: Vec<&str> = Vec::new();
    let mut text = String::new();
    for row in rows {
        if !row.leaves_out.is_empty() && !said.contains(&row.leaves_out.as_str()) {
            said.push(&row.leaves_out);
            text += &format!("  {}: {}\n", row.name, row.leaves_out);
        }
    }
    text
}

/// Three digits that count.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || size == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.01 => format!("{value:.3}"),
        _ => format!("{value:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Peer;

    #[test]
    fn sides_are_apart_and_a_miss_is_a_miss() {
        let peer = Peer { name: "Linux".into(), value: 100.0, min: Some(90.0) };
        let goal = Goal::ratio_at_most(0.6, 0.5);
        let native = Row { goal: Some(goal), ..Row::new(Side::Native, "munmap", 61.0, "ns").beside(peer) };
        let simulated = Row::new(Side::Simulated, "munmap-496g", 6.0, "ms");
        let text = text(&[simulated, native], "  zeroed  yes\n");
        let native = text.find("\n  munmap ").expect("a native row");
        let other = text.find("Simulated:").expect("the other table");
        assert!(native < other && other < text.find("munmap-496g").expect("its row"), "{text}");
        assert!(text.contains("<= 0.6 (0.5): missed"), "{text}");
        assert!(text.contains("0.610"), "{text}");
        assert!(text.find("zeroed").is_some_and(|features| features < other), "{text}");
    }

    #[test]
    fn empty_columns_are_not_shown() {
        let text = text(&[Row::new(Side::Native, "zero", 61.0, "ns")], "features");
        assert!(!text.contains("policy") && !text.contains("ratio"), "{text}");
        assert!(text.contains("median") && !text.contains("features"), "{text}");
    }

    #[test]
    fn figures_have_three_digits() {
        let shown = [418.4, 41.84, 4.184, 0.4184, 0.004_184, 0.0].map(figure);
        assert_eq!(shown, ["418", "41.8", "4.18", "0.418", "4.18e-3", "0"]);
    }
}
