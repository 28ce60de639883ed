//! `/etc/passwd` and its like: lines of fields with colons between. What is not meant stays byte for byte.

use block::{Content, Result};
use tree::{Metadata, Tree};

use crate::steps::place;

/// One of the files.
#[derive(Clone, Debug)]
pub(super) struct Table {
    path: &'static str,
    /// Without their line ends.
    lines: Vec<Vec<u8>>,
    /// Whether the image has the file.
    pub(super) is_there: bool,
    is_changed: bool,
}

impl Table {
    /// Reads the file at `path`; a missing one is empty.
    pub(super) fn load(tree: &Tree<Content>, path: &'static str) -> Result<Self> {
        let bytes = place::read(tree, path)?;
        let is_there = bytes.is_some();
        let bytes = bytes.unwrap_or_default();
        let mut lines: Vec<Vec<u8>> = bytes
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        if lines.last().is_some_and(Vec::is_empty) {
            lines.pop();
        }
        Ok(Self {
            path,
            lines,
            is_there,
            is_changed: false,
        })
    }

    /// Writes the file where it was changed; a new one gets `new`.
    pub(super) fn store(&self, tree: &mut Tree<Content>, new: &Metadata) -> Result<()> {
        if !self.is_changed {
            return Ok(());
        }
        let mut bytes = Vec::new();
        for line in &self.lines {
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
        }
        place::write(tree, self.path, bytes, new)?;
        Ok(())
    }

    /// The entries: lines that are no comment, no blank and nothing of NIS's (`+`, `-`).
    fn entries(&self) -> impl Iterator<Item = (usize, Vec<&[u8]>)> {
        let is_entry = |line: &[u8]| !matches!(line.first(), None | Some(b'#' | b'+' | b'-'));
        self.lines
            .iter()
            .enumerate()
            .filter(move |(_, line)| is_entry(line))
            .map(|(at, line)| (at, line.split(|byte| *byte == b':').collect()))
    }

    /// The line of the entry `name`, the first one as the C library has it.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.entries()
            .find(|(_, fields)| fields.first() == Some(&name.as_bytes()))
            .map(|(at, _)| at)
    }

    /// A field of a line as text; empty where there is none.
    pub(super) fn field(&self, line: usize, field: usize) -> String {
        let fields = self.lines.get(line).map(Vec::as_slice).unwrap_or_default();
        let found = fields.split(|byte| *byte == b':').nth(field);
        String::from_utf8_lossy(found.unwrap_or_default()).into_owned()
    }

    /// Changes a field of a line; fields that are missing before it become empty.
    pub(super) fn set(&mut self, line: usize, field: usize, value: &str) {
        let Some(bytes) = self.lines.get_mut(line) else {
            return;
        };
        let mut fields: Vec<&[u8]> = bytes.split(|byte| *byte == b':').collect();
        while fields.len() <= field {
            fields.push(b"");
        }
        if let Some(old) = fields.get_mut(field) {
            *old = value.as_bytes();
        }
        let changed = fields.join(&b':');
        if *bytes != changed {
            *bytes = changed;
            self.is_changed = true;
        }
    }

    /// Adds an entry, before what is NIS's.
    pub(super) fn append(&mut self, fields: &[&str]) {
        let line = fields.join(":").into_bytes();
        let nis = self
            .lines
            .iter()
            .position(|line| matches!(line.first(), Some(b'+' | b'-')));
        self.lines.insert(nis.unwrap_or(self.lines.len()), line);
        self.is_changed = true;
    }

    /// The numbers in a field of all entries.
    pub(super) fn numbers(&self, field: usize) -> impl Iterator<Item = u32> {
        self.entries().filter_map(move |(_, fields)| {
            let text = std::str::from_utf8(fields.get(field)?).ok()?;
            text.parse().ok()
        })
    }

    /// The line of the entry with this number in a field.
    pub(super) fn find_number(&self, field: usize, number: u32) -> Option<usize> {
        self.entries()
            .find(|(_, fields)| {
                let text = fields
                    .get(field)
                    .and_then(|field| std::str::from_utf8(field).ok());
                text.and_then(|text| text.parse().ok()) == Some(number)
            })
            .map(|(at, _)| at)
    }

    /// Adds `name` to a field that is a list with commas.
    pub(super) fn add_member(&mut self, line: usize, field: usize, name: &str) {
        let list = self.field(line, field);
        let mut members: Vec<&str> = list
            .split(',')
            .filter(|member| !member.is_empty())
            .collect();
        if !members.contains(&name) {
            members.push(name);
            self.set(line, field, &members.join(","));
        }
    }

    /// Ranges of numbers `[start, start + count)` of all entries: `subuid` and `subgid`.
    pub(super) fn ranges(&self) -> Vec<(u64, u64)> {
        let number = |field: Option<&&[u8]>| -> Option<u64> {
            std::str::from_utf8(field?).ok()?.parse().ok()
        };
        self.entries()
            .filter_map(|(_, fields)| Some((number(fields.get(1))?, number(fields.get(2))?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::place::tests::{TIME, text_of, tree_of};

    #[test]
    fn what_is_not_meant_stays_byte_for_byte() {
        let text = "# note\nroot:x:0:0::/root:/bin/sh\n\nbad line\n+nis::::::";
        let mut tree = tree_of(&[("etc/passwd", text)]);
        let mut table = Table::load(&tree, "/etc/passwd").unwrap();
        assert_eq!((table.find("root"), table.find("+nis")), (Some(1), None));
        assert_eq!(table.numbers(2).collect::<Vec<_>>(), [0]);
        table
            .store(&mut tree, &place::metadata(0o644, TIME))
            .unwrap();
        assert_eq!(text_of(&tree, "etc/passwd"), text, "nothing was changed");
        table.append(&["new", "x", "1"]);
        table.set(1, 6, "/bin/bash");
        table
            .store(&mut tree, &place::metadata(0o644, TIME))
            .unwrap();
        assert_eq!(
            text_of(&tree, "etc/passwd"),
            "# note\nroot:x:0:0::/root:/bin/bash\n\nbad line\nnew:x:1\n+nis::::::\n"
        );
    }

    #[test]
    fn a_member_is_added_once() {
        let tree = tree_of(&[("etc/group", "wheel:x:10:\nadm:x:4:a,b\nshort\n")]);
        let mut table = Table::load(&tree, "/etc/group").unwrap();
        for line in 0..3 {
            table.add_member(line, 3, "b");
            table.add_member(line, 3, "c");
        }
        let members: Vec<String> = (0..3).map(|line| table.field(line, 3)).collect();
        assert_eq!(members, ["b,c", "a,b,c", "b,c"]);
    }
}
