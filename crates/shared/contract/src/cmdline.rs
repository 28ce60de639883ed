//! The kernel command line: text to parameters, and parameters to text.
//!
//! The rules are those that every dracut dialect shares (`dracut-util`'s `getarg`, versions 055 to 111), which are the kernel's own:
//! white space outside double quotes ends a parameter, a quote toggles quoting anywhere, nothing escapes, and quotes around the whole
//! parameter or directly around its value are taken away. Names match byte for byte; the last one of a name wins.

use crate::Error;

const WHAT: &str = "command line";

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// What stands before the first `=`.
    pub name: String,
    /// What stands after it; `None` where there is no `=`.
    pub value: Option<String>,
}

impl Argument {
    /// A parameter with a value.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: Some(value.into()),
        }
    }

    /// A name alone.
    pub fn bare(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: None,
        }
    }

    /// What a boolean parameter says: false for exactly `0`, `no` and `off`, true for anything else, also for no value.
    #[must_use]
    pub fn is_true(&self) -> bool {
        !matches!(self.value.as_deref(), Some("0" | "no" | "off"))
    }
}

/// A command line as its parameters, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cmdline {
    arguments: Vec<Argument>,
}

impl Cmdline {
    /// Reads a command line; any text is one.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut cmdline = Self::default();
        cmdline.append(text);
        cmdline
    }

    /// Adds the parameters of `text` at the end, where they win over those before.
    pub fn append(&mut self, text: &str) {
        let mut rest = text.trim_start_matches(is_space);
        while !rest.is_empty() {
            let (argument, after) = lex(rest);
            self.arguments.push(argument);
            rest = after.trim_start_matches(is_space);
        }
    }

    /// Adds a parameter at the end.
    pub fn push(&mut self, argument: Argument) {
        self.arguments.push(argument);
    }

    /// The same behind `earlier` ones, over which it wins.
    #[must_use]
    pub fn after(&self, earlier: impl IntoIterator<Item = Argument>) -> Self {
        let earlier = earlier.into_iter();
        Self {
            arguments: earlier.chain(self.arguments.iter().cloned()).collect(),
        }
    }

    /// The same without those for which `is_out` answers true.
    #[must_use]
    pub fn without(&self, is_out: impl Fn(&Argument) -> bool) -> Self {
        let kept = self.arguments.iter().filter(|argument| !is_out(argument));
        Self {
            arguments: kept.cloned().collect(),
        }
    }

    /// All parameters in order.
    #[must_use]
    pub fn arguments(&self) -> &[Argument] {
        &self.arguments
    }

    /// The last parameter of this name.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<&Argument> {
        self.arguments.iter().rfind(|a| a.name == name)
    }

    /// The value of the last parameter of this name; `None` also where the last one is the name alone.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.last(name)?.value.as_deref()
    }

    /// What the first of `names` that is there at all says; later names are older ones for the same thing.
    #[must_use]
    pub fn boolean(&self, names: &[&str], default: bool) -> bool {
        names
            .iter()
            .find_map(|name| self.last(name))
            .map_or(default, Argument::is_true)
    }

    /// The values of all parameters of this name, in order; a name alone yields the name itself.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.arguments
            .iter()
            .filter(move |a| a.name == name)
            .map(|a| a.value.as_deref().unwrap_or(&a.name))
    }
}

/// `isspace` of the C locale. The kernel's own also takes byte 0xa0 for a space, which would break UTF-8.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

/// Takes one parameter from the front of `text`, which begins with no space and is not empty.
fn lex(text: &str) -> (Argument, &str) {
    let (body, outer_quote) = match text.strip_prefix('"') {
        Some(body) => (body, true),
        None => (text, false),
    };
    let mut quoted = outer_quote;
    let mut equals = None;
    let mut end = body.len();
    for (at, c) in body.char_indices() {
        if is_space(c) && !quoted {
            end = at;
            break;
        }
        // A `=` in front of everything is part of the name, as in the kernel.
        if c == '=' && at > 0 && equals.is_none() {
            equals = Some(at);
        }
        if c == '"' {
            quoted = !quoted;
        }
    }
    let (token, rest) = body.split_at(end);
    let Some((name, value)) = equals.and_then(|at| {
        let (name, value) = token.split_at_checked(at)?;
        Some((name, value.strip_prefix('=')?))
    }) else {
        let name = if outer_quote {
            token.strip_suffix('"').unwrap_or(token)
        } else {
            token
        };
        return (Argument::bare(name), rest);
    };
    let value = match value.strip_prefix('"') {
        Some(inner) => inner.strip_suffix('"').unwrap_or(inner),
        None if outer_quote => value.strip_suffix('"').unwrap_or(value),
        None => value,
    };
    (Argument::new(name, value), rest)
}

/// The parameters as one line, which [`Cmdline::parse`] reads back to equal parameters.
///
/// # Errors
///
/// Where a parameter cannot be written so: an empty name, a name with white space, a quote or a `=`, or a value with a quote or a
/// control character. Nothing escapes on a command line.
pub fn print(arguments: &[Argument]) -> Result<String, Error> {
    let mut line = String::new();
    for Argument { name, value } in arguments {
        let bad = |c: char| is_space(c) || c.is_control() || matches!(c, '"' | '=');
        if name.is_empty() || name.contains(bad) {
            let message = format!("{name:?} cannot be the name of a parameter");
            return Err(Error::whole(WHAT, message));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(name);
        let Some(value) = value else { continue };
        if value.contains(|c: char| c == '"' || c.is_control()) {
            let message = format!("{name}: {value:?} has a character that cannot be written");
            return Err(Error::whole(WHAT, message));
        }
        line.push('=');
        if value.contains(is_space) {
            line.extend(["\"", value, "\""]);
        } else {
            line.push_str(value);
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str) -> Vec<(String, Option<String>)> {
        let cmdline = Cmdline::parse(text);
        let arguments = cmdline.arguments().iter().cloned();
        arguments.map(|a| (a.name, a.value)).collect()
    }

    #[test]
    fn text_becomes_parameters() {
        for (text, expected) in [
            ("", &[] as &[(&str, Option<&str>)]),
            (" \t\n ", &[]),
            ("quiet", &[("quiet", None)]),
            (
                "a=b  c\td=\n",
                &[("a", Some("b")), ("c", None), ("d", Some(""))],
            ),
            ("a=b=c", &[("a", Some("b=c"))]),
            ("a=\"b c\" d", &[("a", Some("b c")), ("d", None)]),
            ("\"a=b c\" d", &[("a", Some("b c")), ("d", None)]),
            ("\"a b\"", &[("a b", None)]),
            ("a=b\" \"c", &[("a", Some("b\" \"c"))]),
            ("a=b\"", &[("a", Some("b\""))]),
            ("a=\"b c", &[("a", Some("b c"))]),
            ("\"a", &[("a", None)]),
            ("a=\"\"", &[("a", Some(""))]),
            ("\"", &[("", None)]),
            ("=a", &[("=a", None)]),
            ("=a=b", &[("=a", Some("b"))]),
            (
                "rd.a-b=1 rd.a_b=2",
                &[("rd.a-b", Some("1")), ("rd.a_b", Some("2"))],
            ),
            ("l=é\u{a0}x", &[("l", Some("é\u{a0}x"))]),
            ("a='b c'", &[("a", Some("'b")), ("c'", None)]),
            ("a=b\\ c", &[("a", Some("b\\")), ("c", None)]),
        ] {
            let expected: Vec<_> = expected
                .iter()
                .map(|(n, v)| ((*n).to_owned(), v.map(str::to_owned)))
                .collect();
            assert_eq!(pairs(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_last_parameter_of_a_name_wins() {
        let mut cmdline = Cmdline::parse("a=1 a=2 b=1 b");
        assert_eq!(cmdline.value("a"), Some("2"));
        assert_eq!(cmdline.value("b"), None);
        assert_eq!(cmdline.last("c"), None);
        cmdline.append("a=3");
        assert_eq!(cmdline.value("a"), Some("3"));
        assert_eq!(cmdline.all("a").collect::<Vec<_>>(), ["1", "2", "3"]);
        assert_eq!(cmdline.all("b").collect::<Vec<_>>(), ["1", "b"]);
    }

    #[test]
    fn false_has_exactly_three_spellings() {
        for (text, expected) in [
            ("k=0", false),
            ("k=no", false),
            ("k=off", false),
            ("k=false", true),
            ("k=No", true),
            ("k=00", true),
            ("k=", true),
            ("k", true),
            ("k=0 k=1", true),
            ("k=1 k=0", false),
        ] {
            let cmdline = Cmdline::parse(text);
            assert_eq!(cmdline.boolean(&["k"], !expected), expected, "{text}");
        }
        assert!(Cmdline::parse("").boolean(&["k"], true));
        assert!(!Cmdline::parse("K=1 kk").boolean(&["k"], false));
    }

    #[test]
    fn an_older_name_counts_only_where_the_newer_one_is_absent() {
        assert!(!Cmdline::parse("new=0 old=1").boolean(&["new", "old"], true));
        assert!(Cmdline::parse("old=1").boolean(&["new", "old"], false));
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        for argument in [
            Argument::bare(""),
            Argument::bare("a b"),
            Argument::bare("a\"b"),
            Argument::new("a=b", "c"),
            Argument::new("a", "b\"c"),
            Argument::new("a", "b\nc"),
        ] {
            assert!(
                print(std::slice::from_ref(&argument)).is_err(),
                "{argument:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_equal(list in prop::collection::vec(("[^ \t-\r\"=\\p{Cc}]{1,6}", proptest::option::of("[^\"\\p{Cc}]{0,8}")), 0..5)) {
            let arguments: Vec<_> = list.into_iter().map(|(name, value)| Argument { name, value }).collect();
            let line = print(&arguments).unwrap();
            let read = Cmdline::parse(&line);
            prop_assert_eq!(read.arguments(), &arguments[..]);
        }

        #[test]
        fn any_text_is_a_command_line(text in any::<String>()) {
            let _ = Cmdline::parse(&text);
        }
    }
}
