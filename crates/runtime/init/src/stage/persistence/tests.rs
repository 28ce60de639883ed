//! Persistence on a machine that only writes down what was asked of it, and on disks in memory.

use block::MemoryTarget;
use block::partition::{Guid, Table, gpt, mbr};
use contract::media;
use rustix::io::Errno;

use crate::fake::Fake;
use crate::stage::tests::{code, iso, machine};
use crate::system::Finished;

const MIB: usize = 1 << 20;
const PERSISTENT: &str = "rd.live.overlay.persistent";

/// A stick of 24 MiB with media of 4 MiB in its first partition, and the kernel's view of it.
fn stick(fake: &mut Fake, scheme: &str) {
    stick_of(fake, scheme, 24 * MIB);
}

fn stick_of(fake: &mut Fake, scheme: &str, len: usize) {
    let mut disk = vec![0; len];
    let media = iso("CDROM");
    disk[..media.len()].copy_from_slice(&media);
    let partition = gpt::Partition {
        type_guid: Guid::BASIC_DATA,
        guid: Guid::from_digest([1; 16]),
        first_lba: 64,
        last_lba: 8000,
        ..gpt::Partition::default()
    };
    let mut entries = [mbr::Entry::default(); 4];
    if scheme == "gpt" {
        let encoded = gpt::encode(&gpt::Layout {
            disk_guid: Guid::from_digest([2; 16]),
            partitions: vec![partition],
            total_sectors: 8192,
            sector_size: 512,
            entries_lba: 2,
        });
        let target = MemoryTarget::new();
        encoded.unwrap().write(&target).unwrap();
        // The table's place is before the volume descriptors.
        let table = target.into_bytes();
        disk[512..17_408].copy_from_slice(&table[512..17_408]);
        entries[0] = mbr::Entry::protective(8192);
    } else {
        entries[0] = mbr::Entry {
            bootable: true,
            kind: 0x17,
            start_lba: 64,
            sectors: 7937,
        };
    }
    let record = mbr::Record {
        code: [0; 440],
        disk_id: 7,
        entries,
    };
    disk[..512].copy_from_slice(&record.encode());
    plug(fake, "sda", disk);
}

/// A disk that is there from the first second on, with its partitions.
fn plug(fake: &mut Fake, name: &str, disk: Vec<u8>) {
    let table = Table::read(&disk).unwrap();
    for part in table.into_iter().flat_map(|table| table.partitions) {
        let (from, len) = (part.start as usize, part.len as usize);
        fake.partition(name, part.index, part.start, &disk[from..from + len]);
    }
    fake.appears(1, name, disk).on_mount(
        &format!("/dev/{name}"),
        "liveos/rootfs.img",
        *b"hsqs............",
    );
}

/// A machine whose medium is a stick.
fn with_stick(scheme: &str, extra: &str) -> Fake {
    let mut fake = machine(extra);
    stick(&mut fake, scheme);
    fake
}

/// A machine whose medium is a stick with room for an encrypted volume.
fn large_stick(extra: &str) -> Fake {
    let mut fake = machine(extra);
    stick_of(&mut fake, "gpt", 40 * MIB);
    fake
}

/// The same stick in the machine's next boot.
fn next_boot(before: &Fake, extra: &str) -> Fake {
    let mut fake = machine(extra);
    plug(&mut fake, "sda", before.content("/dev/sda"));
    fake
}

fn boot(fake: &mut Fake) {
    // The fake machine starts no program: this is as far as a boot goes.
    assert_eq!(code(fake), "L0603", "{:?}", fake.log);
}

fn warnings(fake: &Fake) -> Vec<&String> {
    let log = fake.log.iter();
    log.filter(|line| line.starts_with("Warning")).collect()
}

/// Whether the upper folder lies at a place that stays.
fn stays(fake: &Fake) -> bool {
    let link =
        |line: &String| line.starts_with(&format!("{} ", media::OVERLAY_STORE).replace(' ', "/"));
    fake.done_of("link").iter().any(link)
}

#[test]
fn the_first_boot_makes_a_partition_and_the_second_finds_it() {
    for scheme in ["gpt", "mbr"] {
        let mut first = with_stick(scheme, PERSISTENT);
        boot(&mut first);
        assert!(warnings(&first).is_empty(), "{:?}", first.log);
        assert!(stays(&first), "{:?}", first.done);
        let disk = first.content("/dev/sda");
        let number = 2;
        let table = Table::read(&disk).unwrap().unwrap();
        let new = table.partitions.last().unwrap();
        assert_eq!((new.index, new.start), (number, 4 * MIB as u64));
        assert_eq!(
            first.done_of("partition"),
            [format!("/dev/sda 2 {} {}", new.start, new.len)]
        );
        // All of the media but their table is what it was.
        let media = iso("CDROM");
        assert!(disk[32768..media.len()] == media[32768..]);
        // The medium is in use as a whole: the kernel mounts no partition of it.
        let mounts = first.done_of("mount");
        assert!(
            mounts.contains(&"ext4 /dev/loop8 /run/initramfs/overlayfs".to_owned()),
            "{mounts:?}"
        );
        let link = format!("{} {}", media::OVERLAY_STORE, media::KIWI_OVERLAY_STORE);
        assert!(first.done_of("link").contains(&link));

        let mut second = next_boot(&first, PERSISTENT);
        boot(&mut second);
        assert!(warnings(&second).is_empty(), "{:?}", second.log);
        assert!(stays(&second));
        assert!(second.done_of("partition").is_empty());
        assert!(
            second.content("/dev/sda") == disk,
            "the disk was written to"
        );
    }
}

#[test]
fn the_table_is_written_when_the_file_system_is_whole() {
    let mut fake = with_stick("gpt", PERSISTENT);
    boot(&mut fake);
    let at = |verb: &str| fake.done.iter().position(|line| line.starts_with(verb));
    assert!(at("detach /dev/loop7") < at("partition /dev/sda"));
    // Where it cannot be made nothing is written to the table.
    let mut fake = with_stick("gpt", &format!("{PERSISTENT} rd.live.overlay.cowfs=xfs"));
    let before = Table::read(&stick_bytes("gpt")).unwrap();
    boot(&mut fake);
    assert_eq!(Table::read(&fake.content("/dev/sda")).unwrap(), before);
    assert!(!stays(&fake) && warnings(&fake).len() == 1);
}

fn stick_bytes(scheme: &str) -> Vec<u8> {
    let mut fake = machine("");
    stick(&mut fake, scheme);
    boot(&mut fake);
    fake.content("/dev/sda")
}

#[test]
fn a_disk_without_room_a_disc_and_a_read_only_disk_get_a_layer_in_memory() {
    let mut full = machine(PERSISTENT);
    let mut disk = stick_bytes("gpt");
    disk.truncate(12 * MIB);
    plug(&mut full, "sda", disk.clone());
    boot(&mut full);
    assert!(warnings(&full)[0].contains("no 16 MiB free behind its last partition"));
    assert!(!stays(&full) && full.content("/dev/sda") == disk);

    let mut disc = machine(PERSISTENT);
    disc.appears(1, "sr0", iso("CDROM"));
    boot(&mut disc);
    assert!(warnings(&disc).is_empty() && !stays(&disc));
    assert!(
        disc.log
            .iter()
            .any(|line| line.contains("/dev/sr0 is a disc"))
    );

    let mut fixed = with_stick("gpt", PERSISTENT);
    fixed.file("/sys/class/block/sda/ro", "1\n");
    boot(&mut fixed);
    assert!(warnings(&fixed).is_empty() && !stays(&fixed));
    assert!(fixed.done_of("open-rw").is_empty());
}

#[test]
fn another_disk_with_our_label_is_not_touched() {
    let mut first = with_stick("gpt", PERSISTENT);
    boot(&mut first);
    let mut other = first.content("/dev/sda");
    other[32768..36864].fill(0);
    let mut fake = with_stick("gpt", PERSISTENT);
    let start = 4 * MIB;
    fake.partition("sdb", 2, start as u64, &other[start..23 * MIB]);
    fake.file("/dev/sdb", other.clone());
    boot(&mut fake);
    assert!(stays(&fake));
    let touches = |line: &&String| line.contains("sdb");
    assert_eq!(
        fake.done.iter().filter(touches).count(),
        0,
        "{:?}",
        fake.done
    );
}

#[test]
fn what_cannot_be_mounted_is_left_as_it_is() {
    let mut first = with_stick("gpt", PERSISTENT);
    boot(&mut first);
    let mut second = next_boot(&first, PERSISTENT);
    second.refuse(
        "mount ext4 /dev/loop7 /run/initramfs/overlayfs",
        Errno::UCLEAN,
    );
    boot(&mut second);
    assert!(
        warnings(&second)[0].contains("and is left as it is"),
        "{:?}",
        second.log
    );
    assert!(!stays(&second));
    assert!(second.content("/dev/sda") == first.content("/dev/sda"));
}

#[test]
fn a_reset_renames_first_and_removes_then() {
    let mut first = with_stick("gpt", PERSISTENT);
    boot(&mut first);
    let mut second = next_boot(&first, &format!("{PERSISTENT} rd.live.overlay.reset"));
    second.on_mount("/dev/loop7", "rw/etc/kept", "x");
    boot(&mut second);
    let (upper, dropped) = (
        "/run/initramfs/overlayfs/rw",
        "/run/initramfs/overlayfs/rw.dropped",
    );
    assert_eq!(second.done_of("rename"), [format!("{upper} {dropped}")]);
    assert_eq!(second.done_of("remove"), [dropped]);
    assert!(stays(&second));
    // What a power cut left of that goes with the next boot, asked for or not.
    let mut third = next_boot(&first, PERSISTENT);
    third.on_mount("/dev/loop7", "rw.dropped/etc/kept", "x");
    boot(&mut third);
    assert_eq!(third.done_of("remove"), [dropped]);
    assert!(third.done_of("rename").is_empty() && stays(&third));
}

#[test]
fn a_layer_of_another_build_is_used_with_a_warning() {
    let mut first = with_stick("gpt", PERSISTENT);
    boot(&mut first);
    let name = "/run/initramfs/overlayfs/liveos-medium";
    let now = String::from_utf8(first.files[name].clone()).unwrap();
    assert_eq!(now, "2026-11-20-18-38-19-00 CDROM\n");
    for (before, warned) in [(now.as_str(), 0), ("other CDROM\n", 1)] {
        let mut second = next_boot(&first, PERSISTENT);
        second.on_mount("/dev/loop7", "liveos-medium", before);
        boot(&mut second);
        assert!(stays(&second));
        assert_eq!(warnings(&second).len(), warned, "{:?}", second.log);
        assert_eq!(second.files[name], now.as_bytes());
    }
}

#[test]
fn an_encrypted_layer_is_made_and_opened_by_a_passphrase_or_not_at_all() {
    let wish = format!("{PERSISTENT} rd.live.encrypt");
    let prepare = |fake: &mut Fake| {
        fake.file("/usr/sbin/cryptsetup", "program");
        fake.file("/dev/mapper/lukscow", vec![0; 16 * MIB]);
    };
    let mut fake = large_stick(&wish);
    prepare(&mut fake);
    fake.typed.extend([b"secret".to_vec(), b"secret".to_vec()]);
    boot(&mut fake);
    let run = fake.done_of("run");
    let cryptsetup = "/usr/sbin/cryptsetup";
    assert_eq!(
        run[..3],
        [
            format!(
                "{cryptsetup} luksFormat --batch-mode --type luks2 --label lukscow --key-file=- /dev/loop7"
            ),
            format!("{cryptsetup} open --key-file=- /dev/loop7 lukscow"),
            format!("{cryptsetup} close lukscow"),
        ]
    );
    assert_eq!(fake.inputs[..2], [b"secret".to_vec(), b"secret".to_vec()]);
    // The fake program encrypts nothing: what it left is no volume, and is not written to in the clear.
    assert!(!stays(&fake) && fake.done_of("ask").len() == 2);

    // Nobody answers, there is no program, or the two are different: a layer in memory, and the table is what it was.
    let before = Table::read(&stick_bytes("gpt")).unwrap();
    let typed: [&[&[u8]]; 3] = [&[], &[b"a"], &[b"a", b"b", b"c", b"d", b"e", b"f"]];
    for answers in typed {
        let mut fake = large_stick(&wish);
        prepare(&mut fake);
        fake.typed
            .extend(answers.iter().map(|answer| answer.to_vec()));
        boot(&mut fake);
        assert!(!stays(&fake) && warnings(&fake).len() == 1);
        assert_eq!(Table::read(&fake.content("/dev/sda")).unwrap(), before);
    }
    let mut fake = large_stick(&wish);
    fake.typed.extend([b"a".to_vec(), b"a".to_vec()]);
    boot(&mut fake);
    assert!(warnings(&fake)[0].contains("cryptsetup is not in the initramfs"));
    assert_eq!(Table::read(&fake.content("/dev/sda")).unwrap(), before);
}

#[test]
fn a_passphrase_in_the_initramfs_is_used_and_a_wrong_one_asks_nobody() {
    let mut first = with_stick("gpt", PERSISTENT);
    boot(&mut first);
    let mut disk = first.content("/dev/sda");
    let header = b"LUKS\xba\xbe\0\x02";
    disk[4 * MIB..4 * MIB + 8].copy_from_slice(header);
    disk[4 * MIB + 24..4 * MIB + 31].copy_from_slice(b"lukscow");
    for (answer, stays_then) in [(true, true), (false, false)] {
        let mut fake = machine(PERSISTENT);
        plug(&mut fake, "sda", disk.clone());
        fake.file("/usr/sbin/cryptsetup", "program");
        fake.file(media::PASSPHRASE, "secret\n");
        fake.file("/dev/mapper/lukscow", disk[4 * MIB..].to_vec());
        let mut inner = vec![0; 4096];
        inner[1024 + 56..1024 + 58].copy_from_slice(&[0x53, 0xef]);
        fake.file("/dev/mapper/lukscow", inner);
        let command = "/usr/sbin/cryptsetup open --key-file=- /dev/loop7 lukscow".to_owned();
        let finished = Finished {
            succeeded: answer,
            output: "No key available with this passphrase.".to_owned(),
        };
        fake.answers.insert(command, finished);
        boot(&mut fake);
        assert_eq!(fake.inputs, [b"secret"]);
        assert!(fake.done_of("ask").is_empty());
        assert_eq!(stays(&fake), stays_then, "{:?}", fake.log);
    }
}

#[test]
fn a_label_that_is_not_there_is_made_on_the_boot_disk_in_dracuts_folders() {
    for name in ["rd.overlay", "rd.live.overlay"] {
        let wish = format!("{name}=LABEL=persist");
        let mut first = with_stick("gpt", &wish);
        boot(&mut first);
        assert!(warnings(&first).is_empty(), "{:?}", first.log);
        let folder = "/run/initramfs/overlayfs/liveos/overlay-CDROM-2026-11-20-18-38-19-00";
        let links = first.done_of("link");
        assert!(
            links.contains(&format!("{folder} {}", media::UPPER)),
            "{links:?}"
        );
        let work = "/run/initramfs/overlayfs/liveos/ovlwork";
        assert!(
            links.contains(&format!("{work} {}", media::WORK)),
            "{links:?}"
        );
        let mut second = next_boot(&first, &wish);
        boot(&mut second);
        assert!(second.done_of("partition").is_empty() && stays(&second));
    }
}

/// A device with a file system of this kind, as far as a probe sees, on a disk of its own.
fn with_device(extra: &str) -> Fake {
    let mut fake = machine(extra);
    fake.appears(1, "sr0", iso("CDROM"));
    let mut bytes = vec![0; 4096];
    bytes[1024 + 56..1024 + 58].copy_from_slice(&[0x53, 0xef]);
    bytes[1024 + 120..1024 + 124].copy_from_slice(b"data");
    fake.partition("sdb", 1, 512, &bytes);
    fake
}

#[test]
fn a_named_device_is_used_whatever_the_medium_lies_on() {
    let default = "/run/initramfs/overlayfs/liveos/overlay-CDROM-2026-11-20-18-38-19-00";
    for (value, upper) in [
        ("LABEL=data", default),
        ("LABEL=data:auto", default),
        ("LABEL=data:/a/b", "/run/initramfs/overlayfs/a/b"),
        ("/dev/sdb1:/a", "/run/initramfs/overlayfs/a"),
    ] {
        let mut fake = with_device(&format!("rd.overlay={value}"));
        boot(&mut fake);
        assert!(warnings(&fake).is_empty(), "{:?}", fake.log);
        let link = format!("{upper} {}", media::UPPER);
        assert!(
            fake.done_of("link").contains(&link),
            "{value}: {:?}",
            fake.done_of("link")
        );
    }
    let mut fake = with_device("rd.overlay=UUID=none");
    boot(&mut fake);
    assert!(warnings(&fake)[0].contains("there is no UUID=none") && !stays(&fake));
}

#[test]
fn a_file_at_the_place_is_a_store_of_snapshots() {
    let path = "liveos/overlay-CDROM-2026-11-20-18-38-19-00";
    for (bytes, reset) in [(&b"SnAp"[..], false), (&[0; 4], false), (b"SnAp", true)] {
        let word = if reset { " rd.overlay.reset" } else { "" };
        let mut fake = with_device(&format!("rd.live.overlay=LABEL=data{word}"));
        let file = [bytes, &[7; 80_000]].concat();
        fake.on_mount("/dev/sdb1", path, file);
        fake.loops(&format!("/run/initramfs/overlayfs/{path}"), "/dev/loop5");
        boot(&mut fake);
        let attached = fake.done_of("loop-rw");
        assert_eq!(attached, [format!("/run/initramfs/overlayfs/{path}")]);
        let store = fake.content("/dev/loop5");
        assert_eq!(store[..65536].iter().all(|byte| *byte == 0), reset);
        assert_eq!(store[65536..65540], [7; 4]);
    }
}

#[test]
fn a_file_beside_the_iso_is_made_whole_before_it_has_its_name() {
    let carrier = |fake: &mut Fake| {
        fake.on_mount("/dev/sdb1", "isos/live.iso", iso("CDROM"))
            .on_mount("/dev/loop7", "liveos/rootfs.img", *b"hsqs............");
        fake.loops("/run/initramfs/isoscan/isos/live.iso", "/dev/loop7");
        fake.loops("/run/initramfs/isoscan/live_system.cow.new", "/dev/loop3");
        fake.loops("/run/initramfs/isoscan/live_system.cow", "/dev/loop4");
    };
    let mut bytes = vec![0; 4096];
    bytes[1024 + 56..1024 + 58].copy_from_slice(&[0x53, 0xef]);
    let words = format!("iso-scan/filename=/isos/live.iso {PERSISTENT} rd.live.cowfile.mbsize=20");
    let mut fake = machine(&words);
    fake.appears(1, "sdb1", bytes.clone());
    carrier(&mut fake);
    fake.file(
        "/run/initramfs/isoscan/live_system.cow.new",
        vec![0; 20 * MIB],
    );
    boot(&mut fake);
    let at = |line: &str| {
        let found = fake.done.iter().position(|it| it == line);
        found.unwrap_or_else(|| panic!("{line}: {:?} {:?}", fake.done, fake.log))
    };
    let path = "/run/initramfs/isoscan/live_system.cow";
    assert!(
        at("remount /run/initramfs/isoscan ") < at(&format!("create {path}.new of {}", 20 * MIB))
    );
    assert!(at("detach /dev/loop3") < at(&format!("rename {path}.new {path}")));
    // One that is there is mounted, and never made again.
    let mut fake = machine(&words);
    fake.appears(1, "sdb1", bytes.clone());
    carrier(&mut fake);
    fake.on_mount("/dev/sdb1", "live_system.cow", vec![9; 8192]);
    boot(&mut fake);
    assert!(warnings(&fake)[0].contains("left as it is") && !stays(&fake));
    assert!(
        fake.done_of("create")
            .iter()
            .all(|line| !line.contains(".cow"))
    );
}
