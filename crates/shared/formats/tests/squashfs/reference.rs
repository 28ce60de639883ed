//! What others' programs say of our images, and what we say of theirs.

use std::path::Path;
use std::process::Command;

use crate::compare::{assert_same, dump, read};
use crate::folder::tree_of;
use crate::samples::{everything, image_of, metadata, path, text, ways};
use block::{Content, Piece, ReadAt as _};
use tree::{Inode, Name, Node, Tree};

/// Whether `tool` is there and we are root; where not, the test says so, and fails in CI.
fn need(tool: &str) -> bool {
    let runs = command("sh", &["-c", &format!("command -v {tool}")]).is_some();
    let root = rustix::process::geteuid().is_root();
    if runs && root {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{tool} or root is missing"
    );
    eprintln!("SKIPPED: needs {tool} as root");
    false
}

/// What the program prints; `None` where it fails.
#[expect(clippy::disallowed_methods, reason = "reference tools are programs")]
fn command(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        eprintln!("{program}: {}", String::from_utf8_lossy(&output.stderr));
    }
    output.status.success().then_some(text)
}

fn text_of(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn ref_unsquashfs_takes_out_what_we_put_in() {
    if !need("unsquashfs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for options in ways() {
        let tree = everything(options.block_size as usize);
        let image = folder.path().join("image");
        let out = folder.path().join("out");
        std::fs::write(&image, image_of(&tree, &options)).unwrap();
        let arguments = ["-n", "-q", "-d", text_of(&out), text_of(&image)];
        command("unsquashfs", &arguments).unwrap();
        assert_same(&dump(&tree_of(&out)), &dump(&tree), &options);
        std::fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn ref_the_kernel_shows_what_we_put_in() {
    if !need("mount") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for options in ways() {
        let tree = everything(options.block_size as usize);
        let image = folder.path().join("image");
        let out = folder.path().join("out");
        std::fs::create_dir_all(&out).unwrap();
        std::fs::write(&image, image_of(&tree, &options)).unwrap();
        let arguments = [
            "-t",
            "squashfs",
            "-o",
            "ro,loop",
            text_of(&image),
            text_of(&out),
        ];
        command("mount", &arguments).unwrap();
        let seen = std::panic::catch_unwind(|| dump(&tree_of(&out)));
        command("umount", &[text_of(&out)]).unwrap();
        assert_same(&seen.unwrap(), &dump(&tree), &options);
    }
}

#[test]
fn ref_the_kernel_sees_one_number_for_each_inode_however_far_its_names_are_apart() {
    use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
    if !need("mount") {
        return;
    }
    let mut tree = Tree::new(metadata(0o755, 0, &[]));
    for number in 0..40_000 {
        let fifo = Inode::new(metadata(0o600, 0, &[]), Node::Fifo);
        tree.put(&path(&format!("/a/{number:06}")), fifo).unwrap();
    }
    let folder = tree.lookup(&path("/a")).unwrap();
    let far = tree.lookup(&path("/a/000000")).unwrap();
    for name in ["before", "between", "with"] {
        tree.link(folder, Name::new(name.as_bytes()).unwrap(), far)
            .unwrap();
        tree.link(tree.root(), Name::new(name.as_bytes()).unwrap(), far)
            .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(&image, image_of(&tree, &ways()[0])).unwrap();
    let arguments = [
        "-t",
        "squashfs",
        "-o",
        "ro,loop",
        text_of(&image),
        text_of(&out),
    ];
    command("mount", &arguments).unwrap();
    let seen = std::panic::catch_unwind(|| {
        let mut seen = 0;
        for name in ["", "a"] {
            for entry in std::fs::read_dir(out.join(name)).unwrap() {
                let entry = entry.unwrap();
                assert_eq!(entry.ino(), entry.metadata().unwrap().ino(), "{entry:?}");
                seen += 1;
            }
        }
        seen
    });
    command("umount", &[text_of(&out)]).unwrap();
    assert_eq!(seen.unwrap(), 40_000 + 3 + 3 + 1);
}

#[test]
fn ref_a_sparse_file_over_four_gibibytes_is_as_it_was() {
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};
    let len: u64 = (5 << 30) + 100;
    let pieces = [
        Piece::Hole { len: len - 100 },
        Piece::Bytes(text(100, 1).into()),
    ];
    let node = Node::File(Content::new(pieces).unwrap());
    let mut tree = Tree::new(metadata(0o755, 0, &[]));
    let inode = Inode::new(metadata(0o644, 0, &[]), node);
    tree.put(&path("/f"), inode).unwrap();
    let image = image_of(&tree, &ways()[0]);
    assert!(image.len() < 64 << 10, "{}", image.len());
    let again = read(image.clone()).unwrap();
    let content = again.file("/f").unwrap();
    let block = (len - 100) & !0x1_ffff;
    assert_eq!(content.next_data(0).unwrap(), Some(block..len));
    let mut end = vec![0; 100];
    content.read_exact_at(&mut end, len - 100).unwrap();
    assert_eq!(end, text(100, 1));
    if !need("mount") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (at, out) = (folder.path().join("image"), folder.path().join("out"));
    std::fs::create_dir(&out).unwrap();
    std::fs::write(&at, image).unwrap();
    let arguments = [
        "-t",
        "squashfs",
        "-o",
        "ro,loop",
        text_of(&at),
        text_of(&out),
    ];
    command("mount", &arguments).unwrap();
    let seen = std::panic::catch_unwind(|| {
        let file = std::fs::File::open(out.join("f")).unwrap();
        let mut end = vec![0; 101];
        file.read_exact_at(&mut end, len - 101).unwrap();
        let found = file.metadata().unwrap();
        (found.len(), found.blocks(), end)
    });
    command("umount", &[text_of(&out)]).unwrap();
    let expected = [vec![0], text(100, 1)].concat();
    assert_eq!(seen.unwrap(), (len, 1, expected));
}

#[test]
fn ref_we_read_what_mksquashfs_makes() {
    if !need("mksquashfs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("first");
    let unpacked = folder.path().join("unpacked");
    let sample = everything(64 << 10);
    std::fs::write(&image, image_of(&sample, &ways()[0])).unwrap();
    let arguments = ["-n", "-q", "-d", text_of(&unpacked), text_of(&image)];
    command("unsquashfs", &arguments).unwrap();
    let expected = dump(&sample);
    for options in [
        "-comp gzip",
        "-comp gzip -b 4096 -no-exports -always-use-fragments",
        "-comp gzip -Xstrategy filtered,huffman_only -no-duplicates",
        "-comp xz -b 1M",
        "-comp xz -Xbcj x86 -b 32K",
        "-comp lz4",
        "-comp lz4 -Xhc -no-fragments",
        "-comp zstd -Xcompression-level 1",
        "-comp zstd -noI -noId -noD -noF -noX",
        "-comp zstd -noD -noF -b 8K",
        "-comp zstd -noI -no-sparse",
    ] {
        let image = folder.path().join("image");
        let mut arguments = vec![text_of(&unpacked), text_of(&image)];
        arguments.extend(["-noappend", "-quiet", "-no-progress"]);
        arguments.extend(options.split(' '));
        command("mksquashfs", &arguments).unwrap();
        let bytes = std::fs::read(&image).unwrap();
        assert_same(&dump(&read(bytes).unwrap()), &expected, options);
    }
}

#[test]
fn ref_lzma_and_lzo_are_refused_by_name() {
    if !need("mksquashfs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    std::fs::create_dir(folder.path().join("in")).unwrap();
    for name in ["lzo", "lzma"] {
        let from = folder.path().join("in");
        let arguments = [text_of(&from), text_of(&image), "-noappend", "-comp", name];
        command("mksquashfs", &arguments).unwrap();
        let error = read(std::fs::read(&image).unwrap()).unwrap_err();
        assert_eq!(error.kind(), block::Kind::Unsupported);
        assert!(error.to_string().contains(name), "{error}");
    }
}
