//! What `liveos` and the keeper say to each other.
//!
//! `liveos` orders and the keeper answers. Orders that lay files down have no answer of their own: the first that fails is told at
//! [`Order::Settle`].

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use block::{Error, Kind};
use tree::{Device, Metadata, Timestamp};

use crate::wire::{Fields, Parts};

/// A path from the scratch's root on, without a leading slash; the root itself is empty.
pub(crate) type Path = Vec<u8>;

/// What the keeper is to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// The identities are mapped: make the scratch. Answered with [`Answer::Ready`].
    Begin,
    /// Remove what is there, with all below it.
    Remove(Path),
    /// Make a folder; one that is there stays.
    Directory(Path),
    /// Make a file of this length; [`Order::Data`] follows.
    File(Path, u64),
    /// Bytes of the file that was made last.
    Data(u64, Vec<u8>),
    /// Make a symbolic link with this target.
    Symlink(Path, Vec<u8>),
    /// Make a named pipe.
    Fifo(Path),
    /// Make a socket.
    Socket(Path),
    /// Make a further name for what the second path names.
    Link(Path, Path),
    /// Set owner, permissions, xattrs and time.
    Metadata(Path, Metadata),
    /// All is laid down: remember how it is. Answered with [`Answer::Settled`].
    Settle,
    /// Run a program: the bytes are a [`Spec`](crate::spec::Spec). Answered with [`Answer::Output`] and [`Answer::Ended`].
    Run(Vec<u8>),
    /// Say what changed since. Answered with [`Answer::Removed`], [`Answer::Found`] and [`Answer::Collected`].
    Collect,
}

impl Order {
    pub(crate) fn encode(&self) -> Fields {
        let mut fields = Fields::new(match self {
            Self::Begin => 0,
            Self::Remove(_) => 1,
            Self::Directory(_) => 2,
            Self::File(..) => 3,
            Self::Data(..) => 4,
            Self::Symlink(..) => 5,
            Self::Fifo(_) => 6,
            Self::Socket(_) => 7,
            Self::Link(..) => 8,
            Self::Metadata(..) => 9,
            Self::Settle => 10,
            Self::Run(_) => 11,
            Self::Collect => 12,
        });
        match self {
            Self::Begin | Self::Settle | Self::Collect => {}
            Self::Remove(path) | Self::Directory(path) | Self::Fifo(path) | Self::Socket(path) => {
                fields.bytes(path);
            }
            Self::File(path, len) => {
                fields.bytes(path).u64(*len);
            }
            Self::Data(offset, bytes) => {
                fields.u64(*offset).bytes(bytes);
            }
            Self::Symlink(path, other) | Self::Link(path, other) => {
                fields.bytes(path).bytes(other);
            }
            Self::Metadata(path, metadata) => {
                fields.bytes(path);
                put_metadata(&mut fields, metadata);
            }
            Self::Run(spec) => {
                fields.bytes(spec);
            }
        }
        fields
    }

    pub(crate) fn decode(frame: &[u8]) -> io::Result<Self> {
        let mut parts = Parts::new(frame);
        Ok(match parts.u8()? {
            0 => Self::Begin,
            1 => Self::Remove(parts.bytes()?),
            2 => Self::Directory(parts.bytes()?),
            3 => Self::File(parts.bytes()?, parts.u64()?),
            4 => Self::Data(parts.u64()?, parts.bytes()?),
            5 => Self::Symlink(parts.bytes()?, parts.bytes()?),
            6 => Self::Fifo(parts.bytes()?),
            7 => Self::Socket(parts.bytes()?),
            8 => Self::Link(parts.bytes()?, parts.bytes()?),
            9 => Self::Metadata(parts.bytes()?, take_metadata(&mut parts)?),
            10 => Self::Settle,
            11 => Self::Run(parts.bytes()?),
            12 => Self::Collect,
            _ => return Err(unknown()),
        })
    }
}

/// What the keeper says.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The keeper waits for its identities to be mapped.
    Waiting,
    /// The scratch is made; this is its folder.
    Ready(Vec<u8>),
    /// What was laid down is remembered; these xattrs could not be set, by path and name.
    Settled(Vec<(Path, Vec<u8>)>),
    /// What the program wrote.
    Output(Vec<u8>),
    /// The program ended: what `wait` says of it.
    Ended(i32),
    /// The path is no longer there.
    Removed(Path),
    /// The path is new or changed.
    Found(Box<Found>),
    /// That was all that changed. The time is that of the file system when the scratch was made.
    Collected(Timestamp),
    /// It could not be done.
    Failed(Fault),
}

/// Something that is new or changed.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) path: Path,
    pub(crate) metadata: Metadata,
    pub(crate) kind: FoundKind,
}

/// What it is.
#[derive(Debug)]
pub(crate) enum FoundKind {
    Directory,
    /// A file of this length: the data at `from` of the pack is at `to` of the file, `len` bytes; the rest is holes.
    File {
        len: u64,
        runs: Vec<Run>,
    },
    Symlink(Vec<u8>),
    Character(Device),
    Block(Device),
    Fifo,
    Socket,
    /// Another name of what this path names, which was told before or did not change.
    Link(Path),
}

/// Bytes of the pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) to: u64,
    pub(crate) from: u64,
    pub(crate) len: u64,
}

impl Answer {
    pub(crate) fn encode(&self) -> Fields {
        let mut fields = Fields::new(match self {
            Self::Waiting => 0,
            Self::Ready(_) => 1,
            Self::Settled(_) => 2,
            Self::Output(_) => 3,
            Self::Ended(_) => 4,
            Self::Removed(_) => 5,
            Self::Found(_) => 6,
            Self::Collected(_) => 7,
            Self::Failed(_) => 8,
        });
        match self {
            Self::Waiting => {}
            Self::Ready(bytes) | Self::Output(bytes) | Self::Removed(bytes) => {
                fields.bytes(bytes);
            }
            Self::Settled(withheld) => {
                fields.list(withheld.iter(), |fields, (path, name)| {
                    fields.bytes(path).bytes(name);
                });
            }
            Self::Ended(status) => {
                fields.i64(i64::from(*status));
            }
            Self::Found(found) => {
                fields.bytes(&found.path);
                put_metadata(&mut fields, &found.metadata);
                put_kind(&mut fields, &found.kind);
            }
            Self::Collected(time) => put_time(&mut fields, *time),
            Self::Failed(fault) => {
                fields
                    .u8(fault.kind)
                    .bytes(&fault.what)
                    .bytes(&fault.path)
                    .bytes(&fault.message);
            }
        }
        fields
    }

    pub(crate) fn decode(frame: &[u8]) -> io::Result<Self> {
        let mut parts = Parts::new(frame);
        Ok(match parts.u8()? {
            0 => Self::Waiting,
            1 => Self::Ready(parts.bytes()?),
            2 => Self::Settled(parts.list(|parts| Ok((parts.bytes()?, parts.bytes()?)))?),
            3 => Self::Output(parts.bytes()?),
            4 => Self::Ended(i32::try_from(parts.i64()?).unwrap_or(i32::MAX)),
            5 => Self::Removed(parts.bytes()?),
            6 => Self::Found(Box::new(Found {
                path: parts.bytes()?,
                metadata: take_metadata(&mut parts)?,
                kind: take_kind(&mut parts)?,
            })),
            7 => Self::Collected(take_time(&mut parts)?),
            8 => Self::Failed(Fault {
                kind: parts.u8()?,
                what: text(parts.bytes()?),
                path: parts.bytes()?,
                message: text(parts.bytes()?),
            }),
            _ => return Err(unknown()),
        })
    }
}

/// An error on its way from one process to another.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    kind: u8,
    what: String,
    path: Vec<u8>,
    message: String,
}

/// The kinds of errors, by their number in [`Fault`].
const KINDS: [Kind; 5] = [
    Kind::Io,
    Kind::Corrupt,
    Kind::Unsupported,
    Kind::Limit,
    Kind::NotFound,
];

impl Fault {
    pub(crate) fn new(error: &Error) -> Self {
        let mut message = String::new();
        let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
        while let Some(error) = cause {
            if !message.is_empty() {
                message.push_str(": ");
            }
            message.push_str(&error.to_string());
            cause = error.source();
        }
        let shown = error.place().path.as_deref();
        let path = shown.map(|path| path.as_os_str().as_encoded_bytes().to_vec());
        // What is left of the text without the path and the step is the fact.
        let text = error.to_string();
        let fact = text.rsplit_once(&format!("{}: ", error.place().what));
        if let Some((_, fact)) = fact {
            message = if message.is_empty() {
                fact.to_owned()
            } else {
                format!("{fact}: {message}")
            };
        }
        let kind = KINDS.iter().position(|kind| *kind == error.kind());
        Self {
            kind: kind
                .and_then(|kind| u8::try_from(kind).ok())
                .unwrap_or_default(),
            what: error.place().what.clone(),
            path: path.unwrap_or_default(),
            message,
        }
    }

    pub(crate) fn into_error(self) -> Error {
        let kind = KINDS.get(usize::from(self.kind)).copied();
        let error = Error::new(kind.unwrap_or(Kind::Io), self.what, self.message);
        if self.path.is_empty() {
            return error;
        }
        error.in_file(std::path::Path::new(crate::spec::os_str(&self.path)))
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

fn put_time(fields: &mut Fields, time: Timestamp) {
    fields.i64(time.seconds).u32(time.nanoseconds);
}

fn take_time(parts: &mut Parts<'_>) -> io::Result<Timestamp> {
    Ok(Timestamp {
        seconds: parts.i64()?,
        nanoseconds: parts.u32()?,
    })
}

fn put_metadata(fields: &mut Fields, metadata: &Metadata) {
    fields
        .u32(u32::from(metadata.permissions))
        .u32(metadata.uid)
        .u32(metadata.gid);
    put_time(fields, metadata.mtime);
    fields.list(metadata.xattrs.iter(), |fields, (name, value)| {
        fields.bytes(name).bytes(value);
    });
}

fn take_metadata(parts: &mut Parts<'_>) -> io::Result<Metadata> {
    Ok(Metadata {
        permissions: u16::try_from(parts.u32()?).unwrap_or_default(),
        uid: parts.u32()?,
        gid: parts.u32()?,
        mtime: take_time(parts)?,
        xattrs: Arc::new(
            parts
                .list(|parts| Ok((parts.bytes()?.into(), parts.bytes()?.into())))?
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
        ),
    })
}

fn put_kind(fields: &mut Fields, kind: &FoundKind) {
    match kind {
        FoundKind::Directory => fields.u8(0),
        FoundKind::File { len, runs } => fields.u8(1).u64(*len).list(runs.iter(), |fields, run| {
            fields.u64(run.to).u64(run.from).u64(run.len);
        }),
        FoundKind::Symlink(target) => fields.u8(2).bytes(target),
        FoundKind::Character(device) => fields.u8(3).u32(device.major).u32(device.minor),
        FoundKind::Block(device) => fields.u8(4).u32(device.major).u32(device.minor),
        FoundKind::Fifo => fields.u8(5),
        FoundKind::Socket => fields.u8(6),
        FoundKind::Link(path) => fields.u8(7).bytes(path),
    };
}

fn take_kind(parts: &mut Parts<'_>) -> io::Result<FoundKind> {
    let device = |parts: &mut Parts<'_>| {
        Ok::<_, io::Error>(Device {
            major: parts.u32()?,
            minor: parts.u32()?,
        })
    };
    Ok(match parts.u8()? {
        0 => FoundKind::Directory,
        1 => FoundKind::File {
            len: parts.u64()?,
            runs: parts.list(|parts| {
                Ok(Run {
                    to: parts.u64()?,
                    from: parts.u64()?,
                    len: parts.u64()?,
                })
            })?,
        },
        2 => FoundKind::Symlink(parts.bytes()?),
        3 => FoundKind::Character(device(parts)?),
        4 => FoundKind::Block(device(parts)?),
        5 => FoundKind::Fifo,
        6 => FoundKind::Socket,
        7 => FoundKind::Link(parts.bytes()?),
        _ => return Err(unknown()),
    })
}

fn unknown() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "a message of the sandbox is of no known kind",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_the_same_on_the_other_side() {
        let error = Error::limit("making a file", "too long").in_file("/x");
        let arrived = Fault::new(&error).into_error();
        assert_eq!(arrived.to_string(), error.to_string());
        assert_eq!(arrived.kind(), Kind::Limit);
        let error = Error::io("making a file", io::Error::other("the disk is full"));
        let arrived = Fault::new(&error).into_error();
        assert_eq!(arrived.to_string(), "making a file: the disk is full");
    }
}
