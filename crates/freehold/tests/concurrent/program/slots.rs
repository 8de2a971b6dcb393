//! Slots: pages of one thread each, changed in every way.

use super::*;

impl Program<'_, '_> {
    pub(super) fn slot(&self, task: &mut Task) -> u64 {
        let n = task.dice.below(SLOTS_LEN / THREADS as u64) * THREADS as u64 + task.thread as u64;
        SLOTS + n * SLOT_PAGES
    }

    pub(super) fn use_slot(&self, ctx: TaskCtx<'_>, task: &mut Task) {
        let page = self.slot(task) + task.dice.below(SLOT_PAGES);
        for _ in 0..1 + task.dice.below(3) {
            if task.dice.one_in(2) {
                self.load_page(ctx, task, page)
            } else {
                self.store_page(ctx, task, page)
            }
        }
    }

    pub(super) fn load_page(&self, ctx: TaskCtx<'_>, task: &Task, page: u64) {
        let known = task.space.borrow().known(page);
        if let Some(State::Shared { page: of, prot }) = known
            && prot != 0
        {
            let addr = page * P + task.uid * 8;
            let found = ctx.load(self.world, VirtAddr(addr));
            return self.judge_shared(task, (of, addr), found);
        }
        let found = ctx.load(self.world, VirtAddr(word_of(page)));
        self.trace(ctx, task, || format!("load {page:#x}: {found:x?}"));
        let agrees = task.space.borrow_mut().narrow(page, |state| agrees(state, found));
        if !agrees {
            let states = task.space.borrow().at(page).to_vec();
            self.complain(task, format!("page {page:#x} gave {found:x?}, expected {states:x?}"));
        }
    }

    pub(super) fn store_page(&self, ctx: TaskCtx<'_>, task: &Task, page: u64) {
        let Some(state) = task.space.borrow().known(page) else { return self.load_page(ctx, task, page) };
        let value = self.fresh(task.uid);
        match state {
            State::Private { base, prot: RW, .. } => {
                let new = State::Private { value, base, prot: RW };
                task.space.borrow_mut().begin(page, new);
                let stored = ctx.store(self.world, VirtAddr(word_of(page)), value);
                task.space.borrow_mut().end(page, new);
                if stored.is_err() {
                    self.complain(task, format!("a store to page {page:#x} ({state:x?}) met {stored:?}"));
                }
            }
            State::Shared { page: of, prot: RW } => {
                self.store_shared(ctx, task, (of, page * P + task.uid * 8))
            }
            _ => {
                let stored = ctx.store(self.world, VirtAddr(word_of(page)), value);
                if stored != Err(Signal::Segv) {
                    self.complain(task, format!("a store to page {page:#x} ({state:x?}) gave {stored:?}"));
                }
            }
        }
    }

    pub(super) fn change_slot(&self, ctx: TaskCtx<'_>, task: &mut Task) {
        let slot = self.slot(task);
        let first = slot + task.dice.below(SLOT_PAGES);
        let pages = 1 + task.dice.below(slot + SLOT_PAGES - first);
        match task.dice.below(9) {
            0 | 1 => self.map_part(ctx, task, (first, pages), 0),
            2 => self.map_part(ctx, task, (first, pages), 1),
            3 => self.map_part(ctx, task, (first, pages), 2),
            4 => {
                let change = |_| State::Unmapped;
                self.trace(ctx, task, || format!("munmap {first:#x} {pages}"));
                self.begin(task, (first, pages), change);
                self.world.munmap(ctx, task.process, first * P, pages);
                self.end(task, (first, pages), change);
            }
            5 | 6 => self.protect_part(ctx, task, (first, pages)),
            7 => self.empty_part(ctx, task, (first, pages)),
            _ => {
                let to = self.slot(task);
                self.move_slot(ctx, task, slot, to);
            }
        }
    }

    pub(super) fn begin(&self, task: &Task, (first, pages): (u64, u64), change: impl Fn(u64) -> State) {
        let mut space = task.space.borrow_mut();
        (first..first + pages).for_each(|page| space.begin(page, change(page)));
    }

    pub(super) fn end(&self, task: &Task, (first, pages): (u64, u64), change: impl Fn(u64) -> State) {
        let mut space = task.space.borrow_mut();
        (first..first + pages).for_each(|page| space.end(page, change(page)));
    }

    pub(super) fn map_part(&self, ctx: TaskCtx<'_>, task: &mut Task, (first, pages): (u64, u64), kind: u64) {
        let prot = if task.dice.one_in(6) { READ } else { RW };
        let populate = if task.dice.one_in(4) { POPULATE } else { 0 };
        let offset = first - SLOTS;
        let (flags, file) = match kind {
            0 => (PRIVATE | ANON, None),
            1 => (PRIVATE, Some((&self.a, offset))),
            _ => (SHARED, Some((&self.f, offset))),
        };
        let change = |page: u64| match kind {
            0 => State::Private { value: 0, base: 0, prot },
            1 => {
                let value = self.file_word(A, page - SLOTS, word_of(page));
                State::Private { value, base: value, prot }
            }
            _ => State::Shared { page: page - SLOTS, prot },
        };
        self.trace(ctx, task, || format!("mmap kind {kind} {first:#x} {pages} prot {prot}"));
        self.begin(task, (first, pages), change);
        let flags = flags | FIXED | populate;
        let made = self.world.mmap(ctx, task.process, (first * P, pages), (prot, flags), file);
        assert_eq!(made, Ok(first * P));
        self.end(task, (first, pages), change);
    }

    /// The states of pages, if they are all known and mapped.
    pub(super) fn all_mapped(&self, task: &Task, (first, pages): (u64, u64)) -> Option<Vec<State>> {
        let space = task.space.borrow();
        (first..first + pages)
            .map(|page| space.known(page).filter(|&state| state != State::Unmapped))
            .collect()
    }

    pub(super) fn protect_part(&self, ctx: TaskCtx<'_>, task: &mut Task, part: (u64, u64)) {
        let prot = [0, READ, RW, RW][task.dice.below(4) as usize];
        let Some(states) = self.all_mapped(task, part) else { return };
        let change = |page: u64| match states[(page - part.0) as usize] {
            State::Private { value, base, .. } => State::Private { value, base, prot },
            State::Shared { page, .. } => State::Shared { page, prot },
            State::Unmapped => State::Unmapped,
        };
        self.trace(ctx, task, || format!("mprotect {part:x?} {prot}"));
        self.begin(task, part, change);
        self.world.mprotect(ctx, task.process, part.0 * P, part.1, prot);
        self.end(task, part, change);
    }

    /// Private pages lose what was stored to them.
    pub(super) fn empty_part(&self, ctx: TaskCtx<'_>, task: &mut Task, part: (u64, u64)) {
        let Some(states) = self.all_mapped(task, part) else { return };
        let change = |page: u64| match states[(page - part.0) as usize] {
            State::Private { base, prot, .. } => State::Private { value: base, base, prot },
            other => other,
        };
        self.trace(ctx, task, || format!("dontneed {part:x?}"));
        self.begin(task, part, change);
        let advised = self.world.madvise(ctx, task.process, (part.0 * P, part.1), DONTNEED);
        assert_eq!(advised, Ok(()));
        self.end(task, part, change);
    }

    /// A slot's pages move to another slot, in place of what is there.
    pub(super) fn move_slot(&self, ctx: TaskCtx<'_>, task: &mut Task, from: u64, to: u64) {
        let (old, new) = ((from, SLOT_PAGES), (to, SLOT_PAGES));
        if from == to {
            return;
        }
        let Some(states) = self.all_mapped(task, old) else { return };
        self.begin(task, old, |_| State::Unmapped);
        self.begin(task, new, |_| State::Unmapped);
        self.begin(task, new, |page| states[(page - to) as usize]);
        let moved = self.world.mremap(ctx, task.process, (from * P, SLOT_PAGES), to * P, MAYMOVE_FIXED);
        self.trace(ctx, task, || format!("mremap {from:#x} {to:#x}: {moved:x?}"));
        if moved == Ok(to * P) {
            self.end(task, old, |_| State::Unmapped);
            self.end(task, new, |page| states[(page - to) as usize]);
            return;
        }
        // Not one mapping: the target is gone all the same.
        for part in [old, new] {
            self.world.munmap(ctx, task.process, part.0 * P, part.1);
            self.end(task, part, |_| State::Unmapped);
        }
    }
}
