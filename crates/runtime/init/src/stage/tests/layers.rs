//! Layouts of media, and what makes a root writable.

use contract::cmdline::Cmdline;
use contract::request::Request;

use super::*;
use crate::modules::Modules;
use crate::stage::base::Base;
use crate::stage::persistence::Place;
use crate::stage::{Boot, overlay};

const SQUASHFS: &[u8] = b"hsqs............";
/// Where the first image is mounted, and the file of the second in it.
const NESTED: &str = "/run/initramfs/squashfs/LiveOS/rootfs.img";
const OVERLAY: &str = "overlay LiveOS_rootfs /sysroot lowerdir=/run/rootfsbase,upperdir=/run/overlayfs,workdir=/run/ovlwork";

/// An image of 8 MiB that is this file system, as far as a probe sees.
fn image(kind: &str) -> Vec<u8> {
    let mut bytes = vec![0; 8 << 20];
    match kind {
        "ext4" => bytes[1080..1082].copy_from_slice(&[0x53, 0xef]),
        "xfs" => bytes[..4].copy_from_slice(b"XFSB"),
        "btrfs" => bytes[0x1_0040..0x1_0048].copy_from_slice(b"_BHRfS_M"),
        _ => unreachable!(),
    }
    bytes
}

/// A machine with a classical medium, without what is on it.
fn bare(extra: &str) -> Fake {
    let mut fake = Fake::default();
    fake.file("/proc/cmdline", format!("root=live:CDLABEL=CDROM {extra}"))
        .file("/proc/self/exe", "program")
        .file(
            "/proc/meminfo",
            "MemTotal: 102400 kB\nMemAvailable:    1024000 kB\n",
        )
        .appears(1, "sr0", iso("CDROM"));
    for root in [media::OVERLAY_SOURCE, "/dev/mapper/live-rw"] {
        fake.on_mount(root, "sbin/init", "");
    }
    fake
}

/// One with an image of this kind in squashfs.
fn nested(kind: &str, extra: &str) -> Fake {
    let mut fake = bare(extra);
    fake.on_mount("/dev/sr0", "LiveOS/squashfs.img", SQUASHFS)
        .on_mount("/dev/loop0", "LiveOS/rootfs.img", image(kind))
        .loops(NESTED, "/dev/loop1")
        .loops("/run/initramfs/overlay/store", "/dev/loop2")
        .on_mount("/dev/loop1", "usr/bin/true", "");
    fake
}

/// One with an image of this kind on the medium.
fn plain(kind: &str, extra: &str) -> Fake {
    let mut fake = bare(extra);
    fake.on_mount("/dev/sr0", "LiveOS/rootfs.img", image(kind))
        .on_mount("/dev/loop0", "usr/bin/true", "");
    fake
}

/// What was done from the loop device of the image on, up to the links of the finished root.
fn steps(fake: &mut Fake) -> Vec<String> {
    let failure = run(fake).0;
    assert_eq!(failure.code.code, "L0603", "{failure}");
    let done = fake
        .done
        .iter()
        .skip_while(|line| !line.starts_with("loop"));
    done.take_while(|line| !line.contains(" /run/overlay/"))
        .cloned()
        .collect()
}

fn warnings(fake: &Fake) -> Vec<&str> {
    let lines = fake.log.iter();
    lines
        .filter_map(|line| line.strip_prefix("Warning: "))
        .collect()
}

#[test]
fn an_image_in_an_image_is_made_writable_by_a_snapshot() {
    let mut fake = nested("ext4", "rd.live.overlay.size=4");
    assert_eq!(
        steps(&mut fake),
        [
            "loop /run/initramfs/live/LiveOS/squashfs.img",
            "mount squashfs /dev/loop0 /run/initramfs/squashfs",
            "loop /run/initramfs/squashfs/LiveOS/rootfs.img",
            "mount ext4 /dev/loop1 /run/rootfsbase",
            "link /dev/loop1 /dev/live-base",
            "unmount /run/rootfsbase",
            "map live-base: 0 16384 linear /dev/loop1 0",
            "mount tmpfs tmpfs /run/initramfs/overlay mode=755,size=5242880",
            "create /run/initramfs/overlay/store of 4194304",
            "loop-rw /run/initramfs/overlay/store",
            "map-rw live-rw: 0 16384 snapshot /dev/loop1 /dev/loop2 PO 8",
            "mount ext4 /dev/mapper/live-rw /sysroot",
            "mount ext4 /dev/mapper/live-base /run/rootfsbase",
        ]
    );
    assert_eq!(warnings(&fake), [] as [&str; 0]);
}

#[test]
fn a_store_in_memory_has_its_size_and_never_more_than_the_image_can_need() {
    // Half of 100 MiB would be more than all of an image of 8 MiB with its tables.
    let most = (8 << 20) + (8 << 20) / 256 + (1 << 20);
    for (text, len) in [
        ("", most),
        ("rd.live.overlay.size=32768", most),
        ("rd.live.overlay.size=3", 3 << 20),
        (
            "rd.live.overlay.size=2%",
            (102_400 * 1024 / 100 * 2) & !4095,
        ),
        ("rd.live.overlay.size=10k", 8192),
    ] {
        let mut fake = nested("ext4", text);
        let expected = format!("create /run/initramfs/overlay/store of {len}");
        assert!(
            steps(&mut fake).contains(&expected),
            "{text}: {:?}",
            fake.done
        );
    }
}

#[test]
fn an_overlay_is_what_is_asked_for_or_all_that_there_can_be() {
    for text in [
        "rd.overlay",
        "rd.overlay=1",
        "rd.live.overlay.overlayfs=1",
        "rd.overlay=tmpfs:size=50%",
        "rootovl",
        "rd.live.overlay.overlayfs rd.live.overlay.thin",
    ] {
        let mut fake = nested("ext4", text);
        let steps = steps(&mut fake);
        assert!(steps.contains(&format!("mount {OVERLAY}")), "{text}");
        assert!(fake.done_of("map").is_empty() && fake.done_of("map-rw").is_empty());
        assert!(warnings(&fake).is_empty(), "{:?}", warnings(&fake));
    }
    for text in ["", "rd.overlay=0", "rd.live.overlay.thin"] {
        let mut fake = bare(text);
        fake.on_mount("/dev/sr0", "LiveOS/squashfs.img", SQUASHFS)
            .on_mount("/dev/loop0", "usr/x", "");
        assert!(
            steps(&mut fake).contains(&format!("mount {OVERLAY}")),
            "{text}"
        );
        assert!(warnings(&fake).is_empty());
    }
}

#[test]
fn media_of_kiwi_get_an_overlay_unless_a_snapshot_is_asked_for() {
    for (text, is_overlay) in [("", true), ("rd.live.overlay.overlayfs=0", false)] {
        let mut fake = nested("ext4", text);
        fake.on_mount("/dev/sr0", "boot/mbrid", "0x12345678");
        let steps = steps(&mut fake);
        assert_eq!(
            steps.contains(&format!("mount {OVERLAY}")),
            is_overlay,
            "{text}"
        );
    }
    // Their container has its image in the folder that the command line names.
    let mut fake = bare("rd.live.dir=my rd.live.squashimg=container");
    fake.on_mount("/dev/sr0", "my/container", SQUASHFS)
        .on_mount("/dev/sr0", "boot/mbrid", "0x12345678")
        .on_mount("/dev/loop0", "my/rootfs.img", image("xfs"))
        .loops("/run/initramfs/squashfs/my/rootfs.img", "/dev/loop1")
        .on_mount("/dev/loop1", "usr/x", "");
    let steps = steps(&mut fake);
    assert!(steps.contains(&"mount xfs /dev/loop1 /run/rootfsbase nouuid".to_owned()));
    assert!(steps.contains(&format!("mount {OVERLAY}")));
    // A container may be the root itself, and may have nothing of it but what every system has.
    let mut fake = bare("");
    fake.on_mount("/dev/sr0", "LiveOS/squashfs.img", SQUASHFS)
        .on_mount("/dev/loop0", "proc/x", "");
    assert_eq!(code(&mut fake), "L0603");
}

#[test]
fn a_snapshot_of_btrfs_is_never_mounted_beside_what_it_is_of() {
    let mut fake = nested("btrfs", "");
    assert!(steps(&mut fake).contains(&format!("mount {OVERLAY}")));
    let mut fake = nested("btrfs", "rd.overlay=0 rootflags=compress=zstd,noatime");
    let steps = steps(&mut fake);
    assert_eq!(
        steps.last().unwrap(),
        "mount btrfs /dev/mapper/live-rw /sysroot compress=zstd,noatime"
            .trim_end_matches(",noatime")
    );
    assert!(steps.contains(&"unmount /run/rootfsbase".to_owned()));
    let mut fake = nested("xfs", "");
    assert_eq!(
        self::steps(&mut fake).last().unwrap(),
        "mount xfs /dev/mapper/live-base /run/rootfsbase nouuid"
    );
}

#[test]
fn a_file_system_that_was_not_unmounted_is_taken_as_it_is() {
    for (kind, usual, without) in [
        ("ext4", "", " noload"),
        ("xfs", " nouuid", " nouuid,norecovery"),
        ("btrfs", "", " rescue=nologreplay"),
    ] {
        let mut fake = nested(kind, "rd.overlay");
        let usual = format!("mount {kind} /dev/loop1 /run/rootfsbase{usual}");
        fake.refuse(&usual, Errno::ROFS);
        let expected = format!("mount {kind} /dev/loop1 /run/rootfsbase{without}");
        assert!(steps(&mut fake).contains(&expected), "{:?}", fake.done);
        assert!(warnings(&fake)[0].contains("was not unmounted"));
        fake = nested(kind, "rd.overlay");
        fake.refuse(&usual, Errno::ROFS)
            .refuse(&expected, Errno::INVAL);
        assert_eq!(code(&mut fake), "L0403");
    }
}

#[test]
fn an_image_in_memory_is_written_itself() {
    let mut fake = plain("ext4", "rd.live.ram");
    let steps = steps(&mut fake);
    assert_eq!(
        steps,
        [
            "loop /run/initramfs/rootfs.img",
            "mount ext4 /dev/loop0 /run/rootfsbase",
            "link /dev/loop0 /dev/live-base",
            "unmount /run/rootfsbase",
            "loop-rw /run/initramfs/rootfs.img",
            "map-rw live-rw: 0 16384 linear /dev/loop0 0",
            "mount ext4 /dev/mapper/live-rw /sysroot",
            "bind /sysroot /run/rootfsbase",
        ]
    );
    // An overlay where that is asked for; a snapshot where the image stays on the medium.
    let mut fake = plain("ext4", "rd.live.ram rd.overlay");
    assert!(self::steps(&mut fake).contains(&format!("mount {OVERLAY}")));
    let mut fake = plain("ext4", "");
    assert!(
        self::steps(&mut fake)
            .iter()
            .any(|line| line.starts_with("map-rw live-rw: 0 16384 snapshot"))
    );
}

#[test]
fn a_private_copy_is_written_and_what_it_came_from_is_released() {
    let mut fake = nested("ext4", "rd.writable.fsimg");
    fake.loops("/run/initramfs/fsimg/rootfs.img", "/dev/loop3");
    let steps = steps(&mut fake);
    let at = |wanted: &str| steps.iter().position(|line| line == wanted).unwrap();
    let order = [
        at("create /run/initramfs/fsimg/rootfs.img"),
        at("unmount /run/rootfsbase"),
        at("loop-rw /run/initramfs/fsimg/rootfs.img"),
        at("map-rw live-rw: 0 16384 linear /dev/loop3 0"),
        at("mount ext4 /dev/mapper/live-rw /sysroot"),
        at("bind /sysroot /run/rootfsbase"),
        at("unmount /run/initramfs/squashfs"),
    ];
    assert!(order.is_sorted(), "{steps:?}");
}

#[test]
fn what_cannot_be_written_itself_gets_an_overlay_and_a_warning() {
    for (mut fake, why) in [
        (
            nested("ext4", "rd.live.overlay=none"),
            "it is on the medium",
        ),
        (nested("ext4", "rd.overlay=none"), "it is on the medium"),
        (machine("rd.writable.fsimg"), "is compressed"),
    ] {
        if why == "is compressed" {
            fake.appears(1, "sr0", iso("CDROM"));
        }
        assert!(
            steps(&mut fake).contains(&format!("mount {OVERLAY}")),
            "{why}"
        );
        let warnings = warnings(&fake);
        assert!(
            warnings
                .iter()
                .any(|line| line.contains(why) && line.ends_with("the root gets an overlay")),
            "{warnings:?}"
        );
    }
}

#[test]
fn a_snapshot_that_fails_at_any_step_leaves_nothing_and_the_root_gets_an_overlay() {
    for operation in [
        "unmount /run/rootfsbase",
        "map live-base: 0 16384 linear /dev/loop1 0",
        "mount tmpfs tmpfs /run/initramfs/overlay mode=755,size=5242880",
        "create /run/initramfs/overlay/store of 4194304",
        "loop-rw /run/initramfs/overlay/store",
        "map-rw live-rw: 0 16384 snapshot /dev/loop1 /dev/loop2 PO 8",
        "mount ext4 /dev/mapper/live-rw /sysroot",
    ] {
        let mut fake = nested("ext4", "rd.live.overlay.size=4");
        fake.refuse(operation, Errno::INVAL);
        assert!(
            steps(&mut fake).contains(&format!("mount {OVERLAY}")),
            "{operation}"
        );
        assert!(
            warnings(&fake)
                .iter()
                .any(|line| line.ends_with("the root gets an overlay"))
        );
        if operation != "unmount /run/rootfsbase" {
            assert_eq!(fake.done_of("unmap"), ["live-rw", "live-ro", "live-base"]);
            assert!(
                fake.done_of("unmount")
                    .contains(&media::OVERLAY_MOUNT.to_owned())
            );
            assert_eq!(
                fake.done
                    .iter()
                    .filter(|line| *line == "mount ext4 /dev/loop1 /run/rootfsbase")
                    .count(),
                2,
                "{operation}"
            );
        }
    }
}

#[test]
fn options_of_the_root_are_used_or_named() {
    let mut fake = machine("rootflags=metacopy=on,nodev");
    fake.appears(1, "sr0", iso("CDROM"));
    let with = OVERLAY.replace("/sysroot ", "/sysroot metacopy=on,");
    assert!(steps(&mut fake).contains(&format!("mount {with}")));
    let mut fake = machine("rootflags=subvol=root");
    let with = OVERLAY.replace("/sysroot ", "/sysroot subvol=root,");
    fake.appears(1, "sr0", iso("CDROM"))
        .refuse(&format!("mount {with}"), Errno::INVAL);
    assert!(steps(&mut fake).contains(&format!("mount {OVERLAY}")));
    assert!(warnings(&fake)[0].starts_with("rootflags=subvol=root: "));
}

#[test]
fn the_sizes_of_an_overlay_are_the_tmpfss_own() {
    let mut fake = machine("rd.overlay=tmpfs:size=32M,nr_inodes=100000");
    fake.appears(1, "sr0", iso("CDROM"));
    let expected = "mount tmpfs tmpfs /run/initramfs/overlay mode=755,size=32M,nr_inodes=100000";
    assert!(steps(&mut fake).contains(&expected.to_owned()));
}

#[test]
fn images_of_other_tools_are_known_by_where_they_are() {
    let arch = format!("arch/{}/airootfs.erofs", std::env::consts::ARCH);
    for (extra, name, link) in [
        ("", "live/filesystem.squashfs", "/run/live/medium"),
        (
            "boot=live root= live-media=/dev/sr0",
            "live/filesystem.squashfs",
            "/run/live/medium",
        ),
        ("", arch.as_str(), "/run/archiso/bootmnt"),
        (
            "root= archisolabel=CDROM",
            arch.as_str(),
            "/run/archiso/bootmnt",
        ),
        ("", "liveos/rootfs.img", ""),
        ("", "LiveOS/rootfs.img", ""),
    ] {
        let mut fake = bare(extra);
        fake.on_mount("/dev/sr0", name, SQUASHFS)
            .on_mount("/dev/loop0", "usr/x", "");
        let failure = run(&mut fake).0;
        assert_eq!(failure.code.code, "L0603", "{extra} {name}: {failure}");
        assert_eq!(
            fake.done_of("loop"),
            [format!("/run/initramfs/live/{name}")]
        );
        let expected = format!("link /run/initramfs/live {link}");
        assert!(link.is_empty() || fake.done.contains(&expected), "{name}");
    }
    // Where the command line says where the image is, it is there or nowhere.
    for (extra, name) in [
        ("rd.live.dir=liveos", "live/filesystem.squashfs"),
        ("rd.live.squashimg=other.img", "LiveOS/rootfs.img"),
        ("rd.live.dir=x", "LiveOS/squashfs.img"),
    ] {
        let mut fake = bare(extra);
        fake.on_mount("/dev/sr0", name, SQUASHFS);
        let (failure, ..) = run(&mut fake);
        assert_eq!(failure.code.code, "L0401", "{extra} {name}");
        assert!(
            failure.cause.starts_with("/dev/sr0 has none of "),
            "{}",
            failure.cause
        );
    }
}

#[test]
fn an_image_of_archiso_may_hold_another() {
    let mut fake = bare("root= archisolabel=CDROM arch=x86_64");
    let nested = "/run/initramfs/squashfs/airootfs.img";
    fake.on_mount("/dev/sr0", "arch/x86_64/airootfs.sfs", SQUASHFS)
        .on_mount("/dev/loop0", "airootfs.img", image("ext4"))
        .loops(nested, "/dev/loop1")
        .on_mount("/dev/loop1", "usr/x", "");
    let steps = steps(&mut fake);
    assert!(steps.contains(&"mount ext4 /dev/loop1 /run/rootfsbase".to_owned()));
}

#[test]
fn several_images_are_copied_to_memory_one_beside_the_other() {
    let mut fake = bare("boot=live root= live-media=/dev/sr0 toram");
    for name in ["a.squashfs", "b.squashfs"] {
        fake.on_mount("/dev/sr0", &format!("live/{name}"), SQUASHFS);
    }
    fake.on_mount("overlay", "usr/x", "");
    steps(&mut fake);
    let copies = [0, 1].map(|number| format!("{}.{number}", media::RAM_IMAGE));
    assert_eq!(fake.done_of("loop"), copies);
    assert_eq!(fake.done_of("unmount"), [media::LIVE_MOUNT]);
}

#[test]
fn several_images_are_stacked_in_the_order_of_their_names_or_of_their_list() {
    for (list, order, mounted) in [
        (
            None,
            ["a.squashfs", "b.squashfs"],
            "/run/initramfs/layers/1:/run/initramfs/layers/0",
        ),
        (
            Some("b.squashfs\n\n a.squashfs \n"),
            ["b.squashfs", "a.squashfs"],
            "/run/initramfs/layers/1:/run/initramfs/layers/0",
        ),
    ] {
        let mut fake = bare("boot=live root= live-media=/dev/sr0");
        for name in ["a.squashfs", "b.squashfs"] {
            fake.on_mount("/dev/sr0", &format!("live/{name}"), SQUASHFS);
        }
        if let Some(list) = list {
            fake.on_mount("/dev/sr0", "live/filesystem.module", list);
        }
        fake.on_mount("overlay", "usr/x", "");
        let steps = steps(&mut fake);
        let loops: Vec<_> = order
            .iter()
            .map(|name| format!("/run/initramfs/live/live/{name}"))
            .collect();
        assert_eq!(fake.done_of("loop"), loops);
        assert!(
            steps.contains(&format!(
                "mount overlay overlay /run/rootfsbase lowerdir={mounted}"
            )),
            "{steps:?}"
        );
        assert!(steps.contains(&format!("mount {OVERLAY}")));
        assert!(warnings(&fake).is_empty(), "{:?}", warnings(&fake));
    }
    for (list, expected) in [("../x.squashfs", "L0407"), ("c.squashfs", "L0401")] {
        let mut fake = bare("boot=live root= live-media=/dev/sr0");
        fake.on_mount("/dev/sr0", "live/a.squashfs", SQUASHFS)
            .on_mount("/dev/sr0", "live/filesystem.module", list);
        assert_eq!(code(&mut fake), expected);
    }
    let mut fake = bare("boot=live root= live-media=/dev/sr0");
    for number in 0..65 {
        fake.on_mount("/dev/sr0", &format!("live/{number}.squashfs"), SQUASHFS);
    }
    assert_eq!(code(&mut fake), "L0407");
}

#[test]
fn a_medium_may_be_the_root_itself() {
    let mut fake = bare("");
    fake.on_mount("/dev/sr0", "usr/bin/true", "");
    let failure = run(&mut fake).0;
    assert_eq!(failure.code.code, "L0603", "{failure}");
    assert!(
        fake.done
            .contains(&"bind /run/initramfs/live /run/rootfsbase".to_owned())
    );
    assert!(fake.done.contains(&format!("mount {OVERLAY}")));
    assert!(fake.done_of("loop").is_empty());
}

#[test]
fn an_image_in_an_image_that_is_none_stops_the_boot() {
    for (bytes, expected) in [
        (b"nothing at all".to_vec(), "L0402"),
        (SQUASHFS.to_vec(), "L0402"),
        (iso("X"), "L0402"),
    ] {
        let mut fake = bare("");
        fake.on_mount("/dev/sr0", "LiveOS/squashfs.img", SQUASHFS)
            .on_mount("/dev/loop0", "LiveOS/rootfs.img", bytes);
        assert_eq!(code(&mut fake), expected);
    }
    let mut fake = bare("");
    fake.on_mount("/dev/sr0", "LiveOS/squashfs.img", SQUASHFS)
        .on_mount("/dev/loop0", "LiveOS/rootfs.img", image("ext4"))
        .loops(NESTED, "/dev/loop1");
    assert_eq!(code(&mut fake), "L0404", "there is no root in it");
}

/// Makes a root with this place, of an image for disks or of none.
fn placed(extra: &str, image: Option<&str>, place: &Place) -> Fake {
    let mut fake = bare(extra);
    let line = format!("root=live:LABEL=x {extra}");
    let request = Request::read(&Cmdline::parse(&line)).unwrap().unwrap();
    let base = Base {
        image: image.map(str::to_owned),
        kind: "ext4",
        ..Base::default()
    };
    fake.file("/dev/loop1", self::image("ext4"))
        .loops("/run/initramfs/overlay/store", "/dev/loop2");
    let mut boot = Boot {
        system: &mut fake,
        modules: Modules::default(),
    };
    overlay::run(&mut boot, &request, &base, Some(place), "/sysroot").unwrap();
    fake.done
        .retain(|line| !line.starts_with("link /run/rootfsbase"));
    fake
}

#[test]
fn folders_at_a_place_are_used_and_keep_what_they_have() {
    let place = Place::Folders {
        upper: "/p/upper".to_owned(),
        work: "/p/work".to_owned(),
    };
    let fake = placed("", None, &place);
    assert_eq!(
        fake.done,
        [
            "link /p/upper /run/overlayfs",
            "link /p/work /run/ovlwork",
            "attributes /run/rootfsbase /run/overlayfs",
            &format!("mount {OVERLAY}"),
        ]
    );
    let fake = placed("rd.overlay.readonly", None, &place);
    assert_eq!(
        fake.done,
        [
            "link /p/upper /run/overlayfs-r",
            "link /p/work /run/ovlwork-r",
            "mount tmpfs tmpfs /run/initramfs/overlay mode=755,size=50%",
            "link /run/initramfs/overlay/overlayfs /run/overlayfs",
            "link /run/initramfs/overlay/ovlwork /run/ovlwork",
            "attributes /run/overlayfs-r /run/overlayfs",
            "mount overlay LiveOS_rootfs /sysroot lowerdir=/run/overlayfs-r:/run/rootfsbase,upperdir=/run/overlayfs,workdir=/run/ovlwork",
        ]
    );
}

#[test]
fn a_store_at_a_place_is_written_or_only_read() {
    let store = |read_only| Place::Snapshot {
        device: "/dev/sdb2".to_owned(),
        read_only,
    };
    let fake = placed("rd.overlay", Some("/dev/loop1"), &store(false));
    assert_eq!(
        fake.done,
        [
            "unmount /run/rootfsbase",
            "map live-base: 0 16384 linear /dev/loop1 0",
            "map-rw live-rw: 0 16384 snapshot /dev/loop1 /dev/sdb2 PO 8",
            "mount ext4 /dev/mapper/live-rw /sysroot",
            "mount ext4 /dev/mapper/live-base /run/rootfsbase",
        ]
    );
    let fake = placed("rd.live.overlay.size=4", Some("/dev/loop1"), &store(true));
    assert_eq!(
        fake.done,
        [
            "unmount /run/rootfsbase",
            "map live-base: 0 16384 linear /dev/loop1 0",
            "map live-ro: 0 16384 snapshot /dev/loop1 /dev/sdb2 P 8",
            "mount tmpfs tmpfs /run/initramfs/overlay mode=755,size=5242880",
            "create /run/initramfs/overlay/store of 4194304",
            "loop-rw /run/initramfs/overlay/store",
            "map-rw live-rw: 0 16384 snapshot /dev/dm-live-ro /dev/loop2 PO 8",
            "mount ext4 /dev/mapper/live-rw /sysroot",
            "mount ext4 /dev/mapper/live-base /run/rootfsbase",
        ]
    );
    // A store fits nothing but an image for disks.
    let fake = placed("", None, &store(false));
    assert!(fake.done.contains(&format!("mount {OVERLAY}")));
    assert!(warnings(&fake)[0].ends_with("what is written is in memory and gone at power-off"));
}

#[test]
fn a_place_that_cannot_be_used_gives_way_to_memory() {
    let place = Place::Folders {
        upper: "/p/upper".to_owned(),
        work: "/p/work".to_owned(),
    };
    let mut fake = bare("");
    fake.refuse("link /p/work /run/ovlwork", Errno::ROFS);
    let line = "root=live:LABEL=x";
    let request = Request::read(&Cmdline::parse(line)).unwrap().unwrap();
    let mut boot = Boot {
        system: &mut fake,
        modules: Modules::default(),
    };
    let base = Base::default();
    overlay::run(&mut boot, &request, &base, Some(&place), "/sysroot").unwrap();
    assert!(fake.done.contains(&format!("mount {OVERLAY}")));
    assert!(fake.done.iter().any(|line| line.starts_with("mount tmpfs")));
    assert_eq!(warnings(&fake).len(), 1);
}

#[test]
fn updates_on_the_medium_are_put_over_a_root_that_nothing_verifies() {
    let over = "over /run/initramfs/live/updates /sysroot";
    let updated = |extra: &str| {
        let mut fake = machine(extra);
        fake.appears(1, "sr0", iso("CDROM"))
            .on_mount("/dev/sr0", "updates/etc/x", "");
        fake
    };
    let mut fake = updated("");
    assert_eq!(code(&mut fake), "L0603");
    assert!(fake.done.contains(&over.to_owned()));
    let mut fake = updated("");
    fake.refuse(over, Errno::NOSPC);
    assert_eq!(code(&mut fake), "L0603");
    assert!(warnings(&fake)[0].contains("is not all in the system"));
    let mut fake = machine("");
    fake.appears(1, "sr0", iso("CDROM"));
    assert_eq!(code(&mut fake), "L0603");
    assert!(fake.done_of("over").is_empty());
    // An overlay on what is verified would get files that are not.
    let mut fake = Fake::default();
    fake.file("/run/initramfs/live/updates/etc/x", "");
    let line = format!("root=live:LABEL=x roothash={}", "ab".repeat(32));
    let request = Request::read(&Cmdline::parse(&line)).unwrap().unwrap();
    assert!(request.verity.is_some());
    let mut boot = Boot {
        system: &mut fake,
        modules: Modules::default(),
    };
    overlay::run(&mut boot, &request, &Base::default(), None, "/sysroot").unwrap();
    assert!(fake.done_of("over").is_empty());
    assert!(warnings(&fake)[0].contains("is left out"));
}
