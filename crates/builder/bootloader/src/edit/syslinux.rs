//! The change of a configuration of isolinux and its relatives: `APPEND` and `INITRD` lines.
//!
//! Keywords are read in any case. A label counts where it starts Linux: it has an initramfs, or `LINUX` names its kernel; others (memory
//! tests, chained boot loaders, menus) stay as they are.
//!
//! Source: Syslinux 6.04, `doc/syslinux.txt` and `core/elflink/readconfig.c` (`com32/elflink/ldlinux`).

use block::{Error, Result};

use super::{Change, Changed, Line, beside};
use crate::cmdline;

/// The longest file that is read, in bytes; real ones have under 50 KiB. A longer one is refused.
const LIMIT: usize = 1 << 20;

/// Changes every label.
pub(super) fn edit(bytes: &[u8], change: &Change<'_>) -> Result<Changed> {
    let what = "a configuration of isolinux";
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
    let mut label: Vec<&str> = Vec::new();
    for line in text.split_inclusive('\n') {
        if keyword(line).is_some_and(|(word, _)| word == "label") {
            finish(
                &std::mem::take(&mut label),
                change,
                &mut result,
                &mut changed,
            );
        }
        label.push(line);
    }
    finish(&label, change, &mut result, &mut changed);
    changed.bytes = result.into_bytes();
    Ok(changed)
}

/// The keyword of a line in lower case, and its value.
fn keyword(line: &str) -> Option<(String, &str)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (word, value) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    Some((word.to_ascii_lowercase(), value.trim_start()))
}

/// Writes the lines of one label, or those before the first, with their change.
fn finish(lines: &[&str], change: &Change<'_>, result: &mut String, changed: &mut Changed) {
    let value = |name: &str| {
        lines.iter().find_map(|line| {
            let (word, value) = keyword(line)?;
            (word == name).then_some(value)
        })
    };
    let append = value("append").filter(|value| *value != "-");
    let kernel = value("linux").or_else(|| value("kernel"));
    let old = append.map(cmdline::split).unwrap_or_default();
    let inline = old
        .iter()
        .find_map(|argument| argument.strip_prefix("initrd="));
    let has_initramfs = value("initrd").is_some() || inline.is_some();
    let is_module = kernel.is_some_and(|kernel| {
        let name = kernel.split_whitespace().next().unwrap_or_default();
        name.to_ascii_lowercase().ends_with(".c32")
    });
    // Before the first label an `APPEND` is for all labels that have none.
    let starts_linux = value("linux").is_some() || has_initramfs;
    let Some(kernel) = kernel.filter(|_| starts_linux && !is_module) else {
        lines.iter().for_each(|line| result.push_str(line));
        return;
    };
    let inline = inline.map(str::to_owned);
    let arguments: Vec<String> = old
        .iter()
        .filter(|argument| !argument.starts_with("initrd="))
        .cloned()
        .collect();
    let mut new = change.parameters.apply(&arguments);
    let listed: Vec<String> = value("initrd")
        .or(inline.as_deref())
        .map(|list| list.split(',').map(str::to_owned).collect())
        .unwrap_or_default();
    let mut initramfs = listed.clone();
    if let (Some(path), Some(known)) = (change.initramfs, listed.first()) {
        initramfs.push(beside(known, path));
    }
    changed.lines.push(Line {
        title: title(lines),
        kernel: kernel.to_owned(),
        initramfs: initramfs.clone(),
        parameters: new.clone(),
    });
    let has_line = value("initrd").is_some();
    if inline.is_some() && !has_line {
        let place = old
            .iter()
            .position(|argument| argument.starts_with("initrd="))
            .unwrap_or(0);
        new.insert(
            place.min(new.len()),
            format!("initrd={}", initramfs.join(",")),
        );
    }
    let is_same = new == old;
    for line in lines {
        match keyword(line) {
            Some((word, _)) if word == "append" && append.is_some() && !is_same => {
                result.push_str(&with_value(line, &cmdline::join(&new)));
            }
            Some((word, _)) if word == "initrd" && initramfs != listed => {
                result.push_str(&with_value(line, &initramfs.join(",")));
            }
            Some((word, _))
                if matches!(word.as_str(), "linux" | "kernel")
                    && append.is_none()
                    && value("append").is_none()
                    && !new.is_empty() =>
            {
                let end = if line.ends_with('\n') { "" } else { "\n" };
                let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
                result.push_str(&format!(
                    "{line}{end}{indent}APPEND {}\n",
                    cmdline::join(&new)
                ));
            }
            _ => result.push_str(line),
        }
    }
}

/// A line with its keyword as it was and another value.
fn with_value(line: &str, value: &str) -> String {
    let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
    let word = line.split_whitespace().next().unwrap_or_default();
    let end = if line.ends_with("\r\n") {
        "\r\n"
    } else if line.ends_with('\n') {
        "\n"
    } else {
        ""
    };
    format!("{indent}{word} {value}{end}")
}

fn title(lines: &[&str]) -> String {
    let menu = lines.iter().find_map(|line| {
        let (word, value) = keyword(line)?;
        let (second, rest) = value.split_once([' ', '\t'])?;
        (word == "menu" && second.eq_ignore_ascii_case("label")).then(|| rest.trim().to_owned())
    });
    let label = || {
        lines.iter().find_map(|line| {
            let (word, value) = keyword(line)?;
            (word == "label").then(|| value.to_owned())
        })
    };
    menu.or_else(label).unwrap_or_default()
}
