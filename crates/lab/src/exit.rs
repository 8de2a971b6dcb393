//! How every verb ends: 0 good, 1 a rule was broken or a difference was found, 2 bad input.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// What a verb comes to when nothing stood in its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All is well.
    Good,
    /// A rule was broken, or a difference was found.
    Broken,
    /// A program was run for the user, and this is what it returned.
    Program(u8),
}

/// Why a verb could not do its work; the text is one line.
#[derive(Debug)]
pub struct Error {
    text: String,
    status: u8,
}

impl Error {
    /// An error about a file the user named.
    pub(crate) fn of_file(path: &Path, why: &impl Display) -> Self {
        Self::new(&format!("{}: {why}", path.display()))
    }

    /// A rule was broken, so that nothing can go on: status 1.
    pub(crate) fn broken(why: &impl Display) -> Self {
        Self { status: 1, ..Self::new(why) }
    }

    /// The same error, in an event of the recording.
    pub(crate) fn in_event(self, number: usize) -> Self {
        Self { text: format!("event {number}: {}", self.text), ..self }
    }

    /// The same error, about a file the user named.
    pub(crate) fn about_file(self, path: &Path) -> Self {
        Self { text: format!("{}: {}", path.display(), self.text), ..self }
    }

    /// Any other error.
    pub(crate) fn new(why: &impl Display) -> Self {
        Self { text: why.to_string(), status: 2 }
    }
}

impl Error {
    /// The exit status it means.
    #[must_use]
    pub fn status(&self) -> u8 {
        self.status
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::new(&format!("standard output: {error}"))
    }
}

/// The exit status of a verb, its error printed as one line.
pub(crate) fn finish(result: Result<Verdict, Error>) -> ExitCode {
    match result {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Broken) => ExitCode::from(1),
        Ok(Verdict::Program(status)) => ExitCode::from(status),
        Err(Error { text, status }) => {
            complain(&text);
            ExitCode::from(status)
        }
    }
}

/// The exit status of a wrong command line, which is told in one line. Asking for help is not wrong.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand as NothingAsked;
    if error.use_stderr() && error.kind() != NothingAsked {
        complain(&what_is_wrong(&error.to_string()));
    } else {
        // A reader that closed its end of the pipe has seen enough.
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Of what clap says, the lines before the usage: what is wrong, and tips.
fn what_is_wrong(said: &str) -> String {
    let lines = said.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let lines = lines.take_while(|line| !line.starts_with("For more information"));
    let lines = lines.filter(|line| !line.is_empty()).map(|line| match line.strip_prefix("tip: ") {
        Some(tip) => format!("({tip})"),
        None => line.trim_start_matches("error: ").into(),
    });
    lines.collect::<Vec<_>>().join(" ")
}

/// Writes what a verb found to standard output.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    match io::stdout().write_all(text.as_bytes()) {
        // A reader that closed its end of the pipe has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => Ok(printed?),
    }
}

/// Tells, beside what a verb finds, something that is no error.
pub(crate) fn remark(text: &str) {
    complain(text);
}

/// Prints one line to standard error, whatever the text holds.
fn complain(text: &str) {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(io::stderr(), "freehold: {line}");
}
