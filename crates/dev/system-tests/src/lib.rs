//! Tests of the whole: build, boot, damage. The tests themselves are in `tests/`; here is what they share.
//!
//! * [`builds`]: `liveos build` as users have it, in its own process.
//! * [`http`]: a server for guests that fetch.
//! * [`media`]: ISOs that are made once, and what is on them.
//! * [`ordinary_user`]: a test once more, as somebody who is not root.
#![forbid(unsafe_code)]

pub mod builds;
pub mod http;
pub mod media;
pub mod ordinary_user;
