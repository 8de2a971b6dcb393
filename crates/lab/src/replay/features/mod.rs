//! What a manager has beside pages of 4 KiB in memory: swap, merging. And what a recording must
//! tell for each of them.

mod ksm;
mod swap;

use std::fmt;

use record::{Lack, Recording};

pub use ksm::Ksm;
pub use swap::{Swap, SwapDevice};

/// What is switched on.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Features {
    /// Swap: SIZE or file:SIZE on a device, lz4:SIZE compressed in memory (SIZE is of what it holds)
    #[arg(long, value_name = "[KIND:]SIZE")]
    pub swap: Option<Swap>,
    /// Merging of equal pages: on or off, and how many pages it looks at after each event: on,pages=100
    #[arg(long, value_name = "on|off[,pages=N]", default_value_t = Ksm::Off)]
    pub ksm: Ksm,
}

/// Something that an option needs and a recording does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The option.
    pub option: &'static str,
    /// What is not told.
    pub lack: Lack,
    why: &'static str,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the recording has no {}, which {} needs: {}", self.lack.key(), self.option, self.why)
    }
}

impl Features {
    /// What of them the recording cannot feed.
    #[must_use]
    pub fn missing(&self, recording: &Recording) -> Vec<Missing> {
        let swap = self.swap.map(|_| Missing {
            option: "--swap",
            lack: Lack::Touches,
            why: "a page that was swapped out comes back only where a fault was recorded",
        });
        let ksm = matches!(self.ksm, Ksm::On { .. }).then_some(Missing {
            option: "--ksm",
            lack: Lack::Contents,
            why: "pages are equal only where the replay made them so",
        });
        let needs = swap.into_iter().chain(ksm);
        needs.filter(|missing| recording.provenance.lacks.contains(&missing.lack)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_is_read() {
        let swaps = [("8K", "file:8K"), ("file:1m", "file:1024K"), ("lz4:1T", "lz4:1073741824K")];
        for (text, shown) in swaps {
            let swap: Swap = text.parse().expect(text);
            assert_eq!(swap.to_string(), shown);
            assert_eq!(shown.parse(), Ok(swap));
        }
        for (text, shown) in [("off", "off"), ("on", "on,pages=100"), ("on,pages=7", "on,pages=7")] {
            let ksm: Ksm = text.parse().expect(text);
            assert_eq!(ksm.to_string(), shown);
            assert_eq!(shown.parse(), Ok(ksm));
        }
    }

    #[test]
    fn a_recording_says_what_it_lacks_for_what_is_used() {
        let mut recording = record::example();
        let features = |swap: Option<&str>, ksm: &str| Features {
            swap: swap.map(|text| text.parse().expect(text)),
            ksm: ksm.parse().expect(ksm),
        };
        let missing = |recording: &Recording, features: Features| -> Vec<(&str, Lack)> {
            features.missing(recording).into_iter().map(|missing| (missing.option, missing.lack)).collect()
        };
        recording.provenance.lacks = [Lack::Touches, Lack::Contents].into();
        assert_eq!(missing(&recording, features(None, "off")), []);
        assert_eq!(missing(&recording, features(Some("1M"), "off")), [("--swap", Lack::Touches)]);
        let both = [("--swap", Lack::Touches), ("--ksm", Lack::Contents)];
        assert_eq!(missing(&recording, features(Some("1M"), "on")), both);
        recording.provenance.lacks.clear();
        assert_eq!(missing(&recording, features(Some("1M"), "on")), []);
    }
}
