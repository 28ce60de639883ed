//! What kind of initramfs boots the media.

use mediacheck::Styles;

use crate::Request;
use crate::settings::{DracutModules, Generator, InitramfsType, OutputFormat};

/// What boots the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitramfsPlan {
    /// A small initramfs for each kernel, which finds the root file system image.
    Bootstrap {
        /// Who makes it.
        generator: Generator,
        /// What boots live media in it, where dracut makes it.
        dracut_modules: DracutModules,
    },
    /// One initramfs for all kernels, which is the whole system.
    FullOs,
}

impl InitramfsPlan {
    /// Its name in configuration files.
    #[must_use]
    pub fn kind(self) -> InitramfsType {
        match self {
            Self::Bootstrap { .. } => InitramfsType::Bootstrap,
            Self::FullOs => InitramfsType::FullOs,
        }
    }

    /// The checksums of an ISO that it boots, where nobody says otherwise: those that its own media check reads beside our table.
    pub(crate) fn checksums(self) -> Styles {
        match self {
            Self::Bootstrap {
                generator: Generator::Dracut,
                dracut_modules: DracutModules::Upstream,
            } => Styles::Isomd5sum,
            Self::Bootstrap { .. } | Self::FullOs => Styles::None,
        }
    }
}

/// What was asked for, else what the input media have, else what is usual for the output: bootstrap on an ISO, the whole system for network
/// boot, where it needs nothing but TFTP.
pub(crate) fn choose(request: &Request) -> InitramfsPlan {
    let kind = request
        .initramfs_type
        .or(request.input.as_ref().map(|input| input.initramfs_type))
        .unwrap_or(match request.format {
            OutputFormat::Iso => InitramfsType::Bootstrap,
            OutputFormat::PxeDir | OutputFormat::PxeTar => InitramfsType::FullOs,
        });
    match kind {
        InitramfsType::FullOs => InitramfsPlan::FullOs,
        InitramfsType::Bootstrap => InitramfsPlan::Bootstrap {
            generator: request.generator.unwrap_or(Generator::Native),
            dracut_modules: request.dracut_modules.unwrap_or(DracutModules::Liveos),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InputMedia;

    #[test]
    fn what_is_asked_for_wins_then_the_input_then_the_output() {
        let kind = |asked, input: Option<InitramfsType>, format| {
            let request = Request {
                format,
                initramfs_type: asked,
                input: input.map(|initramfs_type| InputMedia {
                    initramfs_type,
                    volume_id: None,
                    append: Vec::new(),
                    kdump_boot_files: None,
                    bootstrap_url: None,
                    verity: None,
                }),
                ..Request::default()
            };
            choose(&request).kind()
        };
        use InitramfsType::{Bootstrap, FullOs};
        use OutputFormat::{Iso, PxeDir, PxeTar};
        assert_eq!(kind(None, None, Iso), Bootstrap);
        assert_eq!(kind(None, None, PxeDir), FullOs);
        assert_eq!(kind(None, None, PxeTar), FullOs);
        assert_eq!(kind(None, Some(FullOs), Iso), FullOs);
        assert_eq!(kind(None, Some(Bootstrap), PxeDir), Bootstrap);
        assert_eq!(kind(Some(FullOs), Some(Bootstrap), Iso), FullOs);
        assert_eq!(kind(Some(Bootstrap), None, PxeTar), Bootstrap);
    }
}
