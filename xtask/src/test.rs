//! `cargo xtask test`: every tier of tests, what was skipped and why, and one line at the end that counts them.
//!
//! | tier     | tests                                              | needs                                   |
//! |----------|----------------------------------------------------|-----------------------------------------|
//! | `crates` | unit, crate and reference tests of every crate     | the reference tools; without: skipped   |
//! | `system` | whole builds and boots, from `crates/dev/system-tests` | QEMU, OVMF, mmdebstrap; without: skipped |
//!
//! In continuous integration (`CI` is set) nothing is skipped: what is missing is installed or is a failure.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use testkit::programs::cargo;
use testkit::{fixture, tools};

use crate::steps::Steps;

mod counts;

use counts::Counts;

/// A tier: its name, and the arguments by which Cargo selects its tests.
const TIERS: [(&str, &[&str]); 2] = [
    ("crates", &["--workspace", "--exclude", "system-tests"]),
    ("system", &["--package", "system-tests"]),
];

/// The Debian packages of all reference tools and of what the boot tests need.
const PACKAGES: &[&str] = &[
    "acl",
    "attr",
    "btrfs-progs",
    "busybox-static",
    "cpio",
    "createrepo-c",
    "cryptsetup-bin",
    "debian-archive-keyring",
    "debootstrap",
    "dnf",
    "dnsmasq-base",
    "dosfstools",
    "e2fsprogs",
    "erofs-utils",
    "fdisk",
    "gdisk",
    "genisoimage",
    "grub-common",
    "grub-efi-amd64-bin",
    "grub-pc-bin",
    "iproute2",
    "isolinux",
    "isomd5sum",
    "kmod",
    "libcap2-bin",
    "live-build",
    "lz4",
    "mmdebstrap",
    "mtools",
    "musl-tools",
    "ntfs-3g",
    "openssl",
    "ovmf",
    "passwd",
    "policycoreutils",
    "python3-pip",
    "python3-jsonschema",
    "qemu-system-x86",
    "qemu-utils",
    "rpm",
    "sbsigntool",
    "selinux-policy-default",
    "selinux-utils",
    "squashfs-tools",
    "strace",
    "syslinux-common",
    "systemd",
    "tar",
    "time",
    "uidmap",
    "util-linux",
    "whois",
    "xfsprogs",
    "xorriso",
    "xz-utils",
    "zstd",
];

/// Runs the tiers that are named, or all of them.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let all = words.iter().any(|word| word == "--all");
    let named: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .filter(|word| *word != "--all")
        .collect();
    if let Some(unknown) = named
        .iter()
        .find(|name| !TIERS.iter().any(|(tier, _)| tier == *name))
    {
        let tiers: Vec<_> = TIERS.iter().map(|(tier, _)| *tier).collect();
        bail!(
            "there is no tier {unknown:?}; there are {}",
            tiers.join(", ")
        );
    }
    let mut steps = Steps::default();
    install(&mut steps)?;
    let mut counts = Counts::default();
    for (tier, selection) in TIERS {
        if named.is_empty() || named.contains(&tier) {
            steps.step(&format!("tier {tier}"), || {
                cargo_test(selection, all, &mut counts)
            })?;
        }
    }
    steps.print();
    counts.print_skipped();
    println!("\n{counts}");
    if counts.failed > 0 {
        bail!("{} tests failed", counts.failed)
    } else {
        Ok(())
    }
}

/// Installs what is missing. Where that may not be, tests are skipped instead, but not in continuous integration.
fn install(steps: &mut Steps) -> Result<()> {
    let mut packages = PACKAGES.to_vec();
    packages.extend(
        fixture::PACKAGES
            .iter()
            .filter(|name| !PACKAGES.contains(name)),
    );
    match steps.step("packages", || tools::need(&packages)) {
        Err(error) if !tools::in_ci() => {
            eprintln!("{error:#}");
            Ok(())
        }
        other => other.map(drop),
    }
}

fn cargo_test(selection: &[&str], all: bool, counts: &mut Counts) -> Result<()> {
    let mut command = cargo();
    command
        .args(["test", "--no-fail-fast"])
        .args(selection)
        .args(["--", "--show-output"]);
    if all {
        command.env(tools::ALL_TESTS, "1");
    }
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("starting cargo")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let before = counts.failed;
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        if counts.take(&line) {
            println!("{line}");
        }
    }
    let status = child.wait()?;
    if !status.success() && counts.failed == before {
        // Nothing was counted: it did not compile, or a test program died.
        counts.failed += 1;
        eprintln!("cargo test ended with {status}");
    }
    Ok(())
}
