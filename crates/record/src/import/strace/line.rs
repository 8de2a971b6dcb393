//! The shape of a line, without what it means.

use winnow::Parser;
use winnow::ascii::{digit1, space0, space1};
use winnow::combinator::{opt, preceded};
use winnow::error::ContextError;
use winnow::token::{rest, take_while};

/// A line: who, when (in nanoseconds since 1970), and what.
pub(super) struct Line<'a> {
    pub(super) tid: u32,
    pub(super) at: u64,
    pub(super) text: Text<'a>,
}

/// What follows pid and time.
pub(super) enum Text<'a> {
    /// A call from its name to its result.
    Whole(&'a str),
    /// The first half of a call.
    Unfinished(&'a str),
    /// The second half, without the words that announce it.
    Resumed(&'a str),
    /// The task ended.
    Ended,
    /// A signal or a stop.
    Signal,
}

/// A call in its parts.
pub(super) struct CallText {
    pub(super) name: String,
    pub(super) args: Vec<String>,
    /// What it returned, or a negated errno; nothing where it never returned.
    pub(super) ret: Option<i64>,
    /// How long it took, in nanoseconds.
    pub(super) lasted: Option<u64>,
}

impl<'a> Line<'a> {
    /// `PID SECONDS.FRACTION TEXT`.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        let mut head = (digit1::<_, ContextError>.parse_to(), space1, nanoseconds, space0, rest);
        let (tid, _, at, _, text) = head.parse(line).ok()?;
        Some(Self { tid, at, text: Text::parse(text.trim_end()) })
    }
}

impl<'a> Text<'a> {
    fn parse(text: &'a str) -> Self {
        if text.starts_with("+++") {
            return Self::Ended;
        }
        if text.starts_with("---") {
            return Self::Signal;
        }
        if let Some(half) = text.strip_suffix("<unfinished ...>") {
            return Self::Unfinished(half);
        }
        match text.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            Some((_, rest)) => Self::Resumed(rest),
            None => Self::Whole(text),
        }
    }
}

/// A time in seconds with up to nine decimals, in nanoseconds.
fn nanoseconds(input: &mut &str) -> winnow::Result<u64> {
    let seconds: u64 = digit1.parse_to().parse_next(input)?;
    let decimals = opt(preceded('.', digit1)).parse_next(input)?.unwrap_or("");
    let mut fraction = 0;
    for index in 0..9 {
        let digit = decimals.as_bytes().get(index).map_or(0, |byte| u64::from(byte - b'0'));
        fraction = fraction * 10 + digit;
    }
    Ok(seconds.saturating_mul(1_000_000_000).saturating_add(fraction))
}

/// `NAME(ARGS) = RESULT <SECONDS>`.
pub(super) fn call(text: &str) -> Option<CallText> {
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (name, inside) =
        (take_while::<_, _, ContextError>(1.., name), preceded('(', rest)).parse(text).ok()?;
    let (args, after) = split_args(inside)?;
    let result = after.trim_start().strip_prefix('=')?.trim();
    let (result, lasted) = match result.rsplit_once(" <") {
        Some((result, lasted)) => {
            (result, lasted.strip_suffix('>').and_then(|text| nanoseconds.parse(text).ok()))
        }
        None => (result, None),
    };
    Some(CallText { name: name.to_owned(), args, ret: parse_result(result), lasted })
}

/// Splits `A, B(C, D), "E, F") REST` at the commas that belong to no inner bracket or text, and
/// gives what follows the closing parenthesis.
fn split_args(text: &str) -> Option<(Vec<String>, &str)> {
    let mut args = Vec::new();
    let (mut depth, mut start, mut quoted, mut escaped) = (0u32, 0, false, false);
    let mut before = ' ';
    let mut in_path = false;
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if !in_path => quoted = !quoted,
            _ if quoted => {}
            '>' if in_path => in_path = false,
            _ if in_path => {}
            '<' if before.is_ascii_digit() => in_path = true,
            ')' if depth == 0 => {
                let last = text[start..index].trim();
                if !last.is_empty() || !args.is_empty() {
                    args.push(last.to_owned());
                }
                return Some((args, &text[index + 1..]));
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => {
                args.push(text[start..index].trim().to_owned());
                start = index + 1;
            }
            _ => {}
        }
        before = c;
    }
    None
}

/// `0x7f00`, `0`, `-1 ENOMEM (Cannot allocate memory)` or `?`.
fn parse_result(text: &str) -> Option<i64> {
    let mut words = text.split_whitespace();
    let first = words.next()?;
    let value = match first.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()? as i64,
        None => first.split('<').next()?.parse().ok()?,
    };
    match words.next() {
        Some(name) if value == -1 => Some(-super::number::errno(name)),
        _ => Some(value),
    }
}
