//! What the squashfs reader and writer promise, seen from outside and by the reference tools.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests, and what they share"
)]

mod compare;
mod damage;
mod folder;
mod reading;
mod reference;
mod samples;
mod writing;
