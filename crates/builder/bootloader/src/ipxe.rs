//! An iPXE script that boots the media from where the script itself came from, over TFTP or HTTP.
//!
//! ```text
//! #!ipxe
//! menu SYSTEM
//! item entry0 TITLE
//! choose --default entry0 --timeout 5000 target && goto ${target}
//! :entry0
//! kernel boot/vmlinuz-VERSION initrd=initramfs-VERSION.img ARGUMENTS
//! initrd --name initramfs-VERSION.img boot/initramfs-VERSION.img
//! boot
//! ```
//!
//! Paths are relative: iPXE takes them from the folder of the script. The `initrd=` argument is what a kernel's EFI stub finds the
//! initramfs by; under a BIOS it is of no effect. Source: iPXE 1.0, commands `kernel`, `initrd`, `menu`, `choose`.

use std::fmt::Write as _;

use crate::cmdline;
use crate::live::{LiveBoot, LiveEntry, default_entry};

/// Milliseconds until the default is started where nothing says another time.
const TIMEOUT: u32 = 5000;

/// The script with these entries. An argument with `${` in it loses its `$`: see [`has_setting`].
#[must_use]
pub fn script(boot: &LiveBoot, entries: &[LiveEntry]) -> String {
    let default = default_entry(boot, entries);
    let default_at = entries
        .iter()
        .position(|entry| default.is_some_and(|default| std::ptr::eq(default, entry)))
        .unwrap_or(0);
    let timeout = boot
        .timeout
        .map_or(TIMEOUT, |seconds| seconds.saturating_mul(1000));
    let mut text = "#!ipxe\n".to_owned();
    if entries.len() > 1 && timeout > 0 {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "menu {}", label(&boot.title));
        for (at, entry) in entries.iter().enumerate() {
            let _ = writeln!(text, "item entry{at} {}", label(&entry.title));
        }
        let _ = writeln!(
            text,
            "choose --default entry{default_at} --timeout {timeout} target && goto ${{target}} || goto entry{default_at}"
        );
    } else if default_at > 0 {
        let _ = writeln!(text, "goto entry{default_at}");
    }
    for (at, entry) in entries.iter().enumerate() {
        let initramfs = relative(&entry.kernel.initramfs);
        let name = initramfs.rsplit('/').next().unwrap_or(initramfs);
        let mut arguments = literal(&cmdline::join(&entry.command_line(boot)));
        if arguments.split(' ').any(|argument| argument == "ip=dhcp") {
            // The card that iPXE itself came by, as pxelinux names it.
            arguments.push_str(" BOOTIF=01-${netX/mac:hexhyp}");
        }
        let _ = write!(
            text,
            "\n:entry{at}\nkernel {} initrd={name} {arguments} || goto failed\ninitrd --name {name} {initramfs} || goto failed\nboot || goto failed\n",
            relative(&entry.kernel.image),
        );
    }
    text.push_str(
        "\n:failed\necho The system could not be loaded; the lines above say why.\nprompt --timeout 30000 Press a key for the iPXE shell, or wait to try again ||\nshell\n",
    );
    text
}

/// Whether an argument cannot be given to a kernel by an iPXE script: iPXE would put a setting's value in.
#[must_use]
pub fn has_setting(argument: &str) -> bool {
    argument.contains("${")
}

/// A path from the folder of the script.
fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}

/// Text of a menu: one line, and nothing that iPXE would take for a setting.
fn label(text: &str) -> String {
    literal(&text.replace(|character: char| character.is_control(), " "))
}

/// `text` without what iPXE would take for a setting: it has no escape for `${`, so the `$` goes.
fn literal(text: &str) -> String {
    text.replace("${", "{").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::{ImageConfig, LiveKernel, Medium, configure};

    fn boot(versions: &[&str]) -> LiveBoot {
        let kernels = versions.iter().map(|version| LiveKernel::new(version));
        let mut boot = LiveBoot::new("X", "Sample 1", kernels.collect());
        boot.medium = Medium::Network;
        boot.media_check = false;
        boot.live_arguments = vec!["root=live:http://h/x.iso".into(), "ip=dhcp".into()];
        boot
    }

    fn entries(boot: &LiveBoot) -> Vec<LiveEntry> {
        let file = |_: &str| Ok(None);
        let image = ImageConfig {
            grub_config: None,
            bls_entries: &[],
            file: &file,
        };
        configure(&image, boot).unwrap().entries
    }

    #[test]
    fn one_kernel_is_booted_without_a_menu() {
        let boot = boot(&["6.1"]);
        let text = script(&boot, &entries(&boot));
        assert!(
            text.starts_with(
                "#!ipxe\n\n:entry0\nkernel boot/vmlinuz-6.1 initrd=initramfs-6.1.img root=live:http://h/x.iso ip=dhcp BOOTIF=01-${netX/mac:hexhyp} || goto failed\n\
                 initrd --name initramfs-6.1.img boot/initramfs-6.1.img || goto failed\nboot"
            ),
            "{text}"
        );
        assert!(!text.contains("menu "));
    }

    #[test]
    fn several_are_a_menu_that_ends_by_itself() {
        let boot = boot(&["6.2", "6.1"]);
        let text = script(&boot, &entries(&boot));
        assert!(text.contains("item entry0 Sample 1"), "{text}");
        assert!(text.contains(
            "choose --default entry0 --timeout 5000 target && goto ${target} || goto entry0"
        ));
        assert!(text.contains("\n:entry1\nkernel boot/vmlinuz-6.1 "));
    }

    #[test]
    fn nothing_of_a_title_is_expanded() {
        assert_eq!(label("a ${net0/mac}\nb"), "a {net0/mac} b");
    }
}
