//! GRUB's kernel.img: an ELF program that is flattened to the bytes as they lie in memory.

use block::{Error, Result};
use object::elf::{EM_386, ET_EXEC, FileHeader32, SHF_ALLOC, SHT_NOBITS};
use object::read::elf::{FileHeader, SectionHeader};

/// The address at which kernel.img is linked. Source: `GRUB_KERNEL_I386_PC_LINK_ADDR`.
pub(super) const LINK_ADDRESS: u64 = 0x9000;

/// The most that a flattened kernel may have: it has to end below the EBDA at 640 KiB, with its zeroed data still to come.
/// GRUB 2.12 has 32 KiB. More is refused.
const FLAT_LIMIT: u64 = 0x9_0000;

/// The most sections; GRUB 2.12 has 6. More are refused, because each can name the same bytes again.
const SECTION_LIMIT: usize = 64;

const WHAT: &str = "GRUB's kernel.img";

/// The bytes of `elf` in memory, from its link address to the end of its initialised data.
///
/// GRUB finds the module list behind `_edata`, so nothing may follow: the zeroed data is not part of it.
///
/// # Errors
///
/// [`block::Kind::Unsupported`] for what is no ELF program (before GRUB 2.02 it was a flat file with another layout),
/// [`block::Kind::Corrupt`] for sections outside of the file or of the memory that they may take.
pub(super) fn flatten(elf: &[u8]) -> Result<Vec<u8>> {
    let broken = |error: object::read::Error| Error::corrupt(WHAT, error.to_string());
    if !elf.starts_with(b"\x7fELF") {
        return Err(Error::unsupported(
            WHAT,
            "not an ELF file: from GRUB before 2.02, or not for BIOS machines",
        ));
    }
    let header = FileHeader32::<object::Endianness>::parse(elf).map_err(broken)?;
    let endian = header.endian().map_err(broken)?;
    if header.e_machine(endian) != EM_386 || header.e_type(endian) != ET_EXEC {
        return Err(Error::unsupported(WHAT, "not a linked program for i386"));
    }
    let sections = header.sections(endian, elf).map_err(broken)?;
    if sections.len() > SECTION_LIMIT {
        return Err(Error::limit(WHAT, format!("over {SECTION_LIMIT} sections")));
    }
    let mut flat = Vec::new();
    for section in sections.iter() {
        let loaded =
            section.sh_flags(endian).contains(SHF_ALLOC) && section.sh_type(endian) != SHT_NOBITS;
        if !loaded || section.sh_size(endian) == 0 {
            continue;
        }
        place(
            &mut flat,
            section.sh_addr(endian).into(),
            section.data(endian, elf).map_err(broken)?,
        )?;
    }
    if flat.is_empty() {
        return Err(Error::corrupt(WHAT, "no section that is loaded"));
    }
    Ok(flat)
}

/// Puts the bytes of a section where its address says.
fn place(flat: &mut Vec<u8>, address: u64, data: &[u8]) -> Result<()> {
    let outside = || {
        Error::corrupt(
            WHAT,
            format!("a section at {address:#x} lies outside of the memory for it"),
        )
    };
    let start = address.checked_sub(LINK_ADDRESS).ok_or_else(outside)?;
    if start > FLAT_LIMIT || data.len() as u64 > FLAT_LIMIT - start {
        return Err(outside());
    }
    let start = usize::try_from(start).map_err(|_| outside())?;
    let end = start + data.len();
    if flat.len() < end {
        flat.resize(end, 0);
    }
    flat[start..end].copy_from_slice(data);
    Ok(())
}
