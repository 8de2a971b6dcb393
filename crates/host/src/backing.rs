//! Where files are stored.

use crate::bytes::PAGE;
use crate::host_machine::HostMachine;
use machine::{Backing, CpuId, FileKey, IoError, UserFrame};

impl HostMachine {
    /// The bytes of a file's page as they are stored now; zero if nobody wrote them.
    pub fn file_page(&self, file: FileKey, page: u64) -> [u8; PAGE] {
        self.stored.pages().get(&(file, page)).map_or([0; PAGE], |bytes| **bytes)
    }

    /// Stores the bytes of a file's page, as if the file had them from the start.
    pub fn set_file_page(&self, file: FileKey, page: u64, bytes: &[u8; PAGE]) {
        self.stored.pages().insert((file, page), Box::new(*bytes));
    }
}

impl Backing for HostMachine {
    fn read(&self, _: CpuId, file: FileKey, page: u64, into: UserFrame) -> Result<(), IoError> {
        let bytes = self.file_page(file, page);
        HostMachine::write(self, into.0, 0, &bytes);
        Ok(())
    }
    fn write(&self, _: CpuId, file: FileKey, page: u64, from: UserFrame) -> Result<(), IoError> {
        let bytes = self.page(from.0);
        self.set_file_page(file, page, &bytes);
        Ok(())
    }
}
