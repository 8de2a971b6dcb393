//! What CPUs ask of each other: to drop translations, to pass a fence.

use crate::SimMachine;
use crate::cpu::{Activity, Asks, Cpu, Interrupt};
use crate::explore::{Thing, Touch};
use crate::report::{Cause, Counts};
use crate::user::pages_of;
use crate::violation::Rule;
use machine::{Asid, CpuId, CpuSet, Event, FlushScope};

impl SimMachine {
    /// Drops translations of one CPU; answers what that costs.
    pub(crate) fn flush_here(&self, cpu: &Cpu, scope: &FlushScope) -> u64 {
        self.touch(Thing::tlb(cpu.number), Touch::Write);
        cpu.tlb.borrow_mut().flush(scope, |_| {});
        match scope.pages {
            Some(pages) => {
                Counts::add(&self.counts.pages_flushed, pages.pages());
                self.costs
                    .invlpg
                    .saturating_mul(pages.pages())
                    .min(self.costs.flush_context.max(self.costs.invlpg * 64))
            }
            None => {
                Counts::add(&self.counts.full_flushes, 1);
                self.costs.flush_context
            }
        }
    }

    /// Asks the other CPUs of a set to flush, and waits until they did.
    pub(crate) fn flush_others(&self, cpu: CpuId, targets: &CpuSet, (scope, flush): (&FlushScope, u64)) {
        let sent = self.ask(cpu, targets, Asks::Flush(*scope, flush));
        Counts::add(&self.counts.ipis, u64::from(sent));
        let cause = match scope {
            FlushScope { tables: true, .. } => &self.counts.ipis_tables,
            FlushScope { pages: Some(_), .. } => &self.counts.ipis_pages,
            FlushScope { pages: None, .. } => &self.counts.ipis_space,
        };
        Counts::add(cause, u64::from(sent));
    }

    /// Has the other CPUs of a set pass a full fence. One that has no task passed its last one when it became
    /// idle, and passes the next one before it has a task again: it is not interrupted.
    pub(crate) fn fence_others(&self, cpu: CpuId, targets: &CpuSet) {
        let mut running = CpuSet::EMPTY;
        for target in targets.iter().filter(|&target| target != cpu) {
            match self.cpus.get(target.0 as usize).map(|other| other.activity.get()) {
                Some(Activity::Idle) => self.settle(target.0),
                Some(_) => running.insert(target),
                None => {}
            }
        }
        let sent = self.ask(cpu, &running, Asks::Fence);
        Counts::add(&self.counts.fence_ipis, u64::from(sent));
    }

    /// Interrupts the other CPUs of a set, and waits until all have answered; says how many.
    fn ask(&self, cpu: CpuId, targets: &CpuSet, asks: Asks) -> u32 {
        let me = &self.cpus[cpu.0 as usize];
        let mut sent = 0;
        let mut delay = 0;
        me.answered_at.set(0);
        for target in targets.iter().filter(|&target| target != cpu) {
            let Some(other) = self.cpus.get(target.0 as usize) else { continue };
            if sent != 0 {
                let near = self.socket_of[target.0 as usize] == self.socket_of[cpu.0 as usize];
                delay += if near { self.costs.ipi_same_socket } else { self.costs.ipi_other_socket };
            }
            sent += 1;
            if self.cannot_block() {
                if let Asks::Flush(scope, _) = &asks {
                    self.flush_here(other, scope);
                }
                continue;
            }
            me.unanswered.set(sent);
            let travel = self.costs.ipi_first.saturating_sub(self.costs.ipi_handle);
            let arrival = self.now.get() + delay + travel;
            let sequence = self.next_sequence();
            if let Asks::Flush(_, flush) = asks {
                self.tell(|| Event::IpiSent { to: target, flush });
            }
            let event = self.event();
            self.post(target.0, Interrupt { arrival, sequence, from: cpu, asks, event });
        }
        if sent != 0 && self.cannot_block() {
            self.tick(Cause::IpiWait, self.costs.ipi_first + delay);
        } else if sent != 0 {
            self.await_answers();
        }
        sent
    }

    /// The post-condition of a flush, over the whole TLBs of its targets.
    pub(crate) fn check_flushed(&self, targets: &CpuSet, scope: &FlushScope, started: u64) {
        for target in targets.iter() {
            let Some(cpu) = self.cpus.get(target.0 as usize) else { continue };
            let mut left = None;
            cpu.tlb.borrow().for_each(|entry| {
                let in_scope = scope.pages.is_none_or(|pages| pages.overlaps(&entry.pages()));
                if entry.asid == scope.asid && in_scope && entry.filled < started {
                    left = Some(*entry);
                }
            });
            if let Some(entry) = left {
                let text = format!("cpu {} kept {:?} of {:?}", target.0, entry.pages(), entry.asid);
                self.violate(Rule::FlushIncomplete, text);
            }
        }
    }

    /// What a CPU kept of a space that is loaded without a flush must still be true of frames.
    pub(crate) fn check_kept(&self, cpu: &Cpu, asid: Asid) {
        let contents = self.contents.borrow();
        let mut kept = None;
        cpu.tlb.borrow().for_each(|entry| {
            let gone = || contents.were_discarded(entry.frame.0, pages_of(entry), entry.discards);
            if entry.asid == asid && gone() {
                kept = Some(*entry);
            }
        });
        if let Some(entry) = kept {
            let text = format!("{asid:?} loaded with {:?} still on {:?}", entry.pages(), entry.frame);
            self.violate(Rule::KeptStale, text);
        }
    }
}
