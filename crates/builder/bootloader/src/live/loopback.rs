//! `loopback.cfg`: the menu for a GRUB that has the media in a file, as boot sticks with many ISO files have.
//!
//! By convention such a GRUB makes a loopback device of the file, sets `root` to it and `iso_path` to the file's path, and goes on with
//! this file. The kernel sees nothing of GRUB's device: each entry says the path again, and the runtime looks for the file.
//!
//! Source: the page "Loopback.cfg" of Super GRUB2 Disk's wiki, and `loopback.cfg` of Debian's live media.

use super::entry::LiveEntry;
use super::generate::one_line;
use super::{LiveBoot, Medium};
use crate::grub::quote;

/// Where such a GRUB looks, whichever folder the image's own GRUB uses.
pub(super) const PATH: &str = "/boot/grub/loopback.cfg";

/// The menu with these entries.
pub(super) fn config(boot: &LiveBoot, entries: &[LiveEntry]) -> String {
    debug_assert!(boot.medium != Medium::Network, "a server has no ISO file");
    let mut text =
        "# The boot menu for a GRUB that has this medium in the file $iso_path, made by liveos.\n"
            .to_owned();
    for entry in entries {
        let arguments: Vec<String> = entry
            .command_line(boot)
            .iter()
            .map(|it| quote(it))
            .collect();
        let open = if entry.restricted {
            ""
        } else {
            " --unrestricted"
        };
        text.push_str(&format!(
            "menuentry {}{open} {{\n\tlinux {} \"{}=${{iso_path}}\" {}\n\tinitrd {}\n}}\n",
            quote(&one_line(&entry.title)),
            quote(&entry.kernel.image),
            contract::parameter::ISO_SCAN,
            arguments.join(" "),
            quote(&entry.kernel.initramfs),
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grub::Script;
    use crate::live::LiveKernel;

    #[test]
    fn each_entry_says_where_the_file_is() {
        let kernel = LiveKernel::new("6.1");
        let boot = LiveBoot::new("My Live", "It's Linux", vec![kernel.clone()]);
        let entries = [false, true].map(|checks_media| LiveEntry {
            title: "It's Linux".to_owned(),
            kernel: kernel.clone(),
            arguments: vec!["console=ttyS0".to_owned()],
            checks_media,
            key: None,
            restricted: false,
        });
        let text = config(&boot, &entries);
        assert!(Script::parse(text.clone().into_bytes()).is_ok(), "{text}");
        assert_eq!(text.matches("\"iso-scan/filename=${iso_path}\"").count(), 2);
        assert_eq!(text.matches(r"CDLABEL=My\x20Live").count(), 2, "{text}");
        assert_eq!(text.matches("rd.live.check").count(), 1);
        assert!(text.contains("initrd /boot/initramfs-6.1.img\n"));
        assert!(!text.contains("search"));
    }
}
