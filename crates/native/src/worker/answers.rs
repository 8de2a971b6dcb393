//! Answers of system calls.

use crate::op::{Answer, Status};

/// All went well.
pub(super) fn good(value: u64) -> Answer {
    Answer { status: Status::Good, value }
}

/// A call's register, for calls that answer nothing else.
pub(super) fn plain(result: i64) -> Answer {
    if result < 0 { Answer { status: Status::Errno(-result as i32), value: 0 } } else { good(result as u64) }
}
