//! What the nursery does once: limits, privileges, the heap's place.

use std::fs;

use super::sys::{sys, sys3};
use super::{copies, mem};
use crate::arena::{HEAP, PAGE, START, USER_END};
use crate::op::Hello;

/// As much memory as programs may lock where the host leaves a choice: more than the worker itself has.
const MEMLOCK_WANTED: u64 = 256 << 20;

/// A limit of this process.
pub(super) fn limit(resource: libc::__rlimit_resource_t) -> libc::rlimit64 {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is ours.
    unsafe { sys(libc::SYS_prlimit64, [0, u64::from(resource), 0, &raw mut limit as u64, 0, 0]) };
    limit
}

/// Sets a limit of this process; answers a negative error number if it may not.
pub(super) fn set_limit(resource: u64, soft: u64, hard: u64) -> i64 {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the structure is ours.
    unsafe { sys(libc::SYS_prlimit64, [0, resource, &raw const limit as u64, 0, 0, 0]) }
}

/// Raises what may be raised while privileges last: to what is wanted, not beyond.
fn raise_memlock() -> u64 {
    let resource = libc::RLIMIT_MEMLOCK;
    set_limit(u64::from(resource), MEMLOCK_WANTED, MEMLOCK_WANTED);
    let now = limit(resource);
    let hard = now.rlim_max.min(MEMLOCK_WANTED);
    set_limit(u64::from(resource), hard, hard);
    limit(resource).rlim_max
}

/// Gives up all capabilities: root may lock any memory and map low addresses, programs may not.
fn drop_privileges() -> i64 {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let none = [0u32; 6];
    // SAFETY: both arrays are what version 3 of the call reads.
    unsafe { sys3(libc::SYS_capset, header.as_ptr() as u64, none.as_ptr() as u64, 0) }
}

/// Numbers of `/proc/self/stat`, by their place in its documentation (from 1).
fn stat() -> Result<Vec<u64>, String> {
    let text = fs::read_to_string("/proc/self/stat").map_err(|error| format!("/proc/self/stat: {error}"))?;
    let after = text.rsplit_once(')').map_or("", |(_, after)| after);
    let mut fields = vec![0, 0, 0];
    fields.extend(after.split_whitespace().map(|field| field.parse().unwrap_or(0)));
    Ok(fields)
}

/// What `prctl(PR_SET_MM_MAP)` reads (Linux: `struct prctl_mm_map`).
#[repr(C)]
struct MmMap {
    start_code: u64,
    end_code: u64,
    start_data: u64,
    end_data: u64,
    start_brk: u64,
    brk: u64,
    start_stack: u64,
    arg_start: u64,
    arg_end: u64,
    env_start: u64,
    env_end: u64,
    auxv: u64,
    auxv_size: u32,
    exe_fd: u32,
}

/// Where the heap of programs starts.
const BREAK: u64 = START + HEAP.0 * PAGE;

/// Moves the heap's start and end into the arena. Nothing may use the C library's heap in this process from
/// here on. Answers a negative error number if it cannot be.
fn move_break(stat: &[u64]) -> i64 {
    let at = |place: usize| stat.get(place).copied().unwrap_or(0);
    let map = MmMap {
        start_code: at(26),
        end_code: at(27),
        start_data: at(45),
        end_data: at(46),
        start_brk: BREAK,
        brk: BREAK,
        start_stack: at(28),
        arg_start: at(48),
        arg_end: at(49),
        env_start: at(50),
        env_end: at(51),
        auxv: 0,
        auxv_size: 0,
        exe_fd: u32::MAX,
    };
    let (option, what) = (libc::PR_SET_MM as u64, libc::PR_SET_MM_MAP as u64);
    let size = size_of::<MmMap>() as u64;
    // SAFETY: the structure is complete; the kernel checks what is in it.
    unsafe { sys(libc::SYS_prctl, [option, what, &raw const map as u64, size, 0, 0]) }
}

/// Where libraries and the like lie.
const HIGH: u64 = 0x7000_0000_0000;
/// Gaps up to so many bytes are filled.
const GAP: u64 = 64 << 20;

/// Fills the gaps between the worker's own mappings, and a page below them, with memory that merges with
/// nothing: what programs map at a place of the kernel's choice must not become one with what the worker has,
/// and keep something of it when it moves to the arena.
fn isolate() -> Result<(), String> {
    let path = "/proc/self/maps";
    let maps = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let ranges = maps.lines().filter(|line| !line.contains("[stack]")).filter_map(|line| {
        let (start, end) = line.split_whitespace().next()?.split_once('-')?;
        Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
    });
    let own: Vec<(u64, u64)> = ranges.filter(|(start, _)| (HIGH..USER_END).contains(start)).collect();
    let below = own.first().map(|(start, _)| (start - PAGE, *start));
    let gaps = own.windows(2).map(|pair| (pair[0].1, pair[1].0));
    for (start, end) in gaps.chain(below).filter(|(start, end)| start < end && end - start <= GAP) {
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
        // SAFETY: it replaces nothing; no access is allowed.
        unsafe { sys(libc::SYS_mmap, [start, end - start, 0, flags as u64, u64::MAX, 0]) };
    }
    Ok(())
}

/// Sets the nursery up; the last thing is the heap.
pub(super) fn run() -> Result<Hello, String> {
    isolate()?;
    let statm =
        fs::read_to_string("/proc/self/statm").map_err(|error| format!("/proc/self/statm: {error}"))?;
    let own_pages = statm.split_whitespace().next().and_then(|pages| pages.parse().ok()).unwrap_or(0);
    let stat = stat()?;
    set_limit(u64::from(libc::RLIMIT_CORE), 0, 0);
    let memlock_max = raise_memlock();
    let stack_max = limit(libc::RLIMIT_STACK).rlim_max;
    // SAFETY: plain numbers.
    unsafe { sys(libc::SYS_prctl, [libc::PR_SET_CHILD_SUBREAPER as u64, 1, 0, 0, 0, 0]) };
    let privileges_error = drop_privileges().unsigned_abs();
    let look_error = copies::look_error();
    let force_error = mem::force_error();
    let brk_error = move_break(&stat).unsigned_abs();
    let errors = Hello { privileges_error, look_error, force_error, ..Hello::default() };
    Ok(Hello { brk_error, memlock_max, stack_max, own_pages, ..errors })
}
