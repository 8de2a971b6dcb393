//! Where everybody does anything.

use super::*;

impl Program<'_, '_> {
    pub(super) fn chaos(&self, ctx: TaskCtx<'_>, task: &mut Task) {
        let dice = &mut task.dice;
        let first = CHAOS + dice.below(CHAOS_PAGES);
        let pages = 1 + dice.below((CHAOS + CHAOS_PAGES - first).min(5));
        let process = task.process;
        let at = (first * P, pages);
        let addr = VirtAddr(first * P + 300 * 8);
        let what = dice.below(16);
        if self.trace {
            println!(
                "{:>9} task {} of {process:?}: chaos {what} at {first:#x} pages {pages}",
                ctx.now(),
                task.uid
            );
        }
        match what {
            0 | 1 => {
                let populate = if dice.one_in(3) { POPULATE } else { 0 };
                let _ = self.world.mmap(ctx, process, at, (RW, PRIVATE | ANON | FIXED | populate), None);
            }
            2..6 => {
                let kinds = [(PRIVATE, &self.a), (SHARED, &self.f), (SHARED, &self.g), (PRIVATE, &self.g)];
                let (flags, file) = kinds[what as usize - 2];
                let _ = self.world.mmap(ctx, process, at, (RW, flags | FIXED), Some((file, first - CHAOS)));
            }
            6 => self.world.munmap(ctx, process, at.0, at.1),
            7 => {
                let prot = [0, READ, RW, 5][dice.below(4) as usize];
                ctx.syscall();
                let _ = self.world.linux().mprotect(&mut self.world.cx(ctx), process, at.0, at.1 * P, prot);
            }
            8 => {
                let advice = [DONTNEED, 8, 3, 10, 11, 18, 19, 22, 23][dice.below(9) as usize];
                let _ = self.world.madvise(ctx, process, at, advice);
            }
            9 => {
                let to = CHAOS + dice.below(CHAOS_PAGES - pages + 1);
                let keep = if dice.one_in(3) { 4 } else { 0 };
                let _ = self.world.mremap(ctx, process, at, to * P, MAYMOVE_FIXED | keep);
            }
            10 => {
                let lock = dice.one_in(2);
                let mut cx = self.world.cx(ctx);
                let _ = match lock {
                    true => self.world.linux().mlock(&mut cx, process, at.0, at.1 * P),
                    false => self.world.linux().munlock(&mut cx, process, at.0, at.1 * P),
                };
            }
            11 => {
                let _ = self.world.msync(ctx, process, at.0, at.1);
            }
            12 | 13 => self.any_signal(task, ctx.load(self.world, addr).map(drop)),
            _ => {
                let value = self.fresh(task.uid);
                self.any_signal(task, ctx.store(self.world, addr, value));
            }
        }
    }

    pub(super) fn any_signal(&self, task: &Task, outcome: Result<(), Signal>) {
        if let Err(signal @ (Signal::Kill | Signal::Stuck)) = outcome {
            self.complain(task, format!("an access in chaos met {signal:?}"));
        }
    }

    pub(super) fn cut(&self, ctx: TaskCtx<'_>, task: &mut Task) {
        if self.cutting.replace(true) {
            return;
        }
        let size = task.dice.below(CUT_PAGES + 1) * P;
        let size = if task.dice.one_in(2) { size } else { size.saturating_sub(100) };
        self.world.truncate(ctx, task.process, G, &self.g, size);
        self.cutting.set(false);
    }
}
