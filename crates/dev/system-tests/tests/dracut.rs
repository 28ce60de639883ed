//! An initramfs that the image's own dracut makes with our module boots the same media.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use block::{Content, ReadAt as _};
use contract::media as places;
use payload::dracut_module;
use system_tests::builds;
use system_tests::media::{FOR_BOOTS, extract, iso, names};
use testkit::fixture::{self, Contents, Debian, ROOT_PASSWORD};
use testkit::guest::{self, BOOT, COMMAND, Guest, PATIENT_KERNEL};
use testkit::tools;
use tree::{Node, Timestamp};
use vm::{DirectKernel, Firmware};

/// What the media's own menu has on its command line.
const LIVE: &str = "root=live:CDLABEL=CDROM rd.live.image rd.live.dir=liveos rd.live.squashimg=rootfs.img \
    rd.live.overlay.overlayfs=1 console=ttyS0 quiet panic=-1";

/// What a file has that the dracut configuration adds.
const ADDED: &str = "a file of the configuration\n";

#[test]
fn ref_an_initramfs_by_dracut_059_boots_with_and_without_systemd_in_it() {
    boots("bookworm", "").unwrap();
    boots("bookworm", "--omit 'systemd systemd-initrd dracut-systemd'").unwrap();
}

#[test]
fn ref_an_initramfs_by_dracut_106_boots_beside_dmsquash_live() {
    boots("trixie", "--add dmsquash-live").unwrap();
}

/// Boots the ISO of a Debian `suite` with an initramfs that its dracut makes with our module and `options`.
fn boots(suite: &'static str, options: &str) -> Result<()> {
    let programs = ["mmdebstrap", "unsquashfs"];
    if !tools::slow_tests() || !tools::available(&FOR_BOOTS) || !tools::available(&programs) {
        return Ok(());
    }
    if !tools::is_root() {
        skipped("root, who can enter the image");
        return Ok(());
    }
    let disk = fixture::debian(&Debian {
        suite,
        contents: Contents::Dracut,
    })?;
    let iso = iso(&disk, &[])?;
    let folder = tempfile::tempdir()?;
    let (kernel, initramfs) = make(&iso, folder.path(), options)?;
    let mut machine = guest::machine(&iso);
    machine.firmware = Firmware::Bios;
    machine.kernel = Some(DirectKernel {
        kernel,
        initramfs,
        command_line: format!("{LIVE} {PATIENT_KERNEL}"),
    });
    let mut guest = Guest::start(&machine)?;
    guest.log_in("root", ROOT_PASSWORD, BOOT)?;
    for (command, expected) in [
        ("findmnt -n -o FSTYPE,SOURCE /", "overlay LiveOS_rootfs"),
        ("readlink /run/initramfs/livedev", "/dev/sr0"),
        ("grep -c switched /run/liveos/report.json", "1"),
        (
            "systemctl is-system-running --wait || systemctl --failed --no-legend",
            "running",
        ),
    ] {
        let found = guest.command(command)?;
        let words: Vec<_> = found.split_whitespace().collect();
        ensure!(words.join(" ") == expected, "{options}: {command}: {found}");
    }
    for path in [
        places::LIVE_MOUNT,
        places::LOWER,
        places::UPPER,
        places::SHUTDOWN,
    ] {
        guest.command(&format!("test -e {path}"))?;
    }
    guest.send("poweroff\n")?;
    let status = guest.wait_for_end(COMMAND)?;
    ensure!(status.success(), "QEMU ended with {status}");
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a skipped test says so in its output")]
fn skipped(needs: &str) {
    assert!(!tools::in_ci(), "needs {needs}");
    eprintln!("SKIPPED: needs {needs}");
}

/// Runs the image's dracut on an unpacked copy; answers with the kernel and the initramfs.
fn make(iso: &Path, folder: &Path, options: &str) -> Result<(PathBuf, PathBuf)> {
    let boot = names(iso, "/boot")?;
    let version = boot.iter().find_map(|name| name.strip_prefix("vmlinuz-"));
    let version = version.context("the ISO has no kernel")?;
    let (image, root) = (folder.join("rootfs.img"), folder.join("root"));
    let kernel = folder.join("kernel");
    extract(iso, &format!("/boot/vmlinuz-{version}"), &kernel)?;
    extract(iso, &format!("/{}", places::ROOT_IMAGE), &image)?;
    let mut unpack = tools::command("unsquashfs");
    unpack
        .args(["-quiet", "-no-progress", "-dest"])
        .arg(&root)
        .arg(&image);
    tools::output(&mut unpack)?;
    fs::remove_file(&image)?;
    put_module(&root)?;
    fs::write(root.join("etc/added"), ADDED)?;
    let config = "install_items+=\" /etc/added \"\n";
    fs::write(root.join("etc/dracut.conf.d/50-added.conf"), config)?;
    let script = format!(
        "mount -t proc proc \"$1/proc\"; mount -t sysfs sys \"$1/sys\"; mount --rbind /dev \"$1/dev\"
chroot \"$1\" dracut --quiet --force --no-hostonly --add {} {options} --kver {version} /live.img
chroot \"$1\" lsinitrd -f etc/added /live.img",
        dracut_module::NAME
    );
    let mut dracut = tools::command("unshare");
    dracut
        .args(["--mount", "sh", "-euc", &script, "sh"])
        .arg(&root);
    let added = tools::output(&mut dracut).context("dracut")?;
    ensure!(
        added.contains(ADDED.trim_end()),
        "the added file is not in it: {added}"
    );
    let initramfs = folder.join("initramfs");
    fs::rename(root.join("live.img"), &initramfs)?;
    Ok((kernel, initramfs))
}

/// The files of our module, as the builder would put them into a tree.
fn put_module(root: &Path) -> Result<()> {
    let runtime = Content::from_bytes(fs::read(builds::programs()?.init)?);
    for (path, inode) in dracut_module::files(&runtime, Timestamp::default())? {
        let Node::File(content) = &inode.node else {
            continue;
        };
        let target = root.join(path.to_string().trim_start_matches('/'));
        fs::create_dir_all(target.parent().context("a path with a folder")?)?;
        fs::write(&target, content.read_all(usize::try_from(content.len())?)?)?;
        let mode = inode.metadata.permissions.into();
        fs::set_permissions(&target, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}
