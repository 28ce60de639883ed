//! What a kernel command line asks the runtime for, as a value: in the dialect of dracut's `dmsquash-live` and KIWI, or in another one
//! that is translated to it first.
//!
//! Known differences from dracut, each on purpose: `rd.live.check=0` is no check (dracut starts one), nothing ever asks the user,
//! what cannot be written as asked for gets an overlay, a label counts in its plain and in udev's escaped form, and UUIDs compare
//! without regard to case.

use std::time::Duration;

use crate::cmdline::{Argument, Cmdline};
use crate::failure::{DIGEST_UNKNOWN, Failure, NOT_SUPPORTED, Stage};
use crate::parameter::{self as name, Kind, Parameter, Standing};
use crate::{label, media};

pub mod activation;
mod archiso;
pub mod layer;
mod live_boot;
pub mod network;
pub mod persistence;
pub mod ram;
pub mod root;
pub mod search;
pub mod verity;

pub use activation::Activation;
use activation::Translated;
pub use layer::{DEFAULT_OVERLAY_SIZE, Form, Layer};
use network::Network;
use persistence::Persistence;
use ram::Ram;
pub use root::Root;
use search::Search;
use verity::Verity;

/// How long the medium is waited for where nothing else is said: dracut's `rd.retry` has the same default.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(180);

/// The names that ask for all that can be told.
const VERBOSE: [&str; 4] = [
    name::DEBUG,
    name::LIVE_DEBUG,
    name::LEGACY_LIVE_DEBUG,
    name::kiwi::DEBUG,
];

/// A digest that what is fetched must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// SHA-256.
    Sha256([u8; 32]),
}

/// What to do before each stage, and when the boot stops. Every command line has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Start a shell when the boot stops.
    pub shell: bool,
    /// What happens when the boot stops (after the shell, if there is one); `None` waits.
    pub emergency: Option<Emergency>,
    /// Start a shell before each of these stages.
    pub breaks: Vec<Stage>,
    /// How much is told.
    pub verbosity: Verbosity,
}

/// What happens when the boot stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emergency {
    /// The machine starts again.
    Reboot,
    /// The machine powers off.
    PowerOff,
    /// The machine halts.
    Halt,
}

/// How much is told on the console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Warnings and failures.
    Quiet,
    /// The steps too.
    #[default]
    Normal,
    /// Every device and module too.
    Debug,
}

/// Which kernel modules the command line asks for or forbids, all normalised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drivers {
    /// To load before any device asks.
    pub pre: Vec<String>,
    /// To load after those that devices asked for.
    pub post: Vec<String>,
    /// That no device may ask for.
    pub blacklist: Vec<String>,
}

/// What to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The dialect that it is in.
    pub activation: Activation,
    /// The live medium.
    pub root: Root,
    /// The folder on it, without slashes at its ends.
    pub dir: String,
    /// The root file system image's name in that folder.
    pub image: String,
    /// Whether the root file system image is copied to memory and the medium released.
    pub ram: Ram,
    /// Verify the medium before it is used.
    pub check: bool,
    /// How the medium is found where it is no device of its own.
    pub search: Search,
    /// What the root file system image is verified against as it is read.
    pub verity: Option<Verity>,
    /// The writable layer.
    pub layer: Layer,
    /// Where what is written stays; `None` where it is gone with the machine's end.
    pub persistence: Option<Persistence>,
    /// The program to start in the new root, if not the usual ones.
    pub init: Option<String>,
    /// How long to wait for the medium, from the start of the search; `None` waits without end.
    pub deadline: Option<Duration>,
    /// Kernel modules asked for or forbidden.
    pub drivers: Drivers,
    /// The network.
    pub network: Network,
    /// What the fetched medium must be.
    pub digest: Option<Digest>,
    /// Whether a server's certificate is verified.
    pub verify_certificates: bool,
    /// Whether the command line says where on the medium the root file system image is. Where it does not, a medium from the network
    /// may have it where our own media have it.
    pub says_layout: bool,
    /// What was asked for and is not done, one line each, for the console.
    pub notices: Vec<String>,
}

impl Policy {
    /// What the command line says of failures; any command line says something.
    #[must_use]
    pub fn read(cmdline: &Cmdline) -> Self {
        let emergency = match cmdline.value(name::EMERGENCY) {
            Some("reboot") => Some(Emergency::Reboot),
            Some("poweroff") => Some(Emergency::PowerOff),
            Some("halt") => Some(Emergency::Halt),
            _ => None,
        };
        let breaks = cmdline
            .arguments()
            .iter()
            .filter(|argument| argument.name == name::BREAK)
            .flat_map(|argument| argument.value.as_deref().unwrap_or_default().split(','))
            .filter_map(break_before)
            .collect();
        let verbosity = if cmdline.boolean(&VERBOSE, false) {
            Verbosity::Debug
        } else if cmdline.boolean(&[name::QUIET], false) && !cmdline.boolean(&[name::INFO], false) {
            Verbosity::Quiet
        } else {
            Verbosity::Normal
        };
        Self {
            shell: cmdline.boolean(&[name::SHELL], false),
            emergency,
            breaks,
            verbosity,
        }
    }
}

/// The stage of a breakpoint: our name for it, or that of dracut's which is at the same place. Any other text is the last moment, as in
/// dracut.
fn break_before(name: &str) -> Option<Stage> {
    match name {
        "0" | "no" | "off" => None,
        "cmdline" | "pre-udev" | "pre-trigger" | "initqueue" | "start" | "find" => {
            Some(Stage::Find)
        }
        "verify" | "check" => Some(Stage::Verify),
        "pre-mount" | "base" => Some(Stage::Base),
        "mount" | "overlay" | "persistence" => Some(Stage::Overlay),
        _ => Some(Stage::Switch),
    }
}

impl Request {
    /// What the command line asks for; `None` where it names no live medium at all.
    ///
    /// # Errors
    ///
    /// [`ROOT_UNKNOWN`] where `root=live:` is in no known form, and [`NOT_SUPPORTED`] where something is asked for that is
    /// known, cannot be done, and must not be left out.
    pub fn read(cmdline: &Cmdline) -> Result<Option<Self>, Failure> {
        let Some(activation) = Activation::of(cmdline) else {
            return Ok(None);
        };
        let mut notices = Vec::new();
        for argument in cmdline.arguments() {
            note_what_is_not_done(activation, argument, &mut notices)?;
        }
        let Translated {
            cmdline,
            root,
            layout,
        } = activation::translate(activation, cmdline, &mut notices)?;
        let cmdline = &cmdline;
        let says_layout = [name::LIVE_DIR, name::LIVE_SQUASHIMG]
            .iter()
            .any(|name| cmdline.value(name).is_some());
        let is_remote = matches!(root, Root::Url(_));
        let needs_network = is_remote || cmdline.boolean(&[name::NEED_NETWORK], false);
        let network = Network::read(cmdline, needs_network, &mut notices)?;
        let digest = read_digest(cmdline, is_remote)?;
        let layer = Layer::read(cmdline, &mut notices);
        let ram = Ram::read(cmdline, &mut notices);
        let persistence = Persistence::read(cmdline, &mut notices)?;
        let search = Search::read(cmdline, layout)?;
        let verity = Verity::read(cmdline)?;
        let deadline = read_deadline(cmdline, &mut notices);
        let text = |name: &str, default: &str| {
            let value = cmdline.value(name).unwrap_or(default);
            value.trim_matches('/').to_owned()
        };
        Ok(Some(Self {
            activation,
            root,
            dir: text(name::LIVE_DIR, media::CLASSIC_DIR),
            image: text(name::LIVE_SQUASHIMG, media::CLASSIC_IMAGE_NAME),
            ram,
            check: cmdline.boolean(&[name::LIVE_CHECK, name::kiwi::MEDIA_CHECK], false),
            search,
            verity,
            layer,
            persistence,
            init: cmdline
                .value(name::INIT)
                .filter(|path| !path.is_empty())
                .map(str::to_owned),
            deadline,
            drivers: Drivers {
                pre: modules(cmdline, &[name::DRIVER_PRE]),
                post: modules(cmdline, &[name::DRIVER_POST]),
                blacklist: modules(cmdline, &[name::DRIVER_BLACKLIST, name::MODPROBE_BLACKLIST]),
            },
            network,
            digest,
            verify_certificates: !cmdline.boolean(&[name::NO_VERIFY_SSL], false),
            says_layout,
            notices,
        }))
    }
}

/// The parameters that media put on their command lines, for a medium with this volume identifier (or label).
///
/// They are such that dracut's `dmsquash-live` boots the same media: this is the one place that spells them.
#[must_use]
pub fn media_arguments(volume_id: &str, check: bool) -> Vec<Argument> {
    let mut arguments = vec![
        Argument::new(
            name::ROOT,
            format!("live:CDLABEL={}", label::escape(volume_id)),
        ),
        Argument::bare(name::LIVE_IMAGE),
        Argument::new(name::LIVE_DIR, media::DIR),
        Argument::new(name::LIVE_SQUASHIMG, media::ROOT_IMAGE_NAME),
        Argument::new(name::LIVE_OVERLAYFS, "1"),
    ];
    if check {
        arguments.push(Argument::bare(name::LIVE_CHECK));
    }
    arguments
}

/// The parameters that media put on the command line of an initramfs that is the whole system.
///
/// Without this the kernel unpacks it into a tmpfs of half the memory, and where it is larger starts what fits.
#[must_use]
pub fn full_os_arguments() -> Vec<Argument> {
    vec![Argument::new(name::ROOT_FS_TYPE, "ramfs")]
}

/// What the fetched medium must be. Where nothing is fetched a digest cannot be met, and what cannot be met stops the boot.
fn read_digest(cmdline: &Cmdline, is_remote: bool) -> Result<Option<Digest>, Failure> {
    let Some(argument) = cmdline.last(name::DIGEST) else {
        return Ok(None);
    };
    let value = argument.value.as_deref().unwrap_or_default();
    if !is_remote {
        let cause = format!(
            "{}={value}: only of a medium from the network",
            name::DIGEST
        );
        return Err(Failure::new(NOT_SUPPORTED, cause));
    }
    let digest = value.strip_prefix("sha256:").and_then(sha256);
    let unknown = || Failure::new(DIGEST_UNKNOWN, format!("{}={value}", name::DIGEST));
    digest.map(Some).ok_or_else(unknown)
}

fn sha256(text: &str) -> Option<Digest> {
    sha256_bytes(text).map(Digest::Sha256)
}

/// The bytes of a SHA-256 digest from its hexadecimal digits, all 64 of them.
fn sha256_bytes(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != digest.len() || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(pairs) {
        let pair = str::from_utf8(pair).ok()?;
        // OK: a sign is no digit, and `from_str_radix` takes one.
        let digits = pair.bytes().all(|digit| digit.is_ascii_hexdigit());
        *byte = u8::from_str_radix(pair, 16).ok().filter(|_| digits)?;
    }
    Some(digest)
}

fn note_what_is_not_done(
    activation: Activation,
    argument: &Argument,
    notices: &mut Vec<String>,
) -> Result<(), Failure> {
    let given = match &argument.value {
        Some(value) => format!("{}={value}", argument.name),
        None => argument.name.clone(),
    };
    match name::find(&argument.name) {
        Some(parameter) if !activation.reads(parameter) => {}
        Some(Parameter {
            kind: Kind::Boolean,
            ..
        }) if !argument.is_true() => {}
        Some(Parameter {
            standing: Standing::Refused,
            help,
            ..
        }) => return Err(Failure::new(NOT_SUPPORTED, format!("{given}: {help}"))),
        Some(Parameter {
            standing: Standing::Ignored,
            help,
            ..
        }) => notices.push(format!("{given}: not done yet ({help})")),
        Some(_) => {}
        None if argument.name.starts_with("rd.live.")
            || argument.name.starts_with("rd.overlay") =>
        {
            notices.push(format!("{given}: unknown, and nothing is done for it"));
        }
        None => {}
    }
    Ok(())
}

fn read_deadline(cmdline: &Cmdline, notices: &mut Vec<String>) -> Option<Duration> {
    for key in [name::TIMEOUT, name::RETRY, name::ROOT_DELAY] {
        let Some(value) = cmdline.value(key) else {
            continue;
        };
        match value.parse::<i64>() {
            Ok(seconds) => {
                return u64::try_from(seconds)
                    .ok()
                    .filter(|s| *s > 0)
                    .map(Duration::from_secs);
            }
            Err(_) => notices.push(format!("{key}: {value:?} is no number of seconds")),
        }
    }
    Some(DEFAULT_DEADLINE)
}

fn modules(cmdline: &Cmdline, names: &[&str]) -> Vec<String> {
    names
        .iter()
        .flat_map(|name| cmdline.all(name))
        .flat_map(|value| value.split(','))
        .filter(|module| !module.is_empty())
        .map(crate::module_index::normalise)
        .collect()
}

#[cfg(test)]
mod tests;
