//! Boots from a network-boot folder, over QEMU's own TFTP server and an HTTP server of the test's.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use system_tests::builds;
use system_tests::http::Server;
use system_tests::media::FOR_BOOTS;
use testkit::fixture::{self, Part, TestSystem};
use testkit::guest::{self, BOOT, COMMAND, Guest, PATIENT_KERNEL};
use testkit::tools;
use vm::{Firmware, Machine, Network};

/// Where the guest of QEMU's user network finds this machine.
const HOST: &str = "10.0.2.2";

/// The disk of a system that can be an initramfs.
fn disk() -> Result<PathBuf> {
    fixture::test_system(&TestSystem {
        without: vec![Part::LargeFile],
        ..TestSystem::default()
    })
}

/// A machine without disks that asks its network for `bootfile` from `folder`.
fn machine(folder: &Path, bootfile: &str, firmware: Firmware, memory_mib: u32) -> Machine {
    let mut machine = guest::machine("unused");
    machine.media = None;
    machine.firmware = firmware;
    machine.network = Network::None;
    machine.memory_mib = memory_mib;
    let netdev = format!("user,id=boot,tftp={},bootfile={bootfile}", folder.display());
    let arguments = ["-netdev", &netdev, "-device", "virtio-net-pci,netdev=boot"];
    machine.extra.extend(arguments.map(Into::into));
    machine
}

/// A machine without disks whose firmware asks the server at `port` of this machine for `path` over HTTP.
fn http_machine(port: u16, path: &str, firmware: Firmware) -> Machine {
    let mut machine = guest::machine("unused");
    machine.media = None;
    machine.firmware = firmware;
    machine.network = Network::None;
    machine.memory_mib = 2048;
    let netdev = format!("user,id=boot,bootfile=http://{HOST}:{port}/{path}");
    let arguments = [
        "-netdev",
        &netdev,
        "-device",
        "virtio-net-pci,netdev=boot,romfile=",
        // OVMF would try PXE first, and wait for servers that are not there.
        "-fw_cfg",
        "name=opt/org.tianocore/IPv4PXESupport,string=n",
        "-fw_cfg",
        "name=opt/org.tianocore/IPv6PXESupport,string=n",
    ];
    machine.extra.extend(arguments.map(Into::into));
    machine
}

/// Waits for the checks of the test system; then the machine is off.
fn checks(guest: &mut Guest) -> Result<()> {
    guest.expect("CHECKS BEGIN", BOOT * 2)?;
    let report = guest.expect("ALL CHECKS DONE", BOOT)?;
    let failed = report.matches(" FAILED").count();
    let passed = report.matches(" ok\r").count();
    ensure!(failed == 0 && passed == 9, "{report}");
    let status = guest.wait_for_end(COMMAND)?;
    ensure!(status.success(), "QEMU ended with {status}");
    Ok(())
}

/// Builds the disk as a folder for network boot.
fn folder(into: &Path, arguments: &[&str]) -> Result<PathBuf> {
    let output = into.join("pxe");
    let mut all = vec!["--format", "pxe-dir"];
    all.extend(arguments);
    builds::build(&disk()?, &output, &all)?;
    Ok(output)
}

#[test]
fn ref_the_whole_system_comes_over_tftp_by_shim_and_grub_under_ovmf() {
    if !tools::available(&FOR_BOOTS) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let folder = folder(work.path(), &[]).unwrap();
    assert!(!folder.join("image.iso").exists());
    let machine = machine(&folder, "bootx64.efi", Firmware::Uefi, 2048);
    checks(&mut Guest::start(&machine).unwrap()).unwrap();
}

#[test]
fn ref_the_whole_system_comes_by_ipxe_under_a_bios() {
    if !tools::available(&FOR_BOOTS) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let folder = folder(work.path(), &[]).unwrap();
    let machine = machine(&folder, "boot.ipxe", Firmware::Bios, 2048);
    checks(&mut Guest::start(&machine).unwrap()).unwrap();
}

#[test]
fn ref_a_bootstrap_initramfs_fetches_the_iso_by_http_under_ovmf_and_by_ipxe() {
    if !tools::available(&FOR_BOOTS) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let server = Server::start(work.path().join("pxe")).unwrap();
    let url = format!("http://{HOST}:{}/my-image.iso", server.port());
    let arguments = ["--initramfs-type", "bootstrap", "--bootstrap-url", &url];
    let folder = folder(work.path(), &arguments).unwrap();
    assert!(folder.join("my-image.iso").exists() && folder.join("liveos/rootfs.img").exists());
    for (bootfile, firmware) in [
        ("bootx64.efi", Firmware::Uefi),
        ("boot.ipxe", Firmware::Bios),
    ] {
        let machine = machine(&folder, bootfile, firmware, 2048);
        checks(&mut Guest::start(&machine).unwrap()).unwrap();
    }
    assert!(
        server
            .requests()
            .iter()
            .any(|line| line.contains("/my-image.iso"))
    );
}

#[test]
fn ref_firmware_with_secure_boot_gets_the_whole_system_over_http() {
    if !tools::available(&FOR_BOOTS) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let server = Server::start(work.path().join("pxe")).unwrap();
    folder(work.path(), &["--append", PATIENT_KERNEL]).unwrap();
    let machine = http_machine(server.port(), "http-boot.iso", Firmware::Secure);
    checks(&mut Guest::start(&machine).unwrap()).unwrap();
    let requests = server.requests();
    let others = requests
        .iter()
        .filter(|line| !line.contains(" /http-boot.iso "));
    assert_eq!(others.count(), 0, "{requests:?}");
}

#[test]
fn ref_a_bootstrap_initramfs_that_came_over_http_fetches_the_iso() {
    if !tools::available(&FOR_BOOTS) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let server = Server::start(work.path().join("pxe")).unwrap();
    let url = format!("http://{HOST}:{}/image.iso", server.port());
    let arguments = [
        "--initramfs-type",
        "bootstrap",
        "--bootstrap-url",
        &url,
        "--append",
        PATIENT_KERNEL,
    ];
    let folder = folder(work.path(), &arguments).unwrap();
    let len = |name: &str| std::fs::metadata(folder.join(name)).unwrap().len();
    assert!(len("http-boot.iso") + len("liveos/rootfs.img") < len("image.iso") + (4 << 20));
    let machine = http_machine(server.port(), "http-boot.iso", Firmware::Uefi);
    checks(&mut Guest::start(&machine).unwrap()).unwrap();
    let requests = server.requests();
    assert!(requests.iter().any(|line| line.contains(" /image.iso ")));
}

#[test]
fn ref_grub_tells_the_kernel_by_which_of_two_cards_it_came() {
    if !tools::available(&FOR_BOOTS) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let server = Server::start(work.path().join("pxe")).unwrap();
    let url = format!("http://{HOST}:{}/image.iso", server.port());
    // The kernel shows its command line.
    let append = format!("{PATIENT_KERNEL} ignore_loglevel");
    let arguments = [
        "--initramfs-type",
        "bootstrap",
        "--bootstrap-url",
        &url,
        "--append",
        &append,
    ];
    let folder = folder(work.path(), &arguments).unwrap();
    let mut machine = guest::machine("unused");
    machine.media = None;
    machine.network = Network::None;
    machine.memory_mib = 2048;
    // The first card gets an address too, of a network in which there is no server.
    let netdev = format!(
        "user,id=boot,tftp={},bootfile=bootx64.efi",
        folder.display()
    );
    let arguments = [
        "-netdev",
        "user,id=other,restrict=on",
        "-device",
        "virtio-net-pci,netdev=other,mac=52:54:00:00:00:01,romfile=",
        "-netdev",
        &netdev,
        "-device",
        "virtio-net-pci,netdev=boot,mac=52:54:00:00:00:02,bootindex=0",
    ];
    machine.extra.extend(arguments.map(Into::into));
    let mut guest = Guest::start(&machine).unwrap();
    guest.expect(" BOOTIF=01-52:54:00:00:00:02", BOOT).unwrap();
    checks(&mut guest).unwrap();
}
