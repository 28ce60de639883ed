//! Partition tables: GPT and MBR, read from any disk and made for media.
//!
//! * [`Table::read`] answers with the partitions of a disk, numbered and identified as Linux and `blkid` do it.
//! * [`append`] and [`repair`] answer with the writes that change a table so that a disk is whole after each of them.
//! * [`gpt::Layout`] and [`mbr::Record`] make the bytes of a table; they touch no disk.

mod append;
pub mod gpt;
mod gpt_read;
mod guid;
pub mod mbr;
mod table;

pub use append::{Addition, Wish, Write, append, repair};
pub use guid::Guid;
pub use table::{Partition, PartitionType, Scheme, Table, Warning};
