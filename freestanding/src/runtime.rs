//! What std and the C library bring along otherwise: a panic handler, two names the precompiled core refers
//! to, and the functions the compiler itself calls to move memory.

use core::arch::{asm, global_asm};

/// Stops the CPU for good.
pub(crate) fn stop() -> ! {
    loop {
        // SAFETY: halting touches neither memory nor registers; the next interrupt only starts the next turn.
        unsafe { asm!("hlt", options(nomem, nostack, preserves_flags)) };
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    stop()
}

/// Named by the unwind tables of the precompiled core. Never called: panics abort.
// SAFETY: no other definition of this name is linked.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// Called by the precompiled core's landing pads, which nothing enters: panics abort.
// SAFETY: no other definition of this name is linked.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    stop()
}

// In assembly, because the compiler may turn a Rust loop that copies into a call of memcpy: of itself.
// Arguments are in rdi, rsi and rdx; the direction flag is clear (System V ABI).
global_asm!(
    ".globl memcpy, memmove, memset, memcmp, bcmp",
    "memcpy:",
    "mov rax, rdi",
    "mov rcx, rdx",
    "rep movsb",
    "ret",
    "memmove:",
    "mov rax, rdi",
    "mov rcx, rdx",
    "mov r8, rdi",
    "sub r8, rsi",
    "cmp r8, rdx",
    "jb 2f", // The destination starts inside the source: copy backwards.
    "rep movsb",
    "ret",
    "2:",
    "lea rdi, [rdi + rdx - 1]",
    "lea rsi, [rsi + rdx - 1]",
    "std",
    "rep movsb",
    "cld",
    "ret",
    "memset:",
    "mov r8, rdi",
    "mov eax, esi",
    "mov rcx, rdx",
    "rep stosb",
    "mov rax, r8",
    "ret",
    "memcmp:",
    "bcmp:",
    "xor eax, eax",
    "mov rcx, rdx",
    "test rcx, rcx",
    "jz 3f",
    "repe cmpsb",
    "movzx eax, byte ptr [rdi - 1]",
    "movzx ecx, byte ptr [rsi - 1]",
    "sub ecx, eax",
    "mov eax, ecx",
    "3:",
    "ret",
);
