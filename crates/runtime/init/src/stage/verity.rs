//! dm-verity: the kernel checks each block of the root file system image against a hash tree as it is read.
//!
//! The tree lies behind the image, and what all hangs on, the root hash, is on the kernel command line. What the tree's superblock says is
//! not to be trusted and need not be: with anything else than the truth the root hash is another one.
//!
//! Source: Linux, `Documentation/admin-guide/device-mapper/verity.rst`; cryptsetup 2.6, `lib/verity/verity.c` (the superblock).

use std::io;

use contract::failure::{
    Failure, VERITY_DAMAGED, VERITY_MISMATCH, VERITY_NO_TREE, VERITY_REFUSED, VERITY_TREE_UNKNOWN,
};
use contract::request::Request;
use contract::request::verity::{OnCorruption, Verity};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::find::Medium;
use super::{Boot, OrStop as _, base};
use crate::probe::{self, extent};
use crate::system::{Access, Bytes, Target};

/// The device that is made.
const NAME: &str = "liveos-verity";
/// The length of a block in bytes, of data and of digests: no other is taken.
const BLOCK: u64 = 4096;
/// The same in sectors.
const SECTORS: u64 = 8;
/// How many digests a block has.
const PER_BLOCK: u64 = 128;
/// The most levels that a tree of 64-bit numbers has.
const MAX_LEVELS: usize = 10;
/// What an optional parameter of the target is, by what follows where a block is damaged.
const RESTART: &str = " 1 restart_on_corruption";
const PANIC: &str = " 1 panic_on_corruption";

/// A hash tree, as far as the superblock says.
#[derive(Debug, PartialEq, Eq)]
struct Tree {
    /// How many blocks of data.
    blocks: u64,
    /// The block where the levels begin, from the start of the data.
    start: u64,
    salt: Vec<u8>,
}

/// The device to mount in the place of `image`, which is one too: `image` itself where the command line asks for no verity.
pub(crate) fn run(boot: &mut Boot<'_>, request: &Request, image: &str) -> Result<String, Failure> {
    let Some(verity) = &request.verity else {
        return Ok(image.to_owned());
    };
    let file = boot.system.open(image).or_stop(VERITY_DAMAGED, image)?;
    let tree = open(&*file, image)?;
    let found = root_hash(&*file, &tree).or_stop(VERITY_DAMAGED, image)?;
    drop(file);
    if found != verity.root_hash {
        let cause = format!(
            "{image} has the root hash {}, and {} was asked for",
            hex(&found),
            hex(&verity.root_hash)
        );
        return Err(Failure::new(VERITY_MISMATCH, cause));
    }
    let device = map(boot, verity, image, &tree)?;
    // The kernel looks at a block when it is read: now at the first ones, on which all hangs.
    let mut block = [0; 4096];
    let file = boot.system.open(&device).or_stop(VERITY_REFUSED, &device)?;
    let read = file.read_at(&mut block, 0);
    read.or_stop(VERITY_DAMAGED, &format!("the first block of {image}"))?;
    boot.step(&format!("each block of {image} is verified as it is read"));
    Ok(device)
}

/// Makes the device.
fn map(boot: &mut Boot<'_>, verity: &Verity, image: &str, tree: &Tree) -> Result<String, Failure> {
    for module in ["dm_mod", "dm_verity"] {
        boot.modules.load(boot.system, module);
    }
    let salt = match tree.salt.as_slice() {
        [] => "-".to_owned(),
        salt => hex(salt),
    };
    let option = match verity.on_corruption {
        OnCorruption::Error => "",
        OnCorruption::Restart => RESTART,
        OnCorruption::Panic => PANIC,
    };
    let parameters = format!(
        "1 {image} {image} {BLOCK} {BLOCK} {} {} sha256 {} {salt}{option}",
        tree.blocks,
        tree.start,
        hex(&verity.root_hash)
    );
    let row = Target {
        start: 0,
        sectors: tree.blocks.saturating_mul(SECTORS),
        kind: "verity",
        parameters: &parameters,
    };
    let uuid = format!("LIVEOS-VERITY-{}", hex(&verity.root_hash));
    let made = boot.system.map(NAME, &uuid, &[row], Access::Read);
    made.or_stop(VERITY_REFUSED, &format!("a verity device of {image}"))
}

/// The tree behind the file system in `file`, which `image` names.
fn open(file: &dyn Bytes, image: &str) -> Result<Tree, Failure> {
    let no_tree = |why: &str| Failure::new(VERITY_NO_TREE, format!("{image}: {why}"));
    let identity = probe::probe(file).or_stop(VERITY_DAMAGED, image)?;
    let identity = identity.ok_or_else(|| no_tree("it is no file system that is known"))?;
    let len = extent::of(file, identity.kind).or_stop(VERITY_DAMAGED, image)?;
    let at = len.and_then(|len| len.checked_next_multiple_of(BLOCK));
    let at = at.ok_or_else(|| no_tree("it does not say how long it is"))?;
    if file.len().saturating_sub(at) < BLOCK {
        return Err(no_tree(&format!(
            "it ends at byte {at}, and nothing follows"
        )));
    }
    let mut block = [0; 512];
    file.read_at(&mut block, at)
        .or_stop(VERITY_DAMAGED, image)?;
    if !block.starts_with(b"verity\0\0") {
        return Err(no_tree(&format!("there is none at byte {at}")));
    }
    let tree = superblock(&block, at / BLOCK);
    tree.map_err(|why| Failure::new(VERITY_TREE_UNKNOWN, format!("{image} at byte {at}: {why}")))
}

/// What the superblock says that lies at block `at`.
fn superblock(bytes: &[u8; 512], at: u64) -> Result<Tree, &'static str> {
    let word = |from: usize| probe::field::u32le(bytes, from);
    if (word(8), word(12)) != (1, 1) {
        return Err("a version that is not known");
    }
    if bytes.get(32..39) != Some(b"sha256\0") {
        return Err("an algorithm that is not SHA-256");
    }
    if (word(64), word(68)) != (4096, 4096) {
        return Err("blocks that have not 4096 bytes");
    }
    let blocks = probe::field::u64le(bytes, 72);
    // All of the data is before the tree, or there would be bytes that nothing verifies.
    if blocks == 0 || blocks != at {
        return Err("it is not about what is before it");
    }
    let len = usize::from(probe::field::u16le(bytes, 80));
    let salt = bytes.get(88..344).and_then(|room| room.get(..len));
    Ok(Tree {
        blocks,
        start: at.saturating_add(1),
        salt: salt.ok_or("a salt that is too long")?.to_vec(),
    })
}

/// The digest of the top of the tree.
fn root_hash(file: &dyn Bytes, tree: &Tree) -> io::Result<[u8; 32]> {
    // The highest level is the first; data of one block have none, and are the top themselves.
    let top = if tree.blocks == 1 { 0 } else { tree.start };
    let end = ends_at(tree).and_then(|end| end.checked_mul(BLOCK));
    if end.is_none_or(|end| end > file.len()) {
        return Err(Errno::NODATA.into());
    }
    let mut block = [0; 4096];
    file.read_at(&mut block, top.saturating_mul(BLOCK))?;
    let mut digest = Sha256::new();
    digest.update(&tree.salt);
    digest.update(block);
    Ok(digest.finalize().into())
}

/// The block behind the tree.
fn ends_at(tree: &Tree) -> Option<u64> {
    let (mut end, mut below) = (tree.start, tree.blocks);
    for _ in 0..MAX_LEVELS {
        if below <= 1 {
            break;
        }
        below = below.div_ceil(PER_BLOCK);
        end = end.checked_add(below)?;
    }
    Some(end)
}

/// Whether the root file system image of a medium is the one that the command line asks for, by the top of its hash tree. The medium is
/// mounted for that, and not any more where it is another one. True where no verity is asked for.
pub(crate) fn belongs(boot: &mut Boot<'_>, request: &Request, medium: &Medium) -> bool {
    let Some(verity) = &request.verity else {
        return true;
    };
    let path = base::image_of(boot, request, medium);
    let found = path.and_then(|path| {
        let file = boot.system.open(&path).ok()?;
        let tree = open(&*file, &path).ok()?;
        root_hash(&*file, &tree).ok()
    });
    if found == Some(verity.root_hash) {
        return true;
    }
    base::unmount_medium(boot);
    false
}

/// Stops where a root hash is asked for and the root is `what`, which cannot have one.
pub(crate) fn refuse(request: &Request, what: &str) -> Result<(), Failure> {
    match &request.verity {
        None => Ok(()),
        Some(_) => Err(Failure::new(VERITY_NO_TREE, format!("the root is {what}"))),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
