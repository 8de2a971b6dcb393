//! `--swap`.

use std::fmt;
use std::str::FromStr;

use freehold::Manager;
use freehold::machine::{CpuId, FileKey, PAGE_SIZE, TaskId};
use freehold::object::{Objects, swap};
use sim::SimMachine;

use crate::exit::Error;
use crate::replay::size;

/// The most bytes of swap.
const SIZE_MAX: u64 = Objects::<SimMachine>::SWAP_PAGES_MAX * PAGE_SIZE;

/// Where pages are swapped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwapDevice {
    /// A file of the simulated machine.
    File,
    /// Memory, compressed with lz4.
    Lz4,
}

/// A swap area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swap {
    /// Where.
    pub device: SwapDevice,
    /// How many pages it holds.
    pub pages: u64,
}

/// The file of a swap area: no recording has so many.
const FILE: FileKey = FileKey(1 << 60);

impl Swap {
    /// Gives the area to a manager, before anything runs on it.
    pub(crate) fn begin(self, manager: &Manager<'_, SimMachine>) -> Result<(), Error> {
        let device = match self.device {
            SwapDevice::File => {
                manager.machine().sim_files().create_zeroed(FILE, self.pages * PAGE_SIZE);
                swap::SwapDevice::File { key: FILE, pages: self.pages }
            }
            SwapDevice::Lz4 => swap::SwapDevice::Compressed { disk: 0, pages: self.pages },
        };
        let begun = manager.linux().swapon(&mut manager.cx(CpuId(0), TaskId(0)), device, None);
        begun.map(|_| ()).map_err(|errno| Error::new(&format!("--swap {self}: {errno}")))
    }
}

impl FromStr for Swap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (device, bytes) = match text.split_once(':') {
            None => (SwapDevice::File, text),
            Some(("file", bytes)) => (SwapDevice::File, bytes),
            Some(("lz4", bytes)) => (SwapDevice::Lz4, bytes),
            Some((other, _)) => return Err(format!("'{other}' is none of file, lz4")),
        };
        let bytes = size::bytes(bytes)?;
        if bytes % PAGE_SIZE != 0 || bytes > SIZE_MAX {
            return Err(format!("{bytes} bytes are not whole pages of 4K up to {}G", SIZE_MAX >> 30));
        }
        Ok(Swap { device, pages: bytes / PAGE_SIZE })
    }
}

impl fmt::Display for Swap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = match self.device {
            SwapDevice::File => "file",
            SwapDevice::Lz4 => "lz4",
        };
        write!(f, "{device}:{}K", self.pages * (PAGE_SIZE >> 10))
    }
}
