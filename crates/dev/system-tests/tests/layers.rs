//! Layouts of live media as other tools make them, and each way to make their root writable, in machines that run them.
//!
//! The media are small: a root of busybox, without even the folders that a system mounts the kernel's file systems at, packed by the
//! reference tools. Kernel and initramfs are those that `liveos build` makes.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use system_tests::media::{FOR_BOOTS, extract, iso, names};
use testkit::fixture::{self, TestSystem};
use testkit::guest::{self, BOOT, COMMAND, Guest, PATIENT_KERNEL};
use testkit::tools;
use vm::{Attach, DirectKernel, Firmware};

/// What packs the media here.
const PACKERS: [&str; 2] = ["unsquashfs", "mksquashfs"];

/// Leaves a shell on the console, which is what the tests look through.
const INIT: &str = "#!/usr/bin/busybox sh\n\
    export PATH=/usr/bin\n\
    exec </dev/console >/dev/console 2>&1\n\
    dmesg -n 1\n\
    exec setsid cttyhack sh -l\n";

/// What is in a file of the root.
const MARK: &str = "as it was made";

/// A folder with the files that media are made of: `root` (a folder), `kernel`, `initramfs`.
struct Workshop {
    folder: tempfile::TempDir,
}

impl Workshop {
    /// `None` where a tool is missing.
    fn open(more: &[&str]) -> Result<Option<Self>> {
        if !tools::available(&FOR_BOOTS) || !tools::available(&PACKERS) || !tools::available(more) {
            return Ok(None);
        }
        let disk = fixture::test_system(&TestSystem::default())?;
        let iso = iso(&disk, &[])?;
        let workshop = Self {
            folder: tempfile::tempdir()?,
        };
        let kernels = names(&iso, "/boot")?;
        let version = kernels
            .iter()
            .find_map(|name| name.strip_prefix("vmlinuz-"));
        let version = version.context("the ISO has no kernel")?;
        for (path, name) in [
            (format!("/boot/vmlinuz-{version}"), "kernel"),
            (format!("/boot/initramfs-{version}.img"), "initramfs"),
            ("/liveos/rootfs.img".to_owned(), "full.img"),
        ] {
            extract(&iso, &path, &workshop.path(name))?;
        }
        workshop
            .run("unsquashfs -quiet -no-progress -dest full full.img usr/bin/busybox >/dev/null")?;
        workshop.make_root()?;
        Ok(Some(workshop))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a line of the shell in the folder.
    fn run(&self, line: &str) -> Result<()> {
        let mut command = tools::command("sh");
        let command = command.args(["-euc", line]).current_dir(self.folder.path());
        tools::output(command).map(drop)
    }

    fn make_root(&self) -> Result<()> {
        let root = self.path("root");
        for name in ["etc", "usr/bin", "usr/sbin"] {
            fs::create_dir_all(root.join(name))?;
        }
        fs::copy(
            self.path("full/usr/bin/busybox"),
            root.join("usr/bin/busybox"),
        )?;
        for applet in [
            "cat", "cttyhack", "dd", "df", "dmesg", "echo", "grep", "ls", "mount", "poweroff",
            "readlink", "setsid", "sh", "sort", "stty", "sync", "touch", "uniq",
        ] {
            symlink("busybox", root.join("usr/bin").join(applet))?;
        }
        for name in ["bin", "sbin"] {
            symlink(format!("usr/{name}"), root.join(name))?;
        }
        fs::write(root.join("etc/mark"), MARK)?;
        let init = root.join("usr/sbin/init");
        fs::write(&init, INIT)?;
        Ok(fs::set_permissions(
            init,
            fs::Permissions::from_mode(0o755),
        )?)
    }

    /// Starts a machine with the disk `media` and these parameters, up to a shell.
    fn boot(&self, media: &str, parameters: &str) -> Result<Guest> {
        self.boot_with(media, parameters, Vec::new())
    }

    /// The same with further arguments for QEMU.
    fn boot_with(&self, media: &str, parameters: &str, more: Vec<OsString>) -> Result<Guest> {
        let mut machine = guest::machine(self.path(media));
        machine.firmware = Firmware::Bios;
        if let Some(media) = &mut machine.media {
            media.attach = Attach::Disk;
        }
        machine.kernel = Some(DirectKernel {
            kernel: self.path("kernel"),
            initramfs: self.path("initramfs"),
            command_line: format!("console=ttyS0 quiet panic=-1 {PATIENT_KERNEL} {parameters}"),
        });
        machine.extra.extend(more);
        let mut guest = Guest::start(&machine)?;
        let (which, text) = guest.expect_any(&["# ", "liveos-init: L0"], BOOT)?;
        ensure!(which == 0, "it did not boot: {text}");
        guest.send("stty -echo; PS1=; echo \"rea\"dy\n")?;
        guest.expect("ready\r\n", COMMAND)?;
        Ok(guest)
    }
}

/// What holds for every live root: it can be written, the lower one has what was made, nothing is mounted twice at one place.
fn holds(guest: &mut Guest) -> Result<()> {
    guest.command(&format!(
        "grep -q '{MARK}' /etc/mark && echo new >/etc/written && echo changed >/etc/mark && sync"
    ))?;
    guest.command("grep -q new /etc/written && grep -q changed /etc/mark")?;
    let twice =
        guest.command("while read -r a b c; do echo $b; done </proc/mounts | sort | uniq -d")?;
    ensure!(twice.is_empty(), "mounted twice: {twice}");
    guest.command("for name in proc sys dev run; do [ -d /$name ] || exit 1; done")?;
    guest
        .command("readlink /run/initramfs/livedev && [ -x /run/initramfs/shutdown ]")
        .map(drop)
}

/// The kind and the source of what is mounted at `path`.
fn mounted(guest: &mut Guest, path: &str) -> Result<String> {
    guest.command(&format!("while read -r source at kind rest; do [ $at = {path} ] && echo $kind $source; done </proc/mounts; true"))
}

/// The lower root has nothing of what [`holds`] has written.
fn lower_is_as_it_was(guest: &mut Guest) -> Result<()> {
    guest
        .command(&format!(
            "grep -q '{MARK}' /run/rootfsbase/etc/mark && [ ! -e /run/rootfsbase/etc/written ]"
        ))
        .map(drop)
}

fn power_off(mut guest: Guest) -> Result<()> {
    guest.send("poweroff -f\n")?;
    guest.wait_for_end(COMMAND).map(drop)
}

/// Runs a test in a workshop, where the tools for it are there.
fn in_workshop(more: &[&str], test: impl FnOnce(&Workshop) -> Result<()>) -> Result<()> {
    match Workshop::open(more)? {
        Some(workshop) => test(&workshop),
        None => Ok(()),
    }
}

/// Packs `root` into an ext4 file system `ext4.img` of 64 MiB.
const EXT4: &str = "truncate -s 64M ext4.img; mke2fs -q -F -t ext4 -d root ext4.img;";
/// Packs the folder `medium` into a disk of ext4 with the label LIVE.
const ON_EXT4: &str =
    "truncate -s 600M disk; mke2fs -q -F -t ext4 -L LIVE -d medium disk; rm -r medium";
/// Packs the folder `medium` into an ISO with the label LIVE.
const ON_ISO: &str = "xorriso -as mkisofs -quiet -R -V LIVE -o disk medium; rm -r medium";

#[test]
fn ref_erofs_right_on_a_disk_boots_with_an_overlay_of_the_size_that_was_asked_for() {
    in_workshop(&["mkfs.erofs"], |workshop| {
        workshop.run("mkfs.erofs -zlz4 disk root >/dev/null")?;
        let mut guest = workshop.boot(
            "disk",
            "root=live:/dev/vda rd.overlay=tmpfs:size=32M,nr_inodes=100000",
        )?;
        holds(&mut guest)?;
        lower_is_as_it_was(&mut guest)?;
        ensure!(mounted(&mut guest, "/")? == "overlay LiveOS_rootfs");
        let options = guest.command("grep ' /run/initramfs/overlay ' /proc/mounts")?;
        ensure!(
            options.contains("size=32768k,nr_inodes=100000"),
            "{options}"
        );
        // What is full is full: an error for the program, and no harm to the system.
        guest.command(
            "! dd if=/dev/zero of=/fill bs=1M count=40 2>/dev/null && grep -q new /etc/written",
        )?;
        power_off(guest)
    })
    .unwrap();
}

#[test]
fn ref_ext4_in_squashfs_gets_a_snapshot_that_loses_nothing_when_it_is_full() {
    in_workshop(&[], |workshop| {
        workshop.run(&format!(
            "{EXT4} mkdir -p inner/LiveOS medium/LiveOS; mv ext4.img inner/LiveOS/rootfs.img; \
             mksquashfs inner medium/LiveOS/squashfs.img -quiet -no-progress >/dev/null; {ON_ISO}"
        ))?;
        let mut guest = workshop.boot(
            "disk",
            "root=live:CDLABEL=LIVE rd.live.image rd.live.overlay.size=8",
        )?;
        holds(&mut guest)?;
        lower_is_as_it_was(&mut guest)?;
        ensure!(
            mounted(&mut guest, "/")?.starts_with("ext4 /dev/mapper/live-rw"),
            "{}",
            mounted(&mut guest, "/")?
        );
        guest.command(
            "[ -b /dev/mapper/live-base ] && [ -b /dev/live-base ] && [ -b /dev/mapper/live-rw ]",
        )?;
        // What does not fit is an error for the program, and what was written before is still there.
        guest.command("! dd if=/dev/zero of=/fill bs=1M count=30 conv=fsync 2>/dev/null")?;
        guest.command("dmesg | grep -q 'Snapshot overflowed' && grep -q new /etc/written")?;
        power_off(guest)
    })
    .unwrap();
}

#[test]
fn ref_a_container_of_kiwi_gets_an_overlay_and_its_paths() {
    in_workshop(&["mkfs.xfs"], |workshop| {
        // The smallest XFS has 300 MiB, most of it a hole.
        workshop.run(&format!(
            "mkdir -p inner/LiveOS medium/LiveOS medium/boot; echo 0x1 >medium/boot/mbrid; {XFS} mv xfs.img inner/LiveOS/rootfs.img; \
             mksquashfs inner medium/LiveOS/squashfs.img -quiet -no-progress >/dev/null; {ON_ISO}"
        ))?;
        let mut guest = workshop.boot(
            "disk",
            "root=live:CDLABEL=LIVE rd.live.image rd.live.overlay.size=25%",
        )?;
        holds(&mut guest)?;
        lower_is_as_it_was(&mut guest)?;
        ensure!(mounted(&mut guest, "/")? == "overlay LiveOS_rootfs");
        ensure!(mounted(&mut guest, "/run/rootfsbase")?.starts_with("xfs /dev/loop"));
        guest.command("[ -d /run/overlay/live/LiveOS ] && [ -d /run/overlay/rootfsbase/etc ] && [ -d /run/overlay/squashfs_container/LiveOS ] && [ -b /run/overlay/isodev ]")?;
        power_off(guest)
    })
    .unwrap();
}

#[test]
fn ref_xfs_in_squashfs_gets_a_snapshot_beside_the_image_itself() {
    in_workshop(&["mkfs.xfs"], |workshop| {
        workshop.run(&format!(
            "mkdir -p inner/LiveOS medium/my; {XFS} mv xfs.img inner/LiveOS/rootfs.img; \
             mksquashfs inner medium/my/root.img -quiet -no-progress >/dev/null; {ON_ISO}"
        ))?;
        let parameters =
            "root=live:LABEL=LIVE rd.live.dir=my rd.live.squashimg=root.img rd.live.overlay.thin";
        let mut guest = workshop.boot("disk", parameters)?;
        holds(&mut guest)?;
        lower_is_as_it_was(&mut guest)?;
        ensure!(mounted(&mut guest, "/")?.starts_with("xfs /dev/mapper/live-rw"));
        power_off(guest)
    })
    .unwrap();
}

/// Packs `root` into an XFS file system `xfs.img`.
const XFS: &str = "printf '/\\n0 0\\nd--755 0 0\\n' >proto; \
    printf 'etc d--755 0 0\\nmark ---644 0 0 root/etc/mark\\n$\\n' >>proto; \
    printf 'usr d--755 0 0\\nbin d--755 0 0\\nbusybox ---755 0 0 root/usr/bin/busybox\\n' >>proto; \
    for link in root/usr/bin/*; do name=${link##*/}; [ $name = busybox ] || echo \"$name l--777 0 0 busybox\" >>proto; done; \
    printf '$\\nsbin d--755 0 0\\ninit ---755 0 0 root/usr/sbin/init\\n$\\n$\\n' >>proto; \
    printf 'bin l--777 0 0 usr/bin\\nsbin l--777 0 0 usr/sbin\\n$\\n' >>proto; \
    truncate -s 300M xfs.img; mkfs.xfs -q -p proto xfs.img;";

#[test]
fn ref_btrfs_as_a_file_of_the_medium_gets_a_snapshot_or_an_overlay() {
    in_workshop(&["mkfs.btrfs"], |workshop| {
        workshop.run(&format!(
            "mkdir -p medium/LiveOS; truncate -s 128M medium/LiveOS/rootfs.img; \
             mkfs.btrfs -q --rootdir root medium/LiveOS/rootfs.img; {ON_EXT4}"
        ))?;
        let mut guest = workshop.boot("disk", "root=live:LABEL=LIVE rd.overlay=0")?;
        holds(&mut guest)?;
        ensure!(mounted(&mut guest, "/")?.starts_with("btrfs /dev/mapper/live-rw"));
        power_off(guest)?;
        let mut guest = workshop.boot("disk", "root=live:LABEL=LIVE rd.overlay")?;
        holds(&mut guest)?;
        lower_is_as_it_was(&mut guest)?;
        ensure!(mounted(&mut guest, "/")? == "overlay LiveOS_rootfs");
        power_off(guest)
    })
    .unwrap();
}

#[test]
fn ref_an_image_for_disks_is_written_itself_where_it_is_in_memory() {
    in_workshop(&[], |workshop| {
        workshop.run(&format!(
            "{EXT4} mkdir -p medium/LiveOS; mv ext4.img medium/LiveOS/rootfs.img; {ON_EXT4}"
        ))?;
        for parameters in ["rd.live.ram", "rd.writable.fsimg"] {
            let mut guest = workshop.boot("disk", &format!("root=live:LABEL=LIVE {parameters}"))?;
            holds(&mut guest)?;
            ensure!(
                mounted(&mut guest, "/")?.starts_with("ext4 /dev/mapper/live-rw"),
                "{parameters}"
            );
            guest.command("[ -e /run/rootfsbase/etc/written ]")?;
            power_off(guest)?;
        }
        // On the medium it cannot be written: that is said, and the root is writable all the same.
        let mut guest = workshop.boot("disk", "root=live:LABEL=LIVE rd.overlay=none")?;
        ensure!(guest.transcript().contains("the root gets an overlay"));
        holds(&mut guest)?;
        lower_is_as_it_was(&mut guest)?;
        power_off(guest)
    })
    .unwrap();
}

#[test]
fn ref_images_of_live_boot_are_stacked_and_a_disk_may_be_the_root_itself() {
    in_workshop(&[], |workshop| {
        workshop.run(&format!(
            "mkdir -p medium/live upper/etc; echo upper >upper/etc/upper; rm root/etc/mark; printf '{MARK}' >upper/etc/mark; \
             echo lower >root/etc/mark; mksquashfs root medium/live/a.squashfs -quiet -no-progress >/dev/null; \
             mksquashfs upper medium/live/b.squashfs -quiet -no-progress >/dev/null; {ON_ISO}"
        ))?;
        let mut guest = workshop.boot("disk", "boot=live live-media=/dev/vda")?;
        holds(&mut guest)?;
        lower_is_as_it_was(&mut guest)?;
        guest.command("grep -q upper /etc/upper && [ -d /run/live/medium/live ]")?;
        power_off(guest)?;
        workshop.run(&format!(
            "printf '{MARK}' >root/etc/mark; mv root medium; mkdir -p medium/updates/etc; echo fresh >medium/updates/etc/update; \
             {ON_EXT4}"
        ))?;
        let mut guest = workshop.boot("disk", "root=live:LABEL=LIVE")?;
        holds(&mut guest)?;
        lower_is_as_it_was(&mut guest)?;
        // What the medium has besides is put over the root.
        guest.command("grep -q fresh /etc/update && [ ! -e /run/rootfsbase/etc/update ]")?;
        power_off(guest)
    })
    .unwrap();
}

#[test]
fn ref_a_persistent_layer_is_kept_and_with_readonly_only_read() {
    in_workshop(&[], |workshop| {
        workshop.run(&format!(
            "{EXT4} mkdir -p inner/LiveOS medium/LiveOS keep; mv ext4.img inner/LiveOS/rootfs.img; truncate -s 32M keep/store; \
             mksquashfs inner medium/LiveOS/squashfs.img -quiet -no-progress >/dev/null; {ON_ISO}; \
             truncate -s 128M keep.img; mke2fs -q -F -t ext4 -L KEEP -d keep keep.img"
        ))?;
        let mut drive = OsString::from("if=virtio,format=raw,file=");
        drive.push(workshop.path("keep.img"));
        let boot = |place: &str, more: &str| {
            let parameters = format!("root=live:CDLABEL=LIVE {place} {more}");
            let drive = vec![OsString::from("-drive"), drive.clone()];
            workshop.boot_with("disk", &parameters, drive)
        };
        for (place, root) in [
            ("rd.overlay=LABEL=KEEP", "overlay LiveOS_rootfs"),
            ("rd.live.overlay=LABEL=KEEP:/store", "ext4 /dev/mapper/live-rw"),
        ] {
            let mut guest = boot(place, "")?;
            ensure!(mounted(&mut guest, "/")? == root, "{}", guest.transcript());
            guest.command("echo first >/etc/first && sync")?;
            power_off(guest)?;
            let mut guest = boot(place, "rd.overlay.readonly")?;
            ensure!(mounted(&mut guest, "/")? == root, "{}", guest.transcript());
            guest.command("grep -q first /etc/first && echo second >/etc/second && echo new >/etc/first && sync")?;
            power_off(guest)?;
            let mut guest = boot(place, "")?;
            guest.command("grep -q first /etc/first && [ ! -e /etc/second ]")?;
            power_off(guest)?;
        }
        Ok(())
    })
    .unwrap();
}
