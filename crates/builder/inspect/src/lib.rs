//! What operating system a tree holds, as a function of the tree: its name, kernels, boot files and settings.
//!
//! Nothing here runs a program or asks the machine: [`facts`] reads files of the tree and answers with a value. Each guess carries the
//! reason that led to it, so that `liveos inspect` can show it and a wrong guess can be argued with.
//!
//! * `os_release`, `architecture`, `init`, `selinux`, `fstab`, `dracut`: one file each, for one question each;
//! * `kernel` pairs kernel images with modules folders, `kernel_config` and `ikconfig` know their options, `version` orders them;
//! * `boot` finds boot loaders, `efi_search` those for UEFI, `efi` looks into EFI programs, `package` knows who ships them.
//!
//! What is missing is no error here but an empty field: whoever needs it knows the consequence. The gates
//! [`Facts::shim`] and [`Facts::grub`] turn an empty field into an error that names the file and its package.
#![forbid(unsafe_code)]

mod architecture;
mod boot;
pub mod dracut;
mod efi;
mod efi_search;
mod file;
pub mod fstab;
mod ikconfig;
mod init;
mod kernel;
mod kernel_config;
mod os_release;
mod package;
mod selinux;
mod show;
pub mod version;

use block::{Content, Result};
use serde::Serialize;
use tree::Tree;

pub use architecture::{Architecture, Found};
pub use boot::{Boot, Isolinux};
pub use efi::{EfiBinary, EfiFlavour};
pub use init::InitSystem;
pub use kernel::{Kernel, KernelImage, kernel_image};
pub use kernel_config::{KernelConfig, OptionState};
pub use os_release::OsRelease;
pub use selinux::SeLinux;

/// What a tree is, as far as making media of it is concerned.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    /// What the system calls itself; `None` where neither `/etc/os-release` nor `/usr/lib/os-release` is there.
    pub os: Option<OsRelease>,
    /// What its programs run on.
    pub architecture: Found<Architecture>,
    /// Its kernels, the newest first.
    pub kernels: Vec<Kernel>,
    /// Its boot loaders and their configuration.
    pub boot: Boot,
    /// Its SELinux setting; `None` where it has none.
    pub selinux: Option<SeLinux>,
    /// What it mounts at start; empty where there is no `/etc/fstab`.
    pub fstab: fstab::Fstab,
    /// What its process 1 is.
    pub init: Option<Found<InitSystem>>,
    /// What its dracut configuration asks for.
    pub dracut: dracut::DracutConfig,
    /// What could not be understood and was passed over, one sentence each.
    pub warnings: Vec<String>,
}

impl Facts {
    /// The name for people: `PRETTY_NAME`, or what there is instead.
    #[must_use]
    pub fn name(&self) -> &str {
        self.os
            .as_ref()
            .map_or("an unnamed system", OsRelease::name)
    }
}

/// Looks at `tree` and says what it holds.
///
/// # Errors
///
/// What reading a file answers; [`block::Kind::Limit`] where a configuration file is larger than any real one.
pub fn facts(tree: &Tree<Content>) -> Result<Facts> {
    let mut warnings = Vec::new();
    let os = os_release::find(tree)?;
    let kernels = kernel::find(tree, &mut warnings)?;
    let architecture = architecture::find(tree, &kernels)?;
    let boot = boot::find(tree, architecture.value, os.as_ref())?;
    let fstab = match file::read(tree, "/etc/fstab")? {
        Some(bytes) => fstab::parse(&bytes),
        None => fstab::Fstab::default(),
    };
    warnings.extend(fstab.warnings.iter().cloned());
    let dracut = dracut::find(tree)?;
    warnings.extend(dracut.warnings.iter().cloned());
    Ok(Facts {
        os,
        architecture,
        kernels,
        boot,
        selinux: selinux::find(tree)?,
        fstab,
        init: init::find(tree),
        dracut,
        warnings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tree::{Inode, Metadata, Node, TreePath};

    fn tree_of(files: &[(&str, &[u8])]) -> Tree<Content> {
        let mut tree = Tree::new(Metadata::default());
        for (path, bytes) in files {
            let node = Node::File(Content::from_bytes(*bytes));
            let path = TreePath::parse(path).unwrap();
            tree.put(&path, Inode::new(Metadata::default(), node))
                .unwrap();
        }
        tree
    }

    #[test]
    fn an_empty_tree_has_no_facts_and_no_error() {
        let found = facts(&tree_of(&[])).unwrap();
        assert!(found.os.is_none() && found.kernels.is_empty() && found.init.is_none());
        assert_eq!(found.architecture.value, Architecture::Unknown);
        let error = found.shim().unwrap_err();
        assert_eq!(error.kind(), block::Kind::Unsupported);
    }

    #[test]
    fn a_missing_loader_names_the_file_and_the_package() {
        let mut elf = b"\x7fELF\x02\x01".to_vec();
        elf.resize(64, 0);
        elf[18] = 62;
        let tree = tree_of(&[
            (
                "/etc/os-release",
                b"ID=x\nID_LIKE=debian\nPRETTY_NAME=\"X 1\"\n",
            ),
            ("/bin/sh", &elf),
        ]);
        let found = facts(&tree).unwrap();
        let shim = found.shim().unwrap_err();
        assert_eq!(shim.kind(), block::Kind::NotFound);
        assert!(shim.to_string().contains("shimx64.efi"), "{shim}");
        assert!(shim.to_string().contains("shim-signed of X 1"), "{shim}");
        let grub = found.grub().unwrap_err().to_string();
        assert!(
            grub.contains("grubx64.efi") && grub.contains("grub-efi-amd64-signed"),
            "{grub}"
        );
    }

    #[test]
    fn a_configuration_file_beyond_any_real_one_is_refused_with_its_path() {
        let large = vec![b' '; (4 << 20) + 1];
        let error = facts(&tree_of(&[("/etc/fstab", &large)])).unwrap_err();
        assert_eq!(error.kind(), block::Kind::Limit);
        let path = error.place().path.as_deref();
        assert_eq!(path, Some(std::path::Path::new("/etc/fstab")));
    }
}
