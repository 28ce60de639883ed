//! The kernel modules of an initramfs: where each lies, what it needs, and which devices ask for it.
//!
//! The builder makes it from the image's `modules.dep`, `modules.alias` and `modules.softdep`, reduced to the modules that
//! the initramfs carries; the runtime reads it at [`crate::media::MODULE_INDEX`]. One fact a line:
//!
//! ```text
//! liveos module index 1
//! always dm_mod
//! module usb_storage /lib/modules/6.1.0/kernel/drivers/usb/storage/usb-storage.ko
//! depends scsi_mod usbcore
//! pre ehci_hcd
//! post uas
//! parameters delay_use=1
//! alias usb:v*p*d*dc*dsc*dp*ic08isc06ip50in* usb_storage
//! ```
//!
//! `depends`, `pre`, `post` and `parameters` belong to the `module` line above them. White space, control characters and `%` in a value are
//! written as `%` and two hexadecimal digits. Unknown first words are an error: builder and runtime come from one build.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::Error;

const WHAT: &str = "module index";
const HEADER: &str = "liveos module index 1";

/// The longest index that is read, in bytes. A whole distribution kernel's `modules.alias` has under 2 MiB. Longer ones are refused.
pub const MAX_LEN: usize = 16 << 20;

/// The kernel modules of an initramfs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleIndex {
    /// Each module by its normalised name (see [`normalise`]).
    pub modules: BTreeMap<String, Module>,
    /// Device patterns as in `modules.alias` (`*`, `?`, `[…]`), each with the normalised name of the module that it asks for.
    /// Several may match one device: all of their modules are loaded.
    pub aliases: Vec<(String, String)>,
    /// Modules to load at start, in this order: those that no device asks for.
    pub always: Vec<String>,
}

/// One kernel module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Module {
    /// The absolute path in the initramfs; the file is not compressed.
    pub path: String,
    /// Normalised names of what must be loaded before, in this order; direct ones are enough, as each has its own.
    pub depends: Vec<String>,
    /// Normalised names of what should be loaded before, if it is there.
    pub soft_pre: Vec<String>,
    /// Normalised names of what should be loaded after, if it is there.
    pub soft_post: Vec<String>,
    /// Parameters to load it with, `name=value` or `name`, in this order: the image's `options` lines of modprobe.d.
    pub parameters: Vec<String>,
}

/// A module's name as the kernel compares it: without folders and `.ko…`, with `_` for `-`.
///
/// ```
/// assert_eq!(contract::module_index::normalise("kernel/drivers/usb/storage/usb-storage.ko.xz"), "usb_storage");
/// ```
#[must_use]
pub fn normalise(name: &str) -> String {
    let base = name.rsplit_once('/').map_or(name, |(_, base)| base);
    let stem = [".ko", ".ko.xz", ".ko.zst", ".ko.gz"]
        .iter()
        .find_map(|end| base.strip_suffix(end))
        .unwrap_or(base);
    stem.replace('-', "_")
}

impl ModuleIndex {
    /// Reads what [`print`](Self::print) wrote. Empty lines, and lines that begin with `#`, are skipped.
    ///
    /// # Errors
    ///
    /// Names the line where the first line is not the header, a word is missing or unknown, a module is there twice, or a
    /// `%` is not followed by two hexadecimal digits; and where the text is longer than [`MAX_LEN`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_LEN {
            let message = format!("{} bytes, and at most {MAX_LEN} are read", text.len());
            return Err(Error::whole(WHAT, message));
        }
        let mut lines = text.lines().enumerate();
        if lines.next().map(|(_, line)| line) != Some(HEADER) {
            return Err(Error::line(WHAT, 0, format!("does not say {HEADER:?}")));
        }
        let mut index = Self::default();
        let mut current: Option<(String, Module)> = None;
        for (number, line) in lines {
            let (first, values) = line.split_once(' ').unwrap_or((line, ""));
            if !first.is_empty() && !first.starts_with('#') {
                index
                    .take_line(first, values, &mut current)
                    .map_err(|message| Error::line(WHAT, number, message))?;
            }
        }
        index.finish_module(current);
        Ok(index)
    }

    fn take_line(
        &mut self,
        first: &str,
        values: &str,
        current: &mut Option<(String, Module)>,
    ) -> Result<(), &'static str> {
        match first {
            "module" => {
                let (name, path) = pair(values).ok_or("a module needs a name and a path")?;
                self.finish_module(current.take());
                if self.modules.contains_key(&name) {
                    return Err("a module that is there already");
                }
                let module = Module {
                    path,
                    ..Module::default()
                };
                *current = Some((name, module));
            }
            "alias" => {
                let pair = pair(values).ok_or("an alias needs a pattern and a module")?;
                self.aliases.push(pair);
            }
            "always" => extend(&mut self.always, values)?,
            "depends" | "pre" | "post" | "parameters" => {
                let (_, module) = current.as_mut().ok_or("no module line above")?;
                let list = match first {
                    "depends" => &mut module.depends,
                    "pre" => &mut module.soft_pre,
                    "parameters" => &mut module.parameters,
                    _ => &mut module.soft_post,
                };
                extend(list, values)?;
            }
            _ => return Err("an unknown first word"),
        }
        Ok(())
    }

    fn finish_module(&mut self, current: Option<(String, Module)>) {
        if let Some((name, module)) = current {
            self.modules.insert(name, module);
        }
    }

    /// The index as text, which [`parse`](Self::parse) reads back to an equal value.
    #[must_use]
    pub fn print(&self) -> String {
        let mut text = format!("{HEADER}\n");
        for name in &self.always {
            put_line(&mut text, "always", [name]);
        }
        for (name, module) in &self.modules {
            put_line(&mut text, "module", [name, &module.path]);
            for (first, list) in [
                ("depends", &module.depends),
                ("pre", &module.soft_pre),
                ("post", &module.soft_post),
                ("parameters", &module.parameters),
            ] {
                if !list.is_empty() {
                    put_line(&mut text, first, list);
                }
            }
        }
        for (pattern, name) in &self.aliases {
            put_line(&mut text, "alias", [pattern, name]);
        }
        text
    }
}

/// Two words; `None` where there are more or fewer, or one has a broken escape.
fn pair(values: &str) -> Option<(String, String)> {
    let (one, two) = values.split_once(' ')?;
    Some((unescape(one)?, unescape(two)?))
}

fn extend(list: &mut Vec<String>, values: &str) -> Result<(), &'static str> {
    for word in values.split(' ') {
        list.push(unescape(word).ok_or("an empty word, or a broken % escape")?);
    }
    Ok(())
}

fn put_line<'a>(text: &mut String, first: &str, values: impl IntoIterator<Item = &'a String>) {
    text.push_str(first);
    for value in values {
        text.push(' ');
        escape(text, value);
    }
    text.push('\n');
}

/// An empty value is written as a lone `%`, so that it stays a word.
fn escape(text: &mut String, value: &str) {
    if value.is_empty() {
        text.push('%');
    }
    for c in value.chars() {
        if c.is_ascii() && (c.is_ascii_control() || c == ' ' || c == '%') {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{:02x}", u32::from(c));
        } else {
            text.push(c);
        }
    }
}

/// Words are many and escapes are rare: most are only copied.
fn unescape(word: &str) -> Option<String> {
    if word.is_empty() || word.contains(' ') {
        return None;
    }
    if !word.contains('%') {
        return Some(word.to_owned());
    }
    if word == "%" {
        return Some(String::new());
    }
    let mut pieces = word.split('%');
    let mut value = pieces.next()?.to_owned();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let code = u8::from_str_radix(digits, 16).ok()?;
        value.push(char::from(code));
        value.push_str(rest);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn index() -> ModuleIndex {
        let module = Module {
            path: "/lib/modules/6.1 x/a%b.ko".into(),
            depends: vec!["scsi_mod".into(), "usbcore".into()],
            soft_pre: vec![],
            soft_post: vec!["uas".into()],
            parameters: vec!["quirks=\"1 2\"".into()],
        };
        ModuleIndex {
            modules: [("usb_storage".to_owned(), module)].into(),
            aliases: vec![("usb:v*p*ic08isc06ip50in*".into(), "usb_storage".into())],
            always: vec!["dm_mod".into(), "loop".into()],
        }
    }

    #[test]
    fn what_is_printed_reads_back_equal() {
        assert_eq!(ModuleIndex::parse(&index().print()).unwrap(), index());
        let empty = ModuleIndex::default();
        assert_eq!(ModuleIndex::parse(&empty.print()).unwrap(), empty);
    }

    #[test]
    fn names_are_normalised_as_the_kernel_does() {
        for (from, to) in [
            ("usb-storage", "usb_storage"),
            ("kernel/fs/isofs/isofs.ko", "isofs"),
            ("a/b-c.ko.zst", "b_c"),
            ("x.ko.xz", "x"),
            ("x.ko.gz", "x"),
            ("nls_iso8859-1", "nls_iso8859_1"),
        ] {
            assert_eq!(normalise(from), to);
        }
    }

    #[test]
    fn broken_lines_are_refused_with_their_number() {
        for (text, line) in [
            ("", 1),
            ("liveos module index 2\n", 1),
            ("liveos module index 1\nmodule a\n", 2),
            ("liveos module index 1\nmodule a b c\n", 2),
            ("liveos module index 1\nmodule a /b\nmodule a /c\n", 3),
            (
                "liveos module index 1\nmodule a /a\nmodule b /b\nmodule a /c\n",
                4,
            ),
            ("liveos module index 1\n\n# x\ndepends a\n", 4),
            ("liveos module index 1\nalias a\n", 2),
            ("liveos module index 1\nwhat a\n", 2),
            ("liveos module index 1\nalways a%2\n", 2),
            ("liveos module index 1\nalways a%+f\n", 2),
            ("liveos module index 1\nalways %é\n", 2),
        ] {
            let error = ModuleIndex::parse(text).unwrap_err();
            assert_eq!(error.line, Some(line), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_text_over_the_limit_is_refused() {
        let text = " ".repeat(MAX_LEN + 1);
        assert!(
            ModuleIndex::parse(&text)
                .unwrap_err()
                .message
                .contains("at most")
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_strings_survive(always in prop::collection::vec(any::<String>(), 0..4), path in any::<String>(), name in any::<String>(), alias in any::<(String, String)>()) {
            let module = Module { path, depends: always.clone(), soft_pre: always.clone(), soft_post: vec![], parameters: vec![] };
            let index = ModuleIndex { modules: [(name, module)].into(), aliases: vec![alias], always };
            prop_assert_eq!(ModuleIndex::parse(&index.print()).unwrap(), index);
        }

        #[test]
        fn any_text_is_a_value_or_an_error(text in "(liveos module index 1\n)?(module|alias|depends|[ -~]|\n){0,40}") {
            if let Ok(index) = ModuleIndex::parse(&text) {
                prop_assert_eq!(ModuleIndex::parse(&index.print()).unwrap(), index);
            }
        }
    }
}
