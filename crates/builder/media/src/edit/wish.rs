//! What is asked of finished media.

use block::{Content, Error, Result};
use bootloader::edit::{Parameters, protected};
use tree::Tree;

/// A file for the media.
#[derive(Clone, Debug)]
pub struct Addition {
    /// Its absolute path on the media.
    pub path: String,
    /// Its bytes.
    pub content: Content,
}

/// Changes of media. They come on top of those that were made before.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Kernel parameters that go: names, or `name=value`.
    pub delete: Vec<String>,
    /// Kernel parameters that get another value.
    pub replace: Vec<(String, String)>,
    /// Command lines whose parameters come to the end.
    pub append: Vec<String>,
    /// Files that come onto the media, or take the place of those that are there.
    pub files: Vec<Addition>,
    /// What is unpacked over the initramfs.
    pub initramfs: Option<Tree<Content>>,
    /// Whether all earlier changes go first.
    pub reset: bool,
    /// Whether parameters may be changed without which the media do not boot.
    pub force: bool,
}

impl Wish {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            delete: Vec::new(),
            replace: Vec::new(),
            append: Vec::new(),
            files: Vec::new(),
            initramfs: None,
            reset: false,
            force: false,
        }
    }

    /// Whether nothing is asked for but to be shown what is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.delete.is_empty()
            && self.replace.is_empty()
            && self.append.is_empty()
            && self.files.is_empty()
            && self.initramfs.is_none()
            && !self.reset
    }

    /// Adds what is asked of kernel parameters to `parameters`: first what goes, then other values, then what comes.
    ///
    /// # Errors
    ///
    /// [`Kind::Unsupported`](block::Kind::Unsupported) for a parameter without which the media do not boot, unless it is forced.
    pub(super) fn merge(&self, parameters: &mut Parameters) -> Result<()> {
        let mut own = Parameters::default();
        self.delete.iter().for_each(|what| own.delete(what));
        for (name, value) in &self.replace {
            own.replace(name, value);
        }
        self.append.iter().for_each(|line| own.append(line));
        if let Some(name) = own.names().find(|name| protected(name) && !self.force) {
            let message = "media do not boot without it; to change it all the same, use --force";
            return Err(Error::unsupported(
                format!("changing the kernel parameter {name}"),
                message,
            ));
        }
        self.delete.iter().for_each(|what| parameters.delete(what));
        for (name, value) in &self.replace {
            parameters.replace(name, value);
        }
        self.append.iter().for_each(|line| parameters.append(line));
        Ok(())
    }
}

impl Default for Wish {
    fn default() -> Self {
        Self::new()
    }
}
