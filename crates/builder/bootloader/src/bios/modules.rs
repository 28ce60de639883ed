//! Which modules a list of modules needs: `moddep.lst` of GRUB's module folder.

use std::collections::{BTreeMap, BTreeSet};

use block::{Error, Result};

/// The most modules that one core image takes; GRUB 2.12 has some 280 in all. More are refused.
const MODULE_LIMIT: usize = 1024;

/// What each module needs, read from `moddep.lst`: lines of the shape `name: needed needed`.
#[derive(Debug, Default)]
pub(super) struct Dependencies<'a>(BTreeMap<&'a str, Vec<&'a str>>);

impl<'a> Dependencies<'a> {
    /// Reads the list; a line without a colon says nothing.
    pub(super) fn parse(list: &'a str) -> Self {
        let lines = list.lines().filter_map(|line| line.split_once(':'));
        Self(
            lines
                .map(|(name, needed)| (name.trim(), needed.split_whitespace().collect()))
                .collect(),
        )
    }

    /// `names` with all that they need, each once and behind whatever it needs itself, as GRUB loads them in this order.
    ///
    /// Where a module needs several they come last one first, which is the order of `grub-mkimage`. A circle is cut where it closes.
    ///
    /// # Errors
    ///
    /// [`block::Kind::Limit`] for more than [`MODULE_LIMIT`] modules.
    pub(super) fn closure(&self, names: &[&'a str]) -> Result<Vec<&'a str>> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        // A stack of our own: the depth comes from the input. `true` marks a module whose needs are all in `order`.
        let mut stack: Vec<(&'a str, bool)> =
            names.iter().rev().map(|name| (*name, false)).collect();
        while let Some((name, complete)) = stack.pop() {
            if complete {
                order.push(name);
                continue;
            }
            if !seen.insert(name) {
                continue;
            }
            if seen.len() > MODULE_LIMIT {
                let message = format!("over {MODULE_LIMIT} modules for one core image");
                return Err(Error::limit("GRUB's moddep.lst", message));
            }
            stack.push((name, true));
            let needed = self.0.get(name).into_iter().flatten();
            stack.extend(
                needed
                    .filter(|needed| !seen.contains(**needed))
                    .map(|needed| (*needed, false)),
            );
        }
        Ok(order)
    }
}

/// Whether `name` can be a module's: it becomes part of a file name.
pub(super) fn is_module_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+');
    !name.is_empty() && name.len() <= 64 && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_module_needs_stands_before_it_and_once() {
        let dependencies = Dependencies::parse("a: b c\nb: d\nc: d\nd:\nno line\n");
        assert_eq!(
            dependencies.closure(&["a", "d", "e"]).unwrap(),
            ["d", "c", "b", "a", "e"]
        );
    }

    #[test]
    fn a_circle_of_needs_ends() {
        let dependencies = Dependencies::parse("a: b\nb: a\nc: c\n");
        assert_eq!(dependencies.closure(&["a", "c"]).unwrap(), ["b", "a", "c"]);
    }

    #[test]
    fn a_list_without_end_is_refused() {
        let list: String = (0..2000).map(|n| format!("m{n}: m{}\n", n + 1)).collect();
        let error = Dependencies::parse(&list).closure(&["m0"]).unwrap_err();
        assert_eq!(error.kind(), block::Kind::Limit);
    }

    #[test]
    fn a_module_name_leaves_no_folder() {
        assert!(is_module_name("all_video") && is_module_name("915resolution"));
        assert!(!is_module_name("../x") && !is_module_name("") && !is_module_name("a.b"));
    }
}
