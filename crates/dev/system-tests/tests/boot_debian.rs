//! A whole Debian, from the firmware to a login and back to power off, in the five ways that its ISO boots.
//!
//! In each: the root is an overlay on the medium, every unit came up, the files that get lost easily are as they were,
//! and the machine ends by itself.

use system_tests::media::{FOR_BOOTS, iso};
use testkit::fixture::{self, Contents, Debian, ROOT_PASSWORD};
use testkit::guest::{self, BOOT, COMMAND, Guest};
use testkit::tools;
use vm::{Attach, Firmware};

/// How a boot is started.
#[derive(Clone, Copy)]
struct Way {
    suite: &'static str,
    firmware: Firmware,
    attach: Attach,
}

/// Boots the ISO of Debian `way` and checks all of it; answers whether it could be tried.
fn boots(way: Way) -> anyhow::Result<bool> {
    if !tools::available(&FOR_BOOTS) || !tools::available(&["mmdebstrap"]) {
        return Ok(false);
    }
    let disk = fixture::debian(&Debian {
        suite: way.suite,
        contents: Contents::Minimal,
    })?;
    let mut machine = guest::machine(iso(&disk, &[])?);
    machine.firmware = way.firmware;
    if let Some(media) = &mut machine.media {
        media.attach = way.attach;
    }
    let mut guest = Guest::start(&machine)?;
    guest.log_in("root", ROOT_PASSWORD, BOOT)?;
    live(&mut guest)?;
    firmware_is(way.firmware, &mut guest)?;
    guest.send("poweroff\n")?;
    let status = guest.wait_for_end(COMMAND)?;
    anyhow::ensure!(status.success(), "QEMU ended with {status}");
    Ok(true)
}

/// The checks inside.
fn live(guest: &mut Guest) -> anyhow::Result<()> {
    let root = guest.command("findmnt -n -o FSTYPE /")?;
    anyhow::ensure!(root == "overlay", "the root is {root}");
    let state =
        guest.command("systemctl is-system-running --wait || systemctl --failed --no-legend")?;
    anyhow::ensure!(state == "running", "the system is {state}");
    for check in guest.command("ls /etc/checks.d")?.lines() {
        guest.command(&format!("sh /etc/checks.d/{check}"))?;
    }
    guest.command("echo written > /etc/written && grep -q written /etc/written")?;
    Ok(())
}

/// The firmware that started the machine is the one that was meant.
fn firmware_is(firmware: Firmware, guest: &mut Guest) -> anyhow::Result<()> {
    let found = guest.command("[ -d /sys/firmware/efi ] && od -An -tu1 /sys/firmware/efi/efivars/SecureBoot-* || echo bios")?;
    let expected = match firmware {
        Firmware::Bios => found == "bios",
        Firmware::Uefi => found.trim_end().ends_with('0'),
        Firmware::Secure => found.trim_end().ends_with('1'),
    };
    anyhow::ensure!(
        expected,
        "started by {firmware:?}, and the variable says {found:?}"
    );
    Ok(())
}

#[test]
fn ref_seabios_boots_it_from_a_cd() {
    boots(Way {
        suite: "bookworm",
        firmware: Firmware::Bios,
        attach: Attach::Cd,
    })
    .unwrap();
}

#[test]
fn ref_seabios_boots_it_from_a_disk() {
    boots(Way {
        suite: "bookworm",
        firmware: Firmware::Bios,
        attach: Attach::Disk,
    })
    .unwrap();
}

#[test]
fn ref_ovmf_boots_it_from_a_cd() {
    boots(Way {
        suite: "bookworm",
        firmware: Firmware::Uefi,
        attach: Attach::Cd,
    })
    .unwrap();
}

#[test]
fn ref_ovmf_boots_it_from_a_disk() {
    boots(Way {
        suite: "bookworm",
        firmware: Firmware::Uefi,
        attach: Attach::Disk,
    })
    .unwrap();
}

#[test]
fn ref_ovmf_boots_it_with_secure_boot_on() {
    boots(Way {
        suite: "bookworm",
        firmware: Firmware::Secure,
        attach: Attach::Cd,
    })
    .unwrap();
}

#[test]
fn ref_debian_13_boots_with_secure_boot_on() {
    if tools::slow_tests() {
        boots(Way {
            suite: "trixie",
            firmware: Firmware::Secure,
            attach: Attach::Cd,
        })
        .unwrap();
    }
}
