//! Reading programs that people wrote or `diff` kept.

use native::arena::{START, is_harmless};
use native::{Call, OPS_MAX, Op, SLOTS, WAIT_ANY};

use super::names::{FILE_NAMES, Kind, signature};
use super::program::Program;

/// What is wrong, and where: line and column, from 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wrong {
    line: usize,
    column: usize,
    what: String,
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.what)
    }
}

/// What is left of a line.
struct Line<'t> {
    whole: &'t str,
    rest: &'t str,
    number: usize,
}

/// What programs may lock if they do not say: Linux's default.
const MEMLOCK: u64 = 8 << 20;

/// Reads a program.
pub(crate) fn program(text: &str) -> Result<Program, Wrong> {
    let mut program = Program { memlock: MEMLOCK, ops: Vec::new() };
    for (number, whole) in text.lines().enumerate() {
        let code = whole.split("//").next().unwrap_or_default().trim_end();
        let mut line = Line { whole, rest: code, number: number + 1 };
        line.skip_blanks();
        if line.rest.is_empty() {
            continue;
        }
        if line.take("memlock") {
            program.memlock = line.number("a number of bytes")?;
        } else {
            let op = line.operation()?;
            program.ops.push(op);
        }
        line.take(";");
        line.skip_blanks();
        if !line.rest.is_empty() {
            return Err(line.wrong("the line should end here"));
        }
        if program.ops.len() > OPS_MAX {
            return Err(line.wrong(&format!("more than {OPS_MAX} operations")));
        }
    }
    Ok(program)
}

impl Line<'_> {
    fn wrong(&self, what: &str) -> Wrong {
        let left = self.rest.len();
        let code = self.whole.split("//").next().unwrap_or_default().trim_end();
        Wrong { line: self.number, column: code.len() - left.min(code.len()) + 1, what: what.into() }
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Whether the text comes next; then it is behind us.
    fn take(&mut self, text: &str) -> bool {
        self.skip_blanks();
        let after = self.rest.strip_prefix(text);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn must_have(&mut self, text: &str) -> Result<(), Wrong> {
        if self.take(text) { Ok(()) } else { Err(self.wrong(&format!("`{text}` is missing"))) }
    }

    /// Letters, digits and underscores.
    fn word(&mut self) -> &str {
        self.skip_blanks();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        word
    }

    fn number(&mut self, what: &str) -> Result<u64, Wrong> {
        self.skip_blanks();
        let at = self.wrong(&format!("{what} is missing"));
        parse_number(self.word()).ok_or(at)
    }

    fn process(&mut self) -> Result<u64, Wrong> {
        self.skip_blanks();
        let at = self.wrong(&format!("a process is missing: p0 to p{}", SLOTS - 1));
        let number = self.word().strip_prefix('p').and_then(|digits| digits.parse().ok());
        number.filter(|&number| number < SLOTS as u64).ok_or(at)
    }

    fn operation(&mut self) -> Result<Op, Wrong> {
        let start = self.wrong("the operation would reach beyond the arena, or makes no sense");
        let process = self.process()? as u8;
        self.must_have(":")?;
        self.skip_blanks();
        let unknown = self.wrong("there is no such operation");
        let name = self.word();
        let call = Call::ALL.iter().find(|call| signature(**call).0 == name).ok_or(unknown)?;
        let mut op = Op { process, call: *call, args: [0; 7] };
        self.must_have("(")?;
        let kinds = signature(*call).1;
        for (number, kind) in kinds.iter().enumerate().filter(|(_, kind)| **kind != Kind::Landing) {
            if number > 0 {
                self.must_have(",")?;
            }
            op.args[number] = self.argument(*kind)?;
        }
        self.must_have(")")?;
        if let Some(place) = kinds.iter().position(|kind| *kind == Kind::Landing) {
            op.args[place] = if self.take("->") { self.argument(Kind::Address)? } else { START };
        }
        if is_harmless(&op) { Ok(op) } else { Err(start) }
    }

    fn argument(&mut self, kind: Kind) -> Result<u64, Wrong> {
        match kind {
            Kind::Address | Kind::Landing => self.address(),
            Kind::Number => self.number("a number"),
            Kind::Process if self.take("any") => Ok(WAIT_ANY),
            Kind::Process => self.process(),
            Kind::File => self.file(),
            Kind::Bits(names) => {
                let mut value = self.named(names)?;
                while self.take("|") {
                    value |= self.named(names)?;
                }
                Ok(value)
            }
            Kind::Named(names) => self.named(names),
        }
    }

    fn address(&mut self) -> Result<u64, Wrong> {
        if self.take("NULL") {
            return Ok(0);
        }
        if !self.take("A") {
            return self.number("an address (A, A+0x1000, NULL)");
        }
        let offset = if self.take("+") { self.number("an offset")? } else { 0 };
        START.checked_add(offset).ok_or_else(|| self.wrong("the offset is too large"))
    }

    fn file(&mut self) -> Result<u64, Wrong> {
        self.skip_blanks();
        let at = self.wrong(&format!("a file is missing: one of {}", FILE_NAMES.join(", ")));
        if self.take("-1") {
            return Ok(FILE_NAMES.len() as u64 - 1);
        }
        let name = self.word();
        FILE_NAMES.iter().position(|known| *known == name).map(|n| n as u64).ok_or(at)
    }

    fn named(&mut self, names: &[(&str, u64)]) -> Result<u64, Wrong> {
        self.skip_blanks();
        let first = names.first().map_or("0", |(name, _)| name);
        let at = self.wrong(&format!("a number, or a name such as {first}, is missing"));
        let word = self.word();
        let known = names.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
        known.or_else(|| parse_number(word)).ok_or(at)
    }
}

fn parse_number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::generate::Generator;
    use super::super::host::Host;
    use super::super::print;
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        for seed in 0..50 {
            let program_made = Generator::new(seed, &Host::typical()).program(300);
            let text = print::program(&program_made);
            let read = program(&text).unwrap_or_else(|wrong| panic!("{wrong}\n{text}"));
            assert_eq!(print::program(&read), text);
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, expected) in [
            ("p0: mmap(A, 0x1000", "1:19: `,` is missing"),
            ("\n  p9: munmap(A, 1)", "2:3: a process is missing: p0 to p7"),
            ("p0: mumap(A, 1)", "1:5: there is no such operation"),
            ("p0: munmap(B, 1)", "1:12: an address (A, A+0x1000, NULL) is missing"),
            ("p0: munmap(A, 0x400000000000)", "1:1: the operation would reach beyond"),
            ("p0: layout() 7", "1:14: the line should end here"),
            ("memlock many", "1:9: a number of bytes is missing"),
            ("p0: fsync(tape)", "1:11: a file is missing"),
            ("p0: madvise(A, 1, NOW)", "1:19: a number, or a name such as MADV_NORMAL"),
        ] {
            let wrong = program(text).expect_err(text).to_string();
            assert!(wrong.starts_with(expected), "{text}: {wrong}");
        }
    }
}
