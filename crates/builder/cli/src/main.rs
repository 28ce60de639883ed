//! The `liveos` command.

fn main() {}
