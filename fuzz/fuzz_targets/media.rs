//! Any bytes as live media: as they are, and as the root file system image on an ISO that is whole.
#![no_main]

use std::sync::Arc;

use block::{Content, MemoryTarget, ReadAt};
use formats::iso9660::{File, Image, Options, VolumeId};
use libfuzzer_sys::fuzz_target;
use source::{Disk, Input};
use tree::{Inode, Metadata, Node, Timestamp, Tree, TreePath};

/// The places of the image, one for each kind: squashfs, what lies in squashfs, an initramfs.
const PLACES: [&str; 3] = ["liveos/rootfs.img", "LiveOS/rootfs.img", "boot/initrd.img"];

/// An ISO with `bytes` at `path`.
fn on_an_iso(path: &str, bytes: &[u8]) -> Arc<dyn ReadAt> {
    let mut files = Tree::new(Metadata::with_permissions(0o755));
    let node = Node::File(File::Content(Content::from_bytes(bytes)));
    let path = TreePath::parse(path).expect("a path");
    let inode = Inode::new(Metadata::default(), node);
    files.put(&path, inode).expect("an empty tree");
    let target = MemoryTarget::new();
    let id = VolumeId::new("FUZZ").expect("a good one");
    let options = Options::new(id, Timestamp::default());
    let image = Image::begin(&files, &options, &target).expect("one file");
    image.finish().expect("memory");
    Arc::new(target.into_bytes())
}

fuzz_target!(|bytes: &[u8]| {
    let inside = PLACES.map(|path| on_an_iso(path, bytes));
    for image in [liveos_fuzz::plain(bytes)].into_iter().chain(inside) {
        let Ok(disk) = Disk::of("raw", image) else {
            continue;
        };
        if let Ok(source) = source::read(Input::Disk(disk), &source::Options::default()) {
            // A block that does not decompress is found only when it is read.
            let _ = liveos_fuzz::read_files(&source.tree);
        }
    }
});
