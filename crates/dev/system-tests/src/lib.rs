//! Tests of the whole: build, boot, damage. The tests themselves are in `tests/`; here is what they share.
#![forbid(unsafe_code)]

pub mod builds;
