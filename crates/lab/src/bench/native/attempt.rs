//! Errors of all sides as trouble.

use super::Trouble;

/// What went wrong, and at what.
pub(super) trait Attempt<T> {
    /// The result, or trouble that says at what it came.
    fn at(self, what: &str) -> Result<T, Trouble>;
}

impl<T> Attempt<T> for std::io::Result<T> {
    fn at(self, what: &str) -> Result<T, Trouble> {
        self.map_err(|error| Trouble::new(&format!("Linux, {what}: {error}")))
    }
}

impl<T> Attempt<T> for Result<T, freehold::linux::Errno> {
    fn at(self, what: &str) -> Result<T, Trouble> {
        self.map_err(|errno| Trouble::new(&format!("Freehold, {what}: {errno:?}")))
    }
}

impl<T> Attempt<T> for Result<T, freehold::linux::Signal> {
    fn at(self, what: &str) -> Result<T, Trouble> {
        self.map_err(|signal| Trouble::new(&format!("Freehold, {what}: {signal:?}")))
    }
}

impl<T> Attempt<T> for Result<T, host::HostError> {
    fn at(self, what: &str) -> Result<T, Trouble> {
        self.map_err(|error| Trouble::new(&format!("{what}: {error}")))
    }
}
