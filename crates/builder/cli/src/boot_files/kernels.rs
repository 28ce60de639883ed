//! Kernels, each with its initramfs and what lies beside it in `/boot`.

use std::collections::{BTreeMap, BTreeSet};

use block::{Content, Error, Result};
use config::{InitramfsPlan, KernelPlan, Plan};
use contract::media as places;
use formats::squashfs::Compression;
use inspect::Kernel;
use media::files::Files;
use payload::initramfs::{self, RootImage, SquashfsCompressor};
use tree::{Node, Tree};

use super::{Inputs, file, kdump};
use crate::carried;
use crate::progress::Progress;

/// Where the initramfs of a bootstrap system come from.
pub(crate) trait InitramfsMaker {
    /// The initramfs of a kernel.
    ///
    /// # Errors
    ///
    /// What making it answers.
    fn make(&mut self, kernel: &Kernel) -> Result<Content>;
}

/// Puts the kernels among `files`, and for bootstrap media their initramfs, which `maker` makes.
pub(crate) fn put(
    files: &mut Files,
    inputs: Inputs<'_>,
    maker: &mut dyn InitramfsMaker,
) -> Result<()> {
    let Inputs { tree, facts, plan } = inputs;
    for kernel in &plan.kernels {
        let found = facts
            .kernels
            .iter()
            .find(|found| found.version == kernel.version);
        let found: &Kernel = found.ok_or_else(|| {
            let message = "the plan does not fit the image";
            Error::not_found(format!("the kernel {}", kernel.version), message)
        })?;
        put_kernel(files, tree, kernel)?;
        if matches!(plan.initramfs, InitramfsPlan::Bootstrap { .. }) {
            let made = maker.make(found).map_err(|error| {
                error.while_doing(format!(
                    "making the initramfs of the kernel {}",
                    kernel.version
                ))
            })?;
            files.put(&places::initramfs(&kernel.version), made)?;
        }
    }
    if plan.kdump_boot_files == config::settings::KdumpBootFiles::None {
        for found in kdump::find(tree, plan) {
            files.put(
                &format!("{}/{}", places::BOOT_DIR, found.initramfs),
                found.content,
            )?;
        }
    }
    Ok(())
}

fn put_kernel(files: &mut Files, tree: &Tree<Content>, kernel: &KernelPlan) -> Result<()> {
    files.put(&places::kernel(&kernel.version), file(tree, &kernel.image)?)?;
    for (name, content) in companions(tree, &kernel.version) {
        files.put(&format!("{}/{name}", places::BOOT_DIR), content)?;
    }
    Ok(())
}

/// What lies beside a kernel in `/boot` and has its version at the end of its name (`config-…`, `System.map-…`, `symvers-…`), but for the
/// kernel itself and the initramfs of the distribution, which cannot boot media.
fn companions<'a>(
    tree: &'a Tree<Content>,
    version: &'a str,
) -> impl Iterator<Item = (String, Content)> + 'a {
    let is_companion = move |name: &str| {
        let kind = name
            .strip_suffix(version)
            .and_then(|kind| kind.strip_suffix('-'));
        kind.is_some_and(|kind| {
            !["vmlinu", "kernel", "initr"]
                .iter()
                .any(|other| kind.starts_with(other))
        })
    };
    tree.list("boot").filter_map(move |(name, id)| {
        let name = name.to_string();
        match &tree.inode(id).node {
            Node::File(content) if is_companion(&name) => Some((name, content.clone())),
            _ => None,
        }
    })
}

/// Initramfs that are there already, and a maker for the others.
pub(crate) struct Known<'a> {
    /// By the version of their kernel.
    pub(crate) known: &'a BTreeMap<String, Content>,
    pub(crate) other: &'a mut dyn InitramfsMaker,
    /// A further archive for all of them.
    pub(crate) additions: Option<&'a Content>,
}

impl InitramfsMaker for Known<'_> {
    fn make(&mut self, kernel: &Kernel) -> Result<Content> {
        let made = match self.known.get(&kernel.version) {
            Some(content) => content.clone(),
            None => self.other.make(kernel)?,
        };
        match self.additions {
            Some(additions) => carried::joined(&made, additions),
            None => Ok(made),
        }
    }
}

/// The native generator: from the tree alone.
#[derive(Debug)]
pub(crate) struct Native<'a> {
    inputs: Inputs<'a>,
    options: initramfs::Options,
    progress: &'a Progress,
    told: BTreeSet<String>,
}

impl<'a> Native<'a> {
    pub(crate) fn new(
        inputs: Inputs<'a>,
        options: initramfs::Options,
        progress: &'a Progress,
    ) -> Self {
        Self {
            inputs,
            options,
            progress,
            told: BTreeSet::new(),
        }
    }
}

impl InitramfsMaker for Native<'_> {
    fn make(&mut self, kernel: &Kernel) -> Result<Content> {
        let Inputs { tree, facts, .. } = self.inputs;
        let made = initramfs::build(tree, facts, kernel, &self.options)?;
        // Most warnings are about the image and the same for each of its kernels.
        for warning in &made.warnings {
            if self.told.insert(warning.clone()) {
                self.progress.warn(warning);
            }
        }
        self.progress.say(&format!(
            "initramfs of {}: {:.1} MiB, {} modules",
            kernel.version,
            made.bytes.len() as f64 / f64::from(1 << 20),
            made.modules.len()
        ));
        Ok(Content::from_bytes(made.bytes))
    }
}

/// What the initramfs has to be able to mount.
pub(crate) fn root_image(plan: &Plan) -> RootImage {
    RootImage::Squashfs(match plan.root_image.compression {
        Compression::Zstd { .. } => SquashfsCompressor::Zstd,
        Compression::Gzip { .. } => SquashfsCompressor::Gzip,
        Compression::Xz => SquashfsCompressor::Xz,
        Compression::Lz4 => SquashfsCompressor::Lz4,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tree::{Inode, Metadata, TreePath};

    #[test]
    fn what_belongs_to_a_kernel_goes_with_it_and_its_old_initramfs_does_not() {
        let mut tree = Tree::new(Metadata::with_permissions(0o755));
        for name in [
            "vmlinuz-6.1",
            "config-6.1",
            "System.map-6.1",
            "initrd.img-6.1",
            "config-6.2",
            "x6.1",
        ] {
            let path = TreePath::parse(format!("boot/{name}")).unwrap();
            let file = Inode::new(Metadata::default(), Node::File(Content::default()));
            tree.put(&path, file).unwrap();
        }
        let names: Vec<String> = companions(&tree, "6.1").map(|(name, _)| name).collect();
        assert_eq!(names, ["System.map-6.1", "config-6.1"]);
    }
}
