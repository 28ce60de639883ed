//! What a build promises wherever it runs: no privilege, no programs, the same bytes, all or nothing.
#![expect(clippy::unwrap_used, reason = "a test ends with the first surprise")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use system_tests::builds::{self, Refusal, build, liveos};
use testkit::fixture::{Kernels, Part, TestSystem, test_system};
use testkit::tools;

/// The programs of the tests below; without them nothing here can run.
const TOOLS: [&str; 3] = ["mmdebstrap", "qemu-img", "mkfs.ext4"];

fn disk() -> Option<PathBuf> {
    tools::available(&TOOLS).then(|| test_system(&TestSystem::default()).unwrap())
}

fn sha256(path: &Path) -> String {
    let printed = tools::run("sha256sum", [path]).unwrap();
    printed.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn an_unprivileged_user_builds_with_an_empty_search_path_and_no_program_is_started() {
    let Some(disk) = disk() else { return };
    if !tools::available(&["strace", "setpriv"]) || !tools::is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(folder.path(), open).unwrap();
    // Copies that the user can read, whatever the folders of the fixtures allow.
    let own = |from: &Path, name: &str| {
        let to = folder.path().join(name);
        std::fs::copy(from, &to).unwrap();
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o755)).unwrap();
        to
    };
    let disk = own(&disk, "disk.qcow2");
    let program = own(&builds::programs().unwrap().liveos, "liveos");
    let trace = folder.path().join("trace");
    let iso = folder.path().join("live.iso");
    let mut command: Command = tools::command("setpriv");
    command
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--no-new-privs",
        ])
        .args(["--bounding-set=-all", "--inh-caps=-all"])
        .args([
            "strace",
            "-f",
            "-qq",
            "-e",
            "trace=execve,execveat,mount",
            "-o",
        ])
        .arg(&trace)
        .args(["env", "-i", "PATH="])
        .arg(&program)
        .arg("build")
        .arg(&disk)
        .arg("-o")
        .arg(&iso);
    tools::output(&mut command).unwrap();
    assert!(iso.is_file());
    let trace = std::fs::read_to_string(trace).unwrap();
    let calls: Vec<&str> = trace
        .lines()
        .filter(|line| ["execve", "mount("].iter().any(|call| line.contains(call)))
        .filter(|line| !line.contains("ENOENT"))
        .collect();
    // `env`, and the program itself.
    assert_eq!(calls.len(), 2, "{calls:#?}");
    assert!(calls[1].contains("/liveos\""), "{calls:#?}");
}

#[test]
fn two_builds_in_two_folders_time_zones_and_thread_counts_are_the_same_bytes() {
    let Some(disk) = disk() else { return };
    let digest = |threads: &str, zone: &str, locale: &str| {
        let folder = tempfile::tempdir().unwrap();
        let iso = folder.path().join(format!("{zone}.iso").replace('/', "-"));
        let mut command = liveos().unwrap();
        command
            .env("TZ", zone)
            .env("LANG", locale)
            .current_dir(folder.path());
        command
            .arg("build")
            .arg(&disk)
            .arg("-o")
            .arg(&iso)
            .args(["--threads", threads]);
        tools::output(&mut command).unwrap();
        sha256(&iso)
    };
    let first = digest("1", "Pacific/Auckland", "C");
    assert_eq!(first, digest("2", "America/Los_Angeles", "tr_TR.UTF-8"));
    assert_eq!(first, digest("7", "UTC", "C.UTF-8"));
}

#[test]
fn source_date_epoch_is_the_time_of_the_media() {
    let Some(disk) = disk() else { return };
    let folder = tempfile::tempdir().unwrap();
    let iso = folder.path().join("live.iso");
    let mut command = liveos().unwrap();
    command
        .env("SOURCE_DATE_EPOCH", "1000000000")
        .arg("build")
        .arg(&disk)
        .arg("-o")
        .arg(&iso);
    tools::output(&mut command).unwrap();
    let mut inspect = liveos().unwrap();
    inspect.arg("inspect").arg("--json").arg(&iso);
    let printed = tools::output(&mut inspect).unwrap();
    assert!(printed.contains("2001-09-09-01-46-40-00"), "{printed}");
}

#[test]
fn a_missing_folder_is_refused_before_anything_is_read() {
    let Some(disk) = disk() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut command = liveos().unwrap();
    command
        .arg("build")
        .arg(&disk)
        .arg("-o")
        .arg(folder.path().join("no/such/live.iso"));
    let refusal = Refusal::of(&command.output().unwrap()).unwrap();
    assert_eq!(refusal.code, Some(6), "{}", refusal.said);
    assert!(refusal.said.contains("does not exist"), "{}", refusal.said);
}

#[test]
fn a_full_disk_leaves_the_old_output_and_nothing_else() {
    let Some(disk) = disk() else { return };
    if !tools::is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("small");
    std::fs::create_dir(&small).unwrap();
    tools::run(
        "mount",
        [
            "-t",
            "tmpfs",
            "-o",
            "size=8m",
            "tmpfs",
            small.to_str().unwrap(),
        ],
    )
    .unwrap();
    let iso = small.join("live.iso");
    std::fs::write(&iso, b"the old one").unwrap();
    let mut command = liveos().unwrap();
    let done = command.arg("build").arg(&disk).arg("-o").arg(&iso).output();
    let left: Vec<_> = std::fs::read_dir(&small)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    let old = std::fs::read(&iso);
    tools::run("umount", [&small]).unwrap();
    let refusal = Refusal::of(&done.unwrap()).unwrap();
    assert_eq!(refusal.code, Some(6), "{}", refusal.said);
    assert!(refusal.said.contains("No space left"), "{}", refusal.said);
    assert_eq!(old.unwrap(), b"the old one");
    assert_eq!(left, ["live.iso"]);
}

#[test]
fn a_build_that_is_killed_leaves_the_old_output_and_nothing_else() {
    let Some(disk) = disk() else { return };
    let folder = tempfile::tempdir().unwrap();
    let iso = folder.path().join("live.iso");
    std::fs::write(&iso, b"the old one").unwrap();
    let mut command = liveos().unwrap();
    // Slow enough to be in the middle of it when the first bytes are written.
    command
        .arg("build")
        .arg(&disk)
        .arg("-o")
        .arg(&iso)
        .args(["--smallest", "--threads", "1"]);
    let mut child = command.spawn().unwrap();
    wait_until_it_writes(child.id(), folder.path());
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    assert_eq!(std::fs::read(&iso).unwrap(), b"the old one");
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "leftovers"
    );
}

/// Waits until the process has a file without a name open in `folder` that has some length.
fn wait_until_it_writes(process: u32, folder: &Path) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
    while std::time::Instant::now() < deadline {
        let files = std::fs::read_dir(format!("/proc/{process}/fd"))
            .into_iter()
            .flatten()
            .flatten();
        let writing = files.into_iter().any(|file| {
            let target = std::fs::read_link(file.path()).unwrap_or_default();
            let len = std::fs::metadata(file.path()).map_or(0, |metadata| metadata.len());
            target.starts_with(folder) && len > 1 << 20
        });
        if writing {
            return;
        }
        std::thread::yield_now();
    }
    panic!("it never wrote");
}

#[test]
fn an_image_that_cannot_become_media_is_refused_with_what_is_missing() {
    if disk().is_none() {
        return;
    }
    let without = |part| TestSystem {
        without: vec![part],
        ..TestSystem::default()
    };
    let no_kernel = TestSystem {
        kernels: Kernels::None,
        ..TestSystem::default()
    };
    for (wish, reason) in [
        (
            without(Part::OperatingSystem),
            "finding the operating system",
        ),
        (without(Part::EfiLoader), "shimx64.efi"),
        (no_kernel, "has no kernel"),
    ] {
        let disk = test_system(&wish).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let iso = folder.path().join("live.iso");
        let mut command = liveos().unwrap();
        let done = command
            .arg("build")
            .arg(&disk)
            .arg("-o")
            .arg(&iso)
            .output()
            .unwrap();
        let refusal = Refusal::of(&done).unwrap();
        assert_eq!(refusal.code, Some(4), "{wish:?}: {}", refusal.said);
        assert!(refusal.said.contains(reason), "{wish:?}: {}", refusal.said);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_bad_argument_is_exit_code_2_and_names_what_is_possible() {
    let folder = tempfile::tempdir().unwrap();
    let iso = folder.path().join("x.iso");
    for (arguments, reason) in [
        (vec!["--level", "40"], "1 to 22"),
        (
            vec!["--compression", "zip"],
            "possible values: zstd, gzip, xz, lz4",
        ),
        (
            vec!["--compression", "xz", "--level", "3"],
            "no meaning for xz",
        ),
    ] {
        let mut command = liveos().unwrap();
        command
            .args(["build", "/dev/null", "-o"])
            .arg(&iso)
            .args(&arguments);
        let refusal = Refusal::of(&command.output().unwrap()).unwrap();
        assert_eq!(refusal.code, Some(2), "{arguments:?}: {}", refusal.said);
        assert!(
            refusal.said.contains(reason),
            "{arguments:?}: {}",
            refusal.said
        );
    }
}

#[test]
fn reference_tools_read_what_was_built() {
    let Some(disk) = disk() else { return };
    if !tools::available(&["xorriso", "isoinfo", "unsquashfs", "fsck.fat", "sgdisk"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let iso = folder.path().join("live.iso");
    build(&disk, &iso, &["--volume-id", "TEST_MEDIA"]).unwrap();
    let iso_text = iso.to_str().unwrap();

    let report = tools::output(tools::command("xorriso").args([
        "-indev",
        iso_text,
        "-report_el_torito",
        "plain",
        "-report_system_area",
        "plain",
    ]))
    .unwrap();
    for fact in [
        "El Torito boot img :   1  BIOS",
        "El Torito boot img :   2  UEFI",
        "grub2-mbr",
    ] {
        assert!(report.contains(fact), "{fact} is not in {report}");
    }
    let listing = tools::run("isoinfo", ["-R", "-f", "-i", iso_text]).unwrap();
    for path in [
        "/liveos/rootfs.img",
        "/liveos/checksums",
        "/EFI/BOOT/BOOTX64.EFI",
        "/boot/grub/grub.cfg",
    ] {
        assert!(
            listing.lines().any(|line| line == path),
            "{path} is not in {listing}"
        );
    }
    let verified = tools::run("sgdisk", ["-v", iso_text]).unwrap();
    assert!(verified.contains("No problems found"), "{verified}");

    let extract = |path: &str, name: &str| {
        let to = folder.path().join(name);
        tools::output(
            tools::command("xorriso")
                .args(["-osirrox", "on", "-indev", iso_text, "-extract", path])
                .arg(&to),
        )
        .unwrap();
        to
    };
    let root = extract("/liveos/rootfs.img", "rootfs.img");
    let listing = tools::run("unsquashfs", ["-lls", root.to_str().unwrap()]).unwrap();
    assert!(
        listing.contains("squashfs-root/etc/os-release"),
        "{listing}"
    );
    let esp = extract("/boot/grub/efiboot.img", "efiboot.img");
    tools::run("fsck.fat", ["-n", esp.to_str().unwrap()]).unwrap();
}
