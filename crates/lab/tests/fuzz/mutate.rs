//! Real recordings, damaged in what they say.

use record::{Call, Event, EventKind, PageRun, Recording, TaskId};

use super::generate::{WILD, repair};
use super::random::Random;

/// The most pages that the touches of one case name, so that many cases fit into a second.
const TOUCHED_MAX: u64 = 3000;

/// The first events of a recording, some of them damaged.
pub(crate) fn recording(random: &mut Random, whole: &Recording) -> Recording {
    let mut left = TOUCHED_MAX;
    let first = whole.events.iter().take(40 + random.below(260) as usize);
    let first = first.take_while(|event| {
        let touched = touched(&event.kind);
        left = left.saturating_sub(touched);
        left > 0
    });
    let mut recording = Recording { events: first.cloned().collect(), ..whole.clone() };
    for _ in 0..1 + random.below(6) {
        damage(random, &mut recording.events, whole.tasks.len() as u64);
    }
    repair(&mut recording);
    recording
}

fn touched(kind: &EventKind) -> u64 {
    let EventKind::Touch { read, written, .. } = kind else { return 0 };
    read.iter().chain(written).map(|run| run.count).sum()
}

fn damage(random: &mut Random, events: &mut Vec<Event>, tasks: u64) {
    let (at, other) = (1 + random.below(events.len() as u64 - 1), 1 + random.below(events.len() as u64 - 1));
    let (at, other) = (at as usize, other as usize);
    match random.below(8) {
        0 => events.swap(at, other),
        1 if events.len() > 3 => drop(events.remove(at)),
        2 => events.insert(other, events[at].clone()),
        3 => events[at].task = TaskId(random.below(tasks) as u32),
        4 => {
            events[at].time_ns = random.below(1 << 30);
            events[at].end_ns = events[at].time_ns + random.below(1 << 30);
        }
        _ => change(random, &mut events[at].kind),
    }
}

fn change(random: &mut Random, kind: &mut EventKind) {
    match kind {
        EventKind::Call { ret, .. } if random.once_in(4) => *ret = odd(random, *ret as u64) as i64,
        EventKind::Call { call, .. } => change_call(random, call),
        EventKind::Fault { addr, .. } => *addr = odd(random, *addr),
        EventKind::Touch { read, written, .. } => {
            let extra = PageRun { first_page: random.below(1 << 34), count: 1 + random.below(100) };
            std::mem::swap(read, written);
            if read.is_empty() {
                read.push(extra);
            }
        }
        EventKind::Content { page, .. } => *page = random.below(1 << 35),
        EventKind::Exec { mappings, brk_start } => {
            *brk_start = odd(random, *brk_start) % (1 << 47);
            if let Some(mapping) = mappings.first_mut() {
                mapping.prot.0 = random.below(8) as u8;
            }
        }
        EventKind::Fork { .. } | EventKind::Exit => {}
    }
}

/// A number near the old one, or one that is likely to hurt.
fn odd(random: &mut Random, old: u64) -> u64 {
    match random.below(4) {
        0 => random.pick(&WILD),
        1 => old.wrapping_add(4096 * random.below(64)),
        2 => old.wrapping_sub(4096 * random.below(64)),
        _ => old ^ 1 << random.below(64),
    }
}

fn change_call(random: &mut Random, call: &mut Call) {
    match call {
        Call::Mmap { addr, len, prot, flags, offset, .. } => {
            let which = random.below(5) as usize;
            let value = [addr, len, prot, flags, offset].into_iter().nth(which);
            if let Some(value) = value {
                *value = odd(random, *value);
            }
        }
        Call::Mremap { addr, old_len, new_len, flags, new_addr } => {
            let which = random.below(5) as usize;
            if let Some(value) = [addr, old_len, new_len, flags, new_addr].into_iter().nth(which) {
                *value = odd(random, *value);
            }
        }
        Call::Munmap { addr, len } | Call::Mprotect { addr, len, .. } | Call::Madvise { addr, len, .. } => {
            let value = if random.once_in(2) { addr } else { len };
            *value = odd(random, *value);
        }
        Call::Brk { addr } => *addr = odd(random, *addr),
        other => *other = Call::Munmap { addr: random.pick(&WILD), len: random.pick(&WILD) },
    }
}
