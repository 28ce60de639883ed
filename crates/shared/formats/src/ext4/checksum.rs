//! The three checksums: CRC-32C of everything new, CRC-16 of old group descriptors, big-endian CRC-32 of old journals.

/// CRC-32C as the kernel's `crc32c()` counts it: without the inversions at the start and the end.
pub(super) fn crc32c(seed: u32, bytes: &[u8]) -> u32 {
    !crc32c::crc32c_append(!seed, bytes)
}

/// CRC-32C of `bytes` with the `len` bytes from `at` on counted as zeros: a structure that holds its own checksum.
pub(super) fn crc32c_without(seed: u32, bytes: &[u8], at: usize, len: usize) -> u32 {
    let (before, rest) = bytes.split_at_checked(at).unwrap_or((bytes, &[]));
    let (own, after) = rest.split_at_checked(len).unwrap_or((rest, &[]));
    let zeros = [0_u8; 4];
    let zeros = zeros.get(..own.len()).unwrap_or_default();
    crc32c(crc32c(crc32c(seed, before), zeros), after)
}

/// CRC-16 (polynomial 0x8005, reflected), as the kernel's `crc16()`.
pub(super) fn crc16(seed: u16, bytes: &[u8]) -> u16 {
    bytes.iter().fold(seed, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
            if crc & 1 == 0 {
                crc >> 1
            } else {
                (crc >> 1) ^ 0xa001
            }
        })
    })
}

/// For each upper byte, what it adds to a big-endian CRC-32 (polynomial 0x04c11db7).
#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "evaluated at compile time, where a fault stops the build"
)]
const CRC32_BE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc >> 31 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x04c1_1db7
            };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// Big-endian CRC-32, as the kernel's `crc32_be()`: without inversions.
pub(super) fn crc32_be(seed: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(seed, |crc, byte| {
        let [top, ..] = crc.to_be_bytes();
        let add = CRC32_BE.get(usize::from(top ^ byte)).copied();
        (crc << 8) ^ add.unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of the nine digits in the catalogue of parametrised CRC algorithms: CRC-32/ISCSI, CRC-16/MODBUS, CRC-32/MPEG-2.
    #[test]
    fn the_check_values_of_the_catalogue_come_out() {
        let digits = b"123456789";
        assert_eq!(!crc32c(!0, digits), 0xe306_9283);
        assert_eq!(crc16(!0, digits), 0x4b37);
        assert_eq!(crc32_be(!0, digits), 0x0376_e6e7);
    }

    #[test]
    fn a_checksum_field_counts_as_zeros() {
        let zeroed = b"head\0\0\0\0tail";
        let filled = b"headABCDtail";
        assert_eq!(crc32c_without(7, filled, 4, 4), crc32c(7, zeroed));
        assert_ne!(crc32c_without(7, filled, 4, 2), crc32c(7, zeroed));
        assert_eq!(crc32c_without(7, b"ab", 9, 4), crc32c(7, b"ab"));
    }
}
