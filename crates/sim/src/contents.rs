//! The bytes of user frames, kept sparsely: a base that needs no bytes, and the words written over it.

use crate::synthetic;
use machine::PAGE_SIZE;
use std::cmp::Ordering;

/// Words of a frame.
pub(crate) const WORDS: usize = (PAGE_SIZE / 8) as usize;
/// Beyond this many written words a frame is kept whole.
const FEW: usize = 48;
/// Frames whose states are kept together.
const CHUNK: usize = 64;
/// What poisoned bytes read as.
pub(crate) const POISON_WORD: u64 = 0xdead_beef_dead_beef;

/// What a frame holds where nothing was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Base {
    /// Nothing anybody may read: never filled, or discarded by its owner.
    #[default]
    Poison,
    /// Zero bytes.
    Zero,
    /// A page of a file, as nobody ever wrote it.
    File {
        /// The file.
        file: u64,
        /// The page in it.
        page: u64,
        /// Which contents of the file.
        version: u32,
    },
    /// One of many pages with equal bytes.
    Class(u64),
}

impl Base {
    pub(crate) fn word(self, index: usize) -> u64 {
        match self {
            Base::Poison => POISON_WORD,
            Base::Zero => 0,
            Base::File { file, page, version } => synthetic::file_word(file, page, version, index as u64),
            Base::Class(class) => synthetic::class_word(class, index as u64),
        }
    }
}

#[derive(Clone, Default)]
enum Words {
    #[default]
    None,
    One(u16, u64),
    /// Ascending.
    Few(Vec<(u16, u64)>),
    Full(Box<[u64; WORDS]>),
}

/// The bytes of one frame.
#[derive(Clone, Default)]
pub(crate) struct Content {
    base: Base,
    words: Words,
}

impl Content {
    pub(crate) fn of(base: Base) -> Content {
        let base = if base == Base::Class(0) { Base::Zero } else { base };
        Content { base, words: Words::None }
    }

    /// A page made word by word.
    pub(crate) fn from_words(word: impl FnMut(usize) -> u64) -> Content {
        let mut word = word;
        Content { base: Base::Zero, words: Words::Full(Box::new(std::array::from_fn(&mut word))) }
    }

    /// A page of these bytes, kept as sparsely as they allow.
    pub(crate) fn from_bytes(bytes: &[u8; PAGE_SIZE as usize]) -> Content {
        let word = |i: usize| u64::from_le_bytes(std::array::from_fn(|b| bytes[i * 8 + b]));
        let set = (0..WORDS).filter(|&i| word(i) != 0);
        if set.clone().count() > FEW {
            return Content::from_words(word);
        }
        let mut content = Content::of(Base::Zero);
        set.for_each(|i| content.set_word(i, word(i)));
        content
    }

    /// All bytes.
    pub(crate) fn bytes(&self) -> [u8; PAGE_SIZE as usize] {
        let mut bytes = [0; PAGE_SIZE as usize];
        self.read(0, &mut bytes);
        bytes
    }

    /// How many words lie over the base.
    pub(crate) fn written(&self) -> usize {
        match &self.words {
            Words::None => 0,
            Words::One(..) => 1,
            Words::Few(words) => words.len(),
            Words::Full(_) => WORDS,
        }
    }

    /// A word, and whether somebody gave it its value.
    #[inline]
    pub(crate) fn word(&self, index: usize) -> (u64, bool) {
        let written = match &self.words {
            Words::None => None,
            Words::One(at, value) => (usize::from(*at) == index).then_some(*value),
            Words::Few(words) => {
                words.binary_search_by_key(&(index as u16), |w| w.0).ok().map(|found| words[found].1)
            }
            Words::Full(words) => Some(words[index]),
        };
        match written {
            Some(value) => (value, true),
            None => (self.base.word(index), self.base != Base::Poison),
        }
    }

    #[inline]
    pub(crate) fn set_word(&mut self, index: usize, value: u64) {
        let at = index as u16;
        match &mut self.words {
            Words::None => self.words = Words::One(at, value),
            Words::One(known, old) if *known == at => *old = value,
            Words::One(known, old) => {
                let (one, two) = ((*known, *old), (at, value));
                self.words = Words::Few(vec![one.min(two), one.max(two)]);
            }
            Words::Few(words) => match words.binary_search_by_key(&at, |w| w.0) {
                Ok(found) => words[found].1 = value,
                Err(place) if words.len() < FEW => words.insert(place, (at, value)),
                Err(place) => {
                    // A poisoned base stays poison until every word has a value.
                    if self.base == Base::Poison && words.len() + 1 < WORDS {
                        words.insert(place, (at, value));
                        return;
                    }
                    let mut full = Box::new(std::array::from_fn(|i| self.base.word(i)));
                    for &(at, value) in words.iter() {
                        full[usize::from(at)] = value;
                    }
                    full[index] = value;
                    *self = Content { base: Base::Zero, words: Words::Full(full) };
                }
            },
            Words::Full(words) => words[index] = value,
        }
    }

    /// Reads bytes; answers whether all of them had been given a value.
    pub(crate) fn read(&self, offset: usize, into: &mut [u8]) -> bool {
        let mut known = true;
        let mut done = 0;
        while done < into.len() {
            let at = offset + done;
            let (word, given) = self.word(at / 8);
            known &= given;
            let bytes = &word.to_le_bytes()[at % 8..];
            let n = bytes.len().min(into.len() - done);
            into[done..done + n].copy_from_slice(&bytes[..n]);
            done += n;
        }
        known
    }

    /// Writes bytes.
    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) {
        if bytes.len() == WORDS * 8 {
            let word = |i: usize| std::array::from_fn(|b| bytes[i * 8 + b]);
            *self = Content::from_words(|i| u64::from_le_bytes(word(i)));
            return;
        }
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done;
            let n = (8 - at % 8).min(bytes.len() - done);
            let mut word = if n == 8 { [0; 8] } else { self.word(at / 8).0.to_le_bytes() };
            word[at % 8..at % 8 + n].copy_from_slice(&bytes[done..done + n]);
            self.set_word(at / 8, u64::from_le_bytes(word));
            done += n;
        }
    }

    /// Orders two frames by their bytes; answers too how many of them it takes to tell.
    pub(crate) fn compare(&self, other: &Content) -> (Ordering, usize) {
        let simple = |c: &Content| matches!(c.words, Words::None);
        if simple(self) && simple(other) && self.base == other.base {
            return (Ordering::Equal, WORDS * 8);
        }
        // Bytes at lower addresses decide, and a word's first byte is its least significant one.
        let order = |i: usize| self.word(i).0.swap_bytes().cmp(&other.word(i).0.swap_bytes());
        let first = (0..WORDS).map(|i| (order(i), (i + 1) * 8)).find(|(order, _)| order.is_ne());
        first.unwrap_or((Ordering::Equal, WORDS * 8))
    }

    /// Whether all bytes are zero; answers too how many of them it takes to tell.
    pub(crate) fn zero(&self) -> (bool, usize) {
        if self.base == Base::Zero && matches!(self.words, Words::None) {
            return (true, WORDS * 8);
        }
        match (0..WORDS).find(|&i| self.word(i).0 != 0) {
            Some(word) => (false, (word + 1) * 8),
            None => (true, WORDS * 8),
        }
    }

    /// A hash of the bytes, whatever the representation.
    pub(crate) fn hash(&self) -> u64 {
        let at = |i: usize, word: u64| synthetic::mix(word ^ synthetic::mix(i as u64 + 1));
        (0..WORDS).fold(0, |sum: u64, i| sum.wrapping_add(at(i, self.word(i).0)))
    }

    /// Whether nobody ever gave the bytes a value.
    pub(crate) fn is_poison(&self) -> bool {
        self.base == Base::Poison
    }
}

/// One frame: its bytes, and what was done with them.
#[derive(Clone, Default)]
pub(crate) struct Frame {
    pub(crate) content: Content,
    /// Which discard of all was the last of these bytes; 0: there was none.
    pub(crate) generation: u32,
    /// How many devices write them to a file and need them to stay as they are.
    pub(crate) held: u32,
}

/// All user frames of a machine; only those ever touched take host memory.
pub(crate) struct Contents {
    /// Number of the chunk + 1 of each group of frames.
    index: Vec<u32>,
    /// Boxed: growing the list must not move megabytes of frames.
    #[allow(clippy::vec_box)]
    chunks: Vec<Box<[Frame; CHUNK]>>,
    frames: u64,
    /// How many discards there were.
    discards: u32,
}

impl Contents {
    pub(crate) fn new(frames: u64) -> Contents {
        // Zeroed by the host, so that untouched parts of it are never committed.
        Contents {
            index: vec![0; frames.div_ceil(CHUNK as u64) as usize],
            chunks: Vec::new(),
            frames,
            discards: 0,
        }
    }

    /// A frame's state, if the frame exists and was ever touched.
    #[inline]
    pub(crate) fn get(&self, frame: u32) -> Option<&Frame> {
        let chunk = *self.index.get(frame as usize / CHUNK)?;
        let chunk = self.chunks.get((chunk as usize).checked_sub(1)?)?;
        Some(&chunk[frame as usize % CHUNK])
    }

    /// A frame's state; `None` past the end of memory.
    #[inline]
    pub(crate) fn get_mut(&mut self, frame: u32) -> Option<&mut Frame> {
        if u64::from(frame) >= self.frames {
            return None;
        }
        let slot = self.index.get_mut(frame as usize / CHUNK)?;
        if *slot == 0 {
            self.chunks.push(Box::new(std::array::from_fn(|_| Frame::default())));
            *slot = self.chunks.len() as u32;
        }
        let chunk = self.chunks.get_mut(*slot as usize - 1)?;
        Some(&mut chunk[frame as usize % CHUNK])
    }

    /// Counts a discard; answers its number.
    pub(crate) fn count_discard(&mut self) -> u32 {
        self.discards += 1;
        self.discards
    }

    /// How many discards there were.
    pub(crate) fn discards(&self) -> u32 {
        self.discards
    }

    /// Whether one of so many frames was discarded after that many discards.
    pub(crate) fn were_discarded(&self, first: u32, frames: u32, after: u32) -> bool {
        self.discards > after && (first..first + frames).any(|frame| self.generation(frame) > after)
    }

    /// Which discard was the frame's last: another number means that it was discarded meanwhile.
    #[inline]
    pub(crate) fn generation(&self, frame: u32) -> u32 {
        self.get(frame).map_or(0, |f| f.generation)
    }

    /// Whether the frame exists.
    pub(crate) fn exists(&self, frame: u32) -> bool {
        u64::from(frame) < self.frames
    }
}
