//! What a kernel module says of itself: the section `.modinfo`.

use object::{Object as _, ObjectSection as _};

/// The facts of `.modinfo` that matter for loading. Module names are as they stand, `-` and `_` mixed.
///
/// Source: Linux, `include/linux/module.h` (`MODULE_INFO`): texts `name=value`, each ended by NUL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ModInfo {
    /// Modules that it takes symbols from.
    pub(crate) depends: Vec<String>,
    /// Device patterns and other names.
    pub(crate) aliases: Vec<String>,
    /// Modules or aliases to be loaded before, where they are there.
    pub(crate) soft_pre: Vec<String>,
    /// Modules or aliases to be loaded after, where they are there.
    pub(crate) soft_post: Vec<String>,
    /// Files that it may ask for, relative to the firmware folder.
    pub(crate) firmware: Vec<String>,
}

impl ModInfo {
    /// Reads the section from a module's bytes; `None` where they are no ELF file with such a section.
    pub(crate) fn read(module: &[u8]) -> Option<Self> {
        let file = object::File::parse(module).ok()?;
        let section = file.section_by_name(".modinfo")?;
        Some(Self::parse(section.data().ok()?))
    }

    fn parse(section: &[u8]) -> Self {
        let mut info = Self::default();
        for text in section.split(|byte| *byte == 0) {
            let text = String::from_utf8_lossy(text);
            let Some((name, value)) = text.split_once('=') else {
                continue;
            };
            match name {
                "depends" => {
                    let names = value.split(',').filter(|name| !name.is_empty());
                    info.depends.extend(names.map(str::to_owned));
                }
                "alias" => info.aliases.push(value.to_owned()),
                "firmware" => info.firmware.push(value.to_owned()),
                "softdep" => soft_dependencies(value, &mut info.soft_pre, &mut info.soft_post),
                _ => {}
            }
        }
        info
    }

    /// Whether a device on `bus` asks for it: an alias `bus:…`.
    pub(crate) fn is_on(&self, bus: &str) -> bool {
        let begins = |alias: &String| {
            alias
                .strip_prefix(bus)
                .is_some_and(|rest| rest.starts_with(':'))
        };
        self.aliases.iter().any(begins)
    }
}

/// Takes `pre: a b post: c` apart; words before the first of the two count as nothing.
///
/// Source: modprobe.d(5) of kmod 34.
pub(crate) fn soft_dependencies(text: &str, pre: &mut Vec<String>, post: &mut Vec<String>) {
    let mut list = None;
    for word in text.split([' ', '\t', ',']).filter(|word| !word.is_empty()) {
        match (word, &mut list) {
            ("pre:", _) => list = Some(&mut *pre),
            ("post:", _) => list = Some(&mut *post),
            (_, Some(list)) => list.push(word.to_owned()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_facts() {
        let info = ModInfo::parse(
            b"license=GPL\0depends=a,b-c\0alias=pci:v*\0alias=fs-x\0\0firmware=x/y.bin\0softdep=pre: p q post: r\0depends=\0odd",
        );
        assert_eq!(info.depends, ["a", "b-c"]);
        assert_eq!(info.aliases, ["pci:v*", "fs-x"]);
        assert_eq!(info.firmware, ["x/y.bin"]);
        assert_eq!(
            (info.soft_pre.as_slice(), info.soft_post.as_slice()),
            (&["p".to_owned(), "q".to_owned()][..], &["r".to_owned()][..])
        );
        assert!(info.is_on("pci") && !info.is_on("pc") && !info.is_on("usb"));
    }

    #[test]
    fn what_is_no_module_has_no_facts() {
        for bytes in [&b""[..], b"text", b"\x7fELF\x02\x01\x01"] {
            assert_eq!(ModInfo::read(bytes), None);
        }
    }
}
