//! The dialect of mkinitcpio-archiso, in the words of `dmsquash-live`.
//!
//! Source: mkinitcpio-archiso 72, hooks `archiso`, `archiso_loop_mnt` and `archiso_pxe_http`.

use crate::cmdline::{Argument, Cmdline};
use crate::failure::{Failure, NOT_SUPPORTED};
use crate::parameter::{self as name, archiso};

use super::activation::Translated;
use super::root::{self, Root};
use super::search::Layout;

/// The names of the root file system image, in the order in which they are tried.
const IMAGES: [&str; 2] = ["airootfs.sfs", "airootfs.erofs"];
/// Below the folder of persistence: where what is written is.
const UPPER: &str = "upperdir";

/// Translates.
pub(super) fn read(cmdline: &Cmdline) -> Result<Translated, Failure> {
    let text = |name: &str| cmdline.value(name).filter(|value| !value.is_empty());
    let machine = text(archiso::ARCH).unwrap_or(std::env::consts::ARCH);
    let base = text(archiso::BASE_DIR).unwrap_or(archiso::DEFAULT_BASE_DIR);
    let dir = format!("{}/{machine}", base.trim_matches('/'));
    let root = read_root(cmdline, &dir)?;
    let mut arguments = vec![
        Argument::new(name::LIVE_DIR, dir.as_str()),
        Argument::new(name::LIVE_SQUASHIMG, IMAGES[0]),
    ];
    if let Some(size) = text(archiso::COW_SPACE_SIZE) {
        arguments.push(Argument::new(name::LIVE_OVERLAY_SIZE, size));
    }
    let device = match (text(archiso::COW_LABEL), text(archiso::COW_DEVICE)) {
        (_, Some(device)) => Some(device.to_owned()),
        (Some(label), None) => Some(format!("LABEL={label}")),
        (None, None) => None,
    };
    if let Some(device) = device {
        let label = text(archiso::LABEL).unwrap_or_default();
        let folder = match text(archiso::COW_DIRECTORY) {
            Some(folder) => folder.trim_matches('/').to_owned(),
            None => format!("persistent_{label}/{machine}"),
        };
        arguments.push(Argument::new(
            name::OVERLAY,
            format!("{device}:/{folder}/{UPPER}"),
        ));
    }
    Ok(Translated {
        cmdline: cmdline.after(arguments),
        root,
        layout: Layout::FirstOf(IMAGES.map(str::to_owned).to_vec()),
    })
}

/// What names the medium: a server, a UUID or a file to search for, a device, a label. Without any it is the medium that has an image.
fn read_root(cmdline: &Cmdline, dir: &str) -> Result<Root, Failure> {
    let text = |name: &str| cmdline.value(name).filter(|value| !value.is_empty());
    for name in archiso::OTHER_SERVERS {
        if let Some(value) = text(name) {
            let cause = format!("{name}={value}: only http and https are fetched so far");
            return Err(Failure::new(NOT_SUPPORTED, cause));
        }
    }
    if let Some(server) = text(archiso::HTTP_SERVER) {
        if server.contains("${") {
            let cause = format!(
                "{}={server}: no variables are filled in",
                archiso::HTTP_SERVER
            );
            return Err(Failure::new(NOT_SUPPORTED, cause));
        }
        let url = format!("{}/{dir}/{}", server.trim_end_matches('/'), IMAGES[0]);
        return root::parse(&url, archiso::HTTP_SERVER);
    }
    let uuid = text(archiso::SEARCH_UUID);
    let file = text(archiso::SEARCH_FILE_NAME);
    if uuid.is_some() || file.is_some() {
        let file = file.map_or_else(
            || format!("boot/{}.uuid", uuid.unwrap_or_default()),
            |file| file.trim_start_matches('/').to_owned(),
        );
        return Ok(Root::WithFile {
            uuid: uuid.map(str::to_owned),
            files: vec![file],
        });
    }
    match (text(archiso::DEVICE), text(archiso::LABEL)) {
        // The loop device of a file is named by whoever writes the line; here it may be another one.
        (Some(device), _) if !device.starts_with("/dev/loop") => {
            root::parse(device, archiso::DEVICE)
        }
        (None, Some(label)) => Ok(Root::Label(label.to_owned())),
        _ => Ok(Root::WithFile {
            uuid: None,
            files: IMAGES.map(|image| format!("{dir}/{image}")).to_vec(),
        }),
    }
}
