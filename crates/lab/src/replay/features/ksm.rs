//! `--ksm`.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use freehold::balance::{KsmSettings, Run};

/// Which memory equal pages are merged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// In what the program marked (`MADV_MERGEABLE`).
    Marked,
    /// In all that can be merged, as if the first process had asked for it (`PR_SET_MEMORY_MERGE`): those
    /// that come from it inherit that.
    All,
}

/// Whether and how equal pages are merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ksm {
    /// They are not.
    #[default]
    Off,
    /// They are.
    On {
        /// Where.
        merge: Merge,
        /// How many pages are looked at in each step (Linux: `pages_to_scan`).
        pages: NonZeroU32,
        /// Whether pages of zeros become the page of zeros (Linux: `use_zero_pages`).
        zeros: bool,
    },
}

/// Linux's `pages_to_scan`.
const PAGES: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);
const ZEROS: &str = "zero-pages";

impl Ksm {
    /// What the scanner is told; nothing if it does not run.
    pub(crate) fn settings(self) -> Option<KsmSettings> {
        let Ksm::On { pages, zeros, .. } = self else { return None };
        Some(KsmSettings {
            run: Run::Merge,
            pages_to_scan: pages.get().into(),
            use_zero_pages: zeros,
            ..KsmSettings::DEFAULT
        })
    }

    /// Whether all memory is merged, marked or not.
    pub(crate) fn merges_all(self) -> bool {
        matches!(self, Ksm::On { merge: Merge::All, .. })
    }
}

impl FromStr for Ksm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || {
            format!("'{text}' is none of off, on, all, on,pages=N (N from 1), on,{ZEROS}, and so on with all")
        };
        let mut words = text.split(',');
        let merge = match words.next() {
            Some("on") => Merge::Marked,
            Some("all") => Merge::All,
            Some("off") if words.next().is_none() => return Ok(Ksm::Off),
            _ => return Err(refused()),
        };
        let (mut pages, mut zeros) = (None, false);
        for word in words {
            match word.strip_prefix("pages=") {
                Some(number) if pages.is_none() => {
                    pages = Some(number.parse().map_err(|_| refused())?);
                }
                None if word == ZEROS && !zeros => zeros = true,
                _ => return Err(refused()),
            }
        }
        Ok(Ksm::On { merge, pages: pages.unwrap_or(PAGES), zeros })
    }
}

impl fmt::Display for Ksm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ksm::On { merge, pages, zeros } = self else { return f.write_str("off") };
        let merge = match merge {
            Merge::Marked => "on",
            Merge::All => "all",
        };
        write!(f, "{merge},pages={pages}")?;
        if *zeros { write!(f, ",{ZEROS}") } else { Ok(()) }
    }
}
