//! Which of the longer files have the same content, found out before anything is compressed.
//!
//! Only files whose length another file has are looked at; of these, only the ones whose first and last bytes agree too are read
//! whole. What is read twice is therefore nearly always a file that is then stored once less.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use block::{Content, ReadAt as _, Result};
use tree::InodeId;

use super::fields::{narrow, wide};

/// How much of the beginning and of the end is compared first, in bytes.
const EDGE: u64 = 4096;
/// How much is read at a time, in bytes.
const READ: usize = 256 << 10;

/// The digest of a content.
pub(crate) type Digest = [u8; 32];

/// What reading comes to: an error is about one file.
pub(crate) type Outcome<T> = std::result::Result<T, (block::Error, InodeId)>;

/// One file that may equal another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) id: InodeId,
    pub(crate) content: &'a Content,
}

/// For each of `files` whose content an earlier one has: that earlier one.
pub(crate) fn same_content(
    files: &[Candidate<'_>],
    threads: usize,
) -> Outcome<BTreeMap<InodeId, InodeId>> {
    let lengths = files.iter().map(|file| (file.content.len(), *file));
    let alike = not_alone(lengths);
    let edges = digests(&alike, threads, digest_of_edges)?;
    let keyed = alike.iter().zip(&edges);
    let alike = not_alone(keyed.map(|(file, edge)| ((file.content.len(), *edge), *file)));
    let wholes = digests(&alike, threads, digest_of_all)?;
    let mut first = BTreeMap::new();
    let mut same = BTreeMap::new();
    for (file, digest) in alike.iter().zip(wholes) {
        let original = *first.entry((file.content.len(), digest)).or_insert(file.id);
        if original != file.id {
            same.insert(file.id, original);
        }
    }
    Ok(same)
}

/// Those whose key another one has, in their order.
fn not_alone<'a, K: Ord + Clone>(
    keyed: impl Iterator<Item = (K, Candidate<'a>)> + Clone,
) -> Vec<Candidate<'a>> {
    let mut counts: BTreeMap<K, usize> = BTreeMap::new();
    for (key, _) in keyed.clone() {
        let count = counts.entry(key).or_default();
        *count = count.saturating_add(1);
    }
    let shared = keyed.filter(|(key, _)| counts.get(key).is_some_and(|count| *count > 1));
    shared.map(|(_, file)| file).collect()
}

type Digesting = fn(&Content, &mut Vec<u8>) -> Result<Digest>;

/// The digest of each file, on all threads.
fn digests(files: &[Candidate<'_>], threads: usize, digest: Digesting) -> Outcome<Vec<Digest>> {
    let next = AtomicUsize::new(0);
    let work = || -> Outcome<Vec<(usize, Digest)>> {
        let mut buffer = Vec::new();
        let mut found = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = files.get(index) else {
                return Ok(found);
            };
            let digest = digest(file.content, &mut buffer);
            found.push((index, digest.map_err(|error| (error, file.id))?));
        }
    };
    let parts = std::thread::scope(|scope| {
        let helpers = threads.min(files.len()).saturating_sub(1);
        let helpers: Vec<_> = (0..helpers).map(|_| scope.spawn(work)).collect();
        let own = work();
        let others = helpers.into_iter().map(|helper| {
            let joined = helper.join();
            joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        others.chain([own]).collect::<Outcome<Vec<_>>>()
    })?;
    let mut all = vec![[0; 32]; files.len()];
    for (index, digest) in parts.into_iter().flatten() {
        if let Some(place) = all.get_mut(index) {
            *place = digest;
        }
    }
    Ok(all)
}

fn digest_of_edges(content: &Content, buffer: &mut Vec<u8>) -> Result<Digest> {
    let len = content.len();
    let edge = EDGE.min(len);
    let mut hasher = blake3::Hasher::new();
    for start in [0, len.saturating_sub(edge)] {
        buffer.resize(narrow(edge), 0);
        content.read_exact_at(buffer, start)?;
        hasher.update(buffer);
    }
    Ok(*hasher.finalize().as_bytes())
}

/// The digest of the data and of its places: holes are neither read nor hashed.
fn digest_of_all(content: &Content, buffer: &mut Vec<u8>) -> Result<Digest> {
    let mut data = blake3::Hasher::new();
    // The ends and beginnings around each hole. Ranges that touch are one, so that it does not matter how the content is cut up.
    let mut places = blake3::Hasher::new();
    let mut at = 0;
    while let Some(range) = content.next_data(at)? {
        if range.start != at {
            places.update(&at.to_le_bytes());
            places.update(&range.start.to_le_bytes());
        }
        let mut position = range.start;
        while position < range.end {
            let len = narrow(range.end.saturating_sub(position)).min(READ);
            buffer.resize(len, 0);
            content.read_exact_at(buffer, position)?;
            data.update(buffer);
            position = position.saturating_add(wide(len));
        }
        at = range.end.max(at.saturating_add(1));
    }
    places.update(&at.to_le_bytes());
    places.update(data.finalize().as_bytes());
    Ok(*places.finalize().as_bytes())
}
