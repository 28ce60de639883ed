//! Which package of which distribution has a boot loader, for error messages.

use crate::{Architecture, OsRelease};

/// A distribution (itself or what it is made from), and its packages for x86-64 and for 64-bit Arm.
struct Row {
    id: &'static str,
    shim: [&'static str; 2],
    grub: [&'static str; 2],
}

/// As the distributions call them in 2026.
const PACKAGES: [Row; 7] = [
    Row {
        id: "debian",
        shim: ["shim-signed"; 2],
        grub: ["grub-efi-amd64-signed", "grub-efi-arm64-signed"],
    },
    Row {
        id: "ubuntu",
        shim: ["shim-signed"; 2],
        grub: ["grub-efi-amd64-signed", "grub-efi-arm64-signed"],
    },
    Row {
        id: "azurelinux",
        shim: ["shim"; 2],
        grub: ["grub2-efi-binary"; 2],
    },
    Row {
        id: "mariner",
        shim: ["shim"; 2],
        grub: ["grub2-efi-binary"; 2],
    },
    Row {
        id: "fedora",
        shim: ["shim-x64", "shim-aa64"],
        grub: ["grub2-efi-x64", "grub2-efi-aa64"],
    },
    Row {
        id: "suse",
        shim: ["shim"; 2],
        grub: ["grub2-x86_64-efi", "grub2-arm64-efi"],
    },
    Row {
        id: "arch",
        shim: ["shim-signed"; 2],
        grub: ["grub"; 2],
    },
];

fn row(os: Option<&OsRelease>) -> Option<&'static Row> {
    let os = os?;
    PACKAGES.iter().find(|row| os.is_like(row.id))
}

fn column(architecture: Architecture) -> usize {
    usize::from(architecture == Architecture::Aarch64)
}

/// The package that has shim.
pub(crate) fn shim(os: Option<&OsRelease>, architecture: Architecture) -> &'static str {
    row(os)
        .and_then(|row| row.shim.get(column(architecture)))
        .unwrap_or(&"shim")
}

/// The package that has GRUB as EFI program.
pub(crate) fn grub(os: Option<&OsRelease>, architecture: Architecture) -> &'static str {
    row(os)
        .and_then(|row| row.grub.get(column(architecture)))
        .unwrap_or(&"grub2-efi")
}
