//! How long a file system is by its own account: what follows it, on a device or in a file, is not of it.
//!
//! Sources: as of the probes of each.

use std::io;

use super::{bytes, field};
use crate::system::Bytes;

/// The length in bytes of a file system that can be a root file system image; `None` for another, or where it has no length.
pub(crate) fn of(device: &dyn Bytes, kind: &str) -> io::Result<Option<u64>> {
    match kind {
        "squashfs" => Ok(bytes::<48>(device, 0)?.map(|block| field::u64le(&block, 40))),
        "erofs" => Ok(bytes::<128>(device, 1024)?.and_then(|block| {
            let shift = u32::from(field::byte(&block, 12));
            shifted(u64::from(field::u32le(&block, 36)), shift)
        })),
        "ext4" => Ok(bytes::<1024>(device, 1024)?.and_then(|block| {
            let is_64_bit = field::u32le(&block, 0x60) & 0x80 != 0;
            let high = if is_64_bit {
                field::u32le(&block, 0x150)
            } else {
                0
            };
            let blocks = u64::from(high) << 32 | u64::from(field::u32le(&block, 4));
            let shift = field::u32le(&block, 24).checked_add(10)?;
            shifted(blocks, shift)
        })),
        _ => Ok(None),
    }
}

/// `number` times two to the power of `shift`, where that is a length.
fn shifted(number: u64, shift: u32) -> Option<u64> {
    number.checked_mul(1_u64.checked_shl(shift)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Held(Vec<u8>);

    impl Bytes for Held {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }
        fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
            let at = offset as usize;
            buf.copy_from_slice(
                self.0
                    .get(at..at + buf.len())
                    .ok_or(io::ErrorKind::UnexpectedEof)?,
            );
            Ok(())
        }
    }

    /// 4096 bytes with these fields.
    fn device(fields: &[(usize, &[u8])]) -> Held {
        let mut bytes = vec![0; 4096];
        for (at, field) in fields {
            bytes[*at..*at + field.len()].copy_from_slice(field);
        }
        Held(bytes)
    }

    #[test]
    fn lengths_are_those_of_the_superblocks() {
        let squashfs = device(&[(40, &0x1234_5678_9abc_u64.to_le_bytes())]);
        assert_eq!(of(&squashfs, "squashfs").unwrap(), Some(0x1234_5678_9abc));
        let erofs = device(&[(1024 + 12, &[12]), (1024 + 36, &77_u32.to_le_bytes())]);
        assert_eq!(of(&erofs, "erofs").unwrap(), Some(77 << 12));
        let ext4 = device(&[
            (1024 + 4, &5_u32.to_le_bytes()),
            (1024 + 24, &[2]),
            (1024 + 0x60, &[0x80]),
            (1024 + 0x150, &[1]),
        ]);
        assert_eq!(of(&ext4, "ext4").unwrap(), Some(((1 << 32) + 5) << 12));
        assert_eq!(of(&ext4, "xfs").unwrap(), None);
    }

    #[test]
    fn a_length_that_is_none_is_nothing() {
        let erofs = device(&[(1024 + 12, &[200]), (1024 + 36, &[1])]);
        assert_eq!(of(&erofs, "erofs").unwrap(), None);
        let ext4 = device(&[(1024 + 4, &[5]), (1024 + 24, &[0xff; 4])]);
        assert_eq!(of(&ext4, "ext4").unwrap(), None);
        for kind in ["squashfs", "erofs", "ext4"] {
            assert_eq!(of(&Held(vec![0; 40]), kind).unwrap(), None);
        }
    }
}
