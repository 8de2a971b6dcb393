//! Who listens to a replay.

use std::sync::{Arc, Mutex, PoisonError};

use super::codec::kind_of;
use super::record::{Listener, Record};

/// Those who are told every record of a replay. Copies are the same ears.
#[derive(Clone, Default)]
pub struct Ears(Arc<Mutex<Vec<Box<dyn Listener>>>>);

impl Ears {
    /// These.
    #[must_use]
    pub fn new(listeners: Vec<Box<dyn Listener>>) -> Ears {
        Ears(Arc::new(Mutex::new(listeners)))
    }

    /// Tells all of them.
    pub fn hear(&self, record: &Record) {
        let mut listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.iter_mut().for_each(|listener| listener.hear(record));
    }

    /// The run is over.
    ///
    /// # Errors
    ///
    /// The first thing that went wrong, in one line.
    pub fn finish(&self) -> Result<(), String> {
        let mut listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.iter_mut().try_for_each(|listener| listener.finish())
    }

    /// What the machine is told to tell its events to. Those a trace does not hold (locks) are left out.
    #[must_use]
    pub fn sink(&self) -> sim::Sink {
        let ears = self.clone();
        Box::new(move |told| {
            if kind_of(&told.event).is_some() {
                ears.hear(&Record::of(told));
            }
        })
    }
}
