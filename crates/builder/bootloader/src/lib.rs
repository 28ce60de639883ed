//! Boot loader configuration as data, and the boot loaders' own files where they have to be put together.
//!
//! * [`bios`]: what a BIOS starts: GRUB's core image, made from its module folder.
//! * [`grub`]: GRUB's script language, read and edited as syntax.
//! * [`bls`]: Boot Loader Specification entries; [`cmdline`]: kernel command lines; [`version`]: which kernel is newer.
//! * [`live`]: the boot configuration of live media, made from the image's own; [`edit`]: changes of one that is finished.
//!
//! Nothing here starts a program, and nothing is modified that carries a signature. Every input is hostile: module folders and
//! configuration come from the image.
#![forbid(unsafe_code)]

pub mod bios;
pub mod bls;
pub mod cmdline;
pub mod edit;
pub mod grub;
pub mod ipxe;
pub mod live;
pub mod version;
