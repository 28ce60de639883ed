//! Encrypted volumes (LUKS), by the image's own `cryptsetup`.

use std::time::Duration;

use contract::media;
use contract::request::persistence::ENCRYPTION_MODULES;

use super::{Job, Trouble};
use crate::system::Kind;

/// The first bytes of a volume.
const MAGIC: &[u8] = b"LUKS\xba\xbe";
/// How long the question stands; then the system starts without what is behind it.
const LIMIT: Duration = Duration::from_secs(120);
/// How often a passphrase may be wrong.
const ATTEMPTS: usize = 3;
/// The name of the opened volume, as KIWI's live module names it.
const NAME: &str = "lukscow";
/// The longest file with a passphrase, in bytes.
const PASSPHRASE: usize = 64 * 1024;
impl Job<'_, '_> {
    /// The label of the encrypted volume on a device; `None` where it is none.
    ///
    /// Source: LUKS2 On-Disk Format 1.1.1, 2.1: magic, version (big-endian, 16 bits) at byte 6, label at byte 24.
    pub(super) fn encrypted_label(&self, device: &str) -> Option<String> {
        let mut head = [0; 72];
        let opened = self.boot.system.open(device).ok()?;
        opened.read_at(&mut head, 0).ok()?;
        if !head.starts_with(MAGIC) {
            return None;
        }
        let label = head.get(24..)?.split(|byte| *byte == 0).next()?;
        let has_label = head.get(6..8) == Some(&[0, 2]);
        Some(String::from_utf8_lossy(if has_label { label } else { b"" }).into_owned())
    }

    /// Makes an encrypted volume of a device.
    pub(super) fn encrypt(&mut self, device: &str, label: &str) -> Result<(), Trouble> {
        self.load_modules();
        let passphrase = match self.given_passphrase() {
            Some(passphrase) => passphrase,
            None => self.ask_twice(device)?,
        };
        let arguments = [
            "luksFormat",
            "--batch-mode",
            "--type",
            "luks2",
            "--label",
            label,
            "--key-file=-",
            device,
        ];
        self.boot.step(&format!("encrypting {device}"));
        self.tool("cryptsetup", &arguments, &passphrase)?;
        self.passphrase = Some(passphrase);
        Ok(())
    }

    /// Opens the encrypted volume on a device; the path of what is inside.
    pub(super) fn unlock(&mut self, device: &str) -> Result<String, Trouble> {
        self.load_modules();
        let arguments = ["open", "--key-file=-", device, NAME];
        let mut given = self.passphrase.clone().or_else(|| self.given_passphrase());
        let mut trouble = format!("{device} was not unlocked in {} s", LIMIT.as_secs());
        for _ in 0..ATTEMPTS {
            let is_given = given.is_some();
            let passphrase = match given.take() {
                Some(passphrase) => passphrase,
                None => match self.ask(&format!("Passphrase for {device}: "))? {
                    Some(typed) => typed,
                    None => return Err(trouble),
                },
            };
            match self.tool("cryptsetup", &arguments, &passphrase) {
                Ok(()) => {
                    self.passphrase = Some(passphrase);
                    return Ok(format!("/dev/mapper/{NAME}"));
                }
                Err(error) if is_given => return Err(error),
                Err(error) => {
                    self.boot.system.console(&format!("liveos-init: {error}\n"));
                    trouble = error;
                }
            }
        }
        Err(trouble)
    }

    /// Closes the volume that was opened.
    pub(super) fn lock(&mut self) -> Result<(), Trouble> {
        self.tool("cryptsetup", &["close", NAME], b"")
    }

    fn load_modules(&mut self) {
        // The kernel's own requests for them have nobody to answer them here.
        for name in ENCRYPTION_MODULES {
            self.boot.modules.load(self.boot.system, name);
        }
    }

    /// The passphrase in the initramfs, for machines that nobody sits at.
    fn given_passphrase(&self) -> Option<Vec<u8>> {
        let path = media::PASSPHRASE;
        if !self.is_there(path, Kind::File) {
            return None;
        }
        let mut bytes = self.boot.system.read(path, PASSPHRASE).ok()?;
        bytes.pop_if(|byte| *byte == b'\n');
        Some(bytes).filter(|bytes| !bytes.is_empty())
    }

    fn ask_twice(&mut self, device: &str) -> Result<Vec<u8>, Trouble> {
        for _ in 0..ATTEMPTS {
            let question = format!("New passphrase for what is written on {device}: ");
            let first = self.ask(&question)?;
            let again = match &first {
                Some(typed) if !typed.is_empty() => self.ask("The same passphrase again: ")?,
                Some(_) => continue,
                None => None,
            };
            match (first, again) {
                (Some(first), Some(again)) if first == again => return Ok(first),
                (Some(_), Some(_)) => {
                    let text = "liveos-init: these are two passphrases\n";
                    self.boot.system.console(text);
                }
                _ => break,
            }
        }
        Err(format!("{device} got no passphrase"))
    }

    fn ask(&mut self, question: &str) -> Result<Option<Vec<u8>>, Trouble> {
        let answer = self.boot.system.prompt(question, LIMIT);
        answer.map_err(|error| format!("nothing can be asked on the console: {error}"))
    }
}
