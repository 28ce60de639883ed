//! Which kernel parameters are to change.

use crate::cmdline;

/// Changes of kernel parameters, to be made in every entry: first what goes, then what gets another value, then what comes.
///
/// They hold together whatever the order in which they were asked for: what was asked for last about a name counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// Names whose parameters go, or with a value `name=value` the parameters that are just that.
    pub delete: Vec<String>,
    /// Names with the value that their first parameter gets; further ones of the name go.
    pub replace: Vec<(String, String)>,
    /// Parameters that come to the end, where they are not there yet.
    pub append: Vec<String>,
}

impl Parameters {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.delete.is_empty() && self.replace.is_empty() && self.append.is_empty()
    }

    /// Takes a parameter away: all of a name, or those that are just `name=value`.
    pub fn delete(&mut self, what: &str) {
        self.append.retain(|argument| !matches(what, argument));
        self.replace
            .retain(|(name, value)| !matches(what, &format!("{name}={value}")));
        if !self.delete.iter().any(|known| known == what) {
            self.delete.push(what.to_owned());
        }
    }

    /// Gives a parameter another value; it comes where there was none.
    pub fn replace(&mut self, name: &str, value: &str) {
        self.append
            .retain(|argument| !same(cmdline::name(argument), name));
        self.delete.retain(|what| !same(cmdline::name(what), name));
        let value = value.to_owned();
        match self.replace.iter_mut().find(|(known, _)| same(known, name)) {
            Some((_, known)) => *known = value,
            None => self.replace.push((name.to_owned(), value)),
        }
    }

    /// Adds the parameters of a command line.
    pub fn append(&mut self, line: &str) {
        for argument in cmdline::split(line) {
            let replaced = |(name, value): &(String, String)| format!("{name}={value}") == argument;
            if !self.append.contains(&argument) && !self.replace.iter().any(replaced) {
                self.append.push(argument);
            }
        }
    }

    /// The names that are concerned.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let plain = self.delete.iter().chain(&self.append);
        let plain = plain.map(|argument| cmdline::name(argument));
        plain.chain(self.replace.iter().map(|(name, _)| name.as_str()))
    }

    /// What becomes of these arguments, without those that come: of a list that is only a part of an entry's.
    #[must_use]
    pub fn kept(&self, arguments: &[String]) -> Vec<String> {
        let mut plan = self.plan();
        let fates = arguments.iter().map(|argument| match plan.next(argument) {
            Fate::Stays => Some(argument.clone()),
            Fate::Goes => None,
            Fate::Becomes(new) => Some(new),
        });
        fates.flatten().collect()
    }

    /// What becomes of these arguments.
    pub(super) fn apply(&self, arguments: &[String]) -> Vec<String> {
        let mut plan = self.plan();
        let mut result = Vec::new();
        let mut end = None;
        for argument in arguments {
            if is_separator(argument) && end.is_none() {
                end = Some(result.len());
            }
            match plan.next(argument) {
                Fate::Stays => result.push(argument.clone()),
                Fate::Goes => {}
                Fate::Becomes(new) => result.push(new),
            }
        }
        let end = end.unwrap_or(result.len());
        result.splice(end..end, plan.rest());
        result
    }

    /// To go through the arguments of one entry in their order.
    pub(super) fn plan(&self) -> Plan<'_> {
        Plan {
            parameters: self,
            replaced: vec![false; self.replace.len()],
            seen: Vec::new(),
            is_over: false,
        }
    }
}

/// What becomes of one argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Stays,
    Goes,
    Becomes(String),
}

/// The state between the arguments of one entry.
pub(super) struct Plan<'a> {
    parameters: &'a Parameters,
    /// For each replacement, whether it has its place.
    replaced: Vec<bool>,
    /// Those of `append` that are there already.
    seen: Vec<String>,
    /// Whether `--` was met: what follows is for init.
    is_over: bool,
}

impl Plan<'_> {
    /// What becomes of the next argument.
    pub(super) fn next(&mut self, argument: &str) -> Fate {
        self.is_over |= is_separator(argument);
        if self.is_over {
            return Fate::Stays;
        }
        if self
            .parameters
            .delete
            .iter()
            .any(|what| matches(what, argument))
        {
            return Fate::Goes;
        }
        let replacements = self.parameters.replace.iter().zip(&mut self.replaced);
        for ((name, value), done) in replacements {
            if same(name, cmdline::name(argument)) {
                if std::mem::replace(done, true) {
                    return Fate::Goes;
                }
                let new = format!("{}={value}", cmdline::name(argument));
                return if new == argument {
                    Fate::Stays
                } else {
                    Fate::Becomes(new)
                };
            }
        }
        if self.parameters.append.iter().any(|new| new == argument) {
            self.seen.push(argument.to_owned());
        }
        Fate::Stays
    }

    /// What comes to the end.
    pub(super) fn rest(self) -> Vec<String> {
        let replace = self.parameters.replace.iter().zip(&self.replaced);
        let left = replace
            .filter(|(_, done)| !**done)
            .map(|((name, value), _)| format!("{name}={value}"));
        let append = self.parameters.append.iter();
        left.chain(append.filter(|new| !self.seen.contains(new)).cloned())
            .collect()
    }
}

/// Whether `--delete what` means this argument.
fn matches(what: &str, argument: &str) -> bool {
    if what.contains('=') {
        what == argument
    } else {
        same(what, cmdline::name(argument))
    }
}

/// Whether two names are the same to the kernel, which takes `-` for `_`.
///
/// Source: Linux 6.1 `kernel/params.c`, `parameq`.
fn same(one: &str, two: &str) -> bool {
    let plain = |name: &str| name.replace('-', "_");
    plain(one) == plain(two)
}

/// Whether what follows is for init: `--`, or `---` of Debian's installers.
pub(super) fn is_separator(argument: &str) -> bool {
    matches!(argument, "--" | "---")
}

/// The parameters by which live media are found and put together, ours and other programs': media do not boot with others.
const PROTECTED: &[&str] = &[
    "root",
    "boot",
    "initrd",
    "BOOT_IMAGE",
    "live-media",
    "live-media-path",
    "rd.live.image",
    "rd.live.dir",
    "rd.live.squashimg",
    "liveos.verity",
    "roothash",
];

/// Whether media do not boot where the parameter of this name is changed.
#[must_use]
pub fn protected(name: &str) -> bool {
    PROTECTED.iter().any(|known| same(known, name))
        || contract::request::media_arguments("X", false)
            .iter()
            .any(|argument| same(&argument.name, name))
}
