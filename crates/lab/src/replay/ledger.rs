//! The oracle's memory of claims on frames: only frames that were claimed take room.

use freehold::machine::Pfn;
use oracle::{Ledger, Tally};

/// Frames of a page of tallies.
const CHUNK: usize = 512;

/// Tallies in chunks, made when first asked for.
#[derive(Default)]
pub(crate) struct SparseLedger {
    chunks: Vec<Option<Box<[Tally; CHUNK]>>>,
}

impl Ledger for SparseLedger {
    fn clear(&mut self) {
        for chunk in self.chunks.iter_mut().flatten() {
            chunk.fill(Tally::default());
        }
    }

    fn tally(&mut self, frame: Pfn) -> &mut Tally {
        let (chunk, index) = (frame.0 as usize / CHUNK, frame.0 as usize % CHUNK);
        if chunk >= self.chunks.len() {
            self.chunks.resize_with(chunk + 1, || None);
        }
        &mut self.chunks[chunk].get_or_insert_with(|| Box::new([Tally::default(); CHUNK]))[index]
    }
}
