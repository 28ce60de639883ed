//! The kernels on the media, and which of them a path in the image's configuration means.

use contract::media;

/// A kernel on the media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveKernel {
    /// As `uname -r` says it.
    pub version: String,
    /// The image's name in the source, without folders: the configuration may call it so.
    pub name: String,
    /// Its absolute path on the media.
    pub image: String,
    /// The absolute path of its initramfs on the media.
    pub initramfs: String,
}

impl LiveKernel {
    /// The kernel of this version, at its usual places on the media.
    #[must_use]
    pub fn new(version: &str) -> Self {
        Self {
            version: version.to_owned(),
            name: format!("vmlinuz-{version}"),
            image: format!("/{}", media::kernel(version)),
            initramfs: format!("/{}", media::initramfs(version)),
        }
    }
}

/// What a path of a kernel means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning<'a> {
    /// This kernel, by its version or name.
    Kernel(&'a LiveKernel),
    /// The newest, because the path names none: `/vmlinuz`, or a variable that we do not know.
    Newest(&'a LiveKernel),
    /// Something else: a memory test, a rescue kernel, another system.
    Other,
}

/// What `path` means, of kernels whose first is the newest. `complete` says that no unknown variable is in it.
pub(super) fn meaning<'a>(kernels: &'a [LiveKernel], path: &str, complete: bool) -> Meaning<'a> {
    let base = path.rsplit(['/', ')']).next().unwrap_or(path);
    let named = kernels
        .iter()
        .filter(|kernel| kernel.name == base || ends_with_version(base, &kernel.version));
    // The longest, because `6.1` also ends what `5.6.1` ends.
    if let Some(kernel) = named.max_by_key(|kernel| kernel.version.len()) {
        return Meaning::Kernel(kernel);
    }
    // Boot Loader Specification on an ESP: /MACHINE-ID/VERSION/linux.
    let folders = path.split('/').rev().skip(1);
    if let Some(kernel) = folders
        .take(1)
        .find_map(|folder| kernels.iter().find(|kernel| kernel.version == folder))
    {
        return Meaning::Kernel(kernel);
    }
    match kernels.first() {
        Some(newest) if !complete || is_generic(base) => Meaning::Newest(newest),
        _ => Meaning::Other,
    }
}

/// Whether `base` is a kernel's usual name with this version.
fn ends_with_version(base: &str, version: &str) -> bool {
    let prefix = base
        .strip_suffix(version)
        .and_then(|prefix| prefix.strip_suffix('-'));
    prefix.is_some_and(|prefix| {
        matches!(
            prefix,
            "vmlinuz"
                | "vmlinux"
                | "kernel"
                | "linux"
                | "Image"
                | "bzImage"
                | "kernel-genkernel-x86_64"
        )
    })
}

/// Names that are links to the newest kernel, or the only one.
fn is_generic(base: &str) -> bool {
    let name = base.strip_suffix(".old").unwrap_or(base);
    matches!(
        name,
        "vmlinuz" | "vmlinux" | "kernel" | "linux" | "Image" | "bzImage" | "vmlinuz-linux"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_means_the_kernel_of_its_version() {
        let kernels = [
            LiveKernel::new("6.1.0-2"),
            LiveKernel::new("1.0-2"),
            LiveKernel::new("5.6"),
        ];
        let version = |path: &str, complete| match meaning(&kernels, path, complete) {
            Meaning::Kernel(kernel) => kernel.version.clone(),
            Meaning::Newest(kernel) => format!("newest {}", kernel.version),
            Meaning::Other => "other".to_owned(),
        };
        for (path, expected) in [
            ("/boot/vmlinuz-6.1.0-2", "6.1.0-2"),
            ("($root)/@/boot/vmlinuz-1.0-2", "1.0-2"),
            ("/vmlinuz-5.6", "5.6"),
            ("/kernel-5.6", "5.6"),
            ("/abc/5.6/linux", "5.6"),
            ("/vmlinuz", "newest 6.1.0-2"),
            ("/boot/vmlinuz-0-rescue-abc", "other"),
            ("/boot/memtest86+x64.bin", "other"),
            ("/boot/vmlinuz-4.0", "other"),
        ] {
            assert_eq!(version(path, true), expected, "{path}");
        }
        assert_eq!(version("/boot/", false), "newest 6.1.0-2");
    }
}
