//! Reading an image: from its root folder on, each inode once, contents where they are.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use block::{Content, Error, ReadAt, Result};
use tree::{Inode, InodeId, Metadata, Node, Timestamp, Tree, Xattrs};

use super::directory_reader::{Listed, read_listing};
use super::fields::{Fields, narrow, wide};
use super::file::content_of;
use super::format::{BLOCK_RAW, MAGIC, NO_TABLE, SUPERBLOCK_LEN};
use super::image::{Image, Stored};
use super::inode_reader::{Body, FileBody, Parsed, read_inode};
use super::metadata_reader::{Cursor, MetadataReader};
use super::xattr_reader::XattrReader;
use crate::Identity;

/// The most names that are read: a few hundred bytes of memory each. An image of more is refused.
const MAX_NAMES: u64 = 1 << 23;
/// The most blocks of all files together: 4 bytes of memory each, so 64 MiB. An image of more is refused.
const MAX_BLOCKS: u64 = 1 << 24;
/// How deep folders may be in each other. An image with deeper ones is refused.
const MAX_DEPTH: usize = 1000;

/// Says whether `source` begins as a squashfs 4 image does. squashfs has neither label nor UUID.
///
/// # Errors
///
/// What reading answers.
pub fn probe(source: &dyn ReadAt) -> Result<Option<Identity>> {
    let len = wide(SUPERBLOCK_LEN);
    if source.len() < len {
        return Ok(None);
    }
    let what = "squashfs superblock";
    let bytes = block::read_vec(source, 0, len, SUPERBLOCK_LEN, what)?;
    let magic = Fields::new(&bytes, what).u32()?;
    let major = Fields::new(bytes.get(28..).unwrap_or_default(), what).u16()?;
    Ok((magic == MAGIC && major == 4).then(|| Identity {
        format: "squashfs",
        label: String::new(),
        uuid: String::new(),
    }))
}

/// How long the image in `source` is by its own account, in bytes; `None` where there is none. What follows is not of it.
///
/// # Errors
///
/// What reading answers.
pub fn image_len(source: &dyn ReadAt) -> Result<Option<u64>> {
    if probe(source)?.is_none() {
        return Ok(None);
    }
    let what = "squashfs superblock";
    let bytes = block::read_vec(source, 0, wide(SUPERBLOCK_LEN), SUPERBLOCK_LEN, what)?;
    let len = Fields::new(bytes.get(40..).unwrap_or_default(), what).u64()?;
    Ok(Some(len))
}

/// The tree of the image `source`. Contents stay in it, and are decompressed as they are read.
///
/// # Errors
///
/// [`Kind::Corrupt`](block::Kind::Corrupt) where the bytes break the format's rules, [`Kind::Unsupported`](block::Kind::Unsupported)
/// for other versions, LZMA and LZO, [`Kind::Limit`](block::Kind::Limit) for more than 2^23 names, 2^24 blocks, 64 MiB of xattrs or
/// 1000 folders in each other.
pub fn read_tree(source: Arc<dyn ReadAt>) -> Result<Tree<Content>> {
    read_tree_and_places(source).map(|(tree, _)| tree)
}

/// Where the contents of files are stored in an image, in bytes from its start: several files may share a place.
pub type Places = BTreeMap<InodeId, Vec<Range<u64>>>;

/// As [`read_tree`], and where the contents lie, for saying which file a damaged place belongs to.
///
/// # Errors
///
/// As [`read_tree`].
pub fn read_tree_and_places(source: Arc<dyn ReadAt>) -> Result<(Tree<Content>, Places)> {
    let image = Arc::new(Image::open(source)?);
    let mut reader = Reader {
        ids: Vec::new(),
        metadata: MetadataReader::new(&image),
        xattrs: XattrReader::open(&image)?,
        blocks_left: MAX_BLOCKS,
        names_left: MAX_NAMES,
        known: BTreeMap::new(),
        places: BTreeMap::new(),
        image: &image,
    };
    reader.read_ids()?;
    let tree = reader.tree()?;
    Ok((tree, reader.places))
}

struct Reader<'a> {
    image: &'a Arc<Image>,
    metadata: MetadataReader<'a>,
    xattrs: XattrReader,
    ids: Vec<u32>,
    blocks_left: u64,
    names_left: u64,
    /// By their reference, what was read; folders are not to be met again.
    known: BTreeMap<u64, InodeId>,
    places: Places,
}

/// A folder whose listing is still to be read.
struct Folder {
    id: InodeId,
    listing: u64,
    len: u32,
    depth: usize,
}

impl Reader<'_> {
    fn read_ids(&mut self) -> Result<()> {
        let superblock = &self.image.superblock;
        for index in 0..u64::from(superblock.ids) {
            let what = "squashfs id table";
            let bytes = self.metadata.record(superblock.id_table, index, 4, what)?;
            self.ids.push(Fields::new(&bytes, what).u32()?);
        }
        Ok(())
    }

    fn tree(&mut self) -> Result<Tree<Content>> {
        let root = self.image.superblock.root;
        let parsed = self.inode(root)?;
        let Body::Directory { listing, len } = parsed.body else {
            return Err(Error::corrupt("squashfs root", "it is no folder").at(root >> 16));
        };
        let mut tree = Tree::new(self.metadata(&parsed)?);
        self.known.insert(root, tree.root());
        let mut pending = vec![Folder {
            id: tree.root(),
            listing,
            len,
            depth: 1,
        }];
        while let Some(folder) = pending.pop() {
            for listed in self.listing(&folder)? {
                let added = self.add(&mut tree, &folder, listed)?;
                pending.extend(added);
            }
        }
        Ok(tree)
    }

    fn inode(&mut self, reference: u64) -> Result<Parsed> {
        let superblock = &self.image.superblock;
        let (start, end) = (superblock.inode_table, superblock.directory_table);
        let cursor = Cursor::new(start, end, reference);
        let block_size = superblock.block_size;
        read_inode(
            &mut self.metadata,
            cursor,
            block_size,
            &mut self.blocks_left,
        )
    }

    fn metadata(&mut self, parsed: &Parsed) -> Result<Metadata> {
        let ids = &self.ids;
        let id = |index: u16| {
            let id = ids.get(usize::from(index)).copied();
            let message = || format!("owner number {index}, and there is none such");
            id.ok_or_else(|| Error::corrupt("squashfs inode", message()))
        };
        Ok(Metadata {
            permissions: parsed.permissions,
            uid: id(parsed.uid)?,
            gid: id(parsed.gid)?,
            mtime: Timestamp::from_seconds(i64::from(parsed.mtime)),
            xattrs: match parsed.xattrs {
                Some(index) => self.xattrs.set(&mut self.metadata, index)?,
                None => Xattrs::default(),
            },
        })
    }

    /// Puts one name into the tree. Answers the folder that it is, if so.
    fn add(
        &mut self,
        tree: &mut Tree<Content>,
        folder: &Folder,
        listed: Listed,
    ) -> Result<Option<Folder>> {
        let Listed { name, reference } = listed;
        let at = self
            .image
            .superblock
            .inode_table
            .saturating_add(reference >> 16);
        let bad = |error: tree::Error| {
            Error::corrupt("squashfs folder", "")
                .caused_by(error)
                .at(at)
        };
        if let Some(id) = self.known.get(&reference) {
            return tree.link(folder.id, name, *id).map_err(bad).map(|()| None);
        }
        let parsed = self.inode(reference)?;
        let metadata = self.metadata(&parsed)?;
        let mut below = None;
        let mut places = Vec::new();
        let node = match parsed.body {
            Body::Directory { listing, len } => {
                below = Some((listing, len));
                Node::empty_directory()
            }
            Body::File(body) => {
                places = self.places_of(&body)?;
                Node::File(self.content(body)?)
            }
            Body::Symlink(target) => Node::Symlink(target.into()),
            Body::Block(device) => Node::Block(device),
            Body::Character(device) => Node::Character(device),
            Body::Fifo => Node::Fifo,
            Body::Socket => Node::Socket,
        };
        let inode = Inode::new(metadata, node);
        let id = tree.add(folder.id, name, inode).map_err(bad)?;
        self.known.insert(reference, id);
        if !places.is_empty() {
            self.places.insert(id, places);
        }
        let Some((listing, len)) = below else {
            return Ok(None);
        };
        let depth = folder.depth.saturating_add(1);
        if depth > MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} folders in each other");
            return Err(Error::limit("squashfs folder", message).at(at));
        }
        Ok(Some(Folder {
            id,
            listing,
            len,
            depth,
        }))
    }

    fn content(&mut self, body: FileBody) -> Result<Content> {
        let fragment = self.fragment(&body)?;
        content_of(self.image, body, fragment)
    }

    /// Where the blocks and the fragment of a file are stored.
    fn places_of(&mut self, body: &FileBody) -> Result<Vec<Range<u64>>> {
        let mut places = Vec::new();
        let sizes = body.sizes.iter();
        let len: u64 = sizes.map(|size| u64::from(size & !BLOCK_RAW)).sum();
        if len > 0 {
            places.push(body.start..body.start.saturating_add(len));
        }
        if let Some((block, _)) = self.fragment(body)? {
            places.push(block.at..block.at.saturating_add(wide(block.len)));
        }
        Ok(places)
    }

    /// The block with the end of a file, and the offset in that.
    fn fragment(&mut self, body: &FileBody) -> Result<Option<(Stored, usize)>> {
        let what = "squashfs fragment table";
        let superblock = &self.image.superblock;
        let Some((index, offset)) = body.fragment else {
            return Ok(None);
        };
        if index >= superblock.fragments || superblock.fragment_table == NO_TABLE {
            let message = format!("a file has fragment {index}, and there is none such");
            return Err(Error::corrupt(what, message));
        }
        let table = superblock.fragment_table;
        let record = self.metadata.record(table, u64::from(index), 16, what)?;
        let mut fields = Fields::new(&record, what);
        let block = self.image.stored(fields.u64()?, fields.u32()?, what)?;
        Ok(Some((block, narrow(u64::from(offset)))))
    }

    fn listing(&mut self, folder: &Folder) -> Result<Vec<Listed>> {
        let superblock = &self.image.superblock;
        let (start, end) = (superblock.directory_table, superblock.used);
        let cursor = Cursor::new(start, end, folder.listing);
        read_listing(&mut self.metadata, cursor, folder.len, &mut self.names_left)
    }
}
