//! Makes a squashfs image of a folder and tells what it took: for measuring.
//!
//! ```text
//! squashfs FOLDER IMAGE [zstd:LEVEL|gzip:LEVEL|xz|lz4] [BLOCK-SIZE] [THREADS] [tails]
//! squashfs FOLDER IMAGE table
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a tool for measuring, not shipped"
)]

#[path = "../tests/squashfs/folder.rs"]
mod folder;

use block::{Content, DiskFile};
use formats::squashfs::{Checked, Compression, Fragments, Options, Written, write};
use tree::Tree;

/// The rows of the table of docs/adr/0004-compression-level.md.
const ROWS: [&str; 15] = [
    "lz4",
    "zstd:1",
    "zstd:2",
    "zstd:3",
    "zstd:3 262144",
    "zstd:3 1048576",
    "zstd:4",
    "zstd:6",
    "zstd:9",
    "gzip:6",
    "gzip:9",
    "zstd:12",
    "zstd:15",
    "zstd:19",
    "xz",
];

/// The options in words like `zstd:3`.
fn options_of<'a>(words: impl Iterator<Item = &'a str>) -> Options {
    let mut options = Options::default();
    let mut numbers = Vec::new();
    for word in words {
        let (name, level) = word.split_once(':').unwrap_or((word, "6"));
        let level = level.parse().unwrap();
        match name {
            "zstd" => options.compression = Compression::Zstd { level },
            "gzip" => options.compression = Compression::Gzip { level },
            "xz" => options.compression = Compression::Xz,
            "lz4" => options.compression = Compression::Lz4,
            "tails" => options.fragments = Fragments::AllTails,
            number => numbers.push(number.parse().unwrap()),
        }
    }
    options.block_size = numbers.first().copied().unwrap_or(options.block_size);
    options.threads = numbers.get(1).map_or(0, |threads| *threads as usize);
    options
}

/// The processor time of this process so far, in seconds.
fn processor_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Makes the image. Answers what was written, the processor time and the time, in seconds.
fn make(tree: &Tree<Content>, image: &str, options: Options) -> (Written, f64, f64) {
    let file = std::fs::File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(image)
        .unwrap();
    let target = DiskFile::from_file(file, image).unwrap();
    let (processor, start) = (processor_time(), std::time::Instant::now());
    let checked = Checked::new(tree, options).unwrap();
    let written = write(&checked, &target, &|_| ()).unwrap();
    let elapsed = start.elapsed().as_secs_f64();
    (written, processor_time() - processor, elapsed)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, image, words @ ..] = arguments.as_slice() else {
        println!("squashfs FOLDER IMAGE [OPTION]...");
        return;
    };
    let tree = folder::tree_of(folder.as_ref());
    if words != ["table"] {
        let options = options_of(words.iter().map(String::as_str));
        let (written, processor, elapsed) = make(&tree, image, options);
        println!("{processor:.2} s of processor time, {elapsed:.2} s, {written:?}");
        return;
    }
    println!("| options | processor time | size | of the files |");
    println!("|---|---:|---:|---:|");
    for row in ROWS {
        let (written, processor, _) = make(&tree, image, options_of(row.split(' ')));
        let part = 100.0 * written.len as f64 / written.content_len as f64;
        let len = written.len as f64 / 1e6;
        println!("| {row} | {processor:.1} s | {len:.1} MB | {part:.1} % |");
    }
}
