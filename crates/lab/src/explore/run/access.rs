//! Loads and stores.

use freehold::machine::VirtAddr;
use sim::Signal;
use sim::shadow::{Expected, Mismatch};

use super::super::script::{Expr, Place, Sign, Value, Wanted, WordAt};
use super::outcome::{Failure, Kind};
use super::shared::Shared;
use super::value::text_of;
use super::world::{Actor, World};

impl World<'_> {
    /// A load; answers what it came to.
    pub(super) fn read(&self, who: Actor<'_>, at: Place, word: &WordAt, wanted: &Wanted) -> Value {
        let addr = self.addr(who, at, word);
        let memory = self.live(who, at).memory;
        let got = match who.ctx.load(self, addr) {
            Ok(value) => {
                self.judging(who, memory, addr);
                let agreed = self.judge.borrow_mut().load(memory, addr, value);
                self.judged(who, at, addr, agreed);
                Value::Word(value)
            }
            Err(signal) => self.signalled(who, at, signal),
        };
        self.compare(who, at, wanted, got);
        got
    }

    /// A store; answers what it came to.
    pub(super) fn write(
        &self,
        who: Actor<'_>,
        at: Place,
        (word, value): (&WordAt, &Expr),
        wanted: &Wanted,
    ) -> Value {
        let addr = self.addr(who, at, word);
        let value = self.number(who, at, value);
        let memory = self.live(who, at).memory;
        let got = match who.ctx.store(self, addr, value) {
            Ok(()) => {
                self.judging(who, memory, addr);
                let agreed = self.judge.borrow_mut().store(memory, addr, value);
                self.judged(who, at, addr, agreed);
                Value::Sign(Sign::Ok)
            }
            Err(signal) => self.signalled(who, at, signal),
        };
        self.compare(who, at, wanted, got);
        got
    }

    /// What the judge will say depends on calls that are over, or not.
    fn judging(&self, who: Actor<'_>, memory: u32, addr: VirtAddr) {
        self.hear_device(who);
        Shared::Memory(memory).read(who.ctx);
        Shared::Page(memory, addr.page()).read(who.ctx);
        if !self.files.is_empty() {
            Shared::Sizes.read(who.ctx);
        }
    }

    fn judged(&self, who: Actor<'_>, at: Place, addr: VirtAddr, agreed: Result<(), Mismatch>) {
        if let Err(mismatch) = agreed {
            // The machine may know better what it is.
            let failure = self.violation().unwrap_or_else(|| {
                let text = self.mismatch_text(who, addr, &mismatch);
                Failure::new(Kind::WrongByte, text)
            });
            self.fail(who.ctx, at, failure);
        }
    }

    pub(super) fn mismatch_text(&self, who: Actor<'_>, addr: VirtAddr, mismatch: &Mismatch) -> String {
        let did = match mismatch.got {
            Some(got) => format!("loaded {}", text_of(Value::Word(got))),
            None => "stored".into(),
        };
        let due = match &mismatch.expected {
            Expected::Value(values) => {
                let values: Vec<_> = values.iter().map(|&value| text_of(Value::Word(value))).collect();
                format!("where {} is due", values.join(" or "))
            }
            Expected::Unmapped => "where nothing is mapped".into(),
            Expected::BeyondEnd => "beyond the end of the file".into(),
            Expected::NoProcess => "though its memory is gone".into(),
        };
        format!("{} {did} at {} ({}), {due}", self.name_of(who.process), self.describe(addr), mismatch.source)
    }

    /// The access came to a signal.
    fn signalled(&self, who: Actor<'_>, at: Place, signal: Signal) -> Value {
        let sign = match signal {
            Signal::Segv => Sign::Segv,
            Signal::Bus => Sign::Bus,
            Signal::Kill => Sign::Kill,
            _ => {
                let failure = self.violation();
                let failure =
                    failure.unwrap_or_else(|| Failure::new(Kind::Livelock, "an access faults for ever"));
                self.fail(who.ctx, at, failure)
            }
        };
        Value::Sign(sign)
    }
}
