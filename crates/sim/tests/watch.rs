//! Who watches a machine hears what it does, in order, and changes nothing.

mod support;

use machine::{CpuId, Event, Machine};
use sim::{RunReport, SimConfig, SimMachine, Told};
use std::sync::{Arc, Mutex};
use support::{cpus, one_page};

/// CPU 0 asks three others to flush, twice.
fn run(sim: &SimMachine) -> RunReport {
    sim.scope(|scope| {
        scope.spawn(CpuId(0), |cx| {
            for page in [3, 4] {
                sim.flush(cx.cpu(), &cpus(&[0, 1, 2, 3]), &one_page(page));
            }
        })?;
        scope.run()
    })
    .unwrap()
}

fn machine() -> SimMachine {
    SimMachine::new(&SimConfig { cpus: 4, memory_bytes: 64 << 20, ..SimConfig::default() }).unwrap()
}

fn heard(sim: &SimMachine) -> Vec<Told> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let into = told.clone();
    sim.watch(Box::new(move |event| into.lock().unwrap().push(*event)));
    run(sim);
    assert!(sim.unwatch().is_some());
    run(sim);
    std::mem::take(&mut *told.lock().unwrap())
}

#[test]
fn every_request_to_flush_is_sent_taken_and_answered() {
    let told = heard(&machine());
    let of = |pick: fn(&Event) -> Option<u64>| -> Vec<(u32, u64)> {
        told.iter().filter_map(|told| Some((told.cpu.0, pick(&told.event)?))).collect()
    };
    let sent = of(|event| if let Event::IpiSent { flush, .. } = event { Some(*flush) } else { None });
    let taken = of(|event| if let Event::IpiTaken { flush, .. } = event { Some(*flush) } else { None });
    let answered = of(|event| if let Event::IpiAnswered { flush, .. } = event { Some(*flush) } else { None });
    assert_eq!(sent.len(), 6, "two flushes of three other CPUs; nothing once nobody watches: {sent:?}");
    assert!(sent.iter().all(|&(cpu, _)| cpu == 0));
    let mut cpus: Vec<u32> = answered.iter().map(|answer| answer.0).collect();
    cpus.sort_unstable();
    assert_eq!(cpus, [1, 1, 2, 2, 3, 3]);
    assert_eq!(taken, answered, "each CPU answers what it takes, one after the other");
    let (first, last) = (&told[0], &told[told.len() - 1]);
    assert_eq!((first.event, first.task.is_some()), (Event::TaskRuns, true));
    assert_eq!(last.event, Event::TaskStops);
}

#[test]
fn a_cpu_s_clock_never_goes_back_and_watching_costs_no_time() {
    let told = heard(&machine());
    for cpu in 0..4 {
        let times: Vec<u64> = told.iter().filter(|told| told.cpu.0 == cpu).map(|told| told.at_ns).collect();
        assert!(times.is_sorted() && !times.is_empty(), "cpu {cpu}: {times:?}");
    }
    let (watched, plain) = (machine(), machine());
    watched.watch(Box::new(|_| {}));
    assert_eq!(run(&watched).sim_ns, run(&plain).sim_ns);
}
