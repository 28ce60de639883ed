//! GUIDs in their mixed-endian form on disk.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// A globally unique identifier as GPT stores it: the first three fields little-endian, the rest as it stands.
///
/// Prints and parses as text in lower case, as `blkid` shows it. Ordered by its bytes on disk.
///
/// Source: UEFI 2.10, appendix A.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid([u8; 16]);

impl Guid {
    /// All zeros: the type of an entry that is not in use.
    pub const UNUSED: Self = Self([0; 16]);
    /// The EFI system partition.
    pub const ESP: Self = Self::new(0xc12a_7328, 0xf81f, 0x11d2, 0xba4b_00a0_c93e_c93b);
    /// Microsoft basic data, and what hybrid media give their ISO 9660 partition.
    pub const BASIC_DATA: Self = Self::new(0xebd0_a0a2, 0xb9e5, 0x4433, 0x87c0_68b6_b726_99c7);
    /// Where GRUB puts its core image on a GPT disk under BIOS.
    pub const BIOS_BOOT: Self = Self::new(0x2168_6148, 0x6449, 0x6e6f, 0x744e_6565_6445_4649);
    /// Data of Linux, of no stated use.
    pub const LINUX_DATA: Self = Self::new(0x0fc6_3daf, 0x8483, 0x4772, 0x8e79_3d69_d847_7de4);
    /// The root file system of Linux on x86-64 (Discoverable Partitions Specification).
    pub const LINUX_ROOT_X86_64: Self =
        Self::new(0x4f68_bce3, 0xe8cd, 0x4db1, 0x96e7_fbca_f984_b709);
    /// The root file system of Linux on 64-bit ARM (Discoverable Partitions Specification).
    pub const LINUX_ROOT_ARM64: Self =
        Self::new(0xb921_b045, 0x1df0, 0x41c3, 0xaf44_4c6f_280d_3fae);
    /// `/usr` of Linux on x86-64 (Discoverable Partitions Specification).
    pub const LINUX_USR_X86_64: Self =
        Self::new(0x8484_680c, 0x9521, 0x48c6, 0x9c11_b072_0656_f69e);
    /// `/home` of Linux (Discoverable Partitions Specification).
    pub const LINUX_HOME: Self = Self::new(0x933a_c7e1, 0x2eb4, 0x4f13, 0xb844_0e14_e2ae_f915);
    /// `/var` of Linux (Discoverable Partitions Specification).
    pub const LINUX_VAR: Self = Self::new(0x4d21_b016, 0xb534, 0x45c2, 0xa9fb_5c16_e091_fd2d);
    /// Swap of Linux.
    pub const LINUX_SWAP: Self = Self::new(0x0657_fd6d, 0xa4ab, 0x43c4, 0x84e5_0933_c84b_4f4f);
    /// A physical volume of Linux's logical volume manager.
    pub const LINUX_LVM: Self = Self::new(0xe6d6_d379, 0xf507, 0x44c2, 0xa23c_238f_2a3d_f928);
    /// `/boot` that boot loaders and systemd share (Boot Loader Specification).
    pub const LINUX_EXTENDED_BOOT: Self =
        Self::new(0xbc13_c2ff, 0x59e6, 0x4262, 0xa352_b275_fd6f_7172);

    /// The GUID of these fields; `rest` is its last 16 digits, as the text has them.
    #[must_use]
    pub const fn new(first: u32, second: u16, third: u16, rest: u64) -> Self {
        let ([a, b, c, d], [e, f]) = (first.to_le_bytes(), second.to_le_bytes());
        let ([g, h], [i, j, k, l, m, n, o, p]) = (third.to_le_bytes(), rest.to_be_bytes());
        Self([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
    }

    /// The GUID of its 16 bytes on disk.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes on disk.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// A GUID made of `bytes` (of a digest, for instance), marked as RFC 9562 asks of one that follows no other rule (version 8).
    #[must_use]
    pub const fn from_digest(bytes: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
        Self([
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            (h & 0x0f) | 0x80,
            (i & 0x3f) | 0x80,
            j,
            k,
            l,
            m,
            n,
            o,
            p,
        ])
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f1, g, h, rest @ ..] = self.0;
        let first = u32::from_le_bytes([a, b, c, d]);
        let (second, third) = (u16::from_le_bytes([e, f1]), u16::from_le_bytes([g, h]));
        let rest = u64::from_be_bytes(rest);
        let (high, low) = (rest >> 48, rest & 0xffff_ffff_ffff);
        write!(
            f,
            "{first:08x}-{second:04x}-{third:04x}-{high:04x}-{low:012x}"
        )
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Guid {
    type Err = Error;

    /// Reads the text form, upper or lower case.
    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            Error::corrupt(
                "reading a GUID",
                format!("\"{}\" is none", text.escape_debug()),
            )
        };
        let mut parts = text.split('-');
        let mut field = |digits: usize| {
            let part = parts.next().filter(|part| {
                part.len() == digits && part.bytes().all(|byte| byte.is_ascii_hexdigit())
            });
            part.and_then(|part| u64::from_str_radix(part, 16).ok())
                .ok_or_else(bad)
        };
        let (first, second, third) = (field(8)?, field(4)?, field(4)?);
        let (high, low) = (field(4)?, field(12)?);
        if parts.next().is_some() {
            return Err(bad());
        }
        Ok(Self::new(
            u32::try_from(first).map_err(|_| bad())?,
            u16::try_from(second).map_err(|_| bad())?,
            u16::try_from(third).map_err(|_| bad())?,
            high << 48 | low,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_goes_to_disk_in_mixed_byte_order_and_back() {
        let guid: Guid = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B".parse().unwrap();
        assert_eq!(guid, Guid::ESP);
        assert_eq!(
            guid.to_bytes()[..8],
            [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11]
        );
        assert_eq!(guid.to_string(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
    }

    #[test]
    fn what_is_no_guid_is_refused() {
        for text in [
            "",
            "c12a7328-f81f-11d2-ba4b",
            "c12a7328-f81f-11d2-ba4b-00a0c93ec93b-",
            "+12a7328-f81f-11d2-ba4b-00a0c93ec93b",
            "c12a7328f81f11d2ba4b00a0c93ec93b",
            "g12a7328-f81f-11d2-ba4b-00a0c93ec93b",
        ] {
            assert!(text.parse::<Guid>().is_err(), "{text}");
        }
    }
}
