//! Random programs.
//!
//! A generator knows roughly what it has mapped, so that most operations meet something; what they meet in
//! truth, the two systems find out. Some arguments are hostile on purpose.

use native::arena::{END, HEAP, HUGE, HUGE_PAGES, LOOK_PAGES, PAGE, STACKS, START, WORDS, is_harmless};
use native::{Call, FILES, Op, PIPE_PAGES, SLOTS, STACK_SOFT, WAIT_ANY};

use super::advice;
use super::dice::Dice;
use super::host::Host;
use super::program::*;
use super::themes::{Theme, WEIGHTS, factor, hot_parts, last_look};

/// Makes programs, one after the other.
#[derive(Debug)]
pub(crate) struct Generator {
    dice: Dice,
    host: Host,
}

/// A program in the making.
struct Draft<'g> {
    dice: &'g mut Dice,
    host: &'g Host,
    theme: Theme,
    memlock: u64,
    weights: Vec<(Call, u64)>,
    total: u64,
    /// First page and pages of the part of the arena it works in.
    window: (u64, u64),
    alive: [bool; SLOTS],
    current: u8,
    recent: Vec<(u64, u64)>,
    stored: u64,
    /// The slot of the newest process.
    newest: u8,
    /// What comes next, whatever the dice say.
    next: Option<Op>,
}

impl Generator {
    /// Equal seeds and hosts give equal programs.
    pub(crate) fn new(seed: u64, host: &Host) -> Generator {
        Generator { dice: Dice::new(seed), host: host.clone() }
    }

    /// A program of about so many operations.
    pub(crate) fn program(&mut self, ops: usize) -> Program {
        let theme = Theme::choose(&mut self.dice);
        let all_lockable = self.host.can_lock_all() && self.dice.permille(400);
        let memlock = match () {
            () if all_lockable => self.host.memlock_max,
            () => self.dice.one([6 * PAGE, 16 * PAGE, 24 * PAGE, 100 * PAGE]).min(self.host.memlock_max),
        };
        let weights: Vec<(Call, u64)> =
            WEIGHTS.iter().map(|&(call, weight)| (call, weight * factor(theme, call) / 4)).collect();
        let window = theme.window(&mut self.dice);
        let mut draft = Draft {
            total: weights.iter().map(|(_, weight)| weight).sum(),
            dice: &mut self.dice,
            host: &self.host,
            theme,
            memlock,
            weights,
            window,
            alive: std::array::from_fn(|slot| slot == 0),
            current: 0,
            recent: Vec::new(),
            stored: 0,
            newest: 0,
            next: None,
        };
        let mut made: Vec<Op> = (0..ops).filter_map(|_| draft.operation()).collect();
        made.extend(last_look(theme));
        Program { memlock, ops: made }
    }
}

impl Draft<'_> {
    fn operation(&mut self) -> Option<Op> {
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        self.choose_process();
        let mut at = self.dice.below(self.total);
        let call = self.weights.iter().find(|(_, weight)| {
            let found = at < *weight;
            at = at.saturating_sub(*weight);
            found
        });
        let call = call.map_or(Call::Load, |(call, _)| *call);
        let args = self.arguments(call)?;
        let made = op(self.current, call, &args[..call.args()]);
        let made = if self.dice.permille(35) { self.spoil(made) } else { made };
        if !is_harmless(&made) {
            return None;
        }
        self.note(&made);
        Some(made)
    }

    fn choose_process(&mut self) {
        let switches = if self.theme == Theme::Trees { 300 } else { 90 };
        if self.alive[usize::from(self.current)] && !self.dice.permille(switches) {
            return;
        }
        // Generations: the newest process makes the next one.
        if self.theme == Theme::Trees && self.alive[usize::from(self.newest)] && self.dice.permille(500) {
            self.current = self.newest;
            return;
        }
        let living: Vec<u8> = (0..SLOTS as u8).filter(|&slot| self.alive[usize::from(slot)]).collect();
        self.current = self.dice.pick(&living).unwrap_or(0);
    }

    fn note(&mut self, made: &Op) {
        let [a, b, ..] = made.args;
        let longest = self.theme.longest() * PAGE;
        let mut remember = |addr: u64, len: u64| {
            if (START..END).contains(&addr) && len <= longest {
                self.recent.push((addr, len));
            }
        };
        match made.call {
            Call::Fork | Call::Clone => {
                self.alive[a as usize] = true;
                self.newest = a as u8;
            }
            // At once: later it may be right in two ways.
            Call::Splice if self.dice.permille(600) => {
                self.next = Some(op(made.process, Call::PipeRead, &[b.min(PIPE_PAGES * PAGE)]));
            }
            Call::Exit => self.alive[usize::from(made.process)] = false,
            Call::Mmap => remember(a, b),
            Call::Mremap if made.args[3] & MREMAP_FIXED != 0 => remember(made.args[4], made.args[2]),
            _ => {}
        }
        if self.recent.len() > 12 {
            let oldest = self.dice.below(12) as usize;
            self.recent.swap_remove(oldest);
        }
    }

    // ---- arguments ----

    /// A page of the window, or of the heap or the stacks.
    fn page(&mut self) -> u64 {
        let stacks = if self.theme == Theme::Stacks { 350 } else { 40 };
        match self.dice.below(1000) {
            n if n < stacks => START + (STACKS.0 + self.dice.below(STACKS.1)) * PAGE,
            n if n < stacks + 25 => START + (HEAP.0 + self.dice.below(HEAP.1)) * PAGE,
            _ if self.theme == Theme::Huge => self.huge_page(),
            _ => START + (self.window.0 + self.dice.below(self.window.1)) * PAGE,
        }
    }

    /// A page where 2 MiB start, or near to it.
    fn huge_page(&mut self) -> u64 {
        let start = HUGE.0 + self.dice.below(HUGE.1 / HUGE_PAGES) * HUGE_PAGES;
        let within = self.dice.one([0, 0, 0, 0, 0, 1, 3, 255, 256, 511]);
        START + (start + within) * PAGE
    }

    /// One of the pages that are looked at in the end.
    fn hot_page(&mut self) -> u64 {
        let parts: Vec<(u64, u64)> = hot_parts().collect();
        let (first, pages) = self.dice.pick(&parts).unwrap_or(HUGE);
        START + (first + self.dice.below(pages)) * PAGE
    }

    fn pages(&mut self) -> u64 {
        if self.theme == Theme::Huge && self.dice.permille(700) {
            return self.dice.one([512, 512, 512, 1024, 1024, 1536, 511, 513, 256, 768]);
        }
        match self.dice.below(100) {
            0..45 => 1 + self.dice.below(2),
            45..85 => 1 + self.dice.below(6),
            85..97 => 1 + self.dice.below(16),
            _ => 1 + self.dice.below(64),
        }
    }

    /// A range of bytes, mostly one that was mapped or a part of it.
    fn range(&mut self) -> (u64, u64) {
        let known = if self.dice.permille(650) { self.dice.pick(&self.recent) } else { None };
        let Some((start, len)) = known else { return (self.page(), self.pages() * PAGE) };
        let pages = len.div_ceil(PAGE).clamp(1, self.theme.longest());
        match self.dice.below(4) {
            0 => (start, pages * PAGE),
            1 => (start, (1 + self.dice.below(pages)) * PAGE),
            2 => {
                let skipped = self.dice.below(pages);
                (start + skipped * PAGE, (pages - skipped) * PAGE)
            }
            _ => {
                let skipped = self.dice.below(pages);
                (start + skipped * PAGE, (1 + self.dice.below(pages - skipped)) * PAGE)
            }
        }
    }

    /// A word of a page.
    fn word(&mut self) -> u64 {
        let (start, len) = self.range();
        let page = match self.theme {
            Theme::Huge if self.dice.permille(700) => self.hot_page(),
            _ => start + self.dice.below(len.div_ceil(PAGE)) * PAGE,
        };
        page + self.dice.one(WORDS) * 8
    }

    fn protection(&mut self) -> u64 {
        match self.dice.below(20) {
            0..9 => PROT_READ | PROT_WRITE,
            9..13 => PROT_READ,
            13..15 => 0,
            15..17 => PROT_READ | PROT_WRITE | PROT_EXEC,
            17 => PROT_READ | PROT_EXEC,
            18 => PROT_WRITE,
            _ => self.dice.below(16),
        }
    }

    fn arguments(&mut self, call: Call) -> Option<[u64; 7]> {
        let (start, len) = self.range();
        let two = [start, len, 0, 0, 0, 0, 0];
        let three = |third: u64| [start, len, third, 0, 0, 0, 0];
        let one = |first: u64| [first, 0, 0, 0, 0, 0, 0];
        Some(match call {
            Call::Mmap => self.mmap(),
            Call::Mremap => self.mremap(start, len),
            Call::Munmap | Call::Mlock | Call::Munlock => two,
            Call::Mprotect => three(self.mprotect_bits()),
            Call::Madvise => three(self.advice()),
            Call::Msync => three(self.dice.one([0, 1, 2, 3, 4, 4, 6])),
            Call::Mlock2 => three(self.dice.below(2)),
            Call::Mlockall => one(self.lock_all_flags()),
            Call::Munlockall | Call::Layout => one(0),
            Call::Brk => one(self.heap_address()?),
            Call::Mincore => three(self.vector()),
            Call::Prlimit => self.limit(),
            Call::Ftruncate => {
                let file = if self.dice.permille(900) { self.dice.one([0, 2]) } else { self.dice.below(6) };
                [file, self.dice.below(18) * PAGE / 2, 0, 0, 0, 0, 0]
            }
            Call::Fsync => one(self.dice.one([0, 2])),
            Call::Fork | Call::Clone => one(self.free_slot()?),
            Call::Exit => {
                let living = self.alive.iter().filter(|alive| **alive).count();
                let orphans = if self.theme == Theme::Trees { 200 } else { 20 };
                let is_first = self.current == 0 && !self.dice.permille(orphans);
                if living < 2 || is_first {
                    return None;
                }
                one(self.dice.below(8))
            }
            Call::Wait => one(if self.dice.permille(600) { WAIT_ANY } else { self.dice.below(SLOTS as u64) }),
            Call::Load | Call::Execute => one(self.word()),
            Call::Store => {
                self.stored += 1;
                // The low byte is a return instruction, for those who execute it.
                let value = if self.dice.permille(60) { 0 } else { self.value() << 8 | 0xc3 };
                [self.word(), value, 0, 0, 0, 0, 0]
            }
            Call::VmRead | Call::VmWrite => self.copy(start, len),
            Call::Splice => {
                let (skipped, len) = (self.dice.below(PAGE / 8) * 8, len.min(8 * PAGE));
                let skipped = if self.dice.permille(500) { skipped } else { 0 };
                let flags = 2 | self.dice.one([0, 0, 0, 1, 4, 8]);
                [start + skipped, len, flags, 0, 0, 0, 0]
            }
            Call::Prctl => [self.option(), self.dice.one([0, 1, 1, 1]), 0, 0, 0, 0, 0],
            Call::MemRead | Call::MemWrite => self.look(start, len),
            Call::PipeRead => one(self.dice.one([8, 100, PAGE, 3 * PAGE, PIPE_PAGES * PAGE])),
            Call::Scan => [self.page(), 1 + self.dice.below(8), 0, 0, 0, 0, 0],
        })
    }

    /// What a store leaves behind; in programs with equal pages few things.
    fn value(&mut self) -> u64 {
        if self.theme == Theme::Paging && self.dice.permille(800) {
            1 + self.dice.below(2)
        } else {
            self.stored
        }
    }

    /// Of `prctl`.
    fn option(&mut self) -> u64 {
        let merges = self.host.has_merging && self.theme != Theme::Layout;
        if merges { self.dice.one([41, 41, 42, 67, 67, 68]) } else { self.dice.one([41, 41, 42]) }
    }

    /// At the memory of a process as a file.
    fn look(&mut self, start: u64, len: u64) -> [u64; 7] {
        let living: Vec<u64> = (0..SLOTS as u64).filter(|&slot| self.alive[slot as usize]).collect();
        let skipped = if self.dice.permille(500) { self.dice.below(PAGE) } else { 0 };
        let len = if self.dice.permille(500) { 1 + self.dice.below(64) } else { len.min(LOOK_PAGES * PAGE) };
        self.stored += 1;
        let word = self.value() << 8 | 0xc3;
        [self.dice.pick(&living).unwrap_or(0), start + skipped, len, word, 0, 0, 0]
    }

    /// From or to another process, or itself.
    fn copy(&mut self, start: u64, len: u64) -> [u64; 7] {
        let others: Vec<u64> = (0..SLOTS as u64).filter(|&slot| self.alive[slot as usize]).collect();
        let other = self.dice.pick(&others).unwrap_or(0);
        let there = if self.dice.permille(500) { start } else { self.range().0 };
        let skipped = if self.dice.permille(500) { self.dice.below(PAGE / 8) * 8 } else { 0 };
        let len = if self.dice.permille(300) { 8 * (1 + self.dice.below(64)) } else { len };
        [other, start + skipped, there + skipped, len, 0, 0, 0]
    }

    fn free_slot(&mut self) -> Option<u64> {
        let free: Vec<u64> = (0..SLOTS as u64).filter(|&slot| !self.alive[slot as usize]).collect();
        self.dice.pick(&free)
    }

    fn mmap(&mut self) -> [u64; 7] {
        let files = if self.theme == Theme::Files { 600 } else { 250 };
        let stacks = if self.theme == Theme::Stacks { 300 } else { 30 };
        let (addr, len) = (self.page(), self.pages() * PAGE);
        let mut flags = match self.dice.below(20) {
            0..15 => MAP_FIXED,
            15..17 => MAP_FIXED_NOREPLACE,
            _ => 0,
        };
        let shared = self.dice.permille(400);
        let file = if self.dice.permille(files) {
            flags |= if shared { MAP_SHARED } else { MAP_PRIVATE };
            self.dice.one([0, 0, 0, 1, 2, 2, 3, 4, 5])
        } else {
            flags |= MAP_ANONYMOUS | if shared && self.dice.permille(600) { MAP_SHARED } else { MAP_PRIVATE };
            FILES as u64
        };
        if flags & (MAP_ANONYMOUS | MAP_PRIVATE) == MAP_ANONYMOUS | MAP_PRIVATE && self.dice.permille(stacks)
        {
            flags |= MAP_GROWSDOWN;
        }
        let touches = self.theme != Theme::Layout;
        for (flag, permille) in
            [(MAP_POPULATE, 60), (MAP_LOCKED, 30), (MAP_NORESERVE, 60), (MAP_NONBLOCK, 20), (MAP_STACK, 20)]
        {
            if self.dice.permille(permille) && (touches || flag & (MAP_POPULATE | MAP_LOCKED) == 0) {
                flags |= flag;
            }
        }
        let offset = if file < FILES as u64 { self.dice.below(9) * PAGE } else { 0 };
        [addr, len, self.protection(), flags, file, offset, self.page()]
    }

    fn mremap(&mut self, start: u64, old: u64) -> [u64; 7] {
        let new = match self.dice.below(5) {
            0 => self.pages() * PAGE,
            1 => old + self.pages() * PAGE,
            2 => (1 + self.dice.below(old / PAGE)) * PAGE,
            _ => old,
        };
        let flags = match self.dice.below(20) {
            0..3 => 0,
            3..7 => MREMAP_MAYMOVE,
            7..15 => MREMAP_MAYMOVE | MREMAP_FIXED,
            15..17 => MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
            _ => MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
        };
        let new = if flags & MREMAP_DONTUNMAP != 0 { old } else { new };
        // Length 0 makes another mapping of shared memory.
        let old = if self.dice.permille(40) { 0 } else { old };
        [start, old, new, flags, self.page(), self.page(), 0]
    }

    fn mprotect_bits(&mut self) -> u64 {
        let down = if self.theme == Theme::Stacks { 200 } else { 20 };
        let grow = if self.dice.permille(down) { PROT_GROWSDOWN } else { 0 };
        self.protection() | grow
    }

    fn advice(&mut self) -> u64 {
        // What is not compared would be left out by both sides.
        let choice = self.theme.advice(self.dice);
        if advice::is_compared(choice, self.host) { choice } else { 4 }
    }

    fn lock_all_flags(&mut self) -> u64 {
        let flags = self.dice.one([1, 2, 3, 5, 6, 7, 2, 6]);
        if self.memlock < self.host.memlock_max && self.dice.permille(700) { flags & 6 } else { flags }
    }

    fn heap_address(&mut self) -> Option<u64> {
        if !self.host.has_break {
            return None;
        }
        let start = START + HEAP.0 * PAGE;
        Some(match self.dice.below(8) {
            0 => 0,
            1 => start + self.dice.below(12 * PAGE),
            _ => start + self.dice.below(12) * PAGE,
        })
    }

    fn vector(&mut self) -> u64 {
        if self.theme == Theme::Layout || self.dice.permille(800) { 0 } else { self.word() }
    }

    fn limit(&mut self) -> [u64; 7] {
        let (resource, hard) =
            if self.dice.permille(600) { (8, self.memlock) } else { (3, self.host.stack_max) };
        let soft = match resource {
            8 => self.dice.one([0, PAGE, 5 * PAGE, 12 * PAGE, 100, u64::MAX]).min(hard),
            // A lower one would tell how Linux merged stacks (known::TouchedApart).
            _ => STACK_SOFT.min(hard),
        };
        [resource, soft, hard, 0, 0, 0, 0]
    }

    /// One argument becomes hostile.
    fn spoil(&mut self, made: Op) -> Op {
        for _ in 0..4 {
            let mut spoilt = made;
            let number = self.dice.below(made.call.args() as u64) as usize;
            let Some(argument) = spoilt.args.get_mut(number).filter(|_| made.call.args() > 0) else { break };
            *argument = self.hostile(*argument);
            let is_advice = made.call == Call::Madvise && number == 2;
            if is_advice && advice::is_left_out(*argument, self.host) {
                *argument = self.dice.one([5, 6, 7, 99, u64::MAX]);
            }
            let is_process = matches!(made.call, Call::Fork | Call::Clone | Call::Exit | Call::Wait)
                || number == 0 && matches!(made.call, Call::VmRead | Call::VmWrite)
                || number == 0 && matches!(made.call, Call::MemRead | Call::MemWrite);
            if !is_process && is_harmless(&spoilt) {
                return spoilt;
            }
        }
        made
    }

    fn hostile(&mut self, argument: u64) -> u64 {
        match self.dice.below(12) {
            0 => 0,
            1 => u64::MAX,
            2 => u64::MAX - PAGE + 1,
            3 => 1 << 63,
            4 => 1 << 47,
            5 => 0xffff_8000_0000_0000,
            6 => argument.wrapping_add(1),
            7 => argument ^ 0x800,
            8 => argument.wrapping_sub(PAGE),
            9 => argument | 1 << self.dice.below(64),
            10 => argument ^ 1 << self.dice.below(32),
            _ => 1 << self.dice.below(64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_repeatable_and_harmless() {
        let host = Host::typical();
        let make = |seed| Generator::new(seed, &host).program(500);
        for seed in 0..40 {
            let program = make(seed);
            assert_eq!(program, make(seed));
            assert!(program.ops.iter().all(is_harmless));
            assert!(program.ops.len() > 300);
        }
        assert_ne!(make(1), make(2));
    }

    #[test]
    fn every_call_comes_and_forks_are_more_than_one_in_a_hundred() {
        let mut generator = Generator::new(7, &Host::typical());
        let ops: Vec<Op> = (0..100).flat_map(|_| generator.program(500).ops).collect();
        for call in Call::ALL {
            assert!(ops.iter().any(|op| op.call == *call), "{call:?}");
        }
        let forks = ops.iter().filter(|op| op.call == Call::Fork).count();
        assert!(forks * 100 > ops.len(), "{forks} of {}", ops.len());
    }
}
