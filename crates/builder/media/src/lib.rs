//! Payloads and boot files to media: an ISO, written aside and then swapped in.
//!
//! * [`output`] is where a result is written until it is whole: nothing stands at the output's place before that.
//! * `sums` is the media check table, made while the media are written; `write_back` keeps the disk busy meanwhile.
//! * [`implant`] is what other programs check media by.
//! * [`files`] is what is on the media; [`late`] is what is made while it is written, [`pending`] what files say of that.
//! * [`iso`] puts the payloads and the boot files of a plan together to a bootable ISO, [`netboot`] to a folder or tar for a server.
//! * [`edit`] changes media that are finished, in place.
//!
//! **Invariant:** an existing output is untouched until all of the new one is written and synced.
#![forbid(unsafe_code)]

pub mod edit;
pub mod files;
pub mod implant;
pub mod iso;
pub mod late;
pub mod netboot;
pub mod output;
mod parts;
pub mod pending;
mod sums;
mod write_back;
