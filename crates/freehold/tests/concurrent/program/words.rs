//! Words in pages that threads and processes share: commons, shared pages, stack; and the heap.

use super::*;

impl Program<'_, '_> {
    pub(super) fn use_commons(&self, ctx: TaskCtx<'_>, task: &mut Task) {
        for _ in 0..1 + task.dice.below(4) {
            let place = commons_word(task.dice.below(COMMONS_ANON + COMMONS_FILE), task.thread);
            match task.dice.below(3) {
                0 => self.load_word(ctx, task, place),
                _ => self.store_word(ctx, task, place),
            }
        }
    }

    pub(super) fn load_word(&self, ctx: TaskCtx<'_>, task: &Task, place: u64) {
        let found = ctx.load(self.world, VirtAddr(place));
        let agrees = task.space.borrow_mut().narrow(place, |state| agrees(state, found));
        if !agrees {
            let states = task.space.borrow().at(place).to_vec();
            self.complain(task, format!("word {place:#x} gave {found:x?}, expected {states:x?}"));
        }
    }

    pub(super) fn store_word(&self, ctx: TaskCtx<'_>, task: &Task, place: u64) {
        let value = self.fresh(task.uid);
        let new = State::Private { value, base: 0, prot: RW };
        let (old, narrowed) = {
            let mut space = task.space.borrow_mut();
            let old = space.at(place).to_vec();
            space.begin(place, new);
            space.log(task.thread, place, value);
            (old, space.narrowed)
        };
        let stored = ctx.store(self.world, VirtAddr(place), value);
        let mut space = task.space.borrow_mut();
        match stored {
            Ok(()) => space.end(place, new),
            Err(Signal::Segv) if narrowed.0 > 0 || space.narrowed.1 != narrowed.1 => {
                space.unlog(task.thread, place, value);
                space.put_back(place, old);
            }
            Err(signal) => {
                drop(space);
                self.complain(task, format!("a store to word {place:#x} met {signal:?}"));
            }
        }
    }

    /// Rights go and come back: meanwhile stores may be refused.
    pub(super) fn narrow_commons(&self, ctx: TaskCtx<'_>, task: &mut Task) {
        let first = task.dice.below(COMMONS_ANON + COMMONS_FILE);
        let pages = 1 + task.dice.below(COMMONS_ANON + COMMONS_FILE - first);
        {
            let narrowed = &mut task.space.borrow_mut().narrowed;
            *narrowed = (narrowed.0 + 1, narrowed.1 + 1);
        }
        let addr = (COMMONS + first) * P;
        self.world.mprotect(ctx, task.process, addr, pages, READ);
        if task.dice.one_in(2) {
            ctx.spend(Cause::User, task.dice.below(2000));
        }
        // Others may have narrowed too: all of it comes back.
        self.world.mprotect(ctx, task.process, addr, pages, RW);
        let narrowed = &mut task.space.borrow_mut().narrowed;
        *narrowed = (narrowed.0 - 1, narrowed.1 + 1);
    }

    pub(super) fn use_shared(&self, ctx: TaskCtx<'_>, task: &mut Task) {
        let (page, of) = match task.dice.one_in(3) {
            true => {
                let n = task.dice.below(SHARED_MEMORY_PAGES);
                (SHARED_MEMORY + n, MEMORY + n)
            }
            false => {
                let n = task.dice.below(SHARED_FILE_PAGES);
                (SHARED_FILE + n, n)
            }
        };
        for _ in 0..1 + task.dice.below(3) {
            match task.dice.below(8) {
                0..4 => self.store_shared(ctx, task, (of, page * P + task.uid * 8)),
                4 | 5 => {
                    let addr = page * P + task.uid * 8;
                    let found = ctx.load(self.world, VirtAddr(addr));
                    self.judge_shared(task, (of, addr), found);
                }
                6 => {
                    let whose = 1 + task.dice.below(self.uids.get());
                    let addr = page * P + whose * 8;
                    let found = ctx.load(self.world, VirtAddr(addr));
                    self.judge_met(task, (of, whose), found);
                }
                _ => {
                    let synced = self.world.msync(ctx, task.process, SHARED_FILE * P, SHARED_FILE_PAGES);
                    assert_eq!(synced, Ok(()));
                }
            }
        }
    }

    pub(super) fn store_shared(&self, ctx: TaskCtx<'_>, task: &Task, (of, addr): (u64, u64)) {
        let value = self.fresh(task.uid);
        match ctx.store(self.world, VirtAddr(addr), value) {
            Ok(()) => drop(self.shared.borrow_mut().insert((of, task.uid), value)),
            Err(signal) => self.complain(task, format!("a store to shared {addr:#x} met {signal:?}")),
        }
    }

    pub(super) fn first_shared(&self, of: u64, uid: u64) -> u64 {
        if of >= MEMORY { 0 } else { sim_word(of, uid) }
    }

    pub(super) fn judge_shared(&self, task: &Task, (of, addr): (u64, u64), found: Result<u64, Signal>) {
        let expected = self.shared.borrow().get(&(of, task.uid)).copied();
        let expected = expected.unwrap_or_else(|| self.first_shared(of, task.uid));
        if found != Ok(expected) {
            self.complain(
                task,
                format!("shared {addr:#x} (page {of}) gave {found:x?} instead of {expected:#x}"),
            );
        }
    }

    /// Another task's word never goes back.
    pub(super) fn judge_met(&self, task: &Task, (of, whose): (u64, u64), found: Result<u64, Signal>) {
        let Ok(value) = found else {
            return self.complain(task, format!("shared page {of} met {found:?}"));
        };
        if value == self.first_shared(of, whose) {
            if let Some(before) = self.met.borrow().get(&(task.uid, of, whose)) {
                self.complain(
                    task,
                    format!("task {whose}'s word of page {of} was {before:#x}, is {value:#x}"),
                );
            }
            return;
        }
        let before = self.met.borrow_mut().insert((task.uid, of, whose), value);
        let last = self.shared.borrow().get(&(of, whose)).copied().unwrap_or(0);
        if before.is_some_and(|before| before > value) || value > last {
            self.complain(
                task,
                format!(
                    "task {whose}'s word of page {of} was {before:x?}, is {value:#x}, last was {last:#x}"
                ),
            );
        }
    }

    /// Everything is written and dropped: the file itself has the last stores.
    pub(super) fn check_file(&self) {
        for (&(of, uid), &value) in self.shared.borrow().iter().filter(|((of, _), _)| *of < MEMORY) {
            let stored = self.world.sim.sim_files().word(FileKey(F), of, uid as usize);
            if stored != value {
                self.world.complain(format!(
                    "page {of} of the file has {stored:#x} of task {uid}, who stored {value:#x}"
                ));
            }
        }
    }

    pub(super) fn use_stack(&self, ctx: TaskCtx<'_>, task: &mut Task) {
        let below = task.dice.below(STACK_MOST);
        let place = (STACK + STACK_PAGES - 1 - below) * P + 8 * task.thread as u64;
        for _ in 0..2 {
            if task.dice.one_in(3) {
                self.load_word(ctx, task, place)
            } else {
                self.store_word(ctx, task, place)
            }
        }
    }

    pub(super) fn use_heap(&self, ctx: TaskCtx<'_>, task: &mut Task) {
        if task.thread != 0 || !task.native.get() {
            return;
        }
        let (old, new) = (task.heap.get(), task.dice.below(6));
        let first = HEAP / P;
        let (low, high) = (old.min(new), old.max(new));
        let change =
            |_| if new > old { State::Private { value: 0, base: 0, prot: RW } } else { State::Unmapped };
        self.begin(task, (first + low, high - low), change);
        ctx.syscall();
        let at = self.world.linux().brk(&mut self.world.cx(ctx), task.process, HEAP + new * P);
        assert_eq!(at, Ok(HEAP + new * P));
        self.end(task, (first + low, high - low), change);
        task.heap.set(new);
        for page in first..first + new {
            self.load_page(ctx, task, page);
            self.store_page(ctx, task, page);
        }
    }
}
