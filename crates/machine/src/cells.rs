//! Plain memory seen as typed shared structures.
//!
//! The manager's metadata lives in kernel frames: zeroed words. A type made only of [`Word`]s and [`Field`]s
//! can be laid over such words, because every bit pattern of them is a valid value and every access is
//! atomic. The [`crate::cells!`] macro declares such a type and proves the claim field by field.

use crate::Word;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU64, Ordering};

/// A type every bit pattern of which is valid, all of whose memory is accessed atomically, and whose
/// alignment is at most 64.
///
/// # Safety
/// Implementors are `repr(C)`, made of `Cells` only, and have no `Drop`.
pub unsafe trait Cells: Sync + Sized {}

// SAFETY: transparent over `AtomicU64`.
unsafe impl Cells for Word {}
// SAFETY: transparent over `AtomicU64`; the phantom type is never stored.
unsafe impl<T: FieldValue> Cells for Field<T> {}
// SAFETY: an array of cells is cells.
unsafe impl<T: Cells, const N: usize> Cells for [T; N] {}

/// What a [`Field`] can hold: anything that goes into 64 bits and comes back from any 64 bits.
pub trait FieldValue: Copy {
    /// The value as bits.
    fn to_bits(self) -> u64;
    /// The value from bits that `to_bits` gave, or zero.
    fn from_bits(bits: u64) -> Self;
}

/// 64 bits that a lock covers, or that need no order (statistics). Reading and writing are relaxed: never a
/// point where the simulator switches CPUs.
#[repr(transparent)]
pub struct Field<T: FieldValue>(AtomicU64, PhantomData<T>);

// SAFETY: only `u64` bits are shared; `T` is rebuilt by value.
unsafe impl<T: FieldValue> Sync for Field<T> {}
// SAFETY: as above.
unsafe impl<T: FieldValue> Send for Field<T> {}

impl<T: FieldValue> Field<T> {
    /// A field holding `value`.
    #[inline]
    pub fn new(value: T) -> Self {
        Field(AtomicU64::new(value.to_bits()), PhantomData)
    }

    /// The value.
    #[inline]
    pub fn get(&self) -> T {
        // RELAXED: the lock named at the field's declaration orders it.
        T::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// Replaces the value.
    #[inline]
    pub fn set(&self, value: T) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Replaces the value and answers what it was. Not one step: the field's lock is held.
    #[inline]
    pub fn replace(&self, value: T) -> T {
        let old = self.get();
        self.set(value);
        old
    }
}

impl Field<u64> {
    /// Adds (wrapping) under the field's lock, or to a CPU's own statistics.
    #[inline]
    pub fn add(&self, n: u64) {
        self.set(self.get().wrapping_add(n));
    }

    /// Subtracts (wrapping).
    #[inline]
    pub fn sub(&self, n: u64) {
        self.set(self.get().wrapping_sub(n));
    }

    /// Adds atomically: for statistics shared between CPUs.
    #[inline]
    pub fn add_shared(&self, n: u64) -> u64 {
        // RELAXED: a statistic orders nothing.
        self.0.fetch_add(n, Ordering::Relaxed).wrapping_add(n)
    }
}

impl<T: FieldValue + core::fmt::Debug> core::fmt::Debug for Field<T> {
    #[inline]
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.get().fmt(f)
    }
}

macro_rules! integer_fields {
    ($($t:ty),*) => {$(
        impl FieldValue for $t {
            #[inline]
            fn to_bits(self) -> u64 { self as u64 }
            #[inline]
            fn from_bits(bits: u64) -> Self { bits as $t }
        }
    )*};
}
integer_fields!(u8, u16, u32, u64, i64);

impl FieldValue for bool {
    #[inline]
    fn to_bits(self) -> u64 {
        self as u64
    }
    #[inline]
    fn from_bits(bits: u64) -> Self {
        bits != 0
    }
}

macro_rules! newtype_fields {
    ($($t:ident($inner:ty)),*) => {$(
        impl FieldValue for crate::$t {
            #[inline]
            fn to_bits(self) -> u64 { self.0 as u64 }
            #[inline]
            fn from_bits(bits: u64) -> Self { crate::$t(bits as $inner) }
        }
    )*};
}
newtype_fields!(
    Pfn(u32),
    Vpn(u64),
    VirtAddr(u64),
    Order(u8),
    NodeId(u8),
    CpuId(u32),
    TaskId(u32),
    Asid(u32),
    FileKey(u64)
);

/// A number below 2^63, so that its `Option` fits a field: stored as number + 1, and zeroed memory reads
/// `None`.
pub trait Number: Copy {
    /// The number.
    fn to_number(self) -> u64;
    /// What has this number.
    fn from_number(number: u64) -> Self;
}

impl<T: Number> FieldValue for Option<T> {
    #[inline]
    fn to_bits(self) -> u64 {
        self.map_or(0, |value| value.to_number() + 1)
    }
    #[inline]
    fn from_bits(bits: u64) -> Self {
        bits.checked_sub(1).map(T::from_number)
    }
}

macro_rules! numbers {
    ($($t:ident($inner:ty)),*) => {$(
        impl Number for crate::$t {
            #[inline]
            fn to_number(self) -> u64 { u64::from(self.0) }
            #[inline]
            fn from_number(number: u64) -> Self { crate::$t(number as $inner) }
        }
    )*};
}
numbers!(Pfn(u32), TaskId(u32), CpuId(u32));

/// Declares a structure of [`Word`]s, [`Field`]s and other cells that can live in kernel frames, and proves
/// it.
///
/// ```
/// machine::cells! {
///     /// A counter and its lock.
///     pub struct Example {
///         /// The lock.
///         pub lock: machine::lock::Spin<{ machine::level::ZONE }>,
///         /// (lock) How many.
///         pub count: machine::Field<u64>,
///     }
/// }
/// ```
#[macro_export]
macro_rules! cells {
    (
        $(#[$meta:meta])* $vis:vis struct $name:ident {
            $($(#[$fmeta:meta])* $fvis:vis $field:ident : $ty:ty),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[repr(C)]
        $vis struct $name { $($(#[$fmeta])* $fvis $field: $ty),* }
        const _: () = {
            #[inline]
            const fn is_cells<T: $crate::Cells>() {}
            $( is_cells::<$ty>(); )*
            assert!(!core::mem::needs_drop::<$name>());
        };
        // SAFETY: repr(C), every field is `Cells` (checked just above), nothing to drop.
        unsafe impl $crate::Cells for $name {}
    };
}

/// Lays `T`s over words: as many as fit.
///
/// # Panics
/// If the words are not aligned for `T` (a bug of the machine: kernel frames are page-aligned).
#[inline]
pub fn cast_words<T: Cells>(words: &[Word]) -> &[T] {
    let align = align_of::<T>();
    assert!(align <= 64 && (words.as_ptr() as usize).is_multiple_of(align));
    let n = size_of_val(words) / size_of::<T>();
    // SAFETY: 1. aligned (asserted) and within the words; 2. every bit pattern is a valid `T` and all of `T`
    // is accessed atomically (`Cells`), as is `Word`, so both views may coexist.
    unsafe { core::slice::from_raw_parts(words.as_ptr().cast::<T>(), n) }
}
