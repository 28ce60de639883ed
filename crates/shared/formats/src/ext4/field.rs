//! Fields of a structure that was read, by their offset.

/// The little-endian fields of a structure, by byte offset.
///
/// A field past the end reads as zero: structures grew over time, and what an older one does not have counts as zero.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    /// `N` bytes from `at`, or zeros.
    pub(super) fn array<const N: usize>(self, at: usize) -> [u8; N] {
        self.0
            .get(at..)
            .and_then(<[u8]>::first_chunk)
            .copied()
            .unwrap_or([0; N])
    }

    pub(super) fn u8(self, at: usize) -> u8 {
        u8::from_le_bytes(self.array(at))
    }

    pub(super) fn u16(self, at: usize) -> u16 {
        u16::from_le_bytes(self.array(at))
    }

    pub(super) fn u32(self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    /// A number whose lower 32 bits lie at `low` and whose upper ones lie at `high`.
    pub(super) fn u32_pair(self, low: usize, high: usize) -> u64 {
        u64::from(self.u32(low)) | (u64::from(self.u32(high)) << 32)
    }
}

/// The big-endian fields of a structure of the journal; past the end they read as zero too.
#[derive(Clone, Copy)]
pub(super) struct BigFields<'a>(pub(super) &'a [u8]);

impl BigFields<'_> {
    pub(super) fn u16(self, at: usize) -> u16 {
        u16::from_be_bytes(Fields(self.0).array(at))
    }

    pub(super) fn u32(self, at: usize) -> u32 {
        u32::from_be_bytes(Fields(self.0).array(at))
    }

    pub(super) fn u64(self, at: usize) -> u64 {
        u64::from_be_bytes(Fields(self.0).array(at))
    }
}

/// A `u32` as an index; every machine that we run on has 32 bits at least.
pub(super) fn index(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
