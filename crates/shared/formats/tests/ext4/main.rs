//! ext2, ext3 and ext4: images made by `mke2fs` and by the kernel, read by us and compared with what the kernel shows.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests start the reference tools, say what they skip, and panic where they cannot go on"
)]

mod compare;
mod create;
mod damage;
mod fast_commit;
mod image;
mod journal;
mod large;
mod matrix;
mod populate;
mod refuse;
