//! Disks with several partitions, made by the reference tools, become one tree as their `fstab` says.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "these tests start reference programs and read the environment"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use source::{Options, Origin, Role, Source, Warning};

const MIB: u64 = 1 << 20;

/// Whether the programs are there. Where one is not, the test is skipped, which CI does not accept.
fn need() -> bool {
    testkit::tools::available(&["mkfs.ext4", "mkfs.vfat", "mcopy", "mmd", "sfdisk"])
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn disk_of(source: &Source) -> &source::Disk {
    match &source.origin {
        Origin::Disk(disk) => disk,
        other => panic!("{other:?}"),
    }
}

/// A disk that is put together partition by partition.
struct Disk {
    folder: tempfile::TempDir,
    script: String,
    parts: Vec<PathBuf>,
}

impl Disk {
    fn new(scheme: &str) -> Self {
        let id = if scheme == "gpt" {
            ""
        } else {
            "label-id: 0x1234abcd\n"
        };
        Self {
            folder: tempfile::tempdir().unwrap(),
            script: format!("label: {scheme}\n{id}"),
            parts: Vec::new(),
        }
    }

    /// A partition of 16 MiB; `line` is what sfdisk is told of it besides its place.
    fn add(&mut self, line: &str, make: impl FnOnce(&Path)) -> &mut Self {
        let number = self.parts.len() + 1;
        let path = self.folder.path().join(format!("part{number}"));
        std::fs::File::create(&path)
            .unwrap()
            .set_len(16 * MIB)
            .unwrap();
        make(&path);
        let start = (self.parts.len() as u64 * 16 + 1) * 2048;
        self.script
            .push_str(&format!("start={start}, size=32768, {line}\n"));
        self.parts.push(path);
        self
    }

    fn ext4(&mut self, line: &str, mkfs: &[&str], files: &[(&str, &str)]) -> &mut Self {
        let tree = self.folder.path().join(format!("tree{}", self.parts.len()));
        std::fs::create_dir(&tree).unwrap();
        for (path, text) in files {
            let path = tree.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        self.add(line, |path| {
            let mut arguments = vec!["-q", "-F", "-d", tree.to_str().unwrap()];
            arguments.extend(mkfs);
            arguments.push(path.to_str().unwrap());
            run("mkfs.ext4", &arguments);
        })
    }

    fn esp(&mut self, line: &str) -> &mut Self {
        self.add(line, |path| {
            let path = path.to_str().unwrap();
            run("mkfs.vfat", &["-n", "ESP", "-i", "0011AABB", path]);
            run("mmd", &["-i", path, "::/EFI"]);
        })
    }

    fn write(&self) -> PathBuf {
        use std::io::Write as _;
        let path = self.folder.path().join("disk.raw");
        let disk = std::fs::File::create(&path).unwrap();
        disk.set_len((self.parts.len() as u64 * 16 + 2) * MIB)
            .unwrap();
        let mut sfdisk = Command::new("sfdisk")
            .args(["--quiet", "--no-reread", "--no-tell-kernel"])
            .arg(&path)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        sfdisk
            .stdin
            .take()
            .unwrap()
            .write_all(self.script.as_bytes())
            .unwrap();
        assert!(sfdisk.wait().unwrap().success());
        for (index, part) in self.parts.iter().enumerate() {
            use std::os::unix::fs::FileExt as _;
            let bytes = std::fs::read(part).unwrap();
            disk.write_all_at(&bytes, (index as u64 * 16 + 1) * MIB)
                .unwrap();
        }
        path
    }

    fn open(&self) -> block::Result<Source> {
        source::open(&self.write(), &Options::default())
    }
}

fn text(source: &Source, path: &str) -> String {
    let content = source
        .tree
        .file(path)
        .unwrap_or_else(|| panic!("{path} is missing"));
    String::from_utf8(content.read_all(1000).unwrap()).unwrap()
}

const OS: (&str, &str) = ("etc/os-release", "ID=test\n");
const ROOT_UUID: &str = "11111111-2222-3333-4444-555555555555";
const HOME_UUID: &str = "99999999-2222-3333-4444-555555555555";

#[test]
fn ref_every_way_to_name_a_partition_in_fstab_leads_to_it() {
    if !need() {
        return;
    }
    let fstab = format!(
        "UUID={} / ext4 defaults 0 1\nPARTUUID=AAAAAAAA-0000-0000-0000-000000000002 /home ext4 defaults 0 2\n\
         PARTLABEL=the\\040var /var ext4 defaults 0 2\nLABEL=srv /srv ext4 defaults 0 2\n\
         /dev/disk/by-uuid/0011-AABB /boot/efi vfat umask=0077 0 1\n/dev/nvme0n1p6 /opt ext4 ro 0 0\n",
        ROOT_UUID.to_uppercase()
    );
    let mut disk = Disk::new("gpt");
    disk.ext4(
        "name=root",
        &["-U", ROOT_UUID],
        &[OS, ("etc/fstab", &fstab), ("home/hidden", "x")],
    )
    .ext4(
        "uuid=aaaaaaaa-0000-0000-0000-000000000002",
        &["-U", HOME_UUID],
        &[("user/file", "home")],
    )
    .ext4("name=\"the var\"", &[], &[("log/file", "var")])
    .ext4("", &["-L", "srv"], &[("file", "srv")])
    .esp("type=U")
    .ext4("", &[], &[("file", "opt")]);
    let source = disk.open().unwrap();
    assert_eq!(source.warnings, []);
    for (path, expected) in [
        ("home/user/file", "home"),
        ("var/log/file", "var"),
        ("srv/file", "srv"),
        ("opt/file", "opt"),
    ] {
        assert_eq!(text(&source, path), expected);
    }
    assert!(
        source.tree.file("home/hidden").is_none(),
        "a mount hides what was there"
    );
    assert!(source.tree.resolve("boot/efi/EFI").is_ok());
    assert_eq!(disk_of(&source).volumes[0].role, Role::Root);
    assert_eq!(
        disk_of(&source).volumes[4].role,
        Role::MountedAt("/boot/efi".into())
    );
}

#[test]
fn ref_partitions_of_an_mbr_are_named_by_number_and_partuuid() {
    if !need() {
        return;
    }
    let fstab = "/dev/sda1 / ext4 defaults 0 1\nPARTUUID=1234abcd-02 /boot ext4 defaults 0 2\n";
    let mut disk = Disk::new("dos");
    disk.ext4("type=83, bootable", &[], &[OS, ("etc/fstab", fstab)])
        .ext4("type=83", &[], &[("vmlinuz-1", "kernel")]);
    let source = disk.open().unwrap();
    assert_eq!(text(&source, "boot/vmlinuz-1"), "kernel");
    assert_eq!(source.warnings, []);
}

#[test]
fn ref_what_fstab_mounts_and_is_not_there_is_named_and_so_is_what_it_does_not_mount() {
    if !need() {
        return;
    }
    let fstab = "LABEL=root / ext4 defaults 0 1\n/dev/mapper/vg-home /home ext4 defaults 0 2\nUUID=1 none swap sw 0 0\n";
    let mut disk = Disk::new("gpt");
    disk.ext4("", &["-L", "root"], &[OS, ("etc/fstab", fstab)])
        .ext4("", &["-L", "data"], &[("file", "x")]);
    let source = disk.open().unwrap();
    let expected = [
        Warning::NotOnDisk {
            spec: "/dev/mapper/vg-home".into(),
            mount_point: "/home".into(),
        },
        Warning::NotMounted {
            index: 2,
            what: "partition 2 (ext4 \"data\")".into(),
        },
    ];
    assert_eq!(source.warnings, expected);
}

#[test]
fn ref_an_esp_that_fstab_does_not_name_is_found_by_its_type() {
    if !need() {
        return;
    }
    let mut disk = Disk::new("gpt");
    disk.esp("type=U")
        .ext4("", &[], &[OS, ("boot/efi/.keep", "")]);
    std::fs::remove_file(disk.folder.path().join("tree1/boot/efi/.keep")).unwrap();
    let source = disk.open().unwrap();
    assert!(source.tree.resolve("boot/efi/EFI").is_ok());
    assert_eq!(source.warnings, []);
}

#[test]
fn ref_two_systems_on_one_disk_are_refused_unless_one_names_itself_as_root() {
    if !need() {
        return;
    }
    let mut disk = Disk::new("gpt");
    disk.ext4("", &["-L", "one"], &[OS])
        .ext4("", &["-L", "two"], &[OS]);
    let error = disk.open().unwrap_err();
    assert_eq!(error.kind(), block::Kind::Unsupported);
    let said = error.to_string();
    assert!(
        said.contains("\"one\"") && said.contains("\"two\""),
        "{said}"
    );

    let fstab = "LABEL=two / ext4 defaults 0 1\n";
    let mut disk = Disk::new("gpt");
    disk.ext4("", &["-L", "one"], &[OS])
        .ext4("", &["-L", "two"], &[OS, ("etc/fstab", fstab)]);
    assert_eq!(disk_of(&disk.open().unwrap()).volumes[1].role, Role::Root);
}

#[test]
fn ref_a_file_system_on_the_whole_disk_is_the_root() {
    if !need() {
        return;
    }
    let mut disk = Disk::new("gpt");
    disk.ext4("", &[], &[OS]);
    let source = source::open(&disk.parts[0], &Options::default()).unwrap();
    assert!(disk_of(&source).table.is_none());
    assert_eq!(text(&source, "etc/os-release"), "ID=test\n");
}

#[test]
fn ref_a_disk_without_a_system_says_what_was_seen() {
    if !need() {
        return;
    }
    let mut disk = Disk::new("gpt");
    disk.ext4("", &["-L", "data"], &[("file", "x")]);
    let error = disk.open().unwrap_err();
    assert_eq!(error.kind(), block::Kind::NotFound);
    assert!(
        error.to_string().contains("partition 1 (ext4 \"data\")"),
        "{error}"
    );
}

#[test]
fn bytes_that_are_no_disk_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("noise");
    std::fs::write(&path, vec![0xa5; 1 << 20]).unwrap();
    let error = source::open(&path, &Options::default()).unwrap_err();
    assert_eq!(error.kind(), block::Kind::Unsupported);
    assert_eq!(error.place().path.as_deref(), Some(path.as_path()));
}
