//! Identities of file systems that the usual programs made, compared with what `blkid` says of them; and of bytes that nobody made.

use std::fs;
use std::io;
use std::process::Command;

use super::partition::{Partition, identify};
use super::{Identity, probe};
use crate::system::Bytes;

struct Held(Vec<u8>);

impl Bytes for Held {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap();
        let bytes = self.0.get(from..from + buf.len());
        buf.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

fn of(bytes: &[u8]) -> Option<Identity> {
    probe(&Held(bytes.to_vec())).unwrap()
}

/// Whether a program is there. In CI a missing one fails the test.
fn need(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin".into(), "/sbin".into()];
    let found = std::env::split_paths(&path)
        .chain(more)
        .any(|folder| folder.join(tool).exists());
    assert!(
        found || std::env::var_os("CI").is_none(),
        "{tool} is missing"
    );
    if !found {
        eprintln!("SKIPPED: needs {tool}");
    }
    found
}

#[expect(
    clippy::disallowed_methods,
    reason = "the reference programs make what is read here"
)]
fn shell(folder: &std::path::Path, line: &str) -> String {
    let path = format!(
        "{}:/usr/sbin:/sbin",
        std::env::var_os("PATH").unwrap().to_string_lossy()
    );
    let output = Command::new("sh")
        .args(["-ec", line])
        .current_dir(folder)
        .env("PATH", path)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Makes `image` with a shell line and compares what is found in it with what blkid finds.
fn agrees_with_blkid(tools: &[&str], line: &str, kind: &str) {
    if !tools.iter().chain(&["blkid"]).all(|tool| need(tool)) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    shell(
        folder.path(),
        &format!("mkdir tree; echo x > tree/file; truncate -s 400M image; {line}"),
    );
    let said = shell(folder.path(), "blkid -p -o export image");
    let value = |name: &str| {
        let line = said
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_default().replace('\\', "")
    };
    let file = fs::File::open(folder.path().join("image")).unwrap();
    let identity = probe(&Sparse(file)).unwrap().unwrap();
    assert_eq!(identity.kind, kind, "{line}");
    assert_eq!(identity.uuid, value("UUID"), "{line}");
    let label = value("LABEL");
    let found =
        identity.labels.contains(&label) || (label.is_empty() && identity.labels.is_empty());
    assert!(found, "{line}: {label:?} is not in {:?}", identity.labels);
}

/// A file too large to hold.
struct Sparse(fs::File);

impl Bytes for Sparse {
    fn len(&self) -> u64 {
        self.0.metadata().unwrap().len()
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.0, buf, offset)
    }
}

#[test]
fn ref_ext_is_known_in_all_its_ages() {
    for options in [
        "-t ext2",
        "-t ext3",
        "-t ext4 -L 'a label of sixt'",
        "-t ext4 -b 1024 -L x",
        "-t ext4 -O inline_data,64bit,metadata_csum",
    ] {
        agrees_with_blkid(
            &["mke2fs"],
            &format!("mke2fs -q -F {options} image"),
            "ext4",
        );
    }
}

#[test]
fn ref_fat_is_known_in_all_its_widths() {
    for options in [
        "-F 12 -s 128 -C small 2000; mv small image; true",
        "-F 16 -n LABEL16",
        "-F 32 -n 'TWO WORDS'",
        "-F 32 -s 1 -i 1234abcd",
        "-S 2048",
    ] {
        agrees_with_blkid(
            &["mkfs.vfat"],
            &format!("mkfs.vfat {options} image"),
            "vfat",
        );
    }
    // The label in the root directory is the one that counts, and the boot sector keeps the old one.
    let line = "mkfs.vfat -F 32 -n OLD image; mlabel -i image ::NEW";
    agrees_with_blkid(&["mkfs.vfat", "mlabel"], line, "vfat");
}

#[test]
fn ref_iso9660_is_known_with_and_without_joliet() {
    for options in [
        "-V CDROM -R",
        "-V 'A label' -R -J",
        "-V 'Sixteen_or_more_characters' -J -R",
        "-J -V CDROM",
    ] {
        agrees_with_blkid(
            &["genisoimage"],
            &format!("genisoimage -quiet {options} -o image tree"),
            "iso9660",
        );
        agrees_with_blkid(
            &["xorriso"],
            &format!("rm image; xorriso -as mkisofs -quiet {options} -o image tree"),
            "iso9660",
        );
    }
}

#[test]
fn ref_the_other_file_systems_are_known() {
    agrees_with_blkid(
        &["mksquashfs"],
        "mksquashfs tree image -noappend -quiet",
        "squashfs",
    );
    agrees_with_blkid(&["mkfs.erofs"], "mkfs.erofs image tree", "erofs");
}

/// Bytes with a structure at each offset.
fn with(len: usize, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for (at, field) in fields {
        bytes[*at..*at + field.len()].copy_from_slice(field);
    }
    bytes
}

const UUID: &[u8] = b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef";

/// An exFAT file system whose root directory is its cluster 3, of 1024 bytes from sector 8 on.
fn exfat() -> Vec<u8> {
    with(
        8192,
        &[
            (3, b"EXFAT   "),
            (88, &8_u32.to_le_bytes()),
            (96, &3_u32.to_le_bytes()),
            (100, &0x1234_abcd_u32.to_le_bytes()),
            (108, &[9, 1]),
            (510, &[0x55, 0xaa]),
            (4096 + 1024, &[0x81]),
            (4096 + 1024 + 32, b"\x83\x04S\0t\0i\0c\0k\0"),
        ],
    )
}

#[test]
fn file_systems_are_known_by_their_superblocks() {
    let uuid = "01234567-89ab-cdef-0123-456789abcdef";
    for (bytes, kind, labels, uuid) in [
        (
            with(512, &[(0, b"XFSB"), (32, UUID), (108, b"xlabel")]),
            "xfs",
            &["xlabel"][..],
            uuid,
        ),
        (
            with(
                70_000,
                &[
                    (0x1_0040, b"_BHRfS_M"),
                    (0x1_0020, UUID),
                    (0x1_012b, b"b label"),
                ],
            ),
            "btrfs",
            &["b label"],
            uuid,
        ),
        (
            with(
                4096,
                &[
                    (1024, &[0xe2, 0xe1, 0xf5, 0xe0]),
                    (1024 + 48, UUID),
                    (1024 + 64, b"sixteencharacter"),
                ],
            ),
            "erofs",
            &["sixteencharacter"],
            uuid,
        ),
        (
            with(4096, &[(1080, &[0x53, 0xef]), (1024 + 0x78, b"e")]),
            "ext4",
            &["e"],
            "",
        ),
        (with(96, &[(0, b"hsqs")]), "squashfs", &[], ""),
        (exfat(), "exfat", &["Stic"], "1234-ABCD"),
    ] {
        let found = of(&bytes).unwrap();
        assert_eq!((found.kind, found.uuid.as_str()), (kind, uuid));
        assert_eq!(found.labels, labels);
    }
}

#[test]
fn ref_partitions_are_known_as_blkid_knows_them() {
    if !["sgdisk", "sfdisk", "blkid"].iter().all(|tool| need(tool)) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for table in [
        "sgdisk -n 1:2048:4095 -c 1:'live medium' -n 3:4096:8191 image",
        "printf 'label: dos\\n,2M\\n,3M\\n' | sfdisk image",
    ] {
        shell(
            folder.path(),
            &format!("rm -f image; truncate -s 16M image; {table}"),
        );
        let disk = Held(fs::read(folder.path().join("image")).unwrap());
        let listed = shell(folder.path(), "sfdisk -d image");
        for number in [1, 2, 3] {
            let Some(line) = listed
                .lines()
                .find(|line| line.starts_with(&format!("image{number} :")))
            else {
                continue;
            };
            let found = identify(&disk, 512, number).unwrap().unwrap();
            if let Some((_, rest)) = line.split_once("uuid=") {
                let uuid = rest.split(',').next().unwrap().to_ascii_lowercase();
                assert_eq!(found.uuid, uuid);
                assert_eq!(found.name, if number == 1 { "live medium" } else { "" });
            } else {
                let id = listed
                    .lines()
                    .find_map(|line| line.strip_prefix("label-id: 0x"))
                    .unwrap();
                assert_eq!(
                    found,
                    Partition {
                        uuid: format!("{id}-{number:02x}"),
                        name: String::new()
                    }
                );
            }
        }
        assert_eq!(identify(&disk, 512, 0).unwrap(), None);
    }
}

/// An ISO 9660 medium with a Joliet descriptor.
fn iso() -> Vec<u8> {
    let mut bytes = vec![0; 19 * 2048];
    for (sector, kind) in [(16, 1), (17, 2), (18, 255)] {
        bytes[sector * 2048] = kind;
        bytes[sector * 2048 + 1..sector * 2048 + 6].copy_from_slice(b"CD001");
    }
    bytes[32768 + 40..32768 + 72].copy_from_slice(b"MY_LABEL                        ");
    bytes[34816 + 40..34816 + 56].copy_from_slice(b"\0M\0y\0 \0l\0a\0b\0e\0l");
    bytes[34816 + 88..34816 + 91].copy_from_slice(b"%/E");
    bytes[32768 + 813..32768 + 829].copy_from_slice(b"2026112018381942");
    bytes
}

#[test]
fn both_names_of_an_iso_count_and_its_date_is_its_uuid() {
    let identity = of(&iso()).unwrap();
    assert_eq!(identity.labels, ["MY_LABEL", "My label"]);
    assert_eq!(identity.uuid, "2026-11-20-18-38-19-42");
    let mut changed = iso();
    changed[32768 + 830..32768 + 846].copy_from_slice(b"2027010101010100");
    assert_eq!(of(&changed).unwrap().uuid, "2027-01-01-01-01-01-00");
}

#[test]
fn a_superblock_at_the_start_wins_over_an_old_one_behind() {
    let mut bytes = iso();
    bytes[1024 + 0x38..1024 + 0x3a].copy_from_slice(&[0x53, 0xef]);
    assert_eq!(of(&bytes).unwrap().kind, "ext4");
    let mut bytes = iso();
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    assert_eq!(
        of(&bytes).unwrap().kind,
        "iso9660",
        "the MBR of a hybrid ISO"
    );
}

#[test]
fn nothing_is_found_in_what_is_nothing() {
    for bytes in [
        vec![],
        vec![0; 511],
        vec![0; 100_000],
        vec![0xff; 100_000],
        vec![0x55; 2048],
    ] {
        assert_eq!(of(&bytes), None);
    }
}

#[test]
fn a_table_whose_numbers_are_hostile_has_no_partitions() {
    let mut disk = vec![0; 4096];
    disk[512..520].copy_from_slice(b"EFI PART");
    for (lba, count, size) in [
        (u64::MAX, 128, 128),
        (2, u32::MAX, u32::MAX),
        (2, 128, 0),
        (1 << 60, 128, 128),
        (2, 0, 128),
        (7, 128, 4096),
    ] {
        disk[512 + 72..512 + 80].copy_from_slice(&lba.to_le_bytes());
        disk[512 + 80..512 + 84].copy_from_slice(&count.to_le_bytes());
        disk[512 + 84..512 + 88].copy_from_slice(&size.to_le_bytes());
        for number in [1, 128, u32::MAX] {
            assert_eq!(
                identify(&Held(disk.clone()), 512, number)
                    .unwrap()
                    .filter(|p| !p.uuid.is_empty()),
                None
            );
        }
    }
    assert_eq!(identify(&Held(vec![]), 512, 1).unwrap(), None);
    assert_eq!(identify(&Held(disk), u64::MAX, 1).unwrap(), None);
}

#[test]
fn damaged_and_cut_off_media_give_an_answer() {
    let mut fat = vec![0; 70_000];
    fat[..3].copy_from_slice(&[0xeb, 0x3c, 0x90]);
    fat[11..13].copy_from_slice(&512u16.to_le_bytes());
    (fat[13], fat[14], fat[16], fat[21]) = (1, 1, 2, 0xf8);
    fat[17..19].copy_from_slice(&512u16.to_le_bytes());
    fat[19..21].copy_from_slice(&130u16.to_le_bytes());
    fat[22] = 1;
    fat[510..512].copy_from_slice(&[0x55, 0xaa]);
    assert_eq!(of(&fat).unwrap().kind, "vfat");
    for medium in [iso(), fat, exfat()] {
        let structures = (0..512)
            .chain(32768..32768 + 2048)
            .filter(|at| *at < medium.len());
        for at in structures {
            for value in [0, 0x3f, 0x7f, 0xff, medium[at] ^ 1] {
                let mut damaged = medium.clone();
                damaged[at] = value;
                let _ = probe(&Held(damaged));
            }
        }
        for len in (0..medium.len()).step_by(97) {
            let _ = probe(&Held(medium[..len].to_vec()));
        }
    }
}

#[test]
fn ref_ntfs_is_known_with_its_label() {
    agrees_with_blkid(&["mkntfs"], "mkntfs -Q -F -L 'My Data' image 2>&1", "ntfs3");
}
