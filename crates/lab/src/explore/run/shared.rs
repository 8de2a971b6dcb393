//! What CPUs share beside the machine: a search must know of it, or it tries one order only.

use freehold::machine::{FileKey, Vpn, VpnRange};
use sim::TaskCtx;
use sim::explore::{Outside, Touch};

use super::super::script::{
    Action, Alternative, Call, EventName, Expr, FileName, PinName, PipeName, ProcessName, Scenario, Step,
    VariableName, Walk, Wanted,
};

/// Something that steps of several CPUs may touch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shared {
    Variable(VariableName),
    Event(EventName),
    /// Whether a process is there.
    Birth(ProcessName),
    /// Who changes a file's size.
    Resizing(FileName),
    /// What the shadow says of files' sizes.
    Sizes,
    /// What the shadow says of a memory.
    Memory(u32),
    /// What it says of a page.
    Page(u32, Vpn),
    /// What is stored of a file.
    Disk(FileKey),
    /// Who holds what under a name.
    Held(PinName),
    /// A pipe that was made.
    Pipe(PipeName),
}

/// A call on more pages than this counts as one on the whole memory.
const PAGES: u64 = 64;

impl Shared {
    fn outside(self) -> Outside {
        let own = |kind: u64, number: u64| Outside::Own(kind << 52 | number);
        match self {
            Shared::Variable(name) => own(0, name.0 as u64),
            Shared::Event(name) => own(1, name.0 as u64),
            Shared::Birth(name) => own(2, name.0 as u64),
            Shared::Resizing(name) => own(3, name.0 as u64),
            Shared::Sizes => own(4, 0),
            Shared::Memory(memory) => own(5, u64::from(memory)),
            Shared::Page(memory, page) => own(6, u64::from(memory) << 40 | page.0),
            Shared::Disk(key) => Outside::File(key),
            Shared::Held(name) => own(7, name.0 as u64),
            Shared::Pipe(name) => own(8, name.0 as u64),
        }
    }

    /// The running step reads it.
    pub(super) fn read(self, ctx: TaskCtx<'_>) {
        ctx.touches(self.outside(), Touch::Read);
    }

    /// The running step changes it.
    pub(super) fn change(self, ctx: TaskCtx<'_>) {
        ctx.touches(self.outside(), Touch::Write);
    }

    /// What the shadow says of these pages of a memory changes.
    pub(super) fn change_pages(ctx: TaskCtx<'_>, memory: u32, ranges: &[VpnRange]) {
        if ranges.iter().map(VpnRange::pages).sum::<u64>() > PAGES {
            return Shared::Memory(memory).change(ctx);
        }
        for range in ranges {
            (range.start.0..range.end.0).for_each(|page| Shared::Page(memory, Vpn(page)).change(ctx));
        }
    }
}

/// Which variables more than one CPU names.
pub(super) fn shared_variables(scenario: &Scenario) -> Vec<bool> {
    let mut users = vec![None; scenario.variables.len()];
    let mut shared = vec![false; scenario.variables.len()];
    for (cpu, script) in scenario.cpus.iter().enumerate() {
        let mut note = |name: VariableName| {
            shared[name.0] |= users[name.0].is_some_and(|other| other != cpu);
            users[name.0] = Some(cpu);
        };
        in_steps(&script.steps, &mut note);
        in_steps(&script.interrupt, &mut note);
    }
    shared
}

fn in_steps(steps: &[Step], see: &mut dyn FnMut(VariableName)) {
    for step in steps {
        match &step.action {
            Action::Call(call, wanted) => {
                in_call(call, see);
                in_wanted(wanted, see);
            }
            Action::Read(word, wanted) | Action::Walk(Walk { at: word, .. }, wanted) => {
                in_some(word.page.as_ref(), see);
                in_wanted(wanted, see);
            }
            Action::Write(word, value, wanted) => {
                in_some(word.page.as_ref(), see);
                in_expr(value, see);
                in_wanted(wanted, see);
            }
            Action::Set(name, value) => {
                see(*name);
                in_expr(value, see);
            }
            Action::Dump(pages, wanted) => {
                in_some(pages.first.as_ref(), see);
                in_some(pages.end.as_ref(), see);
                in_wanted(wanted, see);
            }
            Action::Expect(expr) | Action::AwaitThat(expr) => in_expr(expr, see),
            Action::Entry(word, _) => in_some(word.page.as_ref(), see),
            Action::Pins(step, wanted) => {
                step.exprs(&mut |expr| in_expr(expr, see));
                in_wanted(wanted, see);
            }
            Action::Swap(_, wanted) => in_wanted(wanted, see),
            Action::Repeat { counter, until, body, .. } => {
                counter.iter().for_each(|name| see(*name));
                in_some(until.as_ref(), see);
                in_steps(body, see);
            }
            Action::As(_, body) | Action::Walking(body) => in_steps(body, see),
            Action::Chore(_) | Action::Signal(_) | Action::Await(_) => {}
        }
    }
}

fn in_call(call: &Call, see: &mut dyn FnMut(VariableName)) {
    let pages = match call {
        Call::Map(map) => {
            in_some(map.file.as_ref().map(|(_, page)| page), see);
            vec![&map.pages]
        }
        Call::Remap { from, to, .. } => vec![from, to],
        Call::Unmap(pages)
        | Call::Protect(pages, _)
        | Call::Advise(pages, _)
        | Call::Sync(pages)
        | Call::Lock(pages)
        | Call::LockOnFault(pages)
        | Call::Unlock(pages)
        | Call::Move(pages, _)
        | Call::Split(pages)
        | Call::Evict(pages) => vec![pages],
        Call::Break(_, expr) | Call::Truncate(_, expr) => return in_expr(expr, see),
        Call::Get(word) => return in_some(word.page.as_deref(), see),
        _ => return,
    };
    for pages in pages {
        in_some(pages.first.as_ref(), see);
        in_some(pages.end.as_ref(), see);
    }
}

fn in_wanted(wanted: &Wanted, see: &mut dyn FnMut(VariableName)) {
    wanted.bind.iter().for_each(|name| see(*name));
    for alternative in &wanted.any_of {
        if let Alternative::Is(expr) = alternative {
            in_expr(expr, see);
        }
    }
}

fn in_some(expr: Option<&Expr>, see: &mut dyn FnMut(VariableName)) {
    if let Some(expr) = expr {
        in_expr(expr, see);
    }
}

/// Calls `see` with every variable of an expression.
pub(super) fn in_expr(expr: &Expr, see: &mut dyn FnMut(VariableName)) {
    match expr {
        Expr::Value(_) | Expr::Copies | Expr::Spins => {}
        Expr::Frame(word) => in_some(word.page.as_ref(), see),
        Expr::Variable(name) => see(*name),
        Expr::Disk(word) | Expr::Initial(word) => in_some(word.page.as_deref(), see),
        Expr::Not(inner) => in_expr(inner, see),
        Expr::Two(_, terms) => {
            in_expr(&terms.0, see);
            in_expr(&terms.1, see);
        }
    }
}
