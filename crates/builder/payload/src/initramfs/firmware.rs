//! Firmware: the files that the chosen modules may ask for, and the processor's microcode.

use std::collections::BTreeMap;

use block::{Content, Result};
use tree::{Node, Tree};

use super::closure::Chosen;
use super::codec;

/// Firmware files by their path in the initramfs, and the modules of which the image has no firmware.
#[derive(Debug, Default)]
pub(crate) struct Firmware {
    pub(crate) files: BTreeMap<String, Content>,
    pub(crate) missing: Vec<String>,
}

/// Finds the firmware of all chosen modules, in the folders in which the kernel `version` would look. Files that are compressed stay so:
/// the image's own kernel is what reads them.
///
/// Source: Linux, `drivers/base/firmware_loader/main.c`, `fw_path`.
pub(crate) fn find(tree: &Tree<Content>, version: &str, chosen: &Chosen) -> Firmware {
    let folders = [
        format!("/lib/firmware/updates/{version}"),
        "/lib/firmware/updates".to_owned(),
        format!("/lib/firmware/{version}"),
        "/lib/firmware".to_owned(),
    ];
    let mut found = Firmware::default();
    for (name, loaded) in &chosen.modules {
        let wanted = &loaded.info.firmware;
        let mut any = wanted.is_empty();
        for file in wanted {
            let paths = folders
                .iter()
                .flat_map(|folder| codec::names(format!("{folder}/{file}")));
            let there = paths
                .into_iter()
                .find_map(|path| Some((tree.file(&path)?, path)));
            if let Some((content, path)) = there {
                found.files.insert(path, content.clone());
                any = true;
            }
        }
        if !any {
            found.missing.push(name.clone());
        }
    }
    found
}

/// The largest microcode of one vendor; Intel's had 14 MiB in 2026. Beyond it the rest is left out with an error.
const MAX_MICROCODE: usize = 64 << 20;

/// The processor's microcode in the form in which the kernel takes it from the very first archive: by its path there.
///
/// Intel's files whose use has caveats, which the distribution does not load by itself either, are left out.
///
/// Source: Linux, Documentation/arch/x86/microcode.rst.
pub(crate) fn microcode(tree: &Tree<Content>) -> Result<BTreeMap<&'static str, Vec<u8>>> {
    let mut out = BTreeMap::new();
    for (folder, target) in [
        ("intel-ucode", "/kernel/x86/microcode/GenuineIntel.bin"),
        ("amd-ucode", "/kernel/x86/microcode/AuthenticAMD.bin"),
    ] {
        let mut bytes = Vec::new();
        let folder = format!("/lib/firmware/{folder}");
        for (name, id) in tree.list(&folder) {
            let name = String::from_utf8_lossy(name.as_bytes()).into_owned();
            let plain = codec::plain_name(&name);
            let intel = target.ends_with("GenuineIntel.bin") && is_intel_name(plain);
            let amd = target.ends_with("AuthenticAMD.bin") && plain.ends_with(".bin");
            if !intel && !amd {
                continue;
            }
            let path = format!("{folder}/{name}");
            let content = match &tree.inode(id).node {
                Node::File(content) => content,
                _ => match tree.file(&path) {
                    Some(content) => content,
                    None => continue,
                },
            };
            bytes.extend(codec::unpack(content, &path)?);
            if bytes.len() > MAX_MICROCODE {
                let message = format!("more than {} MiB", MAX_MICROCODE >> 20);
                return Err(block::Error::limit("collecting microcode", message).in_file(path));
            }
        }
        if !bytes.is_empty() {
            out.insert(target, bytes);
        }
    }
    Ok(out)
}

/// Intel's files are named by family, model and stepping: `06-55-04`; a longer name is one with caveats.
fn is_intel_name(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let hex = |part: &&str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    parts.len() == 3 && parts.iter().all(hex)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tree::{Inode, Metadata, TreePath};

    #[test]
    fn microcode_is_put_together_in_the_order_of_names_without_what_has_caveats() {
        let mut tree = Tree::new(Metadata::default());
        let packed = zstd::encode_all(&b"amd"[..], 1).unwrap();
        for (path, bytes) in [
            ("/lib/firmware/intel-ucode/06-55-04", b"second".to_vec()),
            ("/lib/firmware/intel-ucode/06-0f-02", b"first".to_vec()),
            (
                "/lib/firmware/intel-ucode/06-4f-01-with-caveats",
                b"never".to_vec(),
            ),
            ("/lib/firmware/intel-ucode/list", b"never".to_vec()),
            ("/lib/firmware/amd-ucode/microcode_amd.bin.zst", packed),
            (
                "/lib/firmware/amd-ucode/microcode_amd.bin.asc",
                b"never".to_vec(),
            ),
        ] {
            let node = Node::File(Content::from_bytes(bytes));
            let path = TreePath::parse(path).unwrap();
            tree.put(&path, Inode::new(Metadata::default(), node))
                .unwrap();
        }
        let found = microcode(&tree).unwrap();
        assert_eq!(
            found["/kernel/x86/microcode/GenuineIntel.bin"],
            b"firstsecond"
        );
        assert_eq!(found["/kernel/x86/microcode/AuthenticAMD.bin"], b"amd");
    }
}
