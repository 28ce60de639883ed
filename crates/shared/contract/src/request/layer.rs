//! The writable layer on top of the read-only root: what it is made of and how much it may hold.

use crate::cmdline::Cmdline;
use crate::parameter as name;

/// The size of the writable layer where nothing is said, as tmpfs takes it.
pub const DEFAULT_OVERLAY_SIZE: &str = "50%";

/// How the root becomes writable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// As its root file system image suits: a snapshot of an image that is a file system for disks, as `dmsquash-live` makes it where
    /// nobody asks for overlayfs; else an overlay. Media of KIWI have such images and expect an overlay all the same, and Btrfs gets one.
    #[default]
    Fitting,
    /// An overlay (overlayfs).
    Overlay,
    /// A device-mapper snapshot, where the image is a file system for disks; else an overlay.
    Snapshot,
    /// The image itself is written, where it is in memory and can be; else an overlay.
    Direct,
}

/// The writable layer. Where it is to outlive the machine's end is [`Persistence`](super::persistence::Persistence)'s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// How the root becomes writable.
    pub form: Form,
    /// The size of a layer in memory, as tmpfs takes it.
    pub size: String,
    /// How many blocks it may have instead, as tmpfs takes it (`nr_blocks`); empty for what `size` says.
    pub blocks: String,
    /// How many files it may have, as tmpfs takes it (`nr_inodes`); empty for the kernel's default.
    pub inodes: String,
    /// The image is copied to memory, and the copy is written ([`Form::Direct`]).
    pub private_copy: bool,
    /// A persistent layer is only read, and what is written goes to memory on top of it.
    pub read_only: bool,
    /// Options for the mount of the new root (`rootflags=`), as given; empty for none.
    pub root_flags: String,
}

impl Layer {
    /// What the command line says of the writable layer.
    pub(super) fn read(cmdline: &Cmdline, notices: &mut Vec<String>) -> Self {
        let private_copy = cmdline.boolean(&[name::WRITABLE_IMAGE], false);
        let mut layer = Self {
            form: read_form(cmdline, private_copy),
            size: DEFAULT_OVERLAY_SIZE.to_owned(),
            blocks: String::new(),
            inodes: String::new(),
            private_copy,
            read_only: cmdline.boolean(&name::OVERLAY_READ_ONLY, false),
            root_flags: cmdline
                .value(name::ROOT_FLAGS)
                .unwrap_or_default()
                .to_owned(),
        };
        layer.read_sizes(cmdline, notices);
        layer
    }

    /// The options of a tmpfs that holds the layer: `size=50%`.
    #[must_use]
    pub fn tmpfs_options(&self) -> String {
        let mut options = match self.blocks.as_str() {
            "" => format!("size={}", self.size),
            blocks => format!("nr_blocks={blocks}"),
        };
        if !self.inodes.is_empty() {
            options.push_str(",nr_inodes=");
            options.push_str(&self.inodes);
        }
        options
    }

    /// How many bytes the layer may hold on a machine with `memory` bytes in pages of `page` bytes.
    #[must_use]
    pub fn limit(&self, memory: u64, page: u64) -> u64 {
        match self.blocks.as_str() {
            "" => bytes(&self.size, memory),
            blocks => bytes(blocks, memory).saturating_mul(page),
        }
    }

    /// Takes the sizes from the older and from the newer parameter; the older one wins, as it does not say more than a size.
    fn read_sizes(&mut self, cmdline: &Cmdline, notices: &mut Vec<String>) {
        for key in [name::LIVE_OVERLAY, name::OVERLAY] {
            let options = cmdline.value(key).and_then(|v| v.strip_prefix("tmpfs:"));
            for option in options.into_iter().flat_map(|options| options.split(',')) {
                let (name, value) = option.split_once('=').unwrap_or((option, ""));
                let place = match name {
                    "size" => &mut self.size,
                    "nr_blocks" => &mut self.blocks,
                    "nr_inodes" => &mut self.inodes,
                    _ => {
                        notices.push(format!("{key}: tmpfs:{option}: unknown, and left out"));
                        continue;
                    }
                };
                match tmpfs_number(value, name == "size") {
                    Some(_) => value.clone_into(place),
                    None => notices.push(format!("{key}: tmpfs:{option}: {value:?} is no size")),
                }
            }
        }
        let Some(value) = cmdline.value(name::LIVE_OVERLAY_SIZE) else {
            return;
        };
        match tmpfs_number(value, true) {
            // A number alone is MiB here, and bytes to a tmpfs.
            Some("") => self.size = format!("{value}m"),
            Some(_) => value.clone_into(&mut self.size),
            None => notices.push(format!(
                "{}: {value:?} is no size: {} is taken",
                name::LIVE_OVERLAY_SIZE,
                self.size
            )),
        }
    }
}

/// What the command line says of the form. `rd.overlay` counts where it is given, and the older names where it is not.
fn read_form(cmdline: &Cmdline, private_copy: bool) -> Form {
    let is_none = |key| {
        let value = cmdline.value(key);
        value.is_some_and(|value| value.eq_ignore_ascii_case("none"))
    };
    if private_copy || is_none(name::OVERLAY) || is_none(name::LIVE_OVERLAY) {
        return Form::Direct;
    }
    let thin = cmdline.boolean(&[name::LIVE_OVERLAY_THIN], false);
    let asked = [name::OVERLAY, name::LIVE_OVERLAYFS, name::ROOT_OVERLAY];
    let asked = asked.iter().find_map(|name| cmdline.last(name));
    match asked.map(crate::cmdline::Argument::is_true) {
        Some(true) => Form::Overlay,
        None if !thin => Form::Fitting,
        Some(false) | None => Form::Snapshot,
    }
}

/// The unit of a number as tmpfs takes it: digits over 0, and at most one letter. `%` only where `may_be_percent`.
fn tmpfs_number(value: &str, may_be_percent: bool) -> Option<&str> {
    let digits = value.trim_end_matches(|c: char| !c.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|number| *number > 0)?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let unit = value.strip_prefix(digits)?;
    match unit {
        "" | "k" | "K" | "m" | "M" | "g" | "G" | "t" | "T" => Some(unit),
        "%" if may_be_percent => Some(unit),
        _ => None,
    }
}

/// The bytes of a size as tmpfs takes it, on a machine with `memory` bytes.
fn bytes(size: &str, memory: u64) -> u64 {
    let digits = size.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: u64 = digits.parse().unwrap_or_default();
    let unit = match size.strip_prefix(digits).unwrap_or_default() {
        "%" => return (memory / 100).saturating_mul(number),
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        "t" | "T" => 40,
        _ => 0,
    };
    number.saturating_mul(1_u64 << unit)
}
