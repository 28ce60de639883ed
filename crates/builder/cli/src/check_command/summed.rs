//! All of the media against the table of the media check.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use block::{Error, ReadAt as _, Result};
use contract::checksums::{self, Checksums, blank_out};

use super::verified::Verified;
use super::{Esp, Findings, Medium, files_in, is_esp};
use crate::progress::Progress;

/// Compares every chunk on all cores.
pub(super) fn check(
    medium: &Medium,
    verified: &Verified,
    findings: &mut Findings,
    progress: &Progress,
) -> Result<()> {
    let Some(content) = medium.tree.file(contract::media::CHECKSUMS) else {
        return Ok(());
    };
    let bytes = content.read_all(checksums::MAX_LEN)?;
    let table = match Checksums::parse(&String::from_utf8_lossy(&bytes)) {
        Ok(table) => table,
        Err(error) => {
            findings
                .faults
                .push(format!("{}: {error}", contract::media::CHECKSUMS));
            return Ok(());
        }
    };
    if table.covered > medium.source.len() {
        let text = format!(
            "the media have {} bytes, and {} were written: they are cut off",
            medium.source.len(),
            table.covered
        );
        findings.faults.push(text);
        return Ok(());
    }
    let bar = progress.bar("media check", table.covered);
    let damaged = compare(medium, &table, &|len| bar.inc(len))?;
    bar.finish_and_clear();
    if damaged.is_empty() {
        findings
            .good
            .push("all of the media, by the table of the media check".to_owned());
    }
    for range in damaged {
        name_files(medium, verified, &range, findings);
    }
    Ok(())
}

/// The ranges of the chunks that are not what the table says, or cannot be read.
fn compare(
    medium: &Medium,
    table: &Checksums,
    step: &(dyn Fn(u64) + Sync),
) -> Result<Vec<Range<u64>>> {
    let chunks: Vec<_> = table.chunks().collect();
    let next = AtomicUsize::new(0);
    let damaged = Mutex::new(BTreeSet::new());
    let work = || {
        let mut buffer = Vec::new();
        while let Some((offset, len, digest)) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
            buffer.resize(usize::try_from(*len).unwrap_or_default(), 0);
            let read = medium.source.read_exact_at(&mut buffer, *offset);
            blank_out(&table.blanks, &mut buffer, *offset);
            if read.is_err() || blake3::hash(&buffer).as_bytes() != *digest {
                let damaged = damaged.lock();
                damaged
                    .map(|mut damaged| damaged.insert((*offset, *len)))
                    .unwrap_or_default();
            }
            step(*len);
        }
    };
    let threads = match medium.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        some => some,
    };
    let whole = std::thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        started.into_iter().all(|thread| thread.join().is_ok())
    });
    let damaged = damaged.into_inner();
    match damaged {
        Ok(damaged) if whole => {
            let range = |(offset, len): (u64, u64)| offset..offset.saturating_add(len);
            Ok(damaged.into_iter().map(range).collect())
        }
        _ => Err(Error::corrupt(
            "comparing the media with their table",
            "a thread gave up",
        )),
    }
}

/// Names the files that a damaged chunk may belong to. Those that the hash tree knows of are told already, or are good.
fn name_files(medium: &Medium, verified: &Verified, range: &Range<u64>, findings: &mut Findings) {
    let known = |path: &String| {
        let is_image = path.ends_with(contract::media::ROOT_IMAGE_NAME);
        is_image && verified.range.is_some()
    };
    let mut names = files_in(medium, range);
    let all = names.len();
    names.retain(|path| !known(path));
    let place = format!("bytes {} to {}", range.start, range.end);
    let is_explained = verified
        .damaged
        .iter()
        .any(|known| known.start < range.end && range.start < known.end);
    let esp = names.iter().any(|path| is_esp(path)).then_some(medium.esp);
    let why = match esp {
        _ if is_explained => "the root file system image is damaged there",
        Some(Esp::Used) => {
            "the ESP was written to, as Windows does, and its programs are as they were"
        }
        Some(Esp::Good) if names.len() == 1 => {
            "the ESP is another one there, and its programs are as they were"
        }
        _ => "",
    };
    if !why.is_empty() {
        let mut text = format!("{place}: {why}");
        names.retain(|path| !is_esp(path));
        if !names.is_empty() {
            text.push_str("; what shares them cannot be told: ");
            text.push_str(&names.join(", "));
        }
        findings.warnings.push(text);
        return;
    }
    if names.is_empty() {
        // All of this chunk is the image, of which the hash tree has said what there is to say; if not, it is of no file.
        let inside = verified
            .range
            .as_ref()
            .is_some_and(|image| image.start <= range.start && range.end <= image.end);
        if !inside || all == 0 {
            findings.faults.push(format!(
                "{place}: the folders of the ISO, or the room between files"
            ));
        }
        return;
    }
    findings.faults.push(format!(
        "{place}: damaged, in at least one of {}",
        names.join(", ")
    ));
}
