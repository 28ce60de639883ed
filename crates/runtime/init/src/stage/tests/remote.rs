//! Media from the network, on the machine that only writes down what was asked of it.

use contract::failure::Failure;
use contract::media;
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::{code, iso, run};
use crate::fake::Fake;
use crate::fake::net::Scripted;
use crate::net::Trouble;

/// What gives the first card its address.
const ADDRESS: &str = "address 2 192.0.2.15/24";
const URL: &str = "http://server/live.iso";

/// A machine whose medium is at [`URL`].
fn machine(extra: &str) -> Fake {
    let mut fake = Fake::default();
    fake.file("/proc/cmdline", format!("root=live:{URL} {extra}\n"))
        .file("/proc/self/exe", "program")
        .file("/proc/sys/kernel/osrelease", "6.12.1\n")
        .file("/proc/meminfo", "MemAvailable:    1024000 kB\n")
        .file(
            media::MODULE_INDEX,
            "liveos module index 1\nmodule loop /loop.ko\nmodule e1000 /e1000.ko\nmodule ahci /ahci.ko\nmodule af_packet /af_packet.ko\n\
             alias pci:v*bc02* e1000\nalias pci:v*bc01* ahci\n",
        )
        .file("/sys/bus/pci/devices/0000:00:01.0/modalias", "pci:v1d2bc01sc06i01\n")
        .file("/sys/bus/pci/devices/0000:00:02.0/modalias", "pci:v1d2bc02sc00i00\n")
        .on_mount("/dev/loop0", "liveos/rootfs.img", *b"hsqs............")
        .on_mount("/dev/loop0", "usr/bin/true", "")
        .loops("/run/initramfs/live/liveos/rootfs.img", "/dev/loop1")
        .on_mount("/dev/loop1", "usr/bin/true", "")
        .on_mount(media::OVERLAY_SOURCE, "sbin/init", "");
    fake
}

/// An answer with all of a file.
fn whole(body: Vec<u8>) -> Scripted {
    Scripted {
        status: 200,
        len: Some(body.len() as u64),
        part: None,
        validator: Some("\"v1\""),
        body,
        breaks: false,
    }
}

/// An answer that breaks behind `count` bytes of `body`.
fn cut(body: &[u8], count: usize, breaks: bool) -> Scripted {
    Scripted {
        body: body[..count].to_vec(),
        breaks,
        ..whole(body.to_vec())
    }
}

/// An answer with what follows behind `from` bytes.
fn part(body: &[u8], from: usize) -> Scripted {
    Scripted {
        status: 206,
        part: Some((from as u64, body.len() as u64)),
        ..whole(body[from..].to_vec())
    }
}

fn status(status: u16) -> Scripted {
    Scripted {
        status,
        ..whole(b"a page".to_vec())
    }
}

/// A boot of a machine with one card; the failure that ends it (L0603 is as far as a boot goes here).
fn ends(fake: &mut Fake) -> Failure {
    run(fake).0
}

fn asked(fake: &Fake) -> Vec<String> {
    fake.done_of("ask")
}

#[test]
fn an_iso_is_fetched_once_and_booted_from_memory() {
    let mut fake = machine("rd.live.ram");
    fake.card(0, 2, "eth0").replies(Ok(whole(iso("CDROM"))));
    let (failure, report, _) = run(&mut fake);
    assert_eq!(failure.code.code, "L0603", "{failure}");
    let medium = report.medium.unwrap();
    assert_eq!(medium.path(), "/dev/loop0");
    assert_eq!(medium.url.as_deref(), Some(URL));
    let begin = fake.done.iter().position(|line| line == "listen").unwrap();
    let steps: Vec<_> = fake.done[begin..]
        .iter()
        .filter(|line| !line.starts_with("load"))
        .take_while(|line| !line.starts_with("bind"))
        .collect();
    assert_eq!(
        steps,
        [
            "listen",
            "up 2",
            "packets 2",
            "mtu 2 1400",
            "address 2 192.0.2.15/24",
            "route 2 0.0.0.0/0 by 192.0.2.1",
            "write /etc/resolv.conf",
            "write /run/liveos/resolv.conf",
            "ask http://server/live.iso from 0 if nothing",
            "create /run/initramfs/fetched.img",
            "remount /run/initramfs mode=755,size=33591296",
            "create /run/initramfs/fetched.img",
            "loop /run/initramfs/fetched.img",
            "mount iso9660 /dev/loop0 /run/initramfs/live",
            "link /dev/loop0 /run/initramfs/livedev",
            "loop /run/initramfs/live/liveos/rootfs.img",
            "mount squashfs /dev/loop1 /run/initramfs/squashfs",
        ]
    );
    assert!(fake.screen.contains("\rfetching:   0 %") && fake.screen.ends_with("100 %\n"));
}

#[test]
fn the_file_of_a_card_is_written_where_its_name_stays() {
    for (parameter, written) in [("", false), ("net.ifnames=0", true)] {
        let mut fake = machine(parameter);
        fake.card(0, 2, "eth0").replies(Ok(whole(iso("X"))));
        ends(&mut fake);
        let file = fake.files.get("/run/net-eth0.conf");
        assert_eq!(file.is_some(), written, "{parameter}");
        let text = file.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        assert!(text.is_none_or(|text| text.contains("IPV4ADDR='192.0.2.15'")));
    }
}

#[test]
fn a_root_file_system_image_alone_is_a_medium_too() {
    let mut fake = machine("");
    let mut image = b"hsqs".to_vec();
    image.resize(5000, 7);
    fake.card(0, 2, "eth0").replies(Ok(whole(image)));
    assert_eq!(ends(&mut fake).code.code, "L0603");
    assert!(
        fake.done
            .iter()
            .any(|line| line == "mount squashfs /dev/loop0 /run/initramfs/squashfs")
    );
    assert!(
        !fake
            .done
            .iter()
            .any(|line| line.contains("/run/initramfs/live "))
    );
}

#[test]
fn the_drivers_of_chips_that_a_card_needs_are_there_before_it_is_switched_on() {
    let mut fake = machine("");
    fake.file(
        media::MODULE_INDEX,
        "liveos module index 1\nmodule realtek /realtek.ko\nmodule marvell /marvell.ko\n\
         alias mdio:0000000000011100110010010001???? realtek\nalias mdio:00000001010000010000110011???? marvell\n",
    )
    .file("/sys/bus/mdio_bus/devices/r8169-0:00/phy_id", "0x001cc915\n")
    .file("/sys/bus/mdio_bus/devices/fixed-0:00/phy_id", "none\n");
    fake.card(0, 2, "eth0").replies(Ok(whole(iso("X"))));
    run(&mut fake);
    let steps: Vec<_> = fake
        .done
        .iter()
        .filter(|line| line.starts_with("load") || line.starts_with("up"))
        .collect();
    assert_eq!(steps, ["load /realtek.ko async_probe", "up 2"]);
}

#[test]
fn a_network_that_somebody_else_brought_up_is_used_as_it_is() {
    let mut fake = machine("");
    fake.file(
        "/proc/net/route",
        "Iface\tDestination\tGateway\neth0\t00000000\t0202000A\n",
    );
    fake.card(0, 2, "eth0").replies(Ok(whole(iso("X"))));
    assert_eq!(ends(&mut fake).code.code, "L0603");
    assert!(fake.done_of("up").is_empty() && fake.done_of("address").is_empty());
    for nothing in ["Iface\tDestination\n", "Iface\nlo\t0000007F\n"] {
        let mut fake = machine("");
        fake.file("/proc/net/route", nothing);
        fake.card(0, 2, "eth0").replies(Ok(whole(iso("X"))));
        ends(&mut fake);
        assert_eq!(fake.done_of("up"), ["2"]);
    }
}

#[test]
fn a_card_that_udev_could_not_rename_is_switched_off_when_the_medium_is_here() {
    for (version, parameter, down) in [
        ("6.1.0-41-amd64\n", "", true),
        ("5.15.0\n", "", true),
        ("6.1.0-41-amd64\n", "net.ifnames=0", false),
        ("6.2.0\n", "", false),
        ("6.12.57+deb13-amd64\n", "", false),
        ("7.0\n", "", false),
    ] {
        let mut fake = machine(parameter);
        fake.file("/proc/sys/kernel/osrelease", version);
        fake.card(0, 2, "eth0").replies(Ok(whole(iso("X"))));
        assert_eq!(ends(&mut fake).code.code, "L0603");
        let place = |line: &str| fake.done.iter().position(|done| done.starts_with(line));
        assert_eq!(place("down 2").is_some(), down, "{version}");
        assert!(place("down 2").is_none_or(|place_down| Some(place_down) > place("loop")));
    }
}

#[test]
fn drivers_of_network_cards_come_first() {
    let mut fake = machine("");
    fake.card(0, 2, "eth0").replies(Ok(whole(iso("X"))));
    run(&mut fake);
    let loaded: Vec<_> = fake.done_of("load").iter().take(2).cloned().collect();
    assert_eq!(
        loaded,
        ["/af_packet.ko async_probe", "/e1000.ko async_probe"]
    );
}

#[test]
fn a_download_that_breaks_goes_on_where_it_broke() {
    let body = iso("CDROM");
    let mut fake = machine("");
    fake.card(0, 2, "eth0")
        .replies(Ok(cut(&body, 10_000, true)))
        .replies(Err(Trouble::Unreachable("refused".into())))
        .replies(Ok(status(503)))
        .replies(Ok(part(&body, 10_000)));
    assert_eq!(ends(&mut fake).code.code, "L0603");
    let from = "ask http://server/live.iso from 10000 if \"v1\"";
    assert_eq!(
        asked(&fake)[1..],
        [from, from, from].map(|line| line.replace("ask ", ""))
    );
    let digest = format!("liveos.digest=sha256:{}", hex(&body));
    let mut fake = machine(&digest);
    fake.card(0, 2, "eth0")
        .replies(Ok(cut(&body, 10_000, true)))
        .replies(Ok(part(&body, 10_000)));
    assert_eq!(
        ends(&mut fake).code.code,
        "L0603",
        "the digest is of both pieces"
    );
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn a_file_that_changed_meanwhile_is_fetched_from_its_beginning() {
    let body = iso("CDROM");
    let digest = format!("liveos.digest=sha256:{}", hex(&body));
    let other = vec![9; 50_000];
    // The server sends all of the new file, or a part of a file of another length, or none.
    for answers in [
        vec![whole(body.clone())],
        vec![part(&vec![0; 60_000], 10_000), whole(body.clone())],
        vec![part(&other, 9_999), whole(body.clone())],
        vec![status(416), whole(body.clone())],
    ] {
        let mut fake = machine(&digest);
        fake.card(0, 2, "eth0")
            .replies(Ok(cut(&other, 10_000, true)));
        for answer in answers {
            fake.replies(Ok(answer));
        }
        let failure = ends(&mut fake);
        assert_eq!(failure.code.code, "L0603", "{failure}");
    }
}

#[test]
fn without_a_name_for_its_state_a_file_is_never_put_together_from_two_answers() {
    let body = iso("CDROM");
    let mut fake = machine("");
    let nameless = Scripted {
        validator: None,
        ..cut(&body, 10_000, true)
    };
    fake.card(0, 2, "eth0")
        .replies(Ok(nameless))
        .replies(Ok(whole(body)));
    assert_eq!(ends(&mut fake).code.code, "L0603");
    assert!(asked(&fake).iter().all(|line| line.contains("from 0")));
}

#[test]
fn a_download_that_ends_too_early_is_not_taken_for_whole() {
    let body = iso("CDROM");
    for breaks in [true, false] {
        let mut fake = machine("rd.retry=20");
        fake.card(0, 2, "eth0")
            .replies(Ok(cut(&body, 30_000, breaks)));
        let failure = ends(&mut fake);
        assert_eq!(failure.code.code, "L0216", "{failure}");
        assert!(
            fake.log
                .iter()
                .any(|line| line.contains("30000 of 36864 bytes came"))
        );
        assert!(!fake.done.iter().any(|line| line.starts_with("loop")));
    }
}

#[test]
fn what_a_server_refuses_is_told_at_once_and_what_may_get_better_is_asked_again() {
    for (answer, code, times) in [
        (Ok(status(404)), "L0215", 1),
        (Ok(status(403)), "L0215", 1),
        (Ok(status(206)), "L0215", 1),
        (
            Ok(Scripted {
                len: None,
                ..whole(iso("X"))
            }),
            "L0215",
            1,
        ),
        (Ok(whole(Vec::new())), "L0219", 1),
        (Ok(whole(b"<html>".repeat(999))), "L0219", 1),
        (Err(Trouble::Certificate("expired".into())), "L0220", 1),
        (Err(Trouble::NoUrl("no URL".into())), "L0102", 1),
        (Err(Trouble::Refused("a circle".into())), "L0215", 1),
        (Err(Trouble::Unreachable("refused".into())), "L0214", 9),
        (Ok(status(500)), "L0214", 9),
    ] {
        let mut fake = machine("rd.retry=30");
        fake.card(0, 2, "eth0").replies(answer);
        let failure = ends(&mut fake);
        assert_eq!(
            (failure.code.code, asked(&fake).len()),
            (code, times),
            "{failure}"
        );
    }
}

#[test]
fn a_wrong_digest_stops_the_boot() {
    let digest = format!("liveos.digest=sha256:{}", hex(b"other"));
    let mut fake = machine(&digest);
    fake.card(0, 2, "eth0").replies(Ok(whole(iso("CDROM"))));
    let failure = ends(&mut fake);
    assert_eq!(failure.code.code, "L0218");
    assert!(failure.cause.contains(&hex(&iso("CDROM"))), "{failure}");
    assert!(!fake.done.iter().any(|line| line.starts_with("loop")));
}

#[test]
fn what_does_not_fit_into_memory_is_not_begun() {
    let mut fake = machine("");
    let large = Scripted {
        len: Some(800 << 20),
        ..whole(Vec::new())
    };
    fake.card(0, 2, "eth0").replies(Ok(large));
    let failure = ends(&mut fake);
    assert_eq!(failure.code.code, "L0217");
    assert!(
        failure
            .cause
            .contains("800 MiB, 1000 MiB of memory are free, and 256 MiB"),
        "{failure}"
    );
    assert!(fake.done_of("remount").is_empty());
}

#[test]
fn memory_that_ends_all_the_same_is_a_failure() {
    let mut fake = machine("");
    fake.card(0, 2, "eth0").replies(Ok(whole(iso("X"))));
    fake.refuse("fill /run/initramfs/fetched.img", Errno::NOSPC);
    assert_eq!(code(&mut fake), "L0217");
}

#[test]
fn the_first_card_that_gets_an_address_is_the_one_and_dead_cards_cost_nothing() {
    let mut fake = machine("");
    fake.card(0, 2, "eth0").unplugged();
    fake.card(0, 3, "eth1").silent();
    fake.card(3, 4, "eth2").linked_at(4);
    fake.replies(Ok(whole(iso("X"))));
    assert_eq!(ends(&mut fake).code.code, "L0603");
    assert!(fake.done.contains(&"address 4 192.0.2.15/24".to_owned()));
    assert_eq!(fake.done_of("up"), ["2", "3", "4"]);
    assert_eq!(fake.done_of("packets"), ["3", "4"]);
    let end = crate::system::System::clock(&fake).as_secs();
    assert!(end < 6, "it took {end} s");
}

#[test]
fn each_thing_that_is_missing_has_its_own_code() {
    let one = |fake: &mut Fake| {
        fake.card(0, 2, "eth0");
    };
    for (prepare, expected) in [
        ((|_| {}) as fn(&mut Fake), "L0210"),
        (|fake| _ = fake.card(0, 2, "eth0").unplugged(), "L0211"),
        (|fake| _ = fake.card(0, 2, "eth0").silent(), "L0212"),
        (
            |fake| _ = fake.card(0, 2, "eth0").refuse(ADDRESS, Errno::PERM),
            "L0213",
        ),
        (one, "L0214"),
    ] {
        let mut fake = machine("");
        prepare(&mut fake);
        let failure = ends(&mut fake);
        assert_eq!(failure.code.code, expected, "{failure}");
    }
}

#[test]
fn a_card_that_is_not_meant_is_left_alone() {
    for wish in [
        "BOOTIF=01-52-54-00-12-34-03",
        "ip=eth1:dhcp",
        "ip=52:54:00:12:34:03:dhcp",
    ] {
        let mut fake = machine(wish);
        fake.card(0, 2, "eth0")
            .card(0, 3, "eth1")
            .replies(Ok(whole(iso("X"))));
        assert_eq!(ends(&mut fake).code.code, "L0603");
        assert_eq!(fake.done_of("up"), ["3"], "{wish}");
    }
    let mut fake = machine("ip=eth7:dhcp");
    fake.card(0, 2, "eth0");
    let failure = ends(&mut fake);
    assert_eq!(failure.code.code, "L0210");
    assert!(
        failure
            .cause
            .contains("eth0 (52:54:00:12:34:02, not asked for)"),
        "{failure}"
    );
}

#[test]
fn a_fixed_address_asks_nobody() {
    let mut fake = machine("ip=192.0.2.7::198.51.100.1:24::eth0:none:1300 nameserver=192.0.2.9");
    fake.card(0, 2, "eth0")
        .linked_at(2)
        .replies(Ok(whole(iso("X"))));
    assert_eq!(ends(&mut fake).code.code, "L0603");
    assert_eq!(fake.net.asked, []);
    assert_eq!(fake.done_of("mtu"), ["2 1300"]);
    assert_eq!(fake.done_of("address"), ["2 192.0.2.7/24"]);
    assert_eq!(
        fake.done_of("route"),
        ["2 0.0.0.0/0 by 198.51.100.1 on link"]
    );
    let text = String::from_utf8(fake.files["/etc/resolv.conf"].clone()).unwrap();
    assert_eq!(text, "nameserver 192.0.2.9\noptions timeout:3 attempts:2\n");
}

#[test]
fn a_local_medium_boots_without_the_network_that_was_asked_for() {
    let mut fake = super::machine("rd.neednet=1 rd.net.timeout.iflink=1");
    fake.file("/dev/sr0", iso("CDROM"))
        .file("/sys/class/block/sr0/size", "1");
    assert_eq!(ends(&mut fake).code.code, "L0603");
    assert!(
        fake.log
            .iter()
            .any(|line| line.starts_with("Warning: no network: L0210"))
    );
}

#[test]
fn a_clock_that_is_behind_is_set_before_certificates_are_looked_at() {
    let mut fake = machine("root=https://server/a");
    fake.card(0, 2, "eth0").replies(Ok(whole(iso("X"))));
    assert_eq!(ends(&mut fake).code.code, "L0603");
    let place = |line: &str| {
        fake.done
            .iter()
            .position(|done| done.starts_with(line))
            .unwrap()
    };
    assert!(place("clock /init") < place("ask https://server/a"));
    assert!(
        fake.log
            .iter()
            .any(|line| line.starts_with("Warning: the machine's clock was behind"))
    );
    let mut plain = machine("");
    plain.card(0, 2, "eth0").replies(Ok(whole(iso("X"))));
    ends(&mut plain);
    assert!(plain.done_of("clock").is_empty());
}

#[test]
fn a_password_in_the_url_is_not_shown() {
    let mut fake = machine("root=http://user:secret@server/a@b rd.retry=3");
    fake.card(0, 2, "eth0");
    let failure = ends(&mut fake);
    assert!(
        failure.cause.starts_with("http://server/a@b: "),
        "{failure}"
    );
    assert!(!fake.log.iter().any(|line| line.contains("secret")));
}
