//! Rules for text: what a host name, a path of the image or an address looks like.
//!
//! A rule answers with what is wrong, to follow the name of the key.

/// The result of a rule.
pub(super) type Checked = Result<(), String>;

fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut shown: String = text
        .chars()
        .take(LONGEST)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().count() > LONGEST {
        shown.push('…');
    }
    format!("`{shown}`")
}

fn unless(is_right: bool, message: impl FnOnce() -> String) -> Checked {
    if is_right { Ok(()) } else { Err(message()) }
}

/// A host name: labels of letters, digits and hyphens.
///
/// Source: RFC 952 and RFC 1123 2.1; at most 64 characters as in Linux (`HOST_NAME_MAX`), beyond which systemd ignores `/etc/hostname`.
pub(super) fn host_name(text: &str) -> Checked {
    const LONGEST: usize = 64;
    if text.len() > LONGEST {
        return Err(format!(
            "has {} characters, and Linux takes {LONGEST}",
            text.len()
        ));
    }
    let is_label = |label: &str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let ends_well = !label.starts_with('-') && !label.ends_with('-');
        (1..=63).contains(&label.len()) && label.bytes().all(is_inner) && ends_well
    };
    unless(text.split('.').all(is_label), || {
        format!(
            "is {}, which is no host name: labels of letters, digits and inner hyphens, with dots between them",
            quoted(text)
        )
    })
}

/// The name of a user or a group: no character that ends a field of `/etc/passwd`.
pub(super) fn account(text: &str) -> Checked {
    const LONGEST: usize = 32;
    if text.len() > LONGEST {
        return Err(format!(
            "has {} characters, and a name has at most {LONGEST}",
            text.len()
        ));
    }
    let is_wrong = |letter: char| {
        letter.is_whitespace() || letter.is_control() || matches!(letter, ':' | ',' | '/')
    };
    let is_right =
        !text.contains(is_wrong) && !text.starts_with('-') && !matches!(text, "." | "..");
    unless(is_right, || {
        format!(
            "is {}, and a name has no blank, `:`, `,` or `/` and does not start with `-`",
            quoted(text)
        )
    })
}

/// A line of text: nothing in it ends a line.
pub(super) fn line(text: &str) -> Checked {
    unless(!text.contains(char::is_control), || {
        format!("is {}, and must be a single line", quoted(text))
    })
}

/// A word: no blank, nothing that ends a line.
pub(super) fn word(text: &str) -> Checked {
    let is_wrong = |letter: char| letter.is_whitespace() || letter.is_control();
    unless(
        !text.is_empty() && !text.contains(is_wrong),
        || match text {
            "" => "is empty".to_owned(),
            text => format!("is {}, and must be without blanks", quoted(text)),
        },
    )
}

/// The name of a package or a unit: a word that is no option of the program that it is given to.
pub(super) fn name(text: &str) -> Checked {
    word(text)?;
    unless(!text.starts_with('-'), || {
        format!("is {}, and a name does not start with `-`", quoted(text))
    })
}

/// A place in the image or on the media: relative ones are taken from the root, and nothing leads out of it.
pub(super) fn destination(text: &str) -> Checked {
    folder(text)?;
    let is_root = !text.split('/').any(|name| !matches!(name, "" | "."));
    unless(!is_root, || {
        format!("is {}, which names the root folder itself", quoted(text))
    })
}

/// A folder of the image: as [`destination`], or the root.
pub(super) fn folder(text: &str) -> Checked {
    if text.split('/').any(|name| name == "..") {
        return Err(format!("is {}, and must be without `..`", quoted(text)));
    }
    unless(tree::TreePath::parse(text).is_ok(), || {
        format!("is {}, and a part of it cannot be a name", quoted(text))
    })
}

/// An absolute path of the image that can stand in `/etc/fstab`.
pub(super) fn mount_path(text: &str) -> Checked {
    let is_wrong =
        |letter: char| letter.is_whitespace() || letter.is_control() || matches!(letter, ':' | ',');
    if !text.starts_with('/') {
        return Err(format!("is {}, and must be an absolute path", quoted(text)));
    }
    folder(text)?;
    unless(!text.contains(is_wrong), || {
        format!(
            "is {}, and must be without blanks, `:` and `,`",
            quoted(text)
        )
    })
}

/// An absolute path of the image that can stand in `/etc/passwd`.
pub(super) fn absolute(text: &str) -> Checked {
    let is_wrong = |letter: char| letter.is_control() || letter == ':';
    unless(text.starts_with('/') && !text.contains(is_wrong), || {
        format!(
            "is {}, and must be an absolute path without `:`",
            quoted(text)
        )
    })
}

/// The name of an environment variable.
pub(super) fn variable(text: &str) -> Checked {
    unless(!text.is_empty() && !text.contains('='), || {
        format!("is {}, and must have a character and no `=`", quoted(text))
    })
}

/// Any text.
pub(super) fn anything(_: &str) -> Checked {
    Ok(())
}

/// A date, or a time as in RFC 3339 5.6.
pub(super) fn time(text: &str) -> Checked {
    unless(is_time(text), || {
        format!(
            "is {}, and must be a date as 2026-01-31 or a time as 2026-01-31T12:00:00Z",
            quoted(text)
        )
    })
}

fn is_time(text: &str) -> bool {
    let Some((date, rest)) = text.split_at_checked(10) else {
        return false;
    };
    if !is_date(date) {
        return false;
    }
    if rest.is_empty() {
        return true;
    }
    let Some(rest) = rest.strip_prefix(['T', 't']) else {
        return false;
    };
    let Some((clock, rest)) = rest.split_at_checked(8) else {
        return false;
    };
    let rest = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) => {
            let rest = fraction.trim_start_matches(|digit: char| digit.is_ascii_digit());
            if rest.len() == fraction.len() {
                return false;
            }
            rest
        }
    };
    let is_offset = |text: &str| {
        let clock = text.strip_prefix(['+', '-']);
        clock
            .and_then(|clock| numbers(clock, ':', [2, 2]))
            .is_some_and(|[hour, minute]| hour < 24 && minute < 60)
    };
    let is_clock = numbers(clock, ':', [2, 2, 2])
        .is_some_and(|[hour, minute, second]| hour < 24 && minute < 60 && second < 61);
    is_clock && (matches!(rest, "Z" | "z") || is_offset(rest))
}

fn is_date(text: &str) -> bool {
    numbers(text, '-', [4, 2, 2]).is_some_and(|[year, month, day]| {
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            4 | 6 | 9 | 11 => 30,
            2 if is_leap => 29,
            2 => 28,
            1..=12 => 31,
            _ => 0,
        };
        (1..=days).contains(&day)
    })
}

/// Numbers of fixed lengths in digits.
fn numbers<const N: usize>(text: &str, between: char, lens: [usize; N]) -> Option<[u32; N]> {
    let mut parts = text.split(between);
    let mut numbers = [0; N];
    for (number, len) in numbers.iter_mut().zip(lens) {
        let digits = parts.next()?;
        if digits.len() != len || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        *number = digits.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// A variant of Azure Linux: a part of an OCI repository's name (distribution specification 1.1, "pulling manifests").
pub(super) fn variant(text: &str) -> Checked {
    let is_run = |run: &str| {
        matches!(run, "." | "_" | "__") || (!run.is_empty() && run.bytes().all(|byte| byte == b'-'))
    };
    let is_letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let is_right = text.starts_with(is_letter)
        && text.ends_with(is_letter)
        && text
            .split(is_letter)
            .filter(|run| !run.is_empty())
            .all(is_run);
    unless(is_right, || {
        format!(
            "is {}, and must be small letters and digits, with `.`, `_`, `__` or `-` between them",
            quoted(text)
        )
    })
}

/// A version of Azure Linux: two numbers, and a date.
pub(super) fn version(text: &str) -> Checked {
    let parts: Vec<&str> = text.split('.').collect();
    let are_numbers = parts
        .iter()
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    unless(are_numbers && (2..=3).contains(&parts.len()), || {
        format!(
            "is {}, and must be MAJOR.MINOR or MAJOR.MINOR.DATE, as 3.0",
            quoted(text)
        )
    })
}

/// A reference of an OCI image: `registry/repository:tag` or `@digest`.
pub(super) fn oci_reference(text: &str) -> Checked {
    word(text)?;
    let (registry, repository) = text.split_once('/').unwrap_or((text, ""));
    unless(
        !registry.is_empty() && !repository.is_empty() && !text.contains("://"),
        || {
            format!(
                "is {}, and must be REGISTRY/REPOSITORY with `:TAG` or `@DIGEST`, without `https://`",
                quoted(text)
            )
        },
    )
}

/// How a machine may fetch from the network: the schemes of addresses, as they are written.
const SCHEMES: [&str; 5] = ["ftp://", "http://", "https://", "nfs://", "tftp://"];

/// An address of a folder or a file that a machine fetches while it boots.
pub(super) fn url(text: &str) -> Checked {
    word(text)?;
    let Some(rest) = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)) else {
        return Err(format!(
            "is {}, and must start with {}",
            quoted(text),
            super::shape::listed(SCHEMES.into_iter())
        ));
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let Some((name, port)) = rest.split_once(']') else {
                return Err(format!("is {}, and its `[` is not closed", quoted(text)));
            };
            (name, port)
        }
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    if name.is_empty() {
        return Err(format!("is {}, and names no host", quoted(text)));
    }
    let is_port = match port.strip_prefix(':') {
        None => port.is_empty(),
        Some(digits) => digits.is_empty() || digits.parse::<u16>().is_ok(),
    };
    if !is_port {
        return Err(format!(
            "is {}, and its port is no number up to 65535",
            quoted(text)
        ));
    }
    let is_escaped = rest.split('%').skip(1).all(|after| {
        let digits = after.as_bytes().get(..2).unwrap_or_default();
        digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit)
    });
    unless(is_escaped, || {
        format!(
            "is {}, and a `%` in it is not followed by two hexadecimal digits",
            quoted(text)
        )
    })
}

/// An address of a file: its last part is the file's name.
pub(super) fn file_url(text: &str) -> Checked {
    url(text)?;
    let path = text.split_once("://").map_or("", |(_, rest)| rest);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let name = path
        .split_once('/')
        .and_then(|(_, path)| path.rsplit('/').next());
    unless(name.is_some_and(|name| !name.is_empty()), || {
        format!("is {}, which ends without the name of a file", quoted(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::type_complexity, reason = "a table of a test")]
    const RULES: &[(fn(&str) -> Checked, &[&str], &[&str])] = &[
        (
            host_name,
            &["a", "a-b.example.org", "1", "X9"],
            &[
                "",
                "a_b",
                "-a",
                "a-",
                "a..b",
                ".a",
                "a.",
                "a b",
                "ä",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            ],
        ),
        (
            account,
            &["root", "a.b", "user$", "domain\\user"],
            &[
                "a b",
                "a:b",
                "-a",
                "..",
                "a/b",
                "a\nb",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            ],
        ),
        (word, &["a", "a=b"], &["", "a b", "a\tb", "a\n"]),
        (name, &["vim", "a.service"], &["", "-y", "a b"]),
        (
            destination,
            &["/a", "a/b", "/a/./b"],
            &["/", "", ".", "/..", "a/../b"],
        ),
        (folder, &["/", "a"], &["/a/.."]),
        (
            mount_path,
            &["/", "/a"],
            &["a", "/a b", "/a:b", "/a,b", "/a/../b"],
        ),
        (absolute, &["/home/a b"], &["home", "/a:b", "/a\nb"]),
        (variable, &["A"], &["", "A=B"]),
        (
            time,
            &[
                "2026-01-31",
                "2024-02-29",
                "2024-05-20T15:04:05Z",
                "2024-05-20t15:04:05.123+02:00",
            ],
            &[
                "2026-02-29",
                "2026-13-01",
                "2026-1-31",
                "2026-01-31T",
                "2024-05-20T25:04:05Z",
                "2024-05-20T15:04:05",
                "2024-05-20T15:04:05.Z",
                "yesterday!",
                "äääääääääääää",
            ],
        ),
        (
            variant,
            &["minimal-os", "a.b_c__d---e"],
            &["", "A", "-a", "a..b", "a___b", "a.-b"],
        ),
        (
            version,
            &["3.0", "3.0.20250401"],
            &["3", "3.0.1.2", "3.", "a.b"],
        ),
        (
            oci_reference,
            &["mcr.example/azurelinux/os:3.0", "r/x@sha256:00"],
            &["", "x", "https://r/x", "r/x y"],
        ),
        (
            url,
            &[
                "http://host",
                "https://[::1]:8080/a",
                "tftp://user@host:69/a%20b",
                "nfs://host/a",
                "ftp://h/?a",
            ],
            &[
                "",
                "host",
                "HTTP://host",
                "torrent://host",
                "http://",
                "http:///a",
                "http://host:a",
                "http://host:70000",
                "http://a b",
                "http://[::1/",
                "http://h/%2",
                "http://h/%zz",
            ],
        ),
        (
            file_url,
            &["http://host/a.iso", "http://host/a/b.iso?x=/"],
            &[
                "http://host",
                "http://host/",
                "http://host/a/",
                "http://host?a/b",
            ],
        ),
    ];

    #[test]
    fn a_rule_takes_what_is_right_and_refuses_the_rest_with_a_reason() {
        for (rule, right, wrong) in RULES {
            for text in *right {
                assert_eq!(rule(text), Ok(()), "{text:?}");
            }
            for text in *wrong {
                let message = rule(text).expect_err(text);
                assert!(
                    message.starts_with("is ") || message.starts_with("has "),
                    "{message}"
                );
            }
        }
    }
}
