//! Reading steps about pages that others hold than the program.

use freehold::machine::Access;

use super::areas::Way;
use super::error::ScriptError;
use super::expr::Exprs;
use super::holding::{Hold, HoldKind, Pause, PinStep, PinWord, Stored, Waits};
use super::model::Action;
use super::step::Steps;

impl Steps<'_, '_> {
    /// What follows such a verb.
    pub(super) fn pin_step(&mut self, verb: &str) -> Result<Action, ScriptError> {
        let step = match verb {
            "pin" => self.hold(HoldKind::Pin)?,
            "hold" => self.hold(HoldKind::Reference)?,
            "register" => self.hold(HoldKind::Ring)?,
            "unpin" => self.unpin()?,
            "unregister" => PinStep::Unregister(self.names.pin(self.words)?),
            "fill" => self.transfer("from", Way::Reads)?,
            "save" => self.transfer("to", Way::Writes)?,
            "dma" => self.dma()?,
            "splice" => {
                let pages = self.pages()?;
                self.words.need("into")?;
                PinStep::Splice(pages, self.names.make_pipe(self.words)?)
            }
            "receive" => PinStep::Receive(self.names.pipe(self.words)?),
            "vmread" => {
                let (process, from) = (self.names.process(self.words)?, self.word_at()?);
                self.words.need("into")?;
                PinStep::VmRead(process, from, self.word_at()?)
            }
            "vmwrite" => {
                let (process, to) = (self.names.process(self.words)?, self.word_at()?);
                self.words.need("from")?;
                PinStep::VmWrite(process, to, self.word_at()?)
            }
            "peek" => PinStep::Peek(self.names.process(self.words)?, self.word_at()?),
            "poke" => {
                let (process, to) = (self.names.process(self.words)?, self.word_at()?);
                self.words.need("=")?;
                PinStep::Poke(process, to, self.sum()?)
            }
            _ => PinStep::Detach(self.word_at()?, self.pause()?),
        };
        let wanted = self.wanted(step.has_value(), "fails")?;
        Ok(Action::Pins(step, wanted))
    }

    /// `a[0] write long forced as p`
    fn hold(&mut self, kind: HoldKind) -> Result<PinStep, ScriptError> {
        let pages = self.pages()?;
        let mut hold = Hold { access: Access::Write, kind, is_forced: false };
        if kind != HoldKind::Ring {
            hold.access = match self.words.need_word("`read` or `write`")? {
                "read" => Access::Read,
                "write" => Access::Write,
                _ => return Err(self.words.error("what is held is for `read` or for `write`")),
            };
        }
        if kind == HoldKind::Pin && self.words.take("long")? {
            hold.kind = HoldKind::LongPin;
        }
        hold.is_forced = kind != HoldKind::Ring && self.words.take("forced")?;
        self.words.need("as")?;
        Ok(PinStep::Hold(pages, hold, self.names.make_pin(self.words)?))
    }

    /// `between gone and back`
    fn pause(&mut self) -> Result<Option<Pause>, ScriptError> {
        if !self.words.take("between")? {
            return Ok(None);
        }
        let begins = self.names.signal(self.words)?;
        self.words.need("and")?;
        Ok(Some(Pause { begins, until: self.names.event(self.words)? }))
    }

    fn unpin(&mut self) -> Result<PinStep, ScriptError> {
        let pin = self.names.pin(self.words)?;
        let stored = if self.words.take("dirty")? { Stored::Something } else { Stored::Nothing };
        Ok(PinStep::LetGo(pin, stored))
    }

    /// `dma read p+8`, `dma write p+8 = 5`, `dma begin p+8 = 5`, `dma finish`
    fn dma(&mut self) -> Result<PinStep, ScriptError> {
        match self.words.need_word("`read`, `write`, `begin` or `finish`")? {
            "finish" => Ok(PinStep::Finish),
            "read" => Ok(PinStep::Load(self.pin_word()?)),
            verb @ ("write" | "begin") => {
                let word = self.pin_word()?;
                self.words.need("=")?;
                let waits = if verb == "write" { Waits::Yes } else { Waits::No };
                Ok(PinStep::Store(word, self.sum()?, waits))
            }
            _ => Err(self.words.error("a device can `read`, `write`, `begin` and `finish`")),
        }
    }

    /// `fill p[0] from F[1]`, `save p[0] to F[1]`
    fn transfer(&mut self, between: &str, way: Way) -> Result<PinStep, ScriptError> {
        let word = self.pin_word()?;
        self.words.need(between)?;
        let place = Exprs::new(self.words, self.names).file_word()?;
        if word.offset != 0 || place.offset != 0 {
            return Err(self.words.error("whole pages go between a fixed buffer and a file"));
        }
        Ok(PinStep::Transfer(word, place, way))
    }

    fn pin_word(&mut self) -> Result<PinWord, ScriptError> {
        let pin = self.names.pin(self.words)?;
        let (page, offset) = self.page_and_offset()?;
        Ok(PinWord { pin, page, offset })
    }
}
