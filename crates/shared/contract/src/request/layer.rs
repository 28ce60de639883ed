//! The writable layer on top of the read-only root: what it is made of and how much it may hold.

use crate::cmdline::Cmdline;
use crate::parameter as name;

/// The size of the writable layer where nothing is said, as tmpfs takes it.
pub const DEFAULT_OVERLAY_SIZE: &str = "50%";

/// The writable layer. Where it is to outlive the machine's end is [`Persistence`](super::persistence::Persistence)'s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The size of a layer in memory, as tmpfs takes it.
    pub size: String,
    /// Options for the mount of the new root (`rootflags=`), as given; empty for none.
    pub root_flags: String,
}

impl Layer {
    /// What the command line says of the writable layer.
    pub(super) fn read(cmdline: &Cmdline, notices: &mut Vec<String>) -> Self {
        Self {
            size: read_size(cmdline, notices),
            root_flags: cmdline
                .value(name::ROOT_FLAGS)
                .unwrap_or_default()
                .to_owned(),
        }
    }
}

/// The size of the writable layer; says where another kind of layer was asked for.
fn read_size(cmdline: &Cmdline, notices: &mut Vec<String>) -> String {
    let mut size = None;
    for key in [name::OVERLAY, name::LIVE_OVERLAY] {
        match cmdline.value(key) {
            None | Some("" | "1" | "yes" | "on" | "true" | "auto") => {}
            Some("0" | "no" | "off" | "none") => {
                notices.push(format!("{key}: a live system always has a writable layer in memory"));
            }
            Some(value) => match value.strip_prefix("tmpfs:") {
                Some(options) => {
                    for option in options.split(',') {
                        match option.strip_prefix("size=") {
                            Some(value) => size = Some((key, value)),
                            None => notices.push(format!("{key}: tmpfs:{option}: not done yet")),
                        }
                    }
                }
                None => notices.push(format!(
                    "{key}={value}: not done yet: what is written is in memory and gone at power-off"
                )),
            },
        }
    }
    if let Some(value) = cmdline.value(name::LIVE_OVERLAY_SIZE) {
        size = Some((name::LIVE_OVERLAY_SIZE, value));
    }
    let Some((key, value)) = size else {
        return DEFAULT_OVERLAY_SIZE.to_owned();
    };
    tmpfs_size(key, value).unwrap_or_else(|| {
        notices.push(format!(
            "{key}: {value:?} is no size: {DEFAULT_OVERLAY_SIZE} is taken"
        ));
        DEFAULT_OVERLAY_SIZE.to_owned()
    })
}

/// A size as tmpfs takes it. A number alone is MiB in `rd.live.overlay.size=`, and bytes in a `tmpfs:` specification.
fn tmpfs_size(key: &str, value: &str) -> Option<String> {
    let digits = value.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number = digits.parse::<u64>().ok().filter(|n| *n > 0)?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    match value.strip_prefix(digits)? {
        "" if key == name::LIVE_OVERLAY_SIZE => Some(format!("{number}m")),
        "" | "k" | "K" | "m" | "M" | "g" | "G" | "t" | "T" | "%" => Some(value.to_owned()),
        _ => None,
    }
}
