//! One line of Lackey's output.

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// An instruction was fetched: one tick of the clock.
    Fetch { addr: u64, len: u64 },
    /// A load.
    Load { addr: u64, len: u64 },
    /// A store.
    Store { addr: u64, len: u64 },
    /// A load and a store of the same bytes.
    Modify { addr: u64, len: u64 },
    /// A call began; its result follows here or in a later line of the same thread.
    Call { thread: u32, number: u64, args: Args, result: Option<CallResult> },
    /// A call made a process.
    Fork { thread: u32, child: u32 },
    /// A call that began earlier returned.
    Return { thread: u32, number: u64, result: CallResult },
    /// Anything else.
    Other,
}

/// The first six arguments of a call, as many as were printed, and the first text among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Args {
    pub(super) values: [u64; 6],
    pub(super) text: Option<String>,
}

/// What a call returned: a value or an errno.
pub(super) type CallResult = Result<u64, u64>;

impl Line {
    /// Reads a line without its end.
    pub(super) fn parse(line: &[u8]) -> Self {
        match line {
            [b'I', b' ', b' ', rest @ ..] => Self::access(rest, |addr, len| Self::Fetch { addr, len }),
            [b' ', b'L', b' ', rest @ ..] => Self::access(rest, |addr, len| Self::Load { addr, len }),
            [b' ', b'S', b' ', rest @ ..] => Self::access(rest, |addr, len| Self::Store { addr, len }),
            [b' ', b'M', b' ', rest @ ..] => Self::access(rest, |addr, len| Self::Modify { addr, len }),
            [b'S', b'Y', b'S', ..] => {
                let text = String::from_utf8_lossy(line);
                Self::call(&text).unwrap_or(Self::Other)
            }
            _ => Self::Other,
        }
    }

    /// `ADDRESS,LENGTH`, the first hexadecimal, the second decimal.
    fn access(text: &[u8], make: impl FnOnce(u64, u64) -> Self) -> Self {
        let mut addr = 0u64;
        let mut bytes = text.iter();
        for &byte in bytes.by_ref() {
            if byte == b',' {
                break;
            }
            let Some(digit) = (byte as char).to_digit(16) else { return Self::Other };
            addr = addr << 4 | u64::from(digit);
        }
        let mut len = 0u64;
        for &byte in bytes {
            let Some(digit) = (byte as char).to_digit(10) else { return Self::Other };
            len = len.saturating_mul(10).saturating_add(digit.into());
        }
        make(addr, len)
    }

    /// `SYSCALL[PID,THREAD](NUMBER) NAME ( ARGS ) --> [how] Success(0xVALUE)`, where the part from
    /// the arrow may come in a line of its own with `...` in place of name and arguments.
    fn call(text: &str) -> Option<Self> {
        let (_, rest) = text.strip_prefix("SYSCALL[")?.split_once(',')?;
        let (thread, rest) = rest.split_once("](")?;
        let (number, rest) = rest.split_once(')')?;
        let (thread, number) = (thread.parse().ok()?, number.parse().ok()?);
        if let Some((_, child)) = rest.rsplit_once(" created child ") {
            return Some(Self::Fork { thread, child: child.trim().parse().ok()? });
        }
        let result = result(rest);
        if rest.starts_with(" ... ") {
            return Some(Self::Return { thread, number, result: result? });
        }
        let (_, args) = rest.split_once('(')?;
        Some(Self::Call { thread, number, args: Args::parse(args), result })
    }
}

impl Args {
    /// ` 0x1, 2, 0x3(text), 4 ) ...`: numbers in two bases, some followed by what they point to.
    fn parse(text: &str) -> Self {
        let mut args = Self::default();
        let mut rest = text;
        for value in &mut args.values {
            rest = rest.trim_start_matches([' ', ',']);
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
            let Some(number) = parse_number(&rest[..end]) else { break };
            *value = number;
            rest = &rest[end..];
            if let Some(inner) = rest.strip_prefix('(') {
                let Some(close) = inner.find("), ").or_else(|| inner.find(')')) else { break };
                args.text.get_or_insert_with(|| inner[..close].to_owned());
                rest = &inner[close + 1..];
            }
        }
        args
    }
}

fn parse_number(text: &str) -> Option<u64> {
    match (text.strip_prefix("0x"), text.strip_prefix('-')) {
        (Some(hex), _) => u64::from_str_radix(hex, 16).ok(),
        (None, Some(negative)) => negative.parse::<u64>().ok().map(u64::wrapping_neg),
        (None, None) => text.parse().ok(),
    }
}

fn result(text: &str) -> Option<CallResult> {
    let value = |word: &str| {
        let (_, rest) = text.rsplit_once(word)?;
        parse_number(rest.split_once(')')?.0)
    };
    value("Success(").map(Ok).or_else(|| value("Failure(").map(Err))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses() {
        assert_eq!(Line::parse(b"I  0401ab70,3"), Line::Fetch { addr: 0x401_ab70, len: 3 });
        assert_eq!(Line::parse(b" S 1fff000778,8"), Line::Store { addr: 0x1f_ff00_0778, len: 8 });
        assert_eq!(Line::parse(b" M 4035000,16"), Line::Modify { addr: 0x403_5000, len: 16 });
        assert_eq!(Line::parse(b" L xyz,16"), Line::Other);
        assert_eq!(Line::parse(b"hello"), Line::Other);
    }

    #[test]
    fn calls() {
        let line = b"SYSCALL[7,2](9) sys_mmap ( 0x0, 8192, 3, 34, 4294967295, 0 ) --> [pre-success] \
            Success(0x4835000) ";
        let args = Args { values: [0, 8192, 3, 34, 0xffff_ffff, 0], text: None };
        let result = Some(Ok(0x483_5000));
        assert_eq!(Line::parse(line), Line::Call { thread: 2, number: 9, args, result });
    }

    #[test]
    fn negative_arguments() {
        let line = b"SYSCALL[7,1](29) sys_shmget ( -2, 56, 896 ) --> [pre-success] Success(0x1) ";
        let Line::Call { args, .. } = Line::parse(line) else { panic!("no call") };
        assert_eq!(args.values[..3], [u64::MAX - 1, 56, 896]);
    }

    #[test]
    fn forks() {
        let line = b"SYSCALL[7,1](56) sys_clone ( 1200011, 0x0 )   clone(fork): process 7 created child 8";
        assert_eq!(Line::parse(line), Line::Fork { thread: 1, child: 8 });
    }

    #[test]
    fn calls_that_return_later() {
        let line = b"SYSCALL[7,1](257) sys_openat ( 4294967196, 0x1ff(/etc/a, b), 524288 ) --> [async] ... ";
        let Line::Call { args, result, .. } = Line::parse(line) else { panic!("no call") };
        assert_eq!((args.text.as_deref(), args.values[2], result), (Some("/etc/a, b"), 524_288, None));
        let line = b"SYSCALL[7,1](257) ... [async] --> Failure(0x2) ";
        assert_eq!(Line::parse(line), Line::Return { thread: 1, number: 257, result: Err(2) });
    }
}
