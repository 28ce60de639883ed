//! Device patterns, as `modules.alias` has them: `*`, `?`, `[…]`, and `\` before a character that means itself.
//!
//! The rules are those of `fnmatch(3)` without flags, which `modprobe` uses. The time is at most the product of both lengths.

/// Whether all of `text` is what `pattern` describes.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.as_bytes(), text.as_bytes());
    // Where to go on when what follows the last `*` did not fit: the `*` then takes one byte more.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let Some((b'*', after)) = pattern.split_first() {
            retry = Some((after, text));
            pattern = after;
            continue;
        }
        let step = match (pattern.is_empty(), text.split_first()) {
            (true, None) => return true,
            (false, Some((byte, rest))) => one(pattern, *byte).map(|after| (after, rest)),
            _ => None,
        };
        if let Some((after, rest)) = step {
            (pattern, text) = (after, rest);
            continue;
        }
        let Some((after, from)) = retry else {
            return false;
        };
        let Some((_, shorter)) = from.split_first() else {
            return false;
        };
        retry = Some((after, shorter));
        (pattern, text) = (after, shorter);
    }
}

/// Takes what stands for one byte from the front of `pattern`, if it fits `byte`: the rest of the pattern.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    let (first, after) = pattern.split_first()?;
    match first {
        b'?' => Some(after),
        b'\\' => {
            let (literal, after) = after.split_first().unwrap_or((first, after));
            (*literal == byte).then_some(after)
        }
        b'[' => match set(after) {
            Some((members, negated, after)) => {
                (contains(members, byte) != negated).then_some(after)
            }
            // A bracket that nothing closes means itself.
            None => (byte == b'[').then_some(after),
        },
        _ => (*first == byte).then_some(after),
    }
}

/// What stands in brackets, whether it is negated, and what follows the closing one.
fn set(after: &[u8]) -> Option<(&[u8], bool, &[u8])> {
    let (negated, body) = match after.split_first() {
        Some((b'!' | b'^', body)) => (true, body),
        _ => (false, after),
    };
    // A closing bracket in the first place is a member.
    let end = body
        .iter()
        .skip(1)
        .position(|b| *b == b']')?
        .checked_add(1)?;
    let (members, rest) = body.split_at_checked(end)?;
    Some((members, negated, rest.split_first()?.1))
}

fn contains(mut members: &[u8], byte: u8) -> bool {
    while let Some((first, rest)) = members.split_first() {
        if let [b'-', last, after @ ..] = rest {
            if (*first..=*last).contains(&byte) {
                return true;
            }
            members = after;
        } else {
            if *first == byte {
                return true;
            }
            members = rest;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_fnmatch_does() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("*", "", true),
            ("*", "anything", true),
            ("a*c", "abbbc", true),
            ("a*c", "abbbd", false),
            ("*a*b*c*", "xxaxxbxxcxx", true),
            ("*a*b*c*", "xxaxxcxxbxx", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[abc]", "b", true),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[!a-c]", "d", true),
            ("[^a-c]", "b", false),
            ("[]]", "]", true),
            ("[a-]", "-", true),
            ("[ab", "[ab", true),
            ("[", "[", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("\\", "\\", true),
            (
                "pci:v*d*sv*sd*bc01sc06i01*",
                "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01",
                true,
            ),
            (
                "pci:v00001AF4d*sv*sd*bc*sc*i*",
                "pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00",
                true,
            ),
            (
                "usb:v*p*d*dc*dsc*dp*ic08isc06ip50in*",
                "usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00",
                true,
            ),
            (
                "usb:v0421p0019d059[2-9]dc*",
                "usb:v0421p0019d0594dc00",
                true,
            ),
            ("scsi:t-0x05*", "scsi:t-0x05", true),
            ("scsi:t-0x05*", "scsi:t-0x00", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_exponential_time() {
        let pattern = "*a".repeat(200);
        assert!(!matches(&pattern, &"a".repeat(199)));
        assert!(matches(&pattern, &"a".repeat(500)));
    }
}
