//! What a follower needs to know of the processes it follows.

use std::io;

/// The bytes of a page.
pub(crate) type Page = [u8; 4096];

/// What came of asking a process for more of its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum More {
    /// There was some.
    Some,
    /// There is none yet.
    Nothing,
    /// There is none, and there will be none.
    Ended,
}

/// The processes of a program under Valgrind.
pub(crate) trait Source {
    /// The text of `/proc/PID/maps` of the root, before its first instruction.
    fn root_maps(&mut self) -> io::Result<String>;

    /// Adds what a process has printed since it was last asked to `text`.
    ///
    /// A forked process need not run before it is asked for the first time.
    fn more(&mut self, pid: u32, text: &mut Vec<u8>) -> io::Result<More>;

    /// What a page of a process contains now, if it still has the page and one may look.
    fn page(&mut self, pid: u32, page: u64) -> Option<&Page>;

    /// Called when all processes were asked once, before they are asked again.
    fn rest(&mut self);
}
