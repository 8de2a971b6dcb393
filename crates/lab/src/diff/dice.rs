//! Repeatable choices.

/// SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(sim::synthetic::mix(seed ^ 0xd1ff))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        sim::synthetic::mix(self.0)
    }

    /// Below `end`; 0 if there is nothing below it.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // The bias is 2^-32 at most for what is asked here.
        if end == 0 { 0 } else { (self.next() >> 16) % end }
    }

    /// True so many times in a thousand.
    pub(crate) fn permille(&mut self, times: u64) -> bool {
        self.below(1000) < times
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        from.get(self.below(from.len() as u64) as usize).copied()
    }

    /// One of a few; they are never none.
    pub(crate) fn one<T: Copy, const N: usize>(&mut self, from: [T; N]) -> T {
        const { assert!(N > 0) };
        from[self.below(N as u64) as usize]
    }
}
