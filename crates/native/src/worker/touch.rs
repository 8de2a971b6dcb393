//! Loads, stores and calls that may fault.
//!
//! Each is one instruction at a known address. A handler of the signals looks whether the interrupted
//! instruction is one of them; then it notes signal and code in a register and goes on behind it. Any other
//! fault is a fault of the worker's own and ends the process.

use std::arch::global_asm;
use std::mem::MaybeUninit;

global_asm!(
    ".globl freehold_touch_load",
    "freehold_touch_load:",
    "xor edx, edx",
    "freehold_touch_load_at:",
    "mov rax, [rdi]",
    "freehold_touch_done:",
    "ret",
    ".globl freehold_touch_store",
    "freehold_touch_store:",
    "xor edx, edx",
    "xor eax, eax",
    "freehold_touch_store_at:",
    "mov [rdi], rsi",
    "ret",
    ".globl freehold_touch_call",
    "freehold_touch_call:",
    "xor edx, edx",
    "xor eax, eax",
    "call rdi",
    "freehold_touch_called:",
    "ret",
);

/// What an access came to, in two registers: the bytes, and 0 or signal and code.
#[repr(C)]
struct Touched {
    value: u64,
    signal: u64,
}

// SAFETY: the assembly above defines each with this signature, for the calling convention of C.
unsafe extern "C" {
    fn freehold_touch_load(addr: u64) -> Touched;
    fn freehold_touch_store(addr: u64, value: u64) -> Touched;
    fn freehold_touch_call(addr: u64) -> Touched;
    fn freehold_touch_load_at();
    fn freehold_touch_store_at();
    fn freehold_touch_done();
    fn freehold_touch_called();
}

/// A signal's number and code.
pub(super) type Signal = (u8, u8);

fn result(touched: Touched) -> Result<u64, Signal> {
    match touched.signal {
        0 => Ok(touched.value),
        signal => Err(((signal >> 8) as u8, signal as u8)),
    }
}

/// Loads eight bytes of the arena, or of where no program may.
pub(super) fn load(addr: u64) -> Result<u64, Signal> {
    // SAFETY: a load harms nobody, and if it faults the handler goes on behind it.
    result(unsafe { freehold_touch_load(addr) })
}

/// Stores eight bytes in the arena, or where no program may (`arena::is_harmless`).
pub(super) fn store(addr: u64, value: u64) -> Result<(), Signal> {
    // SAFETY: nothing of Rust's lies in the arena; if it faults the handler goes on behind it.
    result(unsafe { freehold_touch_store(addr, value) }).map(drop)
}

/// Calls the address, where a return instruction stands or nothing that can be executed.
pub(super) fn call(addr: u64) -> Result<(), Signal> {
    // SAFETY: the return instruction comes back at once; if the fetch faults the handler takes the call back.
    result(unsafe { freehold_touch_call(addr) }).map(drop)
}

/// The handler. It runs on the stack of who was interrupted.
unsafe extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::ucontext_t) {
    // SAFETY: the kernel passes both, and nobody else has them.
    let (info, registers) = unsafe { (&*info, &mut (*context).uc_mcontext.gregs) };
    let at = registers[libc::REG_RIP as usize];
    let is_at = |label: unsafe extern "C" fn()| at == label as usize as i64;
    if is_at(freehold_touch_load_at) || is_at(freehold_touch_store_at) {
        registers[libc::REG_RIP as usize] = freehold_touch_done as unsafe extern "C" fn() as usize as i64;
    } else if at == registers[libc::REG_RDI as usize] {
        // The call got as far as its target: what it pushed goes.
        registers[libc::REG_RSP as usize] += 8;
        registers[libc::REG_RIP as usize] = freehold_touch_called as unsafe extern "C" fn() as usize as i64;
    } else {
        super::sys::exit_now(98);
    }
    registers[libc::REG_RAX as usize] = 0;
    registers[libc::REG_RDX as usize] = i64::from(signal) << 8 | i64::from(info.si_code & 0xff);
}

/// Sets the handler up; processes made from here on inherit it.
pub(super) fn install() -> Result<(), String> {
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: all zero bits are a valid `sigaction`.
        let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        action.sa_sigaction = on_fault as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        // SAFETY: the structure is complete, and the handler touches only what it is passed.
        if unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } != 0 {
            return Err(format!("sigaction: {}", std::io::Error::last_os_error()));
        }
    }
    Ok(())
}
