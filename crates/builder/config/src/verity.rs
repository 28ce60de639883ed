//! Whether the root file system image has a hash tree.

use block::{Error, Result};
use inspect::{Facts, Kernel};

use crate::settings::{DracutModules, Generator, Verity};
use crate::{InitramfsPlan, Request};

/// What was asked for, else what an earlier build was, else wherever all kernels can verify it.
///
/// # Errors
///
/// [`Kind::Unsupported`](block::Kind::Unsupported) where it is asked for and a kernel cannot.
pub(crate) fn choose(
    request: &Request,
    facts: &Facts,
    initramfs: InitramfsPlan,
    warnings: &mut Vec<String>,
) -> Result<bool> {
    let earlier = request.input.as_ref().and_then(|input| input.verity);
    let asked = request.verity.or(earlier).unwrap_or(Verity::Auto);
    let InitramfsPlan::Bootstrap {
        generator,
        dracut_modules,
    } = initramfs
    else {
        if request.verity == Some(Verity::On) {
            let text = "verity has no effect: the system is in the initramfs, and there is no root file system image";
            warnings.push(text.to_owned());
        }
        return Ok(false);
    };
    if asked == Verity::Off {
        return Ok(false);
    }
    if let Some(kernel) = facts.kernels.iter().find(|kernel| !can_verify(kernel)) {
        let message = format!(
            "the kernel {} cannot verify the root file system image as it is read: it has no dm-verity (CONFIG_DM_VERITY, module dm-verity)",
            kernel.version
        );
        if asked == Verity::On {
            return Err(Error::unsupported("choosing verity", message));
        }
        warnings.push(message);
        return Ok(false);
    }
    if (generator, dracut_modules) == (Generator::Dracut, DracutModules::Upstream) {
        let text = "dracut's own live modules do not heed the root hash: the root file system image is not verified as it is read \
             (initramfs.dracutModules: liveos does)";
        warnings.push(text.to_owned());
    }
    Ok(true)
}

fn can_verify(kernel: &Kernel) -> bool {
    kernel.config.has_mapper("DM_VERITY", "dm_verity")
        && kernel.config.has_mapper("BLK_DEV_DM", "dm_mod")
}
