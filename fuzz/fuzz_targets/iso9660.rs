//! Any bytes as an ISO: as they are, as what follows a good primary descriptor, and what could be read written again.
#![no_main]

use std::sync::Arc;

use block::{MemoryTarget, ReadAt, WriteAt as _};
use formats::iso9660::{File, Image, Options, VolumeId, boot_catalog, probe, read_tree};
use libfuzzer_sys::fuzz_target;
use tree::{Inode, Node, Timestamp, Tree};

/// A source of an ISO with the fuzzer's bytes from the root folder on, so that it need not find its way there.
fn behind_a_descriptor(bytes: &[u8]) -> Arc<dyn ReadAt> {
    let empty = Tree::new(tree::Metadata::with_permissions(0o755));
    let target = MemoryTarget::new();
    let id = VolumeId::new("FUZZ").expect("a good one");
    let options = Options::new(id, Timestamp::default());
    let image = Image::begin(&empty, &options, &target).expect("an empty tree");
    image.finish().expect("memory");
    let iso = target.into_bytes();
    let at: [u8; 4] = iso[16 * 2048 + 158..][..4].try_into().expect("four");
    let root = u64::from(u32::from_le_bytes(at)) * 2048;
    let target = MemoryTarget::new();
    target.write_all_at(&iso, 0).expect("memory");
    // The root's own record stays: it announces Rock Ridge.
    target.write_all_at(bytes, root + 254).expect("memory");
    Arc::new(target.into_bytes())
}

fuzz_target!(|bytes: &[u8]| {
    for source in [liveos_fuzz::plain(bytes), behind_a_descriptor(bytes)] {
        let _ = probe(&source);
        let _ = boot_catalog(&source);
        let Ok(tree) = read_tree(source) else {
            continue;
        };
        liveos_fuzz::read_files(&tree).expect("ranges are checked");
        let root = tree.inode(tree.root());
        let mut files = Tree::new(root.metadata.clone());
        for entry in tree.walk().skip(1) {
            let node = match &entry.inode.node {
                Node::Directory(_) => Node::empty_directory(),
                Node::File(content) if content.len() < 1 << 20 => {
                    Node::File(File::Content(content.clone()))
                }
                Node::File(_) | Node::Fifo => Node::Fifo,
                Node::Symlink(target) => Node::Symlink(target.clone()),
                Node::Character(device) => Node::Character(*device),
                Node::Block(device) => Node::Block(*device),
                Node::Socket => Node::Socket,
            };
            let inode = Inode::new(entry.inode.metadata.clone(), node);
            files.put(&entry.path, inode).expect("a path of a tree");
        }
        let target = MemoryTarget::new();
        let id = VolumeId::new("AGAIN").expect("a good one");
        let options = Options::new(id, Timestamp::default());
        let Ok(image) = Image::begin(&files, &options, &target) else {
            continue;
        };
        image.finish().expect("memory");
        let again = read_tree(Arc::new(target.into_bytes())).expect("ours");
        assert_eq!(again.walk().count(), files.walk().count());
    }
});
