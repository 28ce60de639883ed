//! Entries of the media's menu as values, and where their arguments come from.

use super::{ENTRY_LIMIT, LiveBoot};
use std::collections::BTreeSet;

use super::arguments::{is_managed, is_recovery, kept};
use super::commands::{Role, role, title};
use super::kernels::{LiveKernel, Meaning, meaning};
use super::variables::Variables;
use crate::bls::BlsEntry;
use crate::cmdline;
use crate::grub::{Command, Script, Visit, Word};

/// The longest command line of the image that is read, in bytes; Linux takes up to 4096, and less on most machines. What is longer
/// is cut off there.
const COMMAND_LINE_LIMIT: usize = 16 << 10;

/// An entry that boots a kernel of the media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveEntry {
    /// What the menu shows.
    pub title: String,
    /// The kernel.
    pub kernel: LiveKernel,
    /// The image's own arguments, without those that are ours. [`command_line`](Self::command_line) has them all.
    pub arguments: Vec<String>,
    /// Whether the media are checked before they are used.
    pub checks_media: bool,
    /// What `default` has to be in `grub.cfg` so that this entry is chosen; `None` where nothing can choose it.
    pub(super) key: Option<String>,
    /// Whether it wants a password where the configuration has one.
    pub(super) restricted: bool,
}

impl LiveEntry {
    /// Whether it stops before the usual system.
    #[must_use]
    pub fn is_recovery(&self) -> bool {
        let title = self.title.to_lowercase();
        is_recovery(&self.arguments) || title.contains("recovery") || title.contains("rescue")
    }

    /// All arguments of the kernel: the image's, the live system's, the further ones. What follows a `--` is for init and stays last.
    #[must_use]
    pub fn command_line(&self, boot: &LiveBoot) -> Vec<String> {
        let ours = ours(boot, self.checks_media);
        let theirs = self
            .arguments
            .iter()
            .filter(|argument| !ours.contains(argument))
            .cloned();
        let mut all: Vec<String> = theirs.collect();
        let end = all
            .iter()
            .position(|argument| is_separator(argument))
            .unwrap_or(all.len());
        all.splice(end..end, ours);
        all
    }
}

/// The arguments that every entry gets.
pub(super) fn ours(boot: &LiveBoot, checks_media: bool) -> Vec<String> {
    let mut ours = boot.live_arguments.clone();
    if checks_media {
        ours.push(contract::parameter::LIVE_CHECK.to_owned());
    }
    for argument in &boot.extra_arguments {
        if !ours.contains(argument) {
            ours.push(argument.clone());
        }
    }
    ours
}

/// Whether what follows is for init: `--`, or `---` of Debian's installers.
pub(super) fn is_separator(argument: &str) -> bool {
    matches!(argument, "--" | "---")
}

/// The image's own arguments of a `linux` command, with the variables that are known.
pub(super) fn image_arguments(command: &Command, variables: &Variables) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut len = 0;
    for word in command.arguments().iter().skip(1) {
        let text = variables.expand(word);
        len += text.len();
        if len > COMMAND_LINE_LIMIT {
            break;
        }
        if word.is_split() {
            arguments.extend(kept(&text));
        } else if !text.is_empty() && !is_managed(cmdline::name(&text)) {
            arguments.push(text);
        }
    }
    arguments
}

/// What the kernel of a `linux` command is.
pub(super) fn kernel_of<'a>(
    command: &Command,
    variables: &Variables,
    boot: &'a LiveBoot,
) -> Meaning<'a> {
    match command.arguments().first() {
        None => Meaning::Other,
        Some(path) => meaning(
            &boot.kernels,
            &variables.expand(path),
            variables.is_complete(path),
        ),
    }
}

/// The entry of a `linux` command, if it boots a kernel of the media.
pub(super) fn of_command(
    visit: &Visit<'_>,
    variables: &Variables,
    boot: &LiveBoot,
) -> Option<LiveEntry> {
    let (Meaning::Kernel(kernel) | Meaning::Newest(kernel)) =
        kernel_of(visit.command, variables, boot)
    else {
        return None;
    };
    let menu_entry = visit
        .within
        .iter()
        .rev()
        .find(|command| role(command) == Role::MenuEntry);
    let title = menu_entry
        .and_then(|command| title(command))
        .unwrap_or(&boot.title);
    Some(LiveEntry {
        title: title.to_owned(),
        kernel: kernel.clone(),
        arguments: image_arguments(visit.command, variables),
        checks_media: false,
        key: None,
        restricted: !menu_entry.is_some_and(|entry| is_unrestricted(entry)),
    })
}

/// Whether everybody may start a menu entry.
fn is_unrestricted(entry: &Command) -> bool {
    let mut words = entry.arguments().iter();
    words.any(|word| word.literal() == Some("--unrestricted"))
}

/// The entry of a Boot Loader Specification entry, if it boots a kernel of the media.
pub(super) fn of_bls(bls: &BlsEntry, variables: &Variables, boot: &LiveBoot) -> Option<LiveEntry> {
    let path = bls.value("linux")?;
    let by_version = boot
        .kernels
        .iter()
        .find(|kernel| bls.value("version") == Some(&kernel.version));
    let kernel = match (meaning(&boot.kernels, path, true), by_version) {
        (Meaning::Kernel(kernel), _) => kernel,
        (Meaning::Newest(kernel), by_version) => by_version.unwrap_or(kernel),
        (Meaning::Other, Some(kernel)) if !path.contains("rescue") => kernel,
        (Meaning::Other, _) => return None,
    };
    let options: Vec<&str> = bls.values("options").collect();
    let options = variables.expand_text(&options.join(" "));
    Some(LiveEntry {
        title: variables.expand_text(bls.value("title").unwrap_or(&boot.title)),
        kernel: kernel.clone(),
        arguments: kept(&options),
        checks_media: false,
        key: Some(format!("liveos-{}", bls.id())),
        // As `blscfg` has it: without users everybody may start it.
        restricted: bls
            .value("grub_users")
            .is_some_and(|users| !variables.expand_text(users).trim().is_empty()),
    })
}

/// Every entry of the image that boots a kernel of the media: its Boot Loader Specification entries, then those of `grub.cfg`, each
/// kernel and title once.
pub(super) fn known_entries(
    script: Option<&Script>,
    variables: &Variables,
    bls: &[BlsEntry],
    boot: &LiveBoot,
) -> Vec<LiveEntry> {
    let mut entries: Vec<LiveEntry> = bls
        .iter()
        .take(ENTRY_LIMIT)
        .filter_map(|bls| of_bls(bls, variables, boot))
        .collect();
    let mut known: BTreeSet<(String, String)> = entries
        .iter()
        .map(|entry| (entry.kernel.version.clone(), entry.title.clone()))
        .collect();
    for visit in script.map(Script::commands).unwrap_or_default() {
        if role(visit.command) != Role::Linux || entries.len() >= ENTRY_LIMIT {
            continue;
        }
        if let Some(entry) = of_command(&visit, variables, boot)
            && known.insert((entry.kernel.version.clone(), entry.title.clone()))
        {
            entries.push(entry);
        }
    }
    entries
}

/// What `/etc/default/grub` gives to every kernel: `GRUB_CMDLINE_LINUX` and `GRUB_CMDLINE_LINUX_DEFAULT`.
///
/// The file is a shell script; only plain assignments of one text count, and the last one wins.
pub(super) fn default_command_line(defaults: &str) -> String {
    let value = |name: &str| {
        let mut values = defaults
            .lines()
            .filter_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
        let quotes: &[char] = &['"', '\''];
        let value = values
            .next_back()
            .unwrap_or_default()
            .trim()
            .trim_matches(quotes);
        let plain = !value.contains(['$', '`', '\\']);
        if plain {
            value.to_owned()
        } else {
            String::new()
        }
    };
    format!(
        "{} {}",
        value("GRUB_CMDLINE_LINUX"),
        value("GRUB_CMDLINE_LINUX_DEFAULT")
    )
}

/// The title of an entry that we make.
pub(super) fn new_title(boot: &LiveBoot, kernel: &LiveKernel) -> String {
    match boot.kernels.len() {
        1 => boot.title.clone(),
        _ => format!("{} ({})", boot.title, kernel.version),
    }
}

impl Word {
    /// Whether its value becomes several words: a variable outside of quotes.
    fn is_split(&self) -> bool {
        matches!(
            self.pieces.as_slice(),
            [crate::grub::Piece::Variable { quoted: false, .. }]
        )
    }
}
