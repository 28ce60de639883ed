//! A tree to one newc archive.

use std::collections::BTreeMap;
use std::io::Write;

use block::{Content, Error, ReadAt, Result};
use tree::{Entry, InodeId, Node, Timestamp, Tree, TreePath};

use crate::cpio::format::{Header, MAX_NAME, TRAILER, padding};

/// How much of a file is read at once, in bytes.
const PIECE: usize = 256 << 10;

/// What a writer may decide.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteOptions {
    /// The newest time that is written; later ones become this one. `None` keeps all.
    pub latest: Option<Timestamp>,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The archive's length in bytes, a multiple of 512.
    pub len: u64,
    /// How many files lost their xattrs, which an archive cannot hold.
    pub without_xattrs: u64,
}

/// Writes `tree` as one archive: folders before what is in them, names in byte order, inode numbers by first appearance from 1 on,
/// the content of a file with several names at its last one. The same tree gives the same bytes.
///
/// Times are cut to seconds; those before 1970 become 1970, those after 2106 become the last that fits.
///
/// # Errors
///
/// `Limit` for a file of 4 GiB or more and for a name or link target that the kernel would pass over, with its path; what reading
/// contents or writing answers.
pub fn write(tree: &Tree<Content>, options: &WriteOptions, out: &mut dyn Write) -> Result<Written> {
    go_through(tree, options, Some(out))
}

/// What [`write`] would write, without reading any file: its length, and whether it can be.
///
/// # Errors
///
/// `Limit`, as [`write`].
pub fn measure(tree: &Tree<Content>) -> Result<Written> {
    go_through(tree, &WriteOptions::default(), None)
}

fn go_through<'a>(
    tree: &'a Tree<Content>,
    options: &'a WriteOptions,
    out: Option<&'a mut (dyn Write + 'a)>,
) -> Result<Written> {
    let mut writer = Writer {
        tree,
        options,
        out,
        seen: BTreeMap::new(),
        written: Written::default(),
    };
    for entry in tree.walk() {
        writer.entry(&entry)?;
    }
    writer.trailer()?;
    Ok(writer.written)
}

struct Writer<'a> {
    tree: &'a Tree<Content>,
    options: &'a WriteOptions,
    /// `None` to measure.
    out: Option<&'a mut (dyn Write + 'a)>,
    /// The number of each inode, and how many of its names were written.
    seen: BTreeMap<InodeId, (u32, u32)>,
    written: Written,
}

impl Writer<'_> {
    fn entry(&mut self, entry: &Entry<'_, Content>) -> Result<()> {
        let next = u32::try_from(self.seen.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        let (ino, names) = self.seen.entry(entry.id).or_insert((next, 0));
        *names = names.saturating_add(1);
        let (ino, names) = (*ino, *names);
        let inode = entry.inode;
        let metadata = &inode.metadata;
        if names == 1 && !metadata.xattrs.is_empty() {
            self.written.without_xattrs = self.written.without_xattrs.saturating_add(1);
        }
        let device = match inode.node {
            Node::Character(device) | Node::Block(device) => (device.major, device.minor),
            _ => (0, 0),
        };
        let is_folder = self.tree.directory(entry.id).is_some();
        let header = Header {
            ino,
            mode: inode.mode().into(),
            uid: metadata.uid,
            gid: metadata.gid,
            nlink: if is_folder { 2 } else { inode.names() },
            mtime: self.seconds(metadata.mtime),
            rdevmajor: device.0,
            rdevminor: device.1,
            ..Header::default()
        };
        match &inode.node {
            Node::File(content) if names == inode.names() => self.put(header, &entry.path, content),
            Node::Symlink(target) => self.put(header, &entry.path, &**target),
            _ => self.put(header, &entry.path, [].as_slice()),
        }
    }

    fn trailer(&mut self) -> Result<()> {
        let header = Header {
            nlink: 1,
            ..Header::default()
        };
        self.put_named(header, TRAILER, &TreePath::root(), &[].as_slice())?;
        let rest = self.written.len % 512;
        let rest = 512_u64.saturating_sub(rest) % 512;
        self.put_bytes(&vec![0; usize::try_from(rest).unwrap_or(0)])
    }

    fn put<R: ReadAt + ?Sized>(
        &mut self,
        header: Header,
        path: &TreePath,
        content: &R,
    ) -> Result<()> {
        // The root is ".", everything else has no leading slash: what cpio and the kernel expect.
        let name = match path.as_bytes() {
            b"/" => b".".to_vec(),
            bytes => bytes.strip_prefix(b"/").unwrap_or(bytes).to_vec(),
        };
        self.put_named(header, &name, path, &content)
    }

    fn put_named<R: ReadAt + ?Sized>(
        &mut self,
        header: Header,
        name: &[u8],
        path: &TreePath,
        content: &&R,
    ) -> Result<()> {
        let too_large = |what| {
            let message = format!("{path}: its {what} does not fit into the header");
            Error::limit("writing a cpio archive", message)
        };
        let len = content.len();
        let header = Header {
            filesize: u32::try_from(len).map_err(|_| too_large("length"))?,
            namesize: u32::try_from(name.len().saturating_add(1)).map_err(|_| too_large("name"))?,
            ..header
        };
        let is_link = header.mode & u32::from(tree::mode::TYPE) == u32::from(tree::mode::SYMLINK);
        if header.namesize > MAX_NAME || is_link && header.filesize > MAX_NAME {
            let message = format!(
                "{path}: its name or target is longer than {MAX_NAME} bytes, and the kernel would pass over it"
            );
            return Err(Error::limit("writing a cpio archive", message));
        }
        self.put_bytes(&header.print())?;
        self.put_bytes(name)?;
        self.put_bytes(&[0])?;
        self.pad()?;
        let Some(out) = &mut self.out else {
            self.written.len = self.written.len.saturating_add(len);
            return self.pad();
        };
        let mut buf = vec![0; usize::try_from(len).unwrap_or(PIECE).min(PIECE)];
        let mut offset = 0_u64;
        while offset < len {
            let rest = usize::try_from(len.saturating_sub(offset)).unwrap_or(usize::MAX);
            let take = rest.min(buf.len());
            let part = buf.get_mut(..take).unwrap_or_default();
            content.read_exact_at(part, offset)?;
            out.write_all(part).map_err(write_error)?;
            offset = offset.saturating_add(ReadAt::len(&*part));
        }
        self.written.len = self.written.len.saturating_add(len);
        self.pad()
    }

    fn pad(&mut self) -> Result<()> {
        let zeros = [0; 3];
        self.put_bytes(zeros.get(..padding(self.written.len)).unwrap_or_default())
    }

    fn put_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(out) = &mut self.out {
            out.write_all(bytes).map_err(write_error)?;
        }
        self.written.len = self.written.len.saturating_add(ReadAt::len(bytes));
        Ok(())
    }

    fn seconds(&self, time: Timestamp) -> u32 {
        let time = self.options.latest.map_or(time, |latest| latest.min(time));
        let last = i64::from(u32::MAX);
        u32::try_from(time.seconds.clamp(0, last)).unwrap_or(0)
    }
}

fn write_error(error: std::io::Error) -> Error {
    Error::io("writing a cpio archive", error)
}
