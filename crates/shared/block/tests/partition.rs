//! Partition tables: ours read by `sfdisk`, `sgdisk` and `partx`, theirs read by us, and damaged ones.
#![expect(clippy::unwrap_used, reason = "in a test, a failure is a panic")]

mod support;

use std::path::Path;
use std::sync::Arc;

use block::partition::{Guid, PartitionType, Scheme, Table, Warning, gpt, mbr};
use block::{DiskFile, Kind, MemoryTarget, ReadAt, Result, Window, WriteAt as _};
use support::{need, run};

fn new_disk(path: &Path, len: u64) -> String {
    std::fs::File::create(path).unwrap().set_len(len).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A table as `partx` prints it with [`PARTX`].
fn as_partx(table: &Table) -> String {
    let mut text = String::new();
    for partition in &table.partitions {
        let flags = partition.attributes;
        text += &format!(
            "{}|{}|{}|{}|{}|{:#x}|{}\n",
            partition.index,
            partition.start / 512,
            partition.len / 512,
            partition.part_uuid,
            partition.label,
            flags,
            partition.kind,
        );
    }
    text
}

/// The partitions of the file at `path` as util-linux reads them.
fn partx(path: &str) -> String {
    let columns = "NR,START,SECTORS,UUID,NAME,FLAGS,TYPE";
    run("partx", &["--raw", "--noheadings", "-o", columns, path], "")
        .replace("\\x20", "_")
        .lines()
        .map(|line| line.replace(' ', "|") + "\n")
        .collect()
}

fn layout() -> gpt::Layout {
    let partition = |type_guid, number: u8, sectors: [u64; 2], name: &str| gpt::Partition {
        type_guid,
        guid: Guid::from_digest([number; 16]),
        first_lba: sectors[0],
        last_lba: sectors[1],
        attributes: u64::from(number) << 60,
        name: name.to_owned(),
    };
    gpt::Layout {
        disk_guid: Guid::from_digest([7; 16]),
        partitions: vec![
            partition(Guid::BASIC_DATA, 1, [64, 99], "ISO9660"),
            partition(Guid::UNUSED, 0, [0, 0], ""),
            partition(Guid::ESP, 2, [100, 199], "Appended_ESP_\u{1f4bf}"),
        ],
        total_sectors: 256,
        sector_size: 512,
        entries_lba: 2,
    }
}

/// A whole disk with the table of `layout` and a protective MBR.
fn disk_of(layout: &gpt::Layout) -> Vec<u8> {
    let target = MemoryTarget::new();
    let mut entries = [mbr::Entry::default(); 4];
    entries[0] = mbr::Entry::protective(layout.total_sectors);
    let record = mbr::Record {
        code: [0; 440],
        disk_id: 0,
        entries,
    };
    target.write_all_at(&record.encode(), 0).unwrap();
    gpt::encode(layout).unwrap().write(&target).unwrap();
    let disk = target.into_bytes();
    assert_eq!(disk.len() as u64, layout.total_sectors * layout.sector_size);
    disk
}

fn read(disk: &[u8]) -> Result<Option<Table>> {
    Table::read(&disk.to_vec())
}

#[test]
fn a_table_that_was_made_reads_back() {
    for sector_size in [512, 4096] {
        let layout = gpt::Layout {
            sector_size,
            ..layout()
        };
        let table = read(&disk_of(&layout)).unwrap().unwrap();
        assert_eq!(table.scheme, Scheme::Gpt);
        assert_eq!(table.sector_size, sector_size);
        assert_eq!(table.disk_id, layout.disk_guid.to_string());
        assert_eq!(table.warnings, []);
        let [iso, esp] = table.partitions.as_slice() else {
            panic!("{table:?}")
        };
        assert_eq!((iso.index, esp.index), (1, 3));
        assert_eq!(esp.kind, PartitionType::Gpt(Guid::ESP));
        assert_eq!((esp.start, esp.len), (100 * sector_size, 100 * sector_size));
        assert_eq!(esp.label, "Appended_ESP_\u{1f4bf}");
        assert_eq!(esp.part_uuid, layout.partitions[2].guid.to_string());
    }
}

#[test]
fn a_layout_that_cannot_be_is_refused() {
    type Change = fn(&mut gpt::Layout);
    let changes: [Change; 8] = [
        |l| l.partitions[0].last_lba = 100,
        |l| l.partitions[0].first_lba = 33,
        |l| l.partitions[2].last_lba = 256 - 33,
        |l| l.partitions[2].last_lba = 99,
        |l| l.partitions[2].name = "n".repeat(37),
        |l| l.total_sectors = 60,
        |l| l.entries_lba = 1,
        |l| l.partitions = vec![gpt::Partition::default(); 129],
    ];
    gpt::encode(&layout()).unwrap();
    for (row, change) in changes.into_iter().enumerate() {
        let mut layout = layout();
        change(&mut layout);
        assert!(gpt::encode(&layout).is_err(), "row {row}");
    }
}

#[test]
fn a_damaged_first_copy_gives_way_to_the_backup() {
    for sector_size in [512, 4096] {
        let whole = disk_of(&gpt::Layout {
            sector_size,
            ..layout()
        });
        let expected = read(&whole).unwrap().unwrap().partitions;
        // Every byte of the header, and some of the entries.
        let header = sector_size as usize..sector_size as usize + 92;
        let entries = 2 * sector_size as usize..2 * sector_size as usize + 384;
        for at in header.chain(entries) {
            let mut disk = whole.clone();
            disk[at] ^= 0x11;
            let table = read(&disk).unwrap().unwrap();
            assert_eq!(table.partitions, expected, "byte {at}");
            let [Warning::PrimaryDamaged { reason }] = table.warnings.as_slice() else {
                panic!("byte {at}: {:?}", table.warnings)
            };
            assert!(reason.contains("at byte"), "{reason}");
        }
    }
}

#[test]
fn a_damaged_backup_is_only_a_warning() {
    let mut disk = disk_of(&layout());
    let expected = read(&disk).unwrap().unwrap().partitions;
    let last = disk.len() - 500;
    disk[last] ^= 1;
    let table = read(&disk).unwrap().unwrap();
    assert_eq!(table.partitions, expected);
    assert!(matches!(
        table.warnings.as_slice(),
        [Warning::BackupDamaged { .. }]
    ));
}

#[test]
fn two_damaged_copies_are_an_error_with_a_place() {
    let mut disk = disk_of(&layout());
    let last = disk.len() - 500;
    disk[last] ^= 1;
    disk[520] ^= 1;
    let error = read(&disk).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert_eq!(error.place().offset, Some(512));
}

#[test]
fn a_table_of_a_size_that_no_disk_has_is_not_allocated() {
    let mut disk = disk_of(&layout());
    for at in [512, disk.len() - 512] {
        disk[at + 80..at + 84].fill(0xff);
        disk[at + 16..at + 20].fill(0);
        let crc = crc32fast::hash(&disk[at..at + 92]);
        disk[at + 16..at + 20].copy_from_slice(&crc.to_le_bytes());
    }
    assert_eq!(read(&disk).unwrap_err().kind(), Kind::Limit);
}

#[test]
fn a_disk_that_was_cut_off_keeps_the_partitions_that_are_there() {
    let mut disk = disk_of(&layout());
    disk.truncate(150 * 512);
    let table = read(&disk).unwrap().unwrap();
    assert_eq!(table.partitions.len(), 2);
    assert_eq!(table.partitions[1].len, (150 - 100) * 512);
    assert!(matches!(
        table.warnings.as_slice(),
        [
            Warning::BackupDamaged { .. },
            Warning::PartitionCut { index: 3, .. }
        ]
    ));
    disk.truncate(100 * 512);
    let table = read(&disk).unwrap().unwrap();
    assert_eq!(table.partitions.len(), 1);
    assert_eq!(table.warnings[1], Warning::PartitionBeyondEnd { index: 3 });
}

#[test]
fn any_length_of_a_disk_gives_an_answer() {
    let whole: Arc<dyn ReadAt> = Arc::new(disk_of(&layout()));
    for len in (0..whole.len()).step_by(61).chain(0..2000) {
        match Table::read(&Window::new(whole.clone(), 0, len).unwrap()) {
            Ok(None) => assert!(len < 512, "{len}"),
            Ok(Some(table)) => assert!(!table.warnings.is_empty(), "{len}"),
            Err(error) => assert!(error.place().offset.is_some(), "{len}: {error}"),
        }
    }
}

#[test]
fn a_gpt_without_its_protective_mbr_is_found_with_a_warning() {
    let mut disk = disk_of(&layout());
    disk[..512].fill(0);
    let table = read(&disk).unwrap().unwrap();
    assert_eq!(table.partitions.len(), 2);
    assert_eq!(table.warnings, [Warning::NotProtected]);
}

#[test]
fn a_hybrid_mbr_gives_way_to_the_gpt() {
    let mut disk = disk_of(&layout());
    let before = read(&disk).unwrap();
    let other = mbr::Entry {
        bootable: true,
        kind: 0x17,
        start_lba: 100,
        sectors: 50,
    };
    disk[462..478].copy_from_slice(&other.encode());
    assert_eq!(read(&disk).unwrap(), before);
    // Without the protective entry the MBR counts, as for Linux.
    disk[446..462].fill(0);
    let table = read(&disk).unwrap().unwrap();
    assert_eq!(table.scheme, Scheme::Mbr);
    assert_eq!(table.partitions[0].index, 2);
    assert_eq!(table.partitions[0].kind.to_string(), "0x17");
}

#[test]
fn a_file_system_without_partitions_is_no_table() {
    let mut boot = vec![0; 4096];
    boot[510..512].copy_from_slice(&[0x55, 0xaa]);
    assert_eq!(read(&boot).unwrap(), None);
    boot[446..450].fill(0x7f);
    assert_eq!(
        read(&boot).unwrap(),
        None,
        "boot code where the table would be"
    );
    assert_eq!(read(&[0; 4096]).unwrap(), None);
    assert_eq!(read(&[0; 100]).unwrap(), None);
}

/// A disk with an MBR whose partition 1 is extended, and whose chain is `links`: (sector, link to the next from sector 64 on).
fn disk_with_chain(links: &[(u64, u32)]) -> Vec<u8> {
    let entry = |kind, start_lba, sectors| mbr::Entry {
        bootable: false,
        kind,
        start_lba,
        sectors,
    };
    let record = |first, second| {
        let entries = [first, second, mbr::Entry::default(), mbr::Entry::default()];
        mbr::Record {
            code: [0; 440],
            disk_id: 0xabcd,
            entries,
        }
    };
    let target = MemoryTarget::new();
    target.write_all_at(&[0], (1 << 20) - 1).unwrap();
    let none = mbr::Entry::default();
    target
        .write_all_at(&record(entry(5, 64, 1000), none).encode(), 0)
        .unwrap();
    for (sector, next) in links {
        let next = if *next == 0 {
            none
        } else {
            entry(5, *next, 10)
        };
        let bytes = record(entry(0x83, 1, 2), next).encode();
        target.write_all_at(&bytes, sector * 512).unwrap();
    }
    target.into_bytes()
}

#[test]
fn logical_partitions_are_numbered_from_5_on() {
    let table = read(&disk_with_chain(&[(64, 10), (74, 20), (84, 0)]))
        .unwrap()
        .unwrap();
    assert_eq!(table.scheme, Scheme::Mbr);
    let seen: Vec<_> = table
        .partitions
        .iter()
        .map(|p| (p.index, p.start / 512))
        .collect();
    assert_eq!(seen, [(5, 65), (6, 75), (7, 85)]);
    assert_eq!(table.partitions[2].part_uuid, "0000abcd-07");
}

#[test]
fn a_chain_of_logical_partitions_that_leads_in_a_circle_is_refused() {
    let error = read(&disk_with_chain(&[(64, 10), (74, 20), (84, 10)])).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert_eq!(error.place().offset, Some(74 * 512));
}

#[test]
fn a_chain_of_logical_partitions_has_a_largest_length() {
    let links: Vec<_> = (0..300)
        .map(|n| (64 + n, u32::try_from(n).unwrap() + 1))
        .collect();
    assert_eq!(
        read(&disk_with_chain(&links)).unwrap_err().kind(),
        Kind::Limit
    );
}

#[test]
fn ref_sgdisk_and_partx_accept_what_we_make() {
    if !need("sgdisk") || !need("partx") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let disk = disk_of(&layout());
    std::fs::write(&path, &disk).unwrap();
    let path = path.to_str().unwrap();
    let verdict = run("sgdisk", &["--verify", path], "");
    assert!(verdict.contains("No problems found"), "{verdict}");
    let ours = as_partx(&read(&disk).unwrap().unwrap());
    assert!(partx(path).starts_with(ours.lines().next().unwrap()));
}

#[test]
fn ref_we_read_a_gpt_as_util_linux_does() {
    if !need("sgdisk") || !need("sfdisk") || !need("partx") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = new_disk(&folder.path().join("disk"), 64 << 20);
    let script = "label: gpt\nlabel-id: 0f0e0d0c-0b0a-0908-0706-050403020100\n\
        size=8M, type=U, name=EFI_System, attrs=RequiredPartition\n\
        size=4M, type=21686148-6449-6E6F-744E-656564454649, attrs=LegacyBIOSBootable\n\
        type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=root, attrs=GUID:59\n";
    run("sfdisk", &["--quiet", &path], script);
    run("sgdisk", &["-d", "2", &path], "");
    let table = Table::read(&DiskFile::open(&path).unwrap())
        .unwrap()
        .unwrap();
    assert_eq!(table.warnings, []);
    assert_eq!(table.disk_id, "0f0e0d0c-0b0a-0908-0706-050403020100");
    assert_eq!(table.partitions.len(), 2);
    assert_eq!(as_partx(&table), partx(&path));
}

#[test]
fn ref_file_systems_on_a_whole_disk_are_no_table() {
    if !need("mkfs.fat") || !need("mke2fs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = new_disk(&folder.path().join("disk"), 40 << 20);
    // Some have a table in their boot sector, of one partition that is themselves.
    for table in ["--mbr=no", "--mbr=yes"] {
        for (bits, sectors) in [("12", "32"), ("16", "4"), ("32", "1")] {
            run(
                "mkfs.fat",
                &["-s", sectors, "-I", table, "-F", bits, &path],
                "",
            );
            let disk = DiskFile::open(&path).unwrap();
            assert_eq!(Table::read(&disk).unwrap(), None, "FAT{bits} {table}");
        }
    }
    run("mke2fs", &["-q", "-F", "-t", "ext4", &path], "");
    assert_eq!(Table::read(&DiskFile::open(&path).unwrap()).unwrap(), None);
}

#[test]
fn ref_a_gpt_that_counts_sectors_of_4096_bytes_is_found() {
    if !need("fdisk") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = new_disk(&folder.path().join("disk"), 64 << 20);
    let commands = "g\nn\n1\n\n+8M\nt\n1\nn\n2\n\n+4M\nw\n";
    run("fdisk", &["-b", "4096", &path], commands);
    let table = Table::read(&DiskFile::open(&path).unwrap())
        .unwrap()
        .unwrap();
    assert_eq!((table.sector_size, table.warnings.len()), (4096, 0));
    let places: Vec<_> = table.partitions.iter().map(|p| (p.start, p.len)).collect();
    assert_eq!(places, [(1 << 20, 8 << 20), (9 << 20, 4 << 20)]);
    assert_eq!(table.partitions[0].kind, PartitionType::Gpt(Guid::ESP));
    assert_eq!(
        table.partitions[1].kind,
        PartitionType::Gpt(Guid::LINUX_DATA)
    );
}

#[test]
fn ref_we_read_an_mbr_as_util_linux_does() {
    if !need("sfdisk") || !need("partx") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = new_disk(&folder.path().join("disk"), 64 << 20);
    let script = "label: dos\nlabel-id: 0x1234abcd\n\
        size=8M, type=ef, bootable\n\
        size=4M, type=82\n\
        size=40M, type=5\n\
        type=83\n\
        size=5M, type=83\nsize=6M, type=8e\nsize=7M, type=83\n";
    run("sfdisk", &["--quiet", &path], script);
    let disk = DiskFile::open(&path).unwrap();
    let table = Table::read(&disk).unwrap().unwrap();
    let numbers: Vec<_> = table.partitions.iter().map(|p| p.index).collect();
    assert_eq!(numbers, [1, 2, 4, 5, 6, 7]);
    // partx lists the container too; Linux gives it two sectors, and there is nothing to read in it.
    let theirs: String = partx(&path)
        .lines()
        .filter(|l| !l.starts_with("3|"))
        .map(|l| format!("{l}\n"))
        .collect();
    assert_eq!(as_partx(&table), theirs);
    assert_eq!(disk.len(), 64 << 20);
}
