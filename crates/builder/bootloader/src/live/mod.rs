//! The boot configuration of live media, made from the image's own.
//!
//! ```text
//! grub.cfg of the image -- parses, boots one of the kernels --> edited in places
//!                       \- otherwise ------------------------> a new one, from BLS entries or the kernels alone
//! then, in both: an entry for every kernel that has none, the media check entry, the default and the timeout
//! ```
//!
//! What an edit does: each `search` looks for the media's label; kernels and initramfs are those on the media; arguments that name
//! the installed root go and ours come; `blscfg` becomes the entries it would show; other systems' entries, which cannot work
//! from media, go with a warning; nothing writes to the environment block, which read-only media cannot.

mod arguments;
mod commands;
mod edit;
mod entry;
mod generate;
mod kernels;
mod loopback;
mod variables;

use std::collections::BTreeMap;

use block::Result;

pub use arguments::{
    full_os_arguments, is_managed, live_arguments, network_arguments, verity_argument,
};
pub(crate) use commands::{is_initrd, is_linux, menu_title};
pub use entry::LiveEntry;
pub(crate) use generate::default_entry;
pub use generate::redirector_paths;
pub use kernels::LiveKernel;

use crate::bls::{self, BlsEntry};
use crate::grub::Script;
use variables::Variables;

/// The most entries of a menu that is made or edited; hundreds of kernels make that many. A configuration with more is not edited, and
/// of Boot Loader Specification entries the newest count.
const ENTRY_LIMIT: usize = 1000;

/// What media have by Debian's convention: one line that names them.
const DISK_INFO: &str = "/.disk/info";

/// What the image says of its boot.
#[derive(Clone, Copy)]
pub struct ImageConfig<'a> {
    /// Its `grub.cfg`, if it has one.
    pub grub_config: Option<&'a [u8]>,
    /// Its Boot Loader Specification entries in any order: file name and bytes.
    pub bls_entries: &'a [(String, Vec<u8>)],
    /// Answers with a small file of the image by its absolute path, links followed: environment blocks, `/etc/kernel/cmdline`,
    /// `/etc/default/grub`. `None` where there is no such file.
    pub file: &'a dyn Fn(&str) -> Result<Option<Vec<u8>>>,
}

impl std::fmt::Debug for ImageConfig<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageConfig")
            .field("grub_config", &self.grub_config.map(<[u8]>::len))
            .finish_non_exhaustive()
    }
}

/// Where GRUB finds the media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Medium {
    /// On the disk or CD with this volume identifier.
    Volume(String),
    /// Where GRUB itself came from: a server. Nothing is searched for.
    Network,
}

/// What the media boot.
#[derive(Clone, Debug)]
pub struct LiveBoot {
    /// Where GRUB finds the media.
    pub medium: Medium,
    /// The system's name in titles: `PRETTY_NAME` of os-release.
    pub title: String,
    /// GRUB's absolute folder on the media: `/boot/grub2` or `/boot/grub`, whichever the image uses.
    pub grub_folder: String,
    /// The kernels, the newest first; at least one.
    pub kernels: Vec<LiveKernel>,
    /// What makes a kernel boot the media: [`live_arguments`].
    pub live_arguments: Vec<String>,
    /// Further arguments for every entry, last on the command line.
    pub extra_arguments: Vec<String>,
    /// Seconds until the default entry starts. `None`: as the image has it, which may be 0 and no menu.
    pub timeout: Option<u32>,
    /// Whether there is an entry that checks the media first.
    pub media_check: bool,
}

impl LiveBoot {
    /// Media with this volume identifier and these kernels, with what is usual.
    #[must_use]
    pub fn new(volume_id: &str, title: &str, kernels: Vec<LiveKernel>) -> Self {
        Self {
            medium: Medium::Volume(volume_id.to_owned()),
            title: title.to_owned(),
            grub_folder: format!("/{}", contract::media::GRUB2_DIR),
            kernels,
            live_arguments: live_arguments(volume_id),
            extra_arguments: Vec::new(),
            timeout: Some(5),
            media_check: true,
        }
    }
}

/// Where the media's `grub.cfg` comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The image's, edited in places.
    Edited,
    /// A new one.
    Generated {
        /// Why the image's was not taken.
        reason: String,
    },
}

/// The boot configuration of the media.
#[derive(Clone, Debug)]
pub struct LiveConfig {
    /// Where `grub.cfg` comes from.
    pub origin: Origin,
    /// Files for the media by absolute path: `grub.cfg`, the environment blocks that it loads, `loopback.cfg` for a GRUB that has the media
    /// in a file, and `/.disk/info`, by which Debian's GRUB for CDs knows media.
    pub files: BTreeMap<String, Vec<u8>>,
    /// What a GRUB with another prefix reads first, for the places of [`redirector_paths`].
    pub redirector: String,
    /// The entries that boot a kernel of the media, in the menu's order, for boot loaders other than GRUB. The first that is no recovery
    /// entry is the default; the one that checks the media is the last, if it is wanted.
    pub entries: Vec<LiveEntry>,
    /// What was dropped or is in doubt, one sentence each.
    pub warnings: Vec<String>,
}

/// Makes the media's boot configuration from the image's.
///
/// # Errors
///
/// [`block::Kind::NotFound`] where `boot` has no kernel, and what `image.file` answers. A configuration that cannot be read is no
/// error: a new one takes its place and [`LiveConfig::origin`] says why.
pub fn configure(image: &ImageConfig<'_>, boot: &LiveBoot) -> Result<LiveConfig> {
    if boot.kernels.is_empty() {
        return Err(block::Error::not_found(
            "the media's boot configuration",
            "there is no kernel to boot",
        ));
    }
    let mut warnings = Vec::new();
    let bls = bls_entries(image, &mut warnings);
    let script = image
        .grub_config
        .map(|bytes| Script::parse(generate::without_closing(bytes)));
    let (mut variables, script, mut reason) = match script {
        None => (
            Variables::default(),
            None,
            "the image has no grub.cfg".to_owned(),
        ),
        Some(Err(error)) => (
            Variables::default(),
            None,
            format!("the image's grub.cfg cannot be read: {error}"),
        ),
        Some(Ok(script)) => {
            let variables = Variables::collect(&script, image.file, &boot.grub_folder)?;
            (variables, Some(script), String::new())
        }
    };
    variables.add_default_environment(image.file, &boot.grub_folder)?;
    if let Some(script) = &script {
        match edit::edit(script, &variables, &bls, boot) {
            Ok(edited) if Script::parse(edited.text.clone()).is_ok() => {
                return edited_config(image, boot, &variables, edited, warnings);
            }
            Ok(_) => reason = "the image's grub.cfg could not be edited".to_owned(),
            Err(fault) => reason = format!("the image's grub.cfg {fault}"),
        }
    }
    if image.grub_config.is_some() {
        warnings.push(format!("{reason}; a new one takes its place"));
    }
    let known = entry::known_entries(script.as_ref(), &variables, &bls, boot);
    let fallback = fallback_arguments(image, &known)?;
    let (text, entries) = generate::generate(boot, script.as_ref(), known, &fallback);
    let files = files_with(boot, text, &entries);
    Ok(LiveConfig {
        origin: Origin::Generated { reason },
        files,
        redirector: generate::redirector(boot),
        entries,
        warnings,
    })
}

/// The image's configuration, edited, with what comes to its end.
fn edited_config(
    image: &ImageConfig<'_>,
    boot: &LiveBoot,
    variables: &Variables,
    edited: edit::Edited,
    mut warnings: Vec<String>,
) -> Result<LiveConfig> {
    warnings.extend(edited.warnings);
    let fallback = fallback_arguments(image, &edited.entries)?;
    let closing = generate::Closing {
        boot,
        commands: edited.commands,
        fallback: &fallback,
    };
    let (text, entries) = closing.close(edited.text, edited.entries);
    let mut files = variables.environment_files();
    files.extend(files_with(boot, text, &entries));
    Ok(LiveConfig {
        origin: Origin::Edited,
        files,
        redirector: generate::redirector(boot),
        entries,
        warnings,
    })
}

/// The files that all media have, with the text of `grub.cfg`.
fn files_with(boot: &LiveBoot, text: Vec<u8>, entries: &[LiveEntry]) -> BTreeMap<String, Vec<u8>> {
    let info = format!("{}\n", boot.title).into_bytes();
    let mut files = BTreeMap::from([(config_path(boot), text), (DISK_INFO.to_owned(), info)]);
    if boot.medium != Medium::Network {
        let text = loopback::config(boot, entries).into_bytes();
        files.insert(loopback::PATH.to_owned(), text);
    }
    files
}

fn config_path(boot: &LiveBoot) -> String {
    format!("{}/{}", boot.grub_folder, contract::media::GRUB_CONFIG_NAME)
}

/// The image's entries that can be read, the newest first.
fn bls_entries(image: &ImageConfig<'_>, warnings: &mut Vec<String>) -> Vec<BlsEntry> {
    let mut entries = Vec::new();
    for (name, bytes) in image.bls_entries {
        match BlsEntry::parse(name, bytes) {
            Ok(entry) => entries.push(entry),
            Err(error) => warnings.push(format!("{error}; the entry is left out")),
        }
    }
    entries.sort_by(bls::newest_first);
    entries.truncate(ENTRY_LIMIT);
    entries
}

/// The arguments for a kernel that no entry names: those of another one, else what the image would give to a new kernel.
fn fallback_arguments(image: &ImageConfig<'_>, entries: &[LiveEntry]) -> Result<Vec<String>> {
    if let Some(entry) = entries.iter().find(|entry| !entry.is_recovery()) {
        return Ok(entry.arguments.clone());
    }
    if let Some(line) = (image.file)("/etc/kernel/cmdline")? {
        return Ok(arguments::kept(&String::from_utf8_lossy(&line)));
    }
    let defaults = (image.file)("/etc/default/grub")?.unwrap_or_default();
    Ok(arguments::kept(&entry::default_command_line(
        &String::from_utf8_lossy(&defaults),
    )))
}
