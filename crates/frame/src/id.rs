//! Names of objects in slabs.

use core::marker::PhantomData;
use machine::{FieldValue, Number};

/// Names an object of a [`crate::Slab`] of `T`s. A number, so that shared structures can hold it and only the
/// slab turns it into a reference.
pub struct Id<T> {
    raw: u32,
    of: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    /// The number.
    pub const fn raw(self) -> u32 {
        self.raw
    }

    /// The object of this number. Only a number that [`Id::raw`] gave names one.
    pub const fn from_raw(raw: u32) -> Self {
        Id { raw, of: PhantomData }
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl<T> Eq for Id<T> {}

impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.raw.cmp(&other.raw)
    }
}

impl<T> core::hash::Hash for Id<T> {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.raw.hash(state);
    }
}

impl<T> core::fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "#{}", self.raw)
    }
}

impl<T> FieldValue for Id<T> {
    fn to_bits(self) -> u64 {
        u64::from(self.raw)
    }
    fn from_bits(bits: u64) -> Self {
        Id::from_raw(bits as u32)
    }
}

impl<T> Number for Id<T> {
    fn to_number(self) -> u64 {
        u64::from(self.raw)
    }
    fn from_number(number: u64) -> Self {
        Id::from_raw(number as u32)
    }
}
