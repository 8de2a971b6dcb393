//! The address space that an exec built, from the records its mappings left.

use std::collections::BTreeMap;

use crate::{Mapping, MappingKind, USER_TOP};

/// A fresh address space, one mapping after the other.
///
/// Linux first maps a whole program as if it were its first segment, cuts off what lies behind
/// that, and lays the other segments on top. Only the mappings leave records, so whatever of a
/// file mapping sticks out behind another one laid on it was cut off.
#[derive(Default)]
pub(super) struct FreshSpace {
    mappings: BTreeMap<u64, Mapping>,
}

impl FreshSpace {
    /// Lays a mapping over what is there.
    pub(super) fn map(&mut self, mapping: Mapping) {
        let end = mapping.end();
        let aligned = mapping.start.is_multiple_of(4096) && mapping.len.is_multiple_of(4096);
        if !aligned || mapping.len == 0 || end > USER_TOP {
            return;
        }
        let covered: Vec<Mapping> = self
            .mappings
            .range(..end)
            .rev()
            .map(|(_, below)| *below)
            .take_while(|below| below.end() > mapping.start)
            .collect();
        for below in covered {
            self.mappings.remove(&below.start);
            if below.start < mapping.start {
                let len = mapping.start - below.start;
                self.mappings.insert(below.start, Mapping { len, ..below });
            }
            if below.end() > end && below.kind != MappingKind::File {
                let rest = Mapping { start: end, len: below.end() - end, ..below };
                self.mappings.insert(end, rest);
            }
        }
        self.mappings.insert(mapping.start, mapping);
    }

    /// The mappings, in order.
    pub(super) fn finish(self) -> Vec<Mapping> {
        self.mappings.into_values().collect()
    }
}
