//! What the configuration's `os:` asks for and needs no program of the image: each step an edit of the tree.
//!
//! Nothing runs, nothing of the builder's machine is seen but the files that the configuration names. The same settings and the same
//! tree give the same bytes: what programs take from a clock or by chance comes from the media's time and from digests.
//!
//! `place` finds where a path of the image leads, for all of them.

pub mod accounts;
pub mod files;
pub mod hostname;
pub mod kernel_command_line;
pub mod modules;
mod place;
pub mod release;
pub mod selinux;
pub mod services;
