//! Bytes of frames, which other threads may be changing at the same time.
//!
//! A program may store to a page while the kernel copies or compares it; a processor does not mind, but in
//! Rust plain reads and writes that race have no meaning, atomic ones that are wide are slow, and a reference
//! would promise that nobody writes. So all this is assembly on raw pointers: it does what the processor
//! does. What comes back may be torn, as on any machine; it is copied to where only one thread looks before
//! anybody interprets it.

use machine::PAGE_SIZE;
use std::arch::asm;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// Bytes that the loops look at in one go.
const STEP: usize = 64;
/// Bytes of a page.
pub(crate) const PAGE: usize = PAGE_SIZE as usize;

/// Fills bytes with zero.
///
/// # Safety
/// `len` bytes at `to` are mapped writable, and no reference to them lives but to atomics.
#[inline]
pub(crate) unsafe fn zero(to: NonNull<u8>, len: usize) {
    // SAFETY: writes `len` bytes at `to` (the caller's promise); the direction flag is clear by the ABI.
    unsafe {
        asm!("rep stosb", inout("rcx") len => _, inout("rdi") to.as_ptr() => _, in("al") 0u8,
            options(nostack, preserves_flags));
    }
}

/// Copies bytes.
///
/// # Safety
/// `len` bytes are mapped readable at `from` and writable at `to`, and do not overlap. Each side is memory
/// that is reached as atomics and raw pointers only, or the caller's own.
#[inline]
pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: reads and writes `len` bytes (the caller's promise); the direction flag is clear by the ABI.
    unsafe {
        asm!("rep movsb", inout("rcx") len => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags));
    }
}

/// A page's bytes, copied.
///
/// # Safety
/// A page is mapped readable at `from`.
#[inline]
pub(crate) unsafe fn page(from: NonNull<u8>) -> [u8; PAGE] {
    let mut bytes = MaybeUninit::<[u8; PAGE]>::uninit();
    // SAFETY: the caller promises one side, the other is `bytes`, all of which is written.
    unsafe {
        copy(bytes.as_mut_ptr().cast(), from.as_ptr(), PAGE);
        bytes.assume_init()
    }
}

/// The offset, a multiple of 64, of the first bytes of two pages that differ at or behind `start` (a multiple
/// of 64 below the page's size); the page's size if none do.
///
/// # Safety
/// Pages are mapped readable at `a` and `b`.
pub(crate) unsafe fn first_difference(a: NonNull<u8>, b: NonNull<u8>, start: usize) -> usize {
    let mut at = start;
    // SAFETY: reads the two pages, 64 bytes at a time, aligned as pages are.
    unsafe {
        asm!(
            "2:",
            "movdqa {x}, [{a} + {at}]",
            "movdqa {y}, [{a} + {at} + 16]",
            "movdqa {z}, [{a} + {at} + 32]",
            "movdqa {w}, [{a} + {at} + 48]",
            "pcmpeqb {x}, [{b} + {at}]",
            "pcmpeqb {y}, [{b} + {at} + 16]",
            "pcmpeqb {z}, [{b} + {at} + 32]",
            "pcmpeqb {w}, [{b} + {at} + 48]",
            "pand {x}, {y}",
            "pand {z}, {w}",
            "pand {x}, {z}",
            "pmovmskb {mask:e}, {x}",
            "cmp {mask:e}, 0xffff",
            "jne 3f",
            "add {at}, {step}",
            "cmp {at}, {page}",
            "jne 2b",
            "3:",
            a = in(reg) a.as_ptr(), b = in(reg) b.as_ptr(), at = inout(reg) at,
            mask = out(reg) _, x = out(xmm_reg) _, y = out(xmm_reg) _, z = out(xmm_reg) _, w = out(xmm_reg) _,
            step = const STEP, page = const PAGE,
            options(nostack, readonly),
        );
    }
    at
}

/// Whether a page holds zero bytes only.
///
/// # Safety
/// A page is mapped readable at `a`.
pub(crate) unsafe fn is_zero(a: NonNull<u8>) -> bool {
    let mut at = 0;
    // SAFETY: reads the page, 64 bytes at a time, aligned as pages are.
    unsafe {
        asm!(
            "pxor {none}, {none}",
            "2:",
            "movdqa {x}, [{a} + {at}]",
            "movdqa {y}, [{a} + {at} + 16]",
            "por {x}, [{a} + {at} + 32]",
            "por {y}, [{a} + {at} + 48]",
            "por {x}, {y}",
            "pcmpeqb {x}, {none}",
            "pmovmskb {mask:e}, {x}",
            "cmp {mask:e}, 0xffff",
            "jne 3f",
            "add {at}, {step}",
            "cmp {at}, {page}",
            "jne 2b",
            "3:",
            a = in(reg) a.as_ptr(), at = inout(reg) at, mask = out(reg) _,
            x = out(xmm_reg) _, y = out(xmm_reg) _, none = out(xmm_reg) _,
            step = const STEP, page = const PAGE,
            options(nostack, readonly),
        );
    }
    at == PAGE
}

/// Orders two pages by their bytes, the first that differ decide.
///
/// # Safety
/// Pages are mapped readable at `a` and `b`.
pub(crate) unsafe fn compare(a: NonNull<u8>, b: NonNull<u8>) -> std::cmp::Ordering {
    let mut start = 0;
    while start < PAGE {
        // SAFETY: the caller's promise.
        let at = unsafe { first_difference(a, b, start) };
        if at == PAGE {
            break;
        }
        let (mut left, mut right) = ([0u8; STEP], [0u8; STEP]);
        // SAFETY: `at` is a multiple of 64 inside the pages; the other sides are local.
        unsafe {
            copy(left.as_mut_ptr(), a.as_ptr().add(at), STEP);
            copy(right.as_mut_ptr(), b.as_ptr().add(at), STEP);
        }
        let order = left.cmp(&right);
        if order.is_ne() {
            return order;
        }
        // They were changed meanwhile, and are the same now.
        start = at + STEP;
    }
    std::cmp::Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(4096))]
    struct Page([u8; PAGE]);

    fn pointer(page: &mut Page) -> NonNull<u8> {
        NonNull::from(&mut page.0).cast()
    }

    #[test]
    fn each_byte_is_looked_at() {
        let mut zero_page = Page([0; PAGE]);
        for at in 0..PAGE {
            let mut other = Page([0; PAGE]);
            other.0[at] = 0x80;
            let (a, b) = (pointer(&mut zero_page), pointer(&mut other));
            // SAFETY: both are pages of this thread's own.
            unsafe {
                assert_eq!(first_difference(a, b, 0), at / STEP * STEP);
                assert_eq!(compare(a, b), std::cmp::Ordering::Less);
                assert_eq!(compare(b, a), std::cmp::Ordering::Greater);
                assert!(!is_zero(b) && is_zero(a));
            }
        }
        let a = pointer(&mut zero_page);
        // SAFETY: as above.
        unsafe { assert_eq!((first_difference(a, a, 0), compare(a, a)), (PAGE, std::cmp::Ordering::Equal)) };
    }

    #[test]
    fn bytes_are_copied_and_zeroed_and_no_others() {
        let mut from = Page(std::array::from_fn(|i| (i % 251) as u8));
        let mut to = Page([7; PAGE]);
        let target = pointer(&mut to).as_ptr();
        // SAFETY: inside pages of this thread's own.
        unsafe {
            copy(target.add(1), pointer(&mut from).as_ptr(), 100);
            zero(NonNull::new(target.add(50)).expect("not zero"), 3);
        }
        let expected: Vec<u8> = (0..100).map(|i| if (49..52).contains(&i) { 0 } else { i }).collect();
        assert_eq!((to.0[0], to.0[101]), (7, 7));
        assert_eq!(to.0[1..101], expected);
        // SAFETY: as above.
        assert_eq!(unsafe { page(pointer(&mut from)) }, from.0);
    }
}
