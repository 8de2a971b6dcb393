//! Pages that others hold: pins, references, pipes, rings, and what devices do with them.

use std::collections::VecDeque;

use freehold::fault::{How, Rights, Term};
use freehold::frame::Id;
use freehold::linux::{Errno, Iovec, Pipe, Ring};
use freehold::machine::{Access, CpuId, PAGE_SIZE, Pfn, TaskId, VirtAddr, VpnRange};
use freehold::object::{Detached, Held, Hold as HoldBy, Into};
use sim::shadow::{Hold as Judged, Mismatch};
use sim::{Moved, Toward, Transfer};

use super::super::script::{
    Expr, Hold, HoldKind, Pages, Pause, PinName, PinStep, PinWord, PipeName, Place, ProcessName, Sign,
    Stored, Value, Waits, WordAt,
};
use super::call::sign_of;
use super::holds::{Filled, Holding, Holds, Mark, Told};
use super::outcome::{Failure, Kind};
use super::shared::Shared;
use super::world::{Actor, World};

fn errno(errno: Errno) -> Value {
    Value::Sign(Sign::Errno(errno))
}

fn word_of(addr: VirtAddr) -> Iovec {
    Iovec { base: addr.0, len: 8 }
}

fn page_of(addr: VirtAddr) -> VpnRange {
    VpnRange::sized(addr.page(), 1)
}

impl World<'_> {
    /// Such a step; answers what it came to.
    pub(super) fn pin_step(&self, who: Actor<'_>, at: Place, step: &PinStep) -> Value {
        if !matches!(step, PinStep::Load(_) | PinStep::Store(..) | PinStep::Finish) {
            who.ctx.syscall();
        }
        match step {
            PinStep::Hold(pages, hold, name) => self.hold(who, at, (pages, *name), *hold),
            PinStep::LetGo(name, stored) => self.let_go(who, at, *name, *stored),
            PinStep::Load(word) => self.device_loads(who, at, word),
            PinStep::Store(word, value, waits) => self.device_stores(who, at, (word, value), *waits),
            PinStep::Finish => self.finish_transfers(who, at),
            PinStep::Transfer(word, place, way) => self.transfer_fixed(who, at, (word, place), *way),
            PinStep::Unregister(name) => self.unregister(who, at, *name),
            PinStep::Splice(pages, pipe) => self.splice(who, at, pages, *pipe),
            PinStep::Receive(pipe) => self.receive(who, at, *pipe),
            PinStep::VmRead(process, from, into) => self.vm_read(who, at, *process, (from, into)),
            PinStep::VmWrite(process, to, from) => self.vm_write(who, at, *process, (to, from)),
            PinStep::Peek(process, word) => self.peek(who, at, *process, word),
            PinStep::Poke(process, word, value) => self.poke(who, at, *process, (word, value)),
            PinStep::Detach(word, pause) => self.detach(who, at, (word, *pause)),
        }
    }

    // ---- what devices did ----

    /// Tells the shadow what devices loaded and stored since it was told last: before anything else is told.
    pub(super) fn hear_device(&self, who: Actor<'_>) {
        while let Some(moved) = self.sim.next_moved() {
            let told = self.holds.borrow_mut().told.remove(&moved.transfer);
            if let Some(told) = told {
                self.judge_transfer(who, &told, &moved);
            }
        }
    }

    fn judge_transfer(&self, who: Actor<'_>, told: &Told, moved: &Moved) {
        let holds = self.holds.borrow();
        let known = holds.pins.get(&told.pin).map(|holding| (holding.mark, holding.memory, holding.range));
        drop(holds);
        let Some((_, value)) = moved.words().next() else { return };
        if moved.toward == Toward::Device {
            self.holds.borrow_mut().loaded.insert(moved.transfer, value);
        }
        let Some((mark, memory, range)) = known else { return };
        let mut judge = self.judge.borrow_mut();
        let shadow = judge.shadow();
        let agreed = match (moved.toward, mark) {
            (Toward::Memory, Mark::Pin(pin)) => shadow.pin_store(pin, told.offset, value),
            (Toward::Device, Mark::Pin(pin)) => shadow.pin_load(pin, told.offset, value),
            (Toward::Device, Mark::Reference(held)) => shadow.reference_load(held, told.offset, value),
            (Toward::Memory, Mark::Reference(_)) => Ok(()),
        };
        let addr = VirtAddr(range.start.addr().0 + told.offset);
        let clear = judge.is_clear(memory, addr);
        drop(judge);
        if clear {
            self.agreed(who, told.at, addr, agreed);
        }
    }

    pub(super) fn agreed(&self, who: Actor<'_>, at: Place, addr: VirtAddr, agreed: Result<(), Mismatch>) {
        if let Err(mismatch) = agreed {
            let text = self.mismatch_text(who, addr, &mismatch);
            let failure = self.violation().unwrap_or_else(|| Failure::new(Kind::WrongByte, text));
            self.fail(who.ctx, at, failure);
        }
    }

    // ---- holding ----

    fn hold(&self, who: Actor<'_>, at: Place, (pages, name): (&Pages, PinName), hold: Hold) -> Value {
        let live = self.live(who, at);
        let range = self.range(who, at, pages);
        Shared::Held(name).change(who.ctx);
        if self.holds.borrow().pins.contains_key(&name) {
            self.misused(who.ctx, at, "pages are held by this name already".into());
        }
        let mark = self.begin_hold(who, live.memory, range, hold);
        let taken = match hold.kind {
            HoldKind::Ring => self.register(who, at, range).map(|ring| (Vec::new(), Some(ring))),
            _ => self.take_pages(who, at, range, hold).map(|pages| (pages, None)),
        };
        self.hear_device(who);
        let (pages, ring) = match taken {
            Ok(taken) => taken,
            Err(refused) => {
                self.forget(mark);
                return errno(refused);
            }
        };
        let mut judge = self.judge.borrow_mut();
        let agreed = match mark {
            Mark::Pin(pin) => judge.shadow().pin_end(pin),
            Mark::Reference(held) => judge.shadow().referred(held),
        };
        let clear = judge.is_clear(live.memory, range.start.addr());
        drop(judge);
        let holding = Holding { range, memory: live.memory, access: hold.access, mark, pages, ring };
        self.holds.borrow_mut().pins.insert(name, holding);
        if clear {
            self.agreed(who, at, range.start.addr(), agreed);
        }
        Value::Sign(Sign::Ok)
    }

    fn begin_hold(&self, who: Actor<'_>, memory: u32, range: VpnRange, hold: Hold) -> Mark {
        self.hear_device(who);
        let mut judge = self.judge.borrow_mut();
        let judged = match (hold.access, hold.kind) {
            (Access::Write, _) => Judged::Write,
            (_, HoldKind::Reference) => return Mark::Reference(judge.shadow().refer(memory, range)),
            (_, HoldKind::LongPin) => Judged::LongRead,
            _ => Judged::Read,
        };
        Mark::Pin(judge.shadow().pin_begin(memory, range, judged))
    }

    fn forget(&self, mark: Mark) {
        let mut judge = self.judge.borrow_mut();
        match mark {
            Mark::Pin(pin) => judge.shadow().unpin(pin),
            Mark::Reference(held) => judge.shadow().release(held),
        }
    }

    /// All of the pages, or none.
    fn take_pages(&self, who: Actor<'_>, at: Place, range: VpnRange, hold: Hold) -> Result<Vec<Held>, Errno> {
        let (linux, live) = (self.manager.linux(), self.live(who, at));
        let how = How {
            access: hold.access,
            hold: if hold.kind == HoldKind::Reference { HoldBy::Get } else { HoldBy::Pin },
            term: if hold.kind == HoldKind::LongPin { Term::Long } else { Term::Short },
            rights: if hold.is_forced { Rights::Forced } else { Rights::Mapped },
            ..How::pin(hold.access)
        };
        let mut pages = vec![Held::Nothing; range.pages() as usize];
        let (mut done, mut cx) = (0, self.cx(who.ctx));
        while done < pages.len() {
            match linux.hold_pages(&mut cx, live.id, (range.start + done as u64, how), &mut pages[done..]) {
                Ok(more) => done += more,
                Err(refused) => {
                    pages.into_iter().for_each(|held| linux.release_page(&mut cx, held));
                    return Err(refused);
                }
            }
        }
        Ok(pages)
    }

    fn register(&self, who: Actor<'_>, at: Place, range: VpnRange) -> Result<Id<Ring>, Errno> {
        let (linux, live, mut cx) = (self.manager.linux(), self.live(who, at), self.cx(who.ctx));
        let ring = linux.ring(&mut cx)?;
        let buffer = Iovec { base: range.start.addr().0, len: range.pages() * PAGE_SIZE };
        let done = linux.register_buffers(&mut cx, live.id, ring, &[buffer]);
        done.inspect_err(|_| linux.close_ring(&mut cx, ring)).map(|()| ring)
    }

    fn let_go(&self, who: Actor<'_>, at: Place, name: PinName, stored: Stored) -> Value {
        Shared::Held(name).change(who.ctx);
        self.hear_device(who);
        if self.holds.borrow().told.values().any(|told| told.pin == name) {
            self.misused(who.ctx, at, "a device is at work on it: wait with `dma finish`".into());
        }
        let Some(holding) = self.holds.borrow_mut().pins.remove(&name) else {
            self.misused(who.ctx, at, "nothing is held by this name".into());
        };
        self.forget(holding.mark);
        let (linux, mut cx) = (self.manager.linux(), self.cx(who.ctx));
        for held in holding.pages {
            match stored {
                Stored::Something => linux.release_dirty(&mut cx, held),
                Stored::Nothing => linux.release_page(&mut cx, held),
            }
        }
        if let Some(ring) = holding.ring {
            linux.close_ring(&mut cx, ring);
        }
        Value::Sign(Sign::Ok)
    }

    /// When all is over, everything goes back.
    pub(super) fn let_all_go(&self) {
        let linux = self.manager.linux();
        let mut cx = self.manager.cx(CpuId(0), TaskId(0));
        let Holds { pins, pipes, .. } = self.holds.take();
        for holding in pins.into_values() {
            holding.pages.into_iter().for_each(|held| linux.release_page(&mut cx, held));
            holding.ring.into_iter().for_each(|ring| linux.close_ring(&mut cx, ring));
        }
        pipes.into_values().for_each(|filled| linux.close_pipe(&mut cx, filled.pipe));
    }

    // ---- devices ----

    /// The frame that a device is told, and where in it; and where that is in the pages that are held.
    fn spot(&self, who: Actor<'_>, at: Place, word: &PinWord) -> (Pfn, u64) {
        Shared::Held(word.pin).read(who.ctx);
        let page = word.page.as_ref().map_or(0, |page| self.number(who, at, page));
        let offset = page * PAGE_SIZE + word.offset;
        let holds = self.holds.borrow();
        let found = holds.pins.get(&word.pin).map(|holding| match holding.ring {
            Some(ring) => {
                let fixed = self.manager.linux().fixed_bytes(&mut self.cx(who.ctx), ring, (0, offset));
                fixed.ok().map(|(frame, ..)| frame)
            }
            None => holding.pages.get(page as usize).and_then(|held| held.frame()),
        });
        drop(holds);
        match found {
            None => self.misused(who.ctx, at, "nothing is held by this name".into()),
            Some(None) => self.misused(who.ctx, at, format!("it has no page {page}")),
            Some(Some(frame)) => (frame.0, offset),
        }
    }

    fn tell_device(&self, who: Actor<'_>, at: Place, (transfer, pin, offset): (Transfer, PinName, u64)) {
        let told = Told { task: who.ctx.task(), at, pin, offset };
        self.holds.borrow_mut().told.insert(transfer, told);
    }

    fn device_loads(&self, who: Actor<'_>, at: Place, word: &PinWord) -> Value {
        let (frame, offset) = self.spot(who, at, word);
        let transfer = who.ctx.dma_load(frame, word.offset, 8, 0);
        self.tell_device(who, at, (transfer, word.pin, offset));
        who.ctx.dma_wait(transfer);
        self.hear_device(who);
        let loaded = self.holds.borrow_mut().loaded.remove(&transfer);
        loaded.map_or(errno(Errno::EIO), Value::Word)
    }

    fn device_stores(
        &self,
        who: Actor<'_>,
        at: Place,
        (word, value): (&PinWord, &Expr),
        waits: Waits,
    ) -> Value {
        let (frame, offset) = self.spot(who, at, word);
        let writes = self.holds.borrow().pins.get(&word.pin).is_some_and(|it| it.access == Access::Write);
        if !writes {
            self.misused(who.ctx, at, "it is held for `read` only".into());
        }
        let value = self.number(who, at, value);
        let transfer = who.ctx.dma_store(frame, word.offset, &value.to_le_bytes(), 0);
        self.tell_device(who, at, (transfer, word.pin, offset));
        if waits == Waits::Yes {
            who.ctx.dma_wait(transfer);
            self.hear_device(who);
        }
        Value::Sign(Sign::Ok)
    }

    fn finish_transfers(&self, who: Actor<'_>, _: Place) -> Value {
        let task = who.ctx.task();
        let next = || {
            let holds = self.holds.borrow();
            holds.told.iter().find(|(_, told)| told.task == task).map(|(&transfer, _)| transfer)
        };
        self.hear_device(who);
        while let Some(transfer) = next() {
            who.ctx.dma_wait(transfer);
            self.hear_device(who);
        }
        Value::Sign(Sign::Ok)
    }

    // ---- pipes ----

    fn splice(&self, who: Actor<'_>, at: Place, pages: &Pages, name: PipeName) -> Value {
        let (linux, live) = (self.manager.linux(), self.live(who, at));
        let range = self.range(who, at, pages);
        Shared::Pipe(name).change(who.ctx);
        let pipe = match self.pipe(who, name) {
            Ok(pipe) => pipe,
            Err(refused) => return errno(refused),
        };
        for page in (range.start.0..range.end.0).map(freehold::machine::Vpn) {
            self.hear_device(who);
            let held = self.judge.borrow_mut().shadow().refer(live.memory, VpnRange::sized(page, 1));
            let bytes = Iovec { base: page.addr().0, len: PAGE_SIZE };
            let done = linux.vmsplice(&mut self.cx(who.ctx), live.id, (pipe, &[bytes]), 0);
            self.hear_device(who);
            if let Err(refused) = done {
                self.judge.borrow_mut().shadow().release(held);
                return errno(refused);
            }
            let agreed = self.judge.borrow_mut().shadow().referred(held);
            if self.judge.borrow().is_clear(live.memory, page.addr()) {
                self.agreed(who, at, page.addr(), agreed);
            }
            if let Some(filled) = self.holds.borrow_mut().pipes.get_mut(&name) {
                filled.pages.push_back((held, page.addr(), live.memory));
            }
        }
        Value::Sign(Sign::Ok)
    }

    /// The pipe of this name, which is made when something is put into it first.
    fn pipe(&self, who: Actor<'_>, name: PipeName) -> Result<Id<Pipe>, Errno> {
        if let Some(filled) = self.holds.borrow().pipes.get(&name) {
            return Ok(filled.pipe);
        }
        let pipe = self.manager.linux().pipe(&mut self.cx(who.ctx))?;
        self.holds.borrow_mut().pipes.insert(name, Filled { pipe, pages: VecDeque::new() });
        Ok(pipe)
    }

    fn receive(&self, who: Actor<'_>, at: Place, name: PipeName) -> Value {
        let linux = self.manager.linux();
        Shared::Pipe(name).change(who.ctx);
        let pipe = self.holds.borrow().pipes.get(&name).map(|filled| filled.pipe);
        let Some(pipe) = pipe else { return errno(Errno::EAGAIN) };
        let mut bytes = [0; 8];
        if linux.look_into_pipe(&mut self.cx(who.ctx), pipe, &mut bytes) == 0 {
            return errno(Errno::EAGAIN);
        }
        self.hear_device(who);
        let value = u64::from_le_bytes(bytes);
        let first = self.holds.borrow_mut().pipes.get_mut(&name).and_then(|filled| filled.pages.pop_front());
        if let Some((held, addr, memory)) = first {
            let mut judge = self.judge.borrow_mut();
            let agreed = judge.shadow().reference_load(held, 0, value);
            judge.shadow().release(held);
            let clear = judge.is_clear(memory, addr);
            drop(judge);
            if clear {
                self.agreed(who, at, addr, agreed);
            }
        }
        linux.take_from_pipe(&mut self.cx(who.ctx), pipe, PAGE_SIZE);
        Value::Word(value)
    }

    // ---- other processes' memory ----

    /// A word of a process, as a call copies it out.
    fn copied_out(
        &self,
        who: Actor<'_>,
        at: Place,
        (memory, addr): (u32, VirtAddr),
        copy: impl FnOnce() -> Result<u64, Errno>,
    ) -> Value {
        self.hear_device(who);
        let held = self.judge.borrow_mut().shadow().refer(memory, page_of(addr));
        let copied = copy();
        self.hear_device(who);
        let mut judge = self.judge.borrow_mut();
        let agreed = match copied {
            Ok(value) => {
                let taken = judge.shadow().referred(held);
                taken.and_then(|()| judge.shadow().reference_load(held, addr.offset(), value))
            }
            Err(_) => Ok(()),
        };
        judge.shadow().release(held);
        let clear = judge.is_clear(memory, addr);
        drop(judge);
        if clear {
            self.agreed(who, at, addr, agreed);
        }
        copied.map_or_else(errno, Value::Word)
    }

    /// A word of a process, as a call copies it in; answers how many bytes were.
    fn copied_in(
        &self,
        who: Actor<'_>,
        (memory, addr, value): (u32, VirtAddr, u64),
        copy: impl FnOnce() -> Result<u64, Errno>,
    ) -> Value {
        self.hear_device(who);
        let ticket = self.judge.borrow_mut().shadow().write_begin(memory, addr, &[value]);
        let copied = copy();
        self.hear_device(who);
        self.judge.borrow_mut().shadow().write_end(ticket, usize::from(copied == Ok(8)));
        sign_of(copied.map(drop))
    }

    fn vm_read(
        &self,
        who: Actor<'_>,
        at: Place,
        process: ProcessName,
        (from, into): (&WordAt, &WordAt),
    ) -> Value {
        self.wait_for_birth(who.ctx, process);
        let (linux, live) = (self.manager.linux(), self.live(who, at));
        let remote = self.known(process).filter(|remote| remote.is_alive);
        let Some(remote) = remote else { return errno(Errno::ESRCH) };
        let (from, into) = (self.addr(who, at, from), self.addr(who, at, into));
        self.copied_out(who, at, (remote.memory, from), || {
            let mut cx = self.cx(who.ctx);
            linux.process_vm_readv(&mut cx, live.id, remote.id, (&[word_of(into)], &[word_of(from)]), 0)?;
            let value = who.ctx.load(self, into).map_err(|_| Errno::EFAULT)?;
            self.hear_device(who);
            // Only this CPU uses the word that it is copied to: what it holds now is what was copied.
            let stored = self.judge.borrow_mut().store(live.memory, into, value);
            self.agreed(who, at, into, stored);
            Ok(value)
        })
    }

    fn vm_write(
        &self,
        who: Actor<'_>,
        at: Place,
        process: ProcessName,
        (to, from): (&WordAt, &WordAt),
    ) -> Value {
        self.wait_for_birth(who.ctx, process);
        let (linux, live) = (self.manager.linux(), self.live(who, at));
        let remote = self.live(Actor { process, ..who }, at);
        let (to, from) = (self.addr(who, at, to), self.addr(who, at, from));
        let Ok(value) = who.ctx.load(self, from) else { return errno(Errno::EFAULT) };
        self.copied_in(who, (remote.memory, to, value), || {
            let mut cx = self.cx(who.ctx);
            linux.process_vm_writev(&mut cx, live.id, remote.id, (&[word_of(from)], &[word_of(to)]), 0)
        })
    }

    fn peek(&self, who: Actor<'_>, at: Place, process: ProcessName, word: &WordAt) -> Value {
        self.wait_for_birth(who.ctx, process);
        let (live, of) = (self.live(who, at), self.live(Actor { process, ..who }, at));
        let addr = self.addr(who, at, word);
        self.copied_out(who, at, (of.memory, addr), || {
            let mut bytes = [0; 8];
            let ids = (live.id, of.id);
            self.manager.linux().mem_read(&mut self.cx(who.ctx), ids, addr.0, &mut bytes)?;
            Ok(u64::from_le_bytes(bytes))
        })
    }

    fn poke(
        &self,
        who: Actor<'_>,
        at: Place,
        process: ProcessName,
        (word, value): (&WordAt, &Expr),
    ) -> Value {
        self.wait_for_birth(who.ctx, process);
        let (live, of) = (self.live(who, at), self.live(Actor { process, ..who }, at));
        let (addr, value) = (self.addr(who, at, word), self.number(who, at, value));
        self.copied_in(who, (of.memory, addr, value), || {
            let ids = (live.id, of.id);
            self.manager.linux().mem_write(&mut self.cx(who.ctx), ids, addr.0, &value.to_le_bytes())
        })
    }

    // ---- the kernel ----

    /// Every mapping of the page is taken away, unless it is pinned, and given back: as by a migration that
    /// comes to nothing. `EAGAIN`: it stayed mapped. In between, with the page locked, others may have their
    /// turn.
    fn detach(&self, who: Actor<'_>, at: Place, (word, pause): (&WordAt, Option<Pause>)) -> Value {
        let (linux, live) = (self.manager.linux(), self.live(who, at));
        let page = self.addr(who, at, word).page();
        let mut cx = self.cx(who.ctx);
        let mut held = [Held::Nothing];
        if let Err(refused) = linux.hold_pages(&mut cx, live.id, (page, How::get(Access::Read)), &mut held) {
            return errno(refused);
        }
        let Held::Got(pfn) = held[0] else { return errno(Errno::EFAULT) };
        let objects = linux.objects();
        let (head, order) = objects.frames().folio(&cx, pfn);
        let detached = {
            let mut locked = objects.lock_page(cx.at(), head);
            let detached = objects.detach_page(&mut locked, head, Into::Migration);
            if let Some(Pause { begins, until }) = pause {
                self.signal(who, begins);
                self.wait_for(who, until);
            }
            objects.restore_page(&mut locked, (head, order.frames()), head);
            detached
        };
        linux.release_page(&mut cx, held[0]);
        match detached {
            Detached::All => Value::Sign(Sign::Ok),
            Detached::StillMapped => errno(Errno::EAGAIN),
        }
    }
}
