//! Systems that are an initramfs: with SELinux as an installed system has it, whole or not at all.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use contract::failure::{ATTRIBUTES_DAMAGED, Code, NOT_ALL_UNPACKED};
use contract::media as places;
use system_tests::media::{FOR_BOOTS, extract, iso, names};
use testkit::fixture::{self, Contents, Debian, Part, ROOT_PASSWORD, TestSystem};
use testkit::guest::{self, BOOT, COMMAND, Guest, PATIENT_KERNEL};
use testkit::tools;
use vm::{DirectKernel, Firmware, Machine};

const FULL_OS: [&str; 2] = ["--initramfs-type", "full-os"];

/// A policy that does not fit its system denies hundreds of accesses in a boot; Debian's denies six, of an installed system too.
const FEW_DENIALS: u32 = 12;

#[test]
fn ref_selinux_is_enforced_with_every_label_and_a_file_capability() {
    if !tools::available(&FOR_BOOTS) || !tools::available(&["mmdebstrap"]) {
        return;
    }
    if !tools::is_root() {
        skipped("root, who can set labels");
        return;
    }
    selinux().unwrap();
}

#[expect(clippy::print_stderr, reason = "a skipped test says so in its output")]
fn skipped(needs: &str) {
    assert!(!tools::in_ci(), "needs {needs}");
    eprintln!("SKIPPED: needs {needs}");
}

fn selinux() -> Result<()> {
    let disk = fixture::debian(&Debian {
        suite: "bookworm",
        contents: Contents::SeLinux,
    })?;
    let mut machine = guest::machine(iso(&disk, &FULL_OS)?);
    machine.memory_mib = 2048;
    let mut guest = Guest::start(&machine)?;
    guest.log_in("root", ROOT_PASSWORD, BOOT)?;
    for (command, expected) in [
        ("getenforce", "Enforcing"),
        ("findmnt -n -o FSTYPE /", "tmpfs"),
        (
            "cat /proc/1/attr/current | tr -d '\\0'",
            "system_u:system_r:init_t:s0",
        ),
        (
            "stat -c %C /usr/bin/passwd",
            "system_u:object_r:passwd_exec_t:s0",
        ),
        ("stat -c %C /etc/shadow", "system_u:object_r:shadow_t:s0"),
        ("stat -c %C /", "system_u:object_r:root_t:s0"),
        (
            "touch /tmp/new && stat -c %C /tmp/new",
            "unconfined_u:object_r:user_tmp_t:s0",
        ),
        ("getcap /usr/bin/ping", "/usr/bin/ping cap_net_raw=ep"),
        (
            "systemctl is-system-running --wait || systemctl --failed --no-legend",
            "running",
        ),
        (
            "ls -a / | grep liveos || echo nothing of ours",
            "nothing of ours",
        ),
        // What containers do: nothing can be pivoted on the kernel's own root.
        (
            "unshare --mount sh -c 'mount -t tmpfs t /mnt && mkdir /mnt/o && cd /mnt && pivot_root . o' && echo pivots",
            "pivots",
        ),
    ] {
        let found = guest.command(command)?;
        ensure!(found == expected, "{command}: {found}");
    }
    let denials = guest.command("dmesg | grep 'avc: *denied' || true")?;
    let count = u32::try_from(denials.lines().count())?;
    ensure!(count <= FEW_DENIALS, "{count} denials:\n{denials}");
    guest.send("poweroff\n")?;
    let status = guest.wait_for_end(COMMAND)?;
    ensure!(status.success(), "QEMU ended with {status}");
    Ok(())
}

/// The kernel and the initramfs of a test system that is one.
fn small(folder: &Path) -> Result<Option<(PathBuf, PathBuf)>> {
    if !tools::available(&FOR_BOOTS) || !tools::available(&["cpio"]) {
        return Ok(None);
    }
    let disk = fixture::test_system(&TestSystem {
        without: vec![Part::LargeFile],
        ..TestSystem::default()
    })?;
    let iso = iso(&disk, &FULL_OS)?;
    let boot = names(&iso, "/boot")?;
    let kernel = boot.iter().find(|name| name.starts_with("vmlinuz-"));
    let kernel = kernel.context("the ISO has no kernel")?;
    let files = (folder.join("kernel"), folder.join("initramfs"));
    extract(&iso, &format!("/boot/{kernel}"), &files.0)?;
    extract(&iso, &format!("/{}", places::FULL_OS_INITRAMFS), &files.1)?;
    Ok(Some(files))
}

fn machine((kernel, initramfs): &(PathBuf, PathBuf), parameters: &str) -> Machine {
    let mut machine = guest::machine("");
    machine.media = None;
    machine.firmware = Firmware::Bios;
    machine.kernel = Some(DirectKernel {
        kernel: kernel.clone(),
        initramfs: initramfs.clone(),
        command_line: format!("console=ttyS0 quiet panic=-1 {PATIENT_KERNEL} {parameters}"),
    });
    machine
}

/// Waits for the refusal with `code`; it must come before anything of the system runs.
fn stops(machine: &Machine, code: Code) -> Result<()> {
    let mut guest = Guest::start(machine)?;
    let refusal = format!("liveos-init: {}", code.code);
    let (which, text) = guest.expect_any(&["CHECKS BEGIN", &refusal], BOOT)?;
    ensure!(which == 1, "it booted: {text}");
    Ok(())
}

#[test]
fn ref_the_kernel_may_unpack_it_into_a_tmpfs_or_a_ramfs() {
    let folder = tempfile::tempdir().unwrap();
    let Some(files) = small(folder.path()).unwrap() else {
        return;
    };
    for parameters in ["", "rootfstype=ramfs", "rootfstype=tmpfs"] {
        let mut guest = Guest::start(&machine(&files, parameters)).unwrap();
        guest.expect("CHECKS BEGIN", BOOT).unwrap();
        let report = guest.expect("ALL CHECKS DONE", BOOT).unwrap();
        // The root is no overlay, and the file of 5 GiB is left out.
        let failed: Vec<_> = report
            .lines()
            .filter(|line| line.contains(" FAILED"))
            .filter(|line| !line.contains("10-root") && !line.contains("70-sparse"))
            .collect();
        assert!(failed.is_empty(), "{parameters}: {failed:?}");
        assert!(report.contains("20-xattr ok"), "{report}");
    }
}

#[test]
fn ref_a_list_of_attributes_that_was_changed_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let Some((kernel, initramfs)) = small(folder.path()).unwrap() else {
        return;
    };
    let list = places::ATTRIBUTES.trim_start_matches('/');
    for (text, code) in [
        (
            "liveos attributes 1\ncontent 1\nfiles 1\n",
            ATTRIBUTES_DAMAGED,
        ),
        (
            "liveos attributes 1\ncontent 1\nfiles 1\nvalue user.a 61\nset 0\npath 0 /not/there\n",
            ATTRIBUTES_DAMAGED,
        ),
    ] {
        let added = archive(folder.path(), list, text).unwrap();
        let changed = folder.path().join("changed");
        let bytes = [fs::read(&initramfs).unwrap(), added].concat();
        fs::write(&changed, bytes).unwrap();
        let machine = machine(&(kernel.clone(), changed), "");
        stops(&machine, code).context(text).unwrap();
    }
}

/// A cpio archive of one file, as GNU cpio makes it.
fn archive(folder: &Path, path: &str, text: &str) -> Result<Vec<u8>> {
    let work = folder.join("added");
    let file = work.join(path);
    fs::create_dir_all(file.parent().context("a path with a folder")?)?;
    fs::write(&file, text)?;
    let mut command = tools::command("cpio");
    command
        .args(["--quiet", "-o", "-H", "newc", "-R", "0:0"])
        .current_dir(&work)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let mut input = child.stdin.take().context("cpio has no input")?;
    writeln!(input, "{path}")?;
    drop(input);
    Ok(child.wait_with_output()?.stdout)
}

#[test]
fn ref_a_system_of_which_the_memory_holds_a_part_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let Some((kernel, initramfs)) = small(folder.path()).unwrap() else {
        return;
    };
    // Behind the program and before the list: the kernel stops here as where memory ends.
    let whole = fs::read(&initramfs).unwrap();
    let cut = folder.path().join("cut");
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    stops(&machine(&(kernel, cut), ""), NOT_ALL_UNPACKED).unwrap();
}
