//! El Torito: the boot catalog, and what boot images are told of their own place.

use block::{Error, Result};

use super::super::format::{SECTOR, SECTOR_LEN, le16, le32, put};
use super::options::{BiosBoot, BootInfo, Extent};

/// The platforms of a catalog. El Torito, figure 2; 0xEF in UEFI 2.10, 13.3.2.1.
const PLATFORM_X86: u8 = 0;
const PLATFORM_EFI: u8 = 0xef;
/// The largest BIOS boot image: it is held in memory to be patched, and the largest in use (a whole GRUB) have a few MiB.
pub(super) const MAX_BIOS_IMAGE: usize = 32 << 20;
/// Where the boot information table begins, and what its checksum leaves out before it.
const TABLE_AT: usize = 8;
const CHECKED_FROM: usize = 64;
/// Where the core image's list of blocks has its first sector, in GRUB's El Torito image: the loader for CDs takes one sector of
/// 2048 bytes, the list ends the 512 bytes after it. Source: GRUB 2.06, `i386/pc/boot.h`; xorriso 1.5.4, `--grub2-boot-info`.
const GRUB_BLOCK_LIST_AT: usize = 2548;
/// The sectors of 512 bytes from the start of the image to what that list leads to.
pub(super) const GRUB_CORE_SECTORS: u64 = 5;

/// The catalog for these boot images, one sector: the validation entry, the default entry, and a section for UEFI where both are.
pub(super) fn catalog(bios: Option<(&BiosBoot, Extent)>, efi: Option<Extent>) -> Vec<u8> {
    let platform = if bios.is_some() {
        PLATFORM_X86
    } else {
        PLATFORM_EFI
    };
    let mut entries: Vec<[u8; 32]> = vec![validation(platform)];
    if let Some((bios, extent)) = bios {
        entries.push(boot_entry(extent, bios.load_sectors));
    }
    if let Some(extent) = efi {
        if bios.is_some() {
            let mut header = [0; 32];
            // The last section, for UEFI, of one entry.
            put(&mut header, 0, &[0x91, PLATFORM_EFI, 1, 0]);
            entries.push(header);
        }
        // An image that is too long for the field: 0 says that it reaches to the end. UEFI 2.10, 13.3.2.1.
        let sectors = u16::try_from(extent.len.div_ceil(512)).unwrap_or(0);
        entries.push(boot_entry(extent, sectors));
    }
    let mut sector = entries.concat();
    sector.resize(SECTOR, 0);
    sector
}

/// The first entry; its sixteen 16-bit words add up to zero. El Torito, figure 2.
fn validation(platform: u8) -> [u8; 32] {
    let mut entry = [0; 32];
    put(&mut entry, 0, &[1, platform]);
    put(&mut entry, 30, &[0x55, 0xaa]);
    let sum = entry.chunks_exact(2).fold(0_u16, |sum, word| {
        sum.wrapping_add(le16(word, 0).unwrap_or(0))
    });
    put(&mut entry, 28, &0_u16.wrapping_sub(sum).to_le_bytes());
    entry
}

/// A bootable image without emulation, for the default load segment. El Torito, figures 3 and 5.
fn boot_entry(extent: Extent, load_sectors: u16) -> [u8; 32] {
    let mut entry = [0; 32];
    put(&mut entry, 0, &[0x88]);
    put(&mut entry, 6, &load_sectors.to_le_bytes());
    put(&mut entry, 8, &lba(extent).to_le_bytes());
    entry
}

fn lba(extent: Extent) -> u32 {
    u32::try_from(extent.offset / SECTOR_LEN).unwrap_or(u32::MAX)
}

/// Writes into `image`, which will lie at `extent`, what `info` asks for.
pub(super) fn patch(image: &mut [u8], info: BootInfo, extent: Extent) -> Result<()> {
    if info == BootInfo::None {
        return Ok(());
    }
    let least = match info {
        BootInfo::Grub2 => GRUB_BLOCK_LIST_AT.saturating_add(8),
        _ => CHECKED_FROM,
    };
    if image.len() < least {
        let message = format!(
            "it has {} bytes, and this kind has at least {least}",
            image.len()
        );
        return Err(Error::unsupported("the BIOS boot image", message));
    }
    if info == BootInfo::Grub2 {
        let sector = u64::from(lba(extent))
            .saturating_mul(4)
            .saturating_add(GRUB_CORE_SECTORS);
        put(image, GRUB_BLOCK_LIST_AT, &sector.to_le_bytes());
    }
    // The sum is of the whole 32-bit words, as the boot loader sees them before it changes itself.
    let checked = image.get(CHECKED_FROM..).unwrap_or_default();
    let sum = checked.chunks(4).fold(0_u32, |sum, word| {
        let mut padded = [0; 4];
        put(&mut padded, 0, word);
        sum.wrapping_add(le32(&padded, 0).unwrap_or(0))
    });
    let len = u32::try_from(image.len()).unwrap_or(u32::MAX);
    let primary_descriptor: u32 = 16;
    let table = [primary_descriptor, lba(extent), len, sum]
        .map(u32::to_le_bytes)
        .concat();
    put(image, TABLE_AT, &[0; CHECKED_FROM - TABLE_AT]);
    put(image, TABLE_AT, &table);
    Ok(())
}
