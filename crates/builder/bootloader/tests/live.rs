//! The boot configuration of live media, from configurations in the shapes that distributions have.
#![expect(clippy::unwrap_used, reason = "a test may end at once")]

mod reference;

use std::collections::BTreeMap;

use block::Result;
use bootloader::cmdline;
use bootloader::grub::{EnvironmentBlock, Script};
use bootloader::live::{
    ImageConfig, LiveBoot, LiveConfig, LiveKernel, Medium, Origin, configure, full_os_arguments,
    network_arguments,
};
use proptest::prelude::*;
use reference::need;

/// As `grub-mkconfig` of Debian shapes it: two kernels, recovery entries, a memory test, another system, firmware settings.
const DEBIAN: &str = include_str!("samples/debian.cfg");
/// As `grub2-mkconfig` of Fedora shapes it: `blscfg`, separate /boot and ESP.
const FEDORA: &str = include_str!("samples/fedora.cfg");
/// In the shape of Azure Linux 2: variables from environment blocks.
const AZURE: &str = include_str!("samples/azure.cfg");

const OURS: &str = "root=live:CDLABEL=CDROM rd.live.image rd.live.dir=liveos rd.live.squashimg=rootfs.img rd.live.overlay.overlayfs=1";

#[derive(Default)]
struct Image {
    config: Option<String>,
    entries: Vec<(String, Vec<u8>)>,
    files: BTreeMap<String, Vec<u8>>,
}

impl Image {
    fn with(config: &str) -> Self {
        Self {
            config: Some(config.to_owned()),
            ..Self::default()
        }
    }

    fn configure(&self, boot: &LiveBoot) -> LiveConfig {
        let file = |path: &str| -> Result<Option<Vec<u8>>> { Ok(self.files.get(path).cloned()) };
        let image = ImageConfig {
            grub_config: self.config.as_deref().map(str::as_bytes),
            bls_entries: &self.entries,
            file: &file,
        };
        configure(&image, boot).unwrap()
    }
}

fn boot(versions: &[&str]) -> LiveBoot {
    LiveBoot::new(
        "CDROM",
        "Sample 1",
        versions
            .iter()
            .map(|version| LiveKernel::new(version))
            .collect(),
    )
}

fn text(config: &LiveConfig) -> String {
    String::from_utf8(config.files["/boot/grub2/grub.cfg"].clone()).unwrap()
}

/// The commands of this name, words expanded without variables.
fn commands(text: &str, name: &str) -> Vec<Vec<String>> {
    let script = Script::parse(text).unwrap();
    let visits = script.commands();
    let named = visits
        .iter()
        .filter(|visit| visit.command.name() == Some(name));
    named
        .map(|visit| {
            visit
                .command
                .arguments()
                .iter()
                .map(|word| word.expand(&|name| Some(format!("${name}"))))
                .collect()
        })
        .collect()
}

#[test]
fn debians_configuration_is_edited() {
    let boot = boot(&["6.1.0-13-amd64", "6.1.0-9-amd64"]);
    let config = Image::with(DEBIAN).configure(&boot);
    assert_eq!(config.origin, Origin::Edited);
    let text = text(&config);
    for line in commands(&text, "linux") {
        let version = if line[0].contains("-13-") { "13" } else { "9" };
        assert_eq!(line[0], format!("/boot/vmlinuz-6.1.0-{version}-amd64"));
        let line = line.join(" ");
        assert_eq!(line.matches("root=").count(), 1, "{line}");
        assert!(
            line.contains(OURS)
                && !line.contains("UUID")
                && !line.contains(" ro ")
                && !line.contains("resume"),
            "{line}"
        );
    }
    for line in commands(&text, "initrd") {
        assert_eq!(line.len(), 1);
        assert!(
            line[0].starts_with("/boot/initramfs-6.1.0-") && line[0].ends_with("-amd64.img"),
            "{line:?}"
        );
    }
    for line in commands(&text, "search") {
        assert_eq!(line, ["--no-floppy", "--label", "CDROM", "--set=root"]);
    }
    assert_eq!(commands(&text, "save_env"), [[""; 0]; 0]);
    assert!(
        !text.contains("hd0,gpt2") && !text.contains("x64.bin") && !text.contains("Windows"),
        "{text}"
    );
    assert!(text.contains("UEFI Firmware Settings") && text.contains("recovery nomodeset"));
    assert!(
        text.contains("set default=gnulinux-simple-0a0a\n") && text.contains("set timeout=5\n"),
        "{text}"
    );
    let left_out = ["Memory test", "Windows", "Linux of the other disk"];
    for name in left_out {
        assert_eq!(
            config
                .warnings
                .iter()
                .filter(|warning| warning.contains(name))
                .count(),
            1,
            "{name} {:?}",
            config.warnings
        );
    }
    // 13 simple, 13 and its recovery, 9 and its recovery, media check.
    assert_eq!(config.entries.len(), 6);
    assert_eq!(
        config
            .entries
            .iter()
            .filter(|entry| entry.is_recovery())
            .count(),
        2
    );
    assert_eq!(
        cmdline::join(&config.entries[0].command_line(&boot)),
        format!("quiet console=ttyS0,115200 {OURS}")
    );
    let check = config.entries.last().unwrap();
    assert!(
        check.checks_media
            && check
                .command_line(&boot)
                .contains(&"rd.live.check".to_owned())
    );
}

#[test]
fn what_is_not_meant_stays_as_it_was() {
    let config = Image::with(DEBIAN).configure(&boot(&["6.1.0-13-amd64", "6.1.0-9-amd64"]));
    let text = text(&config);
    for line in [
        "# DO NOT EDIT THIS FILE",
        "function load_video {",
        "\tif [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi",
        "menuentry 'Debian GNU/Linux' --class debian --class gnu-linux $menuentry_id_option 'gnulinux-simple-0a0a' {",
        "\techo\t'Loading Linux 6.1.0-13-amd64 ...'",
        "serial --unit=0 --speed=115200",
        "  set gfxmode=auto",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn an_entry_of_a_kernel_loads_no_modules_that_media_lack() {
    let text = text(&Image::with(DEBIAN).configure(&boot(&["6.1.0-13-amd64", "6.1.0-9-amd64"])));
    let script = Script::parse(text.clone()).unwrap();
    for visit in script.commands() {
        let in_entry = visit
            .within
            .iter()
            .any(|within| within.name() == Some("menuentry"));
        assert!(
            !(in_entry && !visit.nested && visit.command.name() == Some("insmod")),
            "{text}"
        );
    }
    assert!(text.contains("\tload_video\n\tif [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi\n\tif [ x$feature"), "{text}");
    assert!(!text.contains("set theme="));
}

#[test]
fn an_edit_of_an_edit_changes_nothing() {
    for (config, versions) in [
        (DEBIAN, &["6.1.0-13-amd64", "6.1.0-9-amd64"][..]),
        (DEBIAN, &["6.1.0-13-amd64", "6.1.0-9-amd64", "6.2"]),
    ] {
        let mut boot = boot(versions);
        boot.extra_arguments = vec!["a=b c".to_owned(), "quiet".to_owned()];
        let once = text(&Image::with(config).configure(&boot));
        let twice = text(&Image::with(&once).configure(&boot));
        assert_eq!(once, twice);
    }
}

#[test]
fn a_kernel_without_an_entry_gets_one() {
    let config = Image::with(DEBIAN).configure(&boot(&["6.5", "6.1.0-13-amd64"]));
    assert_eq!(config.origin, Origin::Edited);
    let text = text(&config);
    let linux = commands(&text, "linux");
    let added: Vec<_> = linux
        .iter()
        .filter(|line| line[0] == "/boot/vmlinuz-6.5")
        .collect();
    assert_eq!(added.len(), 2, "its own and the media check");
    assert_eq!(
        added[0][1..].join(" "),
        format!("quiet console=ttyS0,115200 {OURS}")
    );
    assert!(text.contains("set default=liveos-6.5\n"));
    assert!(
        !text.contains("6.1.0-9"),
        "a kernel that is not on the media is not in the menu"
    );
}

#[test]
fn fedoras_entries_take_the_place_of_blscfg() {
    let mut image = Image::with(FEDORA);
    let entry = |version: &str| {
        format!(
            "title Fedora Linux ({version}) 39\nversion {version}\nlinux /vmlinuz-{version}\ninitrd /initramfs-{version}.img $tuned_initrd\n\
             options $kernelopts rhgb quiet $tuned_params\ngrub_class fedora\n"
        )
    };
    for version in [
        "6.5.6-300.fc39.x86_64",
        "6.5.12-300.fc39.x86_64",
        "0-rescue-abc",
    ] {
        image
            .entries
            .push((format!("abc-{version}.conf"), entry(version).into_bytes()));
    }
    image.files.insert("/boot/grub2/grubenv".to_owned(), {
        let mut block = EnvironmentBlock::default();
        for (name, value) in [
            ("saved_entry", "abc-6.5.6"),
            (
                "kernelopts",
                "root=UUID=1 ro rootflags=subvol=root console=ttyS0",
            ),
            ("boot_success", "0"),
        ] {
            block.variables.insert(name.to_owned(), value.to_owned());
        }
        block.print()
    });
    let config = image.configure(&boot(&["6.5.12-300.fc39.x86_64", "6.5.6-300.fc39.x86_64"]));
    assert_eq!(config.origin, Origin::Edited);
    let text = text(&config);
    let linux = commands(&text, "linux");
    let lines: Vec<_> = linux.iter().map(|line| line.join(" ")).collect();
    let arguments = format!("console=ttyS0 rhgb quiet {OURS}");
    assert_eq!(
        lines,
        [
            format!("/boot/vmlinuz-6.5.12-300.fc39.x86_64 {arguments}"),
            format!("/boot/vmlinuz-6.5.6-300.fc39.x86_64 {arguments}"),
            format!("/boot/vmlinuz-6.5.12-300.fc39.x86_64 {arguments} rd.live.check"),
        ]
    );
    assert!(!commands(&text, "blscfg").iter().any(|_| true));
    assert!(
        commands(&text, "search")
            .iter()
            .all(|line| line[2] == "CDROM")
    );
    assert!(text.contains("--set=boot") && !text.contains("pager"));
    assert!(!text.contains("UUID"), "{text}");
    assert!(text.contains("set default=liveos-abc-6.5.12-300.fc39.x86_64\n"));
    assert!(
        config
            .warnings
            .iter()
            .any(|warning| warning.contains("0-rescue-abc"))
    );
    let block = EnvironmentBlock::parse(&config.files["/boot/grub2/grubenv"]).unwrap();
    let expected = BTreeMap::from([("kernelopts".to_owned(), "console=ttyS0".to_owned())]);
    assert_eq!(block.variables, expected);
}

#[test]
fn variables_from_environment_blocks_are_followed() {
    let mut image = Image::with(AZURE);
    let block = b"# GRUB Environment Block\nmariner_cmdline=init=/lib/systemd/systemd ro loglevel=3 crashkernel=128M\n\
        mariner_linux=vmlinuz-5.15.1.cm2\nmariner_initrd=initrd.img-5.15.1.cm2\n";
    image
        .files
        .insert("/boot/mariner.cfg".to_owned(), block.to_vec());
    let boot = boot(&["5.15.1.cm2", "5.10.1.cm2"]);
    let config = image.configure(&boot);
    assert_eq!(config.origin, Origin::Edited);
    let text = text(&config);
    assert!(text.contains(&format!(
        "linux /boot/vmlinuz-5.15.1.cm2 $mariner_cmdline lockdown=integrity $systemd_cmdline  console=tty0 console=ttyS0 {OURS} $kernelopts"
    )), "{text}");
    assert!(text.contains("if [ -f /boot/initramfs-5.15.1.cm2.img ]; then\n\t\tinitrd /boot/initramfs-5.15.1.cm2.img"), "{text}");
    assert!(text.contains("search --no-floppy --label CDROM --set=root"));
    let block = EnvironmentBlock::parse(&config.files["/boot/mariner.cfg"]).unwrap();
    assert_eq!(
        block.variables["mariner_cmdline"],
        "init=/lib/systemd/systemd loglevel=3 crashkernel=128M"
    );
    // The condition looks for a block that the image does not have.
    assert!(
        text.contains("load_env -f $bootprefix/mariner.cfg")
            && !text.contains("load_env -f $bootprefix/systemd.cfg")
    );
    assert_eq!(
        config.entries[0].arguments[..2],
        ["init=/lib/systemd/systemd", "loglevel=3"]
    );
    assert_eq!(config.entries.len(), 3, "each kernel and the media check");
}

#[test]
fn without_a_configuration_there_is_a_new_one() {
    let mut image = Image::default();
    image.files.insert(
        "/etc/default/grub".to_owned(),
        b"GRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX=\"console=ttyS0 root=/dev/sda\"\n".to_vec(),
    );
    let mut boot = boot(&["6.1", "6.0"]);
    boot.timeout = Some(7);
    let config = image.configure(&boot);
    assert!(
        matches!(&config.origin, Origin::Generated { reason } if reason.contains("no grub.cfg"))
    );
    assert_eq!(config.warnings, [""; 0]);
    let text = text(&config);
    let titles: Vec<_> = commands(&text, "menuentry")
        .iter()
        .map(|line| line[0].clone())
        .collect();
    assert_eq!(
        titles,
        [
            "Sample 1 (6.1)",
            "Sample 1 (6.0)",
            "Check this medium and start Sample 1"
        ]
    );
    assert_eq!(
        commands(&text, "linux")[1].join(" "),
        format!("/boot/vmlinuz-6.0 console=ttyS0 {OURS}")
    );
    assert!(text.contains("set timeout=7\n") && text.contains("set default=liveos-6.1\n"));
}

#[test]
fn a_configuration_that_cannot_be_read_is_replaced_and_said_so() {
    for broken in [
        "menuentry 'x {\n",
        "if true\n",
        "linux /boot/vmlinuz-6.1 root=/dev/sda1\n}\n",
    ] {
        let config = Image::with(broken).configure(&boot(&["6.1"]));
        assert!(matches!(&config.origin, Origin::Generated { .. }));
        assert_eq!(config.warnings.len(), 1);
        assert!(
            config.warnings[0].contains("cannot be read"),
            "{:?}",
            config.warnings
        );
    }
    // The redirector on an ESP boots no kernel by itself; its serial console stays.
    let config = Image::with("serial --unit=1\nterminal_output serial\nsearch.fs_uuid 1 root\nconfigfile $prefix/grub.cfg\n").configure(&boot(&["6.1"]));
    assert!(
        config.warnings[0].contains("boots none of its kernels"),
        "{:?}",
        config.warnings
    );
    assert!(text(&config).contains("serial --unit=1\nterminal_output serial\n"));
}

#[test]
fn entries_alone_are_enough_for_a_new_configuration() {
    let mut image = Image::default();
    let entry = "title A\nlinux /abc/6.1/linux\noptions root=UUID=1 quiet \"x=a b\" y='1'\n";
    image
        .entries
        .push(("abc-6.1.conf".to_owned(), entry.as_bytes().to_vec()));
    let config = image.configure(&boot(&["6.1"]));
    assert_eq!(
        commands(&text(&config), "linux")[0].join("|"),
        format!(
            "/boot/vmlinuz-6.1|quiet|x=a b|y='1'|{}",
            OURS.replace(' ', "|")
        )
    );
}

#[test]
fn linuxefi_is_kept_for_uefi_only() {
    let source = "search --label x --set=root\nmenuentry 'RHEL 7' {\n\tlinuxefi /vmlinuz-3.10 root=/dev/sda1 ro\n\tinitrdefi /initramfs-3.10.img\n}\n";
    let config = Image::with(source).configure(&boot(&["3.10"]));
    let text = text(&config);
    assert!(
        text.contains(&format!(
            "\t$liveos_linux /boot/vmlinuz-3.10 {OURS}\n\t$liveos_initrd /boot/initramfs-3.10.img\n"
        )),
        "{text}"
    );
    assert!(text.contains("set liveos_linux=linuxefi"));
    let again = Image::with(&text).configure(&boot(&["3.10"]));
    assert_eq!(
        self::text(&again)
            .matches("set liveos_linux=linuxefi")
            .count(),
        1,
        "{}",
        self::text(&again)
    );
}

#[test]
fn an_entry_without_an_initramfs_gets_it() {
    let source = "menuentry 'a' { linux /boot/vmlinuz-6.1 root=/dev/sda1; }\nmenuentry b {\n\tlinux /vmlinuz-6.1 x --- y\n}\n";
    let config = Image::with(source).configure(&boot(&["6.1"]));
    let text = text(&config);
    assert_eq!(commands(&text, "initrd").len(), 3);
    assert_eq!(
        commands(&text, "linux")[1].join(" "),
        format!("/boot/vmlinuz-6.1 x {OURS} --- y")
    );
}

#[test]
fn values_of_command_line_variables_lose_what_is_ours() {
    let source = "set kernelopts=\"root=UUID=$x ro quiet\"\nset other='root=y ro'\nmenuentry a {\nlinux /vmlinuz-6.1 $kernelopts\ninitrd /i\n}\n";
    let config = Image::with(source).configure(&boot(&["6.1"]));
    let text = text(&config);
    assert!(
        text.contains("set kernelopts=\"quiet\"\n") && text.contains("set other='root=y ro'\n"),
        "{text}"
    );
    assert_eq!(config.entries[0].arguments, ["quiet"]);
}

#[test]
fn the_redirector_goes_on_with_the_medias_configuration() {
    let mut boot = boot(&["6.1"]);
    boot.medium = Medium::Volume("MY DISK".to_owned());
    let redirector = Image::default().configure(&boot).redirector;
    assert!(Script::parse(redirector.clone()).is_ok());
    assert!(redirector.starts_with("search --no-floppy --label 'MY DISK' --set=root\n"));
    assert!(
        redirector
            .ends_with("set prefix=($root)/boot/grub2\nconfigfile ($root)/boot/grub2/grub.cfg\n")
    );
}

#[test]
fn media_without_a_kernel_are_refused() {
    let file = |_: &str| -> Result<Option<Vec<u8>>> { Ok(None) };
    let image = ImageConfig {
        grub_config: None,
        bls_entries: &[],
        file: &file,
    };
    assert_eq!(
        configure(&image, &boot(&[])).unwrap_err().kind(),
        block::Kind::NotFound
    );
}

/// Holds for every configuration: GRUB reads it, and each kernel has an entry whose arguments are right.
fn holds(config: &LiveConfig, boot: &LiveBoot) {
    let script = Script::parse(config.files["/boot/grub2/grub.cfg"].clone()).unwrap();
    let visits = script.commands();
    let linux = visits.iter().filter(|visit| {
        matches!(visit.command.name(), Some("linux"))
            || visit.command.words[0].variable() == Some("liveos_linux")
    });
    let booted: Vec<String> = linux
        .map(|visit| visit.command.arguments()[0].expand(&|_| None))
        .collect();
    for kernel in &boot.kernels {
        assert!(
            booted.contains(&kernel.image),
            "{} has no entry",
            kernel.version
        );
        let entry = config
            .entries
            .iter()
            .find(|entry| entry.kernel == *kernel)
            .unwrap();
        assert!(
            entry
                .command_line(boot)
                .contains(&"root=live:CDLABEL=CDROM".to_owned())
        );
    }
}

#[test]
fn every_damaged_configuration_still_boots_every_kernel() {
    let boot = boot(&["6.1.0-13-amd64", "6.1.0-9-amd64"]);
    for sample in [DEBIAN, FEDORA, AZURE] {
        for at in (0..sample.len()).step_by(3) {
            let mut bytes = sample.as_bytes().to_vec();
            bytes[at] ^= 0x02;
            let damaged = String::from_utf8_lossy(&bytes).into_owned();
            holds(&Image::with(&damaged).configure(&boot), &boot);
            holds(&Image::with(&sample[..at]).configure(&boot), &boot);
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the reference tool is a program")]
fn ref_grub_takes_every_configuration() {
    if !need("grub-script-check") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (sample, versions) in [
        (Some(DEBIAN), &["6.1.0-13-amd64", "6.5"][..]),
        (Some(FEDORA), &["6.5"]),
        (Some(AZURE), &["5.15.1.cm2"]),
        (None, &["6.1"]),
    ] {
        let mut image = sample.map_or_else(Image::default, Image::with);
        image.entries.push((
            "x.conf".to_owned(),
            b"title It's & $x {\nlinux /vmlinuz-6.5\noptions a;b 'c' \"d e\" f|g\n".to_vec(),
        ));
        let config = image.configure(&boot(versions));
        for (name, bytes) in [
            ("grub.cfg", &config.files["/boot/grub2/grub.cfg"]),
            ("redirector.cfg", &config.redirector.clone().into_bytes()),
        ] {
            let file = folder.path().join(name);
            std::fs::write(&file, bytes).unwrap();
            let output = std::process::Command::new("grub-script-check")
                .arg(&file)
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "{}\n{}",
                String::from_utf8_lossy(&output.stderr),
                String::from_utf8_lossy(bytes)
            );
        }
    }
}

proptest! {
    #[test]
    fn any_text_gives_a_configuration_that_boots(text in "(menuentry|linux|initrd|search|set|root=|kernelopts| |\\{|\\}|;|\n|'|\\$x|/vmlinuz-6.1|blscfg|load_env|if|then|fi|[a-z]){0,60}") {
        let boot = boot(&["6.1"]);
        holds(&Image::with(&text).configure(&boot), &boot);
    }
}

#[test]
fn a_configuration_that_grows_without_end_is_cut_off() {
    let boot = boot(&["6.1"]);
    let double = |name: &str| format!("set {name}=$a$a$a$a$a$a$a$a\nset a=${name}\n");
    let growing = format!(
        "set a=aaaaaaaaaaaaaaaa\n{}linux /vmlinuz-6.1 {}\n",
        double("b").repeat(2000),
        "$a ".repeat(10_000)
    );
    let many = "menuentry a{linux /vmlinuz-6.1;}\n".repeat(40_000);
    let nested = format!(
        "{}linux /vmlinuz-6.1;{}",
        "menuentry a {".repeat(40),
        "};".repeat(39) + "}"
    );
    let wide = format!(
        "menuentry a {{ linux /vmlinuz-6.1 {};\n{} }}\n",
        "x ".repeat(100_000),
        "[ -f /vmlinuz-6.1 ];initrd a b c;".repeat(10_000)
    );
    let environment = "load_env -f /boot/x$a\nset a=${a}y\n".repeat(10_000);
    let variables: String = (0..40_000).map(|n| format!("set v{n}=x\n")).collect();
    let modules = format!(
        "menuentry a {{ {} linux /vmlinuz-6.1; }}
",
        "insmod x;save_env y;".repeat(20_000)
    );
    for config in [
        modules,
        growing,
        many,
        nested.repeat(200),
        wide,
        environment,
        variables,
    ] {
        holds(&Image::with(&config).configure(&boot), &boot);
    }
}

#[test]
fn an_environment_block_takes_no_other_files_place() {
    let block = EnvironmentBlock::default().print();
    for path in [
        "/liveos/rootfs.img",
        "/EFI/BOOT/grubx64.efi",
        "/boot/vmlinuz-6.1",
        "/boot/grub2/grub.cfg",
        "/boot/../liveos/x",
        "/boot//x",
        "boot/x",
    ] {
        let mut image = Image::with(&format!(
            "load_env -f {path}\nmenuentry a {{\nlinux /vmlinuz-6.1\ninitrd /i\n}}\n"
        ));
        image.files.insert(path.to_owned(), block.clone());
        let config = image.configure(&boot(&["6.1"]));
        assert_eq!(config.origin, Origin::Edited);
        // grub.cfg, loopback.cfg and .disk/info.
        assert_eq!(config.files.len(), 3, "{path}");
        assert!(!text(&config).contains("load_env"), "{path}");
    }
}

#[test]
fn each_kernel_that_is_loaded_gets_its_initramfs() {
    // Ubuntu's cloud images first try without one.
    let source = "menuentry 'Ubuntu' {\n\tif [ \"${initrdfail}\" = 1 ]; then\n\t  linux /vmlinuz-6.1 root=PARTUUID=1 ro\n\t  initrd /initrd.img-6.1\n\
        \telse\n\t  linux /vmlinuz-6.1 root=PARTUUID=1 ro panic=-1\n\tfi\n\tinitrdfail\n}\n";
    let config = Image::with(source).configure(&boot(&["6.1"]));
    let text = text(&config);
    assert!(text.contains("panic=-1 root=live:CDLABEL=CDROM rd.live.image rd.live.dir=liveos rd.live.squashimg=rootfs.img rd.live.overlay.overlayfs=1\n\tinitrd /boot/initramfs-6.1.img\n"), "{text}");
    assert_eq!(commands(&text, "initrd").len(), 3);
}

#[test]
fn who_may_start_an_entry_may_check_the_media() {
    let source = |option: &str| {
        format!("set superusers=root\nmenuentry a {option} {{\nlinux /vmlinuz-6.1\ninitrd /i\n}}\n")
    };
    for (option, open) in [("--unrestricted", true), ("--users root", false)] {
        let config = Image::with(&source(option)).configure(&boot(&["6.1", "6.0"]));
        let entries = commands(&text(&config), "menuentry");
        assert_eq!(entries.len(), 3);
        for entry in entries {
            assert_eq!(
                entry.contains(&"--unrestricted".to_owned()),
                open,
                "{entry:?}"
            );
        }
    }
}

#[test]
fn a_file_that_is_too_large_is_no_environment_block() {
    let file = |path: &str| -> Result<Option<Vec<u8>>> {
        if path == "/boot/large" {
            Err(block::Error::limit("a file", "too large"))
        } else {
            Ok(None)
        }
    };
    let source = b"load_env -f /boot/large\nmenuentry a {\nlinux /vmlinuz-6.1\ninitrd /i\n}\n";
    let image = ImageConfig {
        grub_config: Some(source),
        bls_entries: &[],
        file: &file,
    };
    assert_eq!(
        configure(&image, &boot(&["6.1"])).unwrap().origin,
        Origin::Edited
    );
}

#[test]
fn a_last_line_that_wants_to_go_on_is_ended() {
    for end in ["", "\n", "\\\n", "\\", " # comment", "\\\n\\\n"] {
        let config = Image::with(&format!(
            "menuentry a {{\nlinux /vmlinuz-6.1\ninitrd /i\n}}\necho x{end}"
        ))
        .configure(&boot(&["6.1"]));
        let text = text(&config);
        assert!(
            text.lines().any(|line| line == "### BEGIN liveos ###"),
            "{text}"
        );
        assert_eq!(commands(&text, "echo")[0], ["x"], "{text}");
        assert_eq!(commands(&text, "menuentry").len(), 2, "{text}");
    }
}

/// The boot of a server that kernels fetch their root from.
fn server(versions: &[&str]) -> LiveBoot {
    let mut boot = boot(versions);
    boot.medium = Medium::Network;
    boot.media_check = false;
    boot.live_arguments = network_arguments("http://h/x.iso");
    boot
}

#[test]
fn from_a_server_every_kernel_is_told_by_which_card_grub_came() {
    let versions = ["6.1.0-13-amd64", "6.1.0-9-amd64", "6.2"];
    let made = Image::default().configure(&server(&versions));
    let edited = Image::with(DEBIAN).configure(&server(&versions));
    assert_eq!(edited.origin, Origin::Edited);
    for text in [text(&made), text(&edited)] {
        let set = text.find("set liveos_bootif=\"BOOTIF=01-$net_default_mac\"");
        assert!(set.unwrap() < text.find("\tlinux").unwrap(), "{text}");
        let lines = text.lines();
        let linux: Vec<&str> = lines
            .filter(|line| line.trim_start().starts_with("linux"))
            .collect();
        assert!(linux.len() >= 3, "{text}");
        for line in linux {
            assert_eq!(line.matches("ip=dhcp $liveos_bootif").count(), 1, "{line}");
        }
    }
    // Once more, of itself: there is no second one, and on media there is none.
    let twice = text(&Image::with(&text(&edited)).configure(&server(&versions)));
    assert_eq!(twice, text(&edited));
    let media = text(&Image::with(&twice).configure(&boot(&versions)));
    assert!(!media.contains("liveos_bootif"), "{media}");
}

#[test]
fn a_kernel_that_asks_no_card_is_told_of_none() {
    let mut boot = server(&["6.2"]);
    boot.live_arguments = full_os_arguments();
    for image in [Image::default(), Image::with(DEBIAN)] {
        assert!(!text(&image.configure(&boot)).contains("liveos_bootif"));
    }
}

#[test]
fn the_card_stands_before_what_is_for_init() {
    let config = "menuentry 'a' {\n\tlinux /vmlinuz-6.2 quiet -- x\n\tinitrd /initrd.img-6.2\n}\n";
    let edited = text(&Image::with(config).configure(&server(&["6.2"])));
    assert!(edited.contains("ip=dhcp $liveos_bootif -- x"), "{edited}");
    let mut image = Image::default();
    let line = b"GRUB_CMDLINE_LINUX=\"quiet -- x\"\n".to_vec();
    image.files.insert("/etc/default/grub".to_owned(), line);
    let made = text(&image.configure(&server(&["6.2"])));
    assert!(made.contains("ip=dhcp $liveos_bootif -- x"), "{made}");
}
