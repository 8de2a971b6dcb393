//! Compressed pages in kernel frames (Linux: zram with zsmalloc).
//!
//! A frame of the store has 64 chunks of 64 bytes; an object takes as many in a row as it needs. Which are
//! taken is the third word of the frame's descriptor, its neighbours in a list are the fourth; there is a
//! list for each length that the largest gap of a frame can have. So an object goes where the smallest gap is
//! that it fits, and the store needs no memory but the frames themselves.
//!
//! A slot has two words: where its object is, and a hash of the page, by which damage is noticed. Pages that
//! are one word over and over (zeros, most of all) are kept in the second word alone; pages that do not
//! become smaller are kept as they are.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use frame::{Frames, Request, Reserve, State};
use machine::cells::cast_words;
use machine::lock::Spin;
use machine::{Cx, Field, FieldValue, KernelFrame, Machine, Memory, Pfn, Shortage, Word, level};

/// Bytes of a chunk.
const CHUNK: usize = 64;
/// Chunks of a frame.
const CHUNKS: usize = 64;
/// Bytes of a page.
const PAGE: usize = CHUNK * CHUNKS;

/// What a slot's object is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// The second word, over and over.
    Filled,
    /// Compressed bytes.
    Packed,
    /// The page as it was.
    Whole,
}

/// Where an object is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Object {
    pub(crate) form: Form,
    pub(crate) frame: Pfn,
    pub(crate) chunk: usize,
    pub(crate) len: usize,
}

impl Object {
    /// A page of one word.
    const FILLED: Object = Object { form: Form::Filled, frame: Pfn(0), chunk: 0, len: 0 };

    /// ```text
    ///  52..21 20..8  7..2  1..0
    ///  frame  length chunk 1 filled, 2 packed, 3 whole
    /// ```
    fn to_bits(self) -> u64 {
        let form = match self.form {
            Form::Filled => 1,
            Form::Packed => 2,
            Form::Whole => 3,
        };
        u64::from(self.frame.0) << 21 | (self.len as u64) << 8 | (self.chunk as u64) << 2 | form
    }

    fn from_bits(bits: u64) -> Option<Object> {
        let form = match bits & 3 {
            1 => Form::Filled,
            2 => Form::Packed,
            3 => Form::Whole,
            _ => return None,
        };
        let chunk = (bits >> 2 & 0x3f) as usize;
        let len = ((bits >> 8 & 0x1fff) as usize).min(PAGE - chunk * CHUNK);
        Some(Object { form, frame: Pfn((bits >> 21) as u32), chunk, len })
    }

    fn mask(self) -> u64 {
        run(self.len.div_ceil(CHUNK)) << self.chunk
    }
}

/// The two words of a slot.
#[derive(Clone, Copy)]
pub(crate) struct Place<'m> {
    pub(crate) object: &'m Word,
    pub(crate) check: &'m Word,
}

impl Place<'_> {
    /// What the slot holds. Whoever asks works on the slot.
    pub(crate) fn read<A: Memory<Word = Word>>(&self, memory: &A) -> Option<(Object, u64)> {
        // ORDERING: Acquire pairs with the Release in `write`.
        let object = Object::from_bits(memory.load(self.object, Acquire))?;
        // RELAXED: written before the word above.
        Some((object, memory.load(self.check, Relaxed)))
    }

    fn write<A: Memory<Word = Word>>(&self, memory: &A, object: Object, check: u64) {
        // RELAXED: published by the word below.
        memory.store(self.check, check, Relaxed);
        // ORDERING: Release pairs with the Acquire in `read`.
        memory.store(self.object, object.to_bits(), Release);
    }
}

/// Two frames of a list, in the fourth word of a frame's descriptor.
#[derive(Clone, Copy)]
struct Neighbours {
    before: Option<Pfn>,
    next: Option<Pfn>,
}

impl FieldValue for Neighbours {
    fn to_bits(self) -> u64 {
        self.before.to_bits() << 32 | self.next.to_bits()
    }
    fn from_bits(bits: u64) -> Self {
        Neighbours {
            before: Option::from_bits(bits >> 32),
            next: Option::from_bits(bits & u64::from(u32::MAX)),
        }
    }
}

machine::cells! {
    /// See the module.
    pub(crate) struct Store {
        /// Covers lists, chunks and links.
        lock: Spin<{ level::REGISTRY }>,
        /// (store) The first frame whose largest gap is so many chunks.
        first: [Field<Option<Pfn>>; CHUNKS + 1],
        /// (store) Frames.
        pub(crate) frames: Field<u64>,
    }
}

/// The lowest `n` bits.
const fn run(n: usize) -> u64 {
    if n >= CHUNKS { u64::MAX } else { (1 << n) - 1 }
}

/// How long the longest run of free chunks is.
fn largest_gap(taken: u64) -> usize {
    let (mut free, mut length) = (!taken, 0);
    while free != 0 {
        free &= free >> 1;
        length += 1;
    }
    length
}

/// Where the first run of so many free chunks starts.
fn first_gap(taken: u64, chunks: usize) -> Option<usize> {
    let mut starts = !taken;
    for _ in 1..chunks {
        starts &= starts >> 1;
    }
    (starts != 0).then(|| starts.trailing_zeros() as usize)
}

impl Store {
    /// Keeps a page in the slot's words and in the store. `Err`: no frame for it; nothing has changed.
    pub(crate) fn put<'m, M: Machine>(
        &self,
        cx: &mut Cx<'m, M, { level::CACHE }>,
        frames: &Frames<'m, M>,
        place: Place<'m>,
        page: machine::UserFrame,
    ) -> Result<(), Shortage> {
        self.erase(cx, frames, place);
        let machine = cx.machine();
        if let Some(word) = filling(cx, page) {
            place.write(cx, Object::FILLED, word);
            return Ok(());
        }
        let mut bytes = [0; PAGE];
        let check = machine.hash_bytes(cx.cpu(), page);
        let packed = machine.compress(cx.cpu(), page, &mut bytes).filter(|&len| len < PAGE);
        let (form, len) = match packed {
            Some(len) => (Form::Packed, len),
            None => {
                machine.read_frame(cx.cpu(), page, 0, &mut bytes);
                (Form::Whole, PAGE)
            }
        };
        let (frame, chunk) = self.make_room(cx, frames, len.div_ceil(CHUNK))?;
        let object = Object { form, frame, chunk, len };
        write_bytes(machine, object, &bytes);
        place.write(cx, object, check);
        Ok(())
    }

    /// Fills a page with what the slot holds. `false` if that is damaged, or nothing: then the page's bytes
    /// are of no use.
    pub(crate) fn get<M: Machine, const L: u8>(
        &self,
        cx: &Cx<'_, M, L>,
        place: Place<'_>,
        page: machine::UserFrame,
    ) -> bool {
        let Some((object, check)) = place.read(cx) else { return false };
        let machine = cx.machine();
        if object.form == Form::Filled {
            fill(cx, page, check);
            return true;
        }
        let mut bytes = [0; PAGE];
        read_bytes(machine, object, &mut bytes);
        match object.form {
            Form::Packed if machine.decompress(cx.cpu(), &bytes[..object.len], page).is_err() => {
                return false;
            }
            Form::Packed => {}
            _ => machine.write_frame(cx.cpu(), page, 0, &bytes),
        }
        machine.hash_bytes(cx.cpu(), page) == check
    }

    /// Frees what the slot holds.
    pub(crate) fn erase<'m, M: Machine>(
        &self,
        cx: &mut Cx<'m, M, { level::CACHE }>,
        frames: &Frames<'m, M>,
        place: Place<'_>,
    ) {
        let Some((object, _)) = place.read(cx) else { return };
        // RELAXED: the slot's word orders it before its next use.
        cx.store(place.object, 0, Relaxed);
        if object.form == Form::Filled {
            return;
        }
        let mut held = self.lock.lock(cx);
        let taken = chunks_of(frames, object.frame);
        self.unlist(frames, object.frame, largest_gap(taken.get()));
        taken.set(taken.get() & !object.mask());
        if taken.get() == 0 {
            self.frames.sub(1);
            frames.put(held.at(), object.frame);
        } else {
            self.list(frames, object.frame, largest_gap(taken.get()));
        }
    }

    /// Takes so many chunks in a row, where the gap is smallest; a new frame if there is none.
    fn make_room<'m, M: Machine>(
        &self,
        cx: &mut Cx<'m, M, { level::CACHE }>,
        frames: &Frames<'m, M>,
        chunks: usize,
    ) -> Result<(Pfn, usize), Shortage> {
        {
            let _held = self.lock.lock(cx);
            if let Some(frame) = (chunks..=CHUNKS).find_map(|gap| self.first[gap].get()) {
                return Ok(self.take(frames, frame, chunks));
            }
        }
        // LINUX: who reclaims may go below all watermarks (`PF_MEMALLOC`): this frame frees others.
        let request = Request { reserve: Reserve::Oom, ..Request::kernel() };
        let frame = frames.allocate(cx.at(), &request)?;
        frames.descriptor(frame).set_state(cx, State::Slab);
        let _held = self.lock.lock(cx);
        chunks_of(frames, frame).set(0);
        self.list(frames, frame, CHUNKS);
        self.frames.add(1);
        Ok(self.take(frames, frame, chunks))
    }

    /// (store) Takes chunks of a listed frame that has so many in a row.
    fn take<M: Machine>(&self, frames: &Frames<'_, M>, frame: Pfn, chunks: usize) -> (Pfn, usize) {
        let taken = chunks_of(frames, frame);
        let chunk = first_gap(taken.get(), chunks).unwrap_or_default();
        self.unlist(frames, frame, largest_gap(taken.get()));
        taken.set(taken.get() | run(chunks) << chunk);
        self.list(frames, frame, largest_gap(taken.get()));
        (frame, chunk)
    }

    /// (store) Puts a frame into the list of its largest gap.
    fn list<M: Machine>(&self, frames: &Frames<'_, M>, frame: Pfn, gap: usize) {
        let next = self.first[gap].replace(Some(frame));
        links_of(frames, frame).set(Neighbours { before: None, next });
        if let Some(next) = next {
            let links = links_of(frames, next);
            links.set(Neighbours { before: Some(frame), ..links.get() });
        }
    }

    /// (store) Takes a frame out of the list of its largest gap.
    fn unlist<M: Machine>(&self, frames: &Frames<'_, M>, frame: Pfn, gap: usize) {
        let Neighbours { before, next } = links_of(frames, frame).get();
        match before.map(|before| links_of(frames, before)) {
            Some(links) => links.set(Neighbours { next, ..links.get() }),
            None => self.first[gap].set(next),
        }
        if let Some(links) = next.map(|next| links_of(frames, next)) {
            links.set(Neighbours { before, ..links.get() });
        }
    }

    /// Every frame of the store: for checkers of a quiet machine.
    pub(crate) fn for_each_frame<M: Machine>(&self, frames: &Frames<'_, M>, see: &mut dyn FnMut(Pfn)) {
        for first in &self.first {
            let mut next = first.get();
            while let Some(frame) = next {
                see(frame);
                next = links_of(frames, frame).get().next;
            }
        }
    }
}

/// Where the bytes of a slot are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stored {
    /// In a frame of the swap cache.
    Cached(Pfn),
    /// In this file, at the slot's page.
    File(machine::FileKey),
    /// Nowhere: they are one word over and over.
    Filled(u64),
    /// Compressed: so many of these.
    Packed(usize, [u8; PAGE]),
    /// As they were.
    Whole([u8; PAGE]),
}

/// What the two words of a slot lead to, on a quiet machine.
pub(crate) fn quiet_object<M: Machine>(machine: &M, object: u64, check: u64) -> Option<Stored> {
    let object = Object::from_bits(object)?;
    let mut bytes = [0; PAGE];
    if object.form != Form::Filled {
        read_bytes(machine, object, &mut bytes);
    }
    Some(match object.form {
        Form::Filled => Stored::Filled(check),
        Form::Packed => Stored::Packed(object.len, bytes),
        Form::Whole => Stored::Whole(bytes),
    })
}

/// (store) Which chunks of a frame are taken.
fn chunks_of<'m, M: Machine>(frames: &Frames<'m, M>, frame: Pfn) -> &'m Field<u64> {
    &cast_words(core::slice::from_ref(frames.descriptor(frame).owner_word()))[0]
}

/// (store) The frames next to a frame in its list.
fn links_of<'m, M: Machine>(frames: &Frames<'m, M>, frame: Pfn) -> &'m Field<Neighbours> {
    &cast_words(core::slice::from_ref(frames.descriptor(frame).link_word()))[0]
}

/// The words an object takes; none if it takes no room.
pub(crate) fn words_of<M: Machine>(machine: &M, object: Object) -> &[Field<u64>] {
    if object.len == 0 {
        return &[];
    }
    let words = machine.kernel_area(KernelFrame(object.frame), 1);
    let first = object.chunk * CHUNK / 8;
    &cast_words(words)[first..first + object.len.div_ceil(8)]
}

fn write_bytes<M: Machine>(machine: &M, object: Object, bytes: &[u8; PAGE]) {
    for (word, bytes) in words_of(machine, object).iter().zip(bytes.as_chunks::<8>().0) {
        word.set(u64::from_ne_bytes(*bytes));
    }
}

fn read_bytes<M: Machine>(machine: &M, object: Object, bytes: &mut [u8; PAGE]) {
    for (word, bytes) in words_of(machine, object).iter().zip(bytes.as_chunks_mut::<8>().0) {
        *bytes = word.get().to_ne_bytes();
    }
}

/// Bytes looked at or filled at a time.
const LOOK: usize = 256;

/// The word that a page consists of, if it is one over and over (Linux: `page_same_filled`).
fn filling<M: Machine, const L: u8>(cx: &Cx<'_, M, L>, page: machine::UserFrame) -> Option<u64> {
    if cx.machine().is_zero(cx.cpu(), page) {
        return Some(0);
    }
    let mut bytes = [0; LOOK];
    let mut word = None;
    for offset in (0..PAGE).step_by(LOOK) {
        cx.machine().read_frame(cx.cpu(), page, offset as u64, &mut bytes);
        let mut words = bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_ne_bytes(*bytes));
        let wanted = *word.get_or_insert(u64::from_ne_bytes(*bytes.first_chunk()?));
        if words.any(|word| word != wanted) {
            return None;
        }
    }
    word
}

fn fill<M: Machine, const L: u8>(cx: &Cx<'_, M, L>, page: machine::UserFrame, word: u64) {
    if word == 0 {
        let zero = machine::PageOp::Zero { to: page, order: machine::Order::ZERO };
        return cx.machine().page_op(cx.cpu(), zero);
    }
    let mut bytes = [0; LOOK];
    bytes.as_chunks_mut::<8>().0.fill(word.to_ne_bytes());
    for offset in (0..PAGE).step_by(LOOK) {
        cx.machine().write_frame(cx.cpu(), page, offset as u64, &bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_found_where_they_are() {
        assert_eq!((largest_gap(0), first_gap(0, 64)), (64, Some(0)));
        assert_eq!((largest_gap(u64::MAX), first_gap(u64::MAX, 1)), (0, None));
        let taken = !(0b111 << 20 | 0b1111 << 40);
        assert_eq!(largest_gap(taken), 4);
        assert_eq!([1, 3, 4, 5].map(|n| first_gap(taken, n)), [Some(20), Some(20), Some(40), None]);
    }

    #[test]
    fn an_object_survives_being_a_number() {
        for (form, chunk, len) in [(Form::Packed, 63, 64), (Form::Whole, 0, PAGE), (Form::Packed, 5, 1)] {
            let object = Object { form, frame: Pfn(u32::MAX), chunk, len };
            assert_eq!(Object::from_bits(object.to_bits()), Some(object));
        }
        assert_eq!(Object::from_bits(Object::FILLED.to_bits()), Some(Object::FILLED));
        assert_eq!(Object::from_bits(0), None);
    }
}
