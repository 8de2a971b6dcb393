//! What expressions come to.

use freehold::machine::{Counter, PAGE_SIZE, VirtAddr, VpnRange};
use sim::synthetic;

use super::super::script::{
    Alternative, Expr, FileWord, Operator, Pages, Place, RegionName, Sign, Value, Wanted, WordAt,
};
use super::outcome::{Failure, Kind};
use super::shared::Shared;
use super::world::{Actor, World};

impl World<'_> {
    /// The value of an expression.
    pub(super) fn eval(&self, who: Actor<'_>, at: Place, expr: &Expr) -> Value {
        match expr {
            Expr::Value(value) => *value,
            Expr::Variable(variable) => self.value(who.ctx, *variable),
            Expr::Disk(word) => {
                let (file, page, index) = self.file_place(who, at, word);
                Shared::Disk(self.files[file].key).read(who.ctx);
                Value::Word(self.sim.sim_files().word(self.files[file].key, page, index))
            }
            Expr::Initial(word) => {
                let (file, page, index) = self.file_place(who, at, word);
                let inside = page < self.scenario.files[file].pages;
                let word = synthetic::file_word(self.files[file].key.0, page, 0, index as u64);
                Value::Word(if inside { word } else { 0 })
            }
            Expr::Frame(word) => Value::Word(self.frame_at(who, at, word)),
            Expr::Copies => Value::Word(self.manager.core().total(Counter::CowCopied)),
            Expr::Spins => Value::Word(self.sim.report().events.spins),
            Expr::Not(inner) => truth(!is_true(self.eval(who, at, inner))),
            Expr::Two(operator, terms) => {
                let (left, right) = (self.eval(who, at, &terms.0), self.eval(who, at, &terms.1));
                self.two(who, at, *operator, left, right)
            }
        }
    }

    fn two(&self, who: Actor<'_>, at: Place, operator: Operator, left: Value, right: Value) -> Value {
        let words = match (left, right) {
            (Value::Word(left), Value::Word(right)) => Some((left, right)),
            _ => None,
        };
        let compare = |holds: fn(u64, u64) -> bool| truth(words.is_some_and(|(a, b)| holds(a, b)));
        match operator {
            Operator::Equal => truth(left == right),
            Operator::Unequal => truth(left != right),
            Operator::Less => compare(|a, b| a < b),
            Operator::LessOrEqual => compare(|a, b| a <= b),
            Operator::Greater => compare(|a, b| a > b),
            Operator::GreaterOrEqual => compare(|a, b| a >= b),
            Operator::And => truth(is_true(left) && is_true(right)),
            Operator::Or => truth(is_true(left) || is_true(right)),
            Operator::Add | Operator::Subtract => match words {
                Some((a, b)) if operator == Operator::Add => Value::Word(a.wrapping_add(b)),
                Some((a, b)) => Value::Word(a.wrapping_sub(b)),
                None => self.misused(who.ctx, at, "only numbers can be added".into()),
            },
        }
    }

    /// A number.
    pub(super) fn number(&self, who: Actor<'_>, at: Place, expr: &Expr) -> u64 {
        match self.eval(who, at, expr) {
            Value::Word(word) => word,
            Value::Sign(sign) => self.misused(who.ctx, at, format!("{} is no number", sign.name())),
        }
    }

    // ---- places ----

    fn page(&self, who: Actor<'_>, at: Place, region: RegionName, page: Option<&Expr>) -> u64 {
        let page = page.map_or(0, |page| self.number(who, at, page));
        let region = &self.scenario.regions[region.0];
        if page >= region.pages {
            let text = format!("there is no page {page} of {}, which has {}", region.name, region.pages);
            self.misused(who.ctx, at, text);
        }
        page
    }

    /// The pages meant.
    pub(super) fn range(&self, who: Actor<'_>, at: Place, pages: &Pages) -> VpnRange {
        let region = &self.scenario.regions[pages.region.0];
        let Some(first) = &pages.first else { return VpnRange::sized(region.start, region.pages) };
        let first = self.page(who, at, pages.region, Some(first));
        let end = pages.end.as_ref().map_or(first + 1, |end| self.number(who, at, end));
        if end > region.pages || end <= first {
            let text =
                format!("there are no pages {first}..{end} of {}, which has {}", region.name, region.pages);
            self.misused(who.ctx, at, text);
        }
        VpnRange::new(region.start + first, region.start + end)
    }

    /// The address meant.
    pub(super) fn addr(&self, who: Actor<'_>, at: Place, word: &WordAt) -> VirtAddr {
        let page = self.page(who, at, word.region, word.page.as_ref());
        VirtAddr(self.scenario.regions[word.region.0].addr(page).0 + word.offset)
    }

    /// The name of an address: the region that it is in, and the place in it.
    pub(super) fn describe(&self, addr: VirtAddr) -> String {
        let page = addr.page();
        let inside = |start: freehold::machine::Vpn, pages: u64| VpnRange::sized(start, pages).contains(page);
        let region = self.scenario.regions.iter().find(|region| inside(region.start, region.pages));
        let Some(region) = region else { return format!("{:#x}", addr.0) };
        match addr.0 % PAGE_SIZE {
            0 => format!("{}[{}]", region.name, page - region.start),
            offset => format!("{}[{}]+{offset}", region.name, page - region.start),
        }
    }

    /// The file, page and word meant.
    pub(super) fn file_place(&self, who: Actor<'_>, at: Place, word: &FileWord) -> (usize, u64, usize) {
        let page = word.page.as_ref().map_or(0, |page| self.number(who, at, page));
        (word.file.0, page, (word.offset / 8) as usize)
    }

    // ---- what was wanted ----

    /// Compares what a step came to with what the scenario wants, and binds it.
    pub(super) fn compare(&self, who: Actor<'_>, at: Place, wanted: &Wanted, got: Value) {
        if let Some(variable) = wanted.bind {
            self.set(who.ctx, variable, got);
            if wanted.any_of.is_empty() {
                return;
            }
        }
        let succeeded = !matches!(got, Value::Sign(sign) if sign != Sign::Ok);
        let fits = |alternative: &Alternative| match alternative {
            Alternative::Done => succeeded,
            Alternative::FailsSomehow => !succeeded,
            Alternative::Fails(sign) => got == Value::Sign(*sign),
            Alternative::Is(expr) => got == self.eval(who, at, expr),
        };
        let holds = if wanted.any_of.is_empty() { succeeded } else { wanted.any_of.iter().any(fits) };
        if !holds {
            let due = self.wanted_text(who, at, wanted);
            let text = format!("it came to {}, not to {due}", text_of(got));
            self.fail(who.ctx, at, Failure::new(Kind::Expectation, text));
        }
    }

    fn wanted_text(&self, who: Actor<'_>, at: Place, wanted: &Wanted) -> String {
        let text = |alternative: &Alternative| match alternative {
            Alternative::Done => "success".to_string(),
            Alternative::FailsSomehow => "a failure".into(),
            Alternative::Fails(sign) => sign.name().into(),
            Alternative::Is(expr) => text_of(self.eval(who, at, expr)),
        };
        if wanted.any_of.is_empty() {
            return "success".into();
        }
        wanted.any_of.iter().map(text).collect::<Vec<_>>().join(" or ")
    }
}

/// What counts as true: any number but 0.
pub(super) fn is_true(value: Value) -> bool {
    matches!(value, Value::Word(word) if word != 0)
}

fn truth(holds: bool) -> Value {
    Value::Word(u64::from(holds))
}

/// A value in words: small numbers as they are, others in hex.
pub(super) fn text_of(value: Value) -> String {
    match value {
        Value::Word(word) if word < 1 << 16 => word.to_string(),
        Value::Word(word) => format!("{word:#x}"),
        Value::Sign(sign) => sign.name().into(),
    }
}
