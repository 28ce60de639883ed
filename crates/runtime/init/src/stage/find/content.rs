//! A medium that is known by the files that it holds: it has to be mounted to see them.

use contract::media;
use contract::request::root::Root;
use contract::request::search::is_image_name;

use super::Medium;
use super::file::may_hold_files;
use crate::stage::{Boot, base};
use crate::system::Kind;

/// Whether the device holds what `root` asks for; then it stays mounted as the medium.
pub(super) fn holds(boot: &mut Boot<'_>, root: &Root, medium: &Medium) -> bool {
    let is_asked_for = matches!(root, Root::WithFile { .. } | Root::WithImageIn(_));
    if !is_asked_for || !may_hold_files(&medium.identity) {
        return false;
    }
    if let Err(failure) = base::mount_medium(boot, medium) {
        boot.warn(&failure.cause);
        return false;
    }
    let is_file = |boot: &Boot<'_>, path: &str| {
        let path = format!("{}/{path}", media::LIVE_MOUNT);
        boot.system.kind(&path).ok() == Some(Kind::File)
    };
    let found = match root {
        Root::WithFile { files, .. } => files.iter().any(|file| is_file(boot, file)),
        Root::WithImageIn(folder) => {
            let path = format!("{}/{folder}", media::LIVE_MOUNT);
            let names = boot.system.list(&path).unwrap_or_default();
            names
                .iter()
                .any(|name| is_image_name(name) && is_file(boot, &format!("{folder}/{name}")))
        }
        _ => false,
    };
    if !found && let Err(error) = boot.system.unmount(media::LIVE_MOUNT) {
        boot.warn(&format!("{} stays mounted: {error}", media::LIVE_MOUNT));
    }
    found
}
