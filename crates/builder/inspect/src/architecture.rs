//! What the programs of a tree run on.

use block::{Content, Result};
use serde::Serialize;
use tree::Tree;

use crate::{Kernel, file};

/// A guess, with the reason for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found<T> {
    /// What is believed.
    pub value: T,
    /// Why, for people: a phrase that names the file looked at.
    pub reason: String,
}

/// What programs run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Architecture {
    /// 64-bit x86.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit Arm.
    Aarch64,
    /// 32-bit x86.
    I386,
    /// 64-bit RISC-V.
    Riscv64,
    /// 64-bit little-endian Power.
    Ppc64le,
    /// IBM Z.
    S390x,
    /// None of these, or nothing to tell it by.
    Unknown,
}

impl Architecture {
    /// The name that UEFI gives it in file names (`x64` in `BOOTX64.EFI`), in lower case; `None` where UEFI has none.
    ///
    /// Source: UEFI 2.10, 3.5.1.1 table 3.7.
    #[must_use]
    pub fn efi_name(self) -> Option<&'static str> {
        match self {
            Self::X86_64 => Some("x64"),
            Self::Aarch64 => Some("aa64"),
            Self::I386 => Some("ia32"),
            Self::Riscv64 => Some("riscv64"),
            Self::Ppc64le | Self::S390x | Self::Unknown => None,
        }
    }

    /// The name as `uname -m` prints it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
            Self::I386 => "i386",
            Self::Riscv64 => "riscv64",
            Self::Ppc64le => "ppc64le",
            Self::S390x => "s390x",
            Self::Unknown => "unknown",
        }
    }
}

/// Programs that nearly every system has, the likeliest first.
const PROGRAMS: [&str; 8] = [
    "/usr/lib/systemd/systemd",
    "/usr/bin/bash",
    "/bin/bash",
    "/usr/bin/busybox",
    "/bin/busybox",
    "/bin/sh",
    "/sbin/init",
    "/usr/bin/env",
];

/// Guesses the architecture by the first program that is there, else by a kernel.
pub(crate) fn find(tree: &Tree<Content>, kernels: &[Kernel]) -> Result<Found<Architecture>> {
    for path in PROGRAMS {
        let Some(content) = tree.file(path) else {
            continue;
        };
        let value = of_elf(&file::head(content, 20)?);
        if value != Architecture::Unknown {
            let reason = format!("the ELF header of {path}");
            return Ok(Found { value, reason });
        }
    }
    for kernel in kernels {
        let Some(content) = tree.file(kernel.image.as_bytes()) else {
            continue;
        };
        let value = of_kernel(&file::head(content, 4096)?);
        if value != Architecture::Unknown {
            let reason = format!("the header of {}", kernel.image);
            return Ok(Found { value, reason });
        }
    }
    Ok(Found {
        value: Architecture::Unknown,
        reason: "no program and no kernel of a known kind was found".to_owned(),
    })
}

/// The architecture by an ELF header's `e_machine`.
///
/// Source: System V ABI, ELF header; the numbers of `elf.h`.
pub(crate) fn of_elf(head: &[u8]) -> Architecture {
    let (Some(b"\x7fELF"), Some([class, data])) = (head.get(..4), head.get(4..6)) else {
        return Architecture::Unknown;
    };
    let Some(&[a, b]) = head.get(18..20) else {
        return Architecture::Unknown;
    };
    let machine = if *data == 2 {
        u16::from_be_bytes([a, b])
    } else {
        u16::from_le_bytes([a, b])
    };
    match (machine, class, data) {
        (62, 2, 1) => Architecture::X86_64,
        (3, ..) => Architecture::I386,
        (183, 2, 1) => Architecture::Aarch64,
        (243, 2, 1) => Architecture::Riscv64,
        (21, 2, 1) => Architecture::Ppc64le,
        (22, 2, 2) => Architecture::S390x,
        _ => Architecture::Unknown,
    }
}

/// The architecture by a kernel image's header: ELF, an image that is also a PE program, or one with the x86 boot header.
///
/// Source: Linux, Documentation/arch/{arm64/booting,riscv/boot-image-header,x86/boot}.rst.
pub(crate) fn of_kernel(head: &[u8]) -> Architecture {
    if head.starts_with(b"\x7fELF") {
        return of_elf(head);
    }
    match head.get(56..60) {
        Some(b"ARM\x64") => return Architecture::Aarch64,
        Some(b"RSC\x05") => return Architecture::Riscv64,
        _ => {}
    }
    match of_pe(head) {
        Architecture::Unknown if head.get(0x202..0x206) == Some(b"HdrS") => {
            // XLF_KERNEL_64: it has an entry point for 64 bits.
            let long = head.get(0x236).is_some_and(|flags| flags & 1 != 0);
            if long {
                Architecture::X86_64
            } else {
                Architecture::I386
            }
        }
        found => found,
    }
}

/// The architecture by the `Machine` field of a PE header.
///
/// Source: Microsoft PE format, COFF file header.
pub(crate) fn of_pe(head: &[u8]) -> Architecture {
    let machine = || {
        if head.get(..2)? != b"MZ" {
            return None;
        }
        let at = head.get(60..64)?.first_chunk::<4>()?;
        let at = usize::try_from(u32::from_le_bytes(*at)).ok()?;
        let coff = head.get(at..)?.strip_prefix(b"PE\0\0")?;
        Some(u16::from_le_bytes(*coff.first_chunk::<2>()?))
    };
    match machine() {
        Some(0x8664) => Architecture::X86_64,
        Some(0xaa64) => Architecture::Aarch64,
        Some(0x014c) => Architecture::I386,
        Some(0x5064) => Architecture::Riscv64,
        _ => Architecture::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(class: u8, data: u8, machine: [u8; 2]) -> Vec<u8> {
        let mut head = b"\x7fELF".to_vec();
        head.extend([class, data]);
        head.resize(18, 0);
        head.extend(machine);
        head
    }

    #[test]
    fn elf_machines_are_told_apart() {
        assert_eq!(of_elf(&elf(2, 1, [62, 0])), Architecture::X86_64);
        assert_eq!(of_elf(&elf(2, 1, [183, 0])), Architecture::Aarch64);
        assert_eq!(of_elf(&elf(2, 2, [0, 22])), Architecture::S390x);
        assert_eq!(of_elf(&elf(2, 2, [62, 0])), Architecture::Unknown);
        for len in 0..20 {
            let head = &elf(2, 1, [62, 0])[..len];
            assert_eq!(of_elf(head), Architecture::Unknown, "{len} bytes");
        }
    }

    #[test]
    fn a_pe_header_beyond_the_bytes_is_no_architecture() {
        let mut head = vec![0; 64];
        head[..2].copy_from_slice(b"MZ");
        head[60..].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(of_pe(&head), Architecture::Unknown);
        head[60..].copy_from_slice(&64_u32.to_le_bytes());
        head.extend(b"PE\0\0\x64\x86");
        assert_eq!(of_pe(&head), Architecture::X86_64);
        assert_eq!(of_pe(&head[..69]), Architecture::Unknown);
    }
}
