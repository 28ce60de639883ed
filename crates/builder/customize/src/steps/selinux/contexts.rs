//! File contexts: which label the policy gives to which path.
//!
//! Source: libselinux 3.4 `src/label_file.c`, selabel_file(5), file_contexts(5). From 3.8 on the library sorts specifications by how
//! much of them is literal before their place in the file counts; policies are sorted that way already.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use block::{Content, Error, Result};
use regex::bytes::{Regex, RegexBuilder};
use tree::{Tree, mode};

use crate::steps::place;

/// The most specifications; Fedora's policy has some 7000. More is an error.
const MAX_SPECS: usize = 20_000;

/// How large one compiled expression may get, in bytes; those of policies need some KiB. A larger one is an error.
const MAX_EXPRESSION: usize = 64 << 10;

/// How much of what an expression begins with is looked at; paths are rarely longer.
const MAX_START: usize = 128;

/// What a specification says of a path that is not to be labelled.
const NONE: &[u8] = b"<<none>>";

/// The file contexts of a policy.
#[derive(Debug)]
pub struct FileContexts {
    /// Those with special characters, in the order of the files.
    patterns: Vec<Pattern>,
    /// Those without, by the path that they name; the last one of each kind counts.
    exact: BTreeMap<Vec<u8>, Vec<Spec>>,
    /// The patterns by the text that they begin with, [`MAX_START`] bytes of it at most.
    index: BTreeMap<Vec<u8>, Vec<usize>>,
    /// How long those texts are.
    start_lengths: BTreeSet<usize>,
    /// Paths that are looked up as others: `.subs`, then `.subs_dist`, each the last line first.
    local_aliases: Vec<(Vec<u8>, Vec<u8>)>,
    packaged_aliases: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A kind of file and the label that it gets.
#[derive(Clone, Debug)]
struct Spec {
    /// The type bits of a mode; `None` for all kinds.
    kind: Option<u16>,
    /// `<<none>>` or a label.
    label: Box<[u8]>,
}

#[derive(Debug)]
struct Pattern {
    spec: Spec,
    expression: String,
    /// Compiled when it is first needed: most never are.
    compiled: OnceCell<Regex>,
    /// For messages.
    place: (String, usize),
}

impl FileContexts {
    /// Reads the contexts of the policy `policy` (`SELINUXTYPE`): the policy's own, those of home folders and the administrator's.
    ///
    /// # Errors
    ///
    /// [`block::Kind::NotFound`] where the policy has none as text, [`block::Kind::Corrupt`] with the line for a kind of file that
    /// there is not, [`block::Kind::Limit`] for over 20 000 specifications.
    pub fn load(tree: &Tree<Content>, policy: &str) -> Result<Self> {
        let base = format!("/etc/selinux/{policy}/contexts/files/file_contexts");
        let mut found = Self {
            patterns: Vec::new(),
            exact: BTreeMap::new(),
            index: BTreeMap::new(),
            start_lengths: BTreeSet::new(),
            local_aliases: aliases(tree, &format!("{base}.subs"))?,
            packaged_aliases: aliases(tree, &format!("{base}.subs_dist"))?,
        };
        if tree.file(&base).is_none() {
            let message = "the policy has no file contexts, by which files are labelled";
            return Err(Error::not_found("SELinux labels", message).in_file(base));
        }
        let mut count = 0;
        for suffix in ["", ".homedirs", ".local"] {
            let path = format!("{base}{suffix}");
            let text = place::text(tree, &path)?.unwrap_or_default();
            for (at, line) in text.lines().enumerate() {
                count += usize::from(found.read_line(line, (&path, at + 1))?);
                if count > MAX_SPECS {
                    let message = format!("more than {MAX_SPECS} specifications");
                    return Err(Error::limit("SELinux file contexts", message).in_file(path));
                }
            }
        }
        Ok(found)
    }

    /// Takes up a line; answers whether there was anything in it.
    fn read_line(&mut self, line: &str, (path, number): (&str, usize)) -> Result<bool> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (expression, kind, label) = match words.as_slice() {
            [] => return Ok(false),
            [first, ..] if first.starts_with('#') => return Ok(false),
            [expression, label] => (*expression, None, *label),
            [expression, kind, label, ..] => (*expression, Some(*kind), *label),
            [_] => {
                let message = format!("line {number} has a path and no label");
                return Err(Error::corrupt("SELinux file contexts", message).in_file(path));
            }
        };
        let kind = match kind.map(kind_bits) {
            Some(None) => {
                let message = format!("line {number} names a kind of file that there is not");
                return Err(Error::corrupt("SELinux file contexts", message).in_file(path));
            }
            Some(kind) => kind,
            None => None,
        };
        let spec = Spec {
            kind,
            label: label.as_bytes().into(),
        };
        if let Some(literal) = literal(expression) {
            self.exact.entry(literal).or_default().push(spec);
            return Ok(true);
        }
        let at = self.patterns.len();
        let mut start = literal_start(expression);
        start.truncate(MAX_START);
        self.start_lengths.insert(start.len());
        self.index.entry(start).or_default().push(at);
        self.patterns.push(Pattern {
            spec,
            expression: expression.to_owned(),
            compiled: OnceCell::new(),
            place: (path.to_owned(), number),
        });
        Ok(true)
    }

    /// The label of the file of this path in the image, whose mode has the type bits `kind`. `None` where the policy has none for it, or
    /// says that it is to be left alone.
    ///
    /// # Errors
    ///
    /// [`block::Kind::Unsupported`] with the line for an expression that is not read here: what PCRE has beyond regular expressions.
    pub fn label(&self, path: &[u8], kind: u16) -> Result<Option<&[u8]>> {
        let key = self.key(path);
        let fits = |spec: &Spec| spec.kind.is_none_or(|asked| asked == kind & mode::TYPE);
        let exact = self.exact.get(key.as_slice());
        if let Some(spec) = exact.and_then(|specs| specs.iter().rev().find(|spec| fits(spec))) {
            return Ok(labelled(spec));
        }
        for at in self.candidates(&key) {
            let Some(pattern) = self.patterns.get(at).filter(|pattern| fits(&pattern.spec)) else {
                continue;
            };
            if pattern.compiled()?.is_match(&key) {
                return Ok(labelled(&pattern.spec));
            }
        }
        Ok(None)
    }

    /// Compiles every expression, those too that no path asks for.
    #[cfg(test)]
    pub(super) fn compile_all(&self) -> Result<usize> {
        for pattern in &self.patterns {
            pattern.compiled()?;
        }
        Ok(self.patterns.len())
    }

    /// The patterns that begin as the path does, the last one first.
    fn candidates(&self, key: &[u8]) -> Vec<usize> {
        let mut found: Vec<usize> = Vec::new();
        for len in &self.start_lengths {
            let Some(start) = key.get(..*len) else { break };
            found.extend(self.index.get(start).into_iter().flatten());
        }
        found.sort_unstable_by(|one, two| two.cmp(one));
        found
    }

    /// The path under which a path is looked up.
    fn key(&self, path: &[u8]) -> Vec<u8> {
        let local = alias(&self.local_aliases, path);
        let path = local.as_deref().unwrap_or(path);
        alias(&self.packaged_aliases, path).unwrap_or_else(|| path.to_vec())
    }
}

fn labelled(spec: &Spec) -> Option<&[u8]> {
    (&*spec.label != NONE).then_some(&*spec.label)
}

impl Pattern {
    fn compiled(&self) -> Result<&Regex> {
        if let Some(regex) = self.compiled.get() {
            return Ok(regex);
        }
        let regex = RegexBuilder::new(&format!("^{}$", self.expression))
            .unicode(false)
            .dot_matches_new_line(true)
            .size_limit(MAX_EXPRESSION)
            .dfa_size_limit(MAX_EXPRESSION)
            .nest_limit(100)
            .build()
            .map_err(|error| {
                let (path, line) = &self.place;
                let message = format!("line {line} has an expression that is not read here");
                Error::unsupported("SELinux file contexts", message)
                    .in_file(path)
                    .caused_by(error)
            })?;
        Ok(self.compiled.get_or_init(|| regex))
    }
}

/// What has a meaning of its own in an expression, as libselinux sees it.
const META: &[u8] = b".^$?*+|[({";

/// The path that an expression without special characters names; `None` where it has some.
fn literal(expression: &str) -> Option<Vec<u8>> {
    let mut path = Vec::new();
    let mut bytes = expression.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                let escaped = bytes.next()?;
                // `\d` and the like are no literals.
                path.push(Some(escaped).filter(|byte| !byte.is_ascii_alphanumeric())?);
            }
            _ if META.contains(&byte) => return None,
            _ => path.push(byte),
        }
    }
    Some(path)
}

/// What every path that an expression matches begins with.
fn literal_start(expression: &str) -> Vec<u8> {
    let bytes = expression.as_bytes();
    if has_choice_outside_of_groups(bytes) {
        return Vec::new();
    }
    let mut start = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let (literal, len) = match (byte, bytes.get(at + 1)) {
            (b'\\', Some(escaped)) if !escaped.is_ascii_alphanumeric() => (*escaped, 2),
            (b'\\', _) => break,
            (byte, _) if META.contains(byte) => break,
            (byte, _) => (*byte, 1),
        };
        // What may be missing is not part of it.
        if matches!(bytes.get(at + len), Some(b'?' | b'*' | b'{')) {
            break;
        }
        start.push(literal);
        at += len;
    }
    start
}

/// Whether a `|` stands outside of all parentheses, or it cannot be told.
fn has_choice_outside_of_groups(bytes: &[u8]) -> bool {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'|' if depth == 0 => return true,
            _ => {}
        }
        at += 1;
    }
    false
}

/// The type bits of `--`, `-d` and the like.
fn kind_bits(text: &str) -> Option<u16> {
    Some(match text {
        "--" => mode::FILE,
        "-b" => mode::BLOCK,
        "-c" => mode::CHARACTER,
        "-d" => mode::DIRECTORY,
        "-p" => mode::FIFO,
        "-l" => mode::SYMLINK,
        "-s" => mode::SOCKET,
        _ => return None,
    })
}

/// Reads a file of aliases: a path and the one that it is looked up as. The last line counts first.
fn aliases(tree: &Tree<Content>, path: &str) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let text = place::text(tree, path)?.unwrap_or_default();
    let pairs = text.lines().rev().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (from, to) = (words.next()?, words.next()?);
        (!from.starts_with('#')).then(|| (from.as_bytes().to_vec(), to.as_bytes().to_vec()))
    });
    Ok(pairs.collect())
}

/// The path with the beginning that the first alias replaces.
fn alias(aliases: &[(Vec<u8>, Vec<u8>)], path: &[u8]) -> Option<Vec<u8>> {
    aliases.iter().find_map(|(from, to)| {
        let rest = path.strip_prefix(from.as_slice())?;
        match rest {
            [] => Some(to.clone()),
            [b'/', below @ ..] if to == b"/" => Some([b"/", below].concat()),
            [b'/', ..] => Some([to.as_slice(), rest].concat()),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::place::tests::tree_of;

    const BASE: &str = "etc/selinux/p/contexts/files/file_contexts";

    fn contexts(files: &[(&str, &str)]) -> Result<FileContexts> {
        let files: Vec<(String, &str)> = files
            .iter()
            .map(|(suffix, text)| (format!("{BASE}{suffix}"), *text))
            .collect();
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(path, text)| (path.as_str(), *text))
            .collect();
        FileContexts::load(&tree_of(&files), "p")
    }

    fn label(contexts: &FileContexts, path: &str, kind: u16) -> String {
        let label = contexts.label(path.as_bytes(), kind).unwrap();
        String::from_utf8_lossy(label.unwrap_or(b"-")).into_owned()
    }

    #[test]
    fn the_last_one_that_matches_counts_and_plain_paths_before_patterns() {
        let contexts = contexts(&[
            (
                "",
                "# note\n/.*\tdefault\n/etc/passwd  --  exact\n/etc/.*  etc\n/run/.*  <<none>>\n\
                 /usr/(.*/)?bin(/.*)?  bin\n/dev/[0-9].*  -c  usb\n/a\\.b  dotted\n/a?b  maybe\n/x|/y  choice\n",
            ),
            (".homedirs", "/home/[^/]+  -d  home\n"),
            (".local", "/etc/x{2}  local\n"),
        ])
        .unwrap();
        for (path, kind, expected) in [
            ("/", mode::DIRECTORY, "default"),
            ("/etc", mode::DIRECTORY, "default"),
            ("/etc/passwd", mode::FILE, "exact"),
            ("/etc/passwd", mode::SYMLINK, "etc"),
            ("/etc/xx", mode::FILE, "local"),
            ("/etc/line\nend", mode::FILE, "etc"),
            ("/run/x", mode::FILE, "-"),
            ("/usr/local/bin/x", mode::FILE, "bin"),
            ("/usr/bin", mode::DIRECTORY, "bin"),
            ("/usr/binary", mode::FILE, "default"),
            ("/dev/1", mode::CHARACTER, "usb"),
            ("/dev/1", mode::BLOCK, "default"),
            ("/a.b", mode::FILE, "dotted"),
            ("/aXb", mode::FILE, "default"),
            ("/b", mode::FILE, "maybe"),
            ("/home/me", mode::DIRECTORY, "home"),
            ("/home/me", mode::FILE, "default"),
            ("/x", mode::FILE, "choice"),
            ("/y", mode::FILE, "choice"),
        ] {
            assert_eq!(label(&contexts, path, kind), expected, "{path}");
        }
    }

    #[test]
    fn aliases_are_looked_up_as_what_they_stand_for() {
        let contexts = contexts(&[
            ("", "/usr/lib/.*  lib\n/top  top\n/data/.*  data\n"),
            (".subs", "/srv /data\n"),
            (
                ".subs_dist",
                "# /x /y\n/lib /usr/lib\n/mnt /\n/data /nowhere\n/data /usr/lib\n",
            ),
        ])
        .unwrap();
        for (path, expected) in [
            ("/lib/x", "lib"),
            ("/library/x", "-"),
            ("/mnt/top", "top"),
            ("/srv/x", "lib"),
        ] {
            assert_eq!(label(&contexts, path, mode::FILE), expected, "{path}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error_with_its_line() {
        for (text, says) in [("/a\n", "line 1"), ("\n/a -x label\n", "line 2")] {
            let error = contexts(&[("", text)]).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
        for text in [
            "/a(?=b).* x\n",
            "/a(b x\n",
            "/a[b x\n",
            "/(a{999}){999}{999} x\n",
        ] {
            let contexts = contexts(&[("", text)]).unwrap();
            let error = contexts.label(b"/ab", mode::FILE).unwrap_err();
            assert!(error.to_string().contains("line 1"), "{text}: {error}");
        }
        let error = FileContexts::load(&tree_of(&[]), "p").unwrap_err();
        assert_eq!(error.kind(), block::Kind::NotFound);
    }

    #[test]
    fn the_literal_start_is_never_longer_than_what_matches() {
        for (expression, start) in [
            ("/etc/.*", "/etc/"),
            ("/etc(/.*)?", "/etc"),
            ("/a\\.b.*", "/a.b"),
            ("/ab?c", "/a"),
            ("/ab{0,2}", "/a"),
            ("/ab+c", "/ab"),
            ("/a\\d", "/a"),
            ("/a|/b", ""),
            ("/(a|b)", "/"),
        ] {
            assert_eq!(literal_start(expression), start.as_bytes(), "{expression}");
        }
    }
}
