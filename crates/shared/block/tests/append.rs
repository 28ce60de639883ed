//! A partition that is added to a table: whole after each write, as the reference tools read it, and on damaged tables.
#![expect(clippy::unwrap_used, reason = "in a test, a failure is a panic")]

mod support;

use block::partition::{
    Addition, Guid, PartitionType, Scheme, Table, Warning, Wish, append, gpt, mbr, repair,
};
use block::{Kind, ReadAt, Result};
use support::{need, run};

const MIB: u64 = 1 << 20;

/// A disk in memory.
#[derive(Clone, Debug)]
struct Disk(Vec<u8>);

impl ReadAt for Disk {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = from.saturating_add(buf.len());
        let bytes = self.0.get(from..end);
        buf.copy_from_slice(bytes.ok_or_else(|| block::Error::corrupt("disk", "it ends"))?);
        Ok(())
    }
}

impl Disk {
    fn put(&mut self, offset: u64, bytes: &[u8]) {
        let from = offset as usize;
        self.0[from..from + bytes.len()].copy_from_slice(bytes);
    }

    /// What is there after the first `count` sectors of all writes.
    fn after(&self, addition: &Addition, count: usize) -> Self {
        let mut disk = self.clone();
        let sectors = addition.writes.iter().flat_map(|write| {
            let pieces = write.bytes.chunks(512).enumerate();
            pieces.map(|(n, piece)| (write.offset + 512 * n as u64, piece))
        });
        for (offset, piece) in sectors.take(count) {
            disk.put(offset, piece);
        }
        disk
    }
}

fn wish() -> Wish {
    Wish {
        min_len: MIB,
        used_until: 0,
        guid: Guid::from_digest([9; 16]),
        name: "cow".to_owned(),
    }
}

/// A stick of `len` bytes with media of 4 MiB on it: a GPT whose backup is at the end of these, and a second, active MBR entry.
fn gpt_stick(sector_size: u64, len: u64, entries_lba: u64) -> Disk {
    let total_sectors = 4 * MIB / sector_size;
    let partition = |number: u8, first_lba, last_lba| gpt::Partition {
        type_guid: Guid::BASIC_DATA,
        guid: Guid::from_digest([number; 16]),
        first_lba,
        last_lba,
        attributes: 1 << 60,
        name: format!("p{number}"),
    };
    let encoded = gpt::encode(&gpt::Layout {
        disk_guid: Guid::from_digest([7; 16]),
        partitions: vec![partition(1, 64, 399), partition(2, 400, 599)],
        total_sectors,
        sector_size,
        entries_lba,
    })
    .unwrap();
    let mut disk = Disk(vec![0; len as usize]);
    for extent in encoded.primary.iter().chain(&encoded.backup) {
        disk.put(extent.lba * sector_size, &extent.bytes);
    }
    let mut entries = [mbr::Entry::default(); 4];
    entries[0] = mbr::Entry::protective(total_sectors);
    entries[1] = mbr::Entry {
        bootable: true,
        kind: 0,
        start_lba: 0,
        sectors: 1,
    };
    let record = mbr::Record {
        code: [0x90; 440],
        disk_id: 5,
        entries,
    };
    disk.put(0, &record.encode());
    disk
}

fn mbr_stick(len: u64, used: usize) -> Disk {
    let mut entries = [mbr::Entry::default(); 4];
    for (number, entry) in (0..).zip(entries.iter_mut().take(used)) {
        *entry = mbr::Entry {
            bootable: number == 0,
            kind: 0x17,
            start_lba: 64 + 100 * number,
            sectors: 100,
        };
    }
    let record = mbr::Record {
        code: [0x90; 440],
        disk_id: 0x1234_5678,
        entries,
    };
    let mut disk = Disk(vec![0; len as usize]);
    disk.put(0, &record.encode());
    disk
}

#[test]
fn the_new_partition_has_all_that_is_free_and_the_others_stay() {
    for (sector_size, entries_lba) in [(512, 2), (512, 8), (4096, 2)] {
        let disk = gpt_stick(sector_size, 64 * MIB, entries_lba);
        let old = Table::read(&disk).unwrap().unwrap();
        let added = append(&disk, sector_size, &wish()).unwrap().unwrap();
        assert_eq!(
            (added.index, added.start, added.len),
            (3, 4 * MIB, 59 * MIB)
        );
        let before = disk.clone();
        let disk = disk.after(&added, usize::MAX);
        let new = Table::read(&disk).unwrap().unwrap();
        assert_eq!(new.warnings, []);
        assert_eq!(new.disk_id, old.disk_id);
        assert_eq!(new.partitions[..2], old.partitions[..]);
        let third = &new.partitions[2];
        assert_eq!(
            (third.index, third.start, third.len),
            (3, added.start, added.len)
        );
        assert_eq!(third.kind, PartitionType::Gpt(Guid::LINUX_DATA));
        assert_eq!(third.label, "cow");
        // The boot code and the second entry are what they were; the protective entry has the new size.
        assert_eq!(
            disk.0[..446],
            [[0x90; 440].as_slice(), &[5, 0, 0, 0, 0, 0]].concat()
        );
        assert_eq!(disk.0[462..478], before.0[462..478]);
        let sectors = u32::try_from(64 * MIB / sector_size - 1).unwrap();
        assert_eq!(disk.0[458..462], sectors.to_le_bytes());
        // Nothing more is free.
        assert_eq!(append(&disk, sector_size, &wish()).unwrap(), None);
    }
}

#[test]
fn after_each_sector_that_is_written_the_disk_has_the_old_partitions_or_the_new_ones() {
    for (sector_size, disk) in [
        (512, gpt_stick(512, 16 * MIB, 2)),
        (4096, gpt_stick(4096, 16 * MIB, 2)),
        (512, mbr_stick(16 * MIB, 2)),
    ] {
        let old = Table::read(&disk).unwrap().unwrap();
        let added = append(&disk, sector_size, &wish()).unwrap().unwrap();
        let all = added.writes.iter().map(|w| w.bytes.len() / 512).sum();
        let new = Table::read(&disk.after(&added, all)).unwrap().unwrap();
        assert_eq!(new.partitions.len(), 3);
        let mut repaired = 0;
        for count in 0..=all {
            let mut cut = disk.after(&added, count);
            let table = Table::read(&cut).unwrap().unwrap();
            let is_new = table.partitions == new.partitions;
            assert!(
                is_new || table.partitions == old.partitions,
                "after {count}"
            );
            let writes = repair(&cut, sector_size).unwrap();
            repaired += usize::from(!writes.is_empty());
            for write in writes {
                cut.put(write.offset, &write.bytes);
            }
            let damaged = |w: &Warning| matches!(w, Warning::PrimaryDamaged { .. });
            let again = Table::read(&cut).unwrap().unwrap();
            assert!(!again.warnings.iter().any(damaged), "after {count}");
            assert_eq!(again.partitions, table.partitions, "after {count}");
            // Either it is there now, or it can be added now.
            if !is_new {
                let added = append(&cut, sector_size, &wish()).unwrap().unwrap();
                let table = Table::read(&cut.after(&added, usize::MAX))
                    .unwrap()
                    .unwrap();
                assert_eq!(table.partitions, new.partitions, "after {count}");
            }
        }
        assert_eq!(repaired > 0, new.scheme == Scheme::Gpt);
    }
}

#[test]
fn an_mbr_has_four_entries_and_no_more() {
    for used in 1..4 {
        let disk = mbr_stick(16 * MIB, used);
        let added = append(&disk, 512, &wish()).unwrap().unwrap();
        assert_eq!(added.index as usize, used + 1);
        assert_eq!((added.start, added.len), (MIB, 15 * MIB));
        let disk = disk.after(&added, usize::MAX);
        let table = Table::read(&disk).unwrap().unwrap();
        assert_eq!(
            table.partitions[used].kind,
            PartitionType::Mbr(mbr::TYPE_LINUX)
        );
        assert_eq!(
            table.partitions[used].part_uuid,
            format!("12345678-0{}", used + 1)
        );
    }
    let full = append(&mbr_stick(16 * MIB, 4), 512, &wish());
    assert_eq!(full.unwrap_err().kind(), Kind::Limit);
}

#[test]
fn what_is_in_use_and_what_is_too_little_is_left_alone() {
    let disk = gpt_stick(512, 16 * MIB, 2);
    let try_with = |used_until, min_len| {
        let wish = Wish {
            used_until,
            min_len,
            ..wish()
        };
        let added = append(&disk, 512, &wish).unwrap();
        added.map(|added| (added.start / MIB, added.len / MIB))
    };
    assert_eq!(try_with(0, 11 * MIB), Some((4, 11)));
    assert_eq!(try_with(0, 11 * MIB + 1), None);
    assert_eq!(try_with(9 * MIB + 1, 0), Some((10, 5)));
    assert_eq!(try_with(15 * MIB, 0), None);
    assert_eq!(try_with(u64::MAX, 0), None);
    // The media fill the stick.
    let media = Wish {
        used_until: 4 * MIB,
        ..wish()
    };
    let added = append(&gpt_stick(512, 4 * MIB, 2), 512, &media).unwrap();
    assert!(added.is_none());
}

#[test]
fn a_table_that_linux_does_not_see_is_not_added_to() {
    let kind = |disk: &Disk, size| append(disk, size, &wish()).unwrap_err().kind();
    assert_eq!(kind(&Disk(vec![0; 1 << 20]), 512), Kind::Unsupported);
    assert_eq!(kind(&gpt_stick(512, 8 * MIB, 2), 4096), Kind::Unsupported);
    assert_eq!(kind(&mbr_stick(8 * MIB, 1), 4096), Kind::Unsupported);
    let mut unprotected = gpt_stick(512, 8 * MIB, 2);
    unprotected.put(446, &[0; 32]);
    assert_eq!(kind(&unprotected, 512), Kind::Unsupported);
}

#[test]
fn damaged_tables_give_an_answer_and_nothing_is_written_over_a_partition() {
    let whole = gpt_stick(512, 8 * MIB, 2);
    let places = (440..512).chain(512..604).chain(1024..1024 + 3 * 128);
    for at in places {
        for bit in [0x01, 0x80, 0xff] {
            let mut disk = whole.clone();
            disk.0[at] ^= bit;
            let _ = repair(&disk, 512);
            if let Ok(Some(added)) = append(&disk, 512, &wish()) {
                assert!(added.start >= 4 * MIB, "byte {at}");
            }
        }
    }
    for len in [0, 511, 512, 1024, 4096, 100_000] {
        let mut disk = whole.clone();
        disk.0.truncate(len);
        let _ = repair(&disk, 512);
        let _ = append(&disk, 512, &wish());
    }
}

#[test]
fn ref_sgdisk_and_sfdisk_find_nothing_to_complain_of() {
    if !need("sgdisk") || !need("sfdisk") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let path = path.to_str().unwrap();
    for disk in [gpt_stick(512, 64 * MIB, 2), mbr_stick(64 * MIB, 2)] {
        let added = append(&disk, 512, &wish()).unwrap().unwrap();
        std::fs::write(path, disk.after(&added, usize::MAX).0).unwrap();
        if Table::read(&disk).unwrap().unwrap().scheme == Scheme::Gpt {
            let said = run("sgdisk", &["-v", path], "");
            assert!(said.contains("No problems found"), "{said}");
        }
        let said = run("sfdisk", &["--verify", path], "");
        assert!(!said.to_lowercase().contains("overlap"), "{said}");
        assert!(run("sfdisk", &["--dump", path], "").contains(&format!("{path}3")));
    }
}
