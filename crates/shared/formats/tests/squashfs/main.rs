//! What the squashfs writer promises, seen from outside and by the reference tools.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests, and what they share"
)]

mod folder;
mod reference;
mod samples;
