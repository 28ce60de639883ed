//! A small ISO as `liveos build` makes it, and what is on one.

use std::collections::BTreeMap;
use std::sync::Arc;

use block::{Content, DiskFile};
use contract::checksums::{Checksums, blank_out};
use formats::iso9660::VolumeId;
use media::files::Files;
use media::iso::{Description, write};
use tree::{Node, Timestamp};

pub(crate) const CONFIG: &str = "set timeout=5\nmenuentry 'The system' {\n\tlinux /boot/vmlinuz-1 root=live:CDLABEL=X quiet\n\
    \tinitrd /boot/initramfs-1.img\n}\nmenuentry 'Check' {\n\tlinux /boot/vmlinuz-1 root=live:CDLABEL=X quiet rd.live.check\n\
    \tinitrd /boot/initramfs-1.img\n}\n";

/// What the build left for the next one.
pub(crate) const SAVED: &str = "liveos:\n    kernelCommandLine:\n        extraCommandLine:\n            - \"quiet\"\n            - \"x=0\"\n";

/// An ISO with a reserved area of `reserved` bytes.
pub(crate) fn iso(reserved: u64) -> Vec<u8> {
    with_checksums(reserved, mediacheck::Styles::None)
}

/// One with these checksums for other programs.
pub(crate) fn with_checksums(reserved: u64, implanted: mediacheck::Styles) -> Vec<u8> {
    let mut files = Files::new(Timestamp::default());
    let noise =
        |len: usize, seed: u8| -> Vec<u8> { (0..len).map(|at| (at % 251) as u8 ^ seed).collect() };
    for (path, bytes) in [
        ("boot/grub/grub.cfg", CONFIG.as_bytes().to_vec()),
        ("boot/grub/efiboot.img", noise(5000, 1)),
        ("boot/vmlinuz-1", noise(9000, 2)),
        ("boot/initramfs-1.img", noise(20_000, 3)),
        ("liveos/rootfs.img", noise(5_000_000, 4)),
        (contract::media::SAVED_CONFIGS, SAVED.as_bytes().to_vec()),
        (
            "EFI/BOOT/grub.cfg",
            b"configfile /boot/grub/grub.cfg\n".to_vec(),
        ),
    ] {
        files.put(path, Content::from_bytes(bytes)).unwrap();
    }
    let description = Description {
        implanted,
        volume_id: VolumeId::new("X").unwrap(),
        title: "sample".to_owned(),
        bios: None,
        efi: "boot/grub/efiboot.img".to_owned(),
        reserved,
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    let target = DiskFile::from_file(file.reopen().unwrap(), file.path()).unwrap();
    write(description, files, &[], &Arc::new(target), &|_| {}).unwrap();
    std::fs::read(file.path()).unwrap()
}

/// All files of an ISO.
pub(crate) fn files(iso: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let tree = formats::iso9660::read_tree(Arc::new(iso.to_vec())).unwrap();
    let mut files = BTreeMap::new();
    for entry in tree.walk() {
        if let Node::File(content) = &entry.inode.node {
            files.insert(entry.path.to_string(), content.read_all(64 << 20).unwrap());
        }
    }
    files
}

pub(crate) fn read(iso: &[u8], path: &str) -> Vec<u8> {
    let tree = formats::iso9660::read_tree(Arc::new(iso.to_vec())).unwrap();
    tree.file(path)
        .unwrap_or_else(|| panic!("{path} is missing"))
        .read_all(64 << 20)
        .unwrap()
}

pub(crate) fn config(iso: &[u8]) -> String {
    String::from_utf8(read(iso, "/boot/grub/grub.cfg")).unwrap()
}

/// What the media check would find, byte by byte.
pub(crate) fn fits_table(iso: &[u8]) -> bool {
    let text = String::from_utf8(read(iso, "/liveos/checksums")).unwrap();
    let table = Checksums::parse(&text).unwrap();
    table.chunks().all(|(offset, len, digest)| {
        let mut bytes = iso[offset as usize..(offset + len) as usize].to_vec();
        blank_out(&table.blanks, &mut bytes, offset);
        blake3::hash(&bytes).as_bytes() == digest
    })
}

pub(crate) fn check_table(iso: &[u8]) {
    assert!(fits_table(iso), "the media check would refuse this");
}
