//! The report for people.

use std::fmt::Write as _;

use inspect::{EfiBinary, Facts};

use super::{IsoReport, Report, VolumeReport};

/// The report as lines of text.
pub(crate) fn render(report: &Report) -> String {
    let mut text = Text::default();
    let extent = match report.names {
        Some(names) => format!("{names} files and folders"),
        None => size(report.len),
    };
    text.line(&format!("{}: {}, {extent}", report.path, report.format));
    if let Some(table) = &report.table {
        text.line(&format!(
            "partition table: {}, {}",
            table.scheme, table.disk_id
        ));
    }
    for volume in &report.volumes {
        render_volume(&mut text, volume);
    }
    if let Some(iso) = &report.iso {
        render_iso(&mut text, iso);
    }
    if let Some(facts) = &report.system {
        render_system(&mut text, facts);
    }
    for warning in &report.warnings {
        text.line(&format!("warning: {warning}"));
    }
    text.0
}

/// Lines of text.
#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn field(&mut self, name: &str, value: &str) {
        // OK: writing to a string cannot fail.
        let _ = writeln!(self.0, "  {name:<14} {value}");
    }
}

/// A length in the largest unit of which there is at least one.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (1 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, (bytes % unit) * 10 / unit),
        None => format!("{bytes} bytes"),
    }
}

fn render_volume(text: &mut Text, volume: &VolumeReport) {
    let name = match volume.index {
        0 => "whole disk".to_owned(),
        index => format!("partition {index}"),
    };
    let mut what = volume
        .file_system
        .unwrap_or("no known file system")
        .to_owned();
    if !volume.label.is_empty() {
        let _ = write!(what, " \"{}\"", volume.label);
    }
    if !volume.uuid.is_empty() {
        let _ = write!(what, " {}", volume.uuid);
    }
    let place = volume
        .mount_point
        .as_ref()
        .map(|path| format!(", mounted at {path}"));
    text.line(&format!(
        "{name}: {}, {what}{}",
        size(volume.len),
        place.unwrap_or_default()
    ));
}

fn render_iso(text: &mut Text, iso: &IsoReport) {
    text.line(&format!("ISO: volume identifier {}", iso.volume_id));
    for image in &iso.boot_images {
        text.field("boot image", image);
    }
    if let Some(image) = &iso.root_image {
        let nested = image.nested.as_ref().map(|path| format!(", {path} in it"));
        let nested = nested.unwrap_or_default();
        let len = size(image.len);
        text.field(
            "root image",
            &format!("{}, {}, {len}{nested}", image.path, image.format),
        );
    }
    for kernel in &iso.kernels {
        let what = format!("{} at {}", kernel.version, kernel.path);
        text.field("kernel", &what);
    }
    if iso.saved_settings {
        text.field("settings", "of an earlier build");
    }
    text.field(
        "media check",
        if iso.media_check {
            "liveos/checksums"
        } else {
            "none"
        },
    );
    for entry in &iso.entries {
        text.line(&format!("boot entry: {}", entry.title));
        text.field("linux", &entry.linux);
        text.field("initrd", &entry.initrd);
    }
}

fn render_system(text: &mut Text, facts: &Facts) {
    text.line(&format!("system: {}", facts.name()));
    let architecture = &facts.architecture;
    text.field(
        "architecture",
        &format!("{} ({})", architecture.value.name(), architecture.reason),
    );
    for kernel in &facts.kernels {
        text.field(
            "kernel",
            &format!("{} at {} ({})", kernel.version, kernel.image, kernel.reason),
        );
    }
    let mut programs = |name: &str, found: &[EfiBinary]| {
        for program in found {
            let signed = if program.signed {
                "signed"
            } else {
                "not signed"
            };
            text.field(
                name,
                &format!("{}, {signed} ({})", program.path, program.reason),
            );
        }
    };
    programs("shim", &facts.boot.shim);
    programs("GRUB for UEFI", &facts.boot.grub);
    if let Some(folder) = &facts.boot.grub_bios {
        text.field("GRUB for BIOS", &folder.to_string());
    }
    if let Some(isolinux) = &facts.boot.isolinux {
        text.field("ISOLINUX", &isolinux.program.to_string());
    }
    for path in &facts.boot.grub_config {
        text.field("GRUB config", &path.to_string());
    }
    for path in &facts.boot.bls_entries {
        text.field("BLS entry", &path.to_string());
    }
    if let Some(selinux) = &facts.selinux {
        text.field(
            "SELinux",
            &format!("{}, policy {}", selinux.mode, selinux.policy),
        );
    }
    for warning in &facts.warnings {
        text.line(&format!("warning: {warning}"));
    }
}
