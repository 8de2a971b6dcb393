//! Expressions.

use freehold::machine::PAGE_SIZE;

use super::error::ScriptError;
use super::lex::{Token, Words};
use super::limits;
use super::model::{Expr, FileWord, Operator, Sign, Value, WordAt};
use super::names::Names;

/// Reads expressions.
pub(super) struct Exprs<'w, 't> {
    words: &'w mut Words<'t>,
    names: &'w mut Names,
    depth: usize,
}

impl<'w, 't> Exprs<'w, 't> {
    pub(super) fn new(words: &'w mut Words<'t>, names: &'w mut Names) -> Self {
        Exprs { words, names, depth: 0 }
    }

    /// A whole expression.
    pub(super) fn whole(&mut self) -> Result<Expr, ScriptError> {
        let mut left = self.conjunction()?;
        while self.words.take("or")? {
            left = self.two(Operator::Or, left, Self::conjunction)?;
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> Result<Expr, ScriptError> {
        let mut left = self.comparison()?;
        while self.words.take("and")? {
            left = self.two(Operator::And, left, Self::comparison)?;
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<Expr, ScriptError> {
        if self.words.take("not")? {
            return self.deeper(|exprs| Ok(Expr::Not(Box::new(exprs.comparison()?))));
        }
        let left = self.sum()?;
        let operators = [
            ("==", Operator::Equal),
            ("!=", Operator::Unequal),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        for (symbol, operator) in operators {
            if self.words.take(symbol)? {
                return self.two(operator, left, Self::sum);
            }
        }
        if self.words.peek()? == Token::Symbol("=") {
            self.words.next()?;
            return Err(self.words.error("equality is written `==` here"));
        }
        Ok(left)
    }

    /// Terms added and subtracted.
    pub(super) fn sum(&mut self) -> Result<Expr, ScriptError> {
        let mut left = self.term()?;
        loop {
            let operator = match self.words.peek()? {
                Token::Symbol("+") => Operator::Add,
                Token::Symbol("-") => Operator::Subtract,
                _ => return Ok(left),
            };
            self.words.next()?;
            left = self.two(operator, left, Self::term)?;
        }
    }

    fn term(&mut self) -> Result<Expr, ScriptError> {
        match self.words.peek()? {
            Token::Number(number) => {
                self.words.next()?;
                Ok(Expr::Value(Value::Word(number)))
            }
            Token::Symbol("(") => {
                self.words.next()?;
                let inner = self.deeper(Self::whole)?;
                self.words.need(")")?;
                Ok(inner)
            }
            Token::Word("disk") => {
                self.words.next()?;
                self.file_word().map(Expr::Disk)
            }
            Token::Word("initial") => {
                self.words.next()?;
                self.file_word().map(Expr::Initial)
            }
            Token::Word("frame") => {
                self.words.next()?;
                self.word_at().map(|at| Expr::Frame(Box::new(at)))
            }
            Token::Word("copies") => {
                self.words.next()?;
                Ok(Expr::Copies)
            }
            Token::Word("spins") => {
                self.words.next()?;
                Ok(Expr::Spins)
            }
            Token::Word(word) => match Sign::named(word) {
                Some(sign) => {
                    self.words.next()?;
                    Ok(Expr::Value(Value::Sign(sign)))
                }
                None => self.names.variable(self.words).map(Expr::Variable),
            },
            _ => Err(self.words.unexpected("a value")),
        }
    }

    /// `F[1]+8`
    pub(super) fn file_word(&mut self) -> Result<FileWord, ScriptError> {
        let file = self.names.file(self.words)?;
        let page = self.page()?.map(Box::new);
        Ok(FileWord { file, page, offset: self.offset()? })
    }

    /// `a`, `a[1]`, `a[1]+8`
    pub(super) fn word_at(&mut self) -> Result<WordAt, ScriptError> {
        let region = self.names.region(self.words)?;
        let page = self.page()?;
        Ok(WordAt { region, page, offset: self.offset()? })
    }

    /// `[1]`, if it is there.
    pub(super) fn page(&mut self) -> Result<Option<Expr>, ScriptError> {
        if !self.words.take("[")? {
            return Ok(None);
        }
        let page = self.deeper(Self::sum)?;
        self.words.need("]")?;
        Ok(Some(page))
    }

    /// `+8`, if it is there.
    pub(super) fn offset(&mut self) -> Result<u64, ScriptError> {
        if !self.words.take("+")? {
            return Ok(0);
        }
        let offset = self.words.need_within("a byte of the page", 0, PAGE_SIZE - 8)?;
        if offset % 8 == 0 { Ok(offset) } else { Err(self.words.error("a multiple of 8 is wanted here")) }
    }

    fn two(
        &mut self,
        operator: Operator,
        left: Expr,
        right: impl FnOnce(&mut Self) -> Result<Expr, ScriptError>,
    ) -> Result<Expr, ScriptError> {
        let right = self.deeper(right)?;
        // A chain leans to the left: each link counts for the depth.
        self.depth += 1;
        if self.depth > limits::TERMS {
            return Err(self.words.error(format!("more than {} terms", limits::TERMS)));
        }
        Ok(Expr::Two(operator, Box::new((left, right))))
    }

    fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, ScriptError>,
    ) -> Result<T, ScriptError> {
        self.depth += 1;
        if self.depth > limits::TERMS {
            return Err(self.words.error(format!("more than {} terms", limits::TERMS)));
        }
        let answer = read(self)?;
        self.depth -= 1;
        Ok(answer)
    }
}
