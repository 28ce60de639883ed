//! Our one dracut module: an initramfs that the image's own dracut makes finds the live medium with `liveos-init`.
//!
//! The module is three short scripts around the program: one that claims `root=live:…`, one that lets the program mount the root
//! before dracut would, and the one that dracut asks what belongs into the initramfs. It is there beside `dmsquash-live` without
//! harm: that module finds nothing to do.
//!
//! Source: dracut 055 to 111, `dracut.modules(7)` and `dracut.bootup(7)`; tried with 059 and 106.

use block::{Content, Result};
use tree::{Inode, Metadata, Node, Timestamp, TreePath};

/// What `--add` or `add_dracutmodules` calls it.
pub const NAME: &str = "liveos";

/// The folder of the module, where every version looks for modules.
pub const FOLDER: &str = "/usr/lib/dracut/modules.d/90liveos";

/// The scripts, by their names in [`FOLDER`]. dracut takes a module whose first script is executable.
const SCRIPTS: [(&str, &str); 3] = [
    ("module-setup.sh", include_str!("module-setup.sh")),
    ("liveos-claim.sh", include_str!("liveos-claim.sh")),
    ("liveos-mount.sh", include_str!("liveos-mount.sh")),
];

/// The program, by its name in [`FOLDER`].
const PROGRAM: &str = "liveos-init";

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
mod tests {
    use super::*;

    #[test]
    fn the_module_is_its_scripts_and_the_program_and_all_can_be_started() {
        let runtime = Content::from_bytes(b"program".as_slice());
        let files = files(&runtime, Timestamp::from_seconds(7)).unwrap();
        let names: Vec<String> = files.iter().map(|(path, _)| path.to_string()).collect();
        let expected = [
            "module-setup.sh",
            "liveos-claim.sh",
            "liveos-mount.sh",
            "liveos-init",
        ];
        assert_eq!(names, expected.map(|name| format!("{FOLDER}/{name}")));
        for (path, inode) in &files {
            assert_eq!(inode.metadata.permissions, 0o755, "{path}");
            assert_eq!(inode.metadata.mtime.seconds, 7, "{path}");
        }
    }

    #[test]
    fn the_scripts_name_what_the_module_has() {
        let (_, setup) = SCRIPTS[0];
        for (name, _) in &SCRIPTS[1..] {
            assert!(setup.contains(&format!("\"$moddir/{name}\"")), "{name}");
        }
        assert!(setup.contains(&format!("\"$moddir/{PROGRAM}\"")));
        assert!(FOLDER.ends_with(&format!("90{NAME}")));
        // Hooks are sourced: an exit would end dracut.
        for (name, text) in &SCRIPTS[1..] {
            let ends = text
                .lines()
                .any(|line| line.trim_start().starts_with("exit"));
            assert!(!ends && text.starts_with("#!/bin/sh\n"), "{name}");
        }
    }
}
