//! dm-verity, from the hash tree on the medium to the device that is mounted.

use sha2::{Digest as _, Sha256};

use super::*;
use crate::system::System as _;

const BLOCK: usize = 4096;
/// The image with its tree as a file, and the device that is made of it.
const DEVICE: &str = "/dev/loop0";
const MAPPED: &str = "/dev/dm-liveos-verity";
/// Where the image is on the mounted medium.
const FILE: &str = "/run/initramfs/live/liveos/rootfs.img";

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A squashfs of two blocks, as far as a probe sees, with its hash tree; its root hash. `seed` makes it different from others.
fn image(seed: u8, salt: &[u8]) -> (Vec<u8>, String) {
    let salted = |block: &[u8]| digest(&[salt, block].concat());
    let mut bytes = vec![seed; 2 * BLOCK];
    bytes[..4].copy_from_slice(b"hsqs");
    bytes[40..48].copy_from_slice(&5000_u64.to_le_bytes());
    let mut superblock = vec![0; BLOCK];
    superblock[..8].copy_from_slice(b"verity\0\0");
    for (at, value) in [(8, 1), (12, 1), (64, 4096), (68, 4096), (72, 2)] {
        superblock[at..at + 4].copy_from_slice(&u32::to_le_bytes(value));
    }
    superblock[32..38].copy_from_slice(b"sha256");
    superblock[80] = salt.len() as u8;
    superblock[88..88 + salt.len()].copy_from_slice(salt);
    let mut level: Vec<u8> = bytes.chunks(BLOCK).flat_map(salted).collect();
    level.resize(BLOCK, 0);
    let root_hash = hex(&salted(&level));
    bytes.extend(superblock);
    bytes.extend(level);
    (bytes, root_hash)
}

/// A machine with this image on its medium and these parameters; its loop device and what is mapped over it can be read.
fn verified(bytes: &[u8], parameters: &str) -> Fake {
    let mut fake = machine(parameters);
    let index = "liveos module index 1\nmodule dm_mod /dm-mod.ko\nmodule dm_verity /dm-verity.ko\ndepends dm_mod\n";
    fake.file(media::MODULE_INDEX, index)
        .appears(1, "sr0", iso("CDROM"))
        .on_mount("/dev/sr0", "liveos/rootfs.img", bytes)
        .on_mount(MAPPED, "usr/bin/true", "")
        .file(DEVICE, bytes)
        .file(MAPPED, bytes);
    fake
}

#[test]
fn the_image_is_mounted_by_way_of_the_kernels_verity_device() {
    for (salt, shown) in [(&b""[..], "-"), (b"\x01\xab", "01ab")] {
        let (bytes, root_hash) = image(1, salt);
        let mut fake = verified(&bytes, &format!("liveos.verity=sha256:{root_hash}"));
        assert_eq!(code(&mut fake), "L0603", "{:?}", fake.log);
        let row =
            format!("0 16 verity 1 {DEVICE} {DEVICE} 4096 4096 2 3 sha256 {root_hash} {shown}");
        assert_eq!(fake.done_of("map"), [format!("liveos-verity: {row}")]);
        let mounts = fake.done_of("mount squashfs");
        assert_eq!(mounts, [format!("{MAPPED} /run/initramfs/squashfs")]);
        assert!(
            fake.done_of("load")
                .contains(&"/dm-verity.ko async_probe".to_owned())
        );
    }
}

#[test]
fn what_follows_damage_is_the_kernels_as_it_was_asked_for() {
    let (bytes, root_hash) = image(1, b"");
    for (value, option) in [
        ("error", " -"),
        ("restart", " - 1 restart_on_corruption"),
        ("panic", " - 1 panic_on_corruption"),
    ] {
        let parameters = format!("roothash={root_hash} liveos.verity.corruption={value}");
        let mut fake = verified(&bytes, &parameters);
        assert_eq!(code(&mut fake), "L0603");
        assert!(fake.done_of("map")[0].ends_with(option), "{value}");
    }
}

#[test]
fn without_a_root_hash_nothing_is_verified() {
    let (bytes, _) = image(1, b"");
    let mut fake = verified(&bytes, "");
    fake.on_mount(DEVICE, "usr/bin/true", "");
    assert_eq!(code(&mut fake), "L0603");
    assert!(fake.done_of("map").is_empty());
}

#[test]
fn what_cannot_be_verified_does_not_boot() {
    let (bytes, root_hash) = image(1, b"");
    let (other, _) = image(2, b"");
    let asked = format!("liveos.verity=sha256:{root_hash}");
    let without_tree = bytes[..2 * BLOCK].to_vec();
    let cut = bytes[..3 * BLOCK].to_vec();
    let changed = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        bytes
    };
    for (bytes, code_expected) in [
        (other, "L0323"),
        (without_tree, "L0321"),
        (cut, "L0325"),
        (changed(2 * BLOCK, b'V'), "L0321"),
        (changed(2 * BLOCK + 8, 2), "L0322"),
        (changed(2 * BLOCK + 12, 0), "L0322"),
        (changed(2 * BLOCK + 33, b'x'), "L0322"),
        (changed(2 * BLOCK + 65, 0), "L0322"),
        (changed(2 * BLOCK + 72, 1), "L0322"),
        (changed(2 * BLOCK + 81, 2), "L0322"),
        (changed(3 * BLOCK, 0xff), "L0323"),
        // The image's own length: the tree is not behind it then, or not where it is looked for.
        (changed(41, 0x02), "L0321"),
        (changed(46, 0xff), "L0321"),
        (changed(47, 0xff), "L0321"),
    ] {
        let mut fake = verified(&bytes, &asked);
        assert_eq!(code(&mut fake), code_expected);
        assert!(fake.done_of("mount squashfs").is_empty());
    }
    // The device-mapper refuses, or the first block is damaged, which only the kernel sees.
    for (operation, expected) in [
        ("map liveos-verity: 0 16 verity", "L0324"),
        ("open /dev/dm-liveos-verity", "L0324"),
    ] {
        let mut fake = verified(&bytes, &asked);
        let row = format!("1 {DEVICE} {DEVICE} 4096 4096 2 3 sha256 {root_hash} -");
        let operation = match operation.strip_suffix("verity") {
            Some(_) if operation.starts_with("map") => format!("{operation} {row}"),
            _ => operation.to_owned(),
        };
        fake.refuse(&operation, Errno::INVAL);
        assert_eq!(code(&mut fake), expected, "{operation}");
    }
    let mut fake = verified(&bytes, &asked);
    fake.file(MAPPED, "");
    fake.files.get_mut(MAPPED).unwrap().clear();
    assert_eq!(code(&mut fake), "L0325");
    assert!(fake.done_of("mount squashfs").is_empty());
}

#[test]
fn of_two_media_with_one_label_the_one_with_the_right_root_hash_is_taken() {
    let (bytes, root_hash) = image(1, b"");
    let (other, _) = image(2, b"");
    let asked = format!("liveos.verity=sha256:{root_hash}");
    let mut fake = verified(&bytes, &asked);
    fake.file("/dev/sda", iso("CDROM"))
        .file("/sys/class/block/sda/size", "1")
        .on_mount("/dev/sda", "liveos/rootfs.img", other.as_slice());
    let (failure, report, _) = run(&mut fake);
    assert_eq!(failure.code.code, "L0603", "{}", failure.cause);
    assert_eq!(report.medium.unwrap().name, "sr0");
    assert_eq!(fake.done_of("unmount"), ["/run/initramfs/live"]);
    assert!(fake.files.contains_key(FILE));

    // Only the wrong one is there: refused for what it is, and soon.
    let mut fake = verified(&bytes, &asked);
    fake.on_mount("/dev/sr0", "liveos/rootfs.img", other.as_slice());
    fake.file(DEVICE, other.as_slice());
    let (failure, ..) = run(&mut fake);
    assert_eq!(failure.code.code, "L0323");
    assert!(fake.clock().as_secs() < 20);
}
