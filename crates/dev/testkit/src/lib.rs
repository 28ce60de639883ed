//! What tests and the project's own commands stand on: tools, fixtures and machines.
//!
//! * [`tools`] finds the Debian packages that a test needs, installs them where it may, and runs their programs.
//! * [`fixture`] makes disk images once and keeps them under `target/fixtures`: a small test system that checks
//!   itself, and a whole Debian.
//! * [`programs`] are our own two, built and embedded one in the other.
//! * [`guest`] is a virtual machine with its serial line in our hands: wait for a text, send a line, with a deadline.
//!
//! Only development uses this crate; it starts programs and panics never on its own.
#![forbid(unsafe_code)]

pub mod fixture;
pub mod guest;
pub mod programs;
mod qmp;
pub mod tools;

pub use guest::Guest;
