//! GRUB's core image for El Torito, put together from its module folder.

use block::{Error, Result};

use super::files::{Files, required, required_sized};
use super::kernel::{LINK_ADDRESS, flatten};
use super::lzma::compress;
use super::modules::{Dependencies, is_module_name};

/// What `i386-pc` core images are made of besides the files.
#[derive(Clone, Debug)]
pub struct CoreOptions<'a> {
    /// The folder of `grub.cfg` on the media, without a device: `/boot/grub`.
    pub prefix: &'a str,
    /// Commands that run before `grub.cfg` is read.
    pub config: Option<&'a str>,
    /// The modules that are built in; what they need comes with them. See [`DEFAULT_MODULES`](super::DEFAULT_MODULES).
    pub modules: &'a [&'a str],
}

/// GRUB for BIOS machines, ready to be put on media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreImage {
    /// The El Torito boot image (no emulation, load 4 sectors, boot information table). Its field at
    /// [`GRUB_BLOCK_LIST_OFFSET`](super::GRUB_BLOCK_LIST_OFFSET) is still to be filled in for booting from a disk.
    pub eltorito: Vec<u8>,
    /// 512 bytes of boot code for the MBR, without a partition table. Its field at
    /// [`HYBRID_MBR_BLOCK_OFFSET`](super::HYBRID_MBR_BLOCK_OFFSET) is still to be filled in.
    pub hybrid_mbr: Vec<u8>,
    /// The modules that were built in, in the order in which GRUB loads them.
    pub modules: Vec<String>,
}

const WHAT: &str = "GRUB's BIOS core image";

/// Length of cdboot.img, one block of a CD.
const CDBOOT_LEN: usize = 2048;
/// Length of diskboot.img and boot_hybrid.img.
const SECTOR_LEN: usize = 512;
/// Offset of the number of blocks (16 bits) in diskboot.img: the entry is 64-bit start, 16-bit length, 16-bit segment, at the end.
const DISKBOOT_COUNT: usize = 508;
/// Offset of the compressed length in lzma_decompress.img. Source: `GRUB_DECOMPRESSOR_I386_PC_COMPRESSED_SIZE`.
const COMPRESSED_LEN: usize = 0x08;
/// Offset of the uncompressed length. Source: `GRUB_DECOMPRESSOR_I386_PC_UNCOMPRESSED_SIZE`.
const UNCOMPRESSED_LEN: usize = 0x0c;
/// The most bytes of lzma_decompress.img: it is loaded at 0x8200 and writes over itself from the kernel's address on.
const DECOMPRESSOR_LIMIT: usize = (LINK_ADDRESS - 0x8200) as usize;
/// The most bytes of a core image without its boot sectors, as `grub-mkimage` has it: more does not fit under 640 KiB.
const CORE_LIMIT: usize = 0x7_8000;
/// The most bytes of kernel and modules before compression; those of GRUB 2.12 all together have under 4 MiB. More is refused.
const PAYLOAD_LIMIT: usize = 8 << 20;

/// Kinds of objects in the module list. Source: GRUB 2.06 `include/grub/kernel.h`.
#[derive(Clone, Copy)]
enum Object {
    Elf = 0,
    Config = 2,
    Prefix = 3,
}

/// Puts together what `grub-mkimage -O i386-pc-eltorito -p PREFIX [-c CONFIG] MODULES` would write from the folder `files`.
///
/// # Errors
///
/// [`block::Kind::NotFound`] where a file is missing, with its name and the package that has it; [`block::Kind::Corrupt`] and
/// [`block::Kind::Unsupported`] for files that are not what they should be; [`block::Kind::Limit`] where it becomes too large for a BIOS;
/// what `files` answers.
pub fn core_image(files: Files<'_>, options: &CoreOptions<'_>) -> Result<CoreImage> {
    let cdboot = required_sized(files, "cdboot.img", CDBOOT_LEN)?;
    let mut diskboot = required_sized(files, "diskboot.img", SECTOR_LEN)?;
    let hybrid_mbr = required_sized(files, "boot_hybrid.img", SECTOR_LEN)?;
    let (payload, modules) = payload(files, options)?;
    let core = compressed_core(required(files, "lzma_decompress.img")?, &payload)?;
    let blocks =
        u16::try_from(core.len().div_ceil(SECTOR_LEN)).map_err(|_| too_large(core.len()))?;
    diskboot[DISKBOOT_COUNT..DISKBOOT_COUNT + 2].copy_from_slice(&blocks.to_le_bytes());
    let eltorito = [cdboot, diskboot, core].concat();
    Ok(CoreImage {
        eltorito,
        hybrid_mbr,
        modules,
    })
}

/// The decompressor, told the lengths, and the compressed payload behind it.
fn compressed_core(decompressor: Vec<u8>, payload: &[u8]) -> Result<Vec<u8>> {
    let mut core = decompressor;
    if core.len() > DECOMPRESSOR_LIMIT || core.len() < UNCOMPRESSED_LEN + 4 {
        let message = format!(
            "{} bytes, and {} to {DECOMPRESSOR_LIMIT} would fit",
            core.len(),
            UNCOMPRESSED_LEN + 4
        );
        return Err(Error::corrupt("GRUB's lzma_decompress.img", message));
    }
    let packed = compress(payload)?;
    let len = core.len() + packed.len();
    if len > CORE_LIMIT {
        return Err(too_large(len));
    }
    for (offset, value) in [
        (COMPRESSED_LEN, packed.len()),
        (UNCOMPRESSED_LEN, payload.len()),
    ] {
        let value = u32::try_from(value).map_err(|_| too_large(value))?;
        core[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    }
    core.extend_from_slice(&packed);
    Ok(core)
}

/// The kernel with the module list behind it, and the names of the modules.
fn payload(files: Files<'_>, options: &CoreOptions<'_>) -> Result<(Vec<u8>, Vec<String>)> {
    let list = required(files, "moddep.lst")?;
    let list = String::from_utf8_lossy(&list);
    let modules = Dependencies::parse(&list).closure(options.modules)?;
    let mut objects = Vec::new();
    for name in &modules {
        if !is_module_name(name) {
            return Err(Error::corrupt(
                "GRUB's moddep.lst",
                format!("{name:?} is no name of a module"),
            ));
        }
        let module = required(files, &format!("{name}.mod"))?;
        if !module.starts_with(b"\x7fELF") {
            return Err(Error::corrupt(format!("GRUB's {name}.mod"), "not an ELF file").at(0));
        }
        push_object(&mut objects, Object::Elf, &module)?;
    }
    if let Some(config) = options.config {
        push_object(&mut objects, Object::Config, &terminated(config)?)?;
    }
    push_object(&mut objects, Object::Prefix, &terminated(options.prefix)?)?;
    let mut payload = flatten(&required(files, "kernel.img")?)?;
    push_header(&mut payload, objects.len())?;
    payload.extend_from_slice(&objects);
    Ok((payload, modules.into_iter().map(str::to_owned).collect()))
}

/// The header of the module list: magic, offset of the first object, length with this header.
fn push_header(payload: &mut Vec<u8>, objects: usize) -> Result<()> {
    const HEADER_LEN: u32 = 12;
    let len = u32::try_from(objects)
        .ok()
        .and_then(|len| len.checked_add(HEADER_LEN));
    payload.extend_from_slice(b"mimg");
    payload.extend_from_slice(&HEADER_LEN.to_le_bytes());
    payload.extend_from_slice(&len.ok_or_else(|| too_large(objects))?.to_le_bytes());
    Ok(())
}

/// One object of the module list: kind, length with this header, bytes padded to the width of a pointer.
fn push_object(objects: &mut Vec<u8>, kind: Object, bytes: &[u8]) -> Result<()> {
    let padded = bytes.len().next_multiple_of(4);
    let len = objects.len() + 8 + padded;
    if len > PAYLOAD_LIMIT {
        return Err(Error::limit(
            WHAT,
            format!("over {PAYLOAD_LIMIT} bytes of modules"),
        ));
    }
    let object_len = u32::try_from(8 + padded).map_err(|_| too_large(padded))?;
    objects.extend_from_slice(&(kind as u32).to_le_bytes());
    objects.extend_from_slice(&object_len.to_le_bytes());
    objects.extend_from_slice(bytes);
    objects.resize(len, 0);
    Ok(())
}

/// A text with the NUL that ends it.
fn terminated(text: &str) -> Result<Vec<u8>> {
    if text.contains('\0') {
        return Err(Error::corrupt(
            WHAT,
            "a NUL in the prefix or in the early configuration",
        ));
    }
    Ok([text.as_bytes(), b"\0"].concat())
}

fn too_large(len: usize) -> Error {
    Error::limit(
        WHAT,
        format!("{len} bytes, and a BIOS can take {CORE_LIMIT}: build in fewer modules"),
    )
}
