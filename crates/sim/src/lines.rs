//! Which CPUs have which cache line: the cost of touching a shared word.
//!
//! A line's state is one word: who wrote it last, and which CPUs have it since. Caches are as large as it
//! takes: a line leaves a CPU only because another CPU writes it. A line that nobody touched costs what a
//! line costs that is here (whoever zeroed it brought it).

/// Bits of the last writer (its number + 1; 0: nobody).
const WRITER: u64 = (1 << 10) - 1;
/// CPUs are told apart exactly up to this many, then by their number modulo it.
const PRESENCE: u32 = 53;

/// How an access finds its line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Line {
    /// Here already.
    Here,
    /// It comes from a CPU of this socket.
    Near,
    /// It comes from another socket.
    Far,
}

/// The CPU's bit in the set of those that have a line.
pub(crate) const fn presence_bit(cpu: u32) -> u64 {
    1 << (10 + cpu % PRESENCE)
}

/// A read by a CPU: the new state, and where the line came from.
#[inline]
pub(crate) fn read(state: u64, cpu: u32, near: impl Fn(u32) -> bool) -> (u64, Line) {
    let bit = presence_bit(cpu);
    if state & bit != 0 {
        return (state, Line::Here);
    }
    let line = match state & WRITER {
        0 => Line::Here,
        writer if near(writer as u32 - 1) => Line::Near,
        _ => Line::Far,
    };
    (state | bit, line)
}

/// A write by a CPU: the new state, and where the line (or the permission to write it) came from.
#[inline]
pub(crate) fn write(state: u64, cpu: u32, near: impl Fn(u32) -> bool, near_bits: u64) -> (u64, Line) {
    let bit = presence_bit(cpu);
    let new = (u64::from(cpu) + 1) | bit;
    if state == new || state == 0 {
        return (new, Line::Here);
    }
    let others = state & !WRITER & !bit;
    let writer = state & WRITER;
    let line = if writer == u64::from(cpu) + 1 || writer == 0 {
        match others {
            0 => Line::Here,
            others if others & !near_bits == 0 => Line::Near,
            _ => Line::Far,
        }
    } else if others & !near_bits == 0 && near(writer as u32 - 1) {
        Line::Near
    } else {
        Line::Far
    };
    (new, line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_move_between_writers_and_stay_with_readers() {
        // CPUs 0 to 3 share a socket, 4 and up another.
        let near = |cpu: u32| move |other: u32| other / 4 == cpu / 4;
        let bits = |cpu: u32| (0..8).filter(|c| c / 4 == cpu / 4).fold(0, |set, c| set | presence_bit(c));
        let (state, line) = write(0, 0, near(0), bits(0));
        assert_eq!(line, Line::Here);
        assert_eq!(write(state, 0, near(0), bits(0)).1, Line::Here);
        let (state, line) = read(state, 1, near(1));
        assert_eq!(line, Line::Near);
        assert_eq!(read(state, 1, near(1)).1, Line::Here);
        let (state, line) = read(state, 5, near(5));
        assert_eq!(line, Line::Far);
        let (state, line) = write(state, 0, near(0), bits(0));
        assert_eq!(line, Line::Far, "a reader on another socket has to give it up");
        let (state, line) = read(state, 1, near(1));
        assert_eq!(line, Line::Near);
        assert_eq!(write(state, 0, near(0), bits(0)).1, Line::Near);
    }
}
