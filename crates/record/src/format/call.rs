//! Calls as bytes: a number for the call, its arguments in the manual's order, its result.

use super::ReadError;
use super::wire::{Reader, Writer};
use crate::{Call, FileId};

/// Writes a call and what it returned.
pub(super) fn put(call: &Call, ret: i64, w: &mut Writer) {
    w.byte(number(call));
    match *call {
        Call::Mmap { addr, len, prot, flags, file, offset } => {
            put_numbers(w, &[addr, len, prot, flags]);
            w.option(file, |w, file| w.number(file.0.into()));
            w.number(offset);
        }
        Call::Munmap { addr, len } | Call::Mlock { addr, len } | Call::Munlock { addr, len } => {
            put_range(w, addr, &[len]);
        }
        Call::Mincore { addr, len } => put_range(w, addr, &[len]),
        Call::Mprotect { addr, len, prot } => put_range(w, addr, &[len, prot]),
        Call::Mremap { addr, old_len, new_len, flags, new_addr } => {
            put_range(w, addr, &[old_len, new_len, flags, new_addr]);
        }
        Call::Brk { addr } => w.number(addr),
        Call::Madvise { addr, len, advice } => put_range(w, addr, &[len, advice]),
        Call::Mlock2 { addr, len, flags } | Call::Msync { addr, len, flags } => {
            put_range(w, addr, &[len, flags]);
        }
        Call::Mlockall { flags } => w.number(flags),
        Call::Munlockall => {}
        Call::Setrlimit { resource, soft, hard } => put_numbers(w, &[resource, soft, hard]),
        Call::Ftruncate { file, len } => put_numbers(w, &[file.0.into(), len]),
        Call::Fsync { file } => w.number(file.0.into()),
    }
    if gives_address(call) {
        w.addr(ret as u64);
    } else {
        w.signed(ret);
    }
}

/// Reads a call and what it returned.
pub(super) fn take(r: &mut Reader<'_>) -> Result<(Call, i64), ReadError> {
    let call = take_call(r)?;
    let ret = if gives_address(&call) { r.addr("result")? as i64 } else { r.signed("result")? };
    Ok((call, ret))
}

fn number(call: &Call) -> u8 {
    match call {
        Call::Mmap { .. } => 0,
        Call::Munmap { .. } => 1,
        Call::Mprotect { .. } => 2,
        Call::Mremap { .. } => 3,
        Call::Brk { .. } => 4,
        Call::Madvise { .. } => 5,
        Call::Mlock { .. } => 6,
        Call::Mlock2 { .. } => 7,
        Call::Munlock { .. } => 8,
        Call::Mlockall { .. } => 9,
        Call::Munlockall => 10,
        Call::Msync { .. } => 11,
        Call::Mincore { .. } => 12,
        Call::Setrlimit { .. } => 13,
        Call::Ftruncate { .. } => 14,
        Call::Fsync { .. } => 15,
    }
}

fn take_call(r: &mut Reader<'_>) -> Result<Call, ReadError> {
    Ok(match r.byte("call")? {
        0 => Call::Mmap {
            addr: r.number("address")?,
            len: r.number("length")?,
            prot: r.number("protection")?,
            flags: r.number("flags")?,
            file: r.option("file", |r| Ok(FileId(r.number_u32("file")?)))?,
            offset: r.number("file offset")?,
        },
        1 => Call::Munmap { addr: r.addr("address")?, len: r.number("length")? },
        2 => Call::Mprotect {
            addr: r.addr("address")?,
            len: r.number("length")?,
            prot: r.number("protection")?,
        },
        3 => Call::Mremap {
            addr: r.addr("address")?,
            old_len: r.number("old length")?,
            new_len: r.number("new length")?,
            flags: r.number("flags")?,
            new_addr: r.number("new address")?,
        },
        4 => Call::Brk { addr: r.number("address")? },
        5 => {
            Call::Madvise { addr: r.addr("address")?, len: r.number("length")?, advice: r.number("advice")? }
        }
        other => return take_rare_call(other, r),
    })
}

fn take_rare_call(number: u8, r: &mut Reader<'_>) -> Result<Call, ReadError> {
    Ok(match number {
        6 => Call::Mlock { addr: r.addr("address")?, len: r.number("length")? },
        7 => Call::Mlock2 { addr: r.addr("address")?, len: r.number("length")?, flags: r.number("flags")? },
        8 => Call::Munlock { addr: r.addr("address")?, len: r.number("length")? },
        9 => Call::Mlockall { flags: r.number("flags")? },
        10 => Call::Munlockall,
        11 => Call::Msync { addr: r.addr("address")?, len: r.number("length")?, flags: r.number("flags")? },
        12 => Call::Mincore { addr: r.addr("address")?, len: r.number("length")? },
        13 => Call::Setrlimit {
            resource: r.number("resource")?,
            soft: r.number("soft limit")?,
            hard: r.number("hard limit")?,
        },
        14 => Call::Ftruncate { file: FileId(r.number_u32("file")?), len: r.number("length")? },
        15 => Call::Fsync { file: FileId(r.number_u32("file")?) },
        other => return Err(r.bad("call", other.into())),
    })
}

/// Whether the result is an address, and so close to other addresses.
const fn gives_address(call: &Call) -> bool {
    matches!(call, Call::Mmap { .. } | Call::Mremap { .. } | Call::Brk { .. })
}

fn put_range(w: &mut Writer, addr: u64, rest: &[u64]) {
    w.addr(addr);
    put_numbers(w, rest);
}

fn put_numbers(w: &mut Writer, numbers: &[u64]) {
    for &number in numbers {
        w.number(number);
    }
}
