//! One file of an archive, out of all the headers that speak of it.

use std::sync::Arc;

use block::{Content, Error, Piece, ReadAt, Result, read_vec};
use tree::{Device, Metadata, Node, Timestamp, mode};

use super::acl;
use super::format::{BLOCK, BLOCK_LEN, Dialect, Header, kind, padding, until_nul};
use super::pax::{Extended, Values};
use super::sparse::Map;

/// How long an extended header or a long name may be, in bytes: 8 MiB, which is far above what all xattrs of a file may have in Linux.
const MAX_EXTENDED: usize = 8 << 20;
/// How long all that global headers say may be, in bytes. `git archive` writes 60; every member is looked up in it.
const MAX_GLOBAL: usize = 64 << 10;
/// How long a path or a link's target may be, in bytes: `PATH_MAX` of Linux, whose programs cannot open more.
pub(super) const MAX_PATH: usize = 4096;
/// How long a file may be with its holes, in bytes: 16 TiB, which is ext4's limit. A few bytes of an archive can say any length.
const MAX_FILE: u64 = 1 << 44;

const WHAT: &str = "tar member";

/// One member of an archive.
#[derive(Debug)]
pub(super) struct Member {
    /// As it is in the archive, with any slashes and dots.
    pub(super) path: Vec<u8>,
    pub(super) metadata: Metadata,
    pub(super) what: What,
    /// ACLs as text.
    pub(super) acls: Vec<(acl::Kind, Vec<u8>)>,
    /// Where its header is.
    pub(super) offset: u64,
}

/// What a member makes.
#[derive(Debug)]
pub(super) enum What {
    Node(Node<Content>),
    /// Another name of the member with this path.
    HardLink(Vec<u8>),
}

/// The members of an archive, one after the other.
#[derive(Debug)]
pub(super) struct Members {
    source: Arc<dyn ReadAt>,
    next: u64,
    global: Arc<Values>,
}

/// What was read of the member to come.
struct Pending {
    extended: Extended,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    is_any: bool,
}

impl Members {
    pub(super) fn new(source: Arc<dyn ReadAt>) -> Self {
        Self {
            source,
            next: 0,
            global: Arc::default(),
        }
    }

    /// The next member; `None` at a block of zeros, or where the archive ends without one.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Limit` and `Unsupported` with the offset of the header at fault.
    pub(super) fn next(&mut self) -> Result<Option<Member>> {
        let mut pending = Pending {
            extended: Extended::over(&self.global),
            long_name: None,
            long_link: None,
            is_any: false,
        };
        loop {
            let Some(header) = self.header()? else {
                if pending.is_any {
                    let message = "the archive ends after a header that speaks of the next member";
                    return Err(Error::corrupt(WHAT, message).at(self.next));
                }
                return Ok(None);
            };
            let at = header.offset;
            if !self.is_about_the_next(&header, &mut pending)? {
                let member = self.member(&header, pending);
                return member.map(Some).map_err(|error| error.at(at));
            }
        }
    }

    fn header(&self) -> Result<Option<Header>> {
        if self.next >= self.source.len() {
            return Ok(None);
        }
        let mut bytes = [0; BLOCK];
        self.source
            .read_exact_at(&mut bytes, self.next)
            .map_err(|error| error.while_doing("tar header"))?;
        Header::parse(bytes, self.next)
    }

    /// Takes in a header that only speaks of others; answers whether it was one.
    fn is_about_the_next(&mut self, header: &Header, pending: &mut Pending) -> Result<bool> {
        let kind = header.kind();
        match kind {
            kind::PAX | kind::PAX_SOLARIS | kind::PAX_GLOBAL => {
                let bytes = self.extended_content(header)?;
                if kind == kind::PAX_GLOBAL {
                    self.add_global(&bytes, header.offset)?;
                    pending.extended.global = Arc::clone(&self.global);
                } else {
                    pending.extended.add(&bytes, header.offset)?;
                    pending.is_any = true;
                }
            }
            kind::LONG_NAME | kind::LONG_LINK => {
                let bytes = self.extended_content(header)?;
                let text = Some(until_nul(&bytes).to_vec());
                if kind == kind::LONG_NAME {
                    pending.long_name = text;
                } else {
                    pending.long_link = text;
                }
                pending.is_any = true;
            }
            kind::VOLUME_LABEL => self.next = header.offset.saturating_add(BLOCK_LEN),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn extended_content(&mut self, header: &Header) -> Result<Vec<u8>> {
        let start = header.offset.saturating_add(BLOCK_LEN);
        let size = header.size()?;
        let what = "tar extended header";
        let bytes = read_vec(&self.source, start, size, MAX_EXTENDED, what)?;
        self.next = start.saturating_add(size).saturating_add(padding(size));
        Ok(bytes)
    }

    fn add_global(&mut self, bytes: &[u8], at: u64) -> Result<()> {
        let mut extended = Extended::default();
        extended.add(bytes, at)?;
        let global = Arc::make_mut(&mut self.global);
        global.append(&mut extended.values);
        let len = |(key, value): (&Vec<u8>, &Vec<u8>)| key.len().saturating_add(value.len());
        if global.iter().map(len).fold(0, usize::saturating_add) > MAX_GLOBAL {
            let message = format!("it says more than {} KiB", MAX_GLOBAL >> 10);
            return Err(Error::limit("pax global header", message).at(at));
        }
        Ok(())
    }

    fn member(&mut self, header: &Header, pending: Pending) -> Result<Member> {
        let extended = &pending.extended;
        let path = extended.get("GNU.sparse.name").or(extended.get("path"));
        let path = path.map(<[u8]>::to_vec).or(pending.long_name);
        let path = checked_path(path.unwrap_or_else(|| header.name()), "name")?;
        let link = extended.get("linkpath").map(<[u8]>::to_vec);
        let link = link.or(pending.long_link);
        let link = || checked_path(link.unwrap_or_else(|| header.link_name().to_vec()), "link");
        let what = match header.kind() {
            kind::OLD_FILE | kind::FILE | kind::CONTIGUOUS | kind::SPARSE => {
                let content = self.content(header, extended)?;
                // Archives before POSIX have no type for folders.
                if path.ends_with(b"/") {
                    What::Node(Node::empty_directory())
                } else {
                    What::Node(Node::File(content))
                }
            }
            kind::DUMP_DIRECTORY => {
                self.content(header, extended)?;
                What::Node(Node::empty_directory())
            }
            other => {
                // Of these the size says nothing, or what the link leads to: no content follows.
                self.next = header.offset.saturating_add(BLOCK_LEN);
                match other {
                    kind::HARD_LINK => What::HardLink(link()?),
                    kind::SYMLINK => What::Node(Node::Symlink(link()?.into())),
                    kind::DIRECTORY => What::Node(Node::empty_directory()),
                    kind::CHARACTER => What::Node(Node::Character(device(header)?)),
                    kind::BLOCK => What::Node(Node::Block(device(header)?)),
                    kind::FIFO => What::Node(Node::Fifo),
                    _ => return Err(unknown(other, &path)),
                }
            }
        };
        Ok(Member {
            metadata: metadata(header, extended).map_err(|error| error.at(header.offset))?,
            path,
            what,
            acls: acls(extended),
            offset: header.offset,
        })
    }

    /// The content that follows `header`; the next header comes behind it.
    fn content(&mut self, header: &Header, extended: &Extended) -> Result<Content> {
        if extended.get("GNU.volume.offset").is_some() {
            return Err(unknown(kind::MULTI_VOLUME, &header.name()));
        }
        let mut start = header.offset.saturating_add(BLOCK_LEN);
        let mut map = None;
        if header.kind() == kind::SPARSE {
            if header.dialect() != Dialect::Gnu {
                let message = "the holes of a file are written down as star does it";
                return Err(Error::unsupported(WHAT, message));
            }
            let (found, data) = Map::read_old(header, &*self.source)?;
            start = data;
            map = Some((found, header.unsigned(483, 12, "real size")?));
        }
        let stored = extended.number("size")?;
        let stored = stored.map_or_else(|| header.size(), Ok)?;
        let end = start
            .checked_add(stored)
            .filter(|end| *end <= self.source.len());
        let Some(end) = end else {
            let message = format!("{stored} bytes of content reach past the archive's end");
            return Err(Error::corrupt(WHAT, message));
        };
        // OK: the padding of the last member may be cut off.
        self.next = end.saturating_add(padding(stored));
        if map.is_none() {
            map = self.extended_map(extended, &mut start, end)?;
        }
        let rest = end.saturating_sub(start);
        match map {
            Some((_, len)) if len > MAX_FILE => {
                let message = format!("{len} bytes with its holes, of at most 16 TiB");
                Err(Error::limit(WHAT, message))
            }
            Some((map, len)) => map.content(&self.source, [start, rest], len),
            None => Content::new([Piece::Range {
                source: Arc::clone(&self.source),
                offset: start,
                len: rest,
            }]),
        }
    }

    /// The map of a file with holes, and the file's length, where an extended header says that there is one. `start` is moved behind
    /// it where it stands before the data.
    fn extended_map(
        &self,
        extended: &Extended,
        start: &mut u64,
        end: u64,
    ) -> Result<Option<(Map, u64)>> {
        let version = (
            extended.number("GNU.sparse.major")?,
            extended.number("GNU.sparse.minor")?,
        );
        let len = extended.number("GNU.sparse.realsize")?;
        let len = len.or(extended.number("GNU.sparse.size")?);
        let map = match version {
            (Some(1), Some(0) | None) => {
                let (map, data) = Map::read_lines(&*self.source, *start, end)?;
                *start = data;
                Some(map)
            }
            (None | Some(0), _) => Map::read_extended(extended, *start)?,
            (Some(major), _) => {
                let message = format!("the holes of a file are written down in version {major}");
                return Err(Error::unsupported(WHAT, message));
            }
        };
        match (map, len) {
            (None, _) => Ok(None),
            (Some(map), Some(len)) => Ok(Some((map, len))),
            (Some(_), None) => Err(Error::corrupt(WHAT, "a file with holes has no length")),
        }
    }
}

/// What a member has besides its name and content.
fn metadata(header: &Header, extended: &Extended) -> Result<Metadata> {
    let permissions = header.unsigned(100, 8, "mode")? & u64::from(mode::PERMISSIONS);
    let mtime = match extended.time("mtime")? {
        Some(time) => time,
        None => Timestamp::from_seconds(header.number(136, 12, "time")?),
    };
    Ok(Metadata {
        uid: owner(header, extended, "uid", 108)?,
        gid: owner(header, extended, "gid", 116)?,
        mtime,
        xattrs: extended.xattrs()?,
        ..Metadata::with_permissions(u16::try_from(permissions).unwrap_or(0))
    })
}

fn acls(extended: &Extended) -> Vec<(acl::Kind, Vec<u8>)> {
    let text = |kind: &acl::Kind| extended.get(kind.key).map(<[u8]>::to_vec);
    let texts = acl::KINDS
        .iter()
        .filter_map(|kind| Some((*kind, text(kind)?)));
    texts.collect()
}

/// The number of a user or group: by the extended header's `key`, else in the header at `at`.
fn owner(header: &Header, extended: &Extended, key: &str, at: usize) -> Result<u32> {
    let value = match extended.number(key)? {
        Some(value) => i64::try_from(value).unwrap_or(i64::MAX),
        None => header.number(at, 8, key)?,
    };
    // Some programs take the numbers for signed ones: -2 is nobody.
    let signed = i32::try_from(value).map(i32::cast_unsigned);
    u32::try_from(value).or(signed).map_err(|_| {
        let message = format!("the {key} is {value}");
        Error::corrupt(WHAT, message)
    })
}

fn device(header: &Header) -> Result<Device> {
    let number = |at, name| {
        let value = header.unsigned(at, 8, name)?;
        u32::try_from(value).map_err(|_| {
            let message = format!("the {name} is {value}");
            Error::corrupt(WHAT, message)
        })
    };
    Ok(Device {
        major: number(329, "major device number")?,
        minor: number(337, "minor device number")?,
    })
}

fn checked_path(path: Vec<u8>, what: &str) -> Result<Vec<u8>> {
    let start = path.get(..path.len().min(60)).unwrap_or_default();
    if path.len() > MAX_PATH {
        let message = format!(
            "the {what} \"{}…\" has {} bytes, of at most {MAX_PATH}",
            start.escape_ascii(),
            path.len()
        );
        return Err(Error::limit(WHAT, message));
    }
    if path.is_empty() || path.contains(&0) {
        let message = format!("the {what} \"{}\" is none", start.escape_ascii());
        return Err(Error::corrupt(WHAT, message));
    }
    Ok(path)
}

fn unknown(kind: u8, path: &[u8]) -> Error {
    let path = path.escape_ascii();
    let message = match kind {
        kind::MULTI_VOLUME => {
            format!("{path}: the file began in another volume; join the volumes first")
        }
        _ => format!("{path}: a member of the type \"{}\"", kind.escape_ascii()),
    };
    Error::unsupported(WHAT, message)
}
