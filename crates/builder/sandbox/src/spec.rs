//! A program to run, as the keeper hands it to the processes inside.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use crate::wire::{Fields, Parts};

/// A program to run, and what it finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spec {
    /// The program and its arguments.
    pub(crate) arguments: Vec<Vec<u8>>,
    /// All of its environment.
    pub(crate) environment: Vec<(Vec<u8>, Vec<u8>)>,
    /// The folder it starts in, inside.
    pub(crate) directory: Vec<u8>,
    /// Whether it has the host's network.
    pub(crate) network: bool,
    /// What of the host it sees.
    pub(crate) binds: Vec<SpecBind>,
    /// Files that are in no tree; the keeper turns them into binds.
    pub(crate) files: Vec<SpecFile>,
    /// Folders that are in no tree; the keeper turns them into binds.
    pub(crate) temporary: Vec<Vec<u8>>,
    /// Its standard input.
    pub(crate) input: Vec<u8>,
    /// The scratch's root, on the host; the keeper fills it in.
    pub(crate) root: Vec<u8>,
}

/// A file that is seen inside, and is in no tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SpecFile {
    /// Without a leading slash.
    pub(crate) inside: Vec<u8>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) executable: bool,
}

/// Something of the host's that is seen inside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SpecBind {
    pub(crate) host: Vec<u8>,
    /// Without a leading slash.
    pub(crate) inside: Vec<u8>,
    pub(crate) read_only: bool,
}

impl Spec {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut fields = Fields::default();
        fields.list(self.arguments.iter(), |fields, argument| {
            fields.bytes(argument);
        });
        fields.list(self.environment.iter(), |fields, (name, value)| {
            fields.bytes(name).bytes(value);
        });
        fields.bytes(&self.directory).u8(u8::from(self.network));
        fields.list(self.binds.iter(), |fields, bind| {
            fields.bytes(&bind.host).bytes(&bind.inside);
            fields.u8(u8::from(bind.read_only));
        });
        fields.list(self.files.iter(), |fields, file| {
            fields.bytes(&file.inside).bytes(&file.bytes);
            fields.u8(u8::from(file.executable));
        });
        fields.list(self.temporary.iter(), |fields, folder| {
            fields.bytes(folder);
        });
        fields.bytes(&self.input).bytes(&self.root);
        fields.as_bytes().to_vec()
    }

    pub(crate) fn decode(bytes: &[u8]) -> io::Result<Self> {
        let mut parts = Parts::new(bytes);
        Ok(Self {
            arguments: parts.list(Parts::bytes)?,
            environment: parts.list(|parts| Ok((parts.bytes()?, parts.bytes()?)))?,
            directory: parts.bytes()?,
            network: parts.u8()? != 0,
            binds: parts.list(|parts| {
                Ok(SpecBind {
                    host: parts.bytes()?,
                    inside: parts.bytes()?,
                    read_only: parts.u8()? != 0,
                })
            })?,
            files: parts.list(|parts| {
                Ok(SpecFile {
                    inside: parts.bytes()?,
                    bytes: parts.bytes()?,
                    executable: parts.u8()? != 0,
                })
            })?,
            temporary: parts.list(Parts::bytes)?,
            input: parts.bytes()?,
            root: parts.bytes()?,
        })
    }
}

/// Bytes as a word of the operating system.
pub(crate) fn os_str(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

/// Bytes as a path.
pub(crate) fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(os_str(bytes))
}
