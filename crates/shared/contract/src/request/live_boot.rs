//! The dialect of Debian's live-boot, in the words of `dmsquash-live`.
//!
//! Source: live-boot 20230131, `9990-cmdline-old` and `9990-misc-helpers.sh`.

use crate::cmdline::{Argument, Cmdline};
use crate::failure::Failure;
use crate::parameter::{self as name, live_boot};

use super::activation::Translated;
use super::root::{self, Root};
use super::search::Layout;

/// The name of the root file system image where there is only one, as live-build makes it.
const IMAGE: &str = "filesystem.squashfs";

/// Translates.
pub(super) fn read(cmdline: &Cmdline, notices: &mut Vec<String>) -> Result<Translated, Failure> {
    let text = |name: &str| cmdline.value(name).filter(|value| !value.is_empty());
    let dir = text(live_boot::MEDIA_PATH).unwrap_or(live_boot::DEFAULT_MEDIA_PATH);
    let dir = dir.trim_matches('/');
    let module = text(live_boot::MODULE).unwrap_or(live_boot::DEFAULT_MODULE);
    let fetched = text(live_boot::FETCH).or(text(live_boot::HTTP_FS));
    let media = text(live_boot::MEDIA).or(text(live_boot::BOOT_FROM));
    let root = match (fetched, media) {
        (Some(url), _) => root::parse(url, live_boot::FETCH)?,
        (None, None | Some("removable" | "removable-usb")) => Root::WithImageIn(dir.to_owned()),
        (None, Some(media)) => root::parse(media, live_boot::MEDIA)?,
    };
    let mut arguments = vec![
        Argument::new(name::LIVE_DIR, dir),
        Argument::new(name::LIVE_SQUASHIMG, IMAGE),
    ];
    for (theirs, ours) in [
        (live_boot::OVERLAY_SIZE, name::LIVE_OVERLAY_SIZE),
        (live_boot::MEDIA_TIMEOUT, name::TIMEOUT),
    ] {
        if let Some(value) = text(theirs) {
            arguments.push(Argument::new(ours, value));
        }
    }
    let addresses = addresses(cmdline, notices);
    let is_theirs = |argument: &Argument| argument.name == name::IP;
    Ok(Translated {
        cmdline: cmdline
            .without(is_theirs)
            .after(arguments.into_iter().chain(addresses)),
        root,
        layout: Layout::Stack {
            list: format!("{module}.module"),
        },
    })
}

/// `ip=` of live-boot, `card:address:mask:gateway:name server` with further cards behind a comma, as that of everybody else.
fn addresses(cmdline: &Cmdline, notices: &mut Vec<String>) -> Vec<Argument> {
    let mut arguments = Vec::new();
    let value = cmdline.value(name::IP).unwrap_or_default();
    for card in value.split(',').filter(|card| !card.is_empty()) {
        if matches!(card, "frommedia") {
            notices.push(format!("{}={card}: not done yet", name::IP));
            continue;
        }
        let mut fields = card.split(':');
        let mut next = || fields.next().unwrap_or_default();
        let (device, address, mask, gateway, server) = (next(), next(), next(), next(), next());
        let ours = match address {
            "" => device.to_owned(),
            address => format!("{address}::{gateway}:{mask}::{device}:none"),
        };
        arguments.push(Argument::new(name::IP, ours));
        if !server.is_empty() {
            arguments.push(Argument::new(name::NAME_SERVER, server));
        }
    }
    arguments
}
