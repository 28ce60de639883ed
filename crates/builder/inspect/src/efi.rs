//! What can be learnt from an EFI program without running it: whether it is signed, and where a GRUB looks for its configuration.

use block::{Content, ReadAt as _, Result};
use serde::Serialize;
use tree::TreePath;

use crate::architecture::of_pe;
use crate::{Architecture, file, show};

/// The largest EFI program that is read; the largest real GRUB has under 8 MiB. Of a larger one only the header is looked at.
const MAX_PROGRAM: usize = 32 << 20;

/// What a GRUB was built to boot from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EfiFlavour {
    /// From a CD: Debian's and Fedora's `gcd…`.
    Cd,
    /// From an installed disk, or not told.
    Disk,
}

/// An EFI program of a tree.
#[derive(Clone, Debug, Serialize)]
pub struct EfiBinary {
    /// The file.
    #[serde(serialize_with = "show::path")]
    pub path: TreePath,
    /// What it runs on.
    pub architecture: Architecture,
    /// Whether it carries an Authenticode signature; whose is not looked at.
    pub signed: bool,
    /// What it was built to boot from.
    pub flavour: EfiFlavour,
    /// The folder in which a GRUB looks for `grub.cfg`, as it was compiled in; `None` for other programs.
    pub prefix: Option<String>,
    /// The name of the folder below `/EFI` that belongs to it, by the prefix or by where it lies.
    pub vendor: Option<String>,
    /// Why it was chosen, for people.
    pub reason: String,
}

impl EfiBinary {
    /// Why the vendor is believed to be this, for people.
    pub(crate) fn vendor_reason(&self) -> String {
        let by_prefix = self.prefix.as_deref().and_then(vendor_of_prefix);
        match &self.prefix {
            Some(prefix) if by_prefix.is_some() => {
                format!("{} has the prefix {prefix} compiled in", self.path)
            }
            _ => format!("{} lies there", self.path),
        }
    }
}

/// What the bytes of an EFI program say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Traits {
    pub(crate) architecture: Option<Architecture>,
    pub(crate) signed: bool,
    pub(crate) shim: bool,
    pub(crate) prefix: Option<String>,
}

/// Looks into the program `content`. Anything that is no EFI program has no architecture.
pub(crate) fn look(content: &Content) -> Result<Traits> {
    let len = usize::try_from(content.len()).unwrap_or(usize::MAX);
    let bytes = if len <= MAX_PROGRAM {
        content.read_all(MAX_PROGRAM)?
    } else {
        file::head(content, 4096)?
    };
    Ok(traits(&bytes))
}

fn traits(bytes: &[u8]) -> Traits {
    let architecture = of_pe(bytes);
    if architecture == Architecture::Unknown {
        return Traits::default();
    }
    let pe = Pe::parse(bytes);
    let prefix = pe.as_ref().and_then(|pe| grub_prefix(pe.section(b"mods")?));
    Traits {
        architecture: Some(architecture),
        signed: pe.as_ref().is_some_and(|pe| pe.signed),
        shim: find(bytes, b"UEFI SHIM").is_some(),
        prefix: prefix.or_else(|| efi_folder(bytes)),
    }
}

/// The parts of a PE file that matter here.
struct Pe<'a> {
    bytes: &'a [u8],
    sections: &'a [u8],
    signed: bool,
}

impl<'a> Pe<'a> {
    /// Source: Microsoft PE format: COFF file header, optional header PE32+, data directory 4 (certificates).
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let at = number(bytes, 60)?;
        let coff = bytes.get(at..)?.strip_prefix(b"PE\0\0")?;
        let count = usize::from(u16::from_le_bytes(*coff.get(2..)?.first_chunk()?));
        let optional_len = usize::from(u16::from_le_bytes(*coff.get(16..)?.first_chunk()?));
        let (optional, rest) = coff.get(20..)?.split_at_checked(optional_len)?;
        // PE32+ has its data directories at 112, PE32 at 96; the certificates' are the fifth.
        let directories = if optional.starts_with(&[0x0b, 0x02]) {
            112
        } else {
            96
        };
        let certificates = number(optional, directories + 4 * 8 + 4).unwrap_or(0);
        Some(Self {
            bytes,
            sections: rest.get(..count.checked_mul(40)?)?,
            signed: certificates > 0,
        })
    }

    /// The bytes of the section `name` as they lie in the file.
    fn section(&self, name: &[u8]) -> Option<&'a [u8]> {
        let header = self.sections.chunks_exact(40).find(|header| {
            let found = header.get(..8).unwrap_or_default();
            found
                .strip_prefix(name)
                .is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
        })?;
        let len = number(header, 16)?;
        let at = number(header, 20)?;
        self.bytes.get(at..at.checked_add(len)?)
    }
}

/// The prefix among the objects that `grub-mkimage` puts into its image.
///
/// `mods` begins with `mimg`, padding, the offset of the first object and the length of all, both of 64 bits; an object is its type, its length
/// with this header, and its bytes; type 3 is the prefix, ended by NUL.
///
/// Source: GRUB 2.12, `include/grub/kernel.h`, `struct grub_module_info64` and `grub_module_header`.
fn grub_prefix(mods: &[u8]) -> Option<String> {
    const PREFIX: usize = 3;
    if !mods.starts_with(b"mimg") {
        return None;
    }
    let mut rest = mods.get(number(mods, 8)?..)?;
    loop {
        let kind = number(rest, 0)?;
        let len = number(rest, 4).filter(|len| *len >= 8)?;
        let object = rest.get(8..len)?;
        if kind == PREFIX {
            let text = object.split(|byte| *byte == 0).next()?;
            return Some(String::from_utf8_lossy(text).into_owned());
        }
        rest = rest.get(len..)?;
    }
}

/// The first text `/EFI/name` in `bytes`, for programs whose objects could not be read.
fn efi_folder(bytes: &[u8]) -> Option<String> {
    let at = find(bytes, b"/EFI/")?;
    let name = bytes.get(at + 5..)?;
    let len = name.iter().take_while(|byte| is_name_byte(**byte)).count();
    let ends = name.get(len).is_none_or(|byte| *byte == 0);
    let text = String::from_utf8_lossy(bytes.get(at..at + 5 + len)?);
    (len > 0 && len < 64 && ends).then(|| text.into_owned())
}

/// The vendor that a prefix names: `/EFI/debian` and `(hd0,gpt1)/EFI/debian` name `debian`.
pub(crate) fn vendor_of_prefix(prefix: &str) -> Option<String> {
    let at = prefix.to_ascii_uppercase().find("/EFI/")?;
    let name = prefix.get(at + 5..)?.split('/').next()?;
    let valid = !name.is_empty() && name.bytes().all(is_name_byte);
    valid.then(|| name.to_owned())
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text)
}

/// The little-endian number of 32 bits at `at`.
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A PE32+ program for x86-64 with a section `mods` that holds `prefix`, signed or not, with `text` somewhere in it.
    pub(crate) fn program(prefix: Option<&str>, signed: bool, text: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 0x40];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[60] = 0x40;
        bytes.extend(b"PE\0\0\x64\x86\x01\0");
        bytes.resize(0x54, 0);
        bytes.extend([240, 0, 0, 0, 0x0b, 0x02]);
        let optional = bytes.len() - 2;
        bytes.resize(optional + 240, 0);
        if signed {
            bytes[optional + 112 + 36] = 8;
        }
        let mut mods = b"mimg\0\0\0\0\x18\0\0\0".to_vec();
        mods.resize(24, 0);
        mods.extend([0, 0, 0, 0, 12, 0, 0, 0, 1, 2, 3, 4]);
        if let Some(prefix) = prefix {
            let len = u32::try_from(8 + prefix.len() + 1).unwrap();
            mods.extend([3, 0, 0, 0]);
            mods.extend(len.to_le_bytes());
            mods.extend(prefix.as_bytes());
            mods.push(0);
        }
        let at = bytes.len() + 40;
        bytes.extend(b"mods\0\0\0\0");
        bytes.extend([0; 8]);
        bytes.extend(u32::try_from(mods.len()).unwrap().to_le_bytes());
        bytes.extend(u32::try_from(at).unwrap().to_le_bytes());
        bytes.resize(at, 0);
        bytes.extend(mods);
        bytes.extend(text);
        bytes
    }

    #[test]
    fn prefix_and_signature_are_read() {
        let found = traits(&program(Some("/EFI/debian"), true, b""));
        assert_eq!(found.prefix.as_deref(), Some("/EFI/debian"));
        assert!(found.signed && !found.shim);
        assert_eq!(found.architecture, Some(Architecture::X86_64));
        let shim = traits(&program(None, false, b"UEFI SHIM\n$Version: 15 $\n"));
        assert!(shim.shim && !shim.signed);
        assert_eq!(shim.prefix, None);
    }

    #[test]
    fn a_prefix_that_no_object_holds_is_searched_as_text() {
        let found = traits(&program(None, true, b"x/EFI/fedora\0"));
        assert_eq!(found.prefix.as_deref(), Some("/EFI/fedora"));
        assert_eq!(traits(&program(None, true, b"/EFI/a b\0")).prefix, None);
    }

    #[test]
    fn any_damage_gives_an_answer() {
        let whole = program(Some("/EFI/debian"), true, b"UEFI SHIM");
        for len in 0..whole.len() {
            traits(&whole[..len]);
        }
        for at in 0..whole.len() {
            for value in [0, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                traits(&bytes);
            }
        }
    }

    #[test]
    fn the_vendor_is_the_folder_below_efi() {
        for (prefix, vendor) in [
            ("/EFI/debian", Some("debian")),
            ("(hd0,gpt1)/EFI/azurelinux/x", Some("azurelinux")),
            ("(,gpt1)/efi/BOOT", Some("BOOT")),
            ("/boot/grub", None),
            ("/EFI/", None),
            ("/EFI/a b", None),
        ] {
            assert_eq!(vendor_of_prefix(prefix).as_deref(), vendor, "{prefix}");
        }
    }
}
