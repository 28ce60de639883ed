//! The names of the two views that are not Rock Ridge: ECMA-119's and Joliet's, unique in each folder.

use std::collections::{BTreeMap, BTreeSet};

use tree::Name;

/// The longest file name of ECMA-119 7.5.1 without its version: name, full stop and extension.
const MAX_FILE: usize = 31;
/// The longest folder name of ECMA-119 7.6.3.
const MAX_FOLDER: usize = 31;
/// The most of a name's extension that is kept when there is not room for all.
const MAX_EXTENSION: usize = 10;
/// The most UTF-16 units of a Joliet name without its version: the specification has 64; 103 is what a directory record can hold,
/// and what `mkisofs -joliet-long` and `xorriso` write and every reader takes.
const MAX_JOLIET: usize = 103;

/// Which of the two name spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::iso9660) enum View {
    /// ECMA-119 with Rock Ridge.
    Primary,
    /// Joliet.
    Joliet,
}

/// A name before it was made unique: what may be shortened for a number, and what stays.
struct Parts {
    base: String,
    extension: String,
}

/// The identifiers of the names of one folder, as they stand in its directory records: unique, in the order of the names.
pub(in crate::iso9660) fn identifiers(view: View, names: &[(&Name, bool)]) -> Vec<Vec<u8>> {
    let mut taken = BTreeSet::new();
    let mut counters = BTreeMap::new();
    names
        .iter()
        .map(|(name, is_folder)| {
            let parts = split(view, name.as_bytes(), *is_folder);
            let unique = make_unique(view, &parts, &mut taken, &mut counters);
            encode(view, &unique, *is_folder)
        })
        .collect()
}

/// The key by which the records of a folder are in order: the identifier without its version. ECMA-119 9.3; Joliet has the same.
pub(in crate::iso9660) fn sort_key(identifier: &[u8]) -> &[u8] {
    identifier
        .strip_suffix(b"\0;\x001")
        .or_else(|| identifier.strip_suffix(b";1"))
        .unwrap_or(identifier)
}

fn split(view: View, name: &[u8], is_folder: bool) -> Parts {
    let text = String::from_utf8_lossy(name);
    let allowed = |c: char| match view {
        View::Primary if c.is_ascii_alphanumeric() => c.to_ascii_uppercase(),
        View::Joliet if !c.is_control() && !"*/:;?\\".contains(c) => c,
        _ => '_',
    };
    let clean = |text: &str| text.chars().map(allowed).collect::<String>();
    let dot = text
        .rsplit_once('.')
        .filter(|(base, _)| !base.is_empty() && !is_folder);
    let (base, extension) = dot.unwrap_or((&text, ""));
    let (max, dots) = match view {
        View::Primary if is_folder => (MAX_FOLDER, 0),
        View::Primary => (MAX_FILE, 1),
        View::Joliet => (MAX_JOLIET, usize::from(dot.is_some())),
    };
    let mut base = clean(base);
    let mut extension = clean(extension);
    if units(&base)
        .saturating_add(units(&extension))
        .saturating_add(dots)
        > max
    {
        shorten(&mut extension, MAX_EXTENSION);
        shorten(
            &mut base,
            max.saturating_sub(units(&extension)).saturating_sub(dots),
        );
    }
    // Joliet keeps a full stop that nothing follows.
    if view == View::Joliet && dot.is_some() {
        extension.insert(0, '.');
    }
    Parts { base, extension }
}

/// UTF-16 units, which are the characters where all is ASCII.
fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Cuts `text` to at most `max` UTF-16 units, never inside a pair.
fn shorten(text: &mut String, max: usize) {
    while units(text) > max {
        text.pop();
    }
}

fn make_unique(
    view: View,
    parts: &Parts,
    taken: &mut BTreeSet<String>,
    counters: &mut BTreeMap<String, u32>,
) -> String {
    let join = |base: &str| match view {
        View::Primary if parts.extension.is_empty() => base.to_owned(),
        View::Primary => format!("{base}.{}", parts.extension),
        View::Joliet => format!("{base}{}", parts.extension),
    };
    let plain = join(&parts.base);
    if taken.insert(plain.clone()) {
        return plain;
    }
    let counter = counters.entry(plain).or_insert(0);
    loop {
        let number = counter.to_string();
        *counter = counter.saturating_add(1);
        // Room is made by shortening, so that a name never gets longer than it was, or than ten characters.
        let mut base = parts.base.clone();
        let room = units(&base).max(10).saturating_sub(number.len());
        shorten(&mut base, room.min(units(&parts.base)));
        let limit = match view {
            View::Primary => MAX_FOLDER.saturating_sub(1),
            View::Joliet => MAX_JOLIET,
        };
        let fixed = units(&parts.extension).saturating_add(number.len());
        shorten(&mut base, limit.saturating_sub(fixed));
        let numbered = join(&format!("{base}{number}"));
        if taken.insert(numbered.clone()) {
            return numbered;
        }
    }
}

fn encode(view: View, text: &str, is_folder: bool) -> Vec<u8> {
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    match (view, is_folder) {
        (View::Primary, true) => text.as_bytes().to_vec(),
        // A file has a full stop, with or without an extension, and a version. ECMA-119 7.5.1.
        (View::Primary, false) if text.contains('.') => format!("{text};1").into_bytes(),
        (View::Primary, false) => format!("{text}.;1").into_bytes(),
        (View::Joliet, true) => wide(text),
        (View::Joliet, false) => wide(&format!("{text};1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn primary(names: &[(&[u8], bool)]) -> Vec<String> {
        run(View::Primary, names)
            .into_iter()
            .map(|id| String::from_utf8(id).unwrap())
            .collect()
    }

    fn joliet(names: &[(&[u8], bool)]) -> Vec<String> {
        let decode = |id: Vec<u8>| {
            let wide: Vec<u16> = id
                .chunks(2)
                .map(|c| u16::from_be_bytes([c[0], c[1]]))
                .collect();
            String::from_utf16(&wide).unwrap()
        };
        run(View::Joliet, names).into_iter().map(decode).collect()
    }

    fn run(view: View, names: &[(&[u8], bool)]) -> Vec<Vec<u8>> {
        let owned: Vec<(Name, bool)> = names
            .iter()
            .map(|(name, folder)| (Name::new(name).unwrap(), *folder))
            .collect();
        let borrowed: Vec<(&Name, bool)> =
            owned.iter().map(|(name, folder)| (name, *folder)).collect();
        identifiers(view, &borrowed)
    }

    #[test]
    fn names_become_what_ecma_119_allows() {
        assert_eq!(
            primary(&[
                (b"vmlinuz-6.1.0-13-amd64", false),
                (b"initramfs-6.1.0-13-amd64.img", false),
                (b"grub.cfg", false),
                (b".disk", false),
                (b".disk.d", true),
                (b"a.", false),
                (b"\xff\xc3\xa4", false),
            ]),
            [
                "VMLINUZ_6_1.0_13_AMD64;1",
                "INITRAMFS_6_1_0_13_AMD64.IMG;1",
                "GRUB.CFG;1",
                "_DISK.;1",
                "_DISK_D",
                "A.;1",
                "__.;1"
            ]
        );
    }

    #[test]
    fn names_that_differ_in_case_only_get_numbers() {
        assert_eq!(
            primary(&[
                (b"README", false),
                (b"Readme", false),
                (b"readme", true),
                (b"readme0", false)
            ]),
            ["README.;1", "README0.;1", "README1", "README00.;1"]
        );
        assert_eq!(
            joliet(&[(b"README", false), (b"Readme", false)]),
            ["README;1", "Readme;1"]
        );
    }

    #[test]
    fn long_names_are_shortened_and_stay_unique() {
        let long = |last: u8| [&[b'x'; 200][..], &[last], b".extension-of-some-length"].concat();
        let (a, b) = (long(b'a'), long(b'b'));
        let names: [(&[u8], bool); 2] = [(&a, false), (&b, false)];
        let seen = primary(&names);
        assert_ne!(seen[0], seen[1]);
        assert!(
            seen.iter().all(|name| name.len() <= MAX_FILE + 2),
            "{seen:?}"
        );
        let seen = joliet(&names);
        assert_ne!(seen[0], seen[1]);
        assert!(
            seen.iter().all(|name| name.len() <= MAX_JOLIET + 2),
            "{seen:?}"
        );
    }

    #[test]
    fn a_thousand_names_with_one_beginning_are_unique() {
        let names: Vec<Vec<u8>> = (0..1000)
            .map(|i| [&[b'y'; 100][..], format!("{i:04}").as_bytes()].concat())
            .collect();
        for folder in [false, true] {
            let borrowed: Vec<(&[u8], bool)> =
                names.iter().map(|name| (name.as_slice(), folder)).collect();
            for seen in [primary(&borrowed), joliet(&borrowed)] {
                let longest = seen.iter().map(String::len).max().unwrap();
                assert!(longest <= MAX_JOLIET + 2);
                assert_eq!(seen.into_iter().collect::<BTreeSet<_>>().len(), 1000);
            }
        }
    }

    #[test]
    fn joliet_keeps_what_ucs_2_has_and_replaces_what_it_forbids() {
        assert_eq!(
            joliet(&[("a:b*c ä😀.x".as_bytes(), false)]),
            ["a_b_c ä😀.x;1"]
        );
        let long = "😀".repeat(60);
        assert_eq!(joliet(&[(long.as_bytes(), true)]), ["😀".repeat(51)]);
    }
}
