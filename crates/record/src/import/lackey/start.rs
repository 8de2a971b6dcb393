//! How the root process starts.

use super::Source;
use super::line::Line;
use super::maps::program_mappings;
use crate::Mapping;
use crate::import::{Builder, ImportError};

/// What must be learned before the program's first instruction, and soon after: its mappings,
/// which are found once its stack is known, and where its heap starts.
#[derive(Default)]
pub(super) struct Start {
    maps: Option<String>,
    mappings: Option<Vec<Mapping>>,
    done: bool,
}

impl Start {
    /// Whether all is learned.
    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    /// Learns from a line of the root.
    pub(super) fn take(
        &mut self,
        line: &Line,
        builder: &mut Builder,
        source: &mut impl Source,
    ) -> Result<(), ImportError> {
        match line {
            Line::Fetch { .. } if self.maps.is_none() => self.maps = Some(source.root_maps()?),
            Line::Store { addr, .. } if self.mappings.is_none() => {
                let maps = self.maps.take().unwrap_or_default();
                self.mappings = Some(program_mappings(&maps, *addr, builder));
            }
            Line::Call { number, args, result, .. } => {
                let brk_start = match result {
                    Some(Ok(value)) if *number == BRK && args.values[0] == 0 => *value,
                    _ => 0,
                };
                let pid = builder.recording().processes[0].pid;
                let name = builder.recording().processes[0].name.clone();
                let mappings = self.mappings.take().unwrap_or_default();
                builder.exec(pid, &name, mappings, brk_start, 0);
                self.done = true;
            }
            _ => {}
        }
        Ok(())
    }
}

const BRK: u64 = 12;
