//! The arena's part of `/proc/self/maps`.

use std::sync::atomic::Ordering::Relaxed;

use super::files::{MEMORY_NAME, SEALED_NAME};
use super::shared::Shared;
use super::sys::sys3;
use crate::arena::{END, START};
use crate::op::{Answer, Area, Backing, Status};

/// Bytes read at a time.
const BUFFER: usize = 8 << 10;

/// Notes every mapping of the arena; answers how many.
pub(super) fn report(shared: &Shared) -> Answer {
    let before = shared.areas.load(Relaxed);
    let path = c"/proc/self/maps".as_ptr() as u64;
    // SAFETY: the path ends in a zero byte.
    let fd = unsafe { sys3(libc::SYS_open, path, libc::O_RDONLY as u64, 0) };
    if fd < 0 {
        return Answer { status: Status::Errno(-fd as i32), value: 0 };
    }
    read_lines(fd as u64, &mut |line| match area(line) {
        Some(area) if area.start < END => {
            if area.end > START {
                shared.push_area(&area);
            }
            true
        }
        _ => false,
    });
    // SAFETY: the descriptor is ours.
    unsafe { sys3(libc::SYS_close, fd as u64, 0, 0) };
    Answer { status: Status::Good, value: u64::from(shared.areas.load(Relaxed) - before) }
}

/// Shows lines until one is refused.
fn read_lines(fd: u64, see: &mut dyn FnMut(&[u8]) -> bool) {
    let mut buffer = [0u8; BUFFER];
    let mut filled = 0;
    loop {
        let room = &mut buffer[filled..];
        // SAFETY: the buffer is ours and as long as told.
        let n = unsafe { sys3(libc::SYS_read, fd, room.as_mut_ptr() as u64, room.len() as u64) };
        let Some(n) = usize::try_from(n).ok().filter(|&n| n > 0) else { return };
        filled += n;
        let mut start = 0;
        while let Some(len) = buffer[start..filled].iter().position(|&byte| byte == b'\n') {
            if !see(&buffer[start..start + len]) {
                return;
            }
            start += len + 1;
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
    }
}

/// A number at the start; what follows it.
fn number(text: &[u8], base: u32) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|&&byte| char::from(byte).is_digit(base)).count();
    let (digits, rest) = text.split_at(digits);
    let value = std::str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits, base).ok())?;
    Some((value, rest))
}

/// A line: `start-end perms offset device inode path`.
fn area(line: &[u8]) -> Option<Area> {
    let (start, rest) = number(line, 16)?;
    let (end, rest) = number(rest.strip_prefix(b"-")?, 16)?;
    let (perms, rest) = rest.strip_prefix(b" ")?.split_at_checked(4)?;
    let (offset, rest) = number(rest.strip_prefix(b" ")?, 16)?;
    let (_, rest) = number(rest.strip_prefix(b" ")?, 16)?;
    let (_, rest) = number(rest.strip_prefix(b":")?, 16)?;
    let (inode, rest) = number(rest.strip_prefix(b" ")?, 10)?;
    let bits = perms.iter().zip(*b"rwxs").zip([1, 2, 4, 8]);
    let bits = bits.filter(|((is, flag), _)| *is == flag).map(|(_, bit)| bit).sum();
    let named = |name: &[u8]| rest.windows(name.len()).any(|window| window == name);
    let backing = match () {
        () if inode == 0 => Backing::Anonymous,
        () if named(MEMORY_NAME) => Backing::Memory,
        () if named(SEALED_NAME) => Backing::Sealed,
        () if named(b"/dev/zero") => Backing::Nameless,
        () => Backing::Disk,
    };
    Some(Area { start, end, bits, backing, inode, offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_maps_are_read() {
        let line = b"200000200000-200000203000 rw-s 00001000 00:01 4711   /memfd:freehold-memory (deleted)";
        let expected = Area {
            start: 0x2000_0020_0000,
            end: 0x2000_0020_3000,
            bits: 11,
            backing: Backing::Memory,
            inode: 4711,
            offset: 0x1000,
        };
        assert_eq!(area(line), Some(expected));
        let heap = area(b"1000-2000 ---p 00000000 00:00 0    [heap]").expect("a line");
        assert_eq!((heap.bits, heap.backing), (0, Backing::Anonymous));
        assert_eq!(area(b"7fff"), None);
    }
}
