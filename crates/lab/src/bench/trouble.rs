//! Why a bench has no figures.

use std::fmt::{self, Display};

/// A bench could not run; the text is one line.
#[derive(Debug)]
pub(crate) struct Trouble(String);

impl Trouble {
    /// What stood in the way.
    pub(crate) fn new(why: &impl Display) -> Self {
        Trouble(why.to_string())
    }
}

impl Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
