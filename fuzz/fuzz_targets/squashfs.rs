//! Any bytes as a squashfs image: as they are, as the tables behind a good superblock, and what could be read written again.
#![no_main]

use std::sync::Arc;

use block::{Content, MemoryTarget, ReadAt, WriteAt as _};
use formats::squashfs::{Checked, Compression, Options, probe, read_tree, write};
use libfuzzer_sys::fuzz_target;
use tree::{Inode, Metadata, Node, Tree, TreePath};

const OPTIONS: Options = Options {
    compression: Compression::Lz4,
    block_size: 4096,
    threads: 1,
    all_times: None,
    image_time: None,
    exportable: true,
    fragments: formats::squashfs::Fragments::AllTails,
};

fn image_of(tree: &Tree<Content>) -> Option<Vec<u8>> {
    let checked = Checked::new(tree, OPTIONS).ok()?;
    let target = MemoryTarget::new();
    let written = write(&checked, &target, &|_| ()).ok()?;
    assert!(written.len <= checked.max_len());
    Some(target.into_bytes())
}

/// An image with the fuzzer's bytes from its inodes on, so that it need not find its way there.
fn behind_a_superblock(bytes: &[u8]) -> Arc<dyn ReadAt> {
    let mut tree = Tree::new(Metadata::with_permissions(0o755));
    let content = Content::from_bytes(vec![b'a'; 10_000]);
    let inode = Inode::new(Metadata::default(), Node::File(content));
    let path = TreePath::parse("/folder/file").expect("a path");
    tree.put(&path, inode).expect("an empty tree");
    let image = image_of(&tree).expect("a small tree");
    let at: [u8; 8] = image[64..72].try_into().expect("eight");
    let target = MemoryTarget::new();
    target.write_all_at(&image, 0).expect("memory");
    let at = u64::from_le_bytes(at);
    target.write_all_at(bytes, at).expect("memory");
    let used = (at + bytes.len() as u64).max(image.len() as u64);
    target.write_all_at(&used.to_le_bytes(), 40).expect("memory");
    Arc::new(target.into_bytes())
}

fuzz_target!(|bytes: &[u8]| {
    for source in [liveos_fuzz::plain(bytes), behind_a_superblock(bytes)] {
        let _ = probe(&source);
        let Ok(tree) = read_tree(source) else {
            continue;
        };
        // A block that does not decompress is found only when it is read.
        let _ = liveos_fuzz::read_files(&tree);
        if let Some(image) = image_of(&tree) {
            let again = read_tree(Arc::new(image)).expect("ours");
            assert_eq!(again.walk().count(), tree.walk().count());
        }
    }
});
