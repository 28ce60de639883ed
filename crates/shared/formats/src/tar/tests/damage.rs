//! Any bytes give a tree or an error with a place.

use block::{Content, Kind, ReadAt as _};
use tree::{Node, Tree};

use super::super::format::{kind, seal};
use super::round_trip::{archive, extremes, kinds};
use super::{dump, member, pax, plain, read};

/// An archive with a header of every kind, small enough to be damaged at every byte.
fn small() -> Vec<u8> {
    let holes = member("holes", kind::SPARSE, b"abcd", &|block| {
        block[257..265].copy_from_slice(b"ustar  \0");
        block[386..410].copy_from_slice(b"00000001000\x0000000000004\0");
        block[483..495].copy_from_slice(b"00000010000\0");
    });
    let long = [b'n'; 120];
    [
        member("././@LongLink", kind::LONG_NAME, &long, &|_| {}),
        plain("short", "1"),
        pax(&[
            ("path", "file"),
            ("mtime", "1.5"),
            ("SCHILY.xattr.user.a", "b"),
            (
                "SCHILY.acl.access",
                "user::rw-,user:1:r--,group::r--,mask::r--,other::---",
            ),
        ]),
        plain("name", "content"),
        holes,
        super::symlink("link", "file"),
        super::hard_link("hard", "file"),
        member("dev", kind::BLOCK, b"", &|_| {}),
    ]
    .concat()
}

/// Reads something of every file; damage can make one very long.
fn touch(tree: &Tree<Content>) {
    for entry in tree.walk() {
        if let Node::File(content) = &entry.inode.node {
            let len = content.len();
            let part = len.min(4096);
            let mut buf = vec![0; part as usize];
            content.read_exact_at(&mut buf, 0).unwrap();
            content.read_exact_at(&mut buf, len - part).unwrap();
            content.next_data(len / 2).unwrap();
        }
    }
}

#[test]
fn every_damaged_byte_gives_an_error_with_a_place_or_a_tree() {
    let bytes = small();
    let whole = dump(&read(&bytes).unwrap());
    let mut refused = 0;
    for at in 0..bytes.len() {
        for bit in [0, 4, 7] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            match read(&damaged) {
                Ok(tree) => touch(&tree),
                Err(error) => {
                    assert!(error.place().offset.is_some(), "byte {at}: {error}");
                    refused += 1;
                }
            }
        }
    }
    // All bytes of the eight headers are in their sums, but for what ends the sum itself.
    assert!(refused > 3 * 8 * 500, "{refused}");
    assert_eq!(dump(&read(&bytes).unwrap()), whole);
}

#[test]
fn fields_that_are_damaged_under_a_right_sum_give_an_error_with_a_place_or_a_tree() {
    let bytes = small();
    for start in (0..bytes.len()).step_by(512) {
        if &bytes[start + 257..start + 262] != b"ustar" {
            continue;
        }
        for at in (0..148).chain(156..512) {
            for value in [0, b'/', b'7', b'9', 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[start + at] = value;
                let header: &mut [u8; 512] = damaged[start..].first_chunk_mut().unwrap();
                seal(header);
                match read(&damaged) {
                    Ok(tree) => touch(&tree),
                    Err(error) => assert!(error.place().offset.is_some(), "{at}: {error}"),
                }
            }
        }
    }
}

#[test]
fn an_archive_that_was_cut_off_gives_an_error_or_the_members_before() {
    for bytes in [small(), archive(&kinds()), archive(&extremes())] {
        let whole = read(&bytes).unwrap().walk().count();
        let step = (bytes.len() / 3000).max(1);
        for len in (0..bytes.len()).step_by(step) {
            match read(&bytes[..len]) {
                Ok(tree) => assert!(tree.walk().count() <= whole),
                Err(error) => {
                    // An acl's or link's error may come of what is missing.
                    assert_eq!(error.kind(), Kind::Corrupt, "{len}: {error}");
                }
            }
        }
    }
}
