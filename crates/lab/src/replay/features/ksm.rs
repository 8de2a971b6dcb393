//! `--ksm`.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// Whether equal pages of memory that the program marked (`MADV_MERGEABLE`) are merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ksm {
    /// No.
    #[default]
    Off,
    /// Yes.
    On {
        /// How many pages are looked at after each event (Linux: `pages_to_scan`).
        pages: NonZeroU32,
    },
}

/// Linux's `pages_to_scan`.
const PAGES: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);

impl FromStr for Ksm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("'{text}' is none of off, on, on,pages=N (N from 1)");
        match text.split_once(',') {
            None if text == "off" => Ok(Ksm::Off),
            None if text == "on" => Ok(Ksm::On { pages: PAGES }),
            Some(("on", pages)) => {
                let pages = pages.strip_prefix("pages=").and_then(|n| n.parse().ok()).ok_or_else(refused)?;
                Ok(Ksm::On { pages })
            }
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for Ksm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ksm::Off => f.write_str("off"),
            Ksm::On { pages } => write!(f, "on,pages={pages}"),
        }
    }
}
