//! Input that is damaged or poor: an error and nothing left, or media and a warning.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use system_tests::builds::{Refusal, build, liveos};
use testkit::fixture::{Part, Partitions, TestSystem, test_system};
use testkit::tools;

/// The programs that make the disk.
const TOOLS: [&str; 4] = ["apt-get", "qemu-img", "mkfs.ext4", "mcopy"];

/// The exit code for input that is at fault.
const INPUT: i32 = 4;

/// Builds from `disk` and answers with what was wrong with how that was refused, if anything.
fn fault(disk: &Path) -> anyhow::Result<Option<String>> {
    let folder = tempfile::tempdir()?;
    let mut command = liveos()?;
    command
        .arg("build")
        .arg(disk)
        .arg("-o")
        .arg(folder.path().join("live.iso"));
    let refusal = Refusal::of(&command.output()?)?;
    let left = fs::read_dir(folder.path())?.count();
    let whole = refusal.code == Some(INPUT) && refusal.said.starts_with("error: ") && left == 0;
    Ok((!whole).then(|| format!("{:?}, {left} files left: {}", refusal.code, refusal.said)))
}

#[test]
fn ref_a_truncated_disk_image_is_refused_wherever_it_ends() {
    if !tools::available(&TOOLS) {
        return;
    }
    let disk = test_system(&TestSystem::default()).unwrap();
    let len = fs::metadata(&disk).unwrap().len();
    let damaged = tempfile::NamedTempFile::new().unwrap();
    fs::copy(&disk, damaged.path()).unwrap();
    // From the end to the start, so that each is a part of the one before.
    for part in [len / 3, 400_000, 65536, 511, 3, 0] {
        File::options()
            .write(true)
            .open(damaged.path())
            .unwrap()
            .set_len(part)
            .unwrap();
        assert_eq!(fault(damaged.path()).unwrap(), None, "with {part} bytes");
    }
}

#[test]
fn ref_no_flipped_bit_of_the_disk_images_header_ends_the_program_otherwise_than_with_a_code() {
    if !tools::available(&TOOLS) {
        return;
    }
    let disk = test_system(&TestSystem::default()).unwrap();
    let damaged = tempfile::NamedTempFile::new().unwrap();
    fs::copy(&disk, damaged.path()).unwrap();
    let file = File::options()
        .read(true)
        .write(true)
        .open(damaged.path())
        .unwrap();
    for at in (0..104).step_by(3) {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 0x40], at).unwrap();
        let done = liveos()
            .unwrap()
            .args(["inspect"])
            .arg(damaged.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(
            matches!(done.status.code(), Some(0 | INPUT)),
            "byte {at}: {:?} {said}",
            done.status
        );
        file.write_all_at(&byte, at).unwrap();
    }
}

#[test]
fn ref_what_is_no_disk_image_or_not_there_is_refused() {
    let noise = tempfile::NamedTempFile::new().unwrap();
    fs::write(noise.path(), vec![0x5a; 1 << 20]).unwrap();
    assert_eq!(fault(noise.path()).unwrap(), None);
    assert_eq!(fault(Path::new("/no/such.qcow2")).unwrap(), None);
}

#[test]
fn ref_media_that_cannot_boot_on_a_bios_are_made_with_a_warning() {
    if !tools::available(&TOOLS) {
        return;
    }
    let wish = TestSystem {
        without: vec![Part::BiosLoader],
        partitions: Partitions::Root,
        ..TestSystem::default()
    };
    let disk = test_system(&wish).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let said = build(&disk, &folder.path().join("live.iso"), &[]).unwrap();
    // Where the builder's machine has the modules, there is nothing to warn of.
    let host_has_modules = Path::new("/usr/lib/grub/i386-pc/kernel.img").exists();
    assert_eq!(said.contains("BIOS"), !host_has_modules, "{said}");
}
