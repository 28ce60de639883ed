//! The word that was meant: the nearest of those that are known.

/// The longest word that is compared; longer ones are no slips of the finger.
const MAX_LEN: usize = 64;

/// The known word that `word` is a slip of, if there is one.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = folded(word);
    if word.is_empty() || word.len() > MAX_LEN {
        return None;
    }
    known
        .map(|known| (distance(&word, &folded(known)), known))
        .filter(|(distance, known)| *distance <= slips(word.len().min(known.len())))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// How many slips a word of `len` letters may have.
fn slips(len: usize) -> usize {
    (len / 3).clamp(1, 4)
}

/// Without capitals and what joins words, which are the commonest slips.
fn folded(word: &str) -> Vec<char> {
    word.chars()
        .filter(|letter| !matches!(letter, '-' | '_' | ' ' | '.'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// How many letters have to be put in, left out, changed or swapped with their neighbour: optimal string alignment.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let changed = last[column] + usize::from(letter != other);
            let mut best = changed.min(last[column + 1] + 1).min(current[column] + 1);
            let swapped =
                row > 0 && column > 0 && *letter == to[column - 1] && from[row - 1] == *other;
            if swapped {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_the_word() {
        let known = ["hostname", "packages", "additionalFiles", "uid"];
        for (word, expected) in [
            ("hostnme", Some("hostname")),
            ("hostanme", Some("hostname")),
            ("host-name", Some("hostname")),
            ("HostName", Some("hostname")),
            ("additional_files", Some("additionalFiles")),
            ("additionalFile", Some("additionalFiles")),
            ("package", Some("packages")),
            ("udi", Some("uid")),
            ("gid", Some("uid")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known.into_iter()), expected, "{word}");
        }
        assert_eq!(nearest(&"h".repeat(100_000), known.into_iter()), None);
    }

    #[test]
    fn a_swap_is_one_slip() {
        let letters = |word: &str| word.chars().collect::<Vec<_>>();
        for (from, to, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abcd", "abdc", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(&letters(from), &letters(to)), expected);
        }
    }
}
