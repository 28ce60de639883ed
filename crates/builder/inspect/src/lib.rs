//! What operating system a tree holds.
