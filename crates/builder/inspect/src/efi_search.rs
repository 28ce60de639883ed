//! Where EFI programs lie: the folders of the ESP, and where packages keep what they copy there.

use block::{Content, Result};
use tree::{Tree, TreePath};

use crate::{Architecture, EfiBinary, EfiFlavour, efi, file};

/// Where the ESP may be mounted.
const ESPS: [&str; 4] = ["/boot/efi", "/efi", "/boot", ""];

/// Folders below which ESP files are kept for copying: bootupd's, and Fedora's from 43 on (`NAME/VERSION/EFI`).
const ESP_STORES: [&str; 2] = ["/usr/lib/bootupd/updates", "/usr/lib/efi"];

/// A folder below some `/EFI`.
pub(crate) struct Folder {
    pub(crate) vendor: String,
    pub(crate) path: TreePath,
}

/// All vendor folders of all ESPs, `BOOT` last.
pub(crate) fn folders(tree: &Tree<Content>) -> Vec<Folder> {
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
    let mut found: Vec<Folder> = Vec::new();
    for root in roots {
        for (name, efi) in file::folders_in(tree, &root) {
            if !name.eq_ignore_ascii_case("EFI") {
                continue;
            }
            for (vendor, path) in file::folders_in(tree, &efi.to_string()) {
                if found.iter().all(|folder| folder.path != path) {
                    found.push(Folder { vendor, path });
                }
            }
        }
    }
    found.sort_by_key(|folder| folder.vendor.eq_ignore_ascii_case("BOOT"));
    found
}

/// One search for EFI programs.
pub(crate) struct Search<'a> {
    pub(crate) tree: &'a Tree<Content>,
    pub(crate) folders: &'a [Folder],
    pub(crate) architecture: Architecture,
}

impl Search<'_> {
    pub(crate) fn shim(&self, suffix: &str) -> Result<Vec<EfiBinary>> {
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

    /// GRUB's name of the architecture's EFI platform.
    fn platform(&self) -> &'static str {
        match self.architecture {
            Architecture::X86_64 => "x86_64-efi",
            Architecture::Aarch64 => "arm64-efi",
            Architecture::I386 => "i386-efi",
            _ => "riscv64-efi",
        }
    }

    /// Debian's and Ubuntu's GRUB for the network; others have one GRUB for everything.
    pub(crate) fn grub_network(&self, suffix: &str) -> Result<Vec<EfiBinary>> {
        let platform = self.platform();
        let mut found = Found::default();
        for path in [
            format!("/usr/lib/grub/{platform}-signed/grubnet{suffix}.efi.signed"),
            format!("/usr/lib/grub/{platform}/monolithic/grubnet{suffix}.efi"),
        ] {
            self.at(&path, &mut found);
        }
        let mut grubs = self.looked_at(found)?;
        grubs.sort_by_key(|grub| !grub.signed);
        Ok(grubs)
    }

    pub(crate) fn grub(&self, suffix: &str) -> Result<Vec<EfiBinary>> {
        let platform = self.platform();
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

    pub(crate) fn mok_manager(&self, suffix: &str) -> Result<Vec<EfiBinary>> {
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
