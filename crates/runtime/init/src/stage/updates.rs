//! Files that the medium has for the system besides its root file system image, as installers' media have them: they are put over the
//! new root.

use contract::media;
use contract::request::Request;

use super::Boot;
use crate::system::Kind;

/// Copies the trees of updates over the new root at `root`. Trouble on the way is told, and is no reason to stop.
pub(super) fn run(boot: &mut Boot<'_>, request: &Request, root: &str) {
    let from = media::UPDATES;
    if boot.system.kind(from).ok() != Some(Kind::Folder) {
        return;
    }
    if request.verity.is_some() {
        boot.warn(&format!(
            "{from} is left out: nothing verifies it, and the root file system image is verified"
        ));
        return;
    }
    match boot.system.copy_over(from, root) {
        Ok(count) => boot.step(&format!("{count} files of {from} are in the system")),
        Err(error) => boot.warn(&format!("{from} is not all in the system: {error}")),
    }
}
