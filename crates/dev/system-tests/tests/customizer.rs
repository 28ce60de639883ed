//! The scenarios by which Image Customizer's Live OS is tested, with its configuration files: what is on each medium.
//!
//! Each step of a chain builds from the medium of the step before, and holds all that the earlier steps asked for. That such media boot
//! is shown in `layouts.rs`, `netboot.rs` and `full_os.rs`.
#![expect(clippy::unwrap_used, reason = "a test ends with the first surprise")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use block::{Content, DiskFile, ReadAt};
use formats::{cpio, iso9660, squashfs, tar};
use system_tests::builds;
use testkit::fixture::{self, Kernels, Layout, Part, Partitions, TestSystem};
use testkit::tools;
use tree::Tree;

const NEEDED: [&str; 3] = ["mkfs.ext4", "mcopy", "qemu-img"];

/// A disk that can become an initramfs.
fn disk(layout: Layout, kernels: Kernels) -> PathBuf {
    fixture::test_system(&TestSystem {
        layout,
        kernels,
        partitions: Partitions::EspAndRoot,
        without: vec![Part::LargeFile],
        ..TestSystem::default()
    })
    .unwrap()
}

/// A folder in which a chain of builds is done.
struct Chain {
    folder: tempfile::TempDir,
}

impl Chain {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Builds `output` from `input` as `config` says.
    fn build(&self, input: &Path, output: &str, config: &str) -> Result<PathBuf> {
        let file = self.path(&format!("{output}.yaml"));
        std::fs::write(&file, config)?;
        let output = self.path(output);
        let file = file.to_str().context("a path that is no text")?;
        builds::build(input, &output, &["--config", file, "--compression", "lz4"])?;
        Ok(output)
    }
}

/// A configuration: the section of the medium with one parameter and one file on the medium and in the system, and more lines.
fn config(section: &str, parameter: &str, file: &str, kind: &str, more: &str) -> String {
    format!(
        "previewFeatures: [kdump-boot-files]\n\
         {section}:\n  \
           initramfsType: {kind}\n  \
           kernelCommandLine:\n    extraCommandLine: [{parameter}]\n  \
           additionalFiles:\n  - {{content: {file}, destination: /{file}, permissions: \"644\"}}\n\
         {more}"
    )
}

/// The `os` section that puts a file into the system.
fn os(file: &str) -> String {
    format!(
        "os:\n  additionalFiles:\n  - {{content: {file}, destination: /{file}, permissions: \"644\"}}\n"
    )
}

/// A medium, read by our own readers.
struct Medium(Tree<Content>);

impl Medium {
    fn iso(path: &Path) -> Self {
        let file: Arc<dyn ReadAt> = Arc::new(DiskFile::open(path).unwrap());
        Self(iso9660::read_tree(file).unwrap())
    }

    fn text(&self, path: &str) -> Option<String> {
        let bytes = self.0.file(path)?.read_all(1 << 20).unwrap();
        Some(String::from_utf8(bytes).unwrap())
    }

    /// The system that it boots, from its root file system image or its initramfs.
    fn system(&self) -> Tree<Content> {
        if let Some(image) = self.0.file("liveos/rootfs.img") {
            return squashfs::read_tree(Arc::new(image.clone())).unwrap();
        }
        let initramfs = self.0.file("boot/initrd.img").unwrap();
        cpio::read_tree(Arc::new(initramfs.clone())).unwrap()
    }

    /// Every line of the boot menu that loads a kernel.
    fn kernel_lines(&self) -> Vec<String> {
        let menu = ["boot/grub2/grub.cfg", "boot/grub/grub.cfg"];
        let menu = menu.iter().find_map(|path| self.text(path)).unwrap();
        let lines = menu.lines().map(str::trim);
        lines
            .filter(|line| line.starts_with("linux"))
            .map(str::to_owned)
            .collect()
    }

    /// Holds what all scenarios ask of a medium.
    fn holds(&self, kind: &str, parameters: &[&str], files: &[&str]) -> Result<()> {
        let lines = self.kernel_lines();
        ensure!(!lines.is_empty(), "the menu loads no kernel");
        let saved = self
            .text("azl-image-customizer/saved-configs.yaml")
            .context("no saved settings")?;
        for parameter in parameters {
            for line in &lines {
                let count = line.split(' ').filter(|word| word == parameter).count();
                ensure!(count == 1, "{parameter} is there {count} times: {line}");
            }
            ensure!(saved.contains(parameter), "{saved}");
        }
        for file in files {
            ensure!(
                self.text(file).as_deref() == Some(*file),
                "{file} on the medium"
            );
            let mode = self
                .0
                .resolve(file)
                .map(|(_, id)| self.0.inode(id).metadata.permissions)?;
            ensure!(mode == 0o644, "{file} has {mode:o}");
        }
        let is_bootstrap = self.0.file("liveos/rootfs.img").is_some();
        ensure!(
            is_bootstrap == (kind == "bootstrap"),
            "a root file system image: {is_bootstrap}"
        );
        ensure!(self.0.file("boot/initrd.img").is_some() != is_bootstrap);
        for line in &lines {
            let root = line.contains(" root=live:");
            ensure!(root == is_bootstrap, "{line}");
        }
        Ok(())
    }
}

fn in_boot(tree: &Tree<Content>) -> Vec<String> {
    tree.list("boot")
        .map(|(name, _)| name.to_string())
        .collect()
}

#[test]
fn ref_three_builds_from_bootstrap_to_full_os_hold_what_each_asked_for() {
    if !tools::available(&NEEDED) {
        return;
    }
    for layout in [
        Layout::AzureLinux2,
        Layout::AzureLinux3,
        Layout::AzureLinux4,
    ] {
        let chain = Chain::new();
        let disk = disk(layout, Kernels::One);
        let first = config("iso", "rd.info", "a.txt", "bootstrap", &os("a.txt"));
        let first = chain.build(&disk, "1.iso", &first).unwrap();
        let medium = Medium::iso(&first);
        medium.holds("bootstrap", &["rd.info"], &["a.txt"]).unwrap();
        assert!(medium.system().file("a.txt").is_some());

        // No `os`: the system is passed on as it is.
        let second = config("iso", "rd.debug", "b.txt", "bootstrap", "");
        let second = chain.build(&first, "2.iso", &second).unwrap();
        let repackaged = Medium::iso(&second);
        let files = ["a.txt", "b.txt"];
        repackaged
            .holds("bootstrap", &["rd.info", "rd.debug"], &files)
            .unwrap();
        let image = |medium: &Medium| {
            medium
                .0
                .file("liveos/rootfs.img")
                .unwrap()
                .read_all(1 << 30)
                .unwrap()
        };
        assert!(
            image(&medium) == image(&repackaged),
            "the root file system image changed"
        );

        let more = format!("{}  selinux: {{mode: disabled}}\n", os("c.txt"));
        let third = config("iso", "rd.shell", "c.txt", "full-os", &more);
        let third = chain.build(&second, "3.iso", &third).unwrap();
        let medium = Medium::iso(&third);
        let parameters = ["rd.info", "rd.debug", "rd.shell"];
        medium
            .holds("full-os", &parameters, &["a.txt", "b.txt", "c.txt"])
            .unwrap();
        let system = medium.system();
        assert!(system.file("a.txt").is_some() && system.file("c.txt").is_some());
        assert!(
            medium
                .kernel_lines()
                .iter()
                .all(|line| line.contains("selinux=0"))
        );
    }
}

#[test]
fn ref_three_builds_from_full_os_to_bootstrap_hold_what_each_asked_for() {
    if !tools::available(&NEEDED) {
        return;
    }
    let chain = Chain::new();
    let disk = disk(Layout::AzureLinux3, Kernels::One);
    let first = config("iso", "rd.info", "a.txt", "full-os", &os("a.txt"));
    let first = chain.build(&disk, "1.iso", &first).unwrap();
    Medium::iso(&first)
        .holds("full-os", &["rd.info"], &["a.txt"])
        .unwrap();
    // The type is not asked for: it is the input's.
    let second = "iso:\n  kernelCommandLine:\n    extraCommandLine: [rd.debug]\n";
    let second = chain.build(&first, "2.iso", second).unwrap();
    let medium = Medium::iso(&second);
    medium
        .holds("full-os", &["rd.info", "rd.debug"], &["a.txt"])
        .unwrap();
    let third = config("iso", "rd.shell", "c.txt", "bootstrap", &os("c.txt"));
    let third = chain.build(&second, "3.iso", &third).unwrap();
    let medium = Medium::iso(&third);
    medium
        .holds(
            "bootstrap",
            &["rd.info", "rd.debug", "rd.shell"],
            &["a.txt", "c.txt"],
        )
        .unwrap();
    let system = medium.system();
    assert!(system.file("a.txt").is_some() && system.file("c.txt").is_some());
    // What only an initramfs that is the system has, is gone again.
    assert!(system.resolve(".liveos").is_err());
    let init = system.resolve("sbin/init").unwrap().0;
    assert!(system.file(init.as_bytes()).is_some());
    let kernel = medium.kernel_lines();
    assert!(
        kernel.iter().all(|line| line.contains("/boot/vmlinuz-")),
        "{kernel:?}"
    );
    let initramfs = medium
        .0
        .list("boot")
        .filter(|(name, _)| name.to_string().starts_with("initramfs-"));
    assert_eq!(initramfs.count(), 1);
}

#[test]
fn ref_the_files_of_kdump_go_where_they_are_wanted() {
    if !tools::available(&NEEDED) {
        return;
    }
    let disk = disk(Layout::AzureLinux3, Kernels::One);
    let chain = Chain::new();
    let plain = chain.build(&disk, "0.iso", "iso: {}\n").unwrap();
    let names = in_boot(&Medium::iso(&plain).0);
    let kernel = names
        .iter()
        .find(|name| name.starts_with("vmlinuz-"))
        .unwrap();
    let version = kernel.strip_prefix("vmlinuz-").unwrap();
    let kdump = format!("initramfs-{version}kdump.img");
    let adds =
        format!("os:\n  additionalFiles:\n  - {{content: kdump, destination: /boot/{kdump}}}\n");
    let build = |from: &Path, name: &str, setting: &str, more: &str| {
        let config = format!(
            "previewFeatures: [kdump-boot-files]\niso:\n  initramfsType: full-os\n  kdumpBootFiles: {setting}\n{more}"
        );
        let built = chain.build(from, name, &config).unwrap();
        Medium::iso(&built)
    };
    // Kept: both files are in the system, and the initramfs of kdump is not on the medium.
    let kept = build(&disk, "a0.iso", "keep", &adds);
    assert_eq!(in_boot(&kept.system()), [kdump.clone(), kernel.clone()]);
    assert!(!in_boot(&kept.0).contains(&kdump) && in_boot(&kept.0).contains(kernel));
    // Not kept any more: they move to the medium.
    let moved = build(&chain.path("a0.iso"), "a1.iso", "none", "");
    assert_eq!(in_boot(&moved.system()), [""; 0]);
    assert!(in_boot(&moved.0).contains(&kdump) && in_boot(&moved.0).contains(kernel));
    // Nothing of kdump to keep.
    let nothing = build(&disk, "b.iso", "keep", "");
    assert_eq!(in_boot(&nothing.system()), [""; 0]);
    let none = build(&disk, "c.iso", "none", &adds);
    assert_eq!(in_boot(&none.system()), [""; 0]);
    assert!(in_boot(&none.0).contains(&kdump));
}

#[test]
fn ref_every_kernel_is_in_the_menu() {
    if !tools::available(&NEEDED) {
        return;
    }
    for layout in [Layout::AzureLinux3, Layout::AzureLinux4] {
        let chain = Chain::new();
        let disk = disk(layout, Kernels::Two);
        let config = config("iso", "rd.info", "a.txt", "bootstrap", &os("a.txt"));
        let medium = Medium::iso(&chain.build(&disk, "1.iso", &config).unwrap());
        medium.holds("bootstrap", &["rd.info"], &["a.txt"]).unwrap();
        let names = in_boot(&medium.0);
        let kernels: Vec<&String> = names
            .iter()
            .filter(|name| name.starts_with("vmlinuz-"))
            .collect();
        assert_eq!(kernels.len(), 2, "{names:?}");
        for kernel in kernels {
            let lines = medium.kernel_lines();
            assert!(
                lines.iter().any(|line| line.contains(kernel.as_str())),
                "{kernel} {lines:?}"
            );
        }
    }
}

#[test]
fn ref_a_tar_for_network_boot_has_the_tree_that_servers_of_today_expect() {
    if !tools::available(&NEEDED) {
        return;
    }
    let chain = Chain::new();
    let disk = disk(Layout::AzureLinux3, Kernels::One);
    let url = "http://my-pxe-server-1/image.iso";
    let more = format!("  bootstrapFileUrl: {url}\n{}", os("a.txt"));
    let bootstrap = config("pxe", "rd.info", "a.txt", "bootstrap", &more);
    let built = chain.build(&disk, "pxe.tar.gz", &bootstrap).unwrap();
    let tree = tar::read_tree(Arc::new(DiskFile::open(&built).unwrap())).unwrap();
    for path in [
        "bootx64.efi",
        "grubx64.efi",
        "boot/grub2/grub.cfg",
        "azl-image-customizer/saved-configs.yaml",
        "image.iso",
        "a.txt",
        "boot.ipxe",
        "liveos/rootfs.img",
    ] {
        assert!(tree.file(path).is_some(), "{path}");
    }
    let server = Medium(tree);
    for line in server.kernel_lines() {
        assert!(
            line.contains(&format!("root=live:{url} ")) && line.contains(" ip=dhcp"),
            "{line}"
        );
        assert_eq!(line.matches(" root=").count(), 1, "{line}");
    }
    let menu = server.text("boot/grub2/grub.cfg").unwrap();
    assert!(!menu.contains("search "), "{menu}");
    let nested = server.0.file("image.iso").unwrap().clone();
    let nested = Medium(iso9660::read_tree(Arc::new(nested)).unwrap());
    nested.holds("bootstrap", &["rd.info"], &["a.txt"]).unwrap();

    let full_os = config("pxe", "rd.info", "a.txt", "full-os", &os("a.txt"));
    let built = chain.build(&disk, "full.tar.gz", &full_os).unwrap();
    let tree = tar::read_tree(Arc::new(DiskFile::open(&built).unwrap())).unwrap();
    assert!(tree.file("boot/initrd.img").is_some() && tree.file("image.iso").is_none());
    // From a full-os ISO the other kind for the network is made, with a menu that fits.
    let iso = chain
        .build(&disk, "full.iso", "iso:\n  initramfsType: full-os\n")
        .unwrap();
    let config = "pxe:\n  initramfsType: bootstrap\n  bootstrapBaseUrl: http://h/x\n";
    let built = chain.build(&iso, "again.tar.gz", config).unwrap();
    let server = Medium(tar::read_tree(Arc::new(DiskFile::open(&built).unwrap())).unwrap());
    for line in server.kernel_lines() {
        assert!(line.contains("root=live:http://h/x/image.iso"), "{line}");
    }
}

#[test]
fn ref_a_configuration_alone_says_what_is_built_and_flags_win() {
    if !tools::available(&NEEDED) {
        return;
    }
    let disk = disk(Layout::AzureLinux3, Kernels::One);
    let chain = Chain::new();
    let config = format!(
        "input:\n  image:\n    path: {}\noutput:\n  image:\n    path: out/live.iso\n    format: iso\niso:\n  volumeId: FROM-FILE\n",
        disk.display()
    );
    std::fs::create_dir(chain.path("out")).unwrap();
    let file = chain.path("all.yaml");
    std::fs::write(&file, config).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = builds::liveos().unwrap();
        command.arg("build").arg("-c").arg(&file).args(arguments);
        let done = command.output().unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    };
    let label = |path: &Path| {
        let identity = iso9660::probe(&DiskFile::open(path).unwrap()).unwrap();
        identity.unwrap().label
    };
    run(&["--compression", "lz4"]);
    assert_eq!(label(&chain.path("out/live.iso")), "FROM-FILE");
    let other = chain.path("other.iso");
    run(&[
        "--compression",
        "lz4",
        "--volume-id",
        "TYPED",
        "-o",
        other.to_str().unwrap(),
    ]);
    assert_eq!(label(&other), "TYPED");
}
