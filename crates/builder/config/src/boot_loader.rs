//! Which boot loaders go on the media.

use block::Result;
use inspect::{Architecture, EfiBinary, Facts};
use tree::TreePath;

/// What UEFI firmware starts: programs of the image, never modified.
#[derive(Clone, Debug)]
pub struct EfiLoader {
    /// The architecture's name in UEFI file names: `x64`, `aa64`.
    pub suffix: &'static str,
    /// The first stage, which firmware starts.
    pub shim: TreePath,
    /// The second stage on an ISO, which shim starts.
    pub grub: Grub,
    /// The second stage on a server: some distributions build one GRUB for disks and another for the network.
    pub network_grub: Grub,
    /// Shim's key manager.
    pub mok_manager: Option<TreePath>,
}

/// A GRUB for UEFI.
#[derive(Clone, Debug)]
pub struct Grub {
    /// Its path in the image.
    pub path: TreePath,
    /// The folder below `EFI` in which it looks for its configuration.
    pub vendor: String,
}

/// What a BIOS starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BiosLoader {
    /// GRUB, put together from the files in this folder of the tree.
    GrubOfImage(TreePath),
    /// GRUB, put together from the files of the builder's machine.
    GrubOfHost,
    /// ISOLINUX: its program, and the folder that holds `ldlinux.c32`.
    Isolinux {
        /// `isolinux.bin`.
        program: TreePath,
        /// The folder of its modules.
        modules: Option<TreePath>,
    },
}

/// The EFI boot loaders of the image.
///
/// # Errors
///
/// [`Kind::NotFound`](block::Kind::NotFound), naming the file and the distribution's package.
pub(crate) fn efi(facts: &Facts) -> Result<EfiLoader> {
    let shim = facts.shim()?;
    let for_disks = facts.grub()?;
    let for_network = facts.boot.grub_network.first().unwrap_or(for_disks);
    let path = |binary: &EfiBinary| binary.path.clone();
    let grub = |binary: &EfiBinary| Grub {
        path: path(binary),
        vendor: binary
            .vendor
            .clone()
            .unwrap_or_else(|| facts.boot.vendor.clone()),
    };
    Ok(EfiLoader {
        // OK: `shim` answers only where the architecture has a name.
        suffix: facts.architecture.value.efi_name().unwrap_or("x64"),
        shim: path(shim),
        grub: grub(for_disks),
        network_grub: grub(for_network),
        mok_manager: facts.boot.mok_manager.first().map(path),
    })
}

/// The BIOS boot loader: the image's GRUB, else the image's ISOLINUX, else the builder machine's GRUB.
pub(crate) fn bios(facts: &Facts, host_grub: bool) -> Option<BiosLoader> {
    if !matches!(
        facts.architecture.value,
        Architecture::X86_64 | Architecture::I386
    ) {
        return None;
    }
    let grub = facts.boot.grub_bios.clone().map(BiosLoader::GrubOfImage);
    let isolinux = facts
        .boot
        .isolinux
        .as_ref()
        .map(|isolinux| BiosLoader::Isolinux {
            program: isolinux.program.clone(),
            modules: isolinux.modules.clone(),
        });
    grub.or(isolinux)
        .or(host_grub.then_some(BiosLoader::GrubOfHost))
}
