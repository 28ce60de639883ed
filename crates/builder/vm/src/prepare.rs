//! From a machine as wanted to a command that can be started.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::accelerator::Accelerator;
use crate::arguments::arguments;
use crate::error::{Error, Result};
use crate::firmware::{self, FirmwareFiles};
use crate::host::Host;
use crate::machine::{Machine, Media};

/// A machine that only has to be started. Its private files are deleted with this value.
#[derive(Debug)]
pub struct Prepared {
    /// The path of QEMU.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The machine's own copy of the firmware variables lies here.
    scratch: TempDir,
}

impl Prepared {
    /// A folder that lives as long as the machine, for its sockets and other private files.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }
}

/// Finds QEMU and the firmware, copies the firmware's variables, and looks whether the media can be read.
///
/// # Errors
///
/// [`Error::Missing`] where the host lacks a program or firmware, [`Error::Media`] where the media cannot be read,
/// [`Error::Machine`] for an impossible machine, [`Error::Io`] where the private files cannot be made.
pub fn prepare(machine: &Machine, host: &Host, accelerator: Accelerator) -> Result<Prepared> {
    if let Some(media) = &machine.media {
        readable(media)?;
    }
    let program = host.qemu()?;
    let found = firmware::find(machine.firmware, host)?;
    let scratch = tempfile::Builder::new()
        .prefix("liveos-vm-")
        .tempdir()
        .map_err(|error| Error::io("making a temporary folder for the machine", error))?;
    let files = match found {
        Some(files) => Some(own_variables(files, scratch.path())?),
        None => None,
    };
    Ok(Prepared {
        program,
        arguments: arguments(machine, files.as_ref(), accelerator)?,
        scratch,
    })
}

fn readable(media: &Media) -> Result<()> {
    let path = media.path.clone();
    match std::fs::File::open(&path).and_then(|file| file.metadata()) {
        Ok(found) if found.is_dir() => Err(Error::Media {
            path,
            source: std::io::ErrorKind::IsADirectory.into(),
        }),
        Ok(_) => Ok(()),
        Err(source) => Err(Error::Media { path, source }),
    }
}

/// Copies the variables by content: a package's file is read only, and the copy must not be.
fn own_variables(files: FirmwareFiles, scratch: &Path) -> Result<FirmwareFiles> {
    let copy = scratch.join("variables.fd");
    std::fs::read(&files.variables)
        .and_then(|bytes| std::fs::write(&copy, bytes))
        .map_err(|error| {
            Error::io(
                format!(
                    "copying the firmware's variables from {}",
                    files.variables.display()
                ),
                error,
            )
        })?;
    Ok(FirmwareFiles {
        variables: copy,
        ..files
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Firmware;
    use std::os::unix::fs::PermissionsExt;

    fn host() -> (TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        for (path, mode) in [
            ("usr/bin/qemu-system-x86_64", 0o755),
            ("usr/share/OVMF/OVMF_CODE_4M.fd", 0o444),
            ("usr/share/OVMF/OVMF_VARS_4M.fd", 0o444),
        ] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "content").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let host = Host::under(root.path());
        (root, host)
    }

    fn machine(root: &TempDir) -> Machine {
        let iso = root.path().join("live.iso");
        std::fs::write(&iso, "").unwrap();
        Machine::booting(iso)
    }

    #[test]
    fn the_machine_writes_to_its_own_copy_of_the_variables() {
        let (root, host) = host();
        let prepared = prepare(&machine(&root), &host, Accelerator::Tcg).unwrap();
        let copy = prepared.scratch().join("variables.fd");
        std::fs::write(&copy, "changed").unwrap();
        let original = root.path().join("usr/share/OVMF/OVMF_VARS_4M.fd");
        assert_eq!(std::fs::read(original).unwrap(), b"content");
        let words: Vec<_> = prepared
            .arguments
            .iter()
            .map(|word| word.to_str().unwrap())
            .collect();
        assert!(
            words
                .contains(&format!("if=pflash,format=raw,unit=1,file={}", copy.display()).as_str())
        );
        drop(prepared);
        assert!(!copy.exists());
    }

    #[test]
    fn media_that_is_not_there_or_is_a_folder_is_refused_by_its_name() {
        let (root, host) = host();
        for path in [root.path().join("absent.iso"), root.path().to_path_buf()] {
            let error = prepare(&Machine::booting(&path), &host, Accelerator::Tcg).unwrap_err();
            assert!(matches!(&error, Error::Media { .. }));
            assert!(error.to_string().starts_with(&path.display().to_string()));
        }
    }

    #[test]
    fn a_firmware_that_the_host_lacks_is_refused() {
        let (root, host) = host();
        let mut machine = machine(&root);
        machine.firmware = Firmware::Secure;
        assert!(matches!(
            prepare(&machine, &host, Accelerator::Tcg),
            Err(Error::Missing { .. })
        ));
    }
}
