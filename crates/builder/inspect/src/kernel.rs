//! The kernels of a tree: images, their modules, and which belong together.

use std::collections::BTreeMap;

use block::{Content, ReadAt as _, Result};
use serde::Serialize;
use tree::{Tree, TreePath};

use crate::architecture::{Architecture, of_kernel};
use crate::{KernelConfig, file, kernel_config, show, version};

/// A kernel that can be booted.
#[derive(Clone, Debug, Serialize)]
pub struct Kernel {
    /// As `uname -r` prints it; the name of the modules folder where there is one.
    pub version: String,
    /// The image: a regular file.
    #[serde(serialize_with = "show::path")]
    pub image: TreePath,
    /// The folder of its modules; `None` where none was found, and then it can boot media only with everything built in.
    #[serde(serialize_with = "show::maybe")]
    pub modules: Option<TreePath>,
    /// Its options.
    pub config: KernelConfig,
    /// Why image and modules are believed to belong together, for people.
    pub reason: String,
}

/// What kernel images are called in `/boot`, the likeliest first; the version follows.
const PREFIXES: [&str; 6] = [
    "vmlinuz-", "Image-", "bzImage-", "kernel-", "linux-", "vmlinux-",
];

/// What follows the version in names that are no kernel, or a copy of one.
const NOT_KERNELS: [&str; 9] = [
    ".old",
    ".bak",
    ".hmac",
    ".sig",
    ".signature",
    ".gz",
    ".xz",
    ".zst",
    ".efi.extra.d",
];

/// Finds all kernels, the newest first; one for each version.
pub(crate) fn find(tree: &Tree<Content>, warnings: &mut Vec<String>) -> Result<Vec<Kernel>> {
    let folders = ModulesFolders::find(tree)?;
    let mut found: BTreeMap<String, (TreePath, String)> = BTreeMap::new();
    for (name, path, content) in candidates(tree) {
        if is_rescue(&name) {
            warnings.push(format!(
                "{path}: a rescue kernel is a copy of another and was passed over"
            ));
            continue;
        }
        let head = file::head(content, 4096)?;
        if of_kernel(&head) == Architecture::Unknown && !head.starts_with(&[0x1f, 0x8b]) {
            warnings.push(format!("{path}: named like a kernel, and is none"));
            continue;
        }
        let (version, reason) = folders.version_of(&name, content)?;
        if !is_version(&version) {
            warnings.push(format!(
                "{path}: \"{}\" cannot be a kernel's version, so it was passed over",
                version.escape_debug()
            ));
            continue;
        }
        found.entry(version).or_insert((path, reason));
    }
    let versions = folders
        .by_version
        .iter()
        .filter(|(version, _)| is_version(version));
    for (version, folder) in versions {
        let image = folder.join_text("vmlinuz").into_iter();
        for path in image.chain(folder.join_text("vmlinux")) {
            if !found.contains_key(version)
                && tree.file(path.as_bytes()).is_some()
                && let Ok((real, _)) = tree.resolve(path.as_bytes())
            {
                let reason = "the image lies in the modules folder".to_owned();
                found.insert(version.clone(), (real, reason));
            }
        }
    }
    let mut kernels = Vec::new();
    for (version, (image, reason)) in found {
        let modules = folders.by_version.get(&version).cloned();
        kernels.push(Kernel {
            config: kernel_config::find(tree, &version, &image, modules.as_ref())?,
            version,
            image,
            modules,
            reason,
        });
    }
    kernels.sort_by(|a, b| version::compare(&b.version, &a.version));
    Ok(kernels)
}

/// The files of `/boot` that are named like kernels: what follows the prefix, and the file. By prefix, then by name.
fn candidates(tree: &Tree<Content>) -> Vec<(String, TreePath, &Content)> {
    let files = file::files_in(tree, "/boot");
    let mut found = Vec::new();
    for prefix in PREFIXES {
        for (name, path, content) in &files {
            let Some(rest) = name.strip_prefix(prefix) else {
                continue;
            };
            let is_kernel = !NOT_KERNELS.iter().any(|suffix| rest.ends_with(suffix));
            if is_kernel && !rest.is_empty() {
                found.push((rest.to_owned(), path.clone(), *content));
            }
        }
    }
    // A kernel without a version in its name, where no other is there: hand-made and embedded systems.
    if found.is_empty() {
        let plain = |name: &str| matches!(name, "vmlinuz" | "Image" | "bzImage" | "kernel");
        let files = files.into_iter().filter(|(name, ..)| plain(name));
        found.extend(files.map(|(_, path, content)| (String::new(), path, content)));
    }
    found
}

/// Whether `version` can stand in a path and in a boot loader's configuration as it is.
fn is_version(version: &str) -> bool {
    let valid =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '~' | '-' | ':' | '@');
    !version.is_empty()
        && version != "."
        && version != ".."
        && version.len() < 200
        && version.chars().all(valid)
}

/// Names of rescue kernels: Fedora's `0-rescue-MACHINE`, Photon's and others' `rescue-…`.
fn is_rescue(name: &str) -> bool {
    name.starts_with("0-rescue") || name.starts_with("rescue")
}

/// The folders below `/usr/lib/modules`.
struct ModulesFolders {
    by_version: BTreeMap<String, TreePath>,
    /// What the file `pkgbase` of a folder says, with the folder's version (Arch names its kernels by package).
    by_package: BTreeMap<String, String>,
}

impl ModulesFolders {
    fn find(tree: &Tree<Content>) -> Result<Self> {
        let mut by_version = BTreeMap::new();
        let mut by_package = BTreeMap::new();
        for root in ["/lib/modules", "/usr/lib/modules"] {
            for (version, path) in file::folders_in(tree, root) {
                if let Some(package) = file::text(tree, format!("{path}/pkgbase"))? {
                    by_package.insert(package.trim().to_owned(), version.clone());
                }
                by_version.insert(version, path);
            }
        }
        Ok(Self {
            by_version,
            by_package,
        })
    }

    /// The version of the kernel image whose name ends in `name`, and why.
    fn version_of(&self, name: &str, image: &Content) -> Result<(String, String)> {
        if self.by_version.contains_key(name) {
            let reason = "image and modules folder are named by the same version";
            return Ok((name.to_owned(), reason.to_owned()));
        }
        if let Some(version) = self.by_package.get(name) {
            let reason = format!("the modules folder's pkgbase names the package \"{name}\"");
            return Ok((version.clone(), reason));
        }
        let written = written_version(image)?;
        if let Some(version) = &written
            && self.by_version.contains_key(version)
        {
            let reason = "the version that is written in the image".to_owned();
            return Ok((version.clone(), reason));
        }
        let inside = |version: &&String| version.len() > 2 && name.contains(version.as_str());
        let longest = self.by_version.keys().filter(inside);
        if let Some(version) = longest.max_by_key(|version| version.len()) {
            let reason = format!("the image's name holds the modules folder's, {version}");
            return Ok((version.clone(), reason));
        }
        let version = written.unwrap_or_else(|| name.to_owned());
        let reason = format!("there is no modules folder for {version}");
        Ok((version, reason))
    }
}

/// What a file is that begins as a kernel image does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelImage {
    /// The version that is written in it, as `uname -r` prints it; `None` where none is, as in images for other machines than x86.
    pub version: Option<String>,
}

/// Says whether `content` begins as a kernel image for x86, arm64 or RISC-V does: by the boot header alone, whatever its name.
///
/// # Errors
///
/// What reading answers.
pub fn kernel_image(content: &Content) -> Result<Option<KernelImage>> {
    let head = file::head(content, 0x240)?;
    let x86 = head.get(0x202..0x206) == Some(b"HdrS");
    let other = matches!(head.get(56..60), Some(b"ARM\x64" | b"RSC\x05"));
    if !x86 && !other {
        return Ok(None);
    }
    let version = written_version(content)?;
    Ok(Some(KernelImage { version }))
}

/// The version that is written in an x86 kernel image: the first word of the text that the boot header's `kernel_version` points
/// to. `None` for other images.
///
/// Source: Linux, Documentation/arch/x86/boot.rst: `HdrS` at 0x202, `kernel_version` at 0x20e, less 0x200.
fn written_version(image: &Content) -> Result<Option<String>> {
    let head = file::head(image, 0x210)?;
    if head.get(0x202..0x206) != Some(b"HdrS") {
        return Ok(None);
    }
    let Some(pointer) = head.get(0x20e..0x210).and_then(<[u8]>::first_chunk::<2>) else {
        return Ok(None);
    };
    let at = u64::from(u16::from_le_bytes(*pointer)).saturating_add(0x200);
    let len = usize::try_from(image.len().saturating_sub(at)).map_or(256, |len| len.min(256));
    let mut text = vec![0; len];
    if len == 0 {
        return Ok(None);
    }
    image.read_exact_at(&mut text, at)?;
    let end = text.iter().position(|byte| !byte.is_ascii_graphic());
    let word = text.get(..end.unwrap_or(0)).unwrap_or_default();
    let word = String::from_utf8_lossy(word).into_owned();
    Ok((!word.is_empty()).then_some(word))
}

/// A path and a name that is known to be one.
trait JoinText {
    fn join_text(&self, name: &str) -> Option<TreePath>;
}

impl JoinText for TreePath {
    fn join_text(&self, name: &str) -> Option<TreePath> {
        Some(self.join(&tree::Name::new(name.as_bytes()).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tree::{Inode, Metadata, Node};

    fn tree_of(files: &[(&str, Vec<u8>)]) -> Tree<Content> {
        let mut tree = Tree::new(Metadata::default());
        for (path, bytes) in files {
            let node = Node::File(Content::from_bytes(bytes.as_slice()));
            let path = TreePath::parse(path).unwrap();
            tree.put(&path, Inode::new(Metadata::default(), node))
                .unwrap();
        }
        tree
    }

    /// The start of a kernel image for x86 with `version` written in it.
    fn image(version: &str) -> Vec<u8> {
        let mut bytes = vec![0; 0x400];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[60..64].copy_from_slice(&0x80_u32.to_le_bytes());
        bytes[0x80..0x86].copy_from_slice(b"PE\0\0\x64\x86");
        bytes[0x202..0x206].copy_from_slice(b"HdrS");
        bytes[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
        let text = format!("{version} (builder@host) #1 SMP\0");
        bytes[0x300..0x300 + text.len()].copy_from_slice(text.as_bytes());
        bytes
    }

    fn names(tree: &Tree<Content>) -> Vec<(String, String, Option<String>)> {
        let kernels = find(tree, &mut Vec::new()).unwrap();
        let text = |path: TreePath| path.to_string();
        let row = |kernel: Kernel| (kernel.version, text(kernel.image), kernel.modules.map(text));
        kernels.into_iter().map(row).collect()
    }

    #[test]
    fn kernels_come_newest_first_with_their_modules() {
        let tree = tree_of(&[
            ("/boot/vmlinuz-6.1.0-9-amd64", image("6.1.0-9-amd64")),
            ("/boot/vmlinuz-6.1.0-18-amd64", image("6.1.0-18-amd64")),
            ("/boot/vmlinuz-6.1.0-18-amd64.old", image("6.1.0-18-amd64")),
            ("/boot/vmlinuz-0-rescue-abc", image("6.1.0-9-amd64")),
            ("/boot/vmlinuz-5.0", b"text".to_vec()),
            ("/usr/lib/modules/6.1.0-18-amd64/modules.dep", Vec::new()),
            ("/usr/lib/modules/6.1.0-9-amd64/modules.dep", Vec::new()),
        ]);
        let found = names(&tree);
        let versions: Vec<_> = found.iter().map(|row| row.0.as_str()).collect();
        assert_eq!(versions, ["6.1.0-18-amd64", "6.1.0-9-amd64"]);
        let modules = found[0].2.as_deref();
        assert_eq!(modules, Some("/usr/lib/modules/6.1.0-18-amd64"));
    }

    #[test]
    fn a_kernel_in_its_modules_folder_is_found_and_one_in_boot_comes_first() {
        let version = "6.11.4-301.fc41.x86_64";
        let inside = format!("/usr/lib/modules/{version}/vmlinuz");
        let boot = format!("/boot/vmlinuz-{version}");
        let alone = tree_of(&[(&inside, image(version))]);
        assert_eq!(names(&alone)[0].1, inside);
        let both = tree_of(&[(&inside, image(version)), (&boot, image(version))]);
        let found = names(&both);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1, boot);
    }

    #[test]
    fn a_kernel_named_by_its_package_is_paired_by_pkgbase_or_by_what_is_written_in_it() {
        let version = "6.11.5-arch1-1";
        let pkgbase = format!("/usr/lib/modules/{version}/pkgbase");
        for (base, written) in [("linux\n", "other"), ("else", version)] {
            let tree = tree_of(&[
                (&pkgbase, base.as_bytes().to_vec()),
                ("/boot/vmlinuz-linux", image(written)),
            ]);
            let found = names(&tree);
            assert_eq!(found[0].0, version);
            assert_eq!(found[0].1, "/boot/vmlinuz-linux");
        }
    }

    #[test]
    fn a_kernel_without_modules_says_so() {
        let tree = tree_of(&[("/boot/bzImage", image("6.9.1"))]);
        let kernels = find(&tree, &mut Vec::new()).unwrap();
        assert_eq!(kernels[0].version, "6.9.1");
        assert_eq!(kernels[0].modules, None);
        assert_eq!(kernels[0].reason, "there is no modules folder for 6.9.1");
    }

    #[test]
    fn the_longest_modules_folder_in_the_name_wins() {
        let tree = tree_of(&[
            ("/boot/vmlinuz-custom-6.1.0-1-rt-signed", image("")),
            ("/usr/lib/modules/6.1.0-1/modules.dep", Vec::new()),
            ("/usr/lib/modules/6.1.0-1-rt/modules.dep", Vec::new()),
        ]);
        assert_eq!(names(&tree)[0].0, "6.1.0-1-rt");
    }

    #[test]
    fn a_version_that_cannot_stand_in_a_path_is_passed_over_with_a_warning() {
        for name in ["a b", "6.1\"; x", "..", "a\nb"] {
            let path = format!("/boot/vmlinuz-{name}");
            let tree = tree_of(&[(&path, image("../x"))]);
            let mut warnings = Vec::new();
            assert!(find(&tree, &mut warnings).unwrap().is_empty(), "{name}");
            assert_eq!(warnings.len(), 1);
        }
    }

    #[test]
    fn a_kernel_image_is_known_by_its_header_and_says_its_version() {
        let look = |bytes: Vec<u8>| kernel_image(&Content::from_bytes(bytes)).unwrap();
        let version = |text: &str| Some(text.to_owned());
        let found = look(image("6.9.1-x"));
        assert_eq!(found.unwrap().version, version("6.9.1-x"));
        let mut arm = vec![0; 64];
        arm[56..60].copy_from_slice(b"ARM\x64");
        assert_eq!(look(arm), Some(KernelImage { version: None }));
        for other in [Vec::new(), vec![0; 55], b"MZ".repeat(400)] {
            assert_eq!(look(other), None);
        }
    }

    #[test]
    fn a_version_pointer_past_the_end_is_no_version() {
        let mut bytes = image("6.9.1");
        bytes[0x20e..0x210].copy_from_slice(&u16::MAX.to_le_bytes());
        let content = Content::from_bytes(bytes);
        assert_eq!(written_version(&content).unwrap(), None);
    }
}
