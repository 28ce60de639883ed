//! The boot loaders of a tree, and where they keep their configuration.

use block::{Content, Error, Result};
use serde::Serialize;
use tree::{Tree, TreePath};

use crate::{Architecture, EfiBinary, Facts, OsRelease, efi_search, file, package, show};

/// What there is to boot with. Every list has the best first.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Boot {
    /// The first stage for Secure Boot.
    pub shim: Vec<EfiBinary>,
    /// GRUB as EFI program.
    pub grub: Vec<EfiBinary>,
    /// GRUB as EFI program for the network, where the distribution builds it apart.
    pub grub_network: Vec<EfiBinary>,
    /// Shim's key manager, which shim starts where it has to ask.
    pub mok_manager: Vec<EfiBinary>,
    /// The name of the folder below `/EFI` in which the best GRUB expects its configuration.
    pub vendor: String,
    /// Why the vendor is believed to be this, for people.
    pub vendor_reason: String,
    /// GRUB's configuration: the main one first, those of the ESP last.
    #[serde(serialize_with = "show::list")]
    pub grub_config: Vec<TreePath>,
    /// The Boot Loader Specification's entries, by name.
    #[serde(serialize_with = "show::list")]
    pub bls_entries: Vec<TreePath>,
    /// The folder of GRUB's modules for BIOS, with `kernel.img` or `boot.img` in it.
    #[serde(serialize_with = "show::maybe")]
    pub grub_bios: Option<TreePath>,
    /// ISOLINUX.
    pub isolinux: Option<Isolinux>,
    /// Unified kernel images.
    #[serde(serialize_with = "show::list")]
    pub ukis: Vec<TreePath>,
}

/// The files of ISOLINUX.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Isolinux {
    /// `isolinux.bin`.
    #[serde(serialize_with = "show::path")]
    pub program: TreePath,
    /// The folder that holds `ldlinux.c32`.
    #[serde(serialize_with = "show::maybe")]
    pub modules: Option<TreePath>,
}

impl Facts {
    /// The shim to use.
    ///
    /// # Errors
    ///
    /// [`block::Kind::NotFound`], naming the file and the distribution's package.
    pub fn shim(&self) -> Result<&EfiBinary> {
        let file = format!("shim{}.efi", self.efi_suffix()?);
        let found = self.boot.shim.first();
        found.ok_or_else(|| self.missing(&file, package::shim(self.os.as_ref(), self.arch())))
    }

    /// The GRUB to use under UEFI.
    ///
    /// # Errors
    ///
    /// [`block::Kind::NotFound`], naming the file and the distribution's package.
    pub fn grub(&self) -> Result<&EfiBinary> {
        let file = format!("grub{}.efi", self.efi_suffix()?);
        let found = self.boot.grub.first();
        found.ok_or_else(|| self.missing(&file, package::grub(self.os.as_ref(), self.arch())))
    }

    fn arch(&self) -> Architecture {
        self.architecture.value
    }

    fn efi_suffix(&self) -> Result<&'static str> {
        self.arch().efi_name().ok_or_else(|| {
            let message = format!("UEFI boot is not known for {}", self.arch().name());
            Error::unsupported("choosing the EFI boot loader", message)
        })
    }

    fn missing(&self, file: &str, package: &str) -> Error {
        let message = format!(
            "{file} is neither on the ESP nor below /usr; the package {package} of {} has it",
            self.name()
        );
        Error::not_found("choosing the EFI boot loader", message)
    }
}

/// Finds everything to boot with on `architecture`.
pub(crate) fn find(
    tree: &Tree<Content>,
    architecture: Architecture,
    os: Option<&OsRelease>,
) -> Result<Boot> {
    let folders = efi_search::folders(tree);
    let mut boot = Boot {
        grub_config: grub_configs(tree, &folders),
        bls_entries: named(tree, "/boot/loader/entries", ".conf"),
        grub_bios: grub_bios(tree),
        isolinux: isolinux(tree),
        ukis: ukis(tree, &folders),
        ..Boot::default()
    };
    if let Some(suffix) = architecture.efi_name() {
        let search = efi_search::Search {
            tree,
            folders: &folders,
            architecture,
        };
        boot.shim = search.shim(suffix)?;
        boot.grub = search.grub(suffix)?;
        boot.grub_network = search.grub_network(suffix)?;
        boot.mok_manager = search.mok_manager(suffix)?;
    }
    (boot.vendor, boot.vendor_reason) = vendor(&boot, os);
    Ok(boot)
}

/// The vendor folder: what the best GRUB has compiled in, else where shim lies, else the distribution's name.
fn vendor(boot: &Boot, os: Option<&OsRelease>) -> (String, String) {
    if let Some(grub) = boot.grub.first()
        && let Some(vendor) = &grub.vendor
    {
        return (vendor.clone(), grub.vendor_reason());
    }
    for program in boot.shim.iter().chain(&boot.grub) {
        if let Some(vendor) = &program.vendor {
            return (vendor.clone(), program.vendor_reason());
        }
    }
    match os {
        Some(os) => (os.id().to_owned(), "ID of os-release".to_owned()),
        None => ("BOOT".to_owned(), "nothing names a vendor".to_owned()),
    }
}

fn grub_configs(tree: &Tree<Content>, folders: &[efi_search::Folder]) -> Vec<TreePath> {
    let esp = folders
        .iter()
        .map(|folder| format!("{}/grub.cfg", folder.path));
    let main = ["/boot/grub2/grub.cfg", "/boot/grub/grub.cfg"].map(str::to_owned);
    let mut found = Vec::new();
    for path in main.into_iter().chain(esp) {
        if tree.file(&path).is_some()
            && let Ok((real, _)) = tree.resolve(&path)
            && !found.contains(&real)
        {
            found.push(real);
        }
    }
    found
}

/// What a boot image for media is made of. What `grub-install` leaves in `/boot` lacks some of it: that folder can boot the disk that it
/// is on, and nothing else.
const GRUB_BIOS_FILES: [&str; 6] = [
    "normal.mod",
    "kernel.img",
    "cdboot.img",
    "diskboot.img",
    "boot_hybrid.img",
    "lzma_decompress.img",
];

/// The folder from which GRUB's boot image for a BIOS can be made.
fn grub_bios(tree: &Tree<Content>) -> Option<TreePath> {
    let folders = [
        "/usr/lib/grub/i386-pc",
        "/usr/share/grub2/i386-pc",
        "/boot/grub2/i386-pc",
        "/boot/grub/i386-pc",
    ];
    let complete = |folder: &&&str| {
        GRUB_BIOS_FILES
            .iter()
            .all(|name| tree.file(format!("{folder}/{name}")).is_some())
    };
    let folder = folders.iter().find(complete)?;
    tree.resolve(folder).ok().map(|(path, _)| path)
}

fn isolinux(tree: &Tree<Content>) -> Option<Isolinux> {
    let programs = [
        "/usr/lib/ISOLINUX/isolinux.bin",
        "/usr/share/syslinux/isolinux.bin",
        "/usr/lib/syslinux/bios/isolinux.bin",
        "/usr/lib/syslinux/isolinux.bin",
    ];
    let modules = [
        "/usr/lib/syslinux/modules/bios",
        "/usr/share/syslinux",
        "/usr/lib/syslinux/bios",
        "/usr/lib/syslinux",
    ];
    let has = |path: &String| tree.file(path).is_some();
    let program = programs.iter().find(|path| has(&(**path).to_owned()))?;
    let modules = modules
        .iter()
        .find(|path| has(&format!("{path}/ldlinux.c32")));
    let real = |path: &str| tree.resolve(path).ok().map(|(path, _)| path);
    Some(Isolinux {
        program: real(program)?,
        modules: modules.and_then(|path| real(path)),
    })
}

/// The files of the folder at `path` whose names end in `suffix`.
fn named(tree: &Tree<Content>, path: &str, suffix: &str) -> Vec<TreePath> {
    let files = file::files_in(tree, path).into_iter();
    let files = files.filter(|(name, ..)| name.to_ascii_lowercase().ends_with(suffix));
    files.map(|(_, path, _)| path).collect()
}

fn ukis(tree: &Tree<Content>, folders: &[efi_search::Folder]) -> Vec<TreePath> {
    let linux = folders
        .iter()
        .filter(|folder| folder.vendor.eq_ignore_ascii_case("Linux"));
    let mut found: Vec<TreePath> = linux
        .flat_map(|folder| named(tree, &folder.path.to_string(), ".efi"))
        .collect();
    for (_, folder) in file::folders_in(tree, "/usr/lib/modules") {
        found.extend(named(tree, &folder.to_string(), ".efi"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EfiFlavour;
    use crate::efi::tests::program;
    use tree::{Inode, Metadata, Node};

    fn search(files: &[(&str, Vec<u8>)]) -> Boot {
        let mut tree = Tree::new(Metadata::default());
        for (path, bytes) in files {
            let node = Node::File(Content::from_bytes(bytes.as_slice()));
            let path = TreePath::parse(path).unwrap();
            tree.put(&path, Inode::new(Metadata::default(), node))
                .unwrap();
        }
        find(&tree, Architecture::X86_64, None).unwrap()
    }

    fn paths(programs: &[EfiBinary]) -> Vec<String> {
        programs
            .iter()
            .map(|program| program.path.to_string())
            .collect()
    }

    #[test]
    fn the_signed_cd_flavour_of_debian_comes_before_what_the_esp_has() {
        let boot = search(&[
            (
                "/boot/efi/EFI/debian/grubx64.efi",
                program(Some("/EFI/debian"), true, b""),
            ),
            (
                "/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed",
                program(Some("/boot/grub"), true, b""),
            ),
            (
                "/boot/efi/EFI/debian/shimx64.efi",
                program(None, true, b"UEFI SHIM"),
            ),
            (
                "/boot/efi/EFI/BOOT/BOOTX64.EFI",
                program(None, true, b"UEFI SHIM"),
            ),
        ]);
        assert_eq!(
            paths(&boot.grub),
            [
                "/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed",
                "/boot/efi/EFI/debian/grubx64.efi"
            ]
        );
        assert_eq!(boot.grub[0].flavour, EfiFlavour::Cd);
        assert_eq!(
            paths(&boot.shim),
            [
                "/boot/efi/EFI/debian/shimx64.efi",
                "/boot/efi/EFI/BOOT/BOOTX64.EFI"
            ]
        );
        assert_eq!(boot.vendor, "debian");
    }

    #[test]
    fn a_signed_program_comes_before_one_that_is_not() {
        let boot = search(&[
            (
                "/boot/efi/EFI/debian/grubx64.efi",
                program(Some("/boot/grub"), false, b""),
            ),
            (
                "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
                program(Some("/EFI/debian"), true, b""),
            ),
        ]);
        assert!(boot.grub[0].signed && !boot.grub[1].signed);
    }

    #[test]
    fn a_fallback_loader_that_is_no_shim_is_not_taken_for_one() {
        let boot = search(&[(
            "/efi/EFI/BOOT/bootx64.efi",
            program(None, true, b"systemd-boot"),
        )]);
        assert!(boot.shim.is_empty());
    }

    #[test]
    fn names_on_the_esp_are_in_any_case_and_other_machines_programs_are_left_out() {
        let mut other = program(None, true, b"");
        other[0x44..0x46].copy_from_slice(&0xaa64_u16.to_le_bytes());
        let boot = search(&[
            ("/boot/efi/efi/Fedora/GRUBX64.EFI", program(None, true, b"")),
            ("/boot/efi/efi/zzz/grubx64.efi", other),
            ("/boot/efi/efi/bad/grubx64.efi", b"text".to_vec()),
        ]);
        assert_eq!(paths(&boot.grub), ["/boot/efi/efi/Fedora/GRUBX64.EFI"]);
        assert_eq!(boot.vendor, "Fedora");
    }

    #[test]
    fn the_stores_of_image_based_systems_are_searched_newest_first() {
        let boot = search(&[
            (
                "/usr/lib/efi/shim/15.8-3/EFI/fedora/shimx64.efi",
                program(None, true, b""),
            ),
            (
                "/usr/lib/efi/shim/15.10-1/EFI/fedora/shimx64.efi",
                program(None, true, b""),
            ),
            (
                "/usr/lib/bootupd/updates/EFI/fedora/grubx64.efi",
                program(None, true, b""),
            ),
        ]);
        assert_eq!(
            boot.shim[0].path.to_string(),
            "/usr/lib/efi/shim/15.10-1/EFI/fedora/shimx64.efi"
        );
        assert_eq!(boot.grub.len(), 1);
    }

    #[test]
    fn configuration_entries_and_bios_files_are_found() {
        let boot = search(&[
            ("/boot/grub2/grub.cfg", Vec::new()),
            ("/boot/efi/EFI/fedora/grub.cfg", Vec::new()),
            ("/boot/loader/entries/b.conf", Vec::new()),
            ("/boot/loader/entries/a.conf", Vec::new()),
            ("/boot/loader/entries/README", Vec::new()),
            ("/boot/grub2/i386-pc/normal.mod", Vec::new()),
            ("/boot/grub2/i386-pc/core.img", Vec::new()),
            ("/usr/lib/grub/i386-pc/normal.mod", Vec::new()),
            ("/usr/lib/grub/i386-pc/kernel.img", Vec::new()),
            ("/usr/lib/grub/i386-pc/cdboot.img", Vec::new()),
            ("/usr/lib/grub/i386-pc/diskboot.img", Vec::new()),
            ("/usr/lib/grub/i386-pc/boot_hybrid.img", Vec::new()),
            ("/usr/lib/grub/i386-pc/lzma_decompress.img", Vec::new()),
            ("/usr/lib/ISOLINUX/isolinux.bin", Vec::new()),
            ("/usr/lib/syslinux/modules/bios/ldlinux.c32", Vec::new()),
            ("/boot/efi/EFI/Linux/x.efi", Vec::new()),
        ]);
        let text: Vec<_> = boot.grub_config.iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            ["/boot/grub2/grub.cfg", "/boot/efi/EFI/fedora/grub.cfg"]
        );
        assert_eq!(boot.bls_entries.len(), 2);
        let folder = boot.grub_bios.unwrap().to_string();
        assert_eq!(folder, "/usr/lib/grub/i386-pc");
        let isolinux = boot.isolinux.unwrap();
        assert_eq!(
            isolinux.modules.unwrap().to_string(),
            "/usr/lib/syslinux/modules/bios"
        );
        assert_eq!(boot.ukis.len(), 1);
    }
}
