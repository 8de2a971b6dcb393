//! Who waits for whom, when nobody can go on.

use crate::SimMachine;
use crate::cpu::{Activity, Cpu, TaskState};
use crate::explore::Locks;
use machine::{CpuId, TaskId, level};
use std::collections::BTreeMap;

/// What one task waits for.
struct Waits {
    line: String,
    /// The tasks that could end it, as far as is known.
    on: Vec<TaskId>,
}

impl SimMachine {
    /// A task that waits, in words, and for whom.
    fn waits_of(&self, task: TaskId, state: TaskState, home: u32) -> Waits {
        let cpu = &self.cpus[home as usize];
        let irq = if cpu.irq_on.get() { "on" } else { "off" };
        let locks = self.locks.borrow();
        let mut on = Vec::new();
        let what = match (cpu.activity.get(), state) {
            _ if cpu.task.get() != Some(task) && state == TaskState::Parked => {
                let word = locks.word_awaited(task);
                on.extend(locks.holders(word).map(|holder| holder.0));
                self.lock_in_words(&locks, word, "sleeps until it gets")
            }
            _ if cpu.task.get() != Some(task) => self.tasks.borrow()[task.0 as usize].what.to_string(),
            (Activity::Spinning { word, .. }, _) => {
                let word = self.address(word);
                on.extend(locks.holders(word).map(|holder| holder.0));
                self.lock_in_words(&locks, word, "spins for")
            }
            (Activity::Asking, _) => {
                let unanswering = self.unanswering(home);
                on.extend(unanswering.iter().filter_map(|&other| self.cpus[other as usize].task.get()));
                let names: Vec<String> = unanswering.iter().map(|other| format!("cpu {other}")).collect();
                format!("waits until {} took its interrupt", names.join(", "))
            }
            _ => "runs".into(),
        };
        let held: Vec<&str> = locks.held_by(task).iter().map(|lock| level::name(lock.level)).collect();
        let holds = if held.is_empty() { "no lock".into() } else { held.join(", ") };
        let line = format!("task {} on cpu {home}: {what}; holds {holds}; interrupts {irq}", task.0);
        Waits { line, on }
    }

    fn lock_in_words(&self, locks: &Locks, word: u64, verb: &str) -> String {
        let place = self.memory().describe(self.number_at(word));
        let mut holders = locks.holders(word).peekable();
        let Some(&(_, level)) = holders.peek() else { return format!("{verb} {place}, which nobody holds") };
        let names: Vec<String> = holders.map(|(holder, _)| format!("task {}", holder.0)).collect();
        format!("{verb} the {} lock ({place}) of {}", level::name(level), names.join(", "))
    }

    /// CPUs that were asked by `asker` and have not answered.
    pub(crate) fn unanswering(&self, asker: u32) -> Vec<u32> {
        let asked = |cpu: &Cpu| cpu.pending.borrow().iter().any(|p| p.from == CpuId(asker));
        let cpus = self.cpus.iter().enumerate();
        cpus.filter(|(_, cpu)| asked(cpu)).map(|(number, _)| number as u32).collect()
    }

    /// What every task that is left waits for, a line each, and the cycle among them if there is one.
    pub(crate) fn wait_for_graph(&self) -> Vec<String> {
        let live: Vec<(TaskId, TaskState, u32)> = {
            let tasks = self.tasks.borrow();
            let live = tasks.iter().enumerate().filter(|(_, task)| task.state != TaskState::Free);
            live.map(|(number, task)| (TaskId(number as u32), task.state, task.cpu)).collect()
        };
        let waits: BTreeMap<TaskId, Waits> =
            live.into_iter().map(|(task, state, cpu)| (task, self.waits_of(task, state, cpu))).collect();
        let mut lines: Vec<String> = waits.values().map(|waits| waits.line.clone()).collect();
        if let Some(cycle) = cycle(&waits) {
            let names: Vec<String> = cycle.iter().map(|task| format!("task {}", task.0)).collect();
            lines.push(format!("a cycle: {} -> {}", names.join(" -> "), names[0]));
        }
        lines
    }
}

/// Tasks each of which waits for the next, and the last for the first.
fn cycle(waits: &BTreeMap<TaskId, Waits>) -> Option<Vec<TaskId>> {
    for &start in waits.keys() {
        let mut path = vec![start];
        while let Some(next) = path.last().and_then(|task| waits.get(task)).and_then(|waits| waits.on.first())
        {
            if let Some(place) = path.iter().position(|task| task == next) {
                return Some(path.split_off(place));
            }
            path.push(*next);
        }
    }
    None
}
