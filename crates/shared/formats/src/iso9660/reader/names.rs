//! Names and labels where Rock Ridge gives none.

/// The label: the primary volume identifier, or Joliet's where it says something else than its beginning (as `blkid` decides).
pub(super) fn label(primary: &[u8; 32], joliet: Option<&[u8; 32]>) -> String {
    let plain = String::from_utf8_lossy(primary).into_owned();
    let plain = plain.trim_end_matches([' ', '\0']);
    let wide = joliet.map(|id| decode(id)).unwrap_or_default();
    let wide = wide.trim_end_matches([' ', '\0']);
    let begins_alike = plain.len() >= wide.len() && plain.starts_with(wide);
    if begins_alike { plain } else { wide }.to_owned()
}

/// A Joliet identifier: UTF-16, big-endian. What is not valid is replaced.
pub(super) fn joliet(identifier: &[u8]) -> Vec<u8> {
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
pub(super) fn plain(identifier: &[u8]) -> Vec<u8> {
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
    fn a_joliet_label_counts_where_it_is_not_the_beginning_of_the_plain_one() {
        let plain =
            |text: &str| -> [u8; 32] { format!("{text:32}").into_bytes().try_into().unwrap() };
        let wide = |text: &str| -> [u8; 32] {
            let bytes: Vec<u8> = format!("{text:16}")
                .encode_utf16()
                .flat_map(u16::to_be_bytes)
                .collect();
            bytes.try_into().unwrap()
        };
        let long = "A_LABEL_OF_MORE_THAN_SIXTEEN";
        assert_eq!(label(&plain(long), Some(&wide(&long[..16]))), long);
        assert_eq!(label(&plain("MEDIA"), Some(&wide("Media"))), "Media");
        assert_eq!(label(&plain("MEDIA"), None), "MEDIA");
    }
}
