//! The order of version strings, numbers in them by their value.

use std::cmp::Ordering;

/// Compares versions as `rpm` does: runs of digits by value, runs of letters by byte, what separates them only separates; a `~`
/// comes before everything, even the end; digits are newer than letters; more parts are newer.
///
/// Source: `rpmvercmp` of rpm 4.20, without its `^`. Two strings that differ in separators alone are compared byte by byte at
/// last, so that the order is total.
#[must_use]
pub fn compare(left: &str, right: &str) -> Ordering {
    let (mut a, mut b) = (left.as_bytes(), right.as_bytes());
    loop {
        a = skip_separators(a);
        b = skip_separators(b);
        match (a.first(), b.first()) {
            (Some(b'~'), Some(b'~')) => {
                a = a.get(1..).unwrap_or_default();
                b = b.get(1..).unwrap_or_default();
                continue;
            }
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            (None, None) => return left.cmp(right),
            (None, _) => return Ordering::Less,
            (_, None) => return Ordering::Greater,
            (Some(x), Some(y)) => match (x.is_ascii_digit(), y.is_ascii_digit()) {
                (true, false) => return Ordering::Greater,
                (false, true) => return Ordering::Less,
                _ => {}
            },
        }
        let (run_a, rest_a) = take_run(a);
        let (run_b, rest_b) = take_run(b);
        let order = if run_a.first().is_some_and(u8::is_ascii_digit) {
            let (x, y) = (strip_zeros(run_a), strip_zeros(run_b));
            x.len().cmp(&y.len()).then_with(|| x.cmp(y))
        } else {
            run_a.cmp(run_b)
        };
        if order != Ordering::Equal {
            return order;
        }
        a = rest_a;
        b = rest_b;
    }
}

fn skip_separators(text: &[u8]) -> &[u8] {
    let separator = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte != b'~';
    let len = text.iter().take_while(|byte| separator(byte)).count();
    text.get(len..).unwrap_or_default()
}

/// The digits or letters at the start, and what follows.
fn take_run(text: &[u8]) -> (&[u8], &[u8]) {
    let digits = text.first().is_some_and(u8::is_ascii_digit);
    let same = |byte: &&u8| byte.is_ascii_alphanumeric() && byte.is_ascii_digit() == digits;
    let len = text.iter().take_while(same).count();
    text.split_at_checked(len).unwrap_or((text, &[]))
}

fn strip_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|byte| **byte == b'0').count();
    digits.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_versions_are_ordered_by_the_value_of_their_numbers() {
        let sorted = [
            "0-rescue-5f3a",
            "5.14.0-9.el9.x86_64",
            "5.14.0-427.13.1.el9_4.x86_64",
            "6.1.0~rc3-amd64",
            "6.1.0-9-amd64",
            "6.1.0-18-amd64",
            "6.1.0-18-cloud-amd64",
            "6.1.0-18-1",
            "6.6.51.1-5.azl3",
            "6.12.0",
            "6.12.00-1",
            "99999999999999999999999999.1",
        ];
        for (i, left) in sorted.iter().enumerate() {
            for (j, right) in sorted.iter().enumerate() {
                assert_eq!(compare(left, right), i.cmp(&j), "{left} {right}");
            }
        }
    }

    #[test]
    fn the_order_is_total() {
        assert_eq!(compare("1.0", "1-0"), "1.0".cmp("1-0"));
        assert_eq!(compare("", ""), Ordering::Equal);
        assert_eq!(compare("", "~"), Ordering::Greater);
    }
}
