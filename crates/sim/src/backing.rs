//! The simulated machine's files, as devices: transfers take time.

use crate::SimMachine;
use crate::config::Checks;
use crate::explore::{Thing, Touch};
use crate::report::{Cause, Counts};
use crate::violation::Rule;
use machine::{Backing, CpuId, FileKey, IoError, Pfn, UserFrame};

impl Backing for SimMachine {
    fn read(&self, cpu: CpuId, file: FileKey, page: u64, into: UserFrame) -> Result<(), IoError> {
        self.point(cpu);
        Counts::add(&self.counts.file_reads, 1);
        self.touch(Thing::file(file.0), Touch::Read);
        let content = self.files.read_page(file, page);
        let given = self.generation(into.0);
        self.transfer(Cause::FileRead, self.costs.file_read, "reads a file");
        self.touch_frame(CpuId(self.current.get()), into.0);
        self.check_life(into.0, given, "a file was read into");
        self.set_content(into.0, content?);
        Ok(())
    }

    fn write(&self, cpu: CpuId, file: FileKey, page: u64, from: UserFrame) -> Result<(), IoError> {
        self.point(cpu);
        Counts::add(&self.counts.file_writes, 1);
        self.touch(Thing::file(file.0), Touch::Write);
        self.touch_frame(cpu, from.0);
        let result = self.with_content(from.0, |content| self.files.write_page(file, page, content));
        let given = self.generation(from.0);
        let stable = self.files.is_stable(file);
        if stable {
            self.hold(from.0);
        }
        self.transfer(Cause::FileWrite, self.costs.file_write, "writes a file");
        if stable {
            self.touch_frame(CpuId(self.current.get()), from.0);
            self.let_go(from.0);
        }
        self.check_life(from.0, given, "a file was written from");
        result
    }

    fn stable_writes(&self, file: FileKey) -> bool {
        self.files.is_stable(file)
    }
}

impl SimMachine {
    /// The task sleeps as long as the device needs.
    fn transfer(&self, cause: Cause, latency: u64, what: &'static str) {
        let started = self.now.get();
        match self.here().task.get() {
            Some(task) if !self.cannot_block() => self.sleep(task, started + latency, what),
            _ => self.tick(cause, latency),
        }
    }

    /// The frame's bytes are to stay as they are.
    fn hold(&self, frame: Pfn) {
        if let Some(state) = self.contents.borrow_mut().get_mut(frame.0) {
            state.held += 1;
        }
    }

    fn let_go(&self, frame: Pfn) {
        if let Some(state) = self.contents.borrow_mut().get_mut(frame.0) {
            state.held = state.held.saturating_sub(1);
        }
    }

    /// A frame that a device was given must not have been discarded since.
    pub(crate) fn check_life(&self, frame: Pfn, given: u32, what: &str) {
        let now = self.generation(frame);
        if now != given && self.checks != Checks::Off {
            let text = format!("{what} {frame:?}, which was discarded since the device was given it");
            self.violate(Rule::DmaToFreed, text);
        }
    }
}
