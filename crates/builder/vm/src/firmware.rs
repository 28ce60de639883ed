//! Where distributions put OVMF, the UEFI firmware for QEMU.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::machine::Firmware;

/// The two halves of a UEFI firmware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirmwareFiles {
    /// The program, which machines share and only read.
    pub code: PathBuf,
    /// The variables as they are at the first start; each machine needs a copy of its own.
    pub variables: PathBuf,
}

/// Code and variables without Secure Boot, by distribution, the larger build (4 MiB) first.
const PLAIN: [(&str, &str); 8] = [
    // Debian, Ubuntu.
    (
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ),
    (
        "/usr/share/OVMF/OVMF_CODE.fd",
        "/usr/share/OVMF/OVMF_VARS.fd",
    ),
    // Fedora, RHEL.
    (
        "/usr/share/edk2/ovmf/OVMF_CODE.fd",
        "/usr/share/edk2/ovmf/OVMF_VARS.fd",
    ),
    // Arch, in two generations.
    (
        "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
        "/usr/share/edk2/x64/OVMF_VARS.4m.fd",
    ),
    (
        "/usr/share/edk2-ovmf/x64/OVMF_CODE.fd",
        "/usr/share/edk2-ovmf/x64/OVMF_VARS.fd",
    ),
    // SUSE.
    (
        "/usr/share/qemu/ovmf-x86_64-4m-code.bin",
        "/usr/share/qemu/ovmf-x86_64-4m-vars.bin",
    ),
    (
        "/usr/share/qemu/ovmf-x86_64-code.bin",
        "/usr/share/qemu/ovmf-x86_64-vars.bin",
    ),
    // QEMU's own installation.
    (
        "/usr/share/qemu/edk2-x86_64-code.fd",
        "/usr/share/qemu/edk2-i386-vars.fd",
    ),
];

/// Code with Secure Boot and system management mode, and variables with Microsoft's keys in them.
/// Arch and QEMU itself have no such variables: there Secure Boot is not to be had from packages.
const SECURE: [(&str, &str); 5] = [
    // Debian, Ubuntu.
    (
        "/usr/share/OVMF/OVMF_CODE_4M.ms.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.ms.fd",
    ),
    (
        "/usr/share/OVMF/OVMF_CODE.ms.fd",
        "/usr/share/OVMF/OVMF_VARS.ms.fd",
    ),
    // Fedora, RHEL.
    (
        "/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd",
        "/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd",
    ),
    // SUSE.
    (
        "/usr/share/qemu/ovmf-x86_64-smm-ms-code.bin",
        "/usr/share/qemu/ovmf-x86_64-smm-ms-vars.bin",
    ),
    (
        "/usr/share/qemu/ovmf-x86_64-smm-opensuse-code.bin",
        "/usr/share/qemu/ovmf-x86_64-smm-opensuse-vars.bin",
    ),
];

/// Finds the files of `firmware` on `host`; `None` for [`Firmware::Bios`], which QEMU brings itself.
///
/// # Errors
///
/// [`Error::Missing`] with the packages' names, where no known place has both halves.
pub fn find(firmware: Firmware, host: &Host) -> Result<Option<FirmwareFiles>> {
    let (places, what): (&[_], _) = match firmware {
        Firmware::Bios => return Ok(None),
        Firmware::Uefi => (&PLAIN, "the UEFI firmware OVMF"),
        Firmware::Secure => (
            &SECURE,
            "the UEFI firmware OVMF with Secure Boot and enrolled keys",
        ),
    };
    let files = places.iter().map(|(code, variables)| FirmwareFiles {
        code: host.file(code),
        variables: host.file(variables),
    });
    files
        .into_iter()
        .find(|files| files.code.is_file() && files.variables.is_file())
        .map(Some)
        .ok_or_else(|| Error::Missing {
            what: what.to_owned(),
            packages: "ovmf (Debian, Ubuntu), edk2-ovmf (Fedora, RHEL, Arch), qemu-ovmf-x86_64 (SUSE)",
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_with(files: &[&str]) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let host = Host::under(root.path());
        (root, host)
    }

    #[test]
    fn bios_needs_no_file() {
        let (_root, host) = host_with(&[]);
        assert_eq!(find(Firmware::Bios, &host).unwrap(), None);
    }

    #[test]
    fn every_place_of_the_tables_is_found_when_it_is_the_only_one() {
        for (firmware, places) in [
            (Firmware::Uefi, &PLAIN[..]),
            (Firmware::Secure, &SECURE[..]),
        ] {
            for (code, variables) in places {
                let (_root, host) = host_with(&[code, variables]);
                let found = find(firmware, &host).unwrap().unwrap();
                assert_eq!(found.code, host.file(code));
                assert_eq!(found.variables, host.file(variables));
            }
        }
    }

    #[test]
    fn code_without_its_variables_is_not_a_firmware() {
        let (_root, host) = host_with(&[PLAIN[0].0]);
        let error = find(Firmware::Uefi, &host).unwrap_err();
        assert!(error.help().unwrap().contains("ovmf (Debian"));
    }

    #[test]
    fn plain_firmware_does_not_count_as_secure() {
        let (_root, host) = host_with(&[PLAIN[0].0, PLAIN[0].1]);
        let error = find(Firmware::Secure, &host).unwrap_err();
        assert!(error.to_string().contains("Secure Boot"));
    }
}
