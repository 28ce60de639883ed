//! Which dialect a command line is in. Exactly one is chosen, and the names of the others are not read.
//!
//! The names of dracut's modules (`rd.live.dir=` and the like) are unlike all others and count in any of them.

use crate::cmdline::{Argument, Cmdline};
use crate::failure::Failure;
use crate::parameter::{self as name, Dialect, Parameter, archiso, live_boot};

use super::Root;
use super::search::Layout;
use super::{archiso as of_archiso, live_boot as of_live_boot, root};

/// The dialect of a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `root=live:…`: dracut's `dmsquash-live`, and KIWI, which shares its names.
    DmsquashLive,
    /// A key of mkinitcpio-archiso that says where the medium is.
    Archiso,
    /// `boot=live`: Debian's live-boot.
    LiveBoot,
}

impl Activation {
    /// The dialect of a command line; `None` where it asks for no live system.
    ///
    /// `root=live:` wins over all else, as nothing but a live system is meant by it; `boot=` has other meanings in other initramfs programs.
    #[must_use]
    pub fn of(cmdline: &Cmdline) -> Option<Self> {
        if root::is_live(cmdline) {
            return Some(Self::DmsquashLive);
        }
        let has = |names: &[&str]| names.iter().any(|name| cmdline.value(name).is_some());
        if has(&archiso::ACTIVATION) || has(&[archiso::IMG_LOOP]) && has(&archiso::CARRIERS) {
            return Some(Self::Archiso);
        }
        (cmdline.value(live_boot::BOOT) == Some("live")).then_some(Self::LiveBoot)
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DmsquashLive => "dmsquash-live and KIWI",
            Self::Archiso => "archiso",
            Self::LiveBoot => "live-boot",
        }
    }

    /// Whether a parameter is read. The names for a copy to memory count in every dialect, as they mean the same and nothing else.
    #[must_use]
    pub fn reads(self, parameter: &Parameter) -> bool {
        if [live_boot::TO_RAM, archiso::COPY_TO_RAM].contains(&parameter.name) {
            return true;
        }
        match parameter.dialect {
            Dialect::Archiso => self == Self::Archiso,
            Dialect::LiveBoot => self == Self::LiveBoot,
            _ => true,
        }
    }
}

/// A command line in the words of `dmsquash-live`, and what these have no words for.
pub(super) struct Translated {
    pub(super) cmdline: Cmdline,
    pub(super) root: Root,
    pub(super) layout: Layout,
}

/// Says in the words of `dmsquash-live` what `cmdline` says in those of its dialect.
pub(super) fn translate(
    activation: Activation,
    cmdline: &Cmdline,
    notices: &mut Vec<String>,
) -> Result<Translated, Failure> {
    let cmdline = &with_new_names(cmdline, notices);
    match activation {
        Activation::DmsquashLive => Ok(Translated {
            cmdline: cmdline.clone(),
            root: root::read(cmdline)?,
            layout: Layout::Named,
        }),
        Activation::Archiso => of_archiso::read(cmdline),
        Activation::LiveBoot => of_live_boot::read(cmdline, notices),
    }
}

/// Adds to `cmdline` what older names say where the newer ones are absent altogether.
fn with_new_names(cmdline: &Cmdline, notices: &mut Vec<String>) -> Cmdline {
    let mut all = cmdline.clone();
    for (old, new) in name::LEGACY_NAMES {
        if let Some(argument) = cmdline.last(old)
            && cmdline.last(new).is_none()
        {
            notices.push(format!("{old}: an old name: say {new}"));
            all.push(Argument {
                name: (*new).to_owned(),
                value: argument.value.clone(),
            });
        }
    }
    all
}
