//! What UEFI firmware starts: on the ISO and in its ESP, or at the root of a server.

use block::{Content, ReadAt as _, Result};
use bootloader::live::LiveConfig;
use contract::media as places;
use media::files::Files;
use payload::esp;

use super::{Inputs, file};
use crate::progress::Progress;

/// Where a GRUB that Debian built for the network looks for its configuration.
const DEBIAN_NETWORK_CONFIG: &str = "grub/grub.cfg";

/// The largest GRUB that is looked into, in bytes; the largest real one has some 5 MiB. A larger one is taken without a look.
const MAX_GRUB: usize = 64 << 20;

/// Puts the programs and their redirectors on the ISO and into the ESP. Answers with the path of the ESP on the media.
pub(super) fn put_on_iso(
    files: &mut Files,
    inputs: Inputs<'_>,
    config: &LiveConfig,
    grub_folder: &str,
) -> Result<String> {
    let Inputs { tree, plan, .. } = inputs;
    let mok_manager = plan
        .efi
        .mok_manager
        .as_ref()
        .map(|path| file(tree, path))
        .transpose()?;
    let programs = esp::Programs {
        suffix: plan.efi.suffix,
        shim: file(tree, &plan.efi.shim)?,
        grub: file(tree, &plan.efi.grub.path)?,
        mok_manager,
    };
    let esp_files = esp::files(programs, redirectors(&plan.efi.grub.vendor, config))?;
    for (path, content) in &esp_files {
        files.put(path, content.clone())?;
    }
    let image = format!("{grub_folder}/{}", places::EFI_IMAGE_NAME);
    files.put(
        &image,
        Content::from_bytes(esp::image(&esp_files, plan.time)?),
    )?;
    Ok(image)
}

/// GRUB looks where its builder told it to; a GRUB without such a place looks beside itself.
fn redirectors(vendor: &str, config: &LiveConfig) -> Vec<(String, Vec<u8>)> {
    [vendor, "BOOT"]
        .iter()
        .map(|folder| {
            (
                format!("EFI/{folder}/grub.cfg"),
                config.redirector.clone().into_bytes(),
            )
        })
        .collect()
}

/// Puts the programs at the root, where firmware asks the server for them and shim for GRUB.
pub(super) fn put_on_server(
    files: &mut Files,
    inputs: Inputs<'_>,
    config: &LiveConfig,
    progress: &Progress,
) -> Result<()> {
    let Inputs { tree, plan, .. } = inputs;
    let suffix = plan.efi.suffix;
    let grub = file(tree, &plan.efi.network_grub.path)?;
    if !loads_from_network(&grub)? {
        progress.warn(&format!(
            "{} knows no network: UEFI machines cannot boot with it from the server (iPXE can, with boot.ipxe); an image with the \
             distribution's GRUB for the network (Debian, Ubuntu: package grub-efi-amd64-signed) has a better one",
            plan.efi.network_grub.path
        ));
    }
    progress.say(&format!(
        "firmware that boots over HTTP takes {} as its boot file: GRUB by itself cannot be relied on there",
        places::HTTP_BOOT_ISO
    ));
    files.put(&format!("boot{suffix}.efi"), file(tree, &plan.efi.shim)?)?;
    files.put(&format!("grub{suffix}.efi"), grub)?;
    if let Some(path) = &plan.efi.mok_manager {
        files.put(&format!("mm{suffix}.efi"), file(tree, path)?)?;
    }
    for (path, bytes) in redirectors(&plan.efi.network_grub.vendor, config) {
        files.put(&path, Content::from_bytes(bytes))?;
    }
    let bytes = config.redirector.clone().into_bytes();
    files.put(DEBIAN_NETWORK_CONFIG, Content::from_bytes(bytes))
}

/// Whether a GRUB has the module for TFTP in it, by its name.
fn loads_from_network(grub: &Content) -> Result<bool> {
    const MODULE: &[u8] = b"tftp";
    if grub.len() > MAX_GRUB as u64 {
        return Ok(true);
    }
    let bytes = grub.read_all(MAX_GRUB)?;
    Ok(bytes.windows(MODULE.len()).any(|window| window == MODULE))
}
