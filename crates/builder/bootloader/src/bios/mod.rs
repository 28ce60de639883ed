//! What a BIOS starts from media: GRUB's core image as El Torito boot image, or isolinux.
//!
//! ```text
//! El Torito image of GRUB, as `grub-mkimage -O i386-pc-eltorito` writes it:
//!   0     2048  cdboot.img: loads the rest of the file from a CD
//!   2048   512  diskboot.img: loads the rest of the file from a disk, by the block list at its end
//!   2560     …  lzma_decompress.img with both lengths filled in, then raw LZMA of:
//!                 kernel.img, flattened from ELF to memory
//!                 `mimg` header and the objects: modules, early configuration, prefix
//! ```
//!
//! Two fields are left for the writer of the media, because only it knows where the image comes to lie:
//! [`GRUB_BLOCK_LIST_OFFSET`] in the El Torito image and [`HYBRID_MBR_BLOCK_OFFSET`] in the MBR code. The image also takes a boot
//! information table at byte 8.
//!
//! Layouts of GRUB 2.02 to 2.12 are the same here. Source: GRUB 2.06 `util/mkimage.c` and `include/grub/{offsets,kernel}.h` for
//! the facts; the output of its `grub-mkimage` is what the tests compare with.

mod core_image;
mod files;
mod isolinux;
mod kernel;
mod lzma;
mod modules;

pub use core_image::{CoreImage, CoreOptions, core_image};
pub use files::{Files, is_media_file};
pub use isolinux::{Isolinux, isolinux};

/// Where the El Torito image takes the address of its own continuation: a 64-bit little-endian number of a 512-byte block.
///
/// The value is 4 × the image's 2048-byte block on the media + 5: diskboot.img itself is the block before. The field is the first entry
/// of the block list in diskboot.img. `xorriso --grub2-boot-info` fills in the same.
pub const GRUB_BLOCK_LIST_OFFSET: usize = 2548;

/// Where `boot_hybrid.img` takes the address of diskboot.img: a 64-bit little-endian number of a 512-byte block.
///
/// The value is 4 × the El Torito image's 2048-byte block on the media + 4. `xorriso --grub2-mbr` fills in the same.
pub const HYBRID_MBR_BLOCK_OFFSET: usize = 0x1b0;

/// The modules that are built into the core image by default: what is needed to find the media and read `grub.cfg`, and the commands that
/// configurations of distributions use, so that a medium without a module folder boots as well.
///
/// All of them are in GRUB 2.02 to 2.12. Whatever else a configuration loads comes from the module folder on the media.
pub const DEFAULT_MODULES: &[&str] = &[
    "biosdisk",
    "iso9660",
    "part_msdos",
    "part_gpt", // the media
    "normal",
    "configfile",
    "search",
    "search_label",
    "search_fs_file",
    "search_fs_uuid", // its configuration
    "linux",
    "linux16",
    "gzio", // kernels
    "echo",
    "cat",
    "ls",
    "test",
    "true",
    "sleep",
    "reboot",
    "halt",
    "minicmd",
    "loadenv",
    "regexp", // commands
    "serial",
    "terminal",
    "terminfo",
    "all_video",
    "gfxterm",
    "font", // consoles
];
