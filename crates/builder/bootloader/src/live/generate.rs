//! Text of the media's `grub.cfg` that is ours: new entries, the end of an edited file, a whole new file, the redirector.

use super::arguments::is_managed;
use super::commands::search;
use super::entry::{LiveEntry, is_separator, new_title, ours};
use super::{LiveBoot, Medium};
use crate::cmdline;
use crate::grub::{Script, quote};

/// The lines between which everything is ours, so that it can be taken away when media are made of media.
const BEGIN: &str = "### BEGIN liveos ###";
const END: &str = "### END liveos ###";

/// The identifier of the entry that checks the media.
const CHECK_ID: &str = "liveos-check";

/// Which commands load a kernel and an initramfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Commands {
    /// `linux` and `initrd`, which every GRUB of today has.
    Plain,
    /// `linuxefi` and `initrdefi` under UEFI: an image that uses them may have a GRUB whose `linux` does not verify.
    ByPlatform,
}

impl Commands {
    /// The words for the two commands.
    pub(super) fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Plain => ("linux", "initrd"),
            Self::ByPlatform => ("$liveos_linux", "$liveos_initrd"),
        }
    }

    /// What has to stand before the first use.
    pub(super) fn prelude(self) -> String {
        match self {
            Self::Plain => String::new(),
            Self::ByPlatform => format!(
                "{BEGIN}\nif [ \"$grub_platform\" = efi ]; then\n  set liveos_linux=linuxefi\n  set liveos_initrd=initrdefi\n\
                 else\n  set liveos_linux=linux\n  set liveos_initrd=initrd\nfi\n{END}\n"
            ),
        }
    }
}

/// The variable with `BOOTIF=` and the hardware address of the card by which GRUB came, in the form that pxelinux gave it: 01 for
/// Ethernet, then the address. Nothing where GRUB has no network.
pub(super) const BOOT_CARD: &str = "liveos_bootif";

/// Whether kernels are told by which card GRUB came: those that ask every card for an address.
pub(super) fn names_boot_card(boot: &LiveBoot) -> bool {
    boot.medium == Medium::Network
        && ours(boot, false)
            .iter()
            .any(|argument| argument == "ip=dhcp")
}

/// What has to stand before the first entry.
pub(super) fn boot_card_prelude(boot: &LiveBoot) -> String {
    if !names_boot_card(boot) {
        return String::new();
    }
    format!(
        "{BEGIN}\nif [ -n \"$net_default_mac\" ]; then\n  set {BOOT_CARD}=\"{}=01-$net_default_mac\"\nfi\n{END}\n",
        contract::parameter::BOOTIF
    )
}

/// What comes to the end of a configuration.
pub(super) struct Closing<'a> {
    pub(super) boot: &'a LiveBoot,
    pub(super) commands: Commands,
    /// Arguments for a kernel without an entry.
    pub(super) fallback: &'a [String],
}

impl Closing<'_> {
    /// `text` with an entry for every kernel that has none, the media check entry, the default and the timeout.
    pub(super) fn close(
        &self,
        text: Vec<u8>,
        entries: Vec<LiveEntry>,
    ) -> (Vec<u8>, Vec<LiveEntry>) {
        let (boot, mut text, mut entries) = (self.boot, text, entries);
        end_last_line(&mut text);
        for kernel in &boot.kernels {
            if entries.iter().any(|entry| entry.kernel == *kernel) {
                continue;
            }
            let entry = LiveEntry {
                title: new_title(boot, kernel),
                kernel: kernel.clone(),
                arguments: self.fallback.to_vec(),
                checks_media: false,
                key: Some(format!("liveos-{}", kernel.version)),
                restricted: entries.first().is_some_and(|entry| entry.restricted),
            };
            text.extend_from_slice(menu_entry(&entry, boot, self.commands).as_bytes());
            entries.push(entry);
        }
        text.extend_from_slice(format!("{BEGIN}\n").as_bytes());
        let default = default_entry(boot, &entries);
        let key = default
            .and_then(|entry| entry.key.clone())
            .unwrap_or_else(|| "0".to_owned());
        if let Some(check) = default
            .filter(|_| boot.media_check)
            .map(|entry| check_entry(entry, boot))
        {
            text.extend_from_slice(menu_entry(&check, boot, self.commands).as_bytes());
            entries.push(check);
        }
        text.extend_from_slice(format!("set default={}\n", quote(&key)).as_bytes());
        if let Some(timeout) = boot.timeout {
            text.extend_from_slice(
                format!("set timeout_style=menu\nset timeout={timeout}\n").as_bytes(),
            );
        }
        text.extend_from_slice(format!("{END}\n").as_bytes());
        (text, entries)
    }
}

/// Ends the last line, also one that wants to be continued.
fn end_last_line(text: &mut Vec<u8>) {
    if text.last().is_some_and(|last| *last != b'\n') {
        text.push(b'\n');
    }
    if text.ends_with(b"\\\n") {
        text.push(b'\n');
    }
}

/// The first entry of the newest kernel that can be chosen and is no recovery entry, or what comes nearest.
pub(crate) fn default_entry<'a>(
    boot: &LiveBoot,
    entries: &'a [LiveEntry],
) -> Option<&'a LiveEntry> {
    let newest = boot.kernels.first();
    let usual = || entries.iter().filter(|entry| !entry.is_recovery());
    usual()
        .find(|entry| Some(&entry.kernel) == newest && entry.key.is_some())
        .or_else(|| usual().find(|entry| entry.key.is_some()))
        .or_else(|| usual().next())
        .or_else(|| entries.first())
}

fn check_entry(entry: &LiveEntry, boot: &LiveBoot) -> LiveEntry {
    LiveEntry {
        title: format!("Check this medium and start {}", boot.title),
        checks_media: true,
        key: Some(CHECK_ID.to_owned()),
        ..entry.clone()
    }
}

/// A menu entry.
pub(super) fn menu_entry(entry: &LiveEntry, boot: &LiveBoot, commands: Commands) -> String {
    let (linux, initrd) = commands.words();
    let command_line = entry.command_line(boot);
    let mut arguments: Vec<String> = command_line
        .iter()
        .map(|argument| quote(argument))
        .collect();
    if names_boot_card(boot) {
        let end = command_line
            .iter()
            .position(|argument| is_separator(argument));
        arguments.insert(end.unwrap_or(arguments.len()), format!("${BOOT_CARD}"));
    }
    let id = entry
        .key
        .as_deref()
        .map(|key| format!(" --id {}", quote(key)))
        .unwrap_or_default();
    let arguments = arguments.join(" ");
    let open = if entry.restricted {
        ""
    } else {
        " --unrestricted"
    };
    format!(
        "menuentry {}{id}{open} {{\n{}\techo {}\n\t{linux} {} {arguments}\n\t{initrd} {}\n}}\n",
        quote(&one_line(&entry.title)),
        search(&boot.medium, "root")
            .map(|line| format!("\t{line}\n"))
            .unwrap_or_default(),
        quote(&format!("Loading Linux {} ...", entry.kernel.version)),
        quote(&entry.kernel.image),
        quote(&entry.kernel.initramfs),
    )
}

/// A title without characters that end a line.
pub(super) fn one_line(title: &str) -> String {
    title.replace(|character: char| character.is_control(), " ")
}

/// A whole configuration: the image's serial console, if `script` has one, and these entries.
pub(super) fn generate(
    boot: &LiveBoot,
    script: Option<&Script>,
    known: Vec<LiveEntry>,
    fallback: &[String],
) -> (Vec<u8>, Vec<LiveEntry>) {
    let mut text = "# The boot menu of live media, made by liveos.\n".to_owned();
    text.push_str(&console(script));
    if let Some(line) = search(&boot.medium, "root") {
        text.push_str(&line);
        text.push('\n');
    }
    text.push_str("insmod all_video\nset gfxpayload=keep\n");
    text.push_str(&boot_card_prelude(boot));
    let mut entries = Vec::new();
    for (at, known) in known.into_iter().enumerate() {
        let key = known
            .key
            .clone()
            .unwrap_or_else(|| format!("liveos-{}-{at}", known.kernel.version));
        let entry = LiveEntry {
            key: Some(key),
            ..known
        };
        text.push_str(&menu_entry(&entry, boot, Commands::Plain));
        entries.push(entry);
    }
    Closing {
        boot,
        commands: Commands::Plain,
        fallback,
    }
    .close(text.into_bytes(), entries)
}

/// The commands of `script` that set up a serial console, as they stand.
fn console(script: Option<&Script>) -> String {
    let Some(script) = script else {
        return String::new();
    };
    let visits = script.commands();
    let serial = visits
        .iter()
        .any(|visit| visit.command.name() == Some("serial"));
    let wanted = |name: Option<&str>| {
        matches!(
            name,
            Some("serial" | "terminal_input" | "terminal_output" | "terminal")
        )
    };
    let lines = visits
        .iter()
        .filter(|visit| serial && visit.within.is_empty() && wanted(visit.command.name()));
    lines
        .map(|visit| format!("{}\n", script.text(&visit.command.span)))
        .collect()
}

/// What a GRUB with another prefix reads first: it finds the media, by their label or else by their media check table, and goes on
/// with their `grub.cfg`. From the network the media are where GRUB came from.
pub(super) fn redirector(boot: &LiveBoot) -> String {
    let config = format!(
        "($root){}/{}",
        boot.grub_folder,
        contract::media::GRUB_CONFIG_NAME
    );
    let find = search(&boot.medium, "root").map(|line| {
        format!(
            "{line}\nif [ ! -f {config} ]; then\n  search --no-floppy --file /{} --set=root\nfi\n",
            contract::media::CHECKSUMS
        )
    });
    format!(
        "{}set prefix=($root){}\nconfigfile {config}\n",
        find.unwrap_or_default(),
        boot.grub_folder,
    )
}

/// Where a GRUB for UEFI looks for the redirector, absolute, on the media and in the ESP image alike: beside the program in
/// `/EFI/BOOT`, and in the folder of its vendor, as `/EFI/debian` or `/EFI/fedora`.
///
/// Debian's GRUB for CDs takes `/boot/grub/grub.cfg` of the file system that it is on, then that of the file system with `/.disk/info`,
/// then what is beside the program; started from an ESP partition it has only the last two. Fedora's has the last one alone.
/// Others have the vendor's folder compiled in. Seen in grub-efi-amd64-signed 1+2.06+13+deb12u1 and grub2-efi-x64-cdboot 2.06.
#[must_use]
pub fn redirector_paths(vendor: Option<&str>) -> Vec<String> {
    let folders = ["BOOT"]
        .into_iter()
        .chain(vendor.filter(|vendor| !vendor.eq_ignore_ascii_case("BOOT")));
    folders
        .map(|folder| format!("/EFI/{folder}/{}", contract::media::GRUB_CONFIG_NAME))
        .collect()
}

/// `config` without what stands between our lines.
pub(super) fn without_closing(config: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(config.len());
    let mut ours = false;
    for line in config.split_inclusive(|byte| *byte == b'\n') {
        let text = line.trim_ascii();
        ours |= text == BEGIN.as_bytes();
        if !ours {
            kept.extend_from_slice(line);
        }
        ours &= text != END.as_bytes();
    }
    kept
}

/// The arguments for a `linux` command that is edited: ours, as words.
pub(super) fn argument_words(boot: &LiveBoot, arguments: &[String]) -> String {
    let words = arguments.iter().map(|argument| quote(argument));
    let card = names_boot_card(boot).then(|| format!("${BOOT_CARD}"));
    words.chain(card).map(|word| format!(" {word}")).collect()
}

/// A value that is assigned to a variable for command lines, without the arguments that are ours to give. `raw` is as it was written;
/// `None` where nothing changes.
pub(super) fn stripped_value(raw: &str) -> Option<String> {
    let (open, inner, close) = match raw.as_bytes() {
        [b'"', .., b'"'] if raw.len() > 1 => ("\"", raw.get(1..raw.len() - 1)?, "\""),
        [b'\'', .., b'\''] if raw.len() > 1 => ("'", raw.get(1..raw.len() - 1)?, "'"),
        _ => ("", raw, ""),
    };
    if inner.contains(['"', '\'', '\\']) {
        return None;
    }
    let kept: Vec<&str> = inner
        .split([' ', '\t'])
        .filter(|argument| !is_managed(cmdline::name(argument)))
        .collect();
    let stripped = kept.join(" ");
    (stripped != inner).then(|| format!("{open}{stripped}{close}"))
}
