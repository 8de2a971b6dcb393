//! `fork`, of a child that does nothing but end.

use std::io;

use super::answered;
use crate::worker::sys::{exit_now, sys, sys3};

/// A child that ends, or has ended.
#[derive(Debug)]
pub struct Child(u64);

/// Forks this process. The child ends at once: it runs nothing of the program. What is timed around this call
/// is the fork; the child's end, where its memory is taken down, comes later.
///
/// # Errors
///
/// Linux's.
pub fn fork() -> io::Result<Child> {
    // SAFETY: the child has a copy of everything, and only leaves; the parent finds everything as it was.
    match unsafe { sys(libc::SYS_clone, [libc::SIGCHLD as u64, 0, 0, 0, 0, 0]) } {
        0 => exit_now(0),
        child => answered(child).map(Child),
    }
}

impl Child {
    /// Waits until it has ended.
    ///
    /// # Errors
    ///
    /// Linux's.
    pub fn wait(self) -> io::Result<()> {
        loop {
            // SAFETY: no pointers.
            match answered(unsafe { sys3(libc::SYS_wait4, self.0, 0, 0) }) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done.map(drop),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_child_ends() {
        super::fork().expect("a child").wait().expect("its end");
    }
}
