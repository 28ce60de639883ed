//! A content in parts that memory can hold.

use block::{ReadAt, Result};

/// The longest part, in bytes.
const PART: u64 = 1 << 20;

/// Hands out a content part by part, in order, each with its offset; a part has at most a megabyte.
///
/// # Errors
///
/// What reading answers, and what `take` does.
pub(crate) fn for_each_part(
    content: &dyn ReadAt,
    take: &mut dyn FnMut(&[u8], u64) -> Result<()>,
) -> Result<()> {
    let mut buf = vec![0; usize::try_from(content.len().min(PART)).unwrap_or(0)];
    let mut at = 0;
    while at < content.len() {
        let len = usize::try_from(content.len() - at).unwrap_or(usize::MAX);
        let len = len.min(buf.len());
        let part = buf.get_mut(..len).unwrap_or_default();
        content.read_exact_at(part, at)?;
        take(part, at)?;
        at += ReadAt::len(&*part);
    }
    Ok(())
}
