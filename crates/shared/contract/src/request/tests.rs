//! The dialect, as tables.

use super::*;
use crate::cmdline::print;
use proptest::prelude::*;

proptest! {
    /// Words that a command line is made of, in any order: an answer, and never the whole text thrown back as a place to write to.
    #[test]
    fn any_command_line_gets_an_answer(words in prop::collection::vec((prop::sample::select(name::all().collect::<Vec<_>>()), "(live:|LABEL=|UUID=|/dev/|disk/by-label/|tmpfs:size=|[0-9]{1,20}|[%mg,:=-]|\\\\x2|é){0,4}"), 0..6)) {
        let words = words.into_iter().map(|(parameter, value)| format!("{}={value}", parameter.name));
        let line = words.collect::<Vec<_>>().join(" ");
        let cmdline = Cmdline::parse(&line);
        let _ = Policy::read(&cmdline);
        if let Ok(Some(request)) = Request::read(&cmdline) {
            // It becomes a part of mount options.
            prop_assert!(!request.layer.size.contains([',', '=', ' ']), "{}", request.layer.size);
            prop_assert!(!request.dir.starts_with('/') && !request.image.starts_with('/'));
        }
    }
}

fn request(text: &str) -> Request {
    Request::read(&Cmdline::parse(text)).unwrap().unwrap()
}

fn code(text: &str) -> &'static str {
    let failure = Request::read(&Cmdline::parse(text)).unwrap_err();
    failure.code.code
}

#[test]
fn every_form_of_root_is_understood() {
    for (text, root) in [
        ("root=live:LABEL=x", Root::Label("x".into())),
        ("root=live:CDLABEL=x\\x20y", Root::Label("x\\x20y".into())),
        ("\"root=live:LABEL=x y\"", Root::Label("x y".into())),
        ("root=live:LABEL=a=b", Root::Label("a=b".into())),
        ("root=live:UUID=AB-CD", Root::Uuid("AB-CD".into())),
        ("root=live:PARTLABEL=x", Root::PartLabel("x".into())),
        ("root=live:PARTUUID=x", Root::PartUuid("x".into())),
        ("root=live:/dev/sda1", Root::Device("sda1".into())),
        ("root=live:/dev/mapper/x", Root::Device("mapper/x".into())),
        (
            "root=live:/dev/disk/by-label/a\\x20b",
            Root::Label("a b".into()),
        ),
        ("root=live:/dev/disk/by-uuid/1", Root::Uuid("1".into())),
        (
            "root=live:/dev/disk/by-partlabel/1",
            Root::PartLabel("1".into()),
        ),
        (
            "root=live:/dev/disk/by-partuuid/1",
            Root::PartUuid("1".into()),
        ),
        ("root=CDLABEL=x rd.live.image", Root::Label("x".into())),
        ("rd.live.image root=LABEL=x", Root::Label("x".into())),
        ("rd.live.image=1 root=/dev/sr0", Root::Device("sr0".into())),
        ("root=/dev/sda1 root=live:LABEL=x", Root::Label("x".into())),
        (
            "root=live:/dev/disk/by-id/usb-A_B-0:0",
            Root::Id("usb-A_B-0:0".into()),
        ),
        ("root=live:/a.ISO", Root::File("/a.ISO".into())),
        ("root=live:/b/a.img", Root::File("/b/a.img".into())),
        ("root=LABEL=x liveimg", Root::Label("x".into())),
        ("root=live:http://a/b", Root::Url("http://a/b".into())),
        (
            "root=livenet:http://a:80/b",
            Root::Url("http://a:80/b".into()),
        ),
        ("root=http://a?b", Root::Url("http://a?b".into())),
        ("root=https://a/b", Root::Url("https://a/b".into())),
    ] {
        assert_eq!(request(text).root, root, "{text}");
    }
}

#[test]
fn a_url_needs_the_network_and_may_have_a_digest() {
    let text = "root=live:http://a/b liveos.digest=sha256:";
    let digits = "00ff".repeat(15) + "Ab1f";
    let request = request(&format!("{text}{digits}"));
    let Some(Digest::Sha256(digest)) = request.digest else {
        panic!("{request:?}");
    };
    assert_eq!((digest[1], digest[30], digest[31]), (0xff, 0xab, 0x1f));
    assert!(request.network.needed && request.verify_certificates && !request.says_layout);
    assert_eq!(code(&format!("{text}+{}", &digits[1..])), "L0106");
    assert_eq!(code(&format!("{text}{digits}0")), "L0106");
    assert_eq!(code(&format!("{text}{}é", &digits[2..])), "L0106");
}

#[test]
fn a_local_medium_needs_no_network_unless_that_is_asked_for() {
    assert!(!request("root=live:LABEL=x ip=nonsense").network.needed);
    assert!(request("root=live:LABEL=x rd.neednet=1").network.needed);
    let request = request("root=http://a/b rd.noverifyssl rd.live.dir=liveos");
    assert!(!request.verify_certificates && request.says_layout);
}

#[test]
fn other_roots_are_left_to_others() {
    for text in [
        "",
        "root",
        "root=",
        "root=/dev/sda1",
        "root=LABEL=x",
        "root=UUID=x rd.live.image=0",
        "root=nfs:a:/b",
        "ROOT=live:LABEL=x",
    ] {
        assert_eq!(Request::read(&Cmdline::parse(text)), Ok(None), "{text}");
    }
}

#[test]
fn a_live_root_that_cannot_be_done_is_refused_by_its_code() {
    for (text, expected) in [
        ("root=live:", "L0102"),
        ("root=live:LABEL=", "L0102"),
        ("root=live:LABLE=x", "L0102"),
        ("root=live:/dev/", "L0102"),
        ("root=live:/dev/disk/by-path/x", "L0102"),
        ("root=live:/dev/disk/by-id/ata-x", "L0102"),
        ("root=live:/dev/disk/x", "L0102"),
        ("root=live:ftp://a/b", "L0103"),
        ("root=live:tftp://a/b", "L0103"),
        ("root=live:http:///b", "L0102"),
        ("root=live:http://", "L0102"),
        ("\"root=live:http://a/b c\"", "L0102"),
        ("root=live:http://a/é", "L0102"),
        ("root=live:http://a/b ip=nonsense", "L0105"),
        ("root=live:http://a/b liveos.digest", "L0106"),
        ("root=live:http://a/b liveos.digest=md5:00", "L0106"),
        ("root=live:http://a/b liveos.digest=sha256:00", "L0106"),
        ("root=live:LABEL=x liveos.digest=sha256:00", "L0103"),
        ("root=live:nfs:a:/b", "L0103"),
        ("root=live:AOEINTERFACE=eth0", "L0103"),
        ("root=live:/a.txt", "L0102"),
        ("root=live:LABEL=x roothash=00", "L0320"),
        ("root=live:LABEL=x rd.overlay.crypt=/dev/sdb", "L0103"),
    ] {
        assert_eq!(code(text), expected, "{text}");
    }
}

#[test]
fn defaults_are_dracuts_where_both_have_one() {
    let request = request("root=live:LABEL=x");
    assert_eq!(
        (request.dir.as_str(), request.image.as_str()),
        ("LiveOS", "squashfs.img")
    );
    assert!(!request.ram.is_asked_for() && !request.check && request.init.is_none());
    assert_eq!(request.layer.size, "50%");
    assert_eq!(request.deadline, Some(Duration::from_secs(180)));
    assert_eq!(request.notices, [] as [&str; 0]);
}

#[test]
fn values_are_taken() {
    let request = request(
        "root=live:LABEL=x rd.live.dir=/a/b/ rd.live.squashimg=c rd.live.ram rd.live.check init=/bin/x rd.minmem=64 \
         rd.driver.pre=a-b,c rd.driver.pre=d rd.driver.post=e rd.driver.blacklist=f modprobe.blacklist=g-h",
    );
    assert_eq!((request.dir.as_str(), request.image.as_str()), ("a/b", "c"));
    assert!(request.ram.copy == ram::Copy::Always && request.check);
    assert_eq!(request.init.as_deref(), Some("/bin/x"));
    assert_eq!(request.ram.min_memory_mib, 64);
    assert_eq!(request.drivers.pre, ["a_b", "c", "d"]);
    assert_eq!(request.drivers.post, ["e"]);
    assert_eq!(request.drivers.blacklist, ["f", "g_h"]);
}

#[test]
fn sizes_of_the_writable_layer() {
    for (text, size, notices) in [
        ("rd.live.overlay.size=512", "size=512m", 0),
        ("rd.live.overlay.size=2g", "size=2g", 0),
        ("rd.live.overlay.size=75%", "size=75%", 0),
        ("rd.live.overlay.size=", "size=50%", 1),
        ("rd.live.overlay.size=0", "size=50%", 1),
        ("rd.live.overlay.size=1,mode=777", "size=50%", 1),
        ("rd.live.overlay.size=-1", "size=50%", 1),
        ("rd.live.overlay.size=%", "size=50%", 1),
        ("rd.overlay=tmpfs:size=32M", "size=32M", 0),
        (
            "rd.overlay=tmpfs:size=32M,nr_inodes=100000",
            "size=32M,nr_inodes=100000",
            0,
        ),
        (
            "rd.overlay=tmpfs:nr_blocks=8k,nr_inodes=1k",
            "nr_blocks=8k,nr_inodes=1k",
            0,
        ),
        ("rd.overlay=tmpfs:nr_inodes=10%", "size=50%", 1),
        ("rd.overlay=tmpfs:size=4096,uid=0", "size=4096", 1),
        ("rd.live.overlay=tmpfs:size=1g", "size=1g", 0),
        ("rd.overlay=tmpfs:", "size=50%", 1),
        (
            "rd.overlay=tmpfs:size=32M rd.live.overlay.size=1",
            "size=1m",
            0,
        ),
        ("rd.overlay", "size=50%", 0),
        ("rd.live.overlay=1 rd.live.overlay.overlayfs", "size=50%", 0),
        ("rd.live.overlay=none", "size=50%", 0),
    ] {
        let request = request(&format!("root=live:LABEL=x {text}"));
        assert_eq!(
            (
                request.layer.tmpfs_options().as_str(),
                request.notices.len()
            ),
            (size, notices),
            "{text}"
        );
    }
}

#[test]
fn the_limit_of_the_writable_layer_in_bytes() {
    const MEMORY: u64 = 1000 << 20;
    for (text, limit) in [
        ("", 500 << 20),
        ("rd.live.overlay.size=512", 512 << 20),
        ("rd.live.overlay.size=2G", 2 << 30),
        ("rd.live.overlay.size=99999999999T", u64::MAX),
        ("rd.overlay=tmpfs:size=4096", 4096),
        ("rd.overlay=tmpfs:nr_blocks=8k", 8192 * 4096),
    ] {
        let request = request(&format!("root=live:LABEL=x {text}"));
        assert_eq!(request.layer.limit(MEMORY, 4096), limit, "{text}");
    }
}

#[test]
fn forms_of_the_writable_layer() {
    for (text, form) in [
        ("", Form::Fitting),
        ("rd.live.overlay=LABEL=x", Form::Fitting),
        ("rd.live.overlay=1", Form::Fitting),
        ("rd.overlay", Form::Overlay),
        ("rd.overlay=1", Form::Overlay),
        ("rd.overlay=LABEL=x", Form::Overlay),
        ("rd.overlay=tmpfs:size=1g", Form::Overlay),
        ("rd.live.overlay.overlayfs", Form::Overlay),
        (
            "rd.live.overlay=1 rd.live.overlay.overlayfs=1",
            Form::Overlay,
        ),
        ("rootovl", Form::Overlay),
        ("rd.overlay=0", Form::Snapshot),
        ("rd.overlay=off rd.live.overlay.overlayfs", Form::Snapshot),
        ("rd.live.overlay.overlayfs=no", Form::Snapshot),
        ("rd.live.overlay.thin", Form::Snapshot),
        ("rd.live.overlay.thin=0", Form::Fitting),
        ("rd.live.overlay.thin rd.overlay", Form::Overlay),
        ("rd.live.overlay=none", Form::Direct),
        (
            "rd.live.overlay=NONE rd.live.overlay.overlayfs",
            Form::Direct,
        ),
        ("rd.overlay=None", Form::Direct),
        ("rd.writable.fsimg", Form::Direct),
        ("rd.writable.fsimg=0", Form::Fitting),
    ] {
        let request = request(&format!("root=live:LABEL=x {text}"));
        assert_eq!(request.layer.form, form, "{text}");
        assert_eq!(request.layer.private_copy, text == "rd.writable.fsimg");
    }
}

#[test]
fn a_persistent_layer_is_only_read_under_each_of_three_names() {
    for (text, read_only) in [
        ("", false),
        ("rd.overlay.readonly", true),
        ("rd.live.overlay.readonly=1", true),
        ("rd.live.overlayfs.readonly", true),
        ("rd.overlay.readonly=0 rd.live.overlay.readonly", false),
    ] {
        let request = request(&format!("root=live:LABEL=x {text}"));
        assert_eq!(request.layer.read_only, read_only, "{text}");
    }
}

#[test]
fn deadlines() {
    for (text, seconds) in [
        ("rd.timeout=5", Some(5)),
        ("rd.timeout=0", None),
        ("rd.timeout=-1", None),
        ("rd.retry=7 rootdelay=9", Some(7)),
        ("rootdelay=9", Some(9)),
        ("rd.timeout=x rd.retry=7", Some(7)),
    ] {
        let request = request(&format!("root=live:LABEL=x {text}"));
        assert_eq!(request.deadline, seconds.map(Duration::from_secs), "{text}");
    }
}

#[test]
fn what_is_not_done_is_named() {
    let given = request(
        "root=live:LABEL=x rd.kiwi.live.pxe rd.live.azldownloader=enable rd.overlay.readonly=0",
    );
    assert_eq!(given.notices.len(), 2, "{:?}", given.notices);
    assert!(given.notices[0].starts_with("rd.kiwi.live.pxe: "));
    assert!(given.notices[1].starts_with("rd.live.azldownloader=enable: unknown"));
}

#[test]
fn policies() {
    let policy = |text: &str| Policy::read(&Cmdline::parse(text));
    assert_eq!(policy(""), Policy::default());
    assert!(policy("rd.shell").shell);
    assert!(!policy("rd.shell=0").shell);
    for (text, expected) in [
        ("rd.emergency=reboot", Some(Emergency::Reboot)),
        ("rd.emergency=poweroff", Some(Emergency::PowerOff)),
        ("rd.emergency=halt", Some(Emergency::Halt)),
        ("rd.emergency=x", None),
    ] {
        assert_eq!(policy(text).emergency, expected);
    }
    for (text, expected) in [
        ("rd.break", &[Stage::Switch][..]),
        ("rd.break=pre-mount", &[Stage::Base]),
        ("rd.break=initqueue", &[Stage::Find]),
        ("rd.break=mount", &[Stage::Overlay]),
        ("rd.break=pre-pivot", &[Stage::Switch]),
        (
            "rd.break=verify rd.break=base",
            &[Stage::Verify, Stage::Base],
        ),
        ("rd.break=find,persistence", &[Stage::Find, Stage::Overlay]),
        ("rd.break=switch", &[Stage::Switch]),
        ("rd.break=0", &[]),
        ("", &[]),
    ] {
        assert_eq!(policy(text).breaks, expected, "{text}");
    }
    for (text, expected) in [
        ("quiet", Verbosity::Quiet),
        ("quiet rd.info", Verbosity::Normal),
        ("quiet rd.debug", Verbosity::Debug),
        ("rd.live.debug", Verbosity::Debug),
    ] {
        assert_eq!(policy(text).verbosity, expected);
    }
}

#[test]
fn what_the_builder_writes_is_what_the_runtime_reads() {
    for volume_id in ["CDROM", "My Live", "A/B\\C", "ÄÖ=1"] {
        for check in [false, true] {
            let mut arguments = vec![Argument::bare("quiet"), Argument::new("console", "ttyS0")];
            arguments.extend(media_arguments(volume_id, check));
            let line = print(&arguments).unwrap();
            let read = request(&line);
            let Root::Label(wanted) = &read.root else {
                panic!("{:?}", read.root)
            };
            assert!(label::matches(wanted, volume_id), "{wanted}");
            assert_eq!(format!("{}/{}", read.dir, read.image), media::ROOT_IMAGE);
            assert_eq!(read.check, check);
            assert_eq!(read.notices, [] as [&str; 0]);
        }
    }
}

#[test]
fn every_parameter_with_a_value_reads_back_through_the_writer() {
    for parameter in name::all() {
        let arguments = [
            Argument::new(parameter.name, "a value"),
            Argument::bare(parameter.name),
        ];
        let line = print(&arguments).unwrap();
        assert_eq!(Cmdline::parse(&line).arguments(), arguments);
    }
}

#[test]
fn defaults_in_the_table_are_the_ones_that_are_taken() {
    let default = |name: &str| name::find(name).unwrap().default;
    assert_eq!(default(name::LIVE_OVERLAY_SIZE), DEFAULT_OVERLAY_SIZE);
    assert_eq!(default(name::RETRY), DEFAULT_DEADLINE.as_secs().to_string());
    assert_eq!(
        default(name::MINMEM),
        ram::DEFAULT_MIN_MEMORY_MIB.to_string()
    );
}

#[test]
fn archiso_is_understood() {
    for (text, root) in [
        ("archisolabel=ARCH_2026", Root::Label("ARCH_2026".into())),
        ("archisodevice=UUID=1", Root::Uuid("1".into())),
        (
            "archisodevice=/dev/sda1 archisolabel=x",
            Root::Device("sda1".into()),
        ),
        (
            "archisosearchuuid=U archisodevice=/dev/sda1",
            Root::WithFile {
                uuid: Some("U".into()),
                files: vec!["boot/U.uuid".into()],
            },
        ),
        (
            "archisosearchfilename=/boot/x",
            Root::WithFile {
                uuid: None,
                files: vec!["boot/x".into()],
            },
        ),
        (
            "archiso_http_srv=http://a/b/",
            Root::Url("http://a/b/arch/m/airootfs.sfs".into()),
        ),
        (
            "archisodevice=/dev/loop0 img_dev=UUID=1 img_loop=a.iso",
            Root::WithFile {
                uuid: None,
                files: vec!["arch/m/airootfs.sfs".into(), "arch/m/airootfs.erofs".into()],
            },
        ),
    ] {
        let read = request(&format!("arch=m {text}"));
        assert_eq!(read.root, root, "{text}");
        assert_eq!(read.activation, Activation::Archiso);
        assert_eq!(
            (read.dir.as_str(), read.image.as_str()),
            ("arch/m", "airootfs.sfs")
        );
        let images = vec!["airootfs.sfs".to_owned(), "airootfs.erofs".to_owned()];
        assert_eq!(read.search.layout, search::Layout::FirstOf(images));
        assert_eq!(read.notices, [] as [&str; 0], "{text}");
    }
    let read = request(
        "archisolabel=x arch=m archisobasedir=/a/ cow_spacesize=1G copytoram=y rd.live.squashimg=y.sfs",
    );
    assert_eq!((read.dir.as_str(), read.layer.size.as_str()), ("a/m", "1G"));
    assert_eq!(
        (read.ram.copy, read.image.as_str()),
        (ram::Copy::Always, "y.sfs")
    );
    for text in [
        "checksum=y",
        "verify",
        "cms_verify=y",
        "archiso_nfs_srv=1.2.3.4:/x",
        "archiso_http_srv=http://${pxeserver}/",
    ] {
        assert_eq!(code(&format!("archisolabel=x {text}")), "L0103", "{text}");
    }
}

#[test]
fn live_boot_is_understood() {
    for (text, root) in [
        ("", Root::WithImageIn("live".into())),
        ("live-media-path=/a/b", Root::WithImageIn("a/b".into())),
        ("live-media=removable", Root::WithImageIn("live".into())),
        ("live-media=/dev/sda1", Root::Device("sda1".into())),
        ("bootfrom=LABEL=x", Root::Label("x".into())),
        (
            "fetch=http://a/x.squashfs",
            Root::Url("http://a/x.squashfs".into()),
        ),
    ] {
        let read = request(&format!("boot=live {text}"));
        assert_eq!(read.root, root, "{text}");
        assert_eq!(read.activation, Activation::LiveBoot);
        assert_eq!(read.image, "filesystem.squashfs");
        let list = "filesystem.module".to_owned();
        assert_eq!(read.search.layout, search::Layout::Stack { list });
        assert_eq!(read.notices, [] as [&str; 0], "{text}");
    }
    let read = request(
        "boot=live components persistence persistence-label=x toram module=a overlay-size=1G live-media-timeout=7 live-media=removable-usb findiso=/x.iso",
    );
    assert_eq!(read.notices.len(), 2, "{:?}", read.notices);
    assert_eq!(read.ram.copy, ram::Copy::Always);
    assert_eq!(
        read.search.layout,
        search::Layout::Stack {
            list: "a.module".into()
        }
    );
    assert_eq!(read.search.only, search::Only::RemovableUsb);
    assert_eq!(read.layer.size, "1G");
    assert_eq!(read.deadline, Some(Duration::from_secs(7)));
    assert!(read.search.iso.is_some());
    let line = "boot=live fetch=http://a/b ip=eth0:10.0.0.2:255.0.0.0:10.0.0.1:10.0.0.3";
    let theirs = request(line).network;
    let ours = request(
        "root=live:http://a/b ip=10.0.0.2::10.0.0.1:255.0.0.0::eth0:none nameserver=10.0.0.3",
    );
    assert_eq!(theirs, ours.network);
    for text in [
        "verify-checksums",
        "iscsi=a;b",
        "netboot=nfs",
        "todisk=/dev/sda",
        "fetch=ftp://a/b",
    ] {
        assert_eq!(code(&format!("boot=live {text}")), "L0103", "{text}");
    }
}

#[test]
fn one_dialect_is_chosen_and_the_names_of_others_are_not_read() {
    for (text, activation) in [
        (
            "root=live:LABEL=x archisolabel=y boot=live",
            Some(Activation::DmsquashLive),
        ),
        (
            "root=/dev/sda1 archisolabel=y boot=live",
            Some(Activation::Archiso),
        ),
        (
            "root=/dev/ram0 boot=live archisobasedir=arch",
            Some(Activation::LiveBoot),
        ),
        ("boot=casper", None),
        ("boot=live boot=/dev/sda1", None),
        ("img_loop=/x.iso", None),
        ("img_loop=/x.iso img_dev=LABEL=x", Some(Activation::Archiso)),
    ] {
        assert_eq!(Activation::of(&Cmdline::parse(text)), activation, "{text}");
    }
    let read =
        request("root=live:LABEL=x verify=y checksum module=z live-media-path=y persistence");
    assert_eq!(
        (read.dir.as_str(), read.notices.len()),
        ("LiveOS", 0),
        "{:?}",
        read.notices
    );
}

#[test]
fn names_of_the_past_count_where_todays_are_absent_and_are_told() {
    let read = request("root=LABEL=x liveimg live_dir=a live_ram check rd.live.check=0");
    assert_eq!((read.dir.as_str(), read.ram.copy), ("a", ram::Copy::Always));
    assert!(!read.check);
    assert_eq!(read.notices.len(), 3, "{:?}", read.notices);
    for (old, new) in name::LEGACY_NAMES {
        assert!(
            name::find(old).is_some() && name::find(new).is_some(),
            "{old}"
        );
    }
}
