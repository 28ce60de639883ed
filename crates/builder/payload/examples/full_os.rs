//! Makes a full-os initramfs of a disk image and tells what it took: for measuring and for trying.
//!
//! ```text
//! full_os DISK LIVEOS_INIT INITRAMFS [auto|zstd:LEVEL|gzip:LEVEL] [THREADS]
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a tool for measuring, not shipped"
)]

use std::path::Path;

use block::Content;
use payload::full_os::{Checked, Compression, Options, write};
use tree::TreePath;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [disk, init, out, rest @ ..] = words.as_slice() else {
        println!("full_os DISK LIVEOS_INIT INITRAMFS [auto|zstd:LEVEL|gzip:LEVEL] [THREADS]");
        return;
    };
    let source = source::open(Path::new(disk), &source::Options::default()).unwrap();
    let facts = inspect::facts(&source.tree).unwrap();
    let mut tree = source.tree;
    for path in ["/boot", "/etc/fstab"] {
        tree.remove_path(&TreePath::parse(path).unwrap());
    }
    let mut options = Options::new(Content::from_bytes(std::fs::read(init).unwrap()));
    options.compression = match rest.first().and_then(|word| word.split_once(':')) {
        Some(("zstd", level)) => Compression::Zstd {
            level: level.parse().unwrap(),
        },
        Some(("gzip", level)) => Compression::Gzip {
            level: level.parse().unwrap(),
        },
        _ => Compression::Auto,
    };
    options.threads = rest.get(1).map_or(0, |word| word.parse().unwrap());
    let checked = Checked::new(&tree, &facts, &options).unwrap();
    let begin = std::time::Instant::now();
    let mut file = std::fs::File::create(out).unwrap();
    let written = write(&checked, &mut file, &|_| {}).unwrap();
    assert!(written.len <= checked.max_len());
    println!(
        "{} {} of {} bytes in {:.2} s; {} MiB of memory",
        checked.compressor(),
        written.len,
        written.unpacked_len,
        begin.elapsed().as_secs_f64(),
        written.memory_mib
    );
    for warning in checked.warnings().iter().chain(&written.warnings) {
        println!("warning: {warning}");
    }
}
