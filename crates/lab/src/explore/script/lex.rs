//! Lines and their words.

use super::error::ScriptError;

/// A line that says something.
#[derive(Clone, Debug)]
pub(super) struct Line<'t> {
    pub(super) number: u32,
    /// Blanks before it.
    pub(super) indent: usize,
    /// Without these blanks, and without blanks at its end.
    pub(super) text: &'t str,
}

/// A word of a line.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Token<'t> {
    Word(&'t str),
    Number(u64),
    Symbol(&'static str),
    /// The line is over.
    End,
}

/// The longest first.
const SYMBOLS: [&str; 19] =
    ["->", "..", "==", "!=", "<=", ">=", "<", ">", "=", "+", "-", "[", "]", "{", "}", "(", ")", ",", ":"];

/// The lines that are neither empty nor all comment.
pub(super) fn lines(text: &str) -> Result<Vec<Line<'_>>, ScriptError> {
    let mut found = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let trimmed = line.trim_start_matches(' ');
        let indent = line.len() - trimmed.len();
        let odd = trimmed.char_indices().find(|(_, c)| c.is_control() && *c != '\r');
        if let Some((at, c)) = odd {
            let column = column_of(line, indent + at);
            let name = if c == '\t' {
                "a tab: indent with blanks".into()
            } else {
                format!("the control character {c:?}")
            };
            return Err(ScriptError::new(number, column, name));
        }
        let trimmed = trimmed.trim_end();
        if !trimmed.is_empty() && !trimmed.starts_with('#') {
            found.push(Line { number, indent, text: trimmed });
        }
    }
    Ok(found)
}

fn column_of(line: &str, byte: usize) -> u32 {
    line[..byte].chars().count() as u32 + 1
}

/// The words of a line, one after the other.
#[derive(Clone)]
pub(super) struct Words<'t> {
    line: Line<'t>,
    /// Bytes of the line that are read.
    at: usize,
    /// Where the word last read starts.
    last: usize,
}

impl<'t> Words<'t> {
    /// Of a line, without the comment at its end.
    pub(super) fn of(line: &Line<'t>) -> Words<'t> {
        let text = line.text.split('#').next().unwrap_or("").trim_end();
        Words { line: Line { text, ..line.clone() }, at: 0, last: 0 }
    }

    /// The text without the comment.
    pub(super) fn text(&self) -> &'t str {
        self.line.text
    }

    /// The next word, which stays.
    pub(super) fn peek(&self) -> Result<Token<'t>, ScriptError> {
        self.clone().next()
    }

    /// The next word.
    pub(super) fn next(&mut self) -> Result<Token<'t>, ScriptError> {
        let rest = &self.line.text[self.at..];
        let word = rest.trim_start();
        self.at += rest.len() - word.len();
        self.last = self.at;
        let Some(first) = word.chars().next() else { return Ok(Token::End) };
        if first.is_ascii_digit() {
            return self.number(word);
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let end = word.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(word.len());
            self.at += end;
            return Ok(Token::Word(&word[..end]));
        }
        match SYMBOLS.iter().find(|symbol| word.starts_with(**symbol)) {
            Some(symbol) => {
                self.at += symbol.len();
                Ok(Token::Symbol(symbol))
            }
            None => Err(self.error(format!("`{first}` means nothing here"))),
        }
    }

    fn number(&mut self, word: &'t str) -> Result<Token<'t>, ScriptError> {
        let end = word.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(word.len());
        let digits = word[..end].replace('_', "");
        let number = match digits.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => digits.parse(),
        };
        let number = number.map_err(|_| self.error(format!("`{}` is no number of 64 bits", &word[..end])))?;
        self.at += end;
        Ok(Token::Number(number))
    }

    /// Takes the next word if it is this one.
    pub(super) fn take(&mut self, wanted: &str) -> Result<bool, ScriptError> {
        let found = match self.peek()? {
            Token::Word(word) => word == wanted,
            Token::Symbol(symbol) => symbol == wanted,
            _ => false,
        };
        if found {
            self.next()?;
        }
        Ok(found)
    }

    /// Takes the next word, which must be this one.
    pub(super) fn need(&mut self, wanted: &str) -> Result<(), ScriptError> {
        if self.take(wanted)? { Ok(()) } else { Err(self.unexpected(&format!("`{wanted}`"))) }
    }

    /// Takes a number.
    pub(super) fn need_number(&mut self, what: &str) -> Result<u64, ScriptError> {
        match self.peek()? {
            Token::Number(number) => {
                self.next()?;
                Ok(number)
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// Takes a number within limits.
    pub(super) fn need_within(&mut self, what: &str, least: u64, most: u64) -> Result<u64, ScriptError> {
        let number = self.need_number(what)?;
        if number < least || number > most {
            return Err(self.error(format!("{what} is from {least} to {most}")));
        }
        Ok(number)
    }

    /// Takes a word of letters.
    pub(super) fn need_word(&mut self, what: &str) -> Result<&'t str, ScriptError> {
        match self.peek()? {
            Token::Word(word) => {
                self.next()?;
                Ok(word)
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// The line must be over.
    pub(super) fn need_end(&mut self) -> Result<(), ScriptError> {
        if self.peek()? == Token::End { Ok(()) } else { Err(self.unexpected("the end of the line")) }
    }

    /// The next word is not what is wanted.
    pub(super) fn unexpected(&mut self, wanted: &str) -> ScriptError {
        let found = match self.next() {
            Ok(Token::Word(word)) => format!("`{word}`"),
            Ok(Token::Number(number)) => number.to_string(),
            Ok(Token::Symbol(symbol)) => format!("`{symbol}`"),
            Ok(Token::End) => "the end of the line".into(),
            Err(error) => return error,
        };
        self.error(format!("{wanted} is wanted here, not {found}"))
    }

    /// Something is wrong with the word last read.
    pub(super) fn error(&self, message: impl Into<String>) -> ScriptError {
        ScriptError::new(self.line.number, self.column(), message)
    }

    /// Where the word last read starts.
    pub(super) fn column(&self) -> u32 {
        self.line.indent as u32 + column_of(self.line.text, self.last)
    }

    /// Where the next word starts.
    pub(super) fn next_column(&self) -> u32 {
        let mut ahead = self.clone();
        let _ = ahead.next();
        ahead.column()
    }

    pub(super) fn line(&self) -> u32 {
        self.line.number
    }
}
