//! Disks for the tests of disk image formats.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use block::{Options, ReadAt, Result, open_disk_image};

use crate::support::run;

/// The next number of a fixed sequence that looks random.
pub(crate) fn next_number(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A disk of `len` bytes: noise, text, zeros and runs, in pieces of uneven length.
pub(crate) fn sample_disk(len: usize) -> Vec<u8> {
    let mut state = 1;
    let mut disk = Vec::with_capacity(len);
    while disk.len() < len {
        let number = next_number(&mut state);
        let piece = 512 + (number >> 8) as usize % 200_000;
        match number % 5 {
            0 | 1 => disk.resize(disk.len() + piece, 0),
            2 => disk.extend((0..piece).map(|_| next_number(&mut state) as u8)),
            3 => disk.extend((0..piece).map(|at| (at / 7) as u8)),
            _ => disk.resize(disk.len() + piece, number as u8),
        }
    }
    disk.truncate(len);
    disk
}

pub(crate) fn read_all(image: &dyn ReadAt) -> Result<Vec<u8>> {
    let mut disk = vec![0x5a; image.len() as usize];
    image.read_exact_at(&mut disk, 0)?;
    Ok(disk)
}

pub(crate) fn data_ranges(image: &dyn ReadAt) -> Result<Vec<Range<u64>>> {
    let mut ranges = Vec::new();
    let mut offset = 0;
    while let Some(range) = image.next_data(offset)? {
        assert!(range.start >= offset && range.start < range.end && range.end <= image.len());
        offset = range.end;
        ranges.push(range);
    }
    Ok(ranges)
}

/// Holds that `image` is `disk`: read whole, in uneven pieces from two threads, and by its data alone.
pub(crate) fn assert_reads_as(image: &dyn ReadAt, disk: &[u8], what: &str) {
    assert_eq!(image.len(), disk.len() as u64, "{what}");
    assert!(
        read_all(image).unwrap() == disk,
        "{what}: the whole disk differs"
    );
    std::thread::scope(|scope| {
        for seed in [3, 4] {
            scope.spawn(move || {
                let mut state = seed;
                for _ in 0..200 {
                    let at = next_number(&mut state) as usize % disk.len();
                    let len = next_number(&mut state) as usize % 150_000;
                    let len = len.min(disk.len() - at);
                    let mut buf = vec![0x5a; len];
                    image.read_exact_at(&mut buf, at as u64).unwrap();
                    assert!(buf == disk[at..at + len], "{what}: {len} bytes at {at}");
                }
            });
        }
    });
    let mut by_data = vec![0; disk.len()];
    for range in data_ranges(image).unwrap() {
        let range = range.start as usize..range.end as usize;
        image
            .read_exact_at(&mut by_data[range.clone()], range.start as u64)
            .unwrap();
    }
    assert!(by_data == disk, "{what}: data outside of the ranges");
    assert!(image.read_exact_at(&mut [0; 2], image.len() - 1).is_err());
}

/// A folder with a raw disk in it.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
    pub(crate) disk: Vec<u8>,
}

impl Bench {
    pub(crate) fn new(len: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = sample_disk(len);
        std::fs::write(folder.path().join("raw"), &disk).unwrap();
        Self { folder, disk }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Makes the image `name` of the raw disk, in `format` and as `more` arguments say.
    pub(crate) fn convert(&self, name: &str, format: &str, more: &[&str]) -> String {
        let path = self.path(name);
        let mut args = vec!["convert", "-f", "raw", "-O", format];
        args.extend(more);
        let raw = self.path("raw");
        args.extend([raw.as_str(), path.as_str()]);
        run("qemu-img", &args, "");
        path
    }

    /// What `qemu-img` reads from the image at `path`, which is in `format`.
    pub(crate) fn expected(&self, path: &str, format: &str) -> Vec<u8> {
        let out = self.path("expected");
        run(
            "qemu-img",
            &["convert", "-f", format, "-O", "raw", path, &out],
            "",
        );
        std::fs::read(out).unwrap()
    }
}

pub(crate) fn open(path: impl AsRef<Path>) -> Result<Arc<dyn ReadAt>> {
    Ok(open_disk_image(path, &Options::default())?.image)
}
