//! Images that were not closed: what their log holds is read as QEMU reads it after it has replayed the log.

use block::Kind;
use block::ReadAt as _;

use crate::disk::{Bench, assert_reads_as, open, read_all};
use crate::image::{
    BAT, HEADERS, KIB, MIB, change_headers, from_bytes, put, region, sample, seal, u32_at, u64_at,
};
use crate::support::{need, run};

const GUID: [u8; 16] = [0x42; 16];
const SECTOR: usize = 4096;

/// What a log entry does to the file.
#[derive(Clone)]
enum Change {
    Zeros { offset: usize, len: usize },
    Sector { offset: usize, bytes: Vec<u8> },
}

/// A log entry that is being written.
#[derive(Clone)]
struct Entry {
    sequence: u64,
    guid: [u8; 16],
    /// Where it is in the log; may be past its end, for the next round.
    position: usize,
    tail: usize,
    changes: Vec<Change>,
    file_len: [usize; 2],
}

impl Entry {
    fn bytes(&self, log_len: usize) -> Vec<u8> {
        let before_data = (64 + 32 * self.changes.len()).next_multiple_of(SECTOR);
        let mut bytes = vec![0; before_data];
        put(&mut bytes, 0, b"loge");
        put(
            &mut bytes,
            12,
            &((self.tail % log_len) as u32).to_le_bytes(),
        );
        put(&mut bytes, 16, &self.sequence.to_le_bytes());
        put(&mut bytes, 24, &(self.changes.len() as u32).to_le_bytes());
        put(&mut bytes, 32, &self.guid);
        put(&mut bytes, 48, &(self.file_len[0] as u64).to_le_bytes());
        put(&mut bytes, 56, &(self.file_len[1] as u64).to_le_bytes());
        for (index, change) in self.changes.iter().enumerate() {
            let at = 64 + 32 * index;
            put(&mut bytes, at + 24, &self.sequence.to_le_bytes());
            match change {
                Change::Zeros { offset, len } => {
                    put(&mut bytes, at, b"zero");
                    put(&mut bytes, at + 8, &(*len as u64).to_le_bytes());
                    put(&mut bytes, at + 16, &(*offset as u64).to_le_bytes());
                }
                Change::Sector {
                    offset,
                    bytes: sector,
                } => {
                    put(&mut bytes, at, b"desc");
                    put(&mut bytes, at + 4, &sector[SECTOR - 4..]);
                    put(&mut bytes, at + 8, &sector[..8]);
                    put(&mut bytes, at + 16, &(*offset as u64).to_le_bytes());
                    let start = bytes.len();
                    bytes.extend(sector);
                    let sequence = self.sequence.to_le_bytes();
                    put(&mut bytes, start, b"data");
                    put(&mut bytes, start + 4, &sequence[4..]);
                    put(&mut bytes, start + SECTOR - 4, &sequence[..4]);
                }
            }
        }
        let len = bytes.len() as u32;
        put(&mut bytes, 8, &len.to_le_bytes());
        seal(&mut bytes);
        bytes
    }

    /// Where the next entry may be.
    fn end(&self) -> usize {
        self.position + self.bytes(MIB).len()
    }
}

/// A closed image with a log to be.
struct Sample {
    bench: Bench,
    bytes: Vec<u8>,
    log: usize,
    log_len: usize,
    bat: usize,
}

impl Sample {
    fn new() -> Option<Self> {
        if !need("qemu-img") {
            return None;
        }
        let bench = Bench::new(4 * MIB);
        let bytes = sample(&bench, "block_size=1M,subformat=fixed");
        Some(Self {
            log: u64_at(&bytes, HEADERS[0] + 72) as usize,
            log_len: u32_at(&bytes, HEADERS[0] + 68) as usize,
            bat: region(&bytes, BAT),
            bytes,
            bench,
        })
    }

    fn entry(&self, sequence: u64, position: usize, tail: usize, changes: &[Change]) -> Entry {
        Entry {
            sequence,
            guid: GUID,
            position,
            tail,
            changes: changes.to_vec(),
            file_len: [self.bytes.len(); 2],
        }
    }

    /// Where block `index` of the disk is in the file.
    fn block(&self, index: usize) -> usize {
        u64_at(&self.bytes, self.bat + index * 8) as usize & !(MIB - 1)
    }

    /// The first sector of the table with some entries replaced.
    fn table(&self, entries: &[(usize, u64)]) -> Change {
        let mut bytes = self.bytes[self.bat..self.bat + SECTOR].to_vec();
        for (index, value) in entries {
            put(&mut bytes, index * 8, &value.to_le_bytes());
        }
        Change::Sector {
            offset: self.bat,
            bytes,
        }
    }

    /// The image with these entries in its log.
    fn dirty(&self, entries: &[Entry]) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        change_headers(&mut bytes, |header| put(header, 48, &GUID));
        for entry in entries {
            for (index, byte) in entry.bytes(self.log_len).into_iter().enumerate() {
                bytes[self.log + (entry.position + index) % self.log_len] = byte;
            }
        }
        bytes
    }

    /// The image as it is once these entries were replayed, by hand.
    fn replayed(&self, entries: &[Entry]) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for change in entries.iter().flat_map(|entry| &entry.changes) {
            match change {
                Change::Zeros { offset, len } => bytes[*offset..offset + len].fill(0),
                Change::Sector {
                    offset,
                    bytes: sector,
                } => put(&mut bytes, *offset, sector),
            }
        }
        bytes
    }

    /// Holds that the image reads as `qemu-img` reads it after it was replayed by hand.
    fn check_by_hand(&self, what: &str, entries: &[Entry]) {
        let image = from_bytes(&self.dirty(entries)).unwrap();
        let path = self.bench.path("replayed");
        std::fs::write(&path, self.replayed(entries)).unwrap();
        let expected = self.bench.expected(&path, "vhdx");
        assert!(expected != self.bench.disk, "{what}: nothing to see");
        assert_reads_as(&image, &expected, what);
    }

    /// Holds that the image reads as it does for QEMU once the log is replayed, and that it was not written to.
    fn check(&self, what: &str, entries: &[Entry]) {
        let bytes = self.dirty(entries);
        let path = self.bench.path("dirty");
        std::fs::write(&path, &bytes).unwrap();
        let image = open(&path).unwrap();
        let copy = self.bench.path("copy");
        std::fs::write(&copy, &bytes).unwrap();
        run(
            "qemu-img",
            &["check", "-q", "-f", "vhdx", "-r", "all", &copy],
            "",
        );
        let expected = self.bench.expected(&copy, "vhdx");
        assert!(expected != self.bench.disk, "{what}: nothing to see");
        assert_reads_as(&image, &expected, what);
        assert!(std::fs::read(&path).unwrap() == bytes, "{what}: written to");
    }
}

fn noise(seed: u8) -> Vec<u8> {
    let noise = |at: usize| (at * 7) as u8 ^ (at >> 8) as u8 ^ seed;
    (0..SECTOR).map(noise).collect()
}

#[test]
fn ref_every_change_of_a_log_is_seen() {
    let Some(sample) = Sample::new() else {
        return;
    };
    let (first, third) = (sample.block(0), sample.block(2));
    let zeros = |offset, len| Change::Zeros { offset, len };
    let sector = |offset, seed| Change::Sector {
        offset,
        bytes: noise(seed),
    };
    let swapped = sample.table(&[(0, third as u64 | 6), (2, first as u64 | 6), (1, 2)]);
    let cases = [
        ("a sector", vec![sector(first + 8 * SECTOR, 1)]),
        ("zeros", vec![zeros(first + SECTOR, 40 * SECTOR)]),
        (
            "sectors in zeros",
            vec![
                zeros(first, 256 * SECTOR),
                sector(first + 3 * SECTOR, 1),
                sector(first + 255 * SECTOR, 2),
            ],
        ),
        (
            "zeros in zeros and over sectors",
            vec![
                sector(first + 5 * SECTOR, 1),
                sector(first + 6 * SECTOR, 1),
                zeros(first + 2 * SECTOR, 4 * SECTOR),
                zeros(first + SECTOR, 2 * SECTOR),
                sector(first + 4 * SECTOR, 3),
                zeros(first + 3 * SECTOR, 9 * SECTOR),
                sector(first + 3 * SECTOR, 4),
            ],
        ),
        ("other places of blocks", vec![swapped]),
    ];
    for (what, changes) in cases {
        let entry = sample.entry(7, 0, 0, &changes);
        sample.check(what, std::slice::from_ref(&entry));
        sample.check_by_hand(what, &[entry]);
    }
    // QEMU 7.2 reads no second sector of descriptors, and refuses to open the image.
    for count in [126, 127, 200, 254] {
        let changes = (0..count).map(|at| sector(third + at * SECTOR, at as u8));
        let entry = sample.entry(7, 0, 0, &changes.collect::<Vec<_>>());
        sample.check_by_hand("sectors of descriptors", &[entry]);
    }
}

#[test]
fn ref_entries_that_wrap_around_the_log_are_replayed_in_their_order() {
    let Some(sample) = Sample::new() else {
        return;
    };
    let first = sample.block(0);
    let change = |at: usize, seed| Change::Sector {
        offset: first + at * SECTOR,
        bytes: noise(seed),
    };
    for back in [1, 2, 3, 5, 7] {
        let start = sample.log_len - back * SECTOR;
        let mut entries: Vec<Entry> = Vec::new();
        for number in 0..5 {
            let position = entries.last().map_or(start, Entry::end);
            let changes = [change(0, number), change(1 + usize::from(number), number)];
            entries.push(sample.entry(100 + u64::from(number), position, start, &changes));
        }
        // QEMU 7.2 forgets the entries before the end of the log.
        sample.check_by_hand(&format!("{back} sectors before the end"), &entries);
    }
}

#[test]
fn ref_a_torn_entry_and_those_of_another_time_count_for_nothing() {
    let Some(sample) = Sample::new() else {
        return;
    };
    let first = sample.block(0);
    let change = |at: usize, seed| {
        [Change::Sector {
            offset: first + at * SECTOR,
            bytes: noise(seed),
        }]
    };
    let good = sample.entry(20, 0, 0, &change(0, 1));
    let last = sample.entry(21, good.end(), 0, &change(1, 2));
    let both = [good.clone(), last.clone()];
    sample.check("both whole", &both);

    let stale = Entry {
        guid: [0x43; 16],
        ..sample.entry(22, last.end(), 0, &change(2, 3))
    };
    let gap = sample.entry(24, last.end(), 0, &change(2, 3));
    let older = sample.entry(3, 64 * SECTOR, 64 * SECTOR, &change(2, 3));
    for (what, entry) in [
        ("another GUID", stale),
        ("a gap", gap),
        ("an older row", older),
    ] {
        // A row of the gap alone does not reach back to its tail.
        sample.check(what, &[&both[..], &[entry]].concat());
    }

    // A row that is newer, and one whose start was written over.
    let newer = sample.entry(50, 64 * SECTOR, 64 * SECTOR, &change(3, 4));
    sample.check("a newer row", &[&both[..], &[newer]].concat());
    let torn = sample.entry(22, last.end(), 0, &change(2, 3));
    let dirty = sample.dirty(&[&both[..], std::slice::from_ref(&torn)].concat());
    let whole = read_all(&from_bytes(&dirty).unwrap()).unwrap();
    let before = read_all(&from_bytes(&sample.dirty(&both)).unwrap()).unwrap();
    assert!(whole != before);
    let place = sample.log + torn.position;
    for at in (0..72).chain([88, 95, SECTOR, SECTOR + 5, SECTOR + 9, 2 * SECTOR - 1]) {
        let mut bytes = dirty.clone();
        bytes[place + at] ^= 4;
        let disk = read_all(&from_bytes(&bytes).unwrap()).unwrap();
        assert!(disk == before, "byte {at} of the last entry");
    }
}

#[test]
fn ref_only_what_is_not_in_the_file_yet_is_replayed() {
    let Some(sample) = Sample::new() else {
        return;
    };
    let first = sample.block(0);
    let change = |at: usize, seed| {
        [Change::Sector {
            offset: first + at * SECTOR,
            bytes: noise(seed),
        }]
    };
    let done = sample.entry(5, 0, 0, &change(0, 1));
    let next = sample.entry(6, done.end(), done.end(), &change(1, 2));
    let disk = read_all(&from_bytes(&sample.dirty(&[done, next])).unwrap()).unwrap();
    let mut expected = sample.bench.disk.clone();
    put(&mut expected, SECTOR, &noise(2));
    assert!(disk == expected);
}

#[test]
fn ref_a_log_makes_the_file_longer() {
    let Some(sample) = Sample::new() else {
        return;
    };
    let end = sample.bytes.len().next_multiple_of(MIB);
    let table = sample.table(&[(1, end as u64 | 6)]);
    let sector = Change::Sector {
        offset: end + 9 * SECTOR,
        bytes: noise(9),
    };
    let mut entry = sample.entry(5, 0, 0, &[table, sector]);
    // QEMU 7.2 leaves the file as it is where this is a multiple of 1 MiB.
    entry.file_len[1] = end + MIB - SECTOR;
    sample.check("longer", &[entry]);
}

#[test]
fn ref_a_file_that_is_shorter_than_its_log_says_is_an_error() {
    let Some(sample) = Sample::new() else {
        return;
    };
    let change = [Change::Zeros {
        offset: sample.block(0),
        len: SECTOR,
    }];
    let mut entry = sample.entry(5, 0, 0, &change);
    entry.file_len = [sample.bytes.len() + 1; 2];
    let error = from_bytes(&sample.dirty(&[entry])).unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.to_string().contains("log"), "{error}");
}

#[test]
fn ref_a_log_without_a_whole_entry_leaves_the_file_as_it_is() {
    let Some(sample) = Sample::new() else {
        return;
    };
    let disk = read_all(&from_bytes(&sample.dirty(&[])).unwrap()).unwrap();
    assert!(disk == sample.bench.disk);
}

#[test]
fn ref_logs_that_cannot_be_are_refused() {
    let Some(sample) = Sample::new() else {
        return;
    };
    let dirty = sample.dirty(&[]);
    for (at, value, kind) in [
        (72, 1_u64 << 50, Kind::Corrupt),
        (72, MIB as u64 + 4096, Kind::Corrupt),
        (72, 0, Kind::Corrupt),
        (68, 65 << 20, Kind::Limit),
        (68, 4096, Kind::Corrupt),
    ] {
        let mut bytes = dirty.clone();
        change_headers(&mut bytes, |header| {
            let len = if at == 72 { 8 } else { 4 };
            put(header, at, &value.to_le_bytes()[..len]);
        });
        let error = from_bytes(&bytes).unwrap_err();
        assert_eq!(error.kind(), kind, "{at} {value}: {error}");
    }
    // Entries that lie in each other: each says that it is nearly as long as the log, and none is whole.
    for less in [0, 100] {
        let mut bytes = dirty.clone();
        for at in (0..sample.log_len).step_by(SECTOR) {
            let mut entry = sample.entry(5, at, at, &[]).bytes(sample.log_len);
            let len = sample.log_len - less * SECTOR;
            put(&mut entry, 8, &(len as u32).to_le_bytes());
            put(&mut bytes, sample.log + at, &entry);
        }
        let error = from_bytes(&bytes).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt);
        let text = error.to_string();
        assert!(text.contains("lie in each other"), "{text}");
    }
}

#[test]
fn ref_the_table_may_be_only_in_the_log() {
    let Some(sample) = Sample::new() else {
        return;
    };
    // Its place in the file is damaged, as where writing it was broken off.
    let mut sample = sample;
    let table = sample.table(&[]);
    let bat = sample.bat;
    let entry = sample.entry(
        5,
        0,
        0,
        &[
            table,
            Change::Zeros {
                offset: sample.block(3),
                len: KIB * 4,
            },
        ],
    );
    put(&mut sample.bytes, bat, &[0xff; 512]);
    let dirty = sample.dirty(&[entry]);
    let mut expected = sample.bench.disk.clone();
    put(&mut expected, 3 * MIB, &[0; 4096]);
    let image = from_bytes(&dirty).unwrap();
    assert_eq!(image.len(), expected.len() as u64);
    assert!(read_all(&image).unwrap() == expected);
    assert!(read_all(&from_bytes(&sample.bytes).unwrap()).is_err());
}
