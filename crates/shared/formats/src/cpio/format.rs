//! The newc header.
//!
//! An archive is a row of entries, each: header of 110 bytes, name with a NUL, padding to a multiple of 4, content, padding to a
//! multiple of 4. An entry named `TRAILER!!!` ends it. The header is the magic and 13 numbers of 8 hexadecimal digits:
//!
//! ```text
//! offset  name        meaning
//!      0  magic       070701, or 070702 where check counts
//!      6  ino         entries with one ino and device are names of one file
//!     14  mode        type and permissions
//!     22  uid
//!     30  gid
//!     38  nlink       number of names
//!     46  mtime       seconds since 1970, unsigned
//!     54  filesize    of the content; a symbolic link's content is its target
//!     62  devmajor    the device that held the file
//!     70  devminor
//!     78  rdevmajor   of device nodes
//!     86  rdevminor
//!     94  namesize    with the NUL
//!    102  check       sum of the content's bytes, for 070702
//! ```
//!
//! Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst. Not read: the old binary and `070707` formats, which
//! the kernel does not read either.

use block::{Error, Result};

/// The length of a header in bytes.
pub(crate) const HEADER_LEN: usize = 110;
/// The magic of an archive without check sums.
pub(crate) const MAGIC: &[u8; 6] = b"070701";
/// The magic of an archive with check sums.
pub(crate) const MAGIC_CHECKED: &[u8; 6] = b"070702";
/// The name of the entry that ends an archive.
pub(crate) const TRAILER: &[u8] = b"TRAILER!!!";
/// The longest name with its NUL: `PATH_MAX` of Linux, which skips entries beyond it. Here they are an error.
pub(crate) const MAX_NAME: u32 = 4096;

/// The numbers of a header, in its order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) checked: bool,
    pub(crate) ino: u32,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) nlink: u32,
    pub(crate) mtime: u32,
    pub(crate) filesize: u32,
    pub(crate) devmajor: u32,
    pub(crate) devminor: u32,
    pub(crate) rdevmajor: u32,
    pub(crate) rdevminor: u32,
    pub(crate) namesize: u32,
    pub(crate) check: u32,
}

impl Header {
    /// Reads a header, which lies `offset` bytes from the start of its archive.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the magic is another or a digit is none; `Unsupported` for the other cpio formats.
    pub(crate) fn parse(bytes: &[u8; HEADER_LEN], offset: u64) -> Result<Self> {
        let (magic, rest) = bytes.split_first_chunk::<6>().unwrap_or((MAGIC, &[]));
        if magic == b"070707" {
            let message = "the archive is in the old portable format, and only newc is read";
            return Err(Error::unsupported("cpio header", message).at(offset));
        }
        let checked = magic == MAGIC_CHECKED;
        if !checked && magic != MAGIC {
            let message = format!("begins with \"{}\", not 070701", magic.escape_ascii());
            return Err(Error::corrupt("cpio header", message).at(offset));
        }
        let mut numbers = [0_u32; 13];
        for (number, digits) in numbers.iter_mut().zip(rest.chunks_exact(8)) {
            *number = hex(digits).ok_or_else(|| {
                let message = format!("\"{}\" is no number", digits.escape_ascii());
                Error::corrupt("cpio header", message).at(offset)
            })?;
        }
        let [
            ino,
            mode,
            uid,
            gid,
            nlink,
            mtime,
            filesize,
            devmajor,
            devminor,
            rdevmajor,
            rdevminor,
            namesize,
            check,
        ] = numbers;
        Ok(Self {
            checked,
            ino,
            mode,
            uid,
            gid,
            nlink,
            mtime,
            filesize,
            devmajor,
            devminor,
            rdevmajor,
            rdevminor,
            namesize,
            check,
        })
    }

    /// The header's bytes.
    pub(crate) fn print(&self) -> Vec<u8> {
        let magic = if self.checked { MAGIC_CHECKED } else { MAGIC };
        let mut bytes = magic.to_vec();
        for number in [
            self.ino,
            self.mode,
            self.uid,
            self.gid,
            self.nlink,
            self.mtime,
            self.filesize,
            self.devmajor,
            self.devminor,
            self.rdevmajor,
            self.rdevminor,
            self.namesize,
            self.check,
        ] {
            bytes.extend(format!("{number:08x}").bytes());
        }
        bytes
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    let valid = digits.iter().all(u8::is_ascii_hexdigit);
    let text = valid.then(|| std::str::from_utf8(digits).ok())??;
    u32::from_str_radix(text, 16).ok()
}

/// How many bytes after `len` bytes make it a multiple of 4.
pub(crate) fn padding(len: u64) -> usize {
    match len % 4 {
        1 => 3,
        2 => 2,
        3 => 1,
        _ => 0,
    }
}
