//! What the specifications fix: sizes, places, signatures, and numbers in both byte orders.
//!
//! Sources: ECMA-119 (4th edition, = ISO 9660:1988 with amendments), the System Use Sharing Protocol (SUSP) 1.12, the Rock Ridge
//! Interchange Protocol (RRIP) 1.12, the Joliet specification (Microsoft, 1995), and "El Torito" Bootable CD-ROM Format 1.0
//! (Phoenix and IBM, 1995) with the UEFI specification's 13.3.2.
//!
//! Neither read nor written: path tables (written, never trusted on reading), extended attribute records, interleaved files,
//! zisofs compression (`ZF`), sparse files (`SF`), Apple and AAIP system use entries, volume sets of several discs, UDF.

/// The length of a logical sector in bytes. ECMA-119 6.1.2.
pub(super) const SECTOR: usize = 2048;
/// [`SECTOR`] where offsets are computed.
pub(super) const SECTOR_LEN: u64 = 2048;
/// The sector of the first volume descriptor; the sixteen before it are the system area. ECMA-119 6.2.1.
pub(super) const FIRST_DESCRIPTOR: u64 = 16;
/// The standard identifier of every volume descriptor. ECMA-119 8.1.2.
pub(super) const STANDARD_ID: &[u8; 5] = b"CD001";
/// What a boot record's system identifier begins with. El Torito 2.0, figure 7.
pub(super) const EL_TORITO_ID: &[u8; 23] = b"EL TORITO SPECIFICATION";
/// The longest part of a file that one directory record describes: a multiple of the sector under 4 GiB.
pub(super) const MAX_SECTION: u64 = 0xffff_f800;
/// The length of the fixed part of a directory record, before the identifier. ECMA-119 9.1.
pub(super) const RECORD_HEADER: usize = 33;
/// The longest directory record that leaves an even length. ECMA-119 9.1.1 and 9.1.13.
pub(super) const MAX_RECORD: usize = 254;

/// Volume descriptor types. ECMA-119 8.1.1.
pub(super) mod descriptor_type {
    pub(in super::super) const BOOT: u8 = 0;
    pub(in super::super) const PRIMARY: u8 = 1;
    pub(in super::super) const SUPPLEMENTARY: u8 = 2;
    pub(in super::super) const TERMINATOR: u8 = 255;
}

/// The flags of a directory record. ECMA-119 9.1.6.
pub(super) mod flag {
    pub(in super::super) const DIRECTORY: u8 = 0x02;
    pub(in super::super) const ASSOCIATED: u8 = 0x04;
    pub(in super::super) const MORE_SECTIONS: u8 = 0x80;
}

/// The escape sequences by which a supplementary descriptor says that it is Joliet: UCS-2 level 1, 2 and 3. Joliet, "SVD escape
/// sequences".
pub(super) const JOLIET_ESCAPES: [&[u8; 3]; 3] = [b"%/@", b"%/C", b"%/E"];

/// A number of 16 bits in both byte orders. ECMA-119 7.2.3.
pub(super) fn both16(value: u16) -> [u8; 4] {
    let [a, b] = value.to_le_bytes();
    [a, b, b, a]
}

/// A number of 32 bits in both byte orders. ECMA-119 7.3.3.
pub(super) fn both32(value: u32) -> [u8; 8] {
    let [a, b, c, d] = value.to_le_bytes();
    [a, b, c, d, d, c, b, a]
}

/// The bytes `at..at + N`; `None` past the end.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk::<N>())
        .copied()
}

/// The little-endian number of 16 bits at `at`, which is also the first copy of one in both orders.
pub(super) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

/// The little-endian number of 32 bits at `at`, which is also the first copy of one in both orders.
pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// `len` rounded up to whole sectors, in sectors.
pub(super) fn sectors(len: u64) -> u64 {
    len.div_ceil(SECTOR_LEN)
}

/// Overwrites the bytes from `at` on. Every caller's place lies inside by construction; bytes beyond the end are left out.
pub(super) fn put(block: &mut [u8], at: usize, bytes: &[u8]) {
    for (to, from) in block.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
}
