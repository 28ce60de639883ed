//! The initramfs of kdump's kernel: `initramfs-VERSIONkdump.img` or `initrd.img-VERSION…kdump.img`, directly in `/boot`.

use block::Content;
use config::Plan;
use config::settings::KdumpBootFiles;
use tree::{Node, Tree};

/// An initramfs for kdump.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Its name in `/boot`.
    pub(crate) initramfs: String,
    /// Its content.
    pub(crate) content: Content,
    /// The kernel that it belongs to, by its name in `/boot`; `None` where there is no such file.
    pub(crate) kernel: Option<String>,
}

/// All of them, by name.
pub(crate) fn find(tree: &Tree<Content>, plan: &Plan) -> Vec<Found> {
    let mut found = Vec::new();
    for (name, id) in tree.list("boot") {
        let (name, Node::File(content)) = (name.to_string(), &tree.inode(id).node) else {
            continue;
        };
        if !is_kdump(&name) {
            continue;
        }
        let versions = plan.kernels.iter().map(|kernel| kernel.version.as_str());
        // The longest, because `6.1` is also in `6.1.5`.
        let version = versions
            .filter(|version| name.contains(version))
            .max_by_key(|version| version.len());
        let kernel = version
            .map(|version| format!("vmlinuz-{version}"))
            .filter(|kernel| tree.file(format!("boot/{kernel}")).is_some());
        found.push(Found {
            initramfs: name,
            content: content.clone(),
            kernel,
        });
    }
    found
}

fn is_kdump(name: &str) -> bool {
    let prefix = ["initramfs-", "initrd.img-"];
    name.ends_with("kdump.img") && prefix.iter().any(|prefix| name.starts_with(prefix))
}

/// The names in `/boot` that stay in the root file system where kdump's files are kept there.
pub(crate) fn kept(tree: &Tree<Content>, plan: &Plan) -> Vec<String> {
    if plan.kdump_boot_files != KdumpBootFiles::Keep {
        return Vec::new();
    }
    find(tree, plan)
        .into_iter()
        .flat_map(|found| [Some(found.initramfs), found.kernel])
        .flatten()
        .collect()
}
