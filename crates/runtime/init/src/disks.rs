//! What persistence needs of the machine, beyond [`System`](crate::system::System): writing to disks and files, partitions, a question.

use std::io;
use std::time::Duration;

use block::{ReadAt, WriteAt};

/// A device or a file that is open for reading and writing.
pub(crate) trait Disk: ReadAt + WriteAt {
    /// Waits until all that was written is on the medium.
    fn sync(&self) -> io::Result<()>;
}

/// The machine's disks.
pub(crate) trait Disks {
    /// Opens a device or a file to be written too.
    fn open_to_write(&mut self, path: &str) -> io::Result<Box<dyn Disk>>;
    /// Attaches `len` bytes of a device, from `offset` on, to a free loop device for writing; the device's path.
    fn attach_part(&mut self, file: &str, offset: u64, len: u64) -> io::Result<String>;
    /// Tells the kernel of a partition of `disk`, in bytes; its node is there then.
    fn add_partition(&mut self, disk: &str, number: u32, range: (u64, u64)) -> io::Result<()>;
    /// Gives a file or folder another name on the same file system.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file, or a folder with all that is in it. Links are not followed.
    fn remove(&mut self, path: &str) -> io::Result<()>;
    /// How many bytes are free on the file system at `path`.
    fn free_space(&self, path: &str) -> io::Result<u64>;
    /// Writes all that is not written yet.
    fn sync(&mut self);
    /// Bytes that nobody can guess.
    fn random(&mut self) -> io::Result<[u8; 16]>;
    /// Seconds since 1970, as the machine's clock has them.
    fn date(&self) -> u32;
    /// Asks on the console for a line that is not shown; `None` where none came in time.
    fn prompt(&mut self, question: &str, limit: Duration) -> io::Result<Option<Vec<u8>>>;
}
