//! What a trace holds, to find what to ask about.

use freehold::machine::trace::Verdict;
use serde_json::{Value, json};

use super::index::Index;
use super::scene::plain;
use super::show::{push, us};

/// How many of each kind of remarkable thing are listed.
const LISTED: usize = 5;

/// As JSON and as text.
pub(crate) fn both(index: &Index) -> (Value, String) {
    let copies = by_reason(index);
    let most = most_copied(index);
    let lives = most_used(index);
    let mut out = format!(
        "trace of {}: {} records, {} of simulated time on {} CPUs\n",
        plain(&index.header.recording),
        index.records,
        us(index.end_ns),
        index.header.cpus
    );
    push(&mut out, format_args!("\nprocesses\n"));
    for (pid, name) in index.header.processes.iter().take(20) {
        push(&mut out, format_args!("{pid:>12}  {}\n", plain(name)));
    }
    push(&mut out, format_args!("\nevents\n"));
    for (kind, count) in &index.by_kind {
        push(&mut out, format_args!("{count:>12}  {kind}\n"));
    }
    push(&mut out, format_args!("\ncopies: {} (ask: copy N)\n", index.copies.len()));
    for (why, count, first) in &copies {
        push(&mut out, format_args!("{count:>12}  {why}; the first is copy {first}\n"));
    }
    let [exclusive, alone] = index.reused;
    push(&mut out, format_args!("{exclusive:>12}  written in place: exclusive\n"));
    push(&mut out, format_args!("{alone:>12}  written in place: nobody else had them any more\n"));
    push(&mut out, format_args!("\npages copied most often (ask: page PID ADDR)\n"));
    for (pid, addr, count) in &most {
        push(&mut out, format_args!("{count:>12}  page {pid} {addr:#x}\n"));
    }
    push(&mut out, format_args!("\nframes used most often (ask: frame PFN)\n"));
    for (frame, count) in &lives {
        push(&mut out, format_args!("{count:>12}  frame {frame:#x}\n"));
    }
    if let Some((ns, frame)) = index.oldest {
        push(
            &mut out,
            format_args!("\nof the frames that were freed, {frame:#x} lived longest: {}\n", us(ns)),
        );
    }
    (json(index, &copies, &most, &lives), out)
}

fn json(
    index: &Index,
    copies: &[(&str, u64, usize)],
    most: &[(u32, u64, u64)],
    lives: &[(u32, u64)],
) -> Value {
    let reason = |(why, n, first): &(&str, u64, usize)| json!({ "why": why, "count": n, "first": first });
    let reasons: Vec<Value> = copies.iter().map(reason).collect();
    json!({
        "recording": index.header.recording,
        "records": index.records,
        "sim_ns": index.end_ns,
        "cpus": index.header.cpus,
        "events": index.by_kind,
        "copies": index.copies.len(),
        "copies_by_reason": reasons,
        "reused": { "exclusive": index.reused[0], "alone": index.reused[1] },
        "most_copied": most.iter().map(|(pid, addr, n)| json!({ "pid": pid, "addr": addr, "count": n }))
            .collect::<Vec<_>>(),
        "most_used_frames": lives.iter().map(|(frame, n)| json!({ "frame": frame, "lives": n }))
            .collect::<Vec<_>>(),
        "longest_lived": index.oldest.map(|(ns, frame)| json!({ "frame": frame, "ns": ns })),
    })
}

/// Copies by reason: how many, and the number of the first.
fn by_reason(index: &Index) -> Vec<(&'static str, u64, usize)> {
    let mut found: Vec<(&'static str, u64, usize)> = Vec::new();
    for (number, copy) in index.copies.iter().enumerate() {
        let why = match copy.judged {
            None => "copied by fork",
            Some((Verdict::Shared, _)) => "somebody else could see the page",
            Some((Verdict::FilePage, _)) => "a private mapping of a file's page",
            Some((Verdict::Merged, _)) => "a page that stood for several equal ones",
            Some(_) => "another reason",
        };
        match found.iter_mut().find(|known| known.0 == why) {
            Some(known) => known.1 += 1,
            None => found.push((why, 1, number + 1)),
        }
    }
    found
}

fn most_copied(index: &Index) -> Vec<(u32, u64, u64)> {
    let pages = index.copied.iter().filter_map(|(&(life, page), &count)| {
        let pid = index.header.processes.get(index.owner(life)? as usize)?.0;
        Some((pid, page.addr().0, count))
    });
    let mut pages: Vec<_> = pages.collect();
    pages.sort_by_key(|&(pid, addr, count)| (std::cmp::Reverse(count), pid, addr));
    pages.truncate(LISTED);
    pages
}

fn most_used(index: &Index) -> Vec<(u32, u64)> {
    let mut frames: Vec<_> = index.lives.iter().map(|(&frame, &lives)| (frame, lives)).collect();
    frames.sort_by_key(|&(frame, lives)| (std::cmp::Reverse(lives), frame));
    frames.truncate(LISTED);
    frames
}
