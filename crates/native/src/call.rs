//! What an operation can be.

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident = $number:literal),* $(,)?) => {
        /// An operation's kind. What its arguments are is told with each.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Call {
            $($(#[$doc])* $name = $number),*
        }

        impl Call {
            /// All of them, by number.
            pub const ALL: &'static [Call] = &[$(Call::$name),*];
        }
    };
}

calls! {
    /// `mmap`: address, length, protection, flags, file, offset; and where the mapping is moved to if it
    /// was placed outside of the arena.
    Mmap = 0,
    /// `munmap`: address, length.
    Munmap = 1,
    /// `mprotect`: address, length, protection.
    Mprotect = 2,
    /// `mremap`: address, old length, new length, flags, new address; and where it is moved to if it came
    /// to lie outside of the arena.
    Mremap = 3,
    /// `madvise`: address, length, advice.
    Madvise = 4,
    /// `msync`: address, length, flags.
    Msync = 5,
    /// `mlock`: address, length.
    Mlock = 6,
    /// `mlock2`: address, length, flags.
    Mlock2 = 7,
    /// `munlock`: address, length.
    Munlock = 8,
    /// `mlockall`: flags.
    Mlockall = 9,
    /// `munlockall`.
    Munlockall = 10,
    /// `brk`: address.
    Brk = 11,
    /// `mincore`: address, length, where to store the answer (0: into memory outside of the arena).
    Mincore = 12,
    /// `prlimit` of the process itself: resource, soft, hard.
    Prlimit = 13,
    /// `ftruncate`: file, size.
    Ftruncate = 14,
    /// `fsync`: file.
    Fsync = 15,
    /// `fork`: the number the child gets.
    Fork = 16,
    /// `clone(CLONE_VM)`: the number the child gets.
    Clone = 17,
    /// `exit`: status.
    Exit = 18,
    /// `wait4` that does not wait for those who live: the child, or [`crate::WAIT_ANY`].
    Wait = 19,
    /// Loads eight bytes: address.
    Load = 20,
    /// Stores eight bytes: address, value.
    Store = 21,
    /// Loads eight bytes and, if they begin with a return instruction, calls them: address.
    Execute = 22,
    /// Loads some words of each page of a range: address, pages. Answers a sum of what they held and of
    /// the signals they got.
    Scan = 23,
    /// The layout of the arena.
    Layout = 24,
    /// `process_vm_readv`: the process that is read, where the bytes go, where they are, how many. Answers
    /// how many were copied.
    VmRead = 25,
    /// `process_vm_writev`: the process that is written, where the bytes are, where they go, how many.
    VmWrite = 26,
    /// `vmsplice` into the program's pipe: address, length, flags. Answers how many bytes fitted.
    Splice = 27,
    /// Reads from the pipe: how many bytes. Answers a sum of them and, in the low [`crate::PIPE_BITS`] bits,
    /// how many there were.
    PipeRead = 28,
    /// `prctl`: option, its argument. Of options, those about huge pages and about equal ones.
    Prctl = 29,
    /// Reads `/proc/PID/mem`: the process, address, length. Answers as [`Call::PipeRead`].
    MemRead = 30,
    /// Writes `/proc/PID/mem`: the process, address, length, the word that is written over and over. Answers
    /// how many bytes were written.
    MemWrite = 31,
}

impl Call {
    /// From its number.
    pub fn parse(number: u8) -> Option<Call> {
        Call::ALL.get(usize::from(number)).copied()
    }

    /// How many arguments it has.
    pub fn args(self) -> usize {
        match self {
            Call::Mmap => 7,
            Call::Mremap => 6,
            Call::VmRead | Call::VmWrite | Call::MemWrite => 4,
            Call::Splice | Call::MemRead => 3,
            Call::Mprotect | Call::Madvise | Call::Msync | Call::Mlock2 | Call::Mincore | Call::Prlimit => 3,
            Call::Munmap
            | Call::Mlock
            | Call::Munlock
            | Call::Ftruncate
            | Call::Store
            | Call::Scan
            | Call::Prctl => 2,
            Call::Munlockall | Call::Layout => 0,
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lead_back() {
        for (number, &call) in Call::ALL.iter().enumerate() {
            assert_eq!(call as usize, number);
            assert_eq!(Call::parse(number as u8), Some(call));
        }
        assert_eq!(Call::parse(Call::ALL.len() as u8), None);
    }
}
