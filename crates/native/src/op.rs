//! Operations and answers, and how they look in a pipe: little-endian words, no padding.

use crate::call::Call;

/// How many processes a program may have at a time.
pub const SLOTS: usize = 8;
/// The most operations of one program.
pub const OPS_MAX: usize = 4096;
/// How many open files a program has: memory (opened for both, for reading), a disk's file (for both, for
/// reading, for writing), sealed memory (for both). Others are bad descriptors.
pub const FILES: usize = 6;
/// [`Call::Wait`] for any child.
pub const WAIT_ANY: u64 = 255;

/// Low bits of a [`Call::PipeRead`]'s answer that tell how many bytes were read.
pub const PIPE_BITS: u32 = 20;
/// Pages the pipe holds (Linux: `PIPE_DEF_BUFFERS`).
pub const PIPE_PAGES: u64 = 16;

/// `RLIMIT_STACK` of the first process, in bytes, if the hard limit allows it: a stack of the arena stays far
/// from the rest of it.
pub const STACK_SOFT: u64 = 1 << 20;

/// Bytes of an [`Op`].
pub const OP_BYTES: usize = 64;
/// Bytes of an [`Answer`].
pub const ANSWER_BYTES: usize = 16;
/// Bytes of an [`Area`].
pub const AREA_BYTES: usize = 48;
/// Bytes of a [`Request`].
pub const REQUEST_BYTES: usize = 32;
/// Bytes of a [`Reply`].
pub const REPLY_BYTES: usize = 32;
/// Bytes of a [`Hello`].
pub const HELLO_BYTES: usize = 64;

/// One operation of one process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Op {
    /// Which process does it; operations of processes that do not live are skipped.
    pub process: u8,
    /// What.
    pub call: Call,
    /// With what; see [`Call`].
    pub args: [u64; 7],
}

/// How an operation ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Well.
    Good,
    /// With an error number.
    Errno(i32),
    /// With a signal: its number and code.
    Signal(u8, u8),
    /// It was not done: the process does not live, or the number of the child is taken.
    Skipped,
    /// The mapping was made outside of the arena and could not be moved into it, for this error; it is gone.
    Homeless(i32),
}

/// What an operation came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// How it ended.
    pub status: Status,
    /// What it answered: an address, loaded bytes, a sum; how many [`Area`]s a layout has.
    pub value: u64,
}

impl Answer {
    /// An operation that was not done.
    pub const SKIPPED: Answer = Answer { status: Status::Skipped, value: 0 };
}

/// What a range maps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backing {
    /// Private zeros.
    Anonymous,
    /// The program's memory file.
    Memory,
    /// Its file on a disk.
    Disk,
    /// Its sealed memory file.
    Sealed,
    /// Shared memory without a name.
    Nameless,
}

const BACKINGS: [Backing; 5] =
    [Backing::Anonymous, Backing::Memory, Backing::Disk, Backing::Sealed, Backing::Nameless];

/// A mapping in the arena, as `/proc/PID/maps` shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Area {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
    /// `PROT_*`, and 8 if shared.
    pub bits: u64,
    /// What it maps.
    pub backing: Backing,
    /// Tells nameless memories apart; means nothing else.
    pub inode: u64,
    /// First byte of the file.
    pub offset: u64,
}

/// What the driver sends before the operations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// How many operations follow.
    pub ops: u64,
    /// `RLIMIT_MEMLOCK` of the first process, in bytes.
    pub memlock: u64,
}

/// What the worker sends before the answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reply {
    /// How many answers follow.
    pub answers: u64,
    /// How many areas follow them.
    pub areas: u64,
    /// What went wrong if not 0: a signal that ended a process, or 256 and an error number.
    pub trouble: u64,
}

/// What the worker sends first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hello {
    /// Whether `brk` could be moved into the arena: 0, or the error number.
    pub brk_error: u64,
    /// The hard limit on locked memory, in bytes.
    pub memlock_max: u64,
    /// The hard limit on the stack, in bytes.
    pub stack_max: u64,
    /// Pages the worker has mapped itself.
    pub own_pages: u64,
    /// Whether it gave up all privileges: 0, or the error number.
    pub privileges_error: u64,
    /// Whether its processes may read each other: 0, or the error number.
    pub look_error: u64,
    /// Whether a process may write to its own read-only memory by `/proc/PID/mem`: 0, or the error number.
    pub force_error: u64,
}

const MAGIC_REQUEST: u64 = u64::from_le_bytes(*b"fhdiffrq");
const MAGIC_REPLY: u64 = u64::from_le_bytes(*b"fhdiffan");
const MAGIC_HELLO: u64 = u64::from_le_bytes(*b"fhdiffhi");

/// Words of a buffer of `N` times eight bytes.
fn words<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let mut words = [0; N];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(chunk.try_into().ok()?);
    }
    (bytes.len() == N * 8).then_some(words)
}

/// Writes words.
fn put(to: &mut [u8], words: &[u64]) {
    for (chunk, word) in to.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
}

impl Op {
    /// As bytes.
    pub fn to_bytes(&self) -> [u8; OP_BYTES] {
        let mut bytes = [0; OP_BYTES];
        put(&mut bytes, &[u64::from(self.process) | (self.call as u64) << 8]);
        put(&mut bytes[8..], &self.args);
        bytes
    }

    /// From bytes; `None` if there is no such call or process.
    pub fn from_bytes(bytes: &[u8]) -> Option<Op> {
        let [head, args @ ..] = words::<8>(bytes)?;
        let process = (head & 0xff) as u8;
        let call = Call::parse((head >> 8) as u8)?;
        (usize::from(process) < SLOTS && head >> 16 == 0).then_some(Op { process, call, args })
    }
}

impl Answer {
    /// As bytes.
    pub fn to_bytes(&self) -> [u8; ANSWER_BYTES] {
        let status = match self.status {
            Status::Good => 0,
            Status::Errno(number) => 1 << 32 | u64::from(number as u32),
            Status::Signal(number, code) => 2 << 32 | u64::from(number) << 8 | u64::from(code),
            Status::Skipped => 3 << 32,
            Status::Homeless(number) => 4 << 32 | u64::from(number as u32),
        };
        let mut bytes = [0; ANSWER_BYTES];
        put(&mut bytes, &[status, self.value]);
        bytes
    }

    /// From bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Answer> {
        let [status, value] = words::<2>(bytes)?;
        let low = status as u32;
        let status = match status >> 32 {
            0 if low == 0 => Status::Good,
            1 => Status::Errno(low as i32),
            2 => Status::Signal((low >> 8) as u8, low as u8),
            3 => Status::Skipped,
            4 => Status::Homeless(low as i32),
            _ => return None,
        };
        Some(Answer { status, value })
    }
}

impl Area {
    /// As bytes.
    pub fn to_bytes(&self) -> [u8; AREA_BYTES] {
        let Area { start, end, bits, backing, inode, offset } = *self;
        let mut bytes = [0; AREA_BYTES];
        put(&mut bytes, &[start, end, bits, backing as u64, inode, offset]);
        bytes
    }

    /// From bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Area> {
        let [start, end, bits, backing, inode, offset] = words::<6>(bytes)?;
        let backing = *BACKINGS.get(usize::try_from(backing).ok()?)?;
        Some(Area { start, end, bits, backing, inode, offset })
    }
}

impl Request {
    /// As bytes.
    pub fn to_bytes(&self) -> [u8; REQUEST_BYTES] {
        let mut bytes = [0; REQUEST_BYTES];
        put(&mut bytes, &[MAGIC_REQUEST, self.ops, self.memlock]);
        bytes
    }

    /// From bytes; `None` if it is no request, or one for too many operations.
    pub fn from_bytes(bytes: &[u8]) -> Option<Request> {
        let [magic, ops, memlock, _] = words::<4>(bytes)?;
        (magic == MAGIC_REQUEST && ops <= OPS_MAX as u64).then_some(Request { ops, memlock })
    }
}

impl Reply {
    /// As bytes.
    pub fn to_bytes(&self) -> [u8; REPLY_BYTES] {
        let mut bytes = [0; REPLY_BYTES];
        put(&mut bytes, &[MAGIC_REPLY, self.answers, self.areas, self.trouble]);
        bytes
    }

    /// From bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Reply> {
        let [magic, answers, areas, trouble] = words::<4>(bytes)?;
        let fits = answers <= OPS_MAX as u64 && areas <= 1 << 20;
        (magic == MAGIC_REPLY && fits).then_some(Reply { answers, areas, trouble })
    }
}

impl Hello {
    /// As bytes.
    pub fn to_bytes(&self) -> [u8; HELLO_BYTES] {
        let Hello { brk_error, memlock_max, stack_max, own_pages, .. } = *self;
        let mut bytes = [0; HELLO_BYTES];
        put(&mut bytes, &[MAGIC_HELLO, brk_error, memlock_max, stack_max, own_pages]);
        put(&mut bytes[40..], &[self.privileges_error, self.look_error, self.force_error]);
        bytes
    }

    /// From bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Hello> {
        let [magic, brk_error, memlock_max, stack_max, own_pages, errors @ ..] = words::<8>(bytes)?;
        let [privileges_error, look_error, force_error] = errors;
        let errors = Hello { privileges_error, look_error, force_error, ..Hello::default() };
        let hello = Hello { brk_error, memlock_max, stack_max, own_pages, ..errors };
        (magic == MAGIC_HELLO).then_some(hello)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for &call in Call::ALL {
            let op = Op { process: 5, call, args: [1, 2, 3, 4, 5, 6, u64::MAX] };
            assert_eq!(Op::from_bytes(&op.to_bytes()), Some(op));
        }
        for status in
            [Status::Good, Status::Errno(22), Status::Signal(7, 2), Status::Skipped, Status::Homeless(12)]
        {
            let answer = Answer { status, value: 7 };
            assert_eq!(Answer::from_bytes(&answer.to_bytes()), Some(answer));
        }
        for backing in BACKINGS {
            let area = Area { start: 1, end: 2, bits: 3, backing, inode: 5, offset: 6 };
            assert_eq!(Area::from_bytes(&area.to_bytes()), Some(area));
        }
        let request = Request { ops: 7, memlock: 8 };
        assert_eq!(Request::from_bytes(&request.to_bytes()), Some(request));
        let reply = Reply { answers: 1, areas: 2, trouble: 3 };
        assert_eq!(Reply::from_bytes(&reply.to_bytes()), Some(reply));
        let (brk_error, memlock_max, stack_max) = (1, 2, 3);
        let (own_pages, privileges_error, look_error) = (4, 5, 6);
        let errors = Hello { privileges_error, look_error, force_error: 7, ..Hello::default() };
        let hello = Hello { brk_error, memlock_max, stack_max, own_pages, ..errors };
        assert_eq!(Hello::from_bytes(&hello.to_bytes()), Some(hello));
    }

    #[test]
    fn garbage_is_refused() {
        assert_eq!(Op::from_bytes(&[0xff; OP_BYTES]), None);
        assert_eq!(Op::from_bytes(&[0; 3]), None);
        assert_eq!(Answer::from_bytes(&[0xff; ANSWER_BYTES]), None);
        assert_eq!(Area::from_bytes(&[0xff; AREA_BYTES]), None);
        assert_eq!(Request::from_bytes(&[0; REQUEST_BYTES]), None);
        assert_eq!(Reply::from_bytes(&[0; REPLY_BYTES]), None);
        assert_eq!(Hello::from_bytes(&[0; HELLO_BYTES]), None);
        let many = Request { ops: OPS_MAX as u64 + 1, memlock: 0 };
        assert_eq!(Request::from_bytes(&many.to_bytes()), None);
    }
}
