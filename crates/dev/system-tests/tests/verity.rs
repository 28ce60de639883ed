//! Media whose root file system image the kernel verifies as it reads it: good ones, damaged ones, and the wrong ones.
#![expect(clippy::unwrap_used, reason = "in a test a failure has to be loud")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use contract::failure::{VERITY_DAMAGED, VERITY_MISMATCH, VERITY_NO_TREE};
use sha2::{Digest as _, Sha256};
use system_tests::builds::{self, Refusal, liveos};
use system_tests::media::{FOR_BOOTS, extract, names, place, stops};
use testkit::fixture::{self, TestSystem};
use testkit::guest::{self, BOOT, COMMAND, Guest, PATIENT_KERNEL};
use testkit::tools;
use vm::{Attach, DirectKernel, Firmware, Machine};

/// What an entry of the boot menu has on its command line, but for the root hash.
const LIVE: &str = "root=live:CDLABEL=CDROM rd.live.image rd.live.dir=liveos rd.live.squashimg=rootfs.img \
    rd.live.overlay.overlayfs=1 console=ttyS0 quiet panic=-1";

/// A file that nothing needs, which squashfs stores as it is, as nothing makes it smaller.
const VICTIM: usize = 400_000;

/// Checks in the system, beside its own ten: that the root comes from a verity device, and that a file has its content or cannot be read.
const CHECK: &str = r#"#!/bin/busybox sh
grep -q '^/dev/dm-[0-9]* /run/initramfs/squashfs squashfs' /proc/mounts || { grep squashfs /proc/mounts; exit 1; }
if grep -qw victim.damaged /proc/cmdline; then
  if cat /etc/victim >/run/victim; then echo "it was read"; exit 1; fi
  exit 0
fi
cd / && sha256sum -c /etc/victim.sha256
"#;

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The content of the file.
fn victim() -> Vec<u8> {
    let block = |number: usize| Sha256::digest(number.to_le_bytes()).to_vec();
    let mut bytes: Vec<u8> = (0..VICTIM / 32).flat_map(block).collect();
    bytes.resize(VICTIM, 0);
    bytes
}

/// An ISO of the test system with the file and the check, kept until the program changes; nothing where a tool is missing.
fn media() -> Option<PathBuf> {
    if !tools::available(&FOR_BOOTS) {
        return None;
    }
    let disk = fixture::test_system(&TestSystem::default()).unwrap();
    let program = fs::read(builds::programs().unwrap().liveos).unwrap();
    let known = digest(
        &[
            program,
            CHECK.into(),
            disk.as_os_str().as_encoded_bytes().into(),
        ]
        .concat(),
    );
    let folder = fixture::cached("iso-verity", &known, |folder| {
        fs::write(folder.join("victim"), victim())?;
        let sum = format!("{}  etc/victim\n", digest(&victim()));
        fs::write(folder.join("victim.sha256"), sum)?;
        fs::write(folder.join("check"), CHECK)?;
        fs::write(folder.join("config.yaml"), CONFIG)?;
        let config = folder.join("config.yaml");
        let arguments = ["--append", PATIENT_KERNEL, "-c", config.to_str().unwrap()];
        builds::build(&disk, &folder.join("live.iso"), &arguments).map(drop)
    });
    let folder = folder.unwrap();
    fixture::keep_only("iso-verity", &folder).unwrap();
    Some(folder.join("live.iso"))
}

const CONFIG: &str = "os:
  additionalFiles:
  - {source: victim, destination: /etc/victim, permissions: '644'}
  - {source: victim.sha256, destination: /etc/victim.sha256, permissions: '644'}
  - {source: check, destination: /etc/checks.d/95-verity, permissions: '755'}
";

/// The text of a file on the ISO.
fn text(iso: &Path, path: &str) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("file");
    extract(iso, path, &file)?;
    Ok(fs::read_to_string(file)?)
}

/// The parameter in a boot configuration that has the root hash, the same wherever it is.
fn parameter(config: &str) -> Option<String> {
    let mut found: Vec<&str> = config
        .split_whitespace()
        .filter(|word| word.starts_with("liveos.verity="))
        .collect();
    found.dedup();
    assert!(found.len() <= 1, "{found:?}");
    let found = (*found.first()?).to_owned();
    let digits = found.strip_prefix("liveos.verity=sha256:").unwrap();
    assert!(
        digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()),
        "{found}"
    );
    Some(found)
}

/// A machine that starts the kernel of `iso` directly, with the root hash of its boot configuration and `parameters`, which win.
fn direct(iso: &Path, parameters: &str, folder: &Path) -> Result<Machine> {
    let mut machine = guest::machine(iso);
    machine.firmware = Firmware::Bios;
    let names = names(iso, "/boot")?;
    let kernel_name = names.iter().find(|name| name.starts_with("vmlinuz-"));
    let version = kernel_name.and_then(|name| name.strip_prefix("vmlinuz-"));
    let version = version.context("the ISO has no kernel")?;
    let (kernel, initramfs) = (folder.join("kernel"), folder.join("initramfs"));
    extract(iso, &format!("/boot/vmlinuz-{version}"), &kernel)?;
    extract(iso, &format!("/boot/initramfs-{version}.img"), &initramfs)?;
    let own = parameter(&text(iso, "/boot/grub/grub.cfg")?).context("there is no root hash")?;
    let own = if parameters.contains("liveos.verity=") {
        ""
    } else {
        &own
    };
    machine.kernel = Some(DirectKernel {
        kernel,
        initramfs,
        command_line: format!("{LIVE} {own} {PATIENT_KERNEL} {parameters}"),
    });
    Ok(machine)
}

/// A copy of `iso` with one bit flipped at `at`.
fn flipped(iso: &Path, at: u64, folder: &Path) -> PathBuf {
    let copy = folder.join("flipped.iso");
    fs::copy(iso, &copy).unwrap();
    let file = File::options().read(true).write(true).open(&copy).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    copy
}

/// Where the root file system image begins on the ISO, and where its hash tree's superblock is.
fn places(iso: &Path) -> (u64, u64) {
    let (start, _) = place(iso, "/liveos/rootfs.img").unwrap();
    let mut len = [0; 8];
    File::open(iso)
        .unwrap()
        .read_exact_at(&mut len, start + 40)
        .unwrap();
    let tree = start + u64::from_le_bytes(len).next_multiple_of(4096);
    (start, tree)
}

/// Waits for the checks of the system, its own ten and ours.
fn checks(machine: &Machine) -> Result<()> {
    let mut guest = Guest::start(machine)?;
    guest.expect("CHECKS BEGIN", BOOT)?;
    let report = guest.expect("ALL CHECKS DONE", BOOT)?;
    ensure!(
        !report.contains(" FAILED") && report.contains("CHECK 95-verity ok"),
        "{report}"
    );
    guest.wait_for_end(COMMAND).map(drop)
}

#[test]
fn ref_media_boot_from_a_verity_device_as_their_boot_menu_says() {
    let Some(iso) = media() else {
        return;
    };
    let mut machine = guest::machine(&iso);
    machine.firmware = Firmware::Bios;
    checks(&machine).unwrap();
}

#[test]
fn ref_a_flipped_bit_in_a_file_is_an_error_for_who_reads_it_and_the_system_runs() {
    let Some(iso) = media() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let bytes = fs::read(&iso).unwrap();
    let wanted = &victim()[200_000..200_064];
    let at = bytes
        .windows(64)
        .position(|window| window == wanted)
        .unwrap();
    let mut machine = direct(&iso, "victim.damaged", folder.path()).unwrap();
    machine.media.as_mut().unwrap().path = flipped(&iso, at as u64, folder.path());
    checks(&machine).unwrap();
    // The check does find what is not damaged.
    machine.media.as_mut().unwrap().path = iso;
    checks(&machine).unwrap_err();
}

#[test]
fn ref_what_cannot_be_verified_does_not_boot() {
    let Some(iso) = media() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (image, tree) = places(&iso);
    let other = format!("liveos.verity=sha256:{}", "5a".repeat(32));
    for (at, parameters, code) in [
        // The time in the image's superblock, the tree's superblock, and its highest level.
        (Some(image + 9), "", VERITY_DAMAGED),
        (Some(tree), "", VERITY_NO_TREE),
        (Some(tree + 4096 + 5), "", VERITY_MISMATCH),
        (None, other.as_str(), VERITY_MISMATCH),
    ] {
        let mut machine = direct(&iso, parameters, folder.path()).unwrap();
        if let Some(at) = at {
            machine.media.as_mut().unwrap().path = flipped(&iso, at, folder.path());
        }
        stops(&machine, code)
            .context(format!("{at:?} {parameters}"))
            .unwrap();
        for name in ["kernel", "initramfs"] {
            fs::remove_file(folder.path().join(name)).unwrap();
        }
    }
}

#[test]
fn ref_of_two_media_with_one_label_the_right_one_is_taken() {
    let Some(iso) = media() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (_, tree) = places(&iso);
    let wrong = flipped(&iso, tree + 4096 + 5, folder.path());
    let mut machine = direct(&iso, "", folder.path()).unwrap();
    for (first, second) in [(&wrong, &iso), (&iso, &wrong)] {
        let media = machine.media.as_mut().unwrap();
        media.path.clone_from(first);
        media.attach = Attach::Disk;
        let drive = format!("file={},format=raw,if=virtio,readonly=on", second.display());
        let mut with_two = machine.clone();
        with_two.extra.extend(["-drive".into(), drive.into()]);
        checks(&with_two).unwrap();
    }
}

#[test]
fn ref_the_root_hash_stays_with_the_image_through_an_edit_and_a_new_build() {
    let Some(iso) = media() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let grub = "/boot/grub/grub.cfg";
    let own = parameter(&text(&iso, grub).unwrap()).unwrap();

    let edited = folder.path().join("edited.iso");
    let mut edit = liveos().unwrap();
    edit.arg("edit")
        .arg(&iso)
        .args(["--append", "a=b", "-o"])
        .arg(&edited);
    tools::output(&mut edit).unwrap();
    assert_eq!(parameter(&text(&edited, grub).unwrap()).unwrap(), own);
    // Media do not boot without it.
    let mut edit = liveos().unwrap();
    edit.arg("edit")
        .arg(&edited)
        .args(["--delete", "liveos.verity"]);
    Refusal::of(&edit.output().unwrap()).unwrap();

    let again = folder.path().join("again.iso");
    builds::build(&iso, &again, &["--append", "a=b"]).unwrap();
    assert_eq!(parameter(&text(&again, grub).unwrap()).unwrap(), own);
    let image = |iso: &Path| {
        let (start, len) = place(iso, "/liveos/rootfs.img").unwrap();
        let mut bytes = vec![0; len as usize];
        File::open(iso)
            .unwrap()
            .read_exact_at(&mut bytes, start)
            .unwrap();
        bytes
    };
    assert!(
        image(&again) == image(&iso),
        "the image is not passed on as it is"
    );
    let without = folder.path().join("without.iso");
    builds::build(&iso, &without, &["--no-verity"]).unwrap();
    assert_eq!(parameter(&text(&without, grub).unwrap()), None);
    let (_, tree) = places(&iso);
    let (start, len) = place(&without, "/liveos/rootfs.img").unwrap();
    assert_eq!(start + len, tree - places(&iso).0 + start);

    // Damaged media are not given a new root hash: what is made of them is as damaged as they are. Here in the tree, of which a build
    // reads the first block alone.
    let damaged = flipped(&iso, tree + 2 * 4096 + 100, folder.path());
    let of_damaged = folder.path().join("x.iso");
    builds::build(&damaged, &of_damaged, &[]).unwrap();
    assert_eq!(parameter(&text(&of_damaged, grub).unwrap()).unwrap(), own);
    let (said, code) = check(&of_damaged);
    assert_eq!(code, Some(7), "{said}");
}

#[test]
fn ref_a_server_gives_the_root_hash_of_the_image_that_it_has() {
    let Some(iso) = media() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out");
    let arguments = [
        "-f",
        "pxe-dir",
        "--initramfs-type",
        "bootstrap",
        "--bootstrap-url",
        "http://h/a.iso",
    ];
    builds::build(&iso, &output, &arguments).unwrap();
    let own = parameter(&text(&iso, "/boot/grub/grub.cfg").unwrap()).unwrap();
    for name in ["boot.ipxe", "boot/grub/grub.cfg"] {
        let config = fs::read_to_string(output.join(name)).unwrap();
        assert_eq!(parameter(&config).as_ref(), Some(&own), "{name}");
    }
    for name in ["a.iso", "http-boot.iso"] {
        let config = text(&output.join(name), "/boot/grub/grub.cfg").unwrap();
        assert_eq!(parameter(&config).as_ref(), Some(&own), "{name}");
    }
}

/// What `liveos check` prints of these media, and its exit code.
fn check(media: &Path) -> (String, Option<i32>) {
    let done = liveos().unwrap().arg("check").arg(media).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    (said, done.status.code())
}

#[test]
fn ref_check_names_the_file_that_is_damaged_and_no_other() {
    let Some(iso) = media() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (said, code) = check(&iso);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("good: liveos/rootfs.img") && !said.contains("bad:"),
        "{said}"
    );
    let bytes = fs::read(&iso).unwrap();
    let wanted = &victim()[200_000..200_064];
    let of_victim = bytes
        .windows(64)
        .position(|window| window == wanted)
        .unwrap() as u64;
    let kernel = names(&iso, "/boot").unwrap();
    let kernel = kernel
        .iter()
        .find(|name| name.starts_with("vmlinuz-"))
        .unwrap();
    let (of_kernel, len) = place(&iso, &format!("/boot/{kernel}")).unwrap();
    let (image, tree) = places(&iso);
    for (at, named) in [
        (of_victim, "the file /etc/victim is damaged".to_owned()),
        (of_kernel + len / 2, format!("/boot/{kernel}")),
        (image + 9, "the image's own tables".to_owned()),
        (tree + 4096 + 5, "has not the root hash".to_owned()),
        (tree, "there is no hash tree".to_owned()),
    ] {
        let (said, code) = check(&flipped(&iso, at, folder.path()));
        assert_eq!(code, Some(7), "{said}");
        assert!(said.contains(&named), "{at}: {said}");
        let is_kernels = at == of_kernel + len / 2;
        assert_eq!(said.contains("vmlinuz"), is_kernels, "{at}: {said}");
    }
}

#[test]
fn ref_check_refuses_what_is_cut_off_or_no_medium() {
    let Some(iso) = media() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.iso");
    let bytes = fs::read(&iso).unwrap();
    fs::write(&cut, &bytes[..bytes.len() * 2 / 3]).unwrap();
    assert_eq!(check(&cut).1, Some(7));
    fs::write(&cut, "no medium").unwrap();
    assert_eq!(check(&cut).1, Some(4));
    assert_eq!(check(&folder.path().join("gone")).1, Some(4));
}
