//! Names and labels where Rock Ridge gives none.

/// The label, as `blkid` (util-linux 2.38) finds it: the two volume identifiers as one where they are the same but for what each cannot
/// hold (the plain one lower case and other characters than `A-Z 0-9 _`, Joliet more than sixteen), else Joliet's.
pub(in crate::iso9660) fn label(primary: &[u8; 32], joliet: Option<&[u8; 32]>) -> String {
    let wide = joliet.map(|id| decode(id));
    let merged = wide.as_ref().and_then(|wide| merge(primary, wide));
    let label = merged
        .or(wide)
        .unwrap_or_else(|| String::from_utf8_lossy(primary).into_owned());
    label.trim_end_matches([' ', '\0']).to_owned()
}

/// Both identifiers as one; `None` where they differ in more than each cannot hold.
fn merge(plain: &[u8; 32], wide: &str) -> Option<String> {
    let rest = plain.iter().skip(wide.chars().count());
    let both = plain.iter().zip(wide.chars()).map(|(plain, wide)| {
        let plain = char::from(*plain);
        match (plain, wide) {
            ('_', wide) => Some(wide),
            (plain, '_') => Some(plain),
            (plain, wide) if plain.eq_ignore_ascii_case(&wide) => {
                Some(if plain.is_ascii_uppercase() {
                    wide
                } else {
                    plain
                })
            }
            _ => None,
        }
    });
    both.chain(rest.map(|plain| Some(char::from(*plain))))
        .collect()
}

/// A Joliet identifier: UTF-16, big-endian. What is not valid is replaced.
pub(in crate::iso9660) fn joliet(identifier: &[u8]) -> Vec<u8> {
    let text = decode(identifier);
    without_version(text.as_bytes()).to_vec()
}

fn decode(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|unit| match unit {
        [high, low] => u16::from_be_bytes([*high, *low]),
        _ => 0,
    });
    char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// A plain identifier: in lower case, without its version and a full stop that nothing follows, as Linux shows it (`map=normal`).
pub(in crate::iso9660) fn plain(identifier: &[u8]) -> Vec<u8> {
    let name = without_version(identifier);
    let name = name.strip_suffix(b".").unwrap_or(name);
    name.to_ascii_lowercase()
}

/// `name` without `;` and the digits after it.
fn without_version(name: &[u8]) -> &[u8] {
    let Some(at) = name.iter().rposition(|byte| *byte == b';') else {
        return name;
    };
    let (before, version) = name.split_at(at);
    let digits = version.get(1..).unwrap_or_default();
    if !before.is_empty() && !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
        before
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_bare_full_stops_are_no_part_of_a_plain_name() {
        for (identifier, name) in [
            (&b"README.TXT;1"[..], &b"readme.txt"[..]),
            (b"README.;1", b"readme"),
            (b"README", b"readme"),
            (b"A;B;12", b"a;b"),
            (b"A;", b"a;"),
            (b";1", b";1"),
        ] {
            assert_eq!(plain(identifier), name);
        }
    }

    #[test]
    fn two_labels_are_one_where_they_differ_only_in_what_each_cannot_hold() {
        let plain =
            |text: &str| -> [u8; 32] { format!("{text:32}").into_bytes().try_into().unwrap() };
        let wide = |text: &str| -> [u8; 32] {
            let units = format!("{text:16}").encode_utf16().collect::<Vec<_>>();
            let bytes: Vec<u8> = units.into_iter().flat_map(u16::to_be_bytes).collect();
            bytes.try_into().unwrap()
        };
        // What blkid 2.38.1 prints for each pair.
        for (ascii, joliet, expected) in [
            ("MEDIA", "Media", "Media"),
            (
                "MEDIA_LONG_LABEL_12345",
                "Media long label",
                "Media long label_12345",
            ),
            ("MEDIA_LONG_LABEXYZ", "Media long label", "Media long label"),
            ("MEDIA_LONG_LABEL_12345", "Media lon", "Media lon"),
            (
                "ABCDEFGHIJKLMNOPQRST",
                "ABCDEFGHIJKLMNOP",
                "ABCDEFGHIJKLMNOPQRST",
            ),
            (
                "ABCDEFGHIJKLMNOPQRST",
                "XBCDEFGHIJKLMNOP",
                "XBCDEFGHIJKLMNOP",
            ),
            ("ABC", "XYZ", "XYZ"),
            ("ABC", "ABC DEF", "ABC DEF"),
            ("Abc", "ABC", "Abc"),
            ("A_C", "A C", "A C"),
            ("_____", "äöüßx", "äöüßx"),
            ("", "ABC", "ABC"),
            ("ABC", "", ""),
        ] {
            assert_eq!(
                label(&plain(ascii), Some(&wide(joliet))),
                expected,
                "{ascii} {joliet}"
            );
        }
        assert_eq!(label(&plain("MEDIA"), None), "MEDIA");
    }
}
