//! The change of an iPXE script: `kernel` and `initrd` commands.
//!
//! Source: iPXE 1.21, `hci/commands/image_cmd.c`: options come before the URL, everything after it is the command line.

use block::{Error, Result};

use super::{Change, Changed, Line, beside};
use crate::cmdline;

/// The longest script that is read, in bytes; real ones have a few hundred. A longer one is refused.
const LIMIT: usize = 256 << 10;

/// Changes every kernel.
pub(super) fn edit(bytes: &[u8], change: &Change<'_>) -> Result<Changed> {
    let what = "an iPXE script";
    if bytes.len() > LIMIT {
        let message = format!("{} bytes, and at most {LIMIT} are read", bytes.len());
        return Err(Error::limit(what, message));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let offset = u64::try_from(error.valid_up_to()).unwrap_or(u64::MAX);
        Error::corrupt(what, "not UTF-8").at(offset)
    })?;
    let mut changed = Changed::default();
    let mut result = String::new();
    // Several `initrd` commands belong to one kernel; the new one follows the last of them.
    let mut pending: Option<String> = None;
    for line in text.split_inclusive('\n') {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first() != Some(&"initrd") {
            result.extend(pending.take());
        }
        match url(&words) {
            Some(at) if words.first() == Some(&"kernel") => {
                result.push_str(&kernel(line, &words, at, change, &mut changed));
            }
            Some(at) if words.first() == Some(&"initrd") => {
                let known = words.get(at).copied().unwrap_or_default();
                let of_line = changed.lines.last_mut();
                let first = of_line
                    .as_ref()
                    .is_none_or(|line| line.initramfs.is_empty());
                if let Some(of_line) = of_line {
                    of_line.initramfs.push(known.to_owned());
                }
                result.push_str(line);
                if let Some(path) = change.initramfs.filter(|_| first) {
                    let new = beside(known, path);
                    let end = if line.ends_with('\n') { "" } else { "\n" };
                    pending = Some(format!("{end}initrd {new}\n"));
                }
            }
            _ => result.push_str(line),
        }
    }
    result.extend(pending);
    if let Some(path) = change.initramfs {
        for line in &mut changed.lines {
            if let Some(known) = line.initramfs.first() {
                let new = beside(known, path);
                line.initramfs.push(new);
            }
        }
    }
    changed.bytes = result.into_bytes();
    Ok(changed)
}

/// The place among `words` of what is loaded: the first that is no option. An option's value stands behind `=` or is the next word.
fn url(words: &[&str]) -> Option<usize> {
    let mut at = 1;
    loop {
        match words.get(at)? {
            word if word.starts_with('-') => {
                let takes_value =
                    !word.contains('=') && matches!(*word, "-n" | "--name" | "-t" | "--timeout");
                at += if takes_value { 2 } else { 1 };
            }
            _ => return Some(at),
        }
    }
}

fn kernel(
    line: &str,
    words: &[&str],
    at: usize,
    change: &Change<'_>,
    changed: &mut Changed,
) -> String {
    // What stands behind `||` is another command.
    let end = words
        .iter()
        .position(|word| matches!(*word, "||" | "&&"))
        .unwrap_or(words.len());
    let text = words.get(at + 1..end).unwrap_or_default().join(" ");
    let old = cmdline::split(&text);
    let of_kernel = |argument: &String| argument.starts_with("initrd=");
    let (own, old): (Vec<String>, Vec<String>) = old.into_iter().partition(of_kernel);
    let new = change.parameters.apply(&old);
    changed.lines.push(Line {
        title: String::new(),
        kernel: words.get(at).copied().unwrap_or_default().to_owned(),
        initramfs: Vec::new(),
        parameters: new.clone(),
    });
    if new == old {
        return line.to_owned();
    }
    let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
    let mut parts: Vec<String> = words
        .get(..=at)
        .unwrap_or_default()
        .iter()
        .map(|word| (*word).to_owned())
        .collect();
    parts.extend(own);
    parts.push(cmdline::join(&new));
    parts.extend(
        words
            .get(end..)
            .unwrap_or_default()
            .iter()
            .map(|word| (*word).to_owned()),
    );
    let last = if line.ends_with('\n') { "\n" } else { "" };
    format!("{indent}{}{last}", parts.join(" "))
}
