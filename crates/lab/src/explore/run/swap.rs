//! Swap areas come and go, and devices fail.

use freehold::linux::{Errno, SwapDevice};
use freehold::machine::{PAGE_SIZE, Vpn, VpnRange};
use freehold::object::Spare;
use freehold::space::Mapped;
use sim::Direction;

use super::super::script::{Device, SwapStep, Value, Way};
use super::call::sign_of;
use super::world::{Actor, Live, World};

impl World<'_> {
    /// Does a step about swap; answers what it came to.
    pub(super) fn swap_step(&self, who: Actor<'_>, step: SwapStep) -> Value {
        let (linux, mut cx) = (self.manager.linux(), self.cx(who.ctx));
        let files = self.sim.sim_files();
        let done = match step {
            SwapStep::On { device: Device::Lz4, pages, .. } => {
                linux.swapon(&mut cx, SwapDevice::Compressed { disk: 0, pages }, None).map(drop)
            }
            SwapStep::On { device: Device::File(file), pages, stable } => {
                let key = self.files[file.0].key;
                // LINUX: an area that its file does not hold is refused.
                if files.size(key).is_none_or(|size| size < pages * PAGE_SIZE) {
                    Err(Errno::EINVAL)
                } else {
                    if stable {
                        files.require_stable_writes(key);
                    }
                    linux.swapon(&mut cx, SwapDevice::File { key, pages }, None).map(drop)
                }
            }
            SwapStep::Off(device) => {
                let known = linux.objects().swap_areas().map(|area| area.device).find(|found| {
                    match (*found, device) {
                        (SwapDevice::Compressed { .. }, Device::Lz4) => true,
                        (SwapDevice::File { key, .. }, Device::File(file)) => key == self.files[file.0].key,
                        _ => false,
                    }
                });
                known.map_or(Err(Errno::EINVAL), |device| linux.swapoff(&mut cx, device))
            }
            SwapStep::Fails(file, way) => {
                files.fail(self.files[file.0].key, None, direction(way));
                Ok(())
            }
            SwapStep::Heals(file) => {
                [Way::Reads, Way::Writes]
                    .into_iter()
                    .for_each(|way| files.heal(self.files[file.0].key, None, direction(way)));
                Ok(())
            }
        };
        sign_of(done)
    }
}

impl World<'_> {
    /// Reclaim takes every page that is mapped there, however young; `EBUSY` for the last that stays. What
    /// programs see does not change.
    pub(super) fn evict_pages(&self, who: Actor<'_>, live: Live, range: VpnRange) -> Result<(), Errno> {
        let linux = self.manager.linux();
        let mut cx = self.cx(who.ctx);
        let space = linux.process(live.id).space().ok_or(Errno::ESRCH)?;
        let mut outcome = Ok(());
        for page in (range.start.0..range.end.0).map(Vpn) {
            if let Mapped::Page(pfn) = linux.spaces().page_mapped(cx.at(), space, page)
                && linux.objects().try_evict(cx.at(), (pfn, 0), Spare::None).is_err()
            {
                outcome = Err(Errno::EBUSY);
            }
        }
        outcome
    }
}

fn direction(way: Way) -> Direction {
    match way {
        Way::Reads => Direction::Read,
        Way::Writes => Direction::Write,
    }
}
