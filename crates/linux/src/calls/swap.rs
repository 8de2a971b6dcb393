//! `swapon` and `swapoff`.

use crate::errno::Errno;
use crate::system::Linux;
use balance::Swappiness;
use fault::{FaultError, SwapOffError};
use machine::{Cx, Machine};
use object::swap::SwapDevice;
use object::swapping::SwapError;

impl<'m, M: Machine> Linux<'m, M> {
    /// `swapon`: pages may go to the device from now on; answers the area's number. `priority` is from 0 up,
    /// higher first; without one the area comes after all that came before it.
    ///
    /// `EINVAL`: a size that no area has, or a negative priority. `EBUSY`: the device is an area already.
    /// `EPERM`: there are as many areas as there can be. `ENOMEM`.
    pub fn swapon(&self, cx: &mut Cx<'m, M>, device: SwapDevice, priority: Option<i16>) -> Result<u8, Errno> {
        if priority.is_some_and(|priority| priority < 0) {
            return Err(Errno::EINVAL);
        }
        match self.objects().swap_on(cx.at(), device, priority) {
            Ok(area) => Ok(area),
            Err(SwapError::InUse) => Err(Errno::EBUSY),
            Err(SwapError::TooMany) => Err(Errno::EPERM),
            Err(SwapError::Size | SwapError::NoArea) => Err(Errno::EINVAL),
            Err(SwapError::Shortage(_)) => Err(Errno::ENOMEM),
        }
    }

    /// A step of background reclaim (Linux: kswapd), for whoever has time. Answers whether there is more to
    /// do.
    pub fn background_reclaim(&self, cx: &mut Cx<'m, M>, budget: u64) -> bool {
        self.balance.background(cx, self.spaces(), budget)
    }

    /// `/proc/sys/vm/swappiness`: whether anonymous pages or pages of files leave memory first.
    ///
    /// `EINVAL`: more than 200.
    pub fn set_swappiness(&self, value: u64) -> Result<(), Errno> {
        self.balance.set_swappiness(Swappiness::new(value).ok_or(Errno::EINVAL)?);
        Ok(())
    }

    /// `swapoff`: everything that the device has comes back; then it is not used any more.
    ///
    /// An error leaves it in use. `EINVAL`: no such area. `ENOMEM`: what it has does not fit into memory.
    /// `EIO`: a page could not be read. `EINTR`: somebody keeps what it has.
    pub fn swapoff(&self, cx: &mut Cx<'m, M>, device: SwapDevice) -> Result<(), Errno> {
        let area = self.objects().area_of(device).ok_or(Errno::EINVAL)?;
        let mut last = Ok(());
        let done = self.balance.with_memory(cx, self.spaces(), None, balance::Policy::Reclaim, |cx| {
            last = self.faults.swap_off(cx, area);
            match last {
                Err(SwapOffError::Shortage(shortage)) => Err(FaultError::Shortage(shortage)),
                _ => Ok(()),
            }
        });
        match (done, last) {
            (Err(_), _) | (_, Err(SwapOffError::Shortage(_))) => Err(Errno::ENOMEM),
            (_, Err(SwapOffError::NoArea)) => Err(Errno::EINVAL),
            (_, Err(SwapOffError::Io)) => Err(Errno::EIO),
            (_, Err(SwapOffError::Busy)) => Err(Errno::EINTR),
            (Ok(()), Ok(())) => Ok(()),
        }
    }
}
