//! Doing steps.

use std::ops::ControlFlow::{self, Break, Continue};

use freehold::machine::{CpuId, PAGE_SIZE, TaskId};
use sim::TaskCtx;

use super::super::script::{
    Action, Call, Chore, EventName, Expr, Place, ProcessName, Step, Value, VariableName, Wanted,
};
use super::log::What;
use super::outcome::{Failure, Kind};
use super::shared::{Shared, in_expr};
use super::value::{is_true, text_of};
use super::world::{Actor, World};

/// How many cached pages `reclaim` may drop.
const RECLAIM: u64 = (64 << 20) / PAGE_SIZE;

impl World<'_> {
    /// What is done in an interrupt.
    pub(super) fn interrupt(&self, ctx: TaskCtx<'_>, process: ProcessName, steps: &[Step]) {
        let _ = self.block(Actor { ctx, process }, steps);
    }

    /// What a CPU has to do, as a process, which its task runs already if it is there.
    pub(super) fn script(&self, ctx: TaskCtx<'_>, process: ProcessName, steps: &[Step]) {
        let _ = self.block(Actor { ctx, process }, steps);
    }

    /// A block; `Break` if the task has exited.
    fn block(&self, who: Actor<'_>, steps: &[Step]) -> ControlFlow<()> {
        steps.iter().try_for_each(|step| self.step(who, step))
    }

    fn step(&self, who: Actor<'_>, step: &Step) -> ControlFlow<()> {
        let at = step.at;
        let is_block = matches!(step.action, Action::Repeat { .. } | Action::As(..) | Action::Walking(_));
        if !is_block {
            self.tell_begin(who, step);
        }
        let mut flow = Continue(());
        let came_to = match &step.action {
            Action::Repeat { times, counter, until, body } => {
                return self.repeat(who, at, (*times, *counter, until.as_ref()), body);
            }
            Action::As(process, body) => {
                self.as_process(who, at, *process, body);
                return Continue(());
            }
            Action::Walking(body) => return self.walking(who, at, body),
            Action::Read(word, wanted) => text_of(self.read(who, at, word, wanted)),
            Action::Write(word, value, wanted) => text_of(self.write(who, at, (word, value), wanted)),
            Action::Call(call, wanted) => {
                let got = self.call(who, at, call);
                self.compare(who, at, wanted, got);
                if matches!(call, Call::Exit(_)) {
                    flow = Break(());
                }
                text_of(got)
            }
            Action::Chore(chore) => self.chore(who, *chore),
            Action::Signal(event) => {
                self.signal(who, *event);
                String::new()
            }
            Action::Await(event) => {
                self.wait_for(who, *event);
                String::new()
            }
            Action::AwaitThat(expr) => {
                self.wait_until_true(who, at, expr);
                String::new()
            }
            Action::Set(variable, value) => {
                self.point(who.ctx);
                let value = self.eval(who, at, value);
                self.set(who.ctx, *variable, value);
                text_of(value)
            }
            Action::Expect(expr) => self.must_hold(who, at, expr),
            Action::Walk(walk, wanted) => self.compared(who, at, wanted, self.walk(who, at, walk)),
            Action::Dump(pages, wanted) => self.compared(who, at, wanted, self.dump(who, at, pages)),
            Action::Entry(word, due) => self.check_entry(who, at, word, *due),
            Action::Swap(step, wanted) => self.compared(who, at, wanted, self.swap_step(who, *step)),
            Action::Pins(step, wanted) => self.compared(who, at, wanted, self.pin_step(who, at, step)),
        };
        if let Some(failure) = self.violation() {
            self.fail(who.ctx, at, failure);
        }
        self.tell(who, || What::Ends(at, came_to));
        flow
    }

    /// Compares what a step came to with what is wanted, and tells it.
    fn compared(&self, who: Actor<'_>, at: Place, wanted: &Wanted, got: Value) -> String {
        self.compare(who, at, wanted, got);
        text_of(got)
    }

    /// An event happens.
    pub(super) fn signal(&self, who: Actor<'_>, event: EventName) {
        self.point(who.ctx);
        self.settle(who.ctx);
        self.happened.borrow_mut()[event.0] = true;
        self.wake(who.ctx, Shared::Event(event));
    }

    /// Sleeps until an event has happened.
    pub(super) fn wait_for(&self, who: Actor<'_>, event: EventName) {
        self.point(who.ctx);
        let happened = || self.happened.borrow()[event.0];
        self.wait_until(who.ctx, (&[Shared::Event(event)], "an event"), happened);
    }

    fn call(&self, who: Actor<'_>, at: Place, call: &Call) -> Value {
        who.ctx.syscall();
        match call {
            Call::Fork(_)
            | Call::Clone(_)
            | Call::Vfork(_)
            | Call::Exec(_)
            | Call::Exit(_)
            | Call::Wait(_) => self.process_call(who, at, call),
            _ => self.memory_call(who, at, call),
        }
    }

    fn chore(&self, who: Actor<'_>, chore: Chore) -> String {
        let (linux, mut cx) = (self.manager.linux(), self.cx(who.ctx));
        match chore {
            Chore::Reclaim(None) => {
                format!("{} pages dropped", linux.objects().drop_clean(cx.at(), RECLAIM))
            }
            Chore::Reclaim(Some(file)) => {
                let file = self.files[file.0].map.file;
                format!("{} pages dropped", linux.objects().invalidate(cx.at(), file, 0..u64::MAX))
            }
            Chore::Shortage => self.take_all_memory(who.ctx),
            Chore::Compact => {
                linux.compact_memory(&mut cx);
                String::new()
            }
            Chore::Ksm(ksm) => self.ksm(&mut cx, ksm),
            Chore::Drain => {
                linux.frames().drain_all(cx.at());
                String::new()
            }
            Chore::Idle => {
                linux.idle(&mut cx);
                who.ctx.spend(sim::Cause::Idle, 1);
                if let Some(process) = linux.process_of(who.ctx.task()) {
                    linux.enter(&mut cx, process);
                }
                String::new()
            }
        }
    }

    /// Takes every frame that an ordinary request can have.
    fn take_all_memory(&self, ctx: TaskCtx<'_>) -> String {
        let (frames, mut cx) = (self.manager.linux().frames(), self.cx(ctx));
        let mut taken = self.taken.borrow_mut();
        while let Ok(frame) = frames.allocate_kernel(cx.at()) {
            taken.push(frame);
        }
        format!("{} frames taken", taken.len())
    }

    /// Gives back what a shortage took.
    pub(super) fn give_memory_back(&self) {
        let mut cx = self.manager.cx(CpuId(0), TaskId(0));
        for frame in self.taken.borrow_mut().drain(..) {
            self.manager.linux().frames().put(cx.at(), frame.0);
        }
    }

    fn must_hold(&self, who: Actor<'_>, at: Place, expr: &Expr) -> String {
        self.point(who.ctx);
        if is_true(self.eval(who, at, expr)) {
            return "holds".into();
        }
        let values = self.values.borrow().clone();
        let mut seen: Vec<VariableName> = Vec::new();
        in_expr(expr, &mut |name| {
            if !seen.contains(&name) {
                seen.push(name);
            }
        });
        let text = |name: &VariableName| {
            format!("{} = {}", self.scenario.variables[name.0], text_of(values[name.0]))
        };
        let seen: Vec<_> = seen.iter().map(text).collect();
        let with = if seen.is_empty() { String::new() } else { format!(": {}", seen.join(", ")) };
        self.fail(who.ctx, at, Failure::new(Kind::Expectation, format!("this does not hold{with}")))
    }

    // ---- blocks ----

    fn repeat(
        &self,
        who: Actor<'_>,
        at: Place,
        (times, counter, until): (u64, Option<VariableName>, Option<&Expr>),
        body: &[Step],
    ) -> ControlFlow<()> {
        for round in 1..=times {
            if until.is_some_and(|until| is_true(self.eval(who, at, until))) {
                break;
            }
            if let Some(counter) = counter {
                self.set(who.ctx, counter, Value::Word(round));
            }
            self.block(who, body)?;
        }
        Continue(())
    }

    /// A block inside a lockless reader's guard. Its waiting stands for a reader that is interrupted for
    /// long.
    fn walking(&self, who: Actor<'_>, at: Place, body: &[Step]) -> ControlFlow<()> {
        let mut cx = self.cx(who.ctx);
        let walker = self.walker(who, at);
        let _inside = walker.as_ref().map(|walker| walker.walk(cx.at()));
        self.block(who, body)
    }

    /// Sleeps until a condition holds.
    fn wait_until_true(&self, who: Actor<'_>, at: Place, expr: &Expr) {
        self.point(who.ctx);
        let mut names = Vec::new();
        in_expr(expr, &mut |name| names.push(Shared::Variable(name)));
        self.wait_until(who.ctx, (&names, "a condition"), || is_true(self.eval(who, at, expr)));
    }

    /// The CPU turns to another process for a while: its task is a thread of that one.
    fn as_process(&self, who: Actor<'_>, at: Place, process: ProcessName, body: &[Step]) {
        let linux = self.manager.linux();
        self.wait_for_birth(who.ctx, process);
        linux.detach(&mut self.cx(who.ctx), who.ctx.task());
        self.become_thread(who, at, process);
        let _ = self.block(Actor { process, ..who }, body);
        linux.detach(&mut self.cx(who.ctx), who.ctx.task());
        self.become_thread(who, at, who.process);
    }

    /// The actor's task runs a process from here on, which must be alive.
    pub(super) fn become_thread(&self, who: Actor<'_>, at: Place, process: ProcessName) {
        let live = self.live(Actor { process, ..who }, at);
        let linux = self.manager.linux();
        let mut cx = self.cx(who.ctx);
        if linux.attach(&mut cx, live.id, who.ctx.task()).is_err() {
            self.misused(who.ctx, at, format!("{} has exited", self.name_of(process)));
        }
        linux.enter(&mut cx, live.id);
    }
}
