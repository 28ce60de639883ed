//! Trees of every shape, and damaged ones.

use std::sync::Arc;

use block::{Kind, MemoryTarget, ReadAt, WriteAt as _};

use super::format::{Superblock, digest};
use super::{BLOCK, Damage, Hashing, Part, RootHash, Tree, Written, total_len};

/// Data of `len` bytes, none like another, with their tree.
fn sample(len: u64) -> (Vec<u8>, Written) {
    let data: Vec<u8> = (0..len).map(|at| (at / 97 + at / BLOCK) as u8).collect();
    let target = MemoryTarget::new();
    let hashing = Hashing::new(&target);
    for (index, piece) in data.chunks(100_001).enumerate() {
        hashing.write_all_at(piece, index as u64 * 100_001).unwrap();
    }
    let written = hashing.finish(len).unwrap();
    (target.into_bytes(), written)
}

fn open(bytes: &[u8], len: u64) -> Tree {
    Tree::open(Arc::new(bytes.to_vec()), len).unwrap().unwrap()
}

fn check(bytes: &[u8], len: u64, root_hash: RootHash) -> Vec<Damage> {
    open(bytes, len).check(root_hash, 2, &|_| {}).unwrap()
}

#[test]
fn trees_of_no_to_three_levels_hold_what_they_were_made_of() {
    for blocks in [1, 2, 127, 128, 129, 128 * 128, 128 * 128 + 1] {
        let len = blocks * BLOCK - 7;
        let (bytes, written) = sample(len);
        assert_eq!(written.len, total_len(len), "{blocks}");
        assert_eq!(bytes.len() as u64, written.len, "{blocks}");
        let tree = open(&bytes, len);
        assert_eq!((tree.blocks(), tree.end()), (blocks, written.len));
        assert_eq!(tree.root_hash().unwrap(), written.root_hash);
        assert_eq!(check(&bytes, len, written.root_hash), [], "{blocks}");
    }
}

#[test]
fn the_same_data_have_the_same_tree_however_they_were_written() {
    let len = 9 * BLOCK + 5;
    let (bytes, written) = sample(len);
    let target = MemoryTarget::new();
    let hashing = Hashing::new(&target);
    // As a squashfs: its first bytes last.
    let data = &bytes[..len as usize];
    hashing.write_all_at(&data[96..5000], 96).unwrap();
    hashing.write_all_at(&data[5000..], 5000).unwrap();
    hashing.write_all_at(&data[..96], 0).unwrap();
    assert_eq!(hashing.finish(len).unwrap(), written);
    assert_eq!(target.into_bytes(), bytes);
}

#[test]
fn data_that_were_not_all_written_or_twice_have_no_tree() {
    let block = vec![1; BLOCK as usize];
    let hashing = |parts: &[(u64, usize)]| {
        let target = MemoryTarget::new();
        let hashing = Hashing::new(&target);
        for (offset, len) in parts {
            hashing.write_all_at(&block[..*len], *offset)?;
        }
        hashing.finish(2 * BLOCK).map(|_| ())
    };
    hashing(&[(0, 4096), (4096, 4096)]).unwrap();
    for parts in [
        &[(0, 4096)][..],
        &[(4096, 4096)],
        &[(0, 4096), (4096, 100)],
        &[(0, 4096), (4096, 4096), (4096, 4096)],
        &[(0, 4096), (4096, 4096), (4096, 10)],
        &[(0, 4096), (4096, 4096), (8192, 4096)],
        &[],
    ] {
        assert_eq!(
            hashing(parts).unwrap_err().kind(),
            Kind::Corrupt,
            "{parts:?}"
        );
    }
    let target = MemoryTarget::new();
    let jumping = Hashing::new(&target);
    let results = (0..100).map(|block| jumping.write_all_at(&[1], block * BLOCK));
    let error = results.into_iter().find_map(Result::err).unwrap();
    assert_eq!(error.kind(), Kind::Limit);
    assert!(Hashing::new(&target).finish(0).is_err());
}

#[test]
fn every_flipped_bit_of_data_is_found_at_its_block_and_nowhere_else() {
    let len = 300 * BLOCK;
    let (bytes, written) = sample(len);
    for offset in [0, 1, 4095, 4096, 200 * 4096 + 17, 300 * 4096 - 1] {
        let mut damaged = bytes.clone();
        damaged[offset] ^= 0x10;
        let start = offset as u64 / BLOCK * BLOCK;
        let expected = Damage {
            offset: start,
            part: Part::Data,
            data: start..start + BLOCK,
        };
        assert_eq!(check(&damaged, len, written.root_hash), [expected]);
    }
}

#[test]
fn what_hangs_on_a_damaged_block_of_the_tree_is_named() {
    let len = (128 * 128 + 300) * BLOCK;
    let (bytes, written) = sample(len);
    // Behind the superblock: one block, two blocks, 131 blocks.
    let tree = len + BLOCK;
    for (offset, data) in [
        (tree, 0..len),
        (tree + BLOCK, 0..128 * 128 * BLOCK),
        (tree + 2 * BLOCK, 128 * 128 * BLOCK..len),
        (tree + 3 * BLOCK, 0..128 * BLOCK),
        (tree + 5 * BLOCK, 256 * BLOCK..384 * BLOCK),
    ] {
        let mut damaged = bytes.clone();
        damaged[offset as usize + 9] ^= 1;
        let expected = Damage {
            offset,
            part: Part::Tree,
            data,
        };
        assert_eq!(check(&damaged, len, written.root_hash), [expected]);
    }
}

#[test]
fn another_root_hash_is_refused_at_the_top() {
    for blocks in [1, 2, 200] {
        let len = blocks * BLOCK;
        let (bytes, written) = sample(len);
        let mut other = written.root_hash;
        other.0[31] ^= 1;
        let damages = check(&bytes, len, other);
        assert_eq!(damages.len(), 1);
        assert_eq!(damages[0].data, 0..len);
    }
}

#[test]
fn what_cannot_be_read_is_damaged() {
    #[derive(Debug)]
    struct Scratched(Vec<u8>);
    impl ReadAt for Scratched {
        fn len(&self) -> u64 {
            ReadAt::len(&self.0)
        }
        fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> block::Result<()> {
            if (offset..offset + buf.len() as u64).contains(&(5 * BLOCK)) {
                return Err(block::Error::io(
                    "reading",
                    std::io::Error::other("scratch"),
                ));
            }
            self.0.read_exact_at(buf, offset)
        }
    }
    let len = 10 * BLOCK;
    let (bytes, written) = sample(len);
    let tree = Tree::open(Arc::new(Scratched(bytes)), len)
        .unwrap()
        .unwrap();
    let damages = tree.check(written.root_hash, 1, &|_| {}).unwrap();
    let offsets: Vec<u64> = damages.iter().map(|damage| damage.offset).collect();
    assert_eq!(offsets, [5 * BLOCK]);
}

#[test]
fn progress_ends_with_all_blocks() {
    let len = 3000 * BLOCK;
    let (bytes, written) = sample(len);
    let seen = std::sync::Mutex::new(Vec::new());
    let tree = open(&bytes, len);
    let found = tree.check(written.root_hash, 0, &|done| {
        seen.lock().unwrap().push(done)
    });
    assert!(found.unwrap().is_empty());
    assert_eq!(seen.into_inner().unwrap().into_iter().max(), Some(3000));
}

#[test]
fn no_damage_of_a_superblock_makes_a_tree_of_other_data() {
    let len = 5 * BLOCK;
    let (bytes, _) = sample(len);
    let at = len as usize;
    for index in 0..512 {
        for value in [0, 1, 0x7f, 0xff, bytes[at + index] ^ 1] {
            let mut damaged = bytes.clone();
            damaged[at + index] = value;
            match Tree::open(Arc::new(damaged), len) {
                Ok(Some(tree)) => assert_eq!((tree.blocks(), tree.end()), (5, total_len(len))),
                Ok(None) => assert!(index < 8, "{index}"),
                Err(error) => assert_ne!(error.kind(), Kind::Io, "{index}"),
            }
        }
    }
    // Cut off anywhere.
    for end in (at..bytes.len()).step_by(511) {
        let result = Tree::open(Arc::new(bytes[..end].to_vec()), len);
        assert!(!matches!(result, Ok(Some(_))), "{end}");
    }
    assert!(Tree::open(Arc::new(bytes), u64::MAX).unwrap().is_none());
}

#[test]
fn a_superblock_is_read_as_it_was_written_and_another_kind_is_named() {
    let superblock = Superblock {
        uuid: *b"0123456789abcdef",
        blocks: 77,
        salt: vec![7; 256],
    };
    let block = superblock.to_block();
    assert_eq!(block.len() as u64, BLOCK);
    assert_eq!(Superblock::parse(&block).unwrap(), Some(superblock));
    let with = |at: usize, bytes: &[u8]| {
        let mut block = block.clone();
        block[at..at + bytes.len()].copy_from_slice(bytes);
        Superblock::parse(&block).map_err(|error| error.kind())
    };
    assert_eq!(with(0, b"V"), Ok(None));
    for (at, bytes) in [
        (8, &[2][..]),
        (12, &[0]),
        (32, b"sha512"),
        (32, b"sha256x"),
        (65, &[4]),
        (68, &[1]),
    ] {
        assert_eq!(with(at, bytes), Err(Kind::Unsupported), "{at}");
    }
    assert_eq!(with(72, &[0]), Err(Kind::Corrupt));
    assert_eq!(with(80, &[1, 1]), Err(Kind::Corrupt));
}

#[test]
fn a_digest_is_of_the_salt_and_the_block() {
    // As `printf 'saltblock' | sha256sum` prints it.
    let text = RootHash(digest(b"salt", b"block")).to_string();
    assert_eq!(text, RootHash(digest(b"", b"saltblock")).to_string());
    assert_eq!(text.len(), 64);
}
