//! The tables.

use crate::rows::{Sizes, Table, Trouble};

/// Runs everything.
pub(crate) fn all(sizes: &Sizes) -> Result<Vec<Table>, Trouble> {
    Ok(vec![
        crate::copies::table(sizes)?,
        crate::pins::table(sizes)?,
        crate::forks::table(sizes)?,
        crate::large::table(sizes)?,
        crate::merging::table(sizes)?,
        crate::moving::table(sizes)?,
    ])
}
