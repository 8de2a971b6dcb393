//! `freehold info`: what is in a recording and what it lacks.

use std::fmt::{self, Write};
use std::path::PathBuf;

use record::{Recording, Summary};
use serde_json::{Value, json};

use crate::exit::{self, Error, Verdict};

/// The command line of `info`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The recording
    #[arg(value_name = "REC")]
    recording: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub(crate) fn run(args: &Args) -> Result<Verdict, Error> {
    let path = &args.recording;
    let recording = Recording::read(path).map_err(|error| Error::of_file(path, &error))?;
    let bytes = std::fs::metadata(path).map_or(0, |meta| meta.len());
    let about = About { name: path.display().to_string(), bytes, summary: recording.summary() };
    let text = if args.json { format!("{:#}\n", about.to_json(&recording)) } else { about.text(&recording) };
    exit::print(&text).map(|()| Verdict::Good)
}

/// What there is to say besides what the recording says itself.
struct About {
    name: String,
    bytes: u64,
    summary: Summary,
}

impl About {
    fn to_json(&self, recording: &Recording) -> Value {
        let Summary { events, processes, threads, files, duration_ns, .. } = self.summary;
        let (from, linux) = (&recording.provenance, &recording.linux);
        let calls: serde_json::Map<String, Value> = self
            .summary
            .calls
            .iter()
            .map(|(name, counts)| (name.to_string(), json!({ "made": counts.made, "failed": counts.failed })))
            .collect();
        let [read, write, execute] = self.summary.faults_by_access;
        json!({
            "recording": self.name,
            "bytes": self.bytes,
            "events": events,
            "events_by_kind": self.summary.by_kind,
            "calls": calls,
            "faults": {
                "read": read, "write": write, "execute": execute,
                "in_kernel": self.summary.faults_in_kernel,
            },
            "touches": {
                "pages_read": self.summary.pages_read,
                "pages_written": self.summary.pages_written,
            },
            "processes": processes,
            "threads": threads,
            "files": files,
            "duration_ns": duration_ns,
            "linux": {
                "minor_faults": linux.minor_faults, "major_faults": linux.major_faults,
                "peak_rss_kib": linux.peak_rss_kib, "wall_ns": linux.wall_ns,
                "user_ns": linux.user_ns, "system_ns": linux.system_ns,
            },
            "provenance": {
                "program": from.program, "recorder": from.recorder, "kernel": from.kernel,
                "cpus": from.cpus, "page_size": from.page_size, "thp": from.thp,
                "date": from.date, "freehold": from.freehold, "lost_events": from.lost_events,
                "notes": from.notes,
            },
            "lacks": from.lacks.iter().map(|lack| lack.key()).collect::<Vec<_>>(),
        })
    }

    fn text(&self, recording: &Recording) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.print(recording, &mut text);
        text
    }

    fn print(&self, recording: &Recording, out: &mut impl Write) -> fmt::Result {
        let from = &recording.provenance;
        writeln!(out, "{}  ({} bytes)", self.name, grouped(self.bytes))?;
        line(out, "program", &from.program.join(" "))?;
        line(out, "recorder", &format!("{}, {}", from.recorder, from.date))?;
        let huge = &from.thp;
        line(out, "machine", &format!("Linux {}, {} CPUs, THP {huge}", from.kernel, from.cpus))?;
        self.print_counts(out)?;
        self.print_linux(recording, out)?;
        let mut label = "lacks";
        for lack in &from.lacks {
            line(out, label, &lack.to_string())?;
            label = "";
        }
        if from.lost_events > 0 {
            line(out, "lost", &format!("{} events", grouped(from.lost_events)))?;
        }
        let mut label = "notes";
        for note in &from.notes {
            line(out, label, note)?;
            label = "";
        }
        Ok(())
    }

    fn print_counts(&self, out: &mut impl Write) -> fmt::Result {
        let summary = &self.summary;
        let kinds: Vec<String> =
            summary.by_kind.iter().map(|(kind, n)| format!("{} {kind}", grouped(*n))).collect();
        line(out, "events", &format!("{} ({})", grouped(summary.events), kinds.join(", ")))?;
        let calls: Vec<String> = summary
            .calls
            .iter()
            .map(|(name, counts)| match counts.failed {
                0 => format!("{} {name}", grouped(counts.made)),
                failed => format!("{} {name} ({failed} failed)", grouped(counts.made)),
            })
            .collect();
        line(out, "calls", &calls.join(", "))?;
        let [read, write, execute] = summary.faults_by_access.map(grouped);
        let kernel = grouped(summary.faults_in_kernel);
        let faults = format!("{read} read, {write} write, {execute} execute; {kernel} in the kernel");
        line(out, "faults", &faults)?;
        let (read, written) = (grouped(summary.pages_read), grouped(summary.pages_written));
        line(out, "touches", &format!("{read} pages read, {written} written"))?;
        let (processes, threads) = (summary.processes, summary.threads);
        let files = summary.files;
        line(out, "who", &format!("{processes} processes, {threads} more threads, {files} files"))
    }

    fn print_linux(&self, recording: &Recording, out: &mut impl Write) -> fmt::Result {
        let linux = &recording.linux;
        let count = |value: Option<u64>| value.map_or_else(|| "?".to_owned(), grouped);
        let ms =
            |value: Option<u64>| value.map_or_else(|| "?".to_owned(), |ns| format!("{:.1}", ns as f64 / 1e6));
        let faults = format!(
            "{} minor faults, {} major, {} KiB peak RSS",
            count(linux.minor_faults),
            count(linux.major_faults),
            count(linux.peak_rss_kib)
        );
        line(out, "Linux", &faults)?;
        let (wall, user, system) = (ms(linux.wall_ns), ms(linux.user_ns), ms(linux.system_ns));
        line(out, "", &format!("{wall} ms wall, {user} ms user, {system} ms system"))
    }
}

fn line(out: &mut impl Write, label: &str, text: &str) -> fmt::Result {
    // What a recording says must not drive the terminal.
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    writeln!(out, "  {label:<9} {text}")
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
