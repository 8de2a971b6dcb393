//! Time, and where a thread runs.

use std::io;

use super::answered;
use crate::worker::sys::sys3;

/// Whose time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// The clock on the wall.
    Wall,
    /// What the calling thread ran for, in the program and in Linux: what others ran for is not in it.
    Thread,
}

impl Clock {
    /// Nanoseconds since some fixed moment.
    #[must_use]
    pub fn now(self) -> u64 {
        let id = match self {
            Clock::Wall => libc::CLOCK_MONOTONIC,
            Clock::Thread => libc::CLOCK_THREAD_CPUTIME_ID,
        };
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a local; both clocks exist on every Linux, so nothing else can happen.
        unsafe { libc::clock_gettime(id, &raw mut time) };
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }
}

/// Binds the calling thread to a CPU.
///
/// # Errors
///
/// Linux's: there is no such CPU, or this process may not use it.
pub fn run_on(cpu: usize) -> io::Result<()> {
    let mut set = [0u64; 16];
    let word = set.get_mut(cpu / 64).ok_or(io::ErrorKind::InvalidInput)?;
    *word |= 1 << (cpu % 64);
    // SAFETY: reads the set, which is as long as told.
    let done = unsafe { sys3(libc::SYS_sched_setaffinity, 0, size_of_val(&set) as u64, set.as_ptr() as u64) };
    answered(done).map(drop)
}

/// A system call that does next to nothing (`getppid`).
pub fn null_call() {
    // SAFETY: the call has no arguments.
    unsafe { sys3(libc::SYS_getppid, 0, 0, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on() {
        for clock in [Clock::Wall, Clock::Thread] {
            let before = clock.now();
            (0..1000).for_each(|_| null_call());
            assert!(clock.now() > before, "{clock:?}");
        }
    }

    #[test]
    fn there_is_no_cpu_of_any_number() {
        assert!(run_on(1023).is_err());
        assert!(run_on(usize::MAX).is_err());
    }
}
