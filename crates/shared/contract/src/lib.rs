//! What the builder writes and the runtime reads: each fact that both sides know is spelled here, once.
//!
//! * [`media`]: where things lie on the media, in the initramfs and in the running system.
//! * [`parameter`]: every name on the kernel command line that liveos knows.
//! * [`module_index`]: the kernel modules of an initramfs, and which device asks for which.
//! * [`checksums`]: the media check's table.
//!
//! Everything is text to a value and back. This crate touches no file, and computes no digest.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::indexing_slicing
    )
)]

pub mod checksums;
mod error;
pub mod media;
pub mod module_index;
pub mod parameter;

pub use error::Error;
