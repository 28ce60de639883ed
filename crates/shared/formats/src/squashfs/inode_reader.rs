//! One inode of an image, parsed and checked.

use block::{Error, Result};
use tree::Device;

use super::fields::{Fields, narrow};
use super::format::{LISTING_EXTRA, NO_FRAGMENT, NO_XATTRS, kind};
use super::metadata_reader::{Cursor, MetadataReader};

/// The longest target of a symbolic link that is read, in bytes. Linux has at most 4095; a longer one is refused.
const MAX_TARGET: usize = 65_535;

/// The structure's name in errors.
const WHAT: &str = "squashfs inode";

/// An inode.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) permissions: u16,
    /// The index of the owner in the id table.
    pub(crate) uid: u16,
    /// The index of the group in the id table.
    pub(crate) gid: u16,
    pub(crate) mtime: u32,
    /// The index of the xattrs, where there are any.
    pub(crate) xattrs: Option<u32>,
    pub(crate) body: Body,
}

/// What only an inode of one kind has.
#[derive(Debug)]
pub(crate) enum Body {
    Directory {
        /// Where the listing begins: block distance in the upper 48 bits, offset in the lower 16.
        listing: u64,
        /// The listing's length in bytes.
        len: u32,
    },
    File(FileBody),
    Symlink(Vec<u8>),
    Block(Device),
    Character(Device),
    Fifo,
    Socket,
}

/// A regular file.
#[derive(Debug)]
pub(crate) struct FileBody {
    /// In bytes.
    pub(crate) len: u64,
    /// Where the blocks begin, in bytes from the start of the image.
    pub(crate) start: u64,
    /// The blocks' sizes as they are stored.
    pub(crate) sizes: Vec<u32>,
    /// The fragment's index and the offset in it.
    pub(crate) fragment: Option<(u32, u32)>,
}

/// Linux's device number from 32 bits (`new_decode_dev`).
fn device_of(number: u32) -> Device {
    Device {
        major: (number >> 8) & 0xfff,
        minor: (number & 0xff) | ((number >> 12) & 0xf_ff00),
    }
}

/// Reads the inode at `cursor`. `blocks_left` is how many blocks files may still have, and is counted down.
pub(crate) fn read_inode(
    reader: &mut MetadataReader<'_>,
    mut cursor: Cursor,
    block_size: u32,
    blocks_left: &mut u64,
) -> Result<Parsed> {
    let at = cursor.block;
    let bytes = reader.read(&mut cursor, 16, WHAT)?;
    let mut fields = Fields::new(&bytes, WHAT);
    let number = fields.u16()?;
    let permissions = fields.u16()? & tree::mode::PERMISSIONS;
    let (uid, gid, mtime) = (fields.u16()?, fields.u16()?, fields.u32()?);
    let (basic, extended) = match number.checked_sub(kind::EXTENDED) {
        Some(basic) if basic > 0 => (basic, true),
        _ => (number, false),
    };
    let mut body = Reading {
        reader,
        cursor,
        extended,
        xattrs: NO_XATTRS,
    };
    let result = match basic {
        kind::DIRECTORY => body.directory(),
        kind::FILE => body.file(block_size, blocks_left),
        kind::SYMLINK => body.symlink(),
        kind::BLOCK => body.device().map(Body::Block),
        kind::CHARACTER => body.device().map(Body::Character),
        kind::FIFO => body.nothing(Body::Fifo),
        kind::SOCKET => body.nothing(Body::Socket),
        _ => Err(Error::corrupt(WHAT, format!("type {number}")).at(at)),
    };
    let result = result?;
    Ok(Parsed {
        permissions,
        uid,
        gid,
        mtime,
        xattrs: (body.xattrs != NO_XATTRS).then_some(body.xattrs),
        body: result,
    })
}

/// The part of an inode behind its header, on the way.
struct Reading<'a, 'b> {
    reader: &'a mut MetadataReader<'b>,
    cursor: Cursor,
    extended: bool,
    xattrs: u32,
}

impl Reading<'_, '_> {
    fn take(&mut self, len: usize) -> Result<Vec<u8>> {
        self.reader.read(&mut self.cursor, len, WHAT)
    }

    /// The xattr index that stands behind an extended inode of most kinds.
    fn take_xattrs(&mut self) -> Result<()> {
        if self.extended {
            let bytes = self.take(4)?;
            self.xattrs = Fields::new(&bytes, WHAT).u32()?;
        }
        Ok(())
    }

    fn directory(&mut self) -> Result<Body> {
        let bytes = self.take(if self.extended { 24 } else { 16 })?;
        let mut fields = Fields::new(&bytes, WHAT);
        let (block, size, offset);
        if self.extended {
            fields.u32()?;
            size = fields.u32()?;
            block = fields.u32()?;
            fields.u32()?;
            fields.u16()?;
            offset = fields.u16()?;
            self.xattrs = fields.u32()?;
        } else {
            block = fields.u32()?;
            fields.u32()?;
            size = u32::from(fields.u16()?);
            offset = fields.u16()?;
        }
        Ok(Body::Directory {
            listing: (u64::from(block) << 16) | u64::from(offset),
            len: size.saturating_sub(LISTING_EXTRA),
        })
    }

    fn file(&mut self, block_size: u32, blocks_left: &mut u64) -> Result<Body> {
        let at = self.cursor.block;
        let bytes = self.take(if self.extended { 40 } else { 16 })?;
        let mut fields = Fields::new(&bytes, WHAT);
        let (start, len, fragment, offset);
        if self.extended {
            start = fields.u64()?;
            len = fields.u64()?;
            fields.u64()?;
            fields.u32()?;
            fragment = fields.u32()?;
            offset = fields.u32()?;
            self.xattrs = fields.u32()?;
        } else {
            start = u64::from(fields.u32()?);
            fragment = fields.u32()?;
            offset = fields.u32()?;
            len = u64::from(fields.u32()?);
        }
        if i64::try_from(len).is_err() {
            return Err(Error::corrupt(WHAT, format!("a file of {len} bytes")).at(at));
        }
        let block_size = u64::from(block_size);
        let whole = len.checked_div(block_size).unwrap_or_default();
        let has_fragment = fragment != NO_FRAGMENT;
        let count = match has_fragment {
            true => whole,
            false => len.div_ceil(block_size),
        };
        *blocks_left = blocks_left.checked_sub(count).ok_or_else(|| {
            Error::limit(WHAT, "the image's files have more than 2^24 blocks").at(at)
        })?;
        let bytes = self.take(narrow(count).saturating_mul(4))?;
        let mut fields = Fields::new(&bytes, WHAT);
        let sizes = (0..count).map(|_| fields.u32()).collect::<Result<_>>()?;
        Ok(Body::File(FileBody {
            len,
            start,
            sizes,
            fragment: has_fragment.then_some((fragment, offset)),
        }))
    }

    fn symlink(&mut self) -> Result<Body> {
        let at = self.cursor.block;
        let bytes = self.take(8)?;
        let mut fields = Fields::new(&bytes, WHAT);
        fields.u32()?;
        let len = narrow(u64::from(fields.u32()?));
        if len == 0 || len > MAX_TARGET {
            let message = format!("a symbolic link with a target of {len} bytes");
            return Err(Error::corrupt(WHAT, message).at(at));
        }
        let target = self.take(len)?;
        if target.contains(&0) {
            return Err(Error::corrupt(WHAT, "a symbolic link with NUL in its target").at(at));
        }
        self.take_xattrs()?;
        Ok(Body::Symlink(target))
    }

    fn device(&mut self) -> Result<Device> {
        let bytes = self.take(8)?;
        let mut fields = Fields::new(&bytes, WHAT);
        fields.u32()?;
        let device = device_of(fields.u32()?);
        self.take_xattrs()?;
        Ok(device)
    }

    fn nothing(&mut self, body: Body) -> Result<Body> {
        self.take(4)?;
        self.take_xattrs()?;
        Ok(body)
    }
}
