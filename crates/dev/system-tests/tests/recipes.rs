//! Recipes of the documentation on a whole Debian, booted: cloud-init in both ways, overlays, an initramfs of upstream's dracut modules
//! from a medium and from a server.
#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use system_tests::builds::build;
use system_tests::http::Server;
use system_tests::media::FOR_BOOTS;
use testkit::fixture::{self, Contents, Debian, ROOT_PASSWORD};
use testkit::guest::{self, BOOT, COMMAND, Guest, PATIENT_KERNEL};
use testkit::tools;
use vm::{DirectKernel, Firmware, Machine, Network};

/// What cloud-init is to do.
const USER_DATA: &str = "#cloud-config\nlocale: false\nusers:\n- name: alice\n  gecos: From user-data\nwrite_files:\n- path: /etc/from-user-data\n  \
    content: written\n";
const META_DATA: &str = "instance-id: liveos-1\nlocal-hostname: named-by-data\n";

/// cloud-init's data on the medium, and overlays in memory.
const FROM_MEDIUM: &str = r#"os:
  kernelCommandLine:
    extraCommandLine: ["ds=nocloud"]
  overlays:
  - mountPoint: /srv/overlay
    lowerDirs: [/etc/skel]
    upperDir: /run/overlays/upper
    workDir: /run/overlays/work
scripts:
  postCustomization:
  - content: |
      mkdir -p /var/lib/cloud/seed
      ln -sfn /run/initramfs/live/cloud-init-data /var/lib/cloud/seed/nocloud
iso:
  additionalFiles:
  - source: user-data
    destination: /cloud-init-data/user-data
  - source: meta-data
    destination: /cloud-init-data/meta-data
"#;

/// cloud-init's data in the system, and an initramfs with upstream's modules.
const IN_SYSTEM: &str = r#"os:
  kernelCommandLine:
    extraCommandLine: ["ds=nocloud"]
  additionalFiles:
  - source: user-data
    destination: /var/lib/cloud/seed/nocloud/user-data
  - source: meta-data
    destination: /var/lib/cloud/seed/nocloud/meta-data
iso:
  initramfsType: bootstrap
initramfs:
  generator: dracut
  dracutModules: upstream
"#;

/// Upstream's modules, and from a server the network module that starts them in dracut up to 102.
const FROM_SERVER: &str = r#"os:
  additionalFiles:
  - content: |
      add_dracutmodules+=" network-legacy "
    destination: /etc/dracut.conf.d/50-network.conf
initramfs:
  generator: dracut
  dracutModules: upstream
"#;

/// The disk of a Debian with cloud-init and dracut; nothing where it cannot be tried.
#[expect(clippy::print_stderr, reason = "a skipped test says so in its output")]
fn disk() -> Option<PathBuf> {
    if !tools::slow_tests() || !tools::available(&FOR_BOOTS) || !tools::available(&["mmdebstrap"]) {
        return None;
    }
    if !tools::is_root() {
        assert!(!tools::in_ci(), "needs root");
        eprintln!("SKIPPED: needs root, for programs of the image");
        return None;
    }
    let disk = fixture::debian(&Debian {
        suite: "bookworm",
        contents: Contents::Cloud,
    });
    Some(disk.unwrap())
}

/// Builds `disk` as `output` in `folder` with the configuration `text`.
fn built(
    disk: &Path,
    folder: &Path,
    text: &str,
    output: &str,
    more: &[&str],
) -> Result<(PathBuf, String)> {
    for (name, text) in [
        ("user-data", USER_DATA),
        ("meta-data", META_DATA),
        ("config.yaml", text),
    ] {
        fs::write(folder.join(name), text)?;
    }
    let config = folder.join("config.yaml").display().to_string();
    let output = folder.join(output);
    let mut arguments = vec!["-c", &config, "--append", PATIENT_KERNEL];
    arguments.extend(more);
    let said = build(disk, &output, &arguments)?;
    Ok((output, said))
}

/// A machine with 2 GiB that boots the ISO from a BIOS.
fn machine(iso: &Path) -> Machine {
    let mut machine = guest::machine(iso);
    machine.firmware = Firmware::Bios;
    machine.memory_mib = 2048;
    machine
}

/// Runs commands that have to print what is expected.
fn holds(guest: &mut Guest, rows: &[(&str, &str)]) -> Result<()> {
    for (command, expected) in rows {
        let found = guest.command(command)?;
        let words: Vec<_> = found.split_whitespace().collect();
        ensure!(words.join(" ") == *expected, "{command}: {found}");
    }
    Ok(())
}

/// What cloud-init made of the data.
fn did_its_work(guest: &mut Guest) -> Result<()> {
    // It writes to the console until then.
    guest.command("cloud-init status --wait > /dev/null; true")?;
    let rows = [
        ("cloud-init status", "status: done"),
        ("hostname", "named-by-data"),
        ("getent passwd alice | cut -d: -f5", "From user-data"),
        ("cat /etc/from-user-data", "written"),
    ];
    holds(guest, &rows)
}

fn power_off(mut guest: Guest) -> Result<()> {
    guest.send("poweroff\n")?;
    let status = guest.wait_for_end(COMMAND)?;
    ensure!(status.success(), "QEMU ended with {status}");
    Ok(())
}

#[test]
fn ref_cloud_init_takes_its_data_from_the_medium_and_overlays_are_mounted() {
    let Some(disk) = disk() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (iso, _) = built(&disk, folder.path(), FROM_MEDIUM, "live.iso", &[]).unwrap();
    let mut guest = Guest::start(&machine(&iso)).unwrap();
    guest.log_in("root", ROOT_PASSWORD, BOOT).unwrap();
    did_its_work(&mut guest).unwrap();
    let rows = [
        ("systemctl is-active srv-overlay.mount", "active"),
        ("findmnt -n -o FSTYPE /srv/overlay", "overlay"),
        (
            "test -e /srv/overlay/.profile && touch /srv/overlay/new && ls /run/overlays/upper",
            "new",
        ),
        ("test ! -e /etc/skel/new && echo kept", "kept"),
        (
            "systemctl is-system-running --wait || systemctl --failed --no-legend",
            "running",
        ),
    ];
    holds(&mut guest, &rows).unwrap();
    power_off(guest).unwrap();
}

#[test]
fn ref_cloud_init_takes_its_data_from_the_system_that_upstreams_modules_boot() {
    let Some(disk) = disk() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (iso, _) = built(&disk, folder.path(), IN_SYSTEM, "live.iso", &[]).unwrap();
    let mut guest = Guest::start(&machine(&iso)).unwrap();
    guest.log_in("root", ROOT_PASSWORD, BOOT).unwrap();
    did_its_work(&mut guest).unwrap();
    let rows = [
        ("findmnt -n -o FSTYPE,SOURCE /", "overlay LiveOS_rootfs"),
        ("test ! -e /run/liveos/report.json && echo theirs", "theirs"),
        (
            "systemctl is-system-running --wait || systemctl --failed --no-legend",
            "running",
        ),
    ];
    holds(&mut guest, &rows).unwrap();
    power_off(guest).unwrap();
}

#[test]
fn ref_upstreams_modules_fetch_the_iso_from_a_server() {
    let Some(disk) = disk() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path().join("pxe")).unwrap();
    let url = format!("http://10.0.2.2:{}/image.iso", server.port());
    let more = [
        "--format",
        "pxe-dir",
        "--initramfs-type",
        "bootstrap",
        "--bootstrap-url",
        &url,
    ];
    let (pxe, _) = built(&disk, folder.path(), FROM_SERVER, "pxe", &more).unwrap();
    let mut machine = machine(Path::new("unused"));
    machine.media = None;
    machine.memory_mib = 3072;
    machine.network = Network::User;
    machine.kernel = Some(kernel(&pxe).unwrap());
    let mut guest = Guest::start(&machine).unwrap();
    guest.log_in("root", ROOT_PASSWORD, BOOT).unwrap();
    holds(
        &mut guest,
        &[("findmnt -n -o FSTYPE,SOURCE /", "overlay LiveOS_rootfs")],
    )
    .unwrap();
    power_off(guest).unwrap();
}

/// What the iPXE script of a folder for network boot starts.
fn kernel(pxe: &Path) -> Result<DirectKernel> {
    let script = fs::read_to_string(pxe.join("boot.ipxe"))?;
    let rest = |word: &str| {
        let line = script.lines().find_map(|line| line.strip_prefix(word));
        line.with_context(|| format!("the script has no {word}"))
    };
    let kernel = rest("kernel ")?.trim_end_matches(" || goto failed");
    let (image, command_line) = kernel.split_once(' ').context("no command line")?;
    // What only iPXE and a kernel that UEFI starts know.
    let command_line: Vec<&str> = command_line
        .split(' ')
        .filter(|word| !word.starts_with("initrd=") && !word.starts_with("BOOTIF="))
        .collect();
    let initrd = rest("initrd --name ")?.split(' ').nth(1);
    Ok(DirectKernel {
        kernel: pxe.join(image),
        initramfs: pxe.join(initrd.context("no initramfs")?),
        command_line: command_line.join(" "),
    })
}
