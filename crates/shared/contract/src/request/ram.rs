//! Whether the root file system image is copied to memory, so that the medium is not needed any more.

use crate::cmdline::Cmdline;
use crate::parameter::{self as name, archiso, kiwi, live_boot};

/// How much memory must be left after a copy to RAM where nothing is said, in MiB. (dracut keeps 1024 of the whole memory,
/// not of what is free.)
pub const DEFAULT_MIN_MEMORY_MIB: u64 = 256;

/// The largest image that [`Copy::WhereItFits`] copies, in bytes. mkinitcpio-archiso 71 has the same for `copytoram=auto`.
pub const FITTING_IMAGE: u64 = 4 << 30;
/// How much memory [`Copy::WhereItFits`] leaves, in MiB. mkinitcpio-archiso 71 has the same for `copytoram=auto`.
pub const FITTING_MIN_MEMORY_MIB: u64 = 2048;

/// When a copy is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Copy {
    /// Never.
    #[default]
    No,
    /// Where the image is no longer than [`FITTING_IMAGE`], [`FITTING_MIN_MEMORY_MIB`] are left, and the medium is no optical one.
    WhereItFits,
    /// Always: where there is too little memory the boot stops.
    Always,
}

/// What the command line says of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ram {
    /// When the image is copied.
    pub copy: Copy,
    /// How much memory must be left after that, in MiB.
    pub min_memory_mib: u64,
    /// Put the medium out of its drive when it is not needed any more.
    pub eject: bool,
}

impl Default for Ram {
    fn default() -> Self {
        Self {
            copy: Copy::No,
            min_memory_mib: DEFAULT_MIN_MEMORY_MIB,
            eject: false,
        }
    }
}

impl Ram {
    /// What the command line says. The names of all dialects count, whichever dialect names the medium: they all mean the same.
    pub(super) fn read(cmdline: &Cmdline, notices: &mut Vec<String>) -> Self {
        // live-boot's `toram=` may name what is copied, which is a value that is true too.
        let always = [name::LIVE_RAM, live_boot::TO_RAM, kiwi::RAM_DISK];
        let copy = match cmdline.last(archiso::COPY_TO_RAM) {
            _ if cmdline.boolean(&always, false) => Copy::Always,
            None => Copy::No,
            Some(argument) => match argument.value.as_deref() {
                Some("auto") => Copy::WhereItFits,
                Some("n") => Copy::No,
                _ if argument.is_true() => Copy::Always,
                _ => Copy::No,
            },
        };
        let min_memory_mib = match cmdline.value(name::MINMEM) {
            None => DEFAULT_MIN_MEMORY_MIB,
            Some(value) => value.parse().unwrap_or_else(|_| {
                notices.push(format!(
                    "{}: {value:?} is no number of mebibytes: {DEFAULT_MIN_MEMORY_MIB} are taken",
                    name::MINMEM
                ));
                DEFAULT_MIN_MEMORY_MIB
            }),
        };
        Self {
            copy,
            min_memory_mib,
            eject: cmdline.boolean(&[name::EJECT], false),
        }
    }

    /// Whether a copy is asked for, if only where it fits.
    #[must_use]
    pub fn is_asked_for(&self) -> bool {
        self.copy != Copy::No
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Ram, Vec<String>) {
        let mut notices = Vec::new();
        let ram = Ram::read(&Cmdline::parse(text), &mut notices);
        (ram, notices)
    }

    #[test]
    fn each_dialect_has_its_own_word_for_the_same() {
        for (text, copy) in [
            ("", Copy::No),
            ("rd.live.ram", Copy::Always),
            ("rd.live.ram=0", Copy::No),
            ("rd.live.ram=1", Copy::Always),
            ("toram", Copy::Always),
            ("toram=filesystem.squashfs", Copy::Always),
            ("rd.kiwi.ramdisk", Copy::Always),
            ("copytoram", Copy::Always),
            ("copytoram=y", Copy::Always),
            ("copytoram=yes", Copy::Always),
            ("copytoram=n", Copy::No),
            ("copytoram=no", Copy::No),
            ("copytoram=auto", Copy::WhereItFits),
            ("copytoram=auto copytoram=n", Copy::No),
            ("copytoram=n rd.live.ram", Copy::Always),
        ] {
            assert_eq!(read(text).0.copy, copy, "{text}");
        }
    }

    #[test]
    fn what_must_be_left_is_a_number_or_a_notice() {
        assert_eq!(read("rd.minmem=512").0.min_memory_mib, 512);
        let (ram, notices) = read("rd.minmem=1g rd.live.eject");
        assert_eq!(ram.min_memory_mib, DEFAULT_MIN_MEMORY_MIB);
        assert!(ram.eject && notices.len() == 1, "{notices:?}");
    }
}
