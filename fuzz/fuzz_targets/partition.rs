//! Any bytes as a disk with a partition table. Checksums are made right first, so that what lies behind them is reached.
#![no_main]

use block::ReadAt;
use block::partition::Table;
use libfuzzer_sys::fuzz_target;

/// Puts the checksums of a GPT right, for the header at `at`.
fn repair(disk: &mut [u8], at: usize) {
    let field = |disk: &[u8], offset: usize, len: usize| {
        let mut bytes = [0; 8];
        bytes[..len].copy_from_slice(disk.get(at + offset..at + offset + len)?);
        usize::try_from(u64::from_le_bytes(bytes)).ok()
    };
    let table = || {
        let start = field(disk, 72, 8)?.checked_mul(512)?;
        let len = field(disk, 80, 4)?.checked_mul(field(disk, 84, 4)?)?;
        let table = disk.get(start..start.checked_add(len)?)?;
        Some(crc32(table))
    };
    if let Some(crc) = table() {
        disk[at + 88..at + 92].copy_from_slice(&crc.to_le_bytes());
    }
    let Some(len) = field(disk, 12, 4).filter(|len| *len <= 512) else {
        return;
    };
    if disk.len() >= at + 512 {
        disk[at + 16..at + 20].fill(0);
        let crc = crc32(&disk[at..at + len]);
        disk[at + 16..at + 20].copy_from_slice(&crc.to_le_bytes());
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

fn check(disk: &Vec<u8>) {
    let Ok(Some(table)) = Table::read(disk) else {
        return;
    };
    for partition in &table.partitions {
        assert!(partition.start + partition.len <= ReadAt::len(disk));
        let _ = partition.open(std::sync::Arc::new(disk.clone())).expect("inside");
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut disk = bytes.to_vec();
    check(&disk);
    if disk.len() >= 1024 {
        repair(&mut disk, 512);
        let last = disk.len() / 512 * 512 - 512;
        repair(&mut disk, last);
        check(&disk);
    }
});
