//! The names below `/dev/disk/by-id` that udev would give a device, as far as the kernel says what they are made of.
//!
//! Source: systemd 252, `rules.d/60-persistent-storage.rules` and `udev-builtin-usb_id.c`. Names that begin with `ata-` or `scsi-` are made
//! of what the drive answers to commands of its own, and are not known here.

use super::{BLOCK, disk_of, number};
use crate::stage::Boot;

/// The longest attribute that is read, in bytes.
const ATTRIBUTE: usize = 4096;

/// The names of the device `name`.
pub(super) fn names(boot: &Boot<'_>, name: &str) -> Vec<String> {
    let part = number(boot, &format!("{BLOCK}/{name}/partition"));
    let disk = match part {
        Some(_) => disk_of(boot, name).unwrap_or_else(|| name.to_owned()),
        None => name.to_owned(),
    };
    let mut names = of_disk(boot, &disk);
    if let Some(part) = part {
        for name in &mut names {
            name.push_str(&format!("-part{part}"));
        }
    }
    names
}

fn of_disk(boot: &Boot<'_>, disk: &str) -> Vec<String> {
    let text = |attribute: &str| {
        let path = format!("{BLOCK}/{disk}/{attribute}");
        let bytes = boot.system.read(&path, ATTRIBUTE).ok()?;
        let text = words(&String::from_utf8_lossy(&bytes));
        (!text.is_empty()).then_some(text)
    };
    let mut names = Vec::new();
    if let Some(serial) = text("serial") {
        names.push(format!("virtio-{serial}"));
    }
    // An NVMe disk has its number in the names that newer versions of udev give.
    if let Some((model, serial)) = text("device/model").zip(text("device/serial")) {
        names.push(format!("nvme-{model}_{serial}"));
        if let Some(space) = text("nsid") {
            names.push(format!("nvme-{model}_{serial}_{space}"));
        }
    }
    if let Some(wwid) = text("wwid") {
        names.push(format!("nvme-{wwid}"));
    }
    if let Some((name, serial)) = text("device/name").zip(text("device/serial")) {
        names.push(format!("mmc-{name}_{serial}"));
    }
    if let Some(wwid) = text("device/wwid")
        && let Some(number) = wwid.strip_prefix("naa.")
    {
        names.push(format!("wwn-0x{number}"));
    }
    names.extend(of_usb(boot, disk, text));
    names
}

/// A disk on USB is a SCSI device below a host below the interface of a USB device.
fn of_usb(boot: &Boot<'_>, disk: &str, text: impl Fn(&str) -> Option<String>) -> Option<String> {
    let (vendor, model) = text("device/vendor").zip(text("device/model"))?;
    text("device/../../../bInterfaceClass")?;
    let path = format!("{BLOCK}/{disk}/device/scsi_device");
    let address = boot.system.list(&path).ok()?.into_iter().next()?;
    let mut fields = address.split(':').skip(2);
    let (target, unit) = (fields.next()?, fields.next()?);
    let serial = text("device/../../../../serial").map_or_else(String::new, |s| format!("_{s}"));
    Some(format!("usb-{vendor}_{model}{serial}-{target}:{unit}"))
}

/// The text as udev takes it into a name: without spaces at its ends, one `_` for those between, and for what else may not be in a name.
fn words(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "#+-.:=@_".contains(c) || !c.is_ascii();
    let joined = words.join("_");
    joined
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect()
}
