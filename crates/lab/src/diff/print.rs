//! Programs and answers, as people read them.

use std::fmt::Write;

use native::arena::{END, START};
use native::{Answer, Call, Op, Status, WAIT_ANY};

use super::names::{FILE_NAMES, Kind, errno_name, signature};
use super::program::MAP_FIXED;
#[cfg(test)]
use super::program::Program;

/// An address.
pub(crate) fn address(addr: u64) -> String {
    match addr {
        0 => "NULL".into(),
        START..=END => format!("A+{:#x}", addr - START),
        _ => format!("{addr:#x}"),
    }
}

fn bits(value: u64, names: &[(&str, u64)]) -> String {
    let mut left = value;
    let mut parts = Vec::new();
    for &(name, bits) in names {
        if bits != 0 && left & bits == bits {
            parts.push(name.to_owned());
            left &= !bits;
        }
    }
    let none = names.iter().find(|(_, bits)| *bits == 0);
    match (parts.is_empty(), none) {
        (true, Some((name, _))) if left == 0 => return (*name).into(),
        (true, _) => parts.push(format!("{left:#x}")),
        (false, _) if left != 0 => parts.push(format!("{left:#x}")),
        _ => {}
    }
    parts.join("|")
}

fn argument(kind: Kind, value: u64) -> String {
    match kind {
        Kind::Address | Kind::Landing => address(value),
        Kind::Number => format!("{value:#x}"),
        Kind::File => FILE_NAMES[(value as usize).min(FILE_NAMES.len() - 1)].into(),
        Kind::Process if value == WAIT_ANY => "any".into(),
        Kind::Process => format!("p{value}"),
        Kind::Bits(names) => bits(value, names),
        Kind::Named(names) => {
            let name = names.iter().find(|(_, number)| *number == value);
            name.map_or_else(|| format!("{value:#x}"), |(name, _)| (*name).into())
        }
    }
}

/// Whether the place of the mapping is the kernel's choice, so that its landing place matters.
fn may_land(op: &Op) -> bool {
    match op.call {
        Call::Mmap => op.args[3] & MAP_FIXED == 0,
        Call::Mremap => op.args[3] & 1 != 0,
        _ => false,
    }
}

/// One operation, as a statement.
pub(crate) fn operation(op: &Op) -> String {
    let (name, kinds) = signature(op.call);
    let shown = kinds.iter().zip(op.args).filter(|(kind, _)| **kind != Kind::Landing);
    let shown: Vec<String> = shown.map(|(kind, value)| argument(*kind, value)).collect();
    let mut text = format!("p{}: {name}({})", op.process, shown.join(", "));
    if let Some(place) = kinds.iter().position(|kind| *kind == Kind::Landing).filter(|_| may_land(op)) {
        let _ = write!(text, " -> {}", address(op.args[place]));
    }
    text + ";"
}

/// What an operation came to.
pub(crate) fn answer(op: &Op, answer: &Answer) -> String {
    match answer.status {
        Status::Good => match op.call {
            Call::Mmap | Call::Mremap | Call::Brk => address(answer.value),
            Call::Load | Call::Scan | Call::Mincore | Call::Wait | Call::PipeRead | Call::MemRead => {
                format!("{:#x}", answer.value)
            }
            Call::Layout => format!("{} mappings", answer.value),
            Call::Prctl => format!("{}", answer.value),
            Call::VmRead | Call::VmWrite | Call::MemWrite | Call::Splice => {
                format!("{:#x} bytes", answer.value)
            }
            Call::Execute if answer.value == 1 => "ran".into(),
            _ => "ok".into(),
        },
        Status::Errno(number) => errno_name(number),
        Status::Signal(number, code) => {
            let name = match number {
                7 => "SIGBUS",
                9 => "SIGKILL",
                11 => "SIGSEGV",
                _ => "signal",
            };
            let code = match (number, code) {
                (11, 1) => "SEGV_MAPERR".into(),
                (11, 2) => "SEGV_ACCERR".into(),
                (7, 2) => "BUS_ADRERR".into(),
                _ => format!("{number}, {code}"),
            };
            format!("{name} ({code})")
        }
        Status::Skipped => "not done".into(),
        Status::Homeless(number) => format!("placed outside of the arena, then {}", errno_name(number)),
    }
}

/// A program without answers; [`super::parse`] reads it.
#[cfg(test)]
pub(crate) fn program(program: &Program) -> String {
    let mut text = format!("memlock {:#x};\n", program.memlock);
    for op in &program.ops {
        text += &operation(op);
        text.push('\n');
    }
    text
}
