//! `/proc/buddyinfo`.

use crate::system::Linux;
use core::fmt::{self, Write};
use frame::ZoneKind;
use machine::Machine;

/// A zone's name as Linux writes it.
pub fn zone_name(kind: ZoneKind) -> &'static str {
    match kind {
        ZoneKind::Dma32 => "DMA32",
        ZoneKind::Normal => "Normal",
        ZoneKind::Movable => "Movable",
    }
}

impl<M: Machine> Linux<'_, M> {
    /// Writes the free blocks of every zone, by order.
    pub fn buddyinfo(&self, out: &mut dyn Write) -> fmt::Result {
        for zone in self.frames().zones() {
            write!(out, "Node {}, zone {:>8} ", zone.node.0, zone_name(zone.kind))?;
            for by_type in &zone.free_blocks {
                write!(out, "{:>6} ", by_type.iter().sum::<u64>())?;
            }
            out.write_char('\n')?;
        }
        Ok(())
    }
}
