//! Numbers of address spaces: what the shadow takes for processes.
//!
//! An address space may outlive the process that brought it (`vfork`, `CLONE_VM`), so it has
//! a number of its own.

/// How many processes use each address space.
#[derive(Debug, Default)]
pub(crate) struct Memories(Vec<u32>);

impl Memories {
    /// A new one, with one user.
    pub(crate) fn fresh(&mut self) -> u32 {
        self.0.push(1);
        (self.0.len() - 1) as u32
    }

    /// One more process uses it.
    pub(crate) fn share(&mut self, memory: u32) {
        self.0[memory as usize] += 1;
    }

    /// One process less uses it; answers whether that was the last.
    pub(crate) fn leave(&mut self, memory: u32) -> bool {
        let users = &mut self.0[memory as usize];
        *users -= 1;
        *users == 0
    }
}
