//! GRUB's script language: `grub.cfg` as syntax that can be read, edited in places and written again.
//!
//! ```text
//! bytes -- lexer --> tokens, which tile the bytes -- parser --> Script (statements with spans) -- Edits --> bytes
//! ```
//!
//! Edits replace spans, so every byte that was not meant stays as it was: comments, indentation, quoting. Nothing here runs a script.
//!
//! Source: the language of GRUB 2.06 (manual, "Writing full configuration files directly"; `grub-script-check` as the judge). Not
//! read: `case` and `select`, which GRUB reserves and does not have.

mod edit;
mod environment;
mod lexer;
mod parser;
mod quote;
mod script;
mod word;

pub use edit::Edits;
pub use environment::EnvironmentBlock;
pub use quote::quote;
pub use script::{Block, Branch, Command, Script, Statement, Visit};
pub use word::{Piece, Word};

/// The longest script that is read, in bytes. A `grub.cfg` with hundreds of entries has some 300 KiB; a longer one is refused.
pub const SCRIPT_LIMIT: usize = 2 << 20;

/// The most statements of a script; a `grub.cfg` with hundreds of entries has some 5000. A script with more is refused.
pub const STATEMENT_LIMIT: usize = 50_000;
