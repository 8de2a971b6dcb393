//! The files: pages in memory that are no part of the machine's.

use crate::bytes::PAGE;
use machine::FileKey;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

type Pages = HashMap<(FileKey, u64), Box<[u8; PAGE]>>;

/// Pages that were written. All others are zero, in every file: files need not be declared.
#[derive(Default)]
pub(crate) struct HostFiles(Mutex<Pages>);

impl HostFiles {
    pub(crate) fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
