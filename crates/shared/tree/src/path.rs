//! The rules of following a path.

/// How many symbolic links are followed on the way to a file, as Linux does (`MAXSYMLINKS`).
pub(crate) const MAX_SYMLINKS: u32 = 40;

/// The parts of a path without the empty ones and `.`, the last one first: a stack to walk it from.
pub(crate) fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .rev()
        .map(<[u8]>::to_vec)
        .collect()
}
