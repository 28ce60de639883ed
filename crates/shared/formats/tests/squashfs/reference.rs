//! What others' programs say of our images, and what we say of theirs.

use std::path::Path;
use std::process::Command;

use block::Content;
use formats::squashfs::{Compression, Fragments, Options};
use tree::Tree;

use crate::folder::tree_of;
use crate::samples::{everything, image_of};

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
pub(crate) fn command(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        eprintln!("{program}: {}", String::from_utf8_lossy(&output.stderr));
    }
    output.status.success().then_some(text)
}

/// The tree as text, each file with its length and digest.
pub(crate) fn dump(tree: &Tree<Content>) -> String {
    tree.dump(|content| {
        let bytes = content.read_all(1 << 30).unwrap();
        format!("{} {}", bytes.len(), blake3::hash(&bytes).to_hex())
    })
}

/// Holds that two dumps are the same, and says the first line that is not.
pub(crate) fn assert_same(left: &str, right: &str, of: impl std::fmt::Debug) {
    let cut = |line: &str| line.chars().take(200).collect::<String>();
    for (left, right) in left.lines().zip(right.lines()) {
        assert!(left == right, "{}\n{}\n{of:?}", cut(left), cut(right));
    }
    assert_eq!(left.len(), right.len(), "{of:?}");
}

fn text_of(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The options of every way to make an image.
fn ways() -> Vec<Options> {
    let way = |compression, block_size| Options {
        compression,
        block_size,
        ..Options::default()
    };
    vec![
        way(Compression::Zstd { level: 3 }, 128 << 10),
        way(Compression::Zstd { level: 19 }, 4 << 10),
        way(Compression::Gzip { level: 9 }, 32 << 10),
        way(Compression::Xz, 1 << 20),
        way(Compression::Lz4, 64 << 10),
        Options {
            fragments: Fragments::AllTails,
            exportable: false,
            ..way(Compression::Zstd { level: 1 }, 16 << 10)
        },
    ]
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
