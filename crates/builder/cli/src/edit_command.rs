//! `liveos edit`: changes of finished media.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use block::{Content, DiskFile, Error, Kind};
use customize::steps::host_file;
use media::edit::target::{FileTarget, copy};
use media::edit::{Addition, Report, Wish, folder, iso};
use media::output::Output;
use tree::{Inode, Metadata, Name, Node, Tree, TreePath};

use crate::args::EditArguments;
use crate::failure::{Exit, Failure, Result};
use crate::progress::{Progress, Verbosity};

/// How deep a folder that is added to the initramfs may be. Deeper ones are refused.
const MAX_DEPTH: usize = 64;

/// Changes the media and says what they are now.
pub(crate) fn run(arguments: &EditArguments) -> Result<()> {
    let started = Instant::now();
    let progress = Progress::new(if arguments.quiet {
        Verbosity::Quiet
    } else {
        Verbosity::Normal
    });
    let doing = format!("changing {}", arguments.media.display());
    let wish = wish(arguments)?;
    if wish.is_empty() && !arguments.show {
        let fact = "nothing is to be changed; see liveos edit --help, or --show what there is";
        return Err(Failure::new(Exit::Arguments, doing, fact));
    }
    let report = change(arguments, &wish).map_err(|error| classify(&doing, error))?;
    report
        .warnings
        .iter()
        .for_each(|warning| progress.warn(warning));
    if arguments.show {
        std::io::stdout()
            .write_all(render(&report).as_bytes())
            .map_err(|error| Failure::new(Exit::Output, doing, error))?;
    }
    if !wish.is_empty() {
        let written = arguments.output.as_ref().unwrap_or(&arguments.media);
        progress.say(&format!(
            "{}: {}, in {:.2} s",
            written.display(),
            summary(&report),
            started.elapsed().as_secs_f64()
        ));
    }
    Ok(())
}

fn change(arguments: &EditArguments, wish: &Wish) -> block::Result<Report> {
    let media = &arguments.media;
    match &arguments.output {
        None if media.is_dir() => folder::edit(media, wish),
        None => iso::edit(&FileTarget::open(media, !wish.is_empty())?, wish),
        Some(output) if media.is_dir() => {
            let message = "a folder is changed in place; copy it first";
            Err(Error::unsupported("writing changed media", message).in_file(output))
        }
        Some(output) => {
            let from = DiskFile::open(media)?;
            let output = Output::create(output)?;
            let to = output.target();
            copy(&from, &to)?;
            let report = iso::edit(&FileTarget::unfinished(&to)?, wish)?;
            output.commit()?;
            Ok(report)
        }
    }
}

/// Whose fault an error was: the operating system's where it refused, else the input's or the arguments'.
fn classify(doing: &str, error: Error) -> Failure {
    let exit = match error.kind() {
        Kind::Io | Kind::Limit => Exit::Output,
        Kind::Corrupt | Kind::NotFound => Exit::Input,
        _ => Exit::Arguments,
    };
    Failure::new(exit, doing, error)
}

fn wish(arguments: &EditArguments) -> Result<Wish> {
    let wrong = |fact: String| Failure::new(Exit::Arguments, "reading the arguments", fact);
    let mut wish = Wish::new();
    wish.delete.clone_from(&arguments.delete);
    wish.append.clone_from(&arguments.append);
    for text in &arguments.replace {
        let (name, value) = text
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| wrong(format!("--replace {text} does not say NAME=VALUE")))?;
        wish.replace.push((name.to_owned(), value.to_owned()));
    }
    for text in &arguments.add {
        let (from, path) = split("--add", text)?;
        let content = file(&from).map_err(|error| reading(&from, error))?;
        wish.files.push(Addition { path, content });
    }
    if !arguments.initramfs_add.is_empty() {
        let mut tree = Tree::new(Metadata::with_permissions(0o755));
        for text in &arguments.initramfs_add {
            let (from, path) = split("--initramfs-add", text)?;
            let at = TreePath::parse(&path).map_err(|error| wrong(format!("{path}: {error}")))?;
            collect(&mut tree, &from, &at, 0).map_err(|error| reading(&from, error))?;
        }
        wish.initramfs = Some(tree);
    }
    wish.reset = arguments.reset;
    wish.force = arguments.force;
    Ok(wish)
}

fn reading(path: &Path, error: Error) -> Failure {
    Failure::input(format!("reading {}", path.display()), error)
}

/// The two parts of `FILE:/PATH`. A colon may be in the first, as the last one with a slash behind it separates.
fn split(option: &str, text: &str) -> Result<(PathBuf, String)> {
    let parts = text.rsplit_once(":/");
    let (from, path) = parts
        .filter(|(from, path)| !from.is_empty() && !path.is_empty())
        .ok_or_else(|| {
            let fact = format!("{option} {text} does not say FILE:/PATH");
            Failure::new(Exit::Arguments, "reading the arguments", fact)
        })?;
    Ok((PathBuf::from(from), format!("/{path}")))
}

fn file(path: &Path) -> block::Result<Content> {
    Ok(host_file::content(path)?.0)
}

/// Puts what is at `from` into the tree: a file, a link, or a folder with all that is in it.
fn collect(
    tree: &mut Tree<Content>,
    from: &Path,
    at: &TreePath,
    depth: usize,
) -> block::Result<()> {
    let failed = |error| Error::io("reading what is to be added", error).in_file(from);
    let refuse = |why: &str| Error::unsupported("adding to the initramfs", why).in_file(from);
    let invalid =
        |error: tree::Error| Error::unsupported("adding to the initramfs", error.to_string());
    if depth > MAX_DEPTH {
        return Err(refuse("the folder is over 64 deep"));
    }
    let metadata = fs::symlink_metadata(from).map_err(failed)?;
    let mode = u16::try_from(metadata.permissions().mode() & 0o7777).unwrap_or(0o644);
    let kind = metadata.file_type();
    let node = if kind.is_dir() {
        let mut names = Vec::new();
        for entry in fs::read_dir(from).map_err(failed)? {
            names.push(entry.map_err(failed)?.file_name());
        }
        names.sort();
        let folder = Metadata::with_permissions(mode);
        tree.make_directories(at, &folder).map_err(invalid)?;
        for name in names {
            let below = at.join(&Name::new(name.as_bytes()).map_err(invalid)?);
            collect(tree, &from.join(&name), &below, depth + 1)?;
        }
        return Ok(());
    } else if kind.is_symlink() {
        let target = fs::read_link(from).map_err(failed)?;
        Node::Symlink(target.as_os_str().as_bytes().into())
    } else if kind.is_file() {
        Node::File(file(from)?)
    } else {
        return Err(refuse("it is no file, link or folder"));
    };
    let inode = Inode::new(Metadata::with_permissions(mode), node);
    tree.put(at, inode).map(drop).map_err(invalid)
}

/// What is in force, in one line.
fn summary(report: &Report) -> String {
    let parameters = &report.parameters;
    let mut parts = Vec::new();
    if !parameters.is_empty() {
        let count = report.entries.len();
        let word = if count == 1 { "entry" } else { "entries" };
        parts.push(format!("kernel parameters of {count} {word} changed"));
    }
    if !report.files.is_empty() {
        parts.push(format!("{} files added or replaced", report.files.len()));
    }
    if !report.initramfs.is_empty() {
        parts.push(format!("{} files in the initramfs", report.initramfs.len()));
    }
    if parts.is_empty() {
        return "as it was built".to_owned();
    }
    parts.join(", ")
}

/// What is in force, for people.
fn render(report: &Report) -> String {
    let mut text = String::new();
    let mut last = None;
    // Writing to a string cannot fail.
    for (path, line) in &report.entries {
        if last != Some(path) {
            let _ = writeln!(text, "{path}");
            last = Some(path);
        }
        let title = if line.title.is_empty() {
            "(no title)"
        } else {
            &line.title
        };
        let _ = writeln!(
            text,
            "  {title}\n    kernel      {}\n    initramfs   {}\n    parameters  {}",
            line.kernel,
            line.initramfs.join(" "),
            line.parameters.join(" ")
        );
    }
    let parameters = &report.parameters;
    let mut changes: Vec<String> = Vec::new();
    let deleted = parameters.delete.iter();
    changes.extend(deleted.map(|what| format!("--delete {what}")));
    let replaced = parameters.replace.iter();
    changes.extend(replaced.map(|(name, value)| format!("--replace {name}={value}")));
    let appended = parameters.append.iter();
    changes.extend(appended.map(|what| format!("--append {what}")));
    changes.extend(report.files.iter().map(|path| format!("--add …:{path}")));
    let added = report.initramfs.iter();
    changes.extend(added.map(|path| format!("--initramfs-add …:{path}")));
    if changes.is_empty() {
        text.push_str("changes: none\n");
    } else {
        text.push_str("changes\n");
        for change in changes {
            let _ = writeln!(text, "  {change}");
        }
    }
    let (used, whole) = report.room;
    if whole > 0 {
        let _ = writeln!(text, "room: {used} of {whole} bytes in use");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_its_place_are_separated_by_the_last_colon_before_a_slash() {
        assert_eq!(
            split("--add", "a:b:/c/d").unwrap(),
            (PathBuf::from("a:b"), "/c/d".to_owned())
        );
        for text in ["a", "a:b", ":/b", "a:/"] {
            let failure = split("--add", text).unwrap_err();
            assert_eq!(failure.exit_code(), Exit::Arguments as u8, "{text}");
        }
    }
}
