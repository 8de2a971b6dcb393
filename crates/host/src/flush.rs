//! Taking translations away from other CPUs.
//!
//! ```text
//! who flushes (the tables are changed)         CPU that accesses memory as user mode
//!   1 count the flush, full fence                a mark: inside an access
//!   2 empty slots of the targets                 b light barrier
//!   3 heavy barrier                              c look into the slot; if it does not fit:
//!   4 wait for targets that are marked             c1 read the count of flushes, then the tables
//!                                                  c2 fill the slot, full fence
//!                                                  c3 empty it again if the count is another
//!                                                d access memory
//!                                                e mark: outside
//! ```
//!
//! * 3 and b are a Dekker pair: who flushes sees the mark and waits, or the access sees emptied slots and
//!   changed tables. The light barrier costs nothing: the heavy one (`membarrier(2)`) interrupts whichever
//!   processors run a thread of this process, and that is what a shootdown costs.
//! * 1 and c2 are another: an access that read the tables before the change may fill a slot after 2, but sees
//!   the flush counted and empties it again. That fence is paid by who misses, not by who hits.
//! * Everything is emptied by a count alone: slots bear the count that was read before they were filled.
//! * An access waits for nobody, and faults outside of its marks: who flushes is never held up for longer
//!   than one takes, whatever the target's thread does in between, and two that flush do not wait for each
//!   other.
//! * A CPU that is parked passes a fence when it wakes (a Dekker pair too), so nothing is waited for.

use crate::barrier::Barrier;
use crate::config::Checks;
use crate::cpu::Cpu;
use crate::host_machine::HostMachine;
use crate::tlb::By;
use machine::{CpuId, CpuSet, FlushScope};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::fence;

impl HostMachine {
    /// See [`machine::Machine::flush`].
    pub(crate) fn shoot_down(&self, cpu: CpuId, targets: &CpuSet, scope: &FlushScope) {
        let number = self.flush_begins();
        let mut others = false;
        for (target, state) in self.named(targets) {
            let by = if target == cpu { By::Itself } else { By::Other };
            state.tlb.drop_scope(scope, by);
            others |= by == By::Other;
        }
        if others && self.barrier_for(self.accesses, cpu, targets) {
            let others = self.named(targets).filter(|(target, _)| *target != cpu);
            others.for_each(|(_, state)| state.wait_for_access());
        }
        if self.checks == Checks::Flushes {
            self.check_flushed(targets, scope, number);
        }
    }

    /// See [`machine::Machine::heavy_barrier`].
    pub(crate) fn interrupt(&self, cpu: CpuId, targets: &CpuSet) {
        if self.barrier_for(self.readers, cpu, targets) {
            let others = self.named(targets).filter(|(target, _)| *target != cpu);
            others.for_each(|(_, state)| state.wait_for_interrupts());
        }
    }

    /// The heavy barrier, if any other CPU of the set is awake. Answers whether one is.
    fn barrier_for(&self, barrier: Barrier, cpu: CpuId, targets: &CpuSet) -> bool {
        // ORDERING: SeqCst pairs with the fence in `Cpu::while_parked`.
        fence(SeqCst);
        let awake = self.named(targets).any(|(target, state)| target != cpu && state.is_awake());
        if awake {
            barrier.heavy();
        }
        awake
    }

    fn named(&self, targets: &CpuSet) -> impl Iterator<Item = (CpuId, &Cpu)> {
        let all = self.cpus.iter().enumerate().map(|(number, state)| (CpuId(number as u32), state));
        all.filter(|(cpu, _)| targets.contains(*cpu))
    }

    // ---- checks ----

    fn flush_begins(&self) -> u64 {
        if self.checks == Checks::Off {
            return 0;
        }
        // ORDERING: SeqCst: an access that begins behind the heavy barrier reads this number or a later one.
        self.flushes.fetch_add(1, SeqCst) + 1
    }

    /// The post-condition: no target keeps a translation that was read before the flush began.
    fn check_flushed(&self, targets: &CpuSet, scope: &FlushScope, number: u64) {
        for (cpu, state) in self.named(targets) {
            state.tlb.for_each(cpu, |entry, filled| {
                let in_scope = scope.pages.is_none_or(|pages| pages.contains(entry.page));
                if entry.asid == scope.asid && in_scope && filled < number {
                    self.violate(format!("{entry:?} of flush {filled} outlived flush {number} of {scope:?}"));
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HostConfig;
    use machine::{Asid, Machine, ReaderOrder, Vpn, VpnRange};
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    fn machine(order: ReaderOrder) -> HostMachine {
        HostMachine::new(&HostConfig { cpus: 2, readers: order, accesses: order, ..HostConfig::default() })
            .expect("a machine")
    }

    fn both() -> CpuSet {
        let mut both = CpuSet::EMPTY;
        (0..2).for_each(|cpu| both.insert(CpuId(cpu)));
        both
    }

    /// Whether `act` of CPU 0 is not over for as long as CPU 1 is inside of something. A host that is slow
    /// only makes it look as if it were.
    fn waits(
        machine: &HostMachine,
        enter: impl Fn(&Cpu),
        leave: impl Fn(&Cpu),
        act: impl Fn() + Sync,
    ) -> bool {
        let done = AtomicBool::new(false);
        enter(&machine.cpus[1]);
        std::thread::scope(|scope| {
            let (act, done) = (&act, &done);
            scope.spawn(move || {
                act();
                done.store(true, SeqCst);
            });
            std::thread::sleep(Duration::from_millis(60));
            let early = done.load(SeqCst);
            leave(&machine.cpus[1]);
            !early
        })
    }

    /// Whether `act` of CPU 0 is over soon.
    fn goes_on(act: impl Fn() + Sync, leave: impl Fn()) -> bool {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (act, done) = (&act, &done);
            scope.spawn(move || {
                act();
                done.store(true, SeqCst);
            });
            let turns = (0..5000).take_while(|_| !done.load(SeqCst));
            turns.for_each(|_| std::thread::sleep(Duration::from_millis(1)));
            let over = done.load(SeqCst);
            leave();
            over
        })
    }

    #[test]
    fn a_flush_waits_for_an_access_and_for_nothing_else() {
        for order in [ReaderOrder::HeavyBarrier, ReaderOrder::Fence] {
            let machine = machine(order);
            let pages = Some(VpnRange::sized(Vpn(9), 1));
            for pages in [pages, None] {
                let scope = FlushScope { asid: Asid(1), pages, tables: false };
                let flush = || machine.flush(CpuId(0), &both(), &scope);
                let enter = |cpu: &Cpu| std::mem::forget(cpu.section(machine.accesses));
                assert!(waits(&machine, enter, Cpu::end_section, flush), "{scope:?}");
                assert!(goes_on(flush, || {}), "nobody is inside");
                assert!(machine.cpus[1].irq_save(machine.readers));
                assert!(goes_on(flush, || machine.cpus[1].irq_enable()), "interrupts are off");
            }
        }
    }

    #[test]
    fn a_heavy_barrier_waits_until_interrupts_are_on() {
        let machine = machine(ReaderOrder::HeavyBarrier);
        let barrier = || machine.heavy_barrier(CpuId(0), &both());
        let off = |cpu: &Cpu| assert!(cpu.irq_save(machine.readers));
        assert!(waits(&machine, off, Cpu::irq_enable, barrier));
        assert!(goes_on(barrier, || {}));
        let mut own = CpuSet::EMPTY;
        own.insert(CpuId(0));
        assert!(machine.cpus[1].irq_save(machine.readers));
        assert!(goes_on(|| machine.heavy_barrier(CpuId(0), &own), || machine.cpus[1].irq_enable()));
    }

    #[test]
    fn a_cpu_that_is_parked_is_not_waited_for_and_wakes_once_for_each_call() {
        let machine = machine(ReaderOrder::HeavyBarrier);
        let task = machine::TaskId(1);
        // A call before: no sleep.
        machine.unpark(CpuId(0), task);
        machine.unpark(CpuId(0), task);
        machine.park(CpuId(1), task);
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| machine.park(CpuId(1), task));
            while machine.cpus[1].is_awake() {
                std::thread::yield_now();
            }
            assert!(!machine.barrier_for(machine.accesses, CpuId(0), &both()));
            std::thread::sleep(Duration::from_millis(20));
            assert!(!sleeper.is_finished());
            machine.unpark(CpuId(0), task);
            sleeper.join().expect("awake");
        });
        assert!(machine.barrier_for(machine.accesses, CpuId(0), &both()));
    }
}
