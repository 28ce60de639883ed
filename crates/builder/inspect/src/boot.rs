//! The boot loaders of a tree, and where they keep their configuration.

use block::{Content, Error, Result};
use serde::Serialize;
use tree::{Tree, TreePath};

use crate::{Architecture, EfiBinary, EfiFlavour, Facts, OsRelease, efi, file, package, show};

/// What there is to boot with. Every list has the best first.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Boot {
    /// The first stage for Secure Boot.
    pub shim: Vec<EfiBinary>,
    /// GRUB as EFI program.
    pub grub: Vec<EfiBinary>,
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

/// Where the ESP may be mounted.
const ESPS: [&str; 4] = ["/boot/efi", "/efi", "/boot", ""];

/// Folders below which ESP files are kept for copying: bootupd's, and Fedora's from 43 on (`NAME/VERSION/EFI`).
const ESP_STORES: [&str; 2] = ["/usr/lib/bootupd/updates", "/usr/lib/efi"];

/// Finds everything to boot with on `architecture`.
pub(crate) fn find(
    tree: &Tree<Content>,
    architecture: Architecture,
    os: Option<&OsRelease>,
) -> Result<Boot> {
    let folders = efi_folders(tree);
    let mut boot = Boot {
        grub_config: grub_configs(tree, &folders),
        bls_entries: named(tree, "/boot/loader/entries", ".conf"),
        grub_bios: grub_bios(tree),
        isolinux: isolinux(tree),
        ukis: ukis(tree, &folders),
        ..Boot::default()
    };
    if let Some(suffix) = architecture.efi_name() {
        let search = Search {
            tree,
            folders: &folders,
            architecture,
        };
        boot.shim = search.shim(suffix)?;
        boot.grub = search.grub(suffix)?;
        boot.mok_manager = search.mok_manager(suffix)?;
    }
    (boot.vendor, boot.vendor_reason) = vendor(&boot, os);
    Ok(boot)
}

/// A folder below some `/EFI`.
struct EfiFolder {
    vendor: String,
    path: TreePath,
}

/// All vendor folders of all ESPs, `BOOT` last.
fn efi_folders(tree: &Tree<Content>) -> Vec<EfiFolder> {
    let mut roots: Vec<String> = ESPS.map(str::to_owned).into();
    for store in ESP_STORES {
        roots.push(store.to_owned());
        for (_, package) in file::folders_in(tree, store) {
            // Versions: the newest first.
            let mut versions = file::folders_in(tree, &package.to_string());
            versions.sort_by(|a, b| crate::version::compare(&b.0, &a.0));
            roots.extend(versions.into_iter().map(|(_, path)| path.to_string()));
        }
    }
    let mut found: Vec<EfiFolder> = Vec::new();
    for root in roots {
        for (name, efi) in file::folders_in(tree, &root) {
            if !name.eq_ignore_ascii_case("EFI") {
                continue;
            }
            for (vendor, path) in file::folders_in(tree, &efi.to_string()) {
                if found.iter().all(|folder| folder.path != path) {
                    found.push(EfiFolder { vendor, path });
                }
            }
        }
    }
    found.sort_by_key(|folder| folder.vendor.eq_ignore_ascii_case("BOOT"));
    found
}

/// One search for EFI programs.
struct Search<'a> {
    tree: &'a Tree<Content>,
    folders: &'a [EfiFolder],
    architecture: Architecture,
}

impl Search<'_> {
    fn shim(&self, suffix: &str) -> Result<Vec<EfiBinary>> {
        let mut found = Found::default();
        self.on_esp(&format!("shim{suffix}.efi"), &mut found);
        self.on_esp("shim.efi", &mut found);
        let machine = self.architecture.name();
        for path in [
            format!("/usr/lib/shim/shim{suffix}.efi.signed"),
            format!("/usr/lib/shim/shim{suffix}.efi.signed.latest"),
            format!("/usr/lib/shim/shim{suffix}.efi"),
            format!("/usr/share/shim/{suffix}/shim{suffix}.efi"),
            format!("/usr/share/shim/shim{suffix}.efi"),
            format!("/usr/share/efi/{machine}/shim.efi"),
            "/usr/lib64/efi/shim.efi".to_owned(),
            "/usr/lib/efi/shim.efi".to_owned(),
        ] {
            self.at(&path, &mut found);
        }
        let mut shims = self.looked_at(found)?;
        let mut fallback = Found::default();
        self.on_esp(&format!("boot{suffix}.efi"), &mut fallback);
        for (program, traits) in self.programs(fallback)? {
            if traits.shim {
                shims.push(program);
            }
        }
        shims.sort_by_key(|shim| !shim.signed);
        Ok(shims)
    }

    fn grub(&self, suffix: &str) -> Result<Vec<EfiBinary>> {
        let platform = match self.architecture {
            Architecture::X86_64 => "x86_64-efi",
            Architecture::Aarch64 => "arm64-efi",
            Architecture::I386 => "i386-efi",
            _ => "riscv64-efi",
        };
        let machine = self.architecture.name();
        let mut found = Found::default();
        self.at(
            &format!("/usr/lib/grub/{platform}-signed/gcd{suffix}.efi.signed"),
            &mut found,
        );
        self.on_esp(&format!("grub{suffix}.efi"), &mut found);
        self.on_esp("grub.efi", &mut found);
        self.on_esp(&format!("gcd{suffix}.efi"), &mut found);
        for path in [
            format!("/usr/lib/grub/{platform}-signed/grub{suffix}.efi.signed"),
            format!("/usr/share/efi/{machine}/grub.efi"),
            format!("/usr/share/grub2/{platform}/grub.efi"),
            "/usr/lib64/efi/grub.efi".to_owned(),
            format!("/usr/lib/grub/{platform}/monolithic/gcd{suffix}.efi"),
            format!("/usr/lib/grub/{platform}/monolithic/grub{suffix}.efi"),
            format!("/usr/lib/grub/{platform}/grub{suffix}-noprefix.efi"),
            format!("/usr/lib/grub/{platform}/grub.efi"),
        ] {
            self.at(&path, &mut found);
        }
        let mut grubs = self.looked_at(found)?;
        grubs.sort_by_key(|grub| !grub.signed);
        Ok(grubs)
    }

    fn mok_manager(&self, suffix: &str) -> Result<Vec<EfiBinary>> {
        let mut found = Found::default();
        self.on_esp(&format!("mm{suffix}.efi"), &mut found);
        let machine = self.architecture.name();
        for path in [
            format!("/usr/lib/shim/mm{suffix}.efi.signed"),
            format!("/usr/lib/shim/mm{suffix}.efi"),
            format!("/usr/share/efi/{machine}/MokManager.efi"),
        ] {
            self.at(&path, &mut found);
        }
        self.looked_at(found)
    }

    /// Adds the files called `name`, in upper or lower case, of every ESP folder.
    fn on_esp(&self, name: &str, found: &mut Found) {
        for folder in self.folders {
            for (file, path, _) in file::files_in(self.tree, &folder.path.to_string()) {
                if file.eq_ignore_ascii_case(name) {
                    let vendor = &folder.vendor;
                    let own = !vendor.eq_ignore_ascii_case("BOOT");
                    let vendor = own.then(|| vendor.clone());
                    found.add(path, vendor, "it lies in a folder of the ESP");
                }
            }
        }
    }

    /// Adds the file at `path`.
    fn at(&self, path: &str, found: &mut Found) {
        if self.tree.file(path).is_some()
            && let Ok((real, _)) = self.tree.resolve(path)
        {
            found.add(real, None, &format!("{path} is where a package keeps it"));
        }
    }

    fn looked_at(&self, found: Found) -> Result<Vec<EfiBinary>> {
        let programs = self.programs(found)?.into_iter();
        Ok(programs.map(|(program, _)| program).collect())
    }

    /// Looks into what was found; what is no program of this architecture is left out.
    fn programs(&self, found: Found) -> Result<Vec<(EfiBinary, efi::Traits)>> {
        let mut out = Vec::new();
        for (path, vendor, reason) in found.0 {
            let Some(content) = self.tree.file(path.as_bytes()) else {
                continue;
            };
            let traits = efi::look(content)?;
            if traits.architecture != Some(self.architecture) {
                continue;
            }
            let name = String::from_utf8_lossy(path.file_name().unwrap_or_default());
            let cd = name.to_ascii_lowercase().starts_with("gcd");
            let by_prefix = traits.prefix.as_deref().and_then(efi::vendor_of_prefix);
            let program = EfiBinary {
                architecture: self.architecture,
                signed: traits.signed,
                flavour: if cd { EfiFlavour::Cd } else { EfiFlavour::Disk },
                prefix: traits.prefix.clone(),
                vendor: by_prefix.or(vendor),
                reason,
                path,
            };
            out.push((program, traits));
        }
        Ok(out)
    }
}

/// Files with the vendor folder that they lie in and the reason; each file once.
#[derive(Default)]
struct Found(Vec<(TreePath, Option<String>, String)>);

impl Found {
    fn add(&mut self, path: TreePath, vendor: Option<String>, reason: &str) {
        if self.0.iter().all(|(known, ..)| *known != path) {
            self.0.push((path, vendor, reason.to_owned()));
        }
    }
}

/// The vendor folder: what the best GRUB has compiled in, else where shim lies, else the distribution's name.
fn vendor(boot: &Boot, os: Option<&OsRelease>) -> (String, String) {
    if let Some(grub) = boot.grub.first()
        && let Some(vendor) = &grub.vendor
    {
        let reason = match &grub.prefix {
            Some(prefix) => format!("{} has the prefix {prefix} compiled in", grub.path),
            None => format!("{} lies there", grub.path),
        };
        return (vendor.clone(), reason);
    }
    for program in boot.shim.iter().chain(&boot.grub) {
        if let Some(vendor) = &program.vendor {
            return (vendor.clone(), format!("{} lies there", program.path));
        }
    }
    match os {
        Some(os) => (os.id().to_owned(), "ID of os-release".to_owned()),
        None => ("BOOT".to_owned(), "nothing names a vendor".to_owned()),
    }
}

fn grub_configs(tree: &Tree<Content>, folders: &[EfiFolder]) -> Vec<TreePath> {
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

fn grub_bios(tree: &Tree<Content>) -> Option<TreePath> {
    let folders = [
        "/usr/lib/grub/i386-pc",
        "/usr/share/grub2/i386-pc",
        "/boot/grub2/i386-pc",
        "/boot/grub/i386-pc",
    ];
    let complete = |folder: &&&str| {
        let has = |name: &str| tree.file(format!("{folder}/{name}")).is_some();
        has("normal.mod") && (has("kernel.img") || has("core.img"))
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

fn ukis(tree: &Tree<Content>, folders: &[EfiFolder]) -> Vec<TreePath> {
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
        assert_eq!(boot.grub_bios.unwrap().to_string(), "/boot/grub2/i386-pc");
        let isolinux = boot.isolinux.unwrap();
        assert_eq!(
            isolinux.modules.unwrap().to_string(),
            "/usr/lib/syslinux/modules/bios"
        );
        assert_eq!(boot.ukis.len(), 1);
    }
}
