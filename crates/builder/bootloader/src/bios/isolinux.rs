//! isolinux, for images that have no GRUB for BIOS machines.
//!
//! isolinux is started as it is; the media's writer gives it a boot information table and, for booting from a disk, puts its own MBR
//! code in front. Its menu has the same entries as GRUB's.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use block::{Error, Result};

use super::files::{FILE_LIMIT, Files};
use crate::cmdline;
use crate::live::{LiveBoot, LiveEntry, default_entry};

/// isolinux's folder on the media, which is one of those where it looks for its files.
const FOLDER: &str = "/isolinux";

/// What isolinux of version 6 loads for a menu. Source: the `NEEDED` entries of Syslinux 6.04.
const MODULES: &[&str] = &["ldlinux.c32", "menu.c32", "libutil.c32"];

/// isolinux with its menu, ready to be put on media.
#[derive(Clone, Debug)]
pub struct Isolinux {
    /// The absolute path of the El Torito boot image (no emulation, load 4 sectors, boot information table).
    pub image: String,
    /// All files for the media by absolute path, the boot image too.
    pub files: BTreeMap<String, Vec<u8>>,
    /// `isohdpfx.bin`: 432 bytes of boot code for the MBR, in which the boot image's place is still to be filled in. `None` where it is
    /// missing: the media boots from a CD, and not from a disk, then.
    pub hybrid_mbr: Option<Vec<u8>>,
}

/// Puts isolinux's files together; `files` answers by name, from whatever folders they are in.
///
/// # Errors
///
/// [`block::Kind::NotFound`] where a file is missing, with its name and package; [`block::Kind::Unsupported`] for isolinux before version
/// 6, which cannot read the media's file names; what `files` answers.
pub fn isolinux(files: Files<'_>, boot: &LiveBoot, entries: &[LiveEntry]) -> Result<Isolinux> {
    let program = required(files, "isolinux.bin", "isolinux")?;
    if !is_version_6(&program) {
        return Err(Error::unsupported(
            "isolinux.bin",
            "not of version 6, which reads Rock Ridge names",
        ));
    }
    let image = format!("{FOLDER}/isolinux.bin");
    let config = config(boot, entries).into_bytes();
    let mut all = BTreeMap::from([
        (image.clone(), program),
        (format!("{FOLDER}/isolinux.cfg"), config),
    ]);
    for name in MODULES {
        all.insert(
            format!("{FOLDER}/{name}"),
            required(files, name, "syslinux-common")?,
        );
    }
    let hybrid_mbr = files("isohdpfx.bin")?.filter(|code| code.len() == 432);
    Ok(Isolinux {
        image,
        files: all,
        hybrid_mbr,
    })
}

/// The file `name`, or an error that says which Debian package has it.
fn required(files: Files<'_>, name: &str, package: &str) -> Result<Vec<u8>> {
    let what = "putting isolinux together";
    let missing = || {
        let message = format!(
            "{name} is missing; it comes with the package {package} (Debian, Ubuntu) or syslinux (Fedora, openSUSE)"
        );
        Error::not_found(what, message)
    };
    files(name)?
        .filter(|bytes| !bytes.is_empty() && bytes.len() <= FILE_LIMIT)
        .ok_or_else(missing)
}

/// Its banner says the version.
fn is_version_6(program: &[u8]) -> bool {
    const BANNER: &[u8] = b"ISOLINUX 6.";
    program.windows(BANNER.len()).any(|window| window == BANNER)
}

/// The menu.
fn config(boot: &LiveBoot, entries: &[LiveEntry]) -> String {
    let default = default_entry(boot, entries);
    let mut text = String::new();
    if let Some(serial) = default.and_then(serial) {
        text.push_str(&serial);
    }
    // In tenths of a second; 0 would wait without end.
    let timeout = boot
        .timeout
        .map_or(50, |seconds| seconds.saturating_mul(10).max(1));
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "UI menu.c32\nPROMPT 0\nTIMEOUT {timeout}\nMENU TITLE {}\n",
        label(&boot.title)
    );
    for (at, entry) in entries.iter().enumerate() {
        let chosen = if default.is_some_and(|default| std::ptr::eq(default, entry)) {
            "  MENU DEFAULT\n"
        } else {
            ""
        };
        let arguments = cmdline::join(&entry.command_line(boot)).replace(['\n', '\r'], " ");
        let _ = write!(
            text,
            "LABEL entry{at}\n  MENU LABEL {}\n{chosen}  LINUX {}\n  INITRD {}\n  APPEND {arguments}\n",
            label(&entry.title),
            entry.kernel.image,
            entry.kernel.initramfs
        );
    }
    text
}

/// A serial console, where the kernel is told to have one: `console=ttyS0,115200n8`.
fn serial(entry: &LiveEntry) -> Option<String> {
    let console = entry
        .arguments
        .iter()
        .find_map(|argument| argument.strip_prefix("console=ttyS"))?;
    let (port, mode) = console.split_once(',').unwrap_or((console, "9600"));
    let port: u8 = port.parse().ok().filter(|port| *port < 4)?;
    let speed: String = mode.chars().take_while(char::is_ascii_digit).collect();
    let speed: u32 = speed.parse().unwrap_or(9600);
    Some(format!("SERIAL {port} {speed}\n"))
}

/// A title on one line. A `^` would make the next character a key.
fn label(title: &str) -> String {
    title.replace(
        |character: char| character.is_control() || character == '^',
        " ",
    )
}
