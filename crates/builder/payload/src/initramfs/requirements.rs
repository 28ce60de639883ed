//! Whether a kernel can boot the media at all.

use block::{Error, Result};
use contract::module_index::normalise;
use inspect::{Kernel, OptionState};

use super::modules::Modules;

/// What the root file system image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RootImage {
    /// squashfs, compressed with this.
    Squashfs(SquashfsCompressor),
    /// EROFS.
    Erofs,
}

/// What a squashfs is compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum SquashfsCompressor {
    Zstd,
    Gzip,
    Xz,
    Lz4,
    Lzo,
}

impl SquashfsCompressor {
    /// The kernel's option, and a name that squashfs' module takes from the kernel where the option is set (before and since Linux 5.16 for
    /// zstd).
    fn evidence(self) -> (&'static str, &'static [&'static [u8]]) {
        match self {
            Self::Zstd => (
                "SQUASHFS_ZSTD",
                &[b"zstd_init_dstream", b"ZSTD_initDStream"],
            ),
            Self::Gzip => ("SQUASHFS_ZLIB", &[b"zlib_inflateInit2"]),
            Self::Xz => ("SQUASHFS_XZ", &[b"xz_dec_init"]),
            Self::Lz4 => ("SQUASHFS_LZ4", &[b"LZ4_decompress_safe"]),
            Self::Lzo => ("SQUASHFS_LZO", &[b"lzo1x_decompress_safe"]),
        }
    }
}

/// An option, the module that it makes, and why there is no boot without it.
struct Need {
    option: &'static str,
    /// `""` where it cannot be a module.
    module: &'static str,
    why: &'static str,
}

const ALWAYS: [Need; 6] = [
    Need {
        option: "BLK_DEV_INITRD",
        module: "",
        why: "it starts no initramfs",
    },
    Need {
        option: "DEVTMPFS",
        module: "",
        why: "devices get no names in the initramfs",
    },
    Need {
        option: "TMPFS",
        module: "",
        why: "there is no place for the writable layer",
    },
    Need {
        option: "BLK_DEV_LOOP",
        module: "loop",
        why: "it cannot mount the root file system image from the media",
    },
    Need {
        option: "OVERLAY_FS",
        module: "overlay",
        why: "it cannot put a writable layer on the root file system image",
    },
    Need {
        option: "ISO9660_FS",
        module: "isofs",
        why: "it cannot mount the media",
    },
];

/// Holds that `kernel` can boot media with the root file system image `image`.
///
/// A module that is there, or built in by `modules.builtin`, answers for its option; the configuration is asked otherwise. What neither
/// knows is believed to be there.
///
/// # Errors
///
/// `Unsupported`, naming the kernel and the options that it lacks, all in one.
pub(crate) fn check(kernel: &Kernel, modules: &mut Modules<'_>, image: RootImage) -> Result<()> {
    let mut missing = Vec::new();
    let file_system = match image {
        RootImage::Squashfs(_) => Need {
            option: "SQUASHFS",
            module: "squashfs",
            why: "it cannot mount the root file system image",
        },
        RootImage::Erofs => Need {
            option: "EROFS_FS",
            module: "erofs",
            why: "it cannot mount the root file system image",
        },
    };
    for need in ALWAYS.iter().chain([&file_system]) {
        if !has(kernel, modules, need) {
            missing.push(format!("CONFIG_{} is not set: {}", need.option, need.why));
        }
    }
    if let RootImage::Squashfs(compressor) = image
        && missing.is_empty()
        && !has_compressor(kernel, modules, compressor)?
    {
        let (option, _) = compressor.evidence();
        missing.push(format!(
            "CONFIG_{option} is not set: it cannot unpack the root file system image"
        ));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the kernel {} cannot boot it: {}",
        kernel.version,
        missing.join("; ")
    );
    Err(Error::unsupported(
        "checking the kernel for live media",
        message,
    ))
}

/// What a kernel needs to verify the root file system image as it is read.
const VERITY: [Need; 2] = [
    Need {
        option: "BLK_DEV_DM",
        module: "dm_mod",
        why: "it has no device mapper",
    },
    Need {
        option: "DM_VERITY",
        module: "dm_verity",
        why: "it cannot verify the root file system image as it is read",
    },
];

/// Holds that `kernel` can verify the root file system image, with the modules in `omitted` left out.
///
/// # Errors
///
/// `Unsupported`, naming the kernel and what it lacks.
pub(crate) fn check_verity(
    kernel: &Kernel,
    modules: &Modules<'_>,
    omitted: &[String],
) -> Result<()> {
    let refuse = |message: String| {
        Err(Error::unsupported(
            "checking the kernel for verity",
            message,
        ))
    };
    for need in &VERITY {
        if !has(kernel, modules, need) {
            let Need { option, why, .. } = need;
            return refuse(format!(
                "the kernel {}: CONFIG_{option} is not set: {why}; build the media without verity",
                kernel.version
            ));
        }
        let is_omitted = omitted.iter().any(|name| normalise(name) == need.module);
        if is_omitted && modules.contains(need.module) {
            return refuse(format!(
                "the module {} is left out of the initramfs of the kernel {}: {}; keep it, or build the media without verity",
                need.module, kernel.version, need.why
            ));
        }
    }
    Ok(())
}

fn has(kernel: &Kernel, modules: &Modules<'_>, need: &Need) -> bool {
    if modules.contains(need.module) || kernel.config.has_builtin(need.module) {
        return true;
    }
    match kernel.config.option(need.option) {
        OptionState::Builtin => true,
        // The configuration says that it is a module, and the module is not there.
        OptionState::Module | OptionState::Off => false,
        // Without a configuration a missing module says something only where there are modules and a list of those built in.
        OptionState::Unknown => need.module.is_empty() || !kernel.config.knows_builtin(),
    }
}

fn has_compressor(
    kernel: &Kernel,
    modules: &mut Modules<'_>,
    compressor: SquashfsCompressor,
) -> Result<bool> {
    let (option, names) = compressor.evidence();
    match kernel.config.option(option) {
        OptionState::Builtin | OptionState::Module => return Ok(true),
        OptionState::Off => return Ok(false),
        OptionState::Unknown => {}
    }
    let Some(module) = modules.load("squashfs")? else {
        return Ok(true);
    };
    let holds = |name: &&[u8]| {
        module
            .bytes
            .windows(name.len())
            .any(|window| window == *name)
    };
    Ok(names.iter().any(holds))
}
