//! The checksums of isomd5sum and checkmedia.

use contract::failure::MEDIUM_UNREADABLE;
use mediacheck::{Check, DESCRIPTOR_AT, DESCRIPTOR_LEN, Implanted, Mismatch, Passed};

use super::super::OrStop as _;
use super::{Boot, CHECKSUMS_DAMAGED, Ended, Failure, MEDIUM_DAMAGED, Whole};

/// How much is read at once, in bytes.
const PIECE: usize = 1 << 20;
/// Where the kernel shows a disk's partitions.
const BLOCK: &str = "/sys/class/block";
/// The longest number that is read of a partition, in bytes.
const ATTRIBUTE: usize = 64;

/// The strongest checksum of the medium; `None` where it has none.
pub(super) fn read(whole: &Whole) -> Result<Option<Check>, Failure> {
    let mut descriptor = [0; DESCRIPTOR_LEN];
    if whole.device.len() < DESCRIPTOR_AT.saturating_add(2048) {
        return Ok(None);
    }
    whole
        .device
        .read_at(&mut descriptor, DESCRIPTOR_AT)
        .or_stop(MEDIUM_UNREADABLE, &whole.path)?;
    let implanted = Implanted::read(&descriptor).map_err(|error| {
        let cause = format!("{}: {error}", whole.path);
        Failure::new(CHECKSUMS_DAMAGED, cause)
    })?;
    Ok(implanted.and_then(|implanted| Check::all(&implanted).into_iter().next()))
}

/// Compares the medium with it.
pub(super) fn compare(
    boot: &mut Boot<'_>,
    whole: &Whole,
    mut check: Check,
) -> Result<Ended, Failure> {
    let (name, style) = (check.algorithm().name(), check.style());
    let damaged = |mismatch: Mismatch| {
        let cause = format!(
            "{}: of the bytes from {} to {} at least one is not what was written ({style}, {name})",
            whole.path, mismatch.within.start, mismatch.within.end
        );
        Failure::new(MEDIUM_DAMAGED, cause)
    };
    let len = check.len();
    let ended = whole.read(boot, (len, PIECE), &mut |bytes, _| {
        check.update(bytes).map_err(damaged)
    })?;
    if ended == Ended::Skipped {
        return Ok(ended);
    }
    match check.finish().map_err(damaged)? {
        Passed::Whole => {}
        Passed::PartitionOnly if has_later_partition(boot, whole, len) => boot.warn(
            "a partition was added to the medium: of its first sectors nothing is known, the live system's partition is what was built",
        ),
        Passed::PartitionOnly => return Err(damaged(Mismatch { within: 0..len })),
    }
    Ok(Ended::Good)
}

/// Whether the disk has a partition behind the medium, which nobody adds without a change of the partition table.
fn has_later_partition(boot: &Boot<'_>, whole: &Whole, len: u64) -> bool {
    let disk = format!("{BLOCK}/{}", whole.name);
    let names = boot.system.list(&disk).unwrap_or_default();
    names.iter().any(|name| {
        let start = boot.system.read(&format!("{disk}/{name}/start"), ATTRIBUTE);
        let start = start.ok().and_then(|text| String::from_utf8(text).ok());
        let sector: Option<u64> = start.and_then(|text| text.trim().parse().ok());
        sector.is_some_and(|sector| sector.saturating_mul(512) >= len)
    })
}
