//! What a manager has beside pages of 4 KiB in memory: swap, merging. And what a recording must
//! tell for each of them.

mod ksm;
mod swap;

use std::fmt;

use record::{Call, EventKind, Lack, Recording};

pub use ksm::{Ksm, Merge};
pub use swap::{Swap, SwapDevice};

/// What is switched on.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Features {
    /// Swap: SIZE or file:SIZE on a device, lz4:SIZE compressed in memory (SIZE is of what it holds)
    #[arg(long, value_name = "[KIND:]SIZE")]
    pub swap: Option<Swap>,
    /// Merging of equal pages: off, on (in what the program marked for it) or all; with how many pages are
    /// looked at in a step, and whether pages of zeros become the page of zeros: all,pages=100,zero-pages
    #[arg(long, value_name = "off|on|all[,...]", default_value_t = Ksm::Off)]
    pub ksm: Ksm,
}

/// Something that an option needs and a recording does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The option.
    pub option: &'static str,
    /// What it needs.
    pub need: Need,
    why: &'static str,
}

/// What options need of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// That something was recorded.
    Recorded(Lack),
    /// That the program marks memory whose equal pages may be merged.
    Marks,
}

impl Missing {
    /// What is missing, in a word.
    pub(crate) fn key(&self) -> &'static str {
        match self.need {
            Need::Recorded(lack) => lack.key(),
            Need::Marks => "mergeable",
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.need {
            Need::Recorded(lack) => lack.key(),
            Need::Marks => "MADV_MERGEABLE",
        };
        write!(f, "the recording has no {what}, which {} needs: {}", self.option, self.why)
    }
}

const MADV_MERGEABLE: u64 = 12;

/// Whether the program marks memory whose equal pages may be merged.
fn marks(recording: &Recording) -> bool {
    let mut calls = recording.events.iter().filter_map(|event| match &event.kind {
        EventKind::Call { call, .. } => Some(call),
        _ => None,
    });
    calls.any(|call| matches!(call, Call::Madvise { advice: MADV_MERGEABLE, .. }))
}

impl Features {
    /// What of them the recording cannot feed.
    #[must_use]
    pub fn missing(&self, recording: &Recording) -> Vec<Missing> {
        let swap = self.swap.map(|_| Missing {
            option: "--swap",
            need: Need::Recorded(Lack::Touches),
            why: "a page that was swapped out comes back only where a fault was recorded",
        });
        let contents = (self.ksm != Ksm::Off).then_some(Missing {
            option: "--ksm",
            need: Need::Recorded(Lack::Contents),
            why: "pages are equal only where the replay made them so",
        });
        let marks = matches!(self.ksm, Ksm::On { merge: Merge::Marked, .. }).then_some(Missing {
            option: "--ksm on",
            need: Need::Marks,
            why: "--ksm all merges what no program marked, too",
        });
        let lacks = |missing: &Missing| match missing.need {
            Need::Recorded(lack) => recording.provenance.lacks.contains(&lack),
            Need::Marks => !self::marks(recording),
        };
        swap.into_iter().chain(contents).chain(marks).filter(lacks).collect()
    }

    /// Those that are used, as a report begins with.
    pub(crate) fn shown(&self) -> impl Iterator<Item = String> + use<> {
        let swap = self.swap.map(|swap| format!("swap ({swap})"));
        let ksm = (self.ksm != Ksm::Off).then(|| format!("merging ({})", self.ksm));
        swap.into_iter().chain(ksm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_is_read() {
        let swaps = [("8K", "file:8K"), ("file:1m", "file:1024K"), ("lz4:256G", "lz4:268435456K")];
        for (text, shown) in swaps {
            let swap: Swap = text.parse().expect(text);
            assert_eq!(swap.to_string(), shown);
            assert_eq!(shown.parse(), Ok(swap));
        }
        let merges = [
            ("off", "off"),
            ("on", "on,pages=100"),
            ("on,pages=7", "on,pages=7"),
            ("all", "all,pages=100"),
            ("all,zero-pages,pages=8", "all,pages=8,zero-pages"),
        ];
        for (text, shown) in merges {
            let ksm: Ksm = text.parse().expect(text);
            assert_eq!(ksm.to_string(), shown);
            assert_eq!(shown.parse(), Ok(ksm));
        }
    }

    #[test]
    fn a_recording_says_what_it_lacks_for_what_is_used() {
        let mut recording = record::example();
        recording.events.retain(|event| !matches!(event.kind, EventKind::Call { .. }));
        let features = |swap: Option<&str>, ksm: &str| Features {
            swap: swap.map(|text| text.parse().expect(text)),
            ksm: ksm.parse().expect(ksm),
        };
        let missing = |recording: &Recording, features: Features| -> Vec<(&str, &str)> {
            features.missing(recording).iter().map(|missing| (missing.option, missing.key())).collect()
        };
        recording.provenance.lacks = [Lack::Touches, Lack::Contents].into();
        assert_eq!(missing(&recording, features(None, "off")), []);
        assert_eq!(missing(&recording, features(Some("1M"), "off")), [("--swap", "touches")]);
        let both = [("--swap", "touches"), ("--ksm", "contents")];
        assert_eq!(missing(&recording, features(Some("1M"), "all")), both);
        recording.provenance.lacks.clear();
        assert_eq!(missing(&recording, features(Some("1M"), "all")), []);
        assert_eq!(missing(&recording, features(None, "on")), [("--ksm on", "mergeable")]);
        let marked = Call::Madvise { addr: 0, len: 4096, advice: MADV_MERGEABLE };
        recording.events.last_mut().expect("an event").kind = EventKind::Call { call: marked, ret: 0 };
        assert_eq!(missing(&recording, features(None, "on")), []);
    }
}
