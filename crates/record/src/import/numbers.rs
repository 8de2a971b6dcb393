//! The x86-64 numbers of the memory calls.

use crate::{Call, FileId};

/// The call of a number, from its arguments in registers. `file` is what an `mmap` mapped.
pub(crate) fn decode_call(number: u64, args: &[u64; 6], file: Option<FileId>) -> Option<Call> {
    let [addr, len, third, fourth, fifth, sixth] = *args;
    Some(match number {
        9 => Call::Mmap { addr, len, prot: third, flags: fourth, file, offset: sixth },
        10 => Call::Mprotect { addr, len, prot: third },
        11 => Call::Munmap { addr, len },
        12 => Call::Brk { addr },
        25 => Call::Mremap { addr, old_len: len, new_len: third, flags: fourth, new_addr: fifth },
        26 => Call::Msync { addr, len, flags: third },
        27 => Call::Mincore { addr, len },
        28 => Call::Madvise { addr, len, advice: third },
        149 => Call::Mlock { addr, len },
        150 => Call::Munlock { addr, len },
        151 => Call::Mlockall { flags: addr },
        152 => Call::Munlockall,
        325 => Call::Mlock2 { addr, len, flags: third },
        _ => return None,
    })
}
