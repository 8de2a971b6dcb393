//! Stories as text and as JSON.

use std::fmt::Write;

use freehold::machine::Vpn;
use serde_json::{Value, json};

use super::decide::{DECISIONS, Decision};
use super::index::{Copy, Index};
use super::scene::plain;
use super::story::Line;
use super::tell::counts;

/// Lives of a frame that are shown unasked.
const LIVES: u64 = 4;

/// The whole story of one copy.
pub(crate) struct CopyStory<'a> {
    pub(crate) number: u64,
    pub(crate) copy: &'a Copy,
    /// Where the page is mapped still when it was copied.
    pub(crate) others: Vec<String>,
    pub(crate) before: Vec<Line>,
    pub(crate) deed: Vec<Line>,
    /// What becomes of the page that was copied.
    pub(crate) original: Vec<Line>,
    /// What becomes of the copy.
    pub(crate) copied: Vec<Line>,
}

/// A frame's lives.
pub(crate) fn frame(
    index: &Index,
    (frame, lives, wanted): (u32, u64, Option<u64>),
    lines: &[Line],
    still: &[String],
    limit: usize,
) -> (Value, String) {
    let is_shown = |life: u64| wanted.map_or(life <= LIVES, |wanted| life == wanted);
    let mut out = format!("frame {frame:#x}, in {}: {}\n", plain(&index.header.recording), lived(lives));
    for life in (0..=lives).filter(|&life| is_shown(life)) {
        let own: Vec<Line> = lines.iter().filter(|line| line.life == life).cloned().collect();
        if own.is_empty() {
            continue;
        }
        push(&mut out, format_args!("\nlife {life} of {lives}\n"));
        write_lines(&mut out, &own, limit);
        if life == lives && !still.is_empty() {
            push(&mut out, format_args!("  at the end still mapped at {}\n", still.join("; ")));
        }
    }
    if wanted.is_none() && lives > LIVES {
        push(&mut out, format_args!("\n{} more lives: --life K shows one\n", lives - LIVES));
    }
    let shown = lines.iter().filter(|line| wanted.is_none_or(|wanted| line.life == wanted));
    let value = json!({
        "recording": index.header.recording,
        "frame": frame,
        "lives": lives,
        "lines": shown.map(line_json).collect::<Vec<_>>(),
        "mapped_at_end": still,
    });
    (value, out)
}

/// A page's life.
pub(crate) fn page(index: &Index, (pid, page): (u32, Vpn), lines: &[Line], limit: usize) -> (Value, String) {
    let mut out =
        format!("page {:#x} of process {pid}, in {}\n\n", page.addr().0, plain(&index.header.recording));
    let spaces = lines.last().map_or(0, |line| line.life);
    for space in 0..=spaces {
        let own: Vec<Line> = lines.iter().filter(|line| line.life == space).cloned().collect();
        if !own.is_empty() && spaces > 1 {
            push(&mut out, format_args!("address space {space} of the process\n"));
        }
        write_lines(&mut out, &own, limit);
    }
    let value = json!({
        "recording": index.header.recording,
        "pid": pid,
        "addr": page.addr().0,
        "lines": lines.iter().map(line_json).collect::<Vec<_>>(),
    });
    (value, out)
}

/// Why a page was copied.
pub(crate) fn copy(index: &Index, story: &CopyStory<'_>, limit: usize) -> (Value, String) {
    let copy = story.copy;
    let decision = story.deed.iter().filter(|line| line.record <= copy.record);
    let decision = decision.filter_map(|line| line.decision).rfind(|decision| is_of_copy(decision));
    let owner = copy.life.and_then(|life| index.owner(life));
    let owner = owner.and_then(|process| index.header.processes.get(process as usize));
    let owner = owner.map_or_else(|| "a space".into(), |(pid, name)| format!("{}[{pid}]", plain(name)));
    let mut out = format!(
        "copy {} of {}, in {}: page {:#x} of {owner}, frame {:#x} copied to {:#x}\n",
        story.number,
        index.copies.len(),
        plain(&index.header.recording),
        copy.page.addr().0,
        copy.from,
        copy.to
    );
    if let Some(decision) = decision {
        push(&mut out, format_args!("\nwhy: {}\n     ({})\n", decision.why, source(decision)));
    }
    let held = copy.judged.map(|(_, held)| held).filter(|held| held.refs > 0);
    if let Some(held) = held {
        push(&mut out, format_args!("     counted when it was decided: {}\n", counts(held)));
    }
    for place in &story.others {
        push(&mut out, format_args!("     the original stays mapped at {place}\n"));
    }
    for (title, lines) in [
        (format!("before: the life of frame {:#x}", copy.from), &story.before),
        ("the copy".into(), &story.deed),
        (format!("afterwards: frame {:#x}, the original", copy.from), &story.original),
        (format!("afterwards: frame {:#x}, the copy", copy.to), &story.copied),
    ] {
        if !lines.is_empty() {
            push(&mut out, format_args!("\n{title}\n"));
            write_lines(&mut out, lines, limit);
        }
    }
    let lines = |lines: &[Line]| lines.iter().map(line_json).collect::<Vec<_>>();
    let value = json!({
        "recording": index.header.recording,
        "copy": story.number,
        "copies": index.copies.len(),
        "owner": owner,
        "addr": copy.page.addr().0,
        "from": copy.from,
        "to": copy.to,
        "decision": decision.map(decision_json),
        "refs": held.map(|held| held.refs),
        "maps": held.map(|held| held.maps),
        "pins": held.map(|held| held.pins),
        "others": story.others,
        "before": lines(&story.before),
        "lines": lines(&story.deed),
        "original": lines(&story.original),
        "copied": lines(&story.copied),
    });
    (value, out)
}

/// Whether it is a decision to copy.
fn is_of_copy(decision: &Decision) -> bool {
    let copies = ["copied: shared", "copied: file", "copied: zeros", "private copy", "fork: copied"];
    DECISIONS.contains(&decision) && copies.contains(&decision.key)
}

/// Appends to a string, which does not fail.
pub(crate) fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

fn lived(lives: u64) -> String {
    if lives == 1 { "1 life".into() } else { format!("{lives} lives") }
}

fn write_lines(out: &mut String, lines: &[Line], limit: usize) {
    let mut context = None;
    for (number, line) in lines.iter().enumerate() {
        if limit > 0 && number == limit {
            push(out, format_args!("  ... and {} more lines (--limit 0 shows all)\n", lines.len() - number));
            break;
        }
        let now = Some((&line.who, &line.during));
        if now != context {
            context = now;
            let during = line.during.as_ref().map_or_else(String::new, |during| format!(", {during}"));
            push(out, format_args!("  {}{during}\n", line.who));
        }
        let at = if line.setting_up { String::new() } else { us(line.at_ns) };
        push(out, format_args!("{at:>16}  cpu {:<3} {}\n", line.cpu, line.what));
        if let Some(decision) = line.decision {
            push(out, format_args!("{:28}because {}\n", "", decision.why));
            push(out, format_args!("{:28}({})\n", "", source(decision)));
        }
    }
}

/// Rule and Linux function.
fn source(decision: &Decision) -> String {
    format!("{}; on Linux {}", decision.rule, decision.linux)
}

/// Simulated time.
pub(crate) fn us(ns: u64) -> String {
    format!("{}.{:03} us", ns / 1000, ns % 1000)
}

fn line_json(line: &Line) -> Value {
    json!({
        "record": line.record,
        "life": line.life,
        "setting_up": line.setting_up,
        "at_ns": line.at_ns,
        "cpu": line.cpu,
        "who": line.who,
        "what": line.what,
        "during": line.during,
        "decision": line.decision.map(decision_json),
    })
}

fn decision_json(decision: &Decision) -> Value {
    json!({ "key": decision.key, "rule": decision.rule, "linux": decision.linux, "why": decision.why })
}
