//! What steps are made of: names, places, values, expressions.

use freehold::linux::Errno;

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident),*) => {
        $($(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub struct $name(pub usize);)*
    };
}

numbers! {
    /// A process, by its place in [`super::Scenario::processes`]. The first one is there from the start.
    ProcessName,
    /// A file, by its place in [`super::Scenario::files`].
    FileName,
    /// A region, by its place in [`super::Scenario::regions`].
    RegionName,
    /// A variable, by its place in [`super::Scenario::variables`].
    VariableName,
    /// An event, by its place in [`super::Scenario::events`].
    EventName,
    /// Pages that are held; pins, references and fixed buffers have one row of names.
    PinName,
    /// A pipe.
    PipeName
}

/// Pages of a region: all of it, one, or some.
#[derive(Clone, PartialEq, Debug)]
pub struct Pages {
    /// The region.
    pub region: RegionName,
    /// The first page; all of the region without.
    pub first: Option<Expr>,
    /// The page after the last; one page without.
    pub end: Option<Expr>,
}

/// A word of a region.
#[derive(Clone, PartialEq, Debug)]
pub struct WordAt {
    /// The region.
    pub region: RegionName,
    /// The page of it.
    pub page: Option<Expr>,
    /// The byte of the page: a multiple of 8.
    pub offset: u64,
}

/// A word of a file.
#[derive(Clone, PartialEq, Debug)]
pub struct FileWord {
    /// The file.
    pub file: FileName,
    /// The page of it.
    pub page: Option<Box<Expr>>,
    /// The byte of the page: a multiple of 8.
    pub offset: u64,
}

/// How a call or an access ended, where that is not a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sign {
    /// Well.
    Ok,
    /// `SIGSEGV`.
    Segv,
    /// `SIGBUS`.
    Bus,
    /// `SIGKILL`: the process is dying for want of memory.
    Kill,
    /// The call answered this.
    Errno(Errno),
}

/// What calls answer.
const ERRNOS: [Errno; 18] = [
    Errno::EPERM,
    Errno::ESRCH,
    Errno::EINTR,
    Errno::EIO,
    Errno::EBADF,
    Errno::ECHILD,
    Errno::EAGAIN,
    Errno::ENOMEM,
    Errno::EACCES,
    Errno::EFAULT,
    Errno::EBUSY,
    Errno::ENOENT,
    Errno::ENODEV,
    Errno::EEXIST,
    Errno::EINVAL,
    Errno::EFBIG,
    Errno::EOVERFLOW,
    Errno::EOPNOTSUPP,
];

impl Sign {
    /// The one of this name.
    pub fn named(name: &str) -> Option<Sign> {
        let plain = [Sign::Ok, Sign::Segv, Sign::Bus, Sign::Kill];
        plain.into_iter().chain(ERRNOS.map(Sign::Errno)).find(|sign| sign.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Sign::Ok => "OK",
            Sign::Segv => "SEGV",
            Sign::Bus => "BUS",
            Sign::Kill => "KILL",
            Sign::Errno(errno) => errno.name(),
        }
    }
}

/// A value: of a variable, of an expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value {
    /// A number.
    Word(u64),
    /// How something ended.
    Sign(Sign),
}

/// An expression.
#[derive(Clone, PartialEq, Debug)]
pub enum Expr {
    /// A value.
    Value(Value),
    /// What a variable holds; 0 before it was set.
    Variable(VariableName),
    /// A word of a file as it is stored now.
    Disk(FileWord),
    /// A word of a file as it was at the start.
    Initial(FileWord),
    /// The number of the frame that is mapped at a word; 0 for none.
    Frame(Box<WordAt>),
    /// How many pages were copied on write so far.
    Copies,
    /// How many turns spin loops have taken so far.
    Spins,
    /// Two terms.
    Two(Operator, Box<(Expr, Expr)>),
    /// The opposite.
    Not(Box<Expr>),
}

/// What is done with two terms. Answers are 1 and 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operator {
    /// `+`, wrapping.
    Add,
    /// `-`, wrapping.
    Subtract,
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<`; false for what is no number, as the other comparisons.
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `and`
    And,
    /// `or`
    Or,
}
