//! A tree to an archive.

use std::collections::BTreeMap;
use std::io::Write;

use block::{Content, Error, ReadAt, Result};
use tree::{Entry, InodeId, Node, Timestamp, Tree};

use super::format::{BLOCK, BLOCK_LEN, kind, padding, seal};
use super::pax::{print_time, record, xattr_key};

/// What an archive's length is a multiple of, in bytes: 20 blocks, as of every other program.
const RECORD_LEN: u64 = 20 * BLOCK_LEN;

const WHAT: &str = "writing a tar archive";

/// What a writer may decide.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteOptions {
    /// The newest time that is written; later ones become this one. `None` keeps all.
    pub latest: Option<Timestamp>,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The archive's length in bytes, a multiple of 10240.
    pub len: u64,
    /// How many sockets were left out, which an archive cannot hold.
    pub sockets: u64,
}

/// Writes `tree` as one archive: the root as `./`, everything else as `./path`, folders before what is in them, names in byte order, and
/// the second and later names of a file as hard links to the first. The same tree gives the same bytes.
///
/// Headers are POSIX's (ustar). What does not fit goes into an extended header (pax): long names, large numbers, parts of seconds, and
/// xattrs under `SCHILY.xattr.`, where GNU tar (`--xattrs --xattrs-include='*'`), bsdtar and Go look for them; POSIX ACLs are among
/// these. Owners have numbers and no names. Holes are written as zeros.
///
/// # Errors
///
/// `Limit` for a device number that no header holds, with its path; what reading contents or writing answers.
pub fn write(tree: &Tree<Content>, options: &WriteOptions, out: &mut dyn Write) -> Result<Written> {
    let mut writer = Writer {
        options,
        out,
        first: BTreeMap::new(),
        written: Written::default(),
    };
    for entry in tree.walk() {
        writer.entry(&entry)?;
    }
    let len = writer.written.len.saturating_add(2 * BLOCK_LEN);
    let end = len.checked_next_multiple_of(RECORD_LEN).unwrap_or(len);
    writer.zeros(end.saturating_sub(writer.written.len))?;
    Ok(writer.written)
}

struct Writer<'a> {
    options: &'a WriteOptions,
    out: &'a mut dyn Write,
    /// The name under which each inode that has several was written.
    first: BTreeMap<InodeId, Vec<u8>>,
    written: Written,
}

impl Writer<'_> {
    fn entry(&mut self, entry: &Entry<'_, Content>) -> Result<()> {
        let mut name = match entry.path.as_bytes() {
            b"/" => b".".to_vec(),
            path => [b".", path].concat(),
        };
        let inode = entry.inode;
        let (kind, link, content) = match &inode.node {
            _ if self.first.contains_key(&entry.id) => {
                let first = self.first.get(&entry.id).cloned();
                (kind::HARD_LINK, first.unwrap_or_default(), None)
            }
            Node::Directory(_) => {
                name.push(b'/');
                (kind::DIRECTORY, Vec::new(), None)
            }
            Node::File(content) => (kind::FILE, Vec::new(), Some(content)),
            Node::Symlink(target) => (kind::SYMLINK, target.to_vec(), None),
            Node::Character(_) => (kind::CHARACTER, Vec::new(), None),
            Node::Block(_) => (kind::BLOCK, Vec::new(), None),
            Node::Fifo => (kind::FIFO, Vec::new(), None),
            Node::Socket => {
                self.written.sockets = self.written.sockets.saturating_add(1);
                return Ok(());
            }
        };
        if inode.names() > 1 && kind != kind::HARD_LINK {
            self.first.insert(entry.id, name.clone());
        }
        let mut header = Printer::new(kind);
        header.name(&name);
        header.link(&link);
        header.metadata(entry, self.options.latest)?;
        let len = content.map_or(0, ReadAt::len);
        header.number(124, 12, len, "size");
        self.headers(header, &name)?;
        if let Some(content) = content {
            self.content(content)
                .map_err(|error| error.while_doing(format!("{WHAT}: {}", entry.path)))?;
        }
        Ok(())
    }

    /// Writes a header, and before it the extended one that it needs.
    fn headers(&mut self, header: Printer, name: &[u8]) -> Result<()> {
        if !header.records.is_empty() {
            let mut before = Printer::new(kind::PAX);
            let last = name.strip_suffix(b"/").unwrap_or(name);
            let last = last.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            // Seen by programs that know no extended headers, which make files of them.
            let shown = [
                b"./PaxHeaders/",
                last.get(..last.len().min(80)).unwrap_or_default(),
            ];
            before.put(0, &shown.concat());
            before.number(100, 8, 0o644, "mode");
            for (at, len) in [(108, 8), (116, 8), (136, 12)] {
                before.number(at, len, 0, "");
            }
            let len = ReadAt::len(header.records.as_slice());
            before.number(124, 12, len, "size");
            self.bytes(&before.sealed())?;
            self.bytes(&header.records)?;
            self.zeros(padding(len))?;
        }
        self.bytes(&header.sealed())
    }

    fn content(&mut self, content: &Content) -> Result<()> {
        let len = content.len();
        let mut buf = vec![0; usize::try_from(len).unwrap_or(usize::MAX).min(1 << 20)];
        let mut offset = 0_u64;
        while offset < len {
            let rest = usize::try_from(len.saturating_sub(offset)).unwrap_or(usize::MAX);
            let take = rest.min(buf.len());
            let part = buf.get_mut(..take).unwrap_or_default();
            content.read_exact_at(part, offset)?;
            offset = offset.saturating_add(ReadAt::len(&*part));
            self.bytes(part)?;
        }
        self.zeros(padding(len))
    }

    fn zeros(&mut self, len: u64) -> Result<()> {
        self.bytes(&vec![0; usize::try_from(len).unwrap_or(0)])
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.out
            .write_all(bytes)
            .map_err(|error| Error::io(WHAT, error))?;
        self.written.len = self.written.len.saturating_add(ReadAt::len(bytes));
        Ok(())
    }
}

/// A header that is being put together, with the records of the extended header before it.
struct Printer {
    bytes: [u8; BLOCK],
    records: Vec<u8>,
}

impl Printer {
    fn new(kind: u8) -> Self {
        let mut printer = Self {
            bytes: [0; BLOCK],
            records: Vec::new(),
        };
        printer.put(156, &[kind]);
        printer.put(257, b"ustar\x0000");
        printer
    }

    fn put(&mut self, at: usize, value: &[u8]) {
        let field = self.bytes.get_mut(at..).unwrap_or_default();
        for (to, from) in field.iter_mut().zip(value) {
            *to = *from;
        }
    }

    /// A number in its field of `len` bytes where it fits, else in a record under `key` beside as many zeros.
    fn number(&mut self, at: usize, len: usize, value: u64, key: &str) {
        let width = len.saturating_sub(1);
        let mut digits = format!("{value:0width$o}");
        if digits.len() > width {
            self.record(key.as_bytes(), value.to_string().as_bytes());
            digits = "0".repeat(width);
        }
        self.put(at, digits.as_bytes());
    }

    fn record(&mut self, key: &[u8], value: &[u8]) {
        self.records.extend(record(key, value));
    }

    /// As a value of an extended header, which is UTF-8 unless it says otherwise.
    fn text(&mut self, key: &str, value: &[u8]) {
        if std::str::from_utf8(value).is_err() {
            self.record(b"hdrcharset", b"BINARY");
        }
        self.record(key.as_bytes(), value);
    }

    fn name(&mut self, name: &[u8]) {
        if name.len() <= 100 {
            self.put(0, name);
        } else if let Some(slash) = split_at(name) {
            let (prefix, rest) = name.split_at_checked(slash).unwrap_or_default();
            self.put(345, prefix);
            self.put(0, rest.get(1..).unwrap_or_default());
        } else {
            self.put(0, name.get(..100).unwrap_or_default());
            self.text("path", name);
        }
    }

    fn link(&mut self, target: &[u8]) {
        self.put(157, target.get(..target.len().min(100)).unwrap_or_default());
        if target.len() > 100 {
            self.text("linkpath", target);
        }
    }

    fn metadata(&mut self, entry: &Entry<'_, Content>, latest: Option<Timestamp>) -> Result<()> {
        let inode = entry.inode;
        let metadata = &inode.metadata;
        self.number(100, 8, metadata.permissions.into(), "mode");
        self.number(108, 8, metadata.uid.into(), "uid");
        self.number(116, 8, metadata.gid.into(), "gid");
        self.time(latest.map_or(metadata.mtime, |latest| latest.min(metadata.mtime)));
        let device = match &inode.node {
            Node::Character(device) | Node::Block(device) => Some(device),
            _ => None,
        };
        for (at, number) in [
            (329, device.map_or(0, |device| device.major)),
            (337, device.map_or(0, |device| device.minor)),
        ] {
            if number > 0o7_777_777 {
                let message = format!("{}: the device number {number}", entry.path);
                return Err(Error::limit(WHAT, message));
            }
            self.number(at, 8, number.into(), "");
        }
        for (name, value) in metadata.xattrs.iter() {
            self.record(&xattr_key(name), value);
        }
        Ok(())
    }

    fn time(&mut self, time: Timestamp) {
        let seconds = u64::try_from(time.seconds)
            .ok()
            .filter(|seconds| seconds >> 33 == 0);
        self.number(136, 12, seconds.unwrap_or(0), "mtime");
        if seconds.is_none() || time.nanoseconds != 0 {
            self.record(b"mtime", print_time(time).as_bytes());
        }
    }

    fn sealed(mut self) -> [u8; BLOCK] {
        seal(&mut self.bytes);
        self.bytes
    }
}

/// The slash at which a name can be split into a prefix of at most 155 bytes and a rest of at most 100.
fn split_at(name: &[u8]) -> Option<usize> {
    let from = name.len().checked_sub(101)?;
    let before = name.get(..name.len().min(156))?;
    let slashes = before.iter().enumerate().skip(from.max(1));
    let mut slashes = slashes.filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    // A folder's own slash at the end cannot be the rest.
    slashes.find(|at| at.saturating_add(1) < name.len())
}
