//! Short names for the names of a folder, no two of them the same.

use std::collections::{BTreeMap, BTreeSet};

use block::{Error, Result};
use tree::{Name, TreePath};

use super::checked::WHAT;
use super::format::ENTRY_LEN;
use super::name::{encode_long, exact_short, folded, long_fault, numbered_short};

/// The short names of one folder.
#[derive(Default)]
pub(super) struct ShortNames {
    taken: BTreeSet<[u8; 11]>,
    /// The next number to be tried, by the short name of number 1.
    numbers: BTreeMap<[u8; 11], u32>,
}

impl ShortNames {
    /// Checks `names`, and keeps the short ones among them from being given to others.
    pub(super) fn reserve<'a>(
        &mut self,
        names: impl Iterator<Item = &'a Name>,
        path: &TreePath,
    ) -> Result<()> {
        let mut seen = BTreeMap::new();
        for name in names {
            let refuse = |fault: &str| {
                let message = format!("{}: {fault}", path.join(name));
                Err(Error::unsupported(WHAT, message))
            };
            if let Some(fault) = long_fault(name.as_bytes()) {
                return refuse(fault);
            }
            let text = String::from_utf8_lossy(name.as_bytes());
            if let Some(other) = seen.insert(folded(&text), name) {
                return refuse(&format!("differs from \"{other}\" in case only"));
            }
            self.taken.extend(exact_short(&text.to_ascii_uppercase()));
        }
        Ok(())
    }

    /// The short name of `name`, and the entries of the long one where the short is not all of it.
    pub(super) fn take(&mut self, name: &Name) -> ([u8; 11], Vec<[u8; ENTRY_LEN]>) {
        let text = String::from_utf8_lossy(name.as_bytes());
        if let Some(short) = exact_short(&text) {
            return (short, Vec::new());
        }
        let short = exact_short(&text.to_ascii_uppercase()).unwrap_or_else(|| self.number(&text));
        (short, encode_long(&text, &short))
    }

    fn number(&mut self, text: &str) -> [u8; 11] {
        let number = self.numbers.entry(numbered_short(text, 1)).or_insert(1);
        loop {
            let short = numbered_short(text, *number);
            *number = number.saturating_add(1);
            if self.taken.insert(short) {
                return short;
            }
        }
    }
}
