//! One inode as it is stored: its basic form where that holds all of it, else its extended form.

use block::{ReadAt as _, Result};
use tree::{Device, InodeId, Node};

use super::checked::Checked;
use super::data::{Data, FileData};
use super::directory_writer::Listing;
use super::fields::{half, word};
use super::format::{LISTING_EXTRA, NO_FRAGMENT, NO_XATTRS, kind};

/// Linux's device number in 32 bits (`new_encode_dev`).
fn device_number(device: Device) -> u32 {
    (device.minor & 0xff) | (device.major << 8) | ((device.minor & !0xff) << 12)
}

/// The basic type of a node.
pub(crate) fn basic_kind<C>(node: &Node<C>) -> u16 {
    match node {
        Node::Directory(_) => kind::DIRECTORY,
        Node::File(_) => kind::FILE,
        Node::Symlink(_) => kind::SYMLINK,
        Node::Block(_) => kind::BLOCK,
        Node::Character(_) => kind::CHARACTER,
        Node::Fifo => kind::FIFO,
        Node::Socket => kind::SOCKET,
    }
}

/// The fields of an inode behind its header, and whether they are those of the extended form.
struct Body {
    extended: bool,
    bytes: Vec<u8>,
}

impl Body {
    fn words(extended: bool, words: &[u32]) -> Self {
        let bytes = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        Self { extended, bytes }
    }

    fn push(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Appends the xattr index, with which extended forms of most kinds end.
    fn xattrs(self, index: u32) -> Self {
        if self.extended {
            self.push(&index.to_le_bytes())
        } else {
            self
        }
    }
}

/// The bytes of the inode `id` in the folder `parent`; `listing` is that of a folder.
pub(crate) fn inode_bytes(
    checked: &Checked<'_>,
    data: &Data,
    (id, parent): (InodeId, InodeId),
    listing: Option<&Listing>,
) -> Result<Vec<u8>> {
    let inode = checked.tree.inode(id);
    let metadata = &inode.metadata;
    let xattrs = checked.xattr_index(id);
    let has_xattrs = xattrs != NO_XATTRS;
    let names = inode.names();
    let body = match &inode.node {
        Node::Directory(_) => {
            let parent = match checked.number(parent) {
                // The root's parent is one that no inode has.
                own if id == parent => own.saturating_add(1),
                number => number,
            };
            directory(listing, parent, xattrs)
        }
        Node::File(content) => {
            let empty = FileData::default();
            let data = data.of(id).unwrap_or(&empty);
            file(content.len(), data, names, xattrs)
        }
        Node::Symlink(target) => Body::words(has_xattrs, &[names, word(target.len())])
            .push(target)
            .xattrs(xattrs),
        Node::Block(device) | Node::Character(device) => {
            Body::words(has_xattrs, &[names, device_number(*device)]).xattrs(xattrs)
        }
        Node::Fifo | Node::Socket => Body::words(has_xattrs, &[names]).xattrs(xattrs),
    };
    let kind = match body.extended {
        true => basic_kind(&inode.node).saturating_add(kind::EXTENDED),
        false => basic_kind(&inode.node),
    };
    let mut bytes = Vec::with_capacity(body.bytes.len().saturating_add(16));
    let index_of = |id| half(checked.ids.binary_search(&id).unwrap_or_default());
    for field in [
        kind,
        metadata.permissions & tree::mode::PERMISSIONS,
        index_of(metadata.uid),
        index_of(metadata.gid),
    ] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    bytes.extend_from_slice(&checked.time(metadata).to_le_bytes());
    bytes.extend_from_slice(&checked.number(id).to_le_bytes());
    bytes.extend_from_slice(&body.bytes);
    Ok(bytes)
}

fn directory(listing: Option<&Listing>, parent: u32, xattrs: u32) -> Body {
    let none = Listing::default();
    let listing = listing.unwrap_or(&none);
    let size = listing.len.saturating_add(LISTING_EXTRA);
    let links = listing.folders.saturating_add(2);
    let at = listing.position;
    let basic = u16::try_from(size).is_ok() && xattrs == NO_XATTRS && listing.index.is_empty();
    if basic {
        return Body::words(false, &[at.block, links])
            .push(&half(size).to_le_bytes())
            .push(&at.offset.to_le_bytes())
            .push(&parent.to_le_bytes());
    }
    Body::words(true, &[links, size, at.block, parent])
        .push(&listing.index_count.to_le_bytes())
        .push(&at.offset.to_le_bytes())
        .push(&xattrs.to_le_bytes())
        .push(&listing.index)
}

fn file(len: u64, data: &FileData, names: u32, xattrs: u32) -> Body {
    let (fragment, offset) = data
        .fragment
        .map_or((NO_FRAGMENT, 0), |place| (place.index, place.offset));
    let start = u32::try_from(data.start);
    let basic = xattrs == NO_XATTRS && names <= 1 && data.sparse == 0;
    let body = match (start, u32::try_from(len)) {
        (Ok(start), Ok(len)) if basic => Body::words(false, &[start, fragment, offset, len]),
        _ => {
            let wide = [data.start, len, data.sparse];
            let bytes = wide.iter().flat_map(|field| field.to_le_bytes()).collect();
            let body = Body {
                extended: true,
                bytes,
            };
            [names, fragment, offset, xattrs]
                .into_iter()
                .fold(body, |body, field| body.push(&field.to_le_bytes()))
        }
    };
    data.blocks
        .iter()
        .fold(body, |body, size| body.push(&size.to_le_bytes()))
}
