//! Where a boot loader would jump to.

use crate::demo;
use crate::runtime::stop;
use machine::Word;

/// The machine's memory. A kernel would take what the firmware reports.
static ARENA: [Word; demo::ARENA_WORDS] = [const { Word::new(0) }; demo::ARENA_WORDS];

// The stack pointer is whatever the loader left; a kernel would set one up here.
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "and rsp, -16",
    "call {start}",
    start = sym start,
);

extern "C" fn start() -> ! {
    // The result and the counts are looked at, so that nothing of the run can be left out.
    let end = demo::run(&ARENA, &mut |name, count| {
        core::hint::black_box((name, count));
    });
    core::hint::black_box(end.is_ok());
    stop()
}
