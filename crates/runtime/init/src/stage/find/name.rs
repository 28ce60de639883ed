//! Whether a device is what a command line names: by what its file system says of itself, by its place in a partition table, by its own
//! name or one that udev would make.

use contract::label;
use contract::request::Root;

use super::{BLOCK, by_id, disk_of, node, number};
use crate::probe::{Identity, partition};
use crate::stage::Boot;

/// Whether `root` names this device.
pub(super) fn is_named(boot: &Boot<'_>, root: &Root, name: &str, identity: &Identity) -> bool {
    match root {
        Root::Device(wanted) => *wanted == name.replace('!', "/"),
        Root::Id(wanted) => by_id::names(boot, name).contains(wanted),
        Root::PartLabel(wanted) => partition_of(boot, name)
            .is_some_and(|partition| label::matches(wanted, &partition.name)),
        Root::PartUuid(wanted) => partition_of(boot, name)
            .is_some_and(|partition| wanted.eq_ignore_ascii_case(&partition.uuid)),
        _ => by_file_system(root, identity),
    }
}

/// Whether a file system is what `root` names by a label or a UUID.
pub(super) fn by_file_system(root: &Root, identity: &Identity) -> bool {
    match root {
        Root::Label(wanted) => identity.labels.iter().any(|l| label::matches(wanted, l)),
        Root::Uuid(wanted)
        | Root::WithFile {
            uuid: Some(wanted), ..
        } => !identity.uuid.is_empty() && wanted.eq_ignore_ascii_case(&identity.uuid),
        _ => false,
    }
}

/// What the table of its disk says of a partition.
fn partition_of(boot: &Boot<'_>, name: &str) -> Option<partition::Partition> {
    let part = number(boot, &format!("{BLOCK}/{name}/partition"))?;
    let disk = disk_of(boot, name)?;
    let sector = number(boot, &format!("{BLOCK}/{disk}/queue/logical_block_size"));
    let device = boot.system.open(&node(&disk)).ok()?;
    let part = u32::try_from(part).ok()?;
    partition::identify(&*device, sector.unwrap_or(512), part).ok()?
}
