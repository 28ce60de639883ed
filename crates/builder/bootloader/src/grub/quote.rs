//! Text as a word of a script.

/// `text` as one word that GRUB reads back as `text`: as it is where that is safe, in single quotes otherwise.
///
/// A NUL cannot be in a word and is left out.
#[must_use]
pub fn quote(text: &str) -> String {
    let text = text.replace('\0', "");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:=,@%+()[]*?!^~".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) && !RESERVED.contains(&text.as_str()) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Words with a meaning of their own at the start of a command.
const RESERVED: &[&str] = &[
    "if", "then", "elif", "else", "fi", "for", "in", "do", "done", "while", "until", "function",
    "case", "esac", "select", "time", "[[", "]]", "!", "[",
];
