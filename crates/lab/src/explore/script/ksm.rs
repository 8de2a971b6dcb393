//! What a scenario does with same-page merging: `ksm scan`.

use super::error::ScriptError;
use super::lex::{Token, Words};

/// What is asked of the scanner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ksm {
    /// It looks at so many pages, or goes on to the end of its pass.
    Scan(Option<u64>),
    /// All that is merged is parted: 2 written to `/sys/kernel/mm/ksm/run`.
    Unmerge,
    /// Pages of zeros are merged with the page of zeros.
    ZeroPages,
    /// How many mappings a merged page gets.
    Sharing(u64),
}

/// Pages a scan may be asked to look at.
const PAGES_MAX: u64 = 1 << 20;

impl Ksm {
    /// The words behind `ksm`.
    pub(super) fn parse(words: &mut Words<'_>) -> Result<Ksm, ScriptError> {
        Ok(match words.need_word("`scan`, `unmerge`, `zero` or `sharing`")? {
            "scan" if words.peek()? == Token::End => Ksm::Scan(None),
            "scan" => Ksm::Scan(Some(words.need_within("a number of pages", 1, PAGES_MAX)?)),
            "unmerge" => Ksm::Unmerge,
            "zero" => {
                words.need("pages")?;
                Ksm::ZeroPages
            }
            "sharing" => Ksm::Sharing(words.need_within("a number of mappings", 2, PAGES_MAX)?),
            other => return Err(words.error(format!("there is no step `ksm {other}`"))),
        })
    }
}
