//! Names of systemd's units.
//!
//! Source: systemd 252, `src/basic/unit-name.c`, systemd.unit(5).

/// What ends the name of a unit.
const SUFFIXES: [&str; 11] = [
    ".service",
    ".socket",
    ".target",
    ".timer",
    ".mount",
    ".automount",
    ".swap",
    ".path",
    ".slice",
    ".scope",
    ".device",
];

/// The longest name.
const MAX_LEN: usize = 255;

/// The name of the unit that a user means: `cron` is `cron.service`. `None` where no unit can have such a name.
pub(super) fn mangle(asked: &str) -> Option<String> {
    let has_suffix = SUFFIXES.iter().any(|suffix| asked.ends_with(suffix));
    let name = if has_suffix {
        asked.to_owned()
    } else {
        format!("{asked}.service")
    };
    is_valid(&name).then_some(name)
}

/// Whether a unit can have this name.
pub(super) fn is_valid(name: &str) -> bool {
    let Some((stem, _)) = name.rsplit_once('.') else {
        return false;
    };
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    let has_suffix = SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
    has_suffix
        && name.len() <= MAX_LEN
        && !stem.is_empty()
        && !stem.starts_with('@')
        && stem.bytes().all(is_allowed)
}

/// The parts of `prefix@instance.suffix`; the instance of a template is empty. `None` for a plain name.
pub(super) fn parts(name: &str) -> Option<(&str, &str, &str)> {
    let (stem, suffix) = name.rsplit_once('.')?;
    let (prefix, instance) = stem.split_once('@')?;
    Some((prefix, instance, suffix))
}

/// Whether it is a template: `getty@.service`.
pub(super) fn is_template(name: &str) -> bool {
    parts(name).is_some_and(|(_, instance, _)| instance.is_empty())
}

/// The template of an instance.
pub(super) fn template(name: &str) -> Option<String> {
    let (prefix, instance, suffix) = parts(name)?;
    (!instance.is_empty()).then(|| format!("{prefix}@.{suffix}"))
}

/// The template `name` with an instance.
pub(super) fn with_instance(name: &str, instance: &str) -> String {
    match parts(name) {
        Some((prefix, _, suffix)) => format!("{prefix}@{instance}.{suffix}"),
        None => name.to_owned(),
    }
}

/// `text` with what stands for the parts of the unit's name. `None` where it asks for something else, which is known only on the
/// machine that boots.
///
/// Source: systemd.unit(5), "Specifiers"; of those, `systemctl enable` knows these and the machine's.
pub(super) fn expand(text: &str, name: &str) -> Option<String> {
    let (prefix, instance) = match parts(name) {
        Some((prefix, instance, _)) => (prefix, instance),
        None => (name.rsplit_once('.').map_or(name, |(stem, _)| stem), ""),
    };
    let mut found = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            found.push(character);
            continue;
        }
        match characters.next()? {
            'n' => found.push_str(name),
            'N' => found.push_str(name.rsplit_once('.').map_or(name, |(stem, _)| stem)),
            'p' => found.push_str(prefix),
            'i' => found.push_str(instance),
            'j' => found.push_str(prefix.rsplit('-').next().unwrap_or_default()),
            '%' => found.push('%'),
            _ => return None,
        }
    }
    Some(found)
}

/// The candidate that is most like `asked`, if any is near.
pub(super) fn nearest<'a>(
    asked: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let bound = asked.len() / 3 + 1;
    candidates
        .filter(|candidate| candidate.len().abs_diff(asked.len()) <= bound)
        .map(|candidate| (distance(asked.as_bytes(), candidate.as_bytes()), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many bytes have to be changed, put in or left out (Levenshtein).
fn distance(one: &[u8], two: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, b) in two.iter().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        assert_eq!(mangle("cron").as_deref(), Some("cron.service"));
        assert_eq!(mangle("a.timer").as_deref(), Some("a.timer"));
        assert_eq!(mangle("1.2").as_deref(), Some("1.2.service"));
        for bad in ["", "a/b", "a b", "@x", "../a", &"x".repeat(300)] {
            assert_eq!(mangle(bad), None, "{bad}");
        }
        assert!(is_template("getty@.service") && !is_template("getty@tty1.service"));
        assert_eq!(
            template("getty@tty1.service").as_deref(),
            Some("getty@.service")
        );
        assert_eq!(with_instance("a@.timer", "x"), "a@x.timer");
    }

    #[test]
    fn specifiers_stand_for_parts_of_the_name() {
        let expand = |text| expand(text, "a-b@c.service");
        assert_eq!(
            expand("%n %N %p %i %j %%").as_deref(),
            Some("a-b@c.service a-b@c a-b c b %")
        );
        assert_eq!((expand("%H"), expand("%")), (None, None));
    }

    #[test]
    fn the_nearest_name_is_found_and_no_far_one() {
        let names = ["cron.service", "sshd.service", "console-getty.service"];
        assert_eq!(
            nearest("ssh.service", names.into_iter()),
            Some("sshd.service")
        );
        assert_eq!(nearest("quite-other.service", names.into_iter()), None);
        assert_eq!(distance(b"kitten", b"sitting"), 3);
    }
}
