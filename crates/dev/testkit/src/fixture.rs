//! Disk images for tests, made once and kept.
//!
//! A fixture is made by a recipe (a text that says all that goes into it) and lies at
//! `target/fixtures/<name>-<digest of the recipe>`: a changed recipe makes a new one, an unchanged one costs nothing.
//! A lock keeps two processes from making the same one, and only a finished one gets its final name.
//!
//! * [`test_system`]: a system of a few megabytes that checks itself and reports on the serial line.
//! * [`debian`]: a whole distribution.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

mod debian;
mod disk;
mod grub;
mod packages;
mod peers;
mod test_system;

pub use debian::{Contents, Debian, ROOT_PASSWORD, debian};
pub use disk::Partitions;
pub use peers::{Peers, peers};
pub use test_system::{Kernels, Layout, Part, TestSystem, test_system};

/// The Debian packages that the making of fixtures needs on this machine.
pub const PACKAGES: [&str; 11] = [
    "debian-archive-keyring",
    "dosfstools",
    "e2fsprogs",
    "fdisk",
    "grub-common",
    "kmod",
    "mmdebstrap",
    "mtools",
    "qemu-utils",
    "tar",
    "uidmap",
];

/// Debian's kernel for all machines as its package has it, with every module; downloaded at the first call and kept.
///
/// # Errors
///
/// Where the package cannot be had.
pub fn debian_kernel() -> Result<PathBuf> {
    packages::unpacked("kernel", &["linux-image-amd64"])
}

/// The folder of all fixtures: `LIVEOS_FIXTURES`, or `fixtures` in Cargo's target folder.
#[must_use]
pub fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("LIVEOS_FIXTURES") {
        return folder.into();
    }
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace().join("target"), PathBuf::from);
    target.join("fixtures")
}

/// The root of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(3).unwrap_or(own).to_path_buf()
}

/// The folder with the fixture `name`, made by `make` in a folder that it is given, if it is not there yet.
///
/// # Errors
///
/// What `make` answers; then nothing is kept.
pub fn cached(name: &str, recipe: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let all = folder();
    fs::create_dir_all(&all).with_context(|| format!("making {}", all.display()))?;
    let digest = Sha256::digest(recipe.as_bytes());
    let short: String = digest
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let finished = all.join(format!("{name}-{short}"));
    let lock = File::create(all.join(format!(".{name}-{short}.lock")))?;
    lock.lock()
        .context("waiting for another process that makes this fixture")?;
    if finished.is_dir() {
        return Ok(finished);
    }
    let partial = all.join(format!(".{name}-{short}.partial"));
    if partial.exists() {
        fs::remove_dir_all(&partial).context("removing what was left of an earlier attempt")?;
    }
    fs::create_dir(&partial)?;
    let made = make(&partial).with_context(|| format!("making the fixture {name}"));
    if let Err(error) = made {
        // The first error is the one that counts.
        let _ = fs::remove_dir_all(&partial);
        return Err(error);
    }
    fs::rename(&partial, &finished)?;
    Ok(finished)
}

/// Removes the fixtures of this `name` that other recipes made before, all but `kept`.
///
/// # Errors
///
/// Where one cannot be removed.
pub fn keep_only(name: &str, kept: &Path) -> Result<()> {
    for entry in fs::read_dir(folder())? {
        let path = entry?.path();
        let named = path
            .file_name()
            .and_then(|own| own.to_str())
            .and_then(|own| own.rsplit_once('-'));
        if named.is_some_and(|(own, _)| own == name) && path != kept {
            fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that only this process and this test use; what it leaves is removed.
    struct Named(String);

    impl Drop for Named {
        fn drop(&mut self) {
            for entry in fs::read_dir(folder()).unwrap().flatten() {
                let path = entry.path();
                if entry.file_name().to_string_lossy().contains(&self.0) {
                    let _ = if path.is_dir() {
                        fs::remove_dir_all(path)
                    } else {
                        fs::remove_file(path)
                    };
                }
            }
        }
    }

    #[test]
    fn a_fixture_is_made_once_for_a_recipe() {
        let name = Named(format!("self-once-{}", std::process::id()));
        let make =
            |text: &'static str| move |folder: &Path| Ok(fs::write(folder.join("file"), text)?);
        let first = cached(&name.0, "recipe 1", make("first")).unwrap();
        let again = cached(&name.0, "recipe 1", make("again")).unwrap();
        let other = cached(&name.0, "recipe 2", make("other")).unwrap();
        assert_eq!(first, again);
        assert_ne!(first, other);
        assert_eq!(fs::read_to_string(first.join("file")).unwrap(), "first");
        assert_eq!(fs::read_to_string(other.join("file")).unwrap(), "other");
        keep_only(&name.0, &other).unwrap();
        assert!(!first.exists() && other.exists());
    }

    #[test]
    fn a_failed_attempt_leaves_nothing_and_the_next_one_succeeds() {
        let name = Named(format!("self-failed-{}", std::process::id()));
        let failed = cached(&name.0, "recipe", |folder| {
            fs::write(folder.join("half"), "")?;
            anyhow::bail!("no network")
        });
        assert!(format!("{:#}", failed.unwrap_err()).ends_with("no network"));
        let made = cached(&name.0, "recipe", |_| Ok(())).unwrap();
        assert_eq!(fs::read_dir(made).unwrap().count(), 0);
    }
}
