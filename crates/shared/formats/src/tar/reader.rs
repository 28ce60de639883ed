//! An archive to a tree.

use std::path::Path;
use std::sync::Arc;

use block::{Content, DiskFile, Error, ReadAt, Result};
use tree::Tree;

use super::compression::Compression;
use super::format::{BLOCK, Header};
use super::member::Members;
use super::unpack::{Limits, Unpacker};
use crate::Identity;

/// Says whether `source` is a tar archive, compressed or not: whether a header is at its start. An archive of nothing is not told from
/// zeros, nor one that is compressed with what is not read.
///
/// # Errors
///
/// What reading answers.
pub fn probe(source: &dyn ReadAt) -> Result<Option<Identity>> {
    let start = start(source)?;
    let block = match Compression::of(&start) {
        Some(compression) => compression.peek(source, BLOCK),
        None => start,
    };
    let block: Option<[u8; BLOCK]> = block.try_into().ok();
    let header = block.and_then(|block| Header::parse(block, 0).ok().flatten());
    Ok(header.map(|_| Identity {
        format: "tar",
        label: String::new(),
        uuid: String::new(),
    }))
}

/// Reads the archive in `source`; a compressed one is unpacked into a file in the folder for temporary files, as in [`read_tree_in`].
///
/// # Errors
///
/// As [`read_tree_in`].
pub fn read_tree(source: Arc<dyn ReadAt>) -> Result<Tree<Content>> {
    read_tree_in(source, std::env::temp_dir())
}

/// Reads the archive in `source`, a later member over the earlier ones, up to the block of zeros that ends it.
///
/// The contents of files stay ranges of `source`. A compressed archive is unpacked once, into a file in `folder` that has no name and
/// is gone when the tree is, also where the program is killed.
///
/// Folders that no member makes are made with permissions 0755. Links on the way to a member are followed inside the tree only.
///
/// # Errors
///
/// `Corrupt` with the offset (in the unpacked archive, where it is compressed) of what breaks the format, and for members with `..` in
/// their names; `Unsupported` for what is compressed with bzip2, lzma, lzip, lzop or compress, for members of unknown types and those
/// that began in another volume, and for ACLs of users and groups that are neither numbers nor in the archive's own tables; `Limit` for
/// what would take too much memory or disk; `Io` where `folder` takes no file.
pub fn read_tree_in(source: Arc<dyn ReadAt>, folder: impl AsRef<Path>) -> Result<Tree<Content>> {
    let source = match Compression::of(&start(&source)?) {
        None => source,
        Some(compression) => unpacked(&source, compression, folder.as_ref())?,
    };
    read_plain(source, Limits::default())
}

/// Reads an archive that is not compressed.
pub(super) fn read_plain(source: Arc<dyn ReadAt>, limits: Limits) -> Result<Tree<Content>> {
    let mut members = Members::new(source);
    let mut unpacker = Unpacker::new(limits);
    while let Some(member) = members.next()? {
        unpacker.put(member)?;
    }
    unpacker.finish()
}

/// The first block of `source`, as far as there is one.
fn start(source: &dyn ReadAt) -> Result<Vec<u8>> {
    let len = usize::try_from(source.len()).unwrap_or(BLOCK).min(BLOCK);
    let mut start = vec![0; len];
    source.read_exact_at(&mut start, 0)?;
    Ok(start)
}

fn unpacked(
    source: &dyn ReadAt,
    compression: Compression,
    folder: &Path,
) -> Result<Arc<dyn ReadAt>> {
    let io = |error| Error::io("making a temporary file", error).in_file(folder);
    let file = tempfile::tempfile_in(folder).map_err(io)?;
    let target = DiskFile::from_file(file.try_clone().map_err(io)?, folder)?;
    let len = compression.unpack(source, &target)?;
    file.set_len(len).map_err(io)?;
    Ok(Arc::new(DiskFile::from_file(file, folder)?))
}
