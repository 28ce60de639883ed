//! What is known of sizes that fail.

/// From this length on, GRUB was seen to run out of memory on some machines with UEFI: 241 MiB and 246 MiB were reported, on machines with
/// plenty of memory (the firmware leaves no contiguous room below 4 GiB).
const GRUB_SEEN: u64 = 241 << 20;

/// No boot loader for BIOS loads more: Linux says that an initramfs has to end there (`initrd_addr_max`, x86 boot protocol).
const BELOW_2_GIB: u64 = 2 << 30;

/// What the kernel and the first programs of a small system take beside the files, in MiB.
const SYSTEM_MIB: u64 = 192;

const MIB: u64 = 1 << 20;

/// How much memory a machine needs at least, in MiB, to boot an initramfs of `len` bytes whose archives have `unpacked_len`: the kernel
/// holds both at once, and only then frees the former.
#[must_use]
pub fn memory_mib(len: u64, unpacked_len: u64) -> u64 {
    let files = len.div_ceil(MIB).saturating_add(unpacked_len.div_ceil(MIB));
    files.saturating_add(SYSTEM_MIB)
}

/// One sentence for each thing that is known to fail.
pub(super) fn warnings(len: u64, memory_mib: u64) -> Vec<String> {
    let mib = len.div_ceil(MIB);
    let mut warnings = Vec::new();
    if len >= BELOW_2_GIB {
        warnings.push(format!(
            "the initramfs has {mib} MiB, and boot loaders for BIOS load at most 2048 MiB: use initramfsType bootstrap"
        ));
    } else if len >= GRUB_SEEN {
        warnings.push(format!(
            "the initramfs has {mib} MiB: GRUB runs out of memory from {} MiB on with the firmware of some machines; where that happens use initramfsType bootstrap",
            GRUB_SEEN / MIB
        ));
    }
    if memory_mib > 2048 {
        warnings.push(format!(
            "a machine needs at least {memory_mib} MiB of memory to boot this initramfs"
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_for_both_at_once() {
        assert_eq!(memory_mib(100 * MIB, 300 * MIB), 400 + SYSTEM_MIB);
        assert_eq!(memory_mib(1, 1), 2 + SYSTEM_MIB);
        assert!(memory_mib(u64::MAX, u64::MAX) > u64::MAX >> 20);
    }

    #[test]
    fn sizes_that_were_seen_to_fail_are_told_with_the_figure() {
        assert!(warnings(GRUB_SEEN - 1, 2048).is_empty());
        let said = warnings(GRUB_SEEN, 2048);
        assert!(said.len() == 1 && said[0].contains("241 MiB"), "{said:?}");
        let said = warnings(BELOW_2_GIB, 9000);
        assert!(
            said[0].contains("2048 MiB") && said[1].contains("9000 MiB"),
            "{said:?}"
        );
    }
}
