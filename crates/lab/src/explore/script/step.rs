//! One step.

use freehold::linux::flags::MapFlags;
use freehold::machine::{PAGE_SIZE, Perms};

use super::areas;
use super::entry::{PageOf, Size, Sole, Standing, rights};
use super::error::ScriptError;
use super::expr::Exprs;
use super::holding;
use super::ksm::Ksm;
use super::lex::{Token, Words};
use super::limits;
use super::model::{
    Action, Advice, Alternative, Call, Chore, Expr, FileName, Image, Map, Moving, OldPlace, Pages,
    ProcessName, RegionName, Sign, Value, VariableName, Walk, Wanted, WordAt,
};
use super::names::{Names, Where};

/// What a line of a section is.
pub(super) enum Head {
    /// All of a step.
    Step(Action),
    /// The first line of a block that is repeated.
    Repeat { times: u64, counter: Option<VariableName>, until: Option<Expr> },
    /// The first line of a block as another process.
    As(ProcessName),
    /// The first line of a block inside a lockless reader's guard.
    Walking,
}

/// What `madvise` can be asked.
const ADVICE: [(&str, u64); 19] = [
    ("normal", 0),
    ("random", 1),
    ("sequential", 2),
    ("willneed", 3),
    ("dontneed", 4),
    ("free", 8),
    ("dontfork", 10),
    ("dofork", 11),
    ("mergeable", 12),
    ("unmergeable", 13),
    ("wipeonfork", 18),
    ("cold", 20),
    ("pageout", 21),
    ("keeponfork", 19),
    ("populate_read", 22),
    ("populate_write", 23),
    ("hugepage", 14),
    ("nohugepage", 15),
    ("collapse", 25),
];

/// Reads steps.
pub(super) struct Steps<'w, 't> {
    pub(super) words: &'w mut Words<'t>,
    pub(super) names: &'w mut Names,
}

impl<'w, 't> Steps<'w, 't> {
    pub(super) fn new(words: &'w mut Words<'t>, names: &'w mut Names) -> Self {
        Steps { words, names }
    }

    /// The line.
    pub(super) fn head(&mut self) -> Result<Head, ScriptError> {
        let verb = self.words.need_word("a step")?;
        let head = match verb {
            "repeat" => self.repeat()?,
            "as" => self.acting_as()?,
            "walking" => {
                self.words.need(":")?;
                Head::Walking
            }
            _ => Head::Step(self.action(verb)?),
        };
        self.words.need_end()?;
        Ok(head)
    }

    fn repeat(&mut self) -> Result<Head, ScriptError> {
        let times = self.words.need_within("a number of rounds", 1, limits::ROUNDS)?;
        let counter = if self.words.take("as")? { Some(self.names.set_variable(self.words)?) } else { None };
        let until = if self.words.take("until")? { Some(self.whole()?) } else { None };
        self.words.need(":")?;
        Ok(Head::Repeat { times, counter, until })
    }

    fn acting_as(&mut self) -> Result<Head, ScriptError> {
        let process = self.names.process(self.words)?;
        self.words.need(":")?;
        Ok(Head::As(process))
    }

    fn action(&mut self, verb: &str) -> Result<Action, ScriptError> {
        Ok(match verb {
            "read" => {
                let at = self.word_at()?;
                Action::Read(at, self.wanted(true, "faults")?)
            }
            "write" => {
                let at = self.word_at()?;
                self.words.need("=")?;
                let value = self.sum()?;
                Action::Write(at, value, self.wanted(false, "faults")?)
            }
            "signal" => Action::Signal(self.names.signal(self.words)?),
            "await" => self.await_step()?,
            "set" => {
                let variable = self.names.set_variable(self.words)?;
                self.words.need("=")?;
                Action::Set(variable, self.whole()?)
            }
            "expect" => Action::Expect(self.whole()?),
            "walk" => {
                let of = if self.words.take("of")? { Some(self.names.process(self.words)?) } else { None };
                let at = self.word_at()?;
                Action::Walk(Walk { of, at }, self.wanted(true, "fails")?)
            }
            "dump" => {
                let pages = self.pages()?;
                Action::Dump(pages, self.wanted(true, "fails")?)
            }
            "entry" => self.entry()?,
            "reclaim" => {
                let all = self.words.peek()? == Token::End;
                let file = if all { None } else { Some(self.names.file(self.words)?) };
                Action::Chore(Chore::Reclaim(file))
            }
            "shortage" => Action::Chore(Chore::Shortage),
            "compact" => Action::Chore(Chore::Compact),
            "drain" => Action::Chore(Chore::Drain),
            "ksm" => Action::Chore(Chore::Ksm(Ksm::parse(self.words)?)),
            "idle" => Action::Chore(Chore::Idle),
            _ if holding::is_verb(verb) => self.pin_step(verb)?,
            _ if areas::is_verb(verb) => self.swap_step(verb)?,
            _ => {
                let call = self.call(verb)?;
                let has_value = matches!(call, Call::Get(_) | Call::Wait(_));
                Action::Call(call, self.wanted(has_value, "fails")?)
            }
        })
    }

    /// `await e`, `await x == 1`
    fn await_step(&mut self) -> Result<Action, ScriptError> {
        let mut ahead = self.words.clone();
        ahead.next()?;
        Ok(match ahead.peek()? {
            Token::End => Action::Await(self.names.event(self.words)?),
            _ => Action::AwaitThat(self.whole()?),
        })
    }

    fn call(&mut self, verb: &str) -> Result<Call, ScriptError> {
        Ok(match verb {
            "map" => Call::Map(self.map()?),
            "unmap" => Call::Unmap(self.pages()?),
            "protect" => Call::Protect(self.pages()?, self.perms()?),
            "remap" => self.remap()?,
            "dontneed" => Call::Advise(self.pages()?, Advice { name: "dontneed", number: 4 }),
            "mergeable" => Call::Advise(self.pages()?, Advice { name: "mergeable", number: 12 }),
            "unmergeable" => Call::Advise(self.pages()?, Advice { name: "unmergeable", number: 13 }),
            "clear_refs" => Call::ClearRefs,
            "cold" => Call::Advise(self.pages()?, Advice { name: "cold", number: 20 }),
            "pageout" => Call::Advise(self.pages()?, Advice { name: "pageout", number: 21 }),
            "advise" => Call::Advise(self.pages()?, self.advice()?),
            "sync" => Call::Sync(self.pages()?),
            "lock" => {
                let pages = self.pages()?;
                let on_fault = self.words.take("on")?;
                if on_fault {
                    self.words.need("fault")?;
                }
                if on_fault { Call::LockOnFault(pages) } else { Call::Lock(pages) }
            }
            "unlock" => Call::Unlock(self.pages()?),
            "brk" => {
                let heap = self.names.region(self.words)?;
                let pages = self.sum()?;
                if !self.words.take("pages")? && !self.words.take("page")? {
                    return Err(self.words.unexpected("`pages`"));
                }
                Call::Break(heap, pages)
            }
            "fork" => Call::Fork(self.names.make_process(self.words)?),
            "clone" => Call::Clone(self.names.make_process(self.words)?),
            "vfork" => Call::Vfork(self.names.make_process(self.words)?),
            "exec" => Call::Exec(self.image()?),
            "exit" => self.exit()?,
            "wait" => Call::Wait(self.names.process(self.words)?),
            "truncate" => self.truncate()?,
            "fsync" => Call::Fsync(self.names.file(self.words)?),
            "split" => Call::Split(self.pages()?),
            "evict" => Call::Evict(self.pages()?),
            "migrate" => Call::Move(self.pages()?, self.moving()?),
            "numa" => {
                self.words.need("hint")?;
                Call::Move(self.pages()?, Moving::WhenUsed)
            }
            "get" => Call::Get(Exprs::new(self.words, self.names).file_word()?),
            _ => return Err(self.words.error(format!("there is no step `{verb}`"))),
        })
    }

    fn map(&mut self) -> Result<Map, ScriptError> {
        let known = self.names.maybe_region(self.words)?;
        let pages = match known {
            Ok(region) => Err(self.pages_of(region)?),
            Err(name) => Ok((name, self.names.region_pages(self.words)?)),
        };
        let perms = self.perms()?;
        let is_shared = self.words.take("shared")?;
        if !is_shared {
            self.words.need("private")?;
        }
        let file = if self.words.take("anon")? { None } else { Some(self.file_and_page()?) };
        let (mut flags, mut place) = (0, None);
        while !self.is_at_result()? {
            match self.map_flag()? {
                Some(flag) => flags |= flag,
                None => place = Some(self.place()?),
            }
        }
        let pages = match (pages, place) {
            (Ok(new), place) => {
                let region = self.names.new_region(self.words, new, place.unwrap_or(Where::Next))?;
                Pages { region, first: None, end: None }
            }
            (Err(_), Some(_)) => return Err(self.words.error("the region has its place already")),
            (Err(pages), None) => pages,
        };
        Ok(Map { pages, perms, is_shared, file, flags })
    }

    fn file_and_page(&mut self) -> Result<(FileName, Expr), ScriptError> {
        if !self.words.take("of")? {
            return Err(self.words.unexpected("`anon`, or `of` and a file"));
        }
        let file = self.names.file(self.words)?;
        let page = Exprs::new(self.words, self.names).page()?;
        Ok((file, page.unwrap_or(Expr::Value(Value::Word(0)))))
    }

    /// A flag of `mmap`, or none if the next word is about the place.
    fn map_flag(&mut self) -> Result<Option<u64>, ScriptError> {
        let known = [
            ("populate", MapFlags::POPULATE),
            ("locked", MapFlags::LOCKED),
            ("noreserve", MapFlags::NORESERVE),
        ];
        for (name, flag) in known {
            if self.words.take(name)? {
                return Ok(Some(flag.bits()));
            }
        }
        if self.words.take("grows")? {
            self.words.need("down")?;
            return Ok(Some(MapFlags::GROWSDOWN.bits()));
        }
        Ok(None)
    }

    /// Where a region is to be.
    pub(super) fn place(&mut self) -> Result<Where, ScriptError> {
        if self.words.take("at")? {
            return self.words.need_number("an address").map(Where::At);
        }
        if self.words.take("after")? {
            return self.names.region(self.words).map(Where::After);
        }
        if self.words.take("across")? {
            self.words.need("tables")?;
            return Ok(Where::AcrossTables);
        }
        if self.words.take("apart")? {
            return Ok(Where::Apart);
        }
        Err(self.words.unexpected("`at`, `after`, `across tables`, `apart`, or a flag"))
    }

    fn remap(&mut self) -> Result<Call, ScriptError> {
        let from = self.pages()?;
        self.words.need("to")?;
        let to = self.pages()?;
        let old = if self.words.take("keep")? { OldPlace::Kept } else { OldPlace::Unmapped };
        Ok(Call::Remap { from, to, old })
    }

    fn advice(&mut self) -> Result<Advice, ScriptError> {
        let name = self.words.need_word("an advice")?;
        let known = ADVICE.iter().find(|advice| advice.0 == name);
        let advice = known.map(|&(name, number)| Advice { name, number });
        advice.ok_or_else(|| self.words.error(format!("there is no advice `{name}`")))
    }

    /// Nothing, or `to node 1`.
    fn moving(&mut self) -> Result<Moving, ScriptError> {
        if !self.words.take("to")? {
            return Ok(Moving::Anywhere);
        }
        self.words.need("node")?;
        self.words.need_within("a node", 0, limits::NODES - 1).map(Moving::ToNode)
    }

    fn image(&mut self) -> Result<Image, ScriptError> {
        let mut image = Image { stack: None, heap: None };
        loop {
            if self.words.take("stack")? {
                image.stack = Some(self.names.region(self.words)?);
            } else if self.words.take("heap")? {
                image.heap = Some(self.names.region(self.words)?);
            } else {
                return Ok(image);
            }
        }
    }

    fn exit(&mut self) -> Result<Call, ScriptError> {
        let code = match self.words.peek()? {
            Token::Number(_) => self.words.need_within("a code", 0, 255)?,
            _ => 0,
        };
        Ok(Call::Exit(code as u8))
    }

    fn truncate(&mut self) -> Result<Call, ScriptError> {
        let file = self.names.file(self.words)?;
        self.words.need("to")?;
        let size = self.sum()?;
        if self.words.take("bytes")? {
            return Ok(Call::Truncate(file, size));
        }
        if !self.words.take("pages")? && !self.words.take("page")? {
            return Err(self.words.unexpected("`pages` or `bytes`"));
        }
        // Pages to bytes: the language has no product.
        let bytes = match size {
            Expr::Value(Value::Word(pages)) if pages <= limits::PAGES => {
                Expr::Value(Value::Word(pages * PAGE_SIZE))
            }
            _ => {
                return Err(self.words.error(format!("a number of pages up to {} is wanted", limits::PAGES)));
            }
        };
        Ok(Call::Truncate(file, bytes))
    }

    fn perms(&mut self) -> Result<Perms, ScriptError> {
        let word = self.words.need_word("rights: none, r, rw, rx or rwx")?;
        rights(word)
            .ok_or_else(|| self.words.error(format!("rights are none, r, rw, rx or rwx, not `{word}`")))
    }

    /// `entry a[0] is rw exclusive`
    fn entry(&mut self) -> Result<Action, ScriptError> {
        let at = self.word_at()?;
        self.words.need("is")?;
        let mut word = self.words.need_word("what the entry is")?;
        let plain = match word {
            "empty" => Some(Standing::Empty),
            "zero" => Some(Standing::Zero),
            "swapped" => Some(Standing::Swapped(self.sole()?)),
            "moving" => Some(Standing::Moving(self.sole()?)),
            _ => None,
        };
        if let Some(standing) = plain {
            return Ok(Action::Entry(at, standing));
        }
        let size = if word == "huge" { Size::Huge } else { Size::Small };
        if size == Size::Huge {
            word = self.words.need_word("rights")?;
        }
        let Some(perms) = rights(word) else {
            return Err(self.words.error("an entry is empty, zero, swapped, moving, or has rights"));
        };
        let page = self.words.need_word("exclusive, shared, file or ksm")?;
        let page = PageOf::named(page).ok_or_else(|| {
            self.words.error(format!("a page is exclusive, shared, file or ksm, not `{page}`"))
        })?;
        Ok(Action::Entry(at, Standing::Mapped { size, perms, page }))
    }

    fn sole(&mut self) -> Result<Sole, ScriptError> {
        let word = self.words.need_word("exclusive or shared")?;
        Sole::named(word)
            .ok_or_else(|| self.words.error(format!("exclusive or shared is wanted, not `{word}`")))
    }

    /// `a`, `a[1]`, `a[1..3]`
    pub(super) fn pages(&mut self) -> Result<Pages, ScriptError> {
        let region = self.names.region(self.words)?;
        self.pages_of(region)
    }

    fn pages_of(&mut self, region: RegionName) -> Result<Pages, ScriptError> {
        if !self.words.take("[")? {
            return Ok(Pages { region, first: None, end: None });
        }
        let first = Some(self.sum()?);
        let end = if self.words.take("..")? { Some(self.sum()?) } else { None };
        self.words.need("]")?;
        Ok(Pages { region, first, end })
    }

    pub(super) fn word_at(&mut self) -> Result<WordAt, ScriptError> {
        Exprs::new(self.words, self.names).word_at()
    }

    /// `[1]+8`
    pub(super) fn page_and_offset(&mut self) -> Result<(Option<Expr>, u64), ScriptError> {
        let mut exprs = Exprs::new(self.words, self.names);
        let page = exprs.page()?;
        Ok((page, exprs.offset()?))
    }

    fn whole(&mut self) -> Result<Expr, ScriptError> {
        Exprs::new(self.words, self.names).whole()
    }

    pub(super) fn sum(&mut self) -> Result<Expr, ScriptError> {
        Exprs::new(self.words, self.names).sum()
    }

    /// Whether what comes next is about what the step came to.
    fn is_at_result(&self) -> Result<bool, ScriptError> {
        Ok(matches!(
            self.words.peek()?,
            Token::End | Token::Symbol("=" | "->") | Token::Word("in" | "may" | "fails" | "faults" | "or")
        ))
    }

    // ---- what it may come to ----

    pub(super) fn wanted(&mut self, has_value: bool, verb: &str) -> Result<Wanted, ScriptError> {
        let mut wanted = Wanted::default();
        if !matches!(self.words.peek()?, Token::End | Token::Symbol("->")) {
            self.alternative(&mut wanted.any_of, has_value, verb)?;
            while self.words.take("or")? {
                self.alternative(&mut wanted.any_of, has_value, verb)?;
            }
        }
        if self.words.take("->")? {
            wanted.bind = Some(self.names.set_variable(self.words)?);
        }
        Ok(wanted)
    }

    fn alternative(
        &mut self,
        any_of: &mut Vec<Alternative>,
        has_value: bool,
        verb: &str,
    ) -> Result<(), ScriptError> {
        if has_value && self.words.take("=")? {
            any_of.push(Alternative::Is(self.sum()?));
        } else if has_value && self.words.take("in")? {
            self.set(any_of)?;
        } else if self.words.take("may")? {
            any_of.push(Alternative::Done);
            let singular = &verb[..verb.len() - 1];
            self.words.need(singular)?;
            any_of.push(self.failure(verb)?);
        } else {
            let values = if has_value { "`=`, `in`, " } else { "" };
            if !self.words.take(verb)? {
                return Err(self
                    .words
                    .unexpected(&format!("{values}`{verb}`, `may {}` or `->`", &verb[..verb.len() - 1])));
            }
            any_of.push(self.failure(verb)?);
        }
        Ok(())
    }

    /// `{1, 2}`
    fn set(&mut self, any_of: &mut Vec<Alternative>) -> Result<(), ScriptError> {
        self.words.need("{")?;
        loop {
            any_of.push(Alternative::Is(self.sum()?));
            if !self.words.take(",")? {
                return self.words.need("}");
            }
        }
    }

    fn failure(&mut self, verb: &str) -> Result<Alternative, ScriptError> {
        let Token::Word(word) = self.words.peek()? else { return Ok(Alternative::FailsSomehow) };
        if word == "or" {
            return Ok(Alternative::FailsSomehow);
        }
        self.words.next()?;
        let is_signal = |name: &str| matches!(name, "SEGV" | "BUS" | "KILL");
        let fits = is_signal(word) == (verb == "faults") && word != "OK";
        match Sign::named(word) {
            Some(sign) if fits => Ok(Alternative::Fails(sign)),
            _ if verb == "faults" => {
                Err(self.words.error(format!("an access faults SEGV, BUS or KILL, not `{word}`")))
            }
            _ => Err(self.words.error(format!("a call fails with an errno, not `{word}`"))),
        }
    }
}
