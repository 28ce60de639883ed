//! What the root file system image is verified against, block by block, as it is read.

use crate::cmdline::{Argument, Cmdline};
use crate::failure::{Failure, VERITY_UNKNOWN};
use crate::parameter as name;

/// A dm-verity root hash, and what follows where a block is not what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verity {
    /// The digest (SHA-256) of the top of the hash tree behind the image.
    pub root_hash: [u8; 32],
    /// What the kernel does with a block that is damaged.
    pub on_corruption: OnCorruption,
}

/// What the kernel does with a block that is damaged. In no case does a program get its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnCorruption {
    /// Whoever reads it gets an error.
    #[default]
    Error,
    /// The machine starts again.
    Restart,
    /// The kernel panics.
    Panic,
}

impl Verity {
    /// What the command line says of verity: `liveos.verity=sha256:…`, or `roothash=…`, systemd's name for the same.
    ///
    /// # Errors
    ///
    /// [`VERITY_UNKNOWN`] where it says something and it is not clear what: what cannot be verified does not boot.
    pub(super) fn read(cmdline: &Cmdline) -> Result<Option<Self>, Failure> {
        let mut found = None;
        for argument in cmdline.arguments() {
            let value = argument.value.as_deref().unwrap_or_default();
            let digits = match argument.name.as_str() {
                name::VERITY => value.strip_prefix("sha256:"),
                name::ROOT_HASH => Some(value),
                _ => continue,
            };
            let unknown = |what: &str| {
                let cause = format!("{}={value}{what}", argument.name);
                Failure::new(VERITY_UNKNOWN, cause)
            };
            let root_hash = digits
                .and_then(super::sha256_bytes)
                .ok_or_else(|| unknown(""))?;
            if found
                .replace(root_hash)
                .is_some_and(|other| other != root_hash)
            {
                return Err(unknown(": another root hash is given too"));
            }
        }
        let Some(root_hash) = found else {
            return Ok(None);
        };
        let on_corruption = match cmdline.value(name::VERITY_ON_CORRUPTION) {
            None | Some("error") => OnCorruption::Error,
            Some("restart") => OnCorruption::Restart,
            Some("panic") => OnCorruption::Panic,
            Some(other) => {
                let cause = format!("{}={other}", name::VERITY_ON_CORRUPTION);
                return Err(Failure::new(VERITY_UNKNOWN, cause));
            }
        };
        Ok(Some(Self {
            root_hash,
            on_corruption,
        }))
    }
}

/// The parameter that media put on their command lines for a root file system image with a hash tree; `root_hash` is in hexadecimal.
///
/// It has a name of our own: `roothash=` would make systemd, in the system that runs then, look for partitions with UUIDs made of it.
#[must_use]
pub fn argument(root_hash: &str) -> Argument {
    Argument::new(name::VERITY, format!("sha256:{root_hash}"))
}

/// A root hash that lies on a kernel command line of finished media, by the text of its arguments; `None` where there is none, or
/// none that is understood.
#[must_use]
pub fn root_hash_of(cmdline: &Cmdline) -> Option<[u8; 32]> {
    Verity::read(cmdline)
        .ok()
        .flatten()
        .map(|verity| verity.root_hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";

    fn read(text: &str) -> Result<Option<Verity>, Failure> {
        Verity::read(&Cmdline::parse(text))
    }

    #[test]
    fn a_root_hash_under_either_name_is_the_same() {
        assert_eq!(read("quiet").unwrap(), None);
        let ours = read(&format!("liveos.verity=sha256:{HASH}"))
            .unwrap()
            .unwrap();
        assert_eq!(ours.root_hash[..3], [0, 0x11, 0x22]);
        assert_eq!(ours.root_hash[31], 0xff);
        assert_eq!(ours.on_corruption, OnCorruption::Error);
        for text in [
            format!("roothash={HASH}"),
            format!(
                "roothash={HASH} liveos.verity=sha256:{}",
                HASH.to_lowercase()
            ),
            format!("{}={}", argument(HASH).name, argument(HASH).value.unwrap()),
        ] {
            assert_eq!(read(&text).unwrap(), Some(ours.clone()), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_stops_the_boot() {
        let other = HASH.replace("00", "01");
        for text in [
            "liveos.verity".to_owned(),
            "liveos.verity=".to_owned(),
            "liveos.verity=off".to_owned(),
            "roothash=".to_owned(),
            format!("liveos.verity={HASH}"),
            format!("liveos.verity=sha512:{HASH}"),
            format!("liveos.verity=sha256:{HASH}0"),
            format!("liveos.verity=sha256:{}", HASH.replace("00", "+0")),
            format!("liveos.verity=sha256:{HASH} roothash={other}"),
            format!("liveos.verity=sha256:{HASH} liveos.verity=sha256:{other}"),
            format!("roothash={HASH} liveos.verity.corruption=ignore"),
        ] {
            assert_eq!(read(&text).unwrap_err().code, VERITY_UNKNOWN, "{text}");
        }
    }

    #[test]
    fn a_damaged_block_is_an_error_a_restart_or_a_panic() {
        for (text, expected) in [
            ("error", OnCorruption::Error),
            ("restart", OnCorruption::Restart),
            ("panic", OnCorruption::Panic),
        ] {
            let text = format!("roothash={HASH} liveos.verity.corruption={text}");
            assert_eq!(read(&text).unwrap().unwrap().on_corruption, expected);
        }
    }
}
