//! Makes a squashfs image of a folder, or lists an image, and tells what it took: for measuring.
//!
//! ```text
//! squashfs FOLDER IMAGE [zstd:LEVEL|gzip:LEVEL|xz|lz4] [BLOCK-SIZE] [THREADS] [tails]
//! ```
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::as_conversions,
    reason = "a tool for measuring, not shipped"
)]

#[path = "../tests/squashfs/folder.rs"]
mod folder;

use formats::squashfs::{Checked, Compression, Fragments, Options, write};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut options = Options::default();
    let mut numbers = Vec::new();
    for argument in &arguments[2..] {
        let (name, level) = argument.split_once(':').unwrap_or((argument, "6"));
        let level = level.parse().unwrap();
        match name {
            "zstd" => options.compression = Compression::Zstd { level },
            "gzip" => options.compression = Compression::Gzip { level },
            "xz" => options.compression = Compression::Xz,
            "lz4" => options.compression = Compression::Lz4,
            "tails" => options.fragments = Fragments::AllTails,
            number => numbers.push(number.parse::<u32>().unwrap()),
        }
    }
    if let Some(size) = numbers.first() {
        options.block_size = *size;
    }
    if let Some(threads) = numbers.get(1) {
        options.threads = *threads as usize;
    }
    let tree = folder::tree_of(arguments[0].as_ref());
    let file = std::fs::File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(&arguments[1])
        .unwrap();
    let target = block::DiskFile::from_file(file, &arguments[1]).unwrap();
    let checked = Checked::new(&tree, options).unwrap();
    for warning in checked.warnings() {
        println!("warning: {warning}");
    }
    let written = write(&checked, &target, &|_| ()).unwrap();
    println!("{written:?}, at most {}", checked.max_len());
}
