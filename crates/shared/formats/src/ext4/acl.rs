//! POSIX ACLs: the short form on the medium, turned into the form in which xattrs show them.

use super::field::Fields;

/// `a_version` of the form on the medium (`EXT4_ACL_VERSION`).
const DISK_VERSION: u32 = 1;
/// `a_version` of the xattr (`POSIX_ACL_XATTR_VERSION`).
const XATTR_VERSION: u32 = 2;
/// The tags of a named user and a named group, which alone have a number behind them.
const NAMED: [u16; 2] = [0x2, 0x8];
/// The tags of owner, owning group, mask and others.
const UNNAMED: [u16; 4] = [0x1, 0x4, 0x10, 0x20];

/// The value of the xattr for the ACL `disk`; `None` where that is none.
///
/// On the medium: a version, then entries of tag, permissions (2 bytes each) and, for a named user or group, its number (4 bytes).
/// In the xattr (`struct posix_acl_xattr_header`) every entry has a number, -1 where it means nothing.
pub(super) fn to_xattr(disk: &[u8]) -> Option<Vec<u8>> {
    if disk.len() < 4 || Fields(disk).u32(0) != DISK_VERSION {
        return None;
    }
    let mut value = XATTR_VERSION.to_le_bytes().to_vec();
    let mut rest = disk.get(4..)?;
    while !rest.is_empty() {
        let tag = Fields(rest).u16(0);
        value.extend_from_slice(rest.get(..4)?);
        rest = rest.get(4..)?;
        if NAMED.contains(&tag) {
            value.extend_from_slice(rest.get(..4)?);
            rest = rest.get(4..)?;
        } else if UNNAMED.contains(&tag) {
            value.extend_from_slice(&[0xff; 4]);
        } else {
            return None;
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_without_a_number_get_minus_one() {
        let disk = [
            1, 0, 0, 0, 1, 0, 6, 0, 2, 0, 4, 0, 0xe8, 3, 0, 0, 0x20, 0, 0, 0,
        ];
        let expected = [
            2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0xe8, 3, 0, 0, 0x20, 0, 0, 0,
            255, 255, 255, 255,
        ];
        assert_eq!(to_xattr(&disk).unwrap(), expected);
    }

    #[test]
    fn what_is_no_acl_is_refused() {
        let cases: [&[u8]; 5] = [
            b"",
            &[2, 0, 0, 0],
            &[1, 0, 0, 0, 1, 0],
            &[1, 0, 0, 0, 2, 0, 4, 0, 1],
            &[1, 0, 0, 0, 3, 0, 4, 0],
        ];
        for case in cases {
            assert_eq!(to_xattr(case), None, "{case:?}");
        }
    }
}
