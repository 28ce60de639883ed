//! ISO 9660 with Rock Ridge, Joliet, El Torito and the hybrid partition tables.
//!
//! ```text
//! format.rs   structures and constants that reader and writer share      date.rs   the two forms of a date
//! reader/     any bytes -> a tree, an identity, the boot catalog
//! writer/     a tree -> bytes, written from front to back, and last the metadata at the front
//! patch.rs    what the sectors of a finished ISO become where a file's bytes are put elsewhere or a name is added
//! ```
//!
//! Easily got wrong: numbers are stored in both byte orders and mastering programs get the second copy wrong, so only the first is
//! read; a directory record never crosses a 2048-byte sector; and a name in Rock Ridge may continue elsewhere (`CE`).
mod date;
mod format;
mod patch;
pub mod reader;
pub mod writer;

pub use patch::{APPLICATION_USE_LEN, Editor, Patch};
pub use reader::{BootEntry, Platform, boot_catalog, probe, read_tree};
pub use writer::{
    BiosBoot, BootInfo, EfiBoot, Extent, File, HybridKind, HybridMbr, Image, Options, Report,
    VolumeId,
};
