//! Media that other tools made boot with our initramfs, by the command lines that those tools write.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use system_tests::media::{FOR_BOOTS, extract, iso, names};
use testkit::fixture::{self, TestSystem};
use testkit::guest::{self, BOOT, COMMAND, Guest, PATIENT_KERNEL};
use testkit::tools;
use vm::{Attach, DirectKernel, Firmware};

/// Makes a live ISO with Debian's own tool for that, as its manual has it, but for what nobody looks at here.
///
/// Source: live-build 20230502.
const LIVE_BUILD: &str = "\
lb config --distribution bookworm --architectures amd64 --binary-images iso-hybrid \
  --mirror-bootstrap http://deb.debian.org/debian/ --mirror-binary http://deb.debian.org/debian/ \
  --archive-areas main --debian-installer none --apt-recommends false --security false --updates false \
  --linux-flavours cloud-amd64 --firmware-chroot false --firmware-binary false --memtest none --bootloaders grub-pc \
  --cache false --checksums none --zsync false --source false --win32-loader false --apt-indices false \
  --chroot-squashfs-compression-type zstd --debootstrap-options '--variant=minbase'
echo 'systemd-sysv live-boot live-boot-initramfs-tools udev' > config/package-lists/live.list.chroot
lb build
mv live-image-amd64.hybrid.iso ../live.iso
lb clean --purge
";

/// The ISO of live-build, made at the first call and kept.
fn live_build() -> Result<PathBuf> {
    let folder = fixture::cached("live-build", LIVE_BUILD, |folder| {
        let work = folder.join("work");
        std::fs::create_dir(&work)?;
        let mut command = tools::command("sh");
        let command = command.args(["-euc", LIVE_BUILD]).current_dir(&work);
        tools::output(command)?;
        std::fs::remove_dir_all(&work).context("removing live-build's folder")
    })?;
    Ok(folder.join("live.iso"))
}

/// A kernel and the initramfs that `liveos build` makes for it, of the test system.
fn boot_files(folder: &Path) -> Result<(PathBuf, PathBuf)> {
    let ours = iso(&fixture::test_system(&TestSystem::default())?, &[])?;
    let list = names(&ours, "/boot")?;
    let version = list.iter().find_map(|name| name.strip_prefix("vmlinuz-"));
    let version = version.context("our media have no kernel")?;
    let (kernel, initramfs) = (folder.join("kernel"), folder.join("initramfs"));
    extract(&ours, &format!("/boot/vmlinuz-{version}"), &kernel)?;
    extract(&ours, &format!("/boot/initramfs-{version}.img"), &initramfs)?;
    Ok((kernel, initramfs))
}

#[test]
fn ref_media_of_live_build_boot_by_their_own_command_line() {
    if !tools::slow_tests() || !tools::is_root() || !tools::available(&FOR_BOOTS) {
        return;
    }
    if !tools::available(&["lb", "debootstrap"]) {
        return;
    }
    let media = live_build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (kernel, initramfs) = boot_files(folder.path()).unwrap();
    let mut machine = guest::machine(&media);
    machine.firmware = Firmware::Bios;
    if let Some(media) = &mut machine.media {
        media.attach = Attach::Disk;
    }
    // What the kernel does not know goes to init, unless it comes before `init=`.
    let command_line = |more: &str| {
        format!(
            "boot=live components {more} quiet console=ttyS0 panic=-1 {PATIENT_KERNEL} init=/bin/sh"
        )
    };
    for more in ["", "toram rd.minmem=64"] {
        machine.kernel = Some(DirectKernel {
            kernel: kernel.clone(),
            initramfs: initramfs.clone(),
            command_line: command_line(more),
        });
        looks_right(&machine).context(more.to_owned()).unwrap();
    }
}

/// The system starts a shell, on an overlay, with the medium where programs of live-boot look for it.
fn looks_right(machine: &vm::Machine) -> Result<()> {
    let mut guest = Guest::start(machine)?;
    let (which, text) = guest.expect_any(&["# ", "liveos-init: L0"], BOOT)?;
    ensure!(which == 0, "it did not boot: {text}");
    guest.send("stty -echo; PS1=; echo \"rea\"dy\n")?;
    guest.expect("ready\r\n", COMMAND)?;
    let found = guest.command(
        "while read -r source at kind rest; do [ $at = / ] && echo $kind $source; done </proc/mounts; true",
    )?;
    ensure!(
        found.contains("overlay LiveOS_rootfs"),
        "the root is {found}"
    );
    guest.command(
        "grep -q bookworm /etc/os-release && echo new >/etc/new && [ -e /usr/lib/live/boot ]",
    )?;
    let media = guest.command("ls /run/live/medium/live 2>&1; true")?;
    let in_memory = machine
        .kernel
        .as_ref()
        .is_some_and(|kernel| kernel.command_line.contains("toram"));
    ensure!(
        media.contains("filesystem.squashfs") != in_memory,
        "{media}"
    );
    Ok(())
}
