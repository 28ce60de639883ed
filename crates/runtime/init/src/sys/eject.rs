//! A disc goes out of its drive. rustix has no wrapper for these requests.
//!
//! Source: Linux, `include/uapi/linux/cdrom.h`.
#![expect(
    unsafe_code,
    reason = "ioctl(2) takes what its request says, which no type can"
)]

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;

use rustix::fs::OFlags;
use rustix::ioctl::{IntegerSetter, NoArg, Opcode, ioctl};

const CDROMEJECT: Opcode = 0x5309;
const CDROM_LOCKDOOR: Opcode = 0x5329;

/// Opens the drive. Whoever mounted the disc locked its door.
pub(super) fn eject(device: &str) -> io::Result<()> {
    // A drive answers so also where it cannot read its disc.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let drive = File::options()
        .read(true)
        .custom_flags(flags)
        .open(device)?;
    // SAFETY: CDROM_LOCKDOOR takes a number; 0 unlocks. A drive without a lock refuses, and opens all the same.
    let _ = unsafe { ioctl(&drive, IntegerSetter::<CDROM_LOCKDOOR>::new_usize(0)) };
    // SAFETY: CDROMEJECT takes nothing.
    Ok(unsafe { ioctl(&drive, NoArg::<CDROMEJECT>::new()) }?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_no_drive_refuses() {
        assert!(super::eject("/dev/null").is_err());
        assert!(super::eject("/dev/no-such-drive").is_err());
    }
}
