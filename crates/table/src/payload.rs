//! What a cleared entry held, as one number that a batch carries.

use machine::{FieldValue, KernelFrame, Level, Pfn};

/// Which of a space's counts of pages a page belongs to (Linux's `MM_ANONPAGES` and so on).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Rss {
    /// Anonymous memory.
    Anon = 0,
    /// Pages of ordinary files.
    File,
    /// Pages of memory files.
    Shmem,
    /// Anonymous pages that are swapped out: entries that name a slot. Not resident.
    Swap,
}

/// How many [`Rss`] counts there are.
pub const RSS_KINDS: usize = 4;

impl Rss {
    /// All of them, in order.
    pub const ALL: [Rss; RSS_KINDS] = [Rss::Anon, Rss::File, Rss::Shmem, Rss::Swap];
}

/// What must be freed once a change is settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Payload {
    /// A counted mapping of a page.
    Page {
        /// The (first) frame.
        frame: Pfn,
        /// The level of the entry: how much it mapped.
        level: Level,
        /// How it was counted.
        rss: Rss,
    },
    /// A mapping of a frame that is not counted: the zero page.
    Special(Pfn),
    /// Software's own entry, with its payload (58 bits).
    Absent(u64),
    /// A table. Freed by [`crate::Walker::settle`] itself.
    Table(KernelFrame),
}

const TAG: u32 = 60;
const TAG_PAGE: u64 = 1;
const TAG_SPECIAL: u64 = 2;
const TAG_ABSENT: u64 = 3;
const TAG_TABLE: u64 = 4;
const RSS: u32 = 32;
const LEVEL: u32 = 36;

impl FieldValue for Payload {
    fn to_bits(self) -> u64 {
        let number = |pfn: Pfn| u64::from(pfn.0);
        let (tag, value) = match self {
            Payload::Page { frame, level, rss } => {
                (TAG_PAGE, number(frame) | (rss as u64) << RSS | u64::from(level.0) << LEVEL)
            }
            Payload::Special(frame) => (TAG_SPECIAL, number(frame)),
            Payload::Absent(value) => (TAG_ABSENT, value),
            Payload::Table(frame) => (TAG_TABLE, number(frame.0)),
        };
        debug_assert!(value >> TAG == 0, "a payload is too large");
        tag << TAG | value
    }

    fn from_bits(bits: u64) -> Self {
        let frame = Pfn(bits as u32);
        match bits >> TAG {
            TAG_PAGE => Payload::Page {
                frame,
                level: Level((bits >> LEVEL & 0xf) as u8),
                rss: Rss::ALL[(bits >> RSS & 3) as usize % RSS_KINDS],
            },
            TAG_SPECIAL => Payload::Special(frame),
            TAG_TABLE => Payload::Table(KernelFrame(frame)),
            _ => Payload::Absent(bits & ((1 << TAG) - 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_survives_being_a_number() {
        let frame = Pfn(0xfedc_ba98);
        let pages = Rss::ALL
            .into_iter()
            .flat_map(|rss| [Level::LEAF, Level::HUGE].map(|level| Payload::Page { frame, level, rss }));
        let others = [
            Payload::Special(Pfn(3)),
            Payload::Absent((1 << 58) - 1),
            Payload::Absent(0),
            Payload::Table(KernelFrame(frame)),
        ];
        for payload in pages.chain(others) {
            assert_eq!(Payload::from_bits(payload.to_bits()), payload);
        }
    }
}
