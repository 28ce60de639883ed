//! `os.overlays`: folders of the image under a writable layer, as lines of `/etc/fstab`.
//!
//! The root of a bootstrapped live system is an overlay itself, and the kernel takes no overlay for an upper folder
//! (`ovl_get_upper` of Linux 6.1: "filesystem on … not supported as upperdir"). What works there are upper and work folders on
//! something that the system mounts by itself; with the whole system in memory everything does.
//!
//! Folders below a mount in memory are not there when it is mounted: systemd-tmpfiles makes them, and the overlay is mounted after it
//! (`nofail` takes away that it has to be before, systemd.mount(5)).

use block::{Content, Result};
use config::settings::Overlay;
use inspect::fstab;
use tree::{Timestamp, Tree};

use super::place;
use crate::Warning;

const KEY: &str = "os.overlays";
const FSTAB: &str = "/etc/fstab";

/// What makes folders at start.
const TMPFILES: &str = "/etc/tmpfiles.d/liveos-overlays.conf";

/// What every systemd mounts in memory, whatever `fstab` says.
const MEMORY: [&str; 2] = ["/run", "/dev/shm"];

/// What the running system's root is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// An overlay: bootstrap media.
    Overlay,
    /// Memory: the whole system is in the initramfs.
    Memory,
}

/// Adds a line for each overlay that the live system can mount, and makes its folders; the others are named in warnings.
///
/// # Errors
///
/// What reading `fstab` and making the folders answers.
pub fn apply(
    tree: &mut Tree<Content>,
    overlays: &[Overlay],
    root: Root,
    time: Timestamp,
) -> Result<Vec<Warning>> {
    let mut warnings = Vec::new();
    let mut text = place::text(tree, FSTAB)?.unwrap_or_default();
    let before = text.clone();
    let memory = memory(&text);
    let mut made = place::text(tree, TMPFILES)?.unwrap_or_default();
    let made_before = made.clone();
    for overlay in overlays {
        let upper = overlay.upper_directory.as_str();
        let on_mount = |folder: &str| memory.iter().any(|mount| is_below(folder, mount));
        let is_hidden = on_mount(upper) && on_mount(&overlay.work_directory);
        if root == Root::Overlay && !is_hidden {
            let text = format!(
                "{} is left out: its upper folder {upper} is on the live system's root, itself an overlay, which the kernel refuses; \
                 all of the root is writable anyway, or put both folders below /run",
                overlay.mount_point
            );
            warnings.push(Warning::setting(KEY, text));
            continue;
        }
        if overlay.in_initramfs {
            let text = format!(
                "{} is mounted by the system itself, not by the initramfs",
                overlay.mount_point
            );
            warnings.push(Warning::setting(KEY, text));
        }
        place::folder(tree, &overlay.mount_point, &place::metadata(0o755, time))?;
        for folder in [upper, &overlay.work_directory] {
            let line = format!("d {folder} 0755 root root -");
            if !on_mount(folder) {
                place::folder(tree, folder, &place::metadata(0o755, time))?;
            } else if !made.lines().any(|old| old == line) {
                made.push_str(&format!("{line}\n"));
            }
        }
        let line = line(overlay, is_hidden);
        if !text.lines().any(|old| old == line) {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&line);
            text.push('\n');
        }
    }
    if made != made_before {
        let new = place::metadata(0o644, time);
        place::write(tree, TMPFILES, made.into_bytes(), &new)?;
    }
    if text != before {
        place::write(
            tree,
            FSTAB,
            text.into_bytes(),
            &place::metadata(0o644, time),
        )?;
    }
    Ok(warnings)
}

/// Where memory is mounted.
fn memory(text: &str) -> Vec<String> {
    let entries = fstab::parse(text.as_bytes()).entries;
    let of_fstab = entries
        .iter()
        .filter(|entry| entry.kind == "tmpfs")
        .map(|entry| String::from_utf8_lossy(&entry.target).into_owned());
    MEMORY
        .map(str::to_owned)
        .into_iter()
        .chain(of_fstab)
        .collect()
}

fn is_below(path: &str, mount: &str) -> bool {
    path == mount
        || path
            .strip_prefix(mount)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// The line as Image Customizer writes it, and after what makes the folders where memory hides them.
fn line(overlay: &Overlay, is_hidden: bool) -> String {
    let mut options = format!(
        "lowerdir={},upperdir={},workdir={}",
        overlay.lower_directories.join(":"),
        overlay.upper_directory,
        overlay.work_directory
    );
    for dependency in &overlay.mount_dependencies {
        options.push_str(&format!(",x-systemd.requires={dependency}"));
    }
    if is_hidden {
        options.push_str(",nofail,x-systemd.after=systemd-tmpfiles-setup.service");
    }
    if let Some(more) = overlay
        .mount_options
        .as_deref()
        .filter(|more| !more.is_empty())
    {
        options.push_str(&format!(",{more}"));
    }
    format!("overlay {} overlay {options} 0 0", overlay.mount_point)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::place::tests::{TIME, text_of, tree_of};

    fn overlay(upper: &str) -> Overlay {
        Overlay {
            mount_point: "/var/x".into(),
            lower_directories: vec!["/var/x".into(), "/srv".into()],
            upper_directory: format!("{upper}/upper"),
            work_directory: format!("{upper}/work"),
            in_initramfs: false,
            mount_dependencies: vec!["/srv".into()],
            mount_options: Some("ro".into()),
        }
    }

    #[test]
    fn what_the_kernel_refuses_is_left_out_and_named() {
        let fstab = "tmpfs /scratch tmpfs size=1G 0 0\n/dev/sda1 /data ext4 defaults 0 0\n";
        for (upper, root, works) in [
            ("/mnt", Root::Overlay, false),
            ("/data", Root::Overlay, false),
            ("/scratchy", Root::Overlay, false),
            ("/scratch", Root::Overlay, true),
            ("/run/o", Root::Overlay, true),
            ("/mnt", Root::Memory, true),
        ] {
            let mut tree = tree_of(&[("etc/fstab", fstab)]);
            for _ in 0..2 {
                let warnings = apply(&mut tree, &[overlay(upper)], root, TIME).unwrap();
                assert_eq!(warnings.is_empty(), works, "{upper}: {warnings:?}");
                let is_hidden = works && upper != "/mnt";
                let after = match is_hidden {
                    true => ",nofail,x-systemd.after=systemd-tmpfiles-setup.service",
                    false => "",
                };
                let line = format!(
                    "overlay /var/x overlay lowerdir=/var/x:/srv,upperdir={upper}/upper,workdir={upper}/work,x-systemd.requires=/srv{after},ro 0 0\n"
                );
                let expected = format!("{fstab}{}", if works { &line } else { "" });
                assert_eq!(text_of(&tree, "etc/fstab"), expected);
                let is_made = tree.resolve(format!("{upper}/work")).is_ok();
                assert_eq!(is_made, works && !is_hidden);
                if is_hidden {
                    let made = format!(
                        "d {upper}/upper 0755 root root -\nd {upper}/work 0755 root root -\n"
                    );
                    assert_eq!(text_of(&tree, "etc/tmpfiles.d/liveos-overlays.conf"), made);
                }
            }
        }
    }

    /// Why overlays on the live system's root are left out, and those in memory are not.
    #[test]
    fn ref_the_kernel_takes_an_upper_folder_in_memory_and_none_on_an_overlay() {
        if !crate::testing::has_root_and("unshare") {
            return;
        }
        let script = "mount -t tmpfs none /mnt && cd /mnt && mkdir -p lower up work root mem/up mem/work && \
             mount -t overlay none -o lowerdir=lower,upperdir=up,workdir=work root && \
             mkdir root/x root/up root/work && \
             ! mount -t overlay none -o lowerdir=root/x,upperdir=root/up,workdir=root/work root/x && \
             mount -t overlay none -o lowerdir=root/x,upperdir=mem/up,workdir=mem/work root/x";
        let output = crate::testing::run("unshare", &["-m", "sh", "-c", script]);
        assert!(output.status.success(), "{output:?}");
    }
}
