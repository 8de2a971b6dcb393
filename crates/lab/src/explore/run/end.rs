//! When all is over: what is left, and what the oracle says.

use freehold::linux::Exit;
use freehold::machine::{CpuId, Machine, TaskId, VirtAddr};
use oracle::{DenseLedger, Tally};

use super::super::script::Value;
use super::outcome::{Failure, Kind};
use super::value::text_of;
use super::world::World;

use crate::watch;

impl World<'_> {
    /// The whole state, and every word that programs stored. Nothing is under way.
    pub(super) fn audit(&self, ledger: &mut Vec<Tally>, when: &str) -> Result<(), Failure> {
        ledger.resize(self.manager.frames().memmap().end().0 as usize, Tally::default());
        let mut found = None;
        let opens = |file| self.opens(file);
        let holds = self.holds.borrow();
        let others = watch::Others { opens: &opens, holds: &|see| holds.for_each(see) };
        watch::audit(&self.manager, &others, &mut DenseLedger(ledger), &mut |violation| {
            if self.unclaimed.contains(&violation.rule) {
                return;
            }
            let (rule, text) = (violation.rule.id(), violation.text.as_str());
            let text = format!("{when}: {text}\n  {rule}: {}", violation.rule.statement());
            found.get_or_insert(Failure { rule: Some(rule.into()), ..Failure::new(Kind::Rule, text) });
        });
        if let Some(failure) = found.or_else(|| self.violation()) {
            return Err(failure);
        }
        self.sweep(when)
    }

    fn sweep(&self, when: &str) -> Result<(), Failure> {
        let mut found = None;
        let mut swept = Vec::new();
        for (index, live) in self.processes.borrow().iter().enumerate() {
            let Some(live) = live.filter(|live| live.is_alive && !swept.contains(&live.memory)) else {
                continue;
            };
            swept.push(live.memory);
            let mut judge = self.judge.borrow_mut();
            let mut wrong: Vec<(VirtAddr, u64, Option<u64>)> = Vec::new();
            watch::for_each_stored(
                &self.manager,
                live.id,
                (judge.shadow(), live.memory),
                &mut |addr, due, got| {
                    if got != Some(due) {
                        wrong.push((addr, due, got));
                    }
                },
            );
            wrong.retain(|(addr, ..)| judge.is_clear(live.memory, *addr));
            if let Some((addr, due, got)) = wrong.first() {
                let holds =
                    got.map_or("is not mapped".into(), |got| format!("holds {}", text_of(Value::Word(got))));
                let due = text_of(Value::Word(*due));
                let (place, name) = (self.describe(*addr), &self.scenario.processes[index]);
                let text = format!("{when}: {place} of {name} {holds}, where {due} was stored");
                found.get_or_insert(Failure::new(Kind::WrongByte, text));
            }
        }
        found.map_or(Ok(()), Err)
    }

    /// Everybody exits, everything is closed: nothing is left.
    pub(super) fn take_down(&self, ledger: &mut Vec<Tally>) -> Result<(), Failure> {
        let linux = self.manager.linux();
        let mut cx = self.manager.cx(CpuId(0), TaskId(0));
        self.let_all_go();
        for live in self.processes.borrow_mut().iter_mut().rev().flatten() {
            if std::mem::replace(&mut live.is_alive, false) {
                linux.exit(&mut cx, live.id, Exit::Code(0));
            }
        }
        for cpu in 0..self.sim.cpus() {
            linux.idle(&mut self.manager.cx(CpuId(cpu), TaskId(0)));
        }
        linux.ksm_forget(&mut cx);
        for file in &self.files {
            if linux.objects().close(cx.at(), file.map.file).is_err() {
                return Err(Failure::new(Kind::Leak, "a file could not be written when it was closed"));
            }
            linux.objects().forget(cx.at(), file.key);
        }
        self.audit(ledger, "when everybody has exited")?;
        self.leak()
    }

    fn leak(&self) -> Result<(), Failure> {
        let (linux, spaces) = (self.manager.linux(), self.manager.spaces());
        let slabs = linux.objects().slab_views();
        let objects = slabs.iter().map(|(_, slab)| slab.in_use()).sum::<u64>();
        let processes = linux.all_processes().count();
        let slots = linux.objects().slots(self.sim).count();
        if slots > 0 {
            let text = format!("everybody has exited, and {slots} slots of swap areas are in use");
            return Err(Failure::new(Kind::Leak, text));
        }
        let left = (spaces.in_use(), objects, spaces.committed(), processes);
        if left == ([0; 3], 0, 0, 0) {
            return Ok(());
        }
        let text = format!(
            "everybody has exited, and this is left: {:?} spaces, VMAs and nodes, {objects} objects of files \
             and lineages, {} pages committed, {processes} processes",
            left.0, left.2
        );
        Err(Failure::new(Kind::Leak, text))
    }
}
