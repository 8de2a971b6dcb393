//! Processes: fork, what a child must hold, borrowers and exec.

use super::*;

impl Program<'_, '_> {
    pub(super) fn fork<'s>(&'s self, scope: &'s Scope<'s, '_>, ctx: TaskCtx<'s>, task: &mut Task) {
        if self.live.get() >= 8 || self.uids.get() >= 60 {
            return;
        }
        ctx.syscall();
        let ticket = task.space.borrow_mut().fork_begin(thread_of_word);
        let child = self.world.linux().fork(&mut self.world.cx(ctx), task.process).expect("a child");
        let (space, logs) = task.space.borrow_mut().fork_end(ticket);
        self.trace(ctx, task, || format!("forked {child:?}"));
        let cpu = CpuId(task.dice.below(u64::from(self.plan.shape.cpus)) as u32);
        let parts = (child, Rc::new(RefCell::new(space)), task.thread, task.native.get());
        let heap = if task.thread == 0 { task.heap.get() } else { 0 };
        self.start(scope, ctx, cpu, parts, &mut task.dice, Some((logs, heap)));
    }

    /// The child holds what its parent held at one moment: what a thread stored later is not there
    /// without what it stored before.
    pub(super) fn judge_copy(&self, ctx: TaskCtx<'_>, task: &Task, logs: &[Log]) {
        let places = task.space.borrow().all();
        for place in places {
            match thread_of_word(place) {
                Some(_) => self.load_word(ctx, task, place),
                None => self.load_page(ctx, task, place),
            }
        }
        for (thread, Log { stores, old }) in logs.iter().enumerate() {
            let mut latest: HashMap<u64, usize> = HashMap::new();
            for &(place, _) in stores {
                let Some(State::Private { value, .. }) = task.space.borrow().known(place) else { continue };
                let when = stores.iter().rposition(|&entry| entry == (place, value)).unwrap_or(0);
                latest.insert(place, if when < *old { 0 } else { when });
            }
            let Some(&last) = latest.values().max().filter(|&&last| last > 0) else { continue };
            for (place, &when) in &latest {
                let due = (*old..=last).rev().find(|&index| stores[index].0 == *place).unwrap_or(0);
                if when < due {
                    self.complain(
                        task,
                        format!("the copy has store {last} of thread {thread}, but not {due} to {place:#x}"),
                    );
                }
            }
        }
    }

    /// A process that shares the space does something there, and execs.
    pub(super) fn share<'s>(&'s self, scope: &'s Scope<'s, '_>, ctx: TaskCtx<'s>, task: &mut Task) {
        if self.live.get() >= 8 || self.uids.get() >= 60 {
            return;
        }
        let free = (0..THREADS).find(|&thread| !task.space.borrow().taken[thread] && thread != 0);
        let Some(thread) = free else { return };
        task.space.borrow_mut().taken[thread] = true;
        ctx.syscall();
        let cloned = self.world.linux().clone(&mut self.world.cx(ctx), task.process, 0x100);
        let Ok(Cloned::Child(child)) = cloned else { panic!("{cloned:?}") };
        let uid = self.next_uid();
        self.trace(ctx, task, || format!("shares with task {uid}, {child:?}"));
        let dice = Dice::new(task.dice.next());
        let space = task.space.clone();
        let native = Cell::new(task.native.get());
        let task = Task { process: child, space, thread, uid, dice, native, heap: Cell::new(0) };
        let cpu = CpuId(uid as u32 % self.plan.shape.cpus);
        self.live.set(self.live.get() + 1);
        let number = scope.spawn(cpu, move |ctx| {
            while self.world.linux().process_of(ctx.task()).is_none() {
                ctx.spend(Cause::User, 50);
            }
            self.live_until_exec(scope, ctx, task);
        });
        let number = number.expect("room for a task");
        self.world.linux().attach(&mut self.world.cx(ctx), child, number).expect("free");
    }

    pub(super) fn live_until_exec<'s>(&'s self, scope: &'s Scope<'s, '_>, ctx: TaskCtx<'s>, mut task: Task) {
        for _ in 0..task.dice.below(8) {
            ctx.enter_user(self.world);
            self.step(scope, ctx, &mut task);
            self.rest(ctx);
        }
        if task.dice.one_in(2) {
            ctx.enter_user(self.world);
            ctx.syscall();
            // Far from all else, or it would grow there.
            let stack = VpnRange::new(Vpn(0x3_0000), Vpn(0x3_0001));
            let image = ExecImage {
                segments: &[],
                stack: Some(stack),
                break_start: HEAP,
                code: (VirtAddr(0), VirtAddr(0)),
            };
            self.trace(ctx, &task, || "exec".into());
            let done =
                self.world.linux().exec(&mut self.world.cx(ctx), task.process, Some(ctx.task()), &image);
            assert_eq!(done, Ok(()));
            task.space.borrow_mut().taken[task.thread] = false;
            task.space = Rc::new(RefCell::new(Space::default()));
            task.space.borrow_mut().taken[task.thread] = true;
            task.native.set(false);
        }
        self.live(scope, ctx, task);
    }
}
