//! The language of scenarios: what `docs/scenarios.md` describes.
//!
//! `lex` makes words of lines; `parse` reads the file, `step` and `expr` what its lines say; `names` knows
//! what names mean. All errors name a line and a column.

mod areas;
mod entry;
mod error;
mod expr;
mod holding;
mod ksm;
mod lex;
mod limits;
mod model;
mod names;
mod parse;
mod pins;
mod step;
mod swap;
mod terms;
#[cfg(test)]
mod tests;

pub use areas::{Device, SwapStep, Way};
pub use entry::{PageOf, Size, Sole, Standing};
pub use error::ScriptError;
pub use holding::{Hold, HoldKind, Pause, PinStep, PinWord, Stored, Waits};
pub use ksm::Ksm;
pub use limits::FILE_BYTES;
pub use model::*;
pub use parse::parse;
