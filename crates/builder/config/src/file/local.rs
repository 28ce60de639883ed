//! Paths of files and folders of the builder's machine: relative to the file that they stand in, and there.

use std::fs::{self, Metadata};
use std::path::{Component, Path, PathBuf};

use super::fields::{Context, Shape};
use super::form::Form;
use super::node::{Node, Value};

/// What a path has to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Local {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A regular file or a folder.
    Either,
    /// Anything, there or not.
    Unchecked,
}

impl Local {
    fn says(self) -> &'static str {
        match self {
            Self::File => "the path of a file",
            Self::Folder => "the path of a folder",
            Self::Either => "the path of a file or a folder",
            Self::Unchecked => "a path",
        }
    }

    /// What is wrong with what a path names.
    fn fault(self, metadata: &Metadata) -> Option<&'static str> {
        match self {
            Self::File if metadata.is_dir() => Some("is a folder, and a file is needed"),
            Self::File if !metadata.is_file() => Some("is no regular file"),
            Self::Folder if !metadata.is_dir() => Some("is no folder"),
            Self::Either if !metadata.is_dir() && !metadata.is_file() => {
                Some("is neither a file nor a folder")
            }
            _ => None,
        }
    }
}

/// The text of a path; a fault where it is none.
pub(super) fn text<'a>(node: &'a Node, says: &str, context: &mut Context) -> Option<&'a str> {
    match &node.value {
        Value::Scalar { text, .. } if !text.contains('\0') => Some(text),
        _ => {
            let message = format!("is {}, and must be {says}", node.kind());
            context.refuse(node.position, &message);
            None
        }
    }
}

impl Shape for Local {
    type Value = PathBuf;

    fn read(&self, node: &Node, context: &mut Context) -> Option<PathBuf> {
        let text = text(node, self.says(), context)?;
        let path = context.source.folder.join(text);
        if *self == Self::Unchecked {
            return Some(path);
        }
        let fault = match fs::metadata(&path) {
            Ok(metadata) => self.fault(&metadata).map(str::to_owned),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Some("is not there".to_owned())
            }
            Err(error) => Some(format!("cannot be reached: {error}")),
        };
        let Some(fault) = fault else {
            return Some(path);
        };
        let message = format!("names {}, which {fault}", path.display());
        context.refuse(node.position, &message);
        None
    }

    fn form(&self) -> Form {
        Form::Text {
            says: self.says(),
            pattern: None,
        }
    }

    fn empty_is_absent(&self) -> bool {
        true
    }
}

/// The path of a script: below the folder of its configuration file, which is all that a script's sandbox sees of the builder's machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScriptPath;

impl Shape for ScriptPath {
    type Value = PathBuf;

    fn read(&self, node: &Node, context: &mut Context) -> Option<PathBuf> {
        let text = text(node, Local::File.says(), context)?;
        let Some(path) = below(Path::new(text)) else {
            let message = format!("is `{text}`, which is not below the folder of this file");
            let help = "a script sees that folder and nothing else of this machine: put it there"
                .to_owned();
            context.refuse_with(node.position, &message, help);
            return None;
        };
        Local::File.read(node, context)?;
        // OK: the folder is there, for the file being read is in it.
        let folder = context.source.folder_or_here();
        let real = fs::canonicalize(folder.join(&path)).ok();
        let is_below = match (real, fs::canonicalize(&folder)) {
            (Some(real), Ok(folder)) => real.starts_with(folder),
            _ => false,
        };
        if !is_below {
            let message = format!("is `{text}`, a link that leads out of the folder of this file");
            context.refuse(node.position, &message);
            return None;
        }
        Some(path)
    }

    fn form(&self) -> Form {
        Local::File.form()
    }

    fn empty_is_absent(&self) -> bool {
        true
    }
}

/// The path without `.` and `..`; `None` where it is absolute or leads out of where it starts.
fn below(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !clean.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!clean.as_os_str().is_empty()).then_some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leaves_its_folder_is_not_below_it() {
        for (path, expected) in [
            ("a.sh", Some("a.sh")),
            ("./a/../b.sh", Some("b.sh")),
            ("a/b/../../c.sh", Some("c.sh")),
            ("../a.sh", None),
            ("a/../../b.sh", None),
            ("/a.sh", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(
                below(Path::new(path)),
                expected.map(PathBuf::from),
                "{path}"
            );
        }
    }
}
