//! Kernel command lines: split into arguments and put together again.

/// The arguments of a command line: blanks separate, and do not inside of double quotes. The quotes are taken off.
///
/// Source: Linux 6.1 `lib/cmdline.c`, `next_arg`.
#[must_use]
pub fn split(line: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut argument = String::new();
    let (mut quoted, mut begun) = (false, false);
    for character in line.chars() {
        match character {
            '"' => {
                quoted = !quoted;
                begun = true;
            }
            ' ' | '\t' | '\n' | '\r' if !quoted => {
                if begun {
                    arguments.push(std::mem::take(&mut argument));
                }
                begun = false;
            }
            _ => {
                argument.push(character);
                begun = true;
            }
        }
    }
    if begun {
        arguments.push(argument);
    }
    arguments
}

/// A command line of these arguments. One with blanks gets double quotes; there is no way to write a double quote, so it is left out.
#[must_use]
pub fn join<T: AsRef<str>>(arguments: &[T]) -> String {
    let quoted = |argument: &T| {
        let argument = argument.as_ref().replace('"', "");
        match argument.contains(char::is_whitespace) || argument.is_empty() {
            true => format!("\"{argument}\""),
            false => argument,
        }
    };
    arguments.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// The part of an argument before its first `=`.
#[must_use]
pub fn name(argument: &str) -> &str {
    argument.split_once('=').map_or(argument, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_an_argument_together() {
        let line = "ro  quiet\tdyndbg=\"file a +p\" \"x=1 2\" \"\"";
        assert_eq!(
            split(line),
            ["ro", "quiet", "dyndbg=file a +p", "x=1 2", ""]
        );
        assert_eq!(
            join(&split(line)),
            "ro quiet \"dyndbg=file a +p\" \"x=1 2\" \"\""
        );
        assert_eq!(split(&join(&split(line))), split(line));
    }

    #[test]
    fn an_arguments_name_ends_at_the_first_equals_sign() {
        assert_eq!((name("root=UUID=1"), name("ro")), ("root", "ro"));
    }
}
