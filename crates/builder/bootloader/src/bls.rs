//! Boot Loader Specification, type 1 entries: `loader/entries/*.conf`.
//!
//! Lines of the shape `key value`, blanks between, `#` for comments. Lines that an edit does not mean stay as they were.
//!
//! Source: The Boot Loader Specification, version 1 (UAPI group); what Fedora's GRUB adds (`grub_users`, `grub_arg`, `grub_class`, variables
//! in values) is read like any other key.

use std::cmp::Ordering;

use block::{Error, Result};

use crate::{cmdline, version};

/// The longest entry that is read, in bytes. Real ones have under 2 KiB; a longer one is refused.
const ENTRY_LIMIT: usize = 256 << 10;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlsEntry {
    file_name: String,
    /// With their line ends.
    lines: Vec<String>,
}

impl BlsEntry {
    /// Reads the entry of the file `file_name` (`MACHINEID-VERSION.conf`).
    ///
    /// # Errors
    ///
    /// [`block::Kind::Corrupt`] for what is not UTF-8, [`block::Kind::Limit`] for over 256 KiB.
    pub fn parse(file_name: &str, bytes: &[u8]) -> Result<Self> {
        let what = || format!("boot loader entry {file_name}");
        if bytes.len() > ENTRY_LIMIT {
            let message = format!("{} bytes, and at most {ENTRY_LIMIT} are read", bytes.len());
            return Err(Error::limit(what(), message));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let offset = u64::try_from(error.valid_up_to()).unwrap_or(u64::MAX);
            Error::corrupt(what(), "not UTF-8").at(offset)
        })?;
        let lines = text.split_inclusive('\n').map(str::to_owned).collect();
        Ok(Self {
            file_name: file_name.to_owned(),
            lines,
        })
    }

    /// The entry's bytes.
    #[must_use]
    pub fn print(&self) -> String {
        self.lines.concat()
    }

    /// The entry's name: its file's without `.conf` and without the counters of tries (`+3-1`).
    #[must_use]
    pub fn id(&self) -> &str {
        let stem = self
            .file_name
            .strip_suffix(".conf")
            .unwrap_or(&self.file_name);
        match stem.rsplit_once('+') {
            Some((stem, tries))
                if !tries.is_empty()
                    && tries
                        .bytes()
                        .all(|byte| byte.is_ascii_digit() || byte == b'-') =>
            {
                stem
            }
            _ => stem,
        }
    }

    /// The value of the first line with this key.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.values(key).next()
    }

    /// The values of all lines with this key.
    pub fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.lines
            .iter()
            .filter_map(move |line| key_value(line).filter(|(found, _)| *found == key))
            .map(|(_, value)| value)
    }

    /// The kernel's arguments, of all `options` lines.
    #[must_use]
    pub fn options(&self) -> Vec<String> {
        self.values("options").flat_map(cmdline::split).collect()
    }

    /// Gives `key` one value: in the place of its first line, or at the end. Further lines with this key go.
    pub fn set(&mut self, key: &str, value: &str) {
        let line = format!("{key} {}\n", value.replace(['\n', '\r'], " "));
        let mut lines = Vec::new();
        let mut placed = false;
        for old in self.lines.drain(..) {
            if key_value(&old).is_none_or(|(found, _)| found != key) {
                lines.push(old);
            } else if !placed {
                lines.push(line.clone());
                placed = true;
            }
        }
        self.lines = lines;
        if !placed {
            self.end_last_line();
            self.lines.push(line);
        }
    }

    /// Takes away the arguments that `keep` refuses, on each `options` line, and adds `added` to the last one.
    pub fn edit_options(&mut self, keep: &dyn Fn(&str) -> bool, added: &[String]) {
        let mut last = None;
        for (at, line) in self.lines.iter_mut().enumerate() {
            let Some(("options", value)) = key_value(line) else {
                continue;
            };
            let old = cmdline::split(value);
            let kept: Vec<_> = old
                .iter()
                .filter(|argument| keep(argument))
                .cloned()
                .collect();
            if kept.len() != old.len() {
                *line = format!("options {}\n", cmdline::join(&kept));
            }
            last = Some(at);
        }
        if added.is_empty() {
            return;
        }
        let added = cmdline::join(added);
        match last.and_then(|at| self.lines.get_mut(at)) {
            Some(line) => *line = format!("{} {added}\n", line.trim_end()),
            None => self.set("options", &added),
        }
    }

    fn end_last_line(&mut self) {
        if let Some(last) = self.lines.last_mut().filter(|last| !last.ends_with('\n')) {
            last.push('\n');
        }
    }
}

/// Key and value of a line, if it has one.
fn key_value(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let (key, value) = line.split_once([' ', '\t'])?;
    Some((key, value.trim_start()))
}

/// The order for a menu: the newest kernel first, by `version` where both have one, else by name.
#[must_use]
pub fn newest_first(one: &BlsEntry, two: &BlsEntry) -> Ordering {
    let by_version = match (one.value("version"), two.value("version")) {
        (Some(one), Some(two)) => version::compare(two, one),
        _ => Ordering::Equal,
    };
    by_version
        .then_with(|| version::compare(two.id(), one.id()))
        .then_with(|| two.id().cmp(one.id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = "title Fedora Linux (6.5.6-300.fc39.x86_64) 39\nversion 6.5.6-300.fc39.x86_64\n# note\n\
        linux /vmlinuz-6.5.6-300.fc39.x86_64\ninitrd\t/initramfs-6.5.6-300.fc39.x86_64.img $tuned_initrd\n\
        options root=UUID=1 ro rootflags=subvol=root\noptions quiet\ngrub_class fedora";

    fn entry() -> BlsEntry {
        BlsEntry::parse("abc-6.5.6-300.fc39.x86_64.conf", ENTRY.as_bytes()).unwrap()
    }

    #[test]
    fn an_entry_is_read_and_written_back_as_it_was() {
        let entry = entry();
        assert_eq!(entry.print(), ENTRY);
        assert_eq!(entry.id(), "abc-6.5.6-300.fc39.x86_64");
        assert_eq!(entry.value("version"), Some("6.5.6-300.fc39.x86_64"));
        assert_eq!(
            entry.options(),
            ["root=UUID=1", "ro", "rootflags=subvol=root", "quiet"]
        );
        assert_eq!(entry.value("note"), None);
    }

    #[test]
    fn removals_apply_to_each_options_line_and_additions_to_the_last() {
        let mut entry = entry();
        entry.edit_options(
            &|argument| cmdline::name(argument) != "root",
            &["a=b c".to_owned()],
        );
        let expected = ENTRY
            .replace("root=UUID=1 ", "")
            .replace("options quiet", "options quiet \"a=b c\"");
        assert_eq!(entry.print(), expected);
        entry.set("linux", "/boot/vmlinuz");
        entry.set("initrd", "/boot/initramfs");
        entry.set("sort-key", "x");
        assert_eq!(entry.value("linux"), Some("/boot/vmlinuz"));
        assert!(entry.print().ends_with("grub_class fedora\nsort-key x\n"));
    }

    #[test]
    fn an_entry_without_options_gets_a_line() {
        let mut entry = BlsEntry::parse("a.conf", b"title a").unwrap();
        entry.edit_options(&|_| true, &["quiet".to_owned()]);
        assert_eq!(entry.print(), "title a\noptions quiet\n");
    }

    #[test]
    fn entries_sort_newest_first_and_tries_are_no_part_of_the_name() {
        let make = |name: &str, version: &str| {
            BlsEntry::parse(name, format!("version {version}\n").as_bytes()).unwrap()
        };
        let mut entries = [
            make("a-5.9+3-1.conf", "5.9"),
            make("a-5.10.conf", "5.10"),
            make("a-5.8.conf", "5.8"),
        ];
        entries.sort_by(newest_first);
        let ids: Vec<_> = entries.iter().map(BlsEntry::id).collect();
        assert_eq!(ids, ["a-5.10", "a-5.9", "a-5.8"]);
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert_eq!(
            BlsEntry::parse("a", b"title \xff")
                .unwrap_err()
                .place()
                .offset,
            Some(6)
        );
        assert!(BlsEntry::parse("a", &vec![b'a'; 300 << 10]).is_err());
    }
}
