//! Short names of 8 and 3 characters, and long names in entries of their own before them.

use std::fmt::Write as _;

use super::format::{ENTRY_LEN, attribute, byte, u16_le};

/// Code page 437 from 0x80 on, in which short names are read: the default of Linux and of DOS in English.
const CODE_PAGE: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// The bit of the lower-case field for the base, and that for the extension.
const LOWER_BASE: u8 = 0x08;
const LOWER_EXTENSION: u8 = 0x10;

/// How many entries a long name has at most, of 13 UTF-16 units each.
const MAX_PARTS: u8 = 20;
/// The number of UTF-16 units of a name's part.
const PART_UNITS: usize = 13;
/// The longest long name, in UTF-16 units.
const MAX_UNITS: usize = 255;
/// Where the units of a part stand in its entry.
const UNIT_PLACES: [usize; PART_UNITS] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

fn decode_byte(byte: u8) -> char {
    let high = byte.checked_sub(0x80).map(usize::from);
    high.and_then(|index| CODE_PAGE.chars().nth(index))
        .unwrap_or_else(|| char::from(byte))
}

/// The text of a label's 11 bytes, without the spaces at its end.
pub(super) fn decode_label(bytes: &[u8; 11]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.trim_end_matches(' ').to_owned()
}

/// The text of a short name, `BASE.EXT`, with the case that `lower_case` says.
pub(super) fn decode_short(mut name: [u8; 11], lower_case: u8) -> String {
    // 0xE5 as the first byte would mark a removed file.
    if let [first @ 0x05, ..] = &mut name {
        *first = 0xe5;
    }
    let (base, extension) = name.split_at_checked(8).unwrap_or((&name, &[]));
    let mut text = decode_part(base, lower_case & LOWER_BASE != 0);
    let extension = decode_part(extension, lower_case & LOWER_EXTENSION != 0);
    if !extension.is_empty() {
        text.push('.');
        text.push_str(&extension);
    }
    text
}

/// The text of a part of a short name, without the spaces at its end.
fn decode_part(bytes: &[u8], lower: bool) -> String {
    let text: String = bytes.iter().map(|byte| decode_byte(*byte)).collect();
    let text = text.trim_end_matches(' ');
    if lower {
        text.to_lowercase()
    } else {
        text.to_owned()
    }
}

/// The checksum of a short name that stands in the parts of its long one.
pub(super) fn checksum(short: &[u8; 11]) -> u8 {
    short
        .iter()
        .fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// The parts of a long name, as they come before the short entry: the last part first.
#[derive(Debug, Default)]
pub(super) struct LongName {
    /// Parts so far, in the order of the directory.
    parts: Vec<[u16; PART_UNITS]>,
    /// The number that the next part must have; 0 after the last, and where there is none.
    next: u8,
    checksum: u8,
    is_whole: bool,
}

impl LongName {
    /// Takes in the entry of a part. One that does not continue what came before starts afresh or ends it.
    pub(super) fn push(&mut self, entry: &[u8]) {
        let (order, checksum) = (byte(entry, 0), byte(entry, 13));
        let number = order & 0x3f;
        if order & 0x40 != 0 && (1..=MAX_PARTS).contains(&number) {
            self.parts.clear();
            self.checksum = checksum;
        } else if number == 0 || number != self.next || checksum != self.checksum {
            *self = Self::default();
            return;
        }
        self.parts.push(UNIT_PLACES.map(|at| u16_le(entry, at)));
        self.next = number.saturating_sub(1);
        self.is_whole = self.next == 0;
    }

    /// The long name of the short one that came after the parts; nothing is kept of them. `None` where they are not whole, or not
    /// this name's.
    pub(super) fn take(&mut self, short: &[u8; 11]) -> Option<String> {
        let taken = std::mem::take(self);
        if !taken.is_whole || taken.checksum != checksum(short) {
            return None;
        }
        let units = taken.parts.iter().rev().flatten().copied();
        let units = units.take_while(|unit| *unit != 0);
        let chars = char::decode_utf16(units);
        let text: String = chars
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        (!text.is_empty()).then_some(text)
    }

    /// Forgets the parts: what came after them was no name.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The entries of the long name `name` before the short name `short`.
pub(super) fn encode_long(name: &str, short: &[u8; 11]) -> Vec<[u8; ENTRY_LEN]> {
    let mut units: Vec<u16> = name.encode_utf16().collect();
    // A NUL ends the name where room is left, and 0xFFFF fills what is left then.
    if !units.len().is_multiple_of(PART_UNITS) {
        units.push(0);
    }
    let sum = checksum(short);
    let count = units.len().div_ceil(PART_UNITS);
    let parts = (1_u8..).zip(units.chunks(PART_UNITS));
    let mut entries: Vec<[u8; ENTRY_LEN]> = parts
        .map(|(number, part)| {
            let mut entry = [0; ENTRY_LEN];
            let is_last = usize::from(number) == count;
            let order = if is_last { number | 0x40 } else { number };
            let mut put = |at: usize, values: &[u8]| {
                let places = entry.iter_mut().skip(at);
                places.zip(values).for_each(|(to, value)| *to = *value);
            };
            put(0, &[order]);
            put(11, &[attribute::LONG_NAME, 0, sum]);
            let padded = part.iter().copied().chain(std::iter::repeat(0xffff));
            for (at, unit) in UNIT_PLACES.into_iter().zip(padded) {
                put(at, &unit.to_le_bytes());
            }
            entry
        })
        .collect();
    entries.reverse();
    entries
}

/// Why FAT cannot hold `name`, if so.
pub(super) fn long_fault(name: &[u8]) -> Option<&'static str> {
    let Ok(text) = std::str::from_utf8(name) else {
        return Some("its name is no UTF-8");
    };
    if text.encode_utf16().count() > MAX_UNITS {
        return Some("its name has more than 255 UTF-16 units");
    }
    if text
        .chars()
        .any(|c| c.is_control() || "\"*/:<>?\\|".contains(c))
    {
        return Some("its name has a character that FAT names cannot have");
    }
    if text.ends_with(['.', ' ']) {
        return Some("its name ends with a dot or a space, which FAT drops");
    }
    None
}

/// The name by which FAT compares: two names of one folder must differ in it.
pub(super) fn folded(name: &str) -> String {
    name.chars().flat_map(char::to_uppercase).collect()
}

fn is_short_char(c: char) -> bool {
    c.is_ascii_uppercase() || c.is_ascii_digit() || "!#$%&'()-@^_`{}~".contains(c)
}

/// The 11 bytes of `name` where it is a short name as it stands.
pub(super) fn exact_short(name: &str) -> Option<[u8; 11]> {
    let (base, extension) = match name.rsplit_once('.') {
        None => (name, ""),
        Some((_, "")) => return None,
        Some((base, extension)) => (base, extension),
    };
    let holds = |part: &str, len: usize| part.len() <= len && part.chars().all(is_short_char);
    let fits = !base.is_empty() && holds(base, 8) && holds(extension, 3);
    fits.then(|| pack(base, extension))
}

fn pack(base: &str, extension: &str) -> [u8; 11] {
    let mut name = [b' '; 11];
    let (first, second) = name.split_at_mut(8);
    first
        .iter_mut()
        .zip(base.bytes())
        .for_each(|(to, from)| *to = from);
    second
        .iter_mut()
        .zip(extension.bytes())
        .for_each(|(to, from)| *to = from);
    name
}

/// A short name for the long `name`, the `number`th to be tried: `BASE~1.EXT`.
///
/// Source: the specification's chapter on the generation of 8.3 names.
pub(super) fn numbered_short(name: &str, number: u32) -> [u8; 11] {
    let stem = name.trim_start_matches(['.', ' ']);
    let (base, extension) = match stem.rsplit_once('.') {
        Some((base, extension)) if !base.is_empty() => (base, extension),
        _ => (stem, ""),
    };
    let convert = |part: &str, len: usize| -> String {
        let chars = part.chars().filter(|c| !matches!(c, ' ' | '.'));
        let upper = chars.map(|c| c.to_ascii_uppercase());
        upper
            .map(|c| if is_short_char(c) { c } else { '_' })
            .take(len)
            .collect()
    };
    let mut tail = String::new();
    // OK: writing to a string cannot fail.
    let _ = write!(tail, "~{number}");
    let mut base = convert(base, 8_usize.saturating_sub(tail.len()));
    base.push_str(&tail);
    pack(&base, &convert(extension, 3))
}
