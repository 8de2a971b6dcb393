//! What the manager and the machine tell while the CPUs of a scenario run together.

use std::sync::{Arc, Mutex};

use freehold::machine::Event;
use sim::{SimMachine, Told};

use super::log::{Entry, Log, What};
use crate::trace;

/// Events that were told and are not in the log yet. (The machine's listener outlives every borrow.)
#[derive(Clone, Default)]
pub(super) struct Ears(Arc<Mutex<Vec<Told>>>);

impl Ears {
    /// Listens to a machine.
    pub(super) fn listen(&self, sim: &SimMachine) {
        let heard = Arc::clone(&self.0);
        sim.watch(Box::new(move |told| {
            if let Ok(mut heard) = heard.lock()
                && told.step != 0
                && is_of_interest(&told.event)
            {
                heard.push(*told);
            }
        }));
    }

    /// Writes down what was heard since the last time.
    pub(super) fn write_down(&self, log: &mut Log) {
        let Ok(mut heard) = self.0.lock() else { return };
        log.entries.extend(heard.drain(..).map(|told| Entry {
            step: told.step,
            cpu: told.cpu.0,
            process: None,
            what: What::Event(trace::tell(&told.event)),
        }));
    }
}

/// Every step takes locks and looks at tables; a story is about what becomes of frames and translations.
fn is_of_interest(event: &Event) -> bool {
    !matches!(event, Event::Locked(_) | Event::Unlocked(_) | Event::Waits { .. })
}
