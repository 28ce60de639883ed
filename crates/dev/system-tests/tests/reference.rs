//! What the kernel shows of the disk, it shows of the root file system image that was made from it.

use std::path::Path;

use anyhow::Result;
use system_tests::media::{extract, iso};
use testkit::fixture::{self, TestSystem};
use testkit::tools;

/// A list of the tree under the working folder: kind, mode, owners, links, size, target and name of each node, the number
/// of a device, and the SHA-256 of each file.
const LIST: &str = r#"set -eu
{ find . ! -type f ! -type d -printf '%y %m %U:%G %n %s %l %p\n'
  find . -type d -printf '%y %m %U:%G %p\n'
  find . -type f -printf '%y %m %U:%G %n %s %p\n'
  find . \( -type b -o -type c \) -exec stat -c '%n %t:%T' {} +
  find . -type f -exec sha256sum {} +
  getfattr --recursive --no-dereference --absolute-names --dump --match=- --encoding=hex .
} | LC_ALL=C sort
"#;

/// Mounts the file system at `offset` in `image` and lists it; `left_out` are paths that are not compared.
fn list(image: &Path, offset: u64, left_out: &str) -> Result<Vec<String>> {
    let script = format!(
        "mount -o ro,loop,offset={offset} \"$1\" /mnt && cd /mnt && {{ {LIST} }} | grep -vE '{left_out}'"
    );
    let mut command = tools::command("unshare");
    command
        .args(["--mount", "bash", "-c", &script, "bash"])
        .arg(image);
    Ok(tools::output(&mut command)?
        .lines()
        .map(str::to_owned)
        .collect())
}

#[test]
fn ref_the_kernel_finds_the_root_of_the_disk_in_the_root_file_system_image() {
    if !tools::available(&[
        "qemu-img",
        "mkfs.ext4",
        "mcopy",
        "apt-get",
        "xorriso",
        "getfattr",
        "unshare",
    ]) {
        return;
    }
    if !tools::is_root() {
        eprintln!("SKIPPED: needs root, to mount");
        return;
    }
    let disk = fixture::test_system(&TestSystem::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (raw, image) = (folder.path().join("raw"), folder.path().join("rootfs.img"));
    let mut convert = tools::command("qemu-img");
    tools::output(convert.args(["convert", "-O", "raw"]).arg(&disk).arg(&raw)).unwrap();
    let mut read = tools::command("sfdisk");
    let table = tools::output(read.arg("--json").arg(&raw)).unwrap();
    let start = table
        .rsplit("\"start\":")
        .next()
        .unwrap()
        .split(',')
        .next()
        .unwrap()
        .trim();
    extract(&iso(&disk, &[]).unwrap(), "/liveos/rootfs.img", &image).unwrap();
    // A live system has its /boot on the medium and another fstab; and only ext4 has a lost+found.
    let left_out = r" \./etc/fstab$| \./boot(/|$| )|lost\+found|^d [0-9]+ [0-9:]+ \.(/etc)?$";
    let expected = list(&raw, start.parse::<u64>().unwrap() * 512, left_out).unwrap();
    let found = list(&image, 0, left_out).unwrap();
    let missing: Vec<_> = expected
        .iter()
        .filter(|line| !found.contains(line))
        .collect();
    let added: Vec<_> = found
        .iter()
        .filter(|line| !expected.contains(line))
        .collect();
    assert!(
        missing.is_empty() && added.is_empty(),
        "missing: {missing:#?}\nadded: {added:#?}"
    );
    assert!(expected.len() > 1000);
}
