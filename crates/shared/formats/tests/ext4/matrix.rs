//! A matrix of `mke2fs` options, filled by `mke2fs -d` and by the kernel.

use std::path::Path;

use block::Content;
use tree::Tree;

use super::compare::same;
use super::image::{Image, need};
use super::populate;

/// Each set of options once, with the size in MiB: what today's and yesterday's `mke2fs` make.
const OPTIONS: &[(u64, &[&str])] = &[
    (64, &["-t", "ext4"]),
    (64, &["-t", "ext3"]),
    (64, &["-t", "ext2"]),
    (64, &["-t", "ext2", "-O", "none"]),
    (64, &["-t", "ext2", "-O", "none", "-r", "0"]),
    (64, &["-t", "ext2", "-b", "1024", "-I", "128"]),
    (64, &["-t", "ext3", "-b", "2048", "-I", "128"]),
    (64, &["-t", "ext4", "-b", "1024"]),
    (64, &["-t", "ext4", "-b", "2048"]),
    (64, &["-t", "ext4", "-b", "4096", "-I", "1024"]),
    (64, &["-t", "ext4", "-O", "^extents,^64bit,^flex_bg"]),
    (64, &["-t", "ext4", "-O", "^metadata_csum"]),
    (64, &["-t", "ext4", "-O", "^metadata_csum,uninit_bg,^64bit"]),
    (64, &["-t", "ext4", "-O", "^metadata_csum,uninit_bg,64bit"]),
    (64, &["-t", "ext4", "-O", "metadata_csum_seed"]),
    (
        64,
        &["-t", "ext4", "-b", "1024", "-O", "meta_bg,^resize_inode"],
    ),
    (64, &["-t", "ext4", "-O", "^dir_index,^has_journal"]),
    (
        64,
        &[
            "-t",
            "ext4",
            "-O",
            "^filetype,^huge_file,^dir_nlink,^extra_isize",
        ],
    ),
    (64, &["-t", "ext4", "-O", "inline_data"]),
    (64, &["-t", "ext4", "-O", "inline_data", "-I", "1024"]),
    (64, &["-t", "ext4", "-O", "ea_inode,large_dir"]),
    (64, &["-t", "ext4", "-O", "bigalloc", "-C", "65536"]),
    (64, &["-t", "ext4", "-O", "sparse_super2,^resize_inode"]),
    (64, &["-t", "ext4", "-O", "quota,project"]),
    (64, &["-t", "ext4", "-O", "casefold"]),
    (64, &["-t", "ext4", "-O", "encrypt,verity"]),
    (64, &["-t", "ext4", "-O", "mmp"]),
    (64, &["-t", "ext4", "-O", "fast_commit"]),
    (64, &["-t", "ext4", "-O", "orphan_file"]),
    (64, &["-t", "ext4", "-g", "1024", "-b", "4096"]),
    (
        64,
        &["-t", "ext4", "-b", "1024", "-O", "bigalloc", "-C", "16384"],
    ),
    // Most kernels mount no blocks that are larger than a page; then our tree is compared with that of the first image alone.
    (64, &["-t", "ext4", "-b", "8192"]),
    (64, &["-t", "ext4", "-b", "65536"]),
    (64, &["-t", "ext2", "-b", "65536"]),
];

/// What we read of `image`, which is complete and matches what the kernel shows, where that mounts it.
fn check(image: &Image, what: &str) -> Tree<Content> {
    let volume = image.read();
    assert!(volume.warnings.is_empty(), "{what}: {:?}", volume.warnings);
    if let Some(mount) = image.try_mount("ro") {
        assert!(same(&volume.tree, mount.path()) > 30, "{what}");
    }
    volume.tree
}

/// A tree as text, with the sum of each file's bytes.
fn dump(tree: &Tree<Content>) -> String {
    tree.dump(|content| {
        let bytes = content.read_all(32 << 20).unwrap();
        format!("{} {}", bytes.len(), blake3::hash(&bytes))
    })
}

#[test]
fn ref_what_mke2fs_fills_reads_as_the_kernel_shows_it() {
    if !need(&["mke2fs", "mount"]) {
        return;
    }
    let source = tempfile::tempdir().unwrap();
    populate::small(source.path());
    let mut first: Option<String> = None;
    for (size, options) in OPTIONS {
        let mut options = options.to_vec();
        options.extend(["-d", source.path().to_str().unwrap()]);
        let image = Image::make(*size, &options);
        let text = dump(&check(&image, &options.join(" ")));
        let old = options.contains(&"none");
        let text = comparable(&text, old);
        let first = first.get_or_insert_with(|| text.clone());
        assert!(comparable(first, old) == text, "{options:?}: {text}");
    }
}

/// The lines that do not depend on the options: without times, because inodes of 128 bytes hold no nanoseconds and folders are as
/// old as the image, and without xattrs where the file system knows none.
fn comparable(text: &str, without_xattrs: bool) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.starts_with(' ') {
            if !without_xattrs {
                lines.push(line.to_owned());
            }
            continue;
        }
        let is_time = |word: &&str| {
            word.contains('.') && word.len() > 10 && word.as_bytes()[0].is_ascii_digit()
        };
        let words = line.split(' ').filter(|word| !is_time(word));
        lines.push(words.collect::<Vec<_>>().join(" "));
    }
    lines.join("\n")
}

fn fill(folder: &Path) {
    populate::small(folder);
    populate::acls(folder);
    populate::times(folder);
    populate::fragmented(folder, 8, 4096);
}

#[test]
fn ref_what_the_kernel_fills_reads_as_it_shows_it() {
    if !need(&["mke2fs", "mount"]) {
        return;
    }
    for (size, options) in OPTIONS {
        let image = Image::make(*size, options);
        let Some(mount) = image.try_mount("rw") else {
            continue;
        };
        fill(mount.path());
        drop(mount);
        check(&image, &options.join(" "));
    }
}
