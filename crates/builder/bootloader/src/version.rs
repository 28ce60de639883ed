//! The order of versions, as rpm and GRUB's `blscfg` have it.

use std::cmp::Ordering;

/// Compares versions part by part: numbers by value, letters by byte, a number after letters; `~` sorts before the end, `^` behind it.
///
/// Other characters only separate. Source: rpm 4.18 `rpmio/rpmvercmp.c`, whose rules GRUB's `blscfg` has as well.
#[must_use]
pub fn compare(one: &str, two: &str) -> Ordering {
    let (mut one, mut two) = (one.as_bytes(), two.as_bytes());
    loop {
        one = skip_separators(one);
        two = skip_separators(two);
        for (mark, at_end) in [(b'~', Ordering::Less), (b'^', Ordering::Greater)] {
            match (one.first() == Some(&mark), two.first() == Some(&mark)) {
                (true, true) => {}
                (true, false) if two.is_empty() || mark == b'~' => return at_end,
                (true, false) => return Ordering::Less,
                (false, true) if one.is_empty() || mark == b'~' => return at_end.reverse(),
                (false, true) => return Ordering::Greater,
                (false, false) => continue,
            }
            one = one.get(1..).unwrap_or_default();
            two = two.get(1..).unwrap_or_default();
        }
        if one.is_empty() || two.is_empty() {
            return one.len().cmp(&two.len());
        }
        let (part_one, rest_one) = part(one);
        let (part_two, rest_two) = part(two);
        let order = compare_parts(part_one, part_two);
        if order != Ordering::Equal {
            return order;
        }
        (one, two) = (rest_one, rest_two);
    }
}

fn skip_separators(text: &[u8]) -> &[u8] {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'~' | b'^');
    let len = text.iter().position(is_part).unwrap_or(text.len());
    text.get(len..).unwrap_or_default()
}

/// The digits or the letters at the start, and what follows.
fn part(text: &[u8]) -> (&[u8], &[u8]) {
    let digits = text.first().is_some_and(u8::is_ascii_digit);
    let belongs = |byte: &&u8| {
        if digits {
            byte.is_ascii_digit()
        } else {
            byte.is_ascii_alphabetic()
        }
    };
    text.split_at(text.iter().take_while(belongs).count())
}

fn compare_parts(one: &[u8], two: &[u8]) -> Ordering {
    let number = |part: &[u8]| part.first().is_some_and(u8::is_ascii_digit);
    match (number(one), number(two)) {
        (true, true) => {
            let (one, two) = (significant(one), significant(two));
            one.len().cmp(&two.len()).then_with(|| one.cmp(two))
        }
        (false, false) => one.cmp(two),
        (one, two) => one.cmp(&two),
    }
}

/// Digits without leading zeros.
fn significant(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    digits.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_rpm_has_them() {
        for (older, newer) in [
            ("6.1.0-9-amd64", "6.1.0-13-amd64"),
            ("5.15", "6.1"),
            ("6.1.0-rc1", "6.1.0-2"),
            ("1.0~rc1", "1.0"),
            ("1.0", "1.0^git1"),
            ("1.0^git1", "1.0.1"),
            ("1.a", "1.1"),
            ("1.0", "1.0.1"),
            ("99", "100"),
            ("", "1"),
        ] {
            assert_eq!(compare(older, newer), Ordering::Less, "{older} {newer}");
            assert_eq!(compare(newer, older), Ordering::Greater, "{newer} {older}");
        }
        for (one, two) in [("1.0", "1-0"), ("007", "7"), ("a..b", "a.b"), ("1~", "1~")] {
            assert_eq!(compare(one, two), Ordering::Equal, "{one} {two}");
        }
    }
}
