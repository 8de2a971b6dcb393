//! Reading steps about swap areas and the devices under them.

use super::areas::{Device, SwapStep, Way};
use super::error::ScriptError;
use super::model::Action;
use super::step::Steps;

/// The most pages an area of a scenario has.
const PAGES_MAX: u64 = 4096;

impl Steps<'_, '_> {
    /// A step that begins with such a word.
    pub(super) fn swap_step(&mut self, verb: &str) -> Result<Action, ScriptError> {
        let step = match verb {
            "swapon" => {
                let device = self.device()?;
                let pages = self.words.need_within("a number of pages", 1, PAGES_MAX)?;
                if !self.words.take("pages")? && !self.words.take("page")? {
                    return Err(self.words.unexpected("`pages`"));
                }
                SwapStep::On { device, pages, stable: self.words.take("stable")? }
            }
            "swapoff" => SwapStep::Off(self.device()?),
            _ => {
                let file = self.names.file(self.words)?;
                if self.words.take("heals")? {
                    SwapStep::Heals(file)
                } else if self.words.take("fails")? {
                    let reads = self.words.take("reads")?;
                    if !reads && !self.words.take("writes")? {
                        return Err(self.words.unexpected("`reads` or `writes`"));
                    }
                    SwapStep::Fails(file, if reads { Way::Reads } else { Way::Writes })
                } else {
                    return Err(self.words.unexpected("`fails` or `heals`"));
                }
            }
        };
        Ok(Action::Swap(step, self.wanted(false, "fails")?))
    }

    /// `lz4`, or the name of a file.
    fn device(&mut self) -> Result<Device, ScriptError> {
        if self.words.take("lz4")? { Ok(Device::Lz4) } else { self.names.file(self.words).map(Device::File) }
    }
}
