//! `freehold compare`: one recording under several policies, side by side.

mod column;
mod table;
#[cfg(test)]
mod tests;
mod words;

use std::path::PathBuf;

use record::Recording;
use serde_json::json;

use crate::exit::{self, Error, Verdict};
use crate::policy::Policy;
use crate::replay::{self, Options};
use column::{Column, End};

/// The command line of `compare`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The recording (.fhr)
    #[arg(value_name = "REC")]
    recording: PathBuf,
    /// One column of the table, as cow=refcount, several choices with commas between them; give it
    /// at least twice. The others are compared with the first
    #[arg(long, value_name = "AXIS=VALUE,...")]
    policy: Vec<Policy>,
    #[command(flatten)]
    options: Options,
    /// Print one JSON object instead of the table (docs/compare.md lists its keys)
    #[arg(long)]
    json: bool,
}

/// The most columns.
const COLUMNS_MAX: usize = 16;

/// Replays a recording under each policy, and shows what differs.
pub(crate) fn run(args: &Args) -> Result<Verdict, Error> {
    let columns = args.policy.len();
    if !(2..=COLUMNS_MAX).contains(&columns) {
        let text =
            format!("compare takes --policy 2 to {COLUMNS_MAX} times, and it was given {columns} times");
        return Err(Error::new(&text));
    }
    let (name, recording) = replay::read(&args.recording)?;
    for missing in args.options.features.missing(&recording) {
        exit::remark(&format!("{}: {missing}", args.recording.display()));
    }
    let columns = replayed((&name, &recording), &args.policy, &args.options)
        .map_err(|error| error.about_file(&args.recording))?;
    let text = if args.json { printed(&name, &columns) } else { shown(&name, &args.options, &columns) };
    exit::print(&text)?;
    Ok(verdict(&columns))
}

fn verdict(columns: &[Column]) -> Verdict {
    if columns.iter().all(Column::is_good) { Verdict::Good } else { Verdict::Broken }
}

/// One column after the other. If a replay stops, the others are still worth seeing; if none gets to its end
/// for want of good input, the input is at fault.
fn replayed(
    (name, recording): (&str, &Recording),
    policies: &[Policy],
    options: &Options,
) -> Result<Vec<Column>, Error> {
    let column = |policy: &Policy| {
        let options = Options { policy: policy.clone(), ..options.clone() };
        Column::new(policy, replay::replay(name, recording, &options))
    };
    unless_all_refused(policies.iter().map(column).collect())
}

fn unless_all_refused(mut columns: Vec<Column>) -> Result<Vec<Column>, Error> {
    let is_refused = |column: &Column| matches!(&column.end, End::Stopped(error) if error.status() == 2);
    if columns.iter().all(is_refused)
        && let End::Stopped(error) = columns.swap_remove(0).end
    {
        return Err(error);
    }
    Ok(columns)
}

fn printed(name: &str, columns: &[Column]) -> String {
    let differences = |(number, column)| {
        words::differences(&columns[0], column)
            .into_iter()
            .map(move |text| json!({ "column": number, "text": text }))
    };
    let object = json!({
        "recording": name,
        "columns": columns.iter().map(Column::to_json).collect::<Vec<_>>(),
        "differences": columns.iter().enumerate().skip(1).flat_map(differences).collect::<Vec<_>>(),
    });
    format!("{object:#}\n")
}

fn shown(name: &str, options: &Options, columns: &[Column]) -> String {
    let with = replay::shown_with(None, options.thp, &options.features);
    let mut text = format!("{name}, replayed on {} simulated CPUs{with}\n\n", options.cpus);
    text += &table::table(columns);
    text += &format!("\ncompared with {}:\n", columns[0].policy);
    for column in &columns[1..] {
        for difference in words::differences(&columns[0], column) {
            text += &format!("  {difference}\n");
        }
    }
    for column in columns.iter().filter(|column| !column.is_good()) {
        text += &format!("\n{} is broken:\n", column.policy);
        for finding in words::findings(column) {
            text += &format!("  {finding}\n");
        }
    }
    text
}
