//! The extended attributes of a system that is an initramfs: SELinux labels, file capabilities, ACLs. The archives of an initramfs cannot
//! hold them; this list lies beside them ([`crate::media::ATTRIBUTES`]), and the runtime puts them back before the system starts.
//!
//! ```text
//! liveos attributes 1
//! content 734003200
//! files 2
//! value security.capability 0100000200200000000000000000000000000000
//! value security.selinux 73797374656d5f753a6f626a6563745f723a7573725f743a733000
//! set 0,1
//! set 1
//! path 1 /
//! path 0 /usr/bin/ping
//! ```
//!
//! * `content`: the length in bytes of all files together;
//! * `files`: how many paths follow;
//! * `value`: an attribute's name and its value in hexadecimal digits, counted from 0;
//! * `set`: the values that a file has, by their numbers, each name once; counted from 0;
//! * `path`: the set of a file, by one of its names. White space, control characters, `\` and what is not ASCII are `\x` and two
//!   hexadecimal digits, in paths and in names of attributes.
//!
//! Values, sets and paths are in this order, each in ascending order and without repetition: the same attributes are the same text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use crate::Error;

const WHAT: &str = "list of attributes";
const HEADER: &str = "liveos attributes 1";

/// The longest list that is read, in bytes: some 700 000 files. Longer ones are refused.
pub const MAX_LEN: usize = 64 << 20;

/// The longest value in bytes, and the longest path: the kernel's `XATTR_SIZE_MAX` and `PATH_MAX`. Longer ones are refused.
const MAX_VALUE: usize = 64 << 10;
const MAX_PATH: usize = 4096;
/// The longest name of an attribute in bytes: the kernel's `XATTR_NAME_MAX`. Longer ones are refused.
const MAX_NAME: usize = 255;

/// The attributes of one file: values by their full names (`security.selinux`). Shared, as most files of a system have one of few sets.
pub type Set = Arc<BTreeMap<Box<[u8]>, Box<[u8]>>>;

/// The attributes of all files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The length in bytes of all files of the system together: what their memory must hold at least.
    pub content_len: u64,
    paths: BTreeMap<Vec<u8>, Set>,
}

impl Attributes {
    /// A list without files, for a system whose files have `content_len` bytes.
    #[must_use]
    pub fn new(content_len: u64) -> Self {
        Self {
            content_len,
            paths: BTreeMap::new(),
        }
    }

    /// Gives the file at `path` (absolute, `/` for the root) this set, in the place of the one before; an empty set is none.
    ///
    /// # Errors
    ///
    /// Where the path, a name or a value is longer than Linux takes them, or a path is not absolute and plain.
    pub fn insert(&mut self, path: &[u8], set: &Set) -> Result<(), Error> {
        check_path(path).map_err(|message| Error::whole(WHAT, message))?;
        for (name, value) in set.iter() {
            check_value(name, value).map_err(|message| Error::whole(WHAT, message))?;
        }
        if set.is_empty() {
            self.paths.remove(path);
        } else {
            self.paths.insert(path.to_vec(), Arc::clone(set));
        }
        Ok(())
    }

    /// What the file at `path` has; `None` where it has nothing.
    #[must_use]
    pub fn get(&self, path: &[u8]) -> Option<&Set> {
        self.paths.get(path)
    }

    /// Every file that has something, with what it has, in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Set)> {
        self.paths.iter().map(|(path, set)| (path.as_slice(), set))
    }

    /// How many files have something.
    #[must_use]
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether no file has anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Whether any file has an attribute of this full name.
    #[must_use]
    pub fn has(&self, name: &[u8]) -> bool {
        self.paths.values().any(|set| set.contains_key(name))
    }

    /// The list as text, which [`parse`](Self::parse) reads back to an equal value. ASCII only.
    #[must_use]
    pub fn print(&self) -> String {
        let sets: BTreeSet<&Set> = self.paths.values().collect();
        let pairs = sets.iter().flat_map(|set| set.iter());
        let numbered = pairs.collect::<BTreeSet<_>>().into_iter().zip(0_usize..);
        let numbers: BTreeMap<_, usize> = numbered.collect();
        let mut text = format!(
            "{HEADER}\ncontent {}\nfiles {}\n",
            self.content_len,
            self.paths.len()
        );
        for (name, value) in numbers.keys() {
            text.push_str("value ");
            escape(name, &mut text);
            text.push(' ');
            hex(value, &mut text);
            text.push('\n');
        }
        let mut lists = BTreeMap::new();
        for set in sets {
            let list: Vec<usize> = set
                .iter()
                .filter_map(|pair| numbers.get(&pair).copied())
                .collect();
            lists.insert(list, set);
        }
        let mut order: BTreeMap<&Set, usize> = BTreeMap::new();
        for ((list, set), number) in lists.iter().zip(0..) {
            let words: Vec<String> = list.iter().map(ToString::to_string).collect();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "set {}", words.join(","));
            order.insert(set, number);
        }
        for (path, set) in &self.paths {
            let _ = write!(text, "path {} ", order.get(set).copied().unwrap_or(0));
            escape(path, &mut text);
            text.push('\n');
        }
        text
    }

    /// Reads what [`print`](Self::print) wrote.
    ///
    /// # Errors
    ///
    /// Names the line where the text is not as this module says, a number counts something that is not there, or something is longer
    /// than Linux has it; and where the whole text, or what it stands for, is longer than [`MAX_LEN`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_LEN {
            let message = format!("{} bytes, and at most {MAX_LEN} are read", text.len());
            return Err(Error::whole(WHAT, message));
        }
        let Some(text) = text.strip_suffix('\n') else {
            return Err(Error::whole(WHAT, "the end is missing"));
        };
        let mut lines = text.split('\n').enumerate();
        if lines.next().is_none_or(|(_, line)| line != HEADER) {
            return Err(Error::line(WHAT, 0, format!("does not say {HEADER:?}")));
        }
        let mut parser = Parser::default();
        for (index, line) in lines {
            parser
                .line(index, line)
                .map_err(|message| Error::line(WHAT, index, message))?;
        }
        let (Some(content_len), Some(files)) = (parser.content_len, parser.files) else {
            return Err(Error::whole(WHAT, "the end is missing"));
        };
        if u64::try_from(parser.paths.len()) != Ok(files) {
            let message = format!("{} files, and {files} were written", parser.paths.len());
            return Err(Error::whole(WHAT, message));
        }
        Ok(Self {
            content_len,
            paths: parser.paths,
        })
    }
}

/// What was read so far.
#[derive(Default)]
struct Parser {
    content_len: Option<u64>,
    files: Option<u64>,
    values: Vec<(Vec<u8>, Vec<u8>)>,
    lists: Vec<Vec<usize>>,
    sets: Vec<Set>,
    paths: BTreeMap<Vec<u8>, Set>,
    last: Vec<u8>,
    /// The bytes of all sets together: a set repeats its values.
    held: usize,
}

impl Parser {
    fn line(&mut self, index: usize, line: &str) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "content" if index == 1 => {
                self.content_len = Some(number(rest)?);
                Ok(())
            }
            "files" if index == 2 => {
                self.files = Some(number(rest)?);
                Ok(())
            }
            _ if index == 1 => Err("does not say content".to_owned()),
            _ if index == 2 => Err("does not say files".to_owned()),
            "value" if self.lists.is_empty() && self.paths.is_empty() => self.value(rest),
            "set" if self.paths.is_empty() => self.set(rest),
            "path" => self.path(rest),
            "value" | "set" => Err(format!("{word} comes too late")),
            _ => Err(format!("{word:?} is unknown")),
        }
    }

    fn value(&mut self, rest: &str) -> Result<(), String> {
        let (name, value) = rest.split_once(' ').ok_or("an attribute without a value")?;
        let pair = (unescape(name)?, unhex(value)?);
        check_value(&pair.0, &pair.1)?;
        if self.values.last().is_some_and(|last| *last >= pair) {
            return Err("the values are not in order".to_owned());
        }
        self.values.push(pair);
        Ok(())
    }

    fn set(&mut self, rest: &str) -> Result<(), String> {
        let list = rest
            .split(',')
            .map(|word| number(word).map(|n| usize::try_from(n).unwrap_or(usize::MAX)))
            .collect::<Result<Vec<_>, _>>()?;
        if self.lists.last().is_some_and(|last| *last >= list) {
            return Err("the sets are not in order".to_owned());
        }
        let mut set = BTreeMap::new();
        for number in &list {
            let (name, value) = self
                .values
                .get(*number)
                .ok_or_else(|| format!("there is no value {number}"))?;
            self.held = self.held.saturating_add(name.len().max(value.len()));
            if self.held > MAX_LEN {
                return Err(format!("the sets have over {MAX_LEN} bytes"));
            }
            let before = set.insert(
                name.clone().into_boxed_slice(),
                value.clone().into_boxed_slice(),
            );
            if before.is_some() {
                return Err("a set has a name twice".to_owned());
            }
        }
        if !list.is_sorted() {
            return Err("the numbers of a set are not in order".to_owned());
        }
        self.lists.push(list);
        self.sets.push(Arc::new(set));
        Ok(())
    }

    fn path(&mut self, rest: &str) -> Result<(), String> {
        let (set, path) = rest.split_once(' ').ok_or("a path without its set")?;
        let set = number(set)?;
        let set = usize::try_from(set)
            .ok()
            .and_then(|set| self.sets.get(set))
            .ok_or_else(|| format!("there is no set {set}"))?;
        let path = unescape(path)?;
        check_path(&path)?;
        if path <= self.last {
            return Err("the paths are not in order".to_owned());
        }
        self.last.clone_from(&path);
        self.paths.insert(path, Arc::clone(set));
        Ok(())
    }
}

fn check_path(path: &[u8]) -> Result<(), String> {
    let plain = path == b"/"
        || path.strip_prefix(b"/").is_some_and(|rest| {
            rest.split(|byte| *byte == b'/')
                .all(|part| !part.is_empty() && part != b"." && part != b"..")
        });
    if plain && path.len() < MAX_PATH && !path.contains(&0) {
        Ok(())
    } else {
        let start = path.get(..path.len().min(64)).unwrap_or_default();
        Err(format!(
            "\"{}\" is no absolute path of at most {} bytes",
            start.escape_ascii(),
            MAX_PATH.saturating_sub(1)
        ))
    }
}

fn check_value(name: &[u8], value: &[u8]) -> Result<(), String> {
    if name.is_empty() || name.len() > MAX_NAME || name.contains(&0) {
        let start = name.get(..name.len().min(64)).unwrap_or_default();
        return Err(format!(
            "\"{}\" is no name of an attribute",
            start.escape_ascii()
        ));
    }
    if value.len() > MAX_VALUE {
        return Err(format!(
            "a value of {} bytes, and at most {MAX_VALUE} are taken",
            value.len()
        ));
    }
    Ok(())
}

fn number(word: &str) -> Result<u64, String> {
    word.parse()
        .ok()
        .filter(|_| word.bytes().all(|byte| byte.is_ascii_digit()))
        .ok_or_else(|| format!("{word:?} is no number"))
}

fn hex(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
}

fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(digits).collect::<Option<Vec<u8>>>();
    bytes
        .filter(|_| rest.is_empty())
        .ok_or_else(|| "a value is not in pairs of hexadecimal digits".to_owned())
}

/// The byte of two hexadecimal digits in lower case.
fn digits([high, low]: &[u8; 2]) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' | b'a'..=b'f' => char::from(byte).to_digit(16),
        _ => None,
    };
    let both = digit(*high)?.checked_mul(16)?.checked_add(digit(*low)?)?;
    u8::try_from(both).ok()
}

fn escape(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        if byte.is_ascii_graphic() && *byte != b'\\' {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let bad = || "a \\ that is not followed by x and two hexadecimal digits".to_owned();
    let mut pieces = text.split('\\');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (head, rest) = piece.as_bytes().split_first_chunk::<3>().ok_or_else(bad)?;
        let [b'x', high, low] = head else {
            return Err(bad());
        };
        bytes.push(digits(&[*high, *low]).ok_or_else(bad)?);
        bytes.extend_from_slice(rest);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
