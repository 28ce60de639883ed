//! Our one dracut module: an initramfs that the image's own dracut makes finds the live medium with `liveos-init`.
//!
//! The module is three short scripts around the program: one that asks it whether the root is a live medium, one that lets it mount the
//! root before dracut would, and the one that dracut asks what belongs into the initramfs. It is there beside `dmsquash-live`, `livenet`,
//! `overlayfs` and KIWI's `kiwi-live` without harm: where the root is ours, those find nothing to do; any other root is left alone.
//!
//! Source: dracut 055 to 111, `dracut.modules(7)` and `dracut.bootup(7)`; tried with 059 and 106, and its module functions with what the
//! versions between differ in.

use block::{Content, Result};
use tree::{Inode, Metadata, Node, Timestamp, TreePath};

/// What `--add` or `add_dracutmodules` calls it.
pub const NAME: &str = "liveos";

/// The folder of the module, where every version looks for modules. The number is of those that dracut keeps for others: before the
/// modules for live media of every version (90 to 107, 70 since), as what is installed first stays.
pub const FOLDER: &str = "/usr/lib/dracut/modules.d/55liveos";

/// The scripts, by their names in [`FOLDER`]. dracut takes a module whose first script is executable.
const SCRIPTS: [(&str, &str); 3] = [
    ("module-setup.sh", include_str!("module-setup.sh")),
    ("liveos-claim.sh", include_str!("liveos-claim.sh")),
    ("liveos-mount.sh", include_str!("liveos-mount.sh")),
];

/// The program, by its name in [`FOLDER`].
const PROGRAM: &str = "liveos-init";

/// How to use the module on a machine of one's own; for a package of it.
pub const README: &str = include_str!("README.md");

/// The scripts' names and texts, in the order of [`files`].
pub fn scripts() -> impl Iterator<Item = (&'static str, &'static str)> {
    SCRIPTS.into_iter()
}

/// The module's files, to put into a tree before its dracut runs and to take out after it. `runtime` is `liveos-init`, a static
/// program for the image's architecture; `time` is the time of all files.
///
/// # Errors
///
/// None with the paths as they are here.
pub fn files(runtime: &Content, time: Timestamp) -> Result<Vec<(TreePath, Inode<Content>)>> {
    let scripts = SCRIPTS.map(|(name, text)| (name, Content::from_bytes(text.as_bytes())));
    let program = (PROGRAM, runtime.clone());
    let file = |(name, content): (&str, Content)| {
        let path = TreePath::parse(format!("{FOLDER}/{name}")).map_err(|error| {
            block::Error::corrupt("adding the dracut module", "").caused_by(error)
        })?;
        let metadata = Metadata {
            mtime: time,
            ..Metadata::with_permissions(0o755)
        };
        Ok((path, Inode::new(metadata, Node::File(content))))
    };
    scripts.into_iter().chain([program]).map(file).collect()
}

#[cfg(test)]
mod tests;
