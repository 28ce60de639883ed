//! Configuration files as people write them, for the tool whose schema this is and for ours, read whole.
#![expect(clippy::unwrap_used, reason = "a test ends where a step fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use config::file::{Overrides, load};
use config::settings::{
    AdditionalFile, BootstrapUrl, DracutModules, FileSource, Generator, ImageHistory,
    InitramfsType, Input, KdumpBootFiles, LoadMode, OutputFormat, Password, ScriptSource,
    SelinuxMode, Settings, SshKey,
};
use formats::squashfs::Compression;

/// Reads `text` as `config.yaml` of a folder with the files `files`.
fn read(files: &[(&str, &str)], text: &str) -> (tempfile::TempDir, Settings) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let path = folder.path().join("config.yaml");
    fs::write(&path, text).unwrap();
    let settings = load(&path, Overrides::default()).unwrap_or_else(|faults| panic!("{faults}"));
    (folder, settings)
}

fn inline(destination: &str, text: &str, permissions: Option<u16>) -> AdditionalFile {
    AdditionalFile {
        source: FileSource::Content(text.into()),
        destination: destination.into(),
        permissions,
    }
}

/// A file with most of what the schema has.
const WHOLE: &str = r#"
input:
  image:
    path: ./core.vhdx
output:
  image:
    path: out/live.iso
    format: iso
previewFeatures: [kdump-boot-files]
iso:
  initramfsType: bootstrap
  kdumpBootFiles: keep
  kernelCommandLine:
    extraCommandLine: [rd.info, "console=tty0 console=ttyS0"]
  additionalFiles:
  - source: files/motd
    destination: /motd.txt
    permissions: "644"
os:
  hostname: live.example.org
  packages:
    updateExistingPackages: true
    installLists: [lists/base.yaml]
    install: [curl]
    remove:
    - nano
  selinux:
    mode: enforcing
  services:
    enable: [sshd]
    disable: [cron.service]
  users:
  - name: admin
    uid: 1234
    password: {type: locked}
    passwordExpiresDays: -1
    sshPublicKeyPaths: [keys/id.pub]
    sshPublicKeys: ["ssh-ed25519 BBBB two"]
    primaryGroup: wheel
    secondaryGroups: [sudo]
    startupCommand: /bin/bash
    homeDirectory: /srv/admin
  groups:
  - {name: wheel, gid: 60000}
  modules:
  - name: br_netfilter
    loadMode: always
    options: {queue: 4}
  imageHistory: none
scripts:
  postCustomization:
  - path: files/motd
    arguments: [a, 2]
    environmentVariables: {A: 1, B: "x y", C: ""}
  finalizeCustomization:
  - content: |
      echo done
    interpreter: /usr/bin/python3
    name: last
"#;

fn whole() -> (tempfile::TempDir, Settings) {
    let files = [
        ("keys/id.pub", "ssh-ed25519 AAAA one\n"),
        ("files/motd", "hello\n"),
        ("lists/base.yaml", "packages:\n- vim\n- openssh-server\n"),
    ];
    read(&files, WHOLE)
}

#[test]
fn what_is_built_and_what_is_on_the_media_are_read() {
    let (folder, settings) = whole();
    let folder = folder.path();
    assert_eq!(settings.files, [folder.join("config.yaml")]);
    assert_eq!(
        settings.input,
        Some(Input::Path(folder.join("./core.vhdx")))
    );
    assert_eq!(settings.output.path, Some(folder.join("out/live.iso")));
    assert_eq!(settings.output.format, Some(OutputFormat::Iso));
    assert!(settings.iso.is_given && !settings.pxe.is_given);
    assert_eq!(settings.iso.initramfs_type, Some(InitramfsType::Bootstrap));
    assert_eq!(settings.iso.kdump_boot_files, Some(KdumpBootFiles::Keep));
    assert_eq!(
        settings.iso.extra_command_line,
        ["rd.info", "console=tty0 console=ttyS0"]
    );
    let motd = &settings.iso.additional_files[0];
    assert_eq!(motd.source, FileSource::Path(folder.join("files/motd")));
    assert_eq!(motd.permissions, Some(0o644));
    assert_eq!(settings.warnings, Vec::<String>::new());
}

#[test]
fn what_is_changed_in_the_system_is_read() {
    let (folder, settings) = whole();
    let folder = folder.path();
    let [os] = settings.os.as_slice() else {
        panic!("one section os");
    };
    assert_eq!(settings.hostname(), Some("live.example.org"));
    assert!(os.packages.update_existing);
    assert_eq!(os.packages.install, ["vim", "openssh-server", "curl"]);
    assert_eq!(os.packages.remove, ["nano"]);
    assert_eq!(settings.selinux(), Some(SelinuxMode::Enforcing));
    assert_eq!(os.enable_services, ["sshd"]);
    assert_eq!(os.disable_services, ["cron.service"]);
    assert_eq!(os.modules[0].load_mode, LoadMode::Always);
    assert_eq!(
        os.modules[0].options,
        BTreeMap::from([("queue".into(), "4".into())])
    );
    assert_eq!(settings.image_history(), Some(ImageHistory::None));
    let user = &os.users[0];
    assert_eq!((user.name.as_str(), user.uid), ("admin", Some(1234)));
    assert_eq!(user.password, Some(Password::Locked));
    assert_eq!(user.password_expires_days, Some(-1));
    let keys = [
        SshKey::File(folder.join("keys/id.pub")),
        SshKey::Line("ssh-ed25519 BBBB two".into()),
    ];
    assert_eq!(user.ssh_keys, keys);
    assert_eq!(user.primary_group.as_deref(), Some("wheel"));
    assert_eq!(user.secondary_groups, ["sudo"]);
    assert_eq!(user.startup_command.as_deref(), Some("/bin/bash"));
    assert_eq!(user.home_directory.as_deref(), Some("/srv/admin"));
    assert_eq!(
        (os.groups[0].name.as_str(), os.groups[0].gid),
        ("wheel", Some(60_000))
    );
}

#[test]
fn scripts_are_read() {
    let (folder, settings) = whole();
    let folder = folder.path();
    let scripts = &settings.scripts[0];
    assert_eq!(scripts.folder, folder);
    let post = &scripts.post_customization[0];
    assert_eq!(post.source, ScriptSource::Path(PathBuf::from("files/motd")));
    assert_eq!(post.interpreter, "/bin/sh");
    assert_eq!(post.arguments, ["a", "2"]);
    let environment: Vec<(&str, &str)> = post
        .environment
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(environment, [("A", "1"), ("B", "x y"), ("C", "")]);
    let last = &scripts.finalize_customization[0];
    assert_eq!(last.source, ScriptSource::Content("echo done\n".into()));
    assert_eq!(last.name.as_deref(), Some("last"));
}

#[test]
fn cloud_init_data_on_the_medium_are_read() {
    let (folder, settings) = read(
        &[
            ("cloud/user-data", "#cloud-config\n"),
            ("cloud/network-config", "network: {}\n"),
            ("cloud/meta-data", ""),
        ],
        "
iso:
  additionalFiles:
  - source: cloud/user-data
    destination: /cloud-init-data/user-data
  - source: cloud/network-config
    destination: /cloud-init-data/network-config
  - content: 'instance-id: iid-1'
    destination: cloud-init-data/meta-data
    permissions: 0600
  kernelCommandLine:
    extraCommandLine:
    - 'ds=nocloud'
scripts:
  postCustomization:
  - content: ln -s /run/initramfs/live/cloud-init-data /var/lib/cloud/seed/nocloud
",
    );
    let files = &settings.iso.additional_files;
    assert_eq!(
        files[0].source,
        FileSource::Path(folder.path().join("cloud/user-data"))
    );
    assert_eq!(files[0].permissions, None);
    assert_eq!(
        files[2],
        inline(
            "cloud-init-data/meta-data",
            "instance-id: iid-1",
            Some(0o600)
        )
    );
    assert_eq!(settings.iso.extra_command_line, ["ds=nocloud"]);
    assert_eq!(settings.os, []);
}

#[test]
fn full_os_and_network_boot_are_read() {
    let (_, settings) = read(
        &[],
        "
output: {image: {format: pxe-tar, path: out.tar.gz}}
iso: {initramfsType: full-os}
pxe:
  initramfsType: bootstrap
  bootstrapFileUrl: http://my-pxe-server-1/image.iso
  additionalFiles:
  - {content: '', destination: /empty}
os: {selinux: {mode: disabled}}
",
    );
    assert_eq!(settings.output.format, Some(OutputFormat::PxeTar));
    assert_eq!(settings.iso.initramfs_type, Some(InitramfsType::FullOs));
    let url = BootstrapUrl::File("http://my-pxe-server-1/image.iso".into());
    assert_eq!(settings.pxe.bootstrap_url, Some(url));
    assert_eq!(settings.pxe.additional_files, [inline("/empty", "", None)]);
    assert_eq!(settings.selinux(), Some(SelinuxMode::Disabled));
    assert_eq!(settings.places.get("pxe.bootstrapFileUrl").unwrap().line, 6);
    assert_eq!(settings.warnings, Vec::<String>::new());
}

#[test]
fn our_own_keys_are_read() {
    let (folder, settings) = read(
        &[("repos/extra.repo", "[extra]\n"), ("rpms/.keep", "")],
        "
iso: {volumeId: MY_LIVE}
initramfs:
  generator: native
  addModules: [nvme, 'pci:v00008086d*']
  omitModules: [floppy]
  install: [/usr/bin/curl]
  additionalFiles:
  - {content: x, destination: /etc/x}
rootImage: {compression: {algorithm: zstd, level: 19}}
os:
  packages:
    sources: [repos/extra.repo, rpms]
",
    );
    assert_eq!(settings.iso.volume_id.as_deref(), Some("MY_LIVE"));
    let initramfs = &settings.initramfs;
    assert_eq!(initramfs.generator, Some(Generator::Native));
    assert_eq!(initramfs.add_modules, ["nvme", "pci:v00008086d*"]);
    assert_eq!(initramfs.omit_modules, ["floppy"]);
    assert_eq!(initramfs.install, ["/usr/bin/curl"]);
    assert_eq!(initramfs.additional_files, [inline("/etc/x", "x", None)]);
    assert_eq!(
        settings.root_image.compression,
        Some(Compression::Zstd { level: 19 })
    );
    let sources = [
        folder.path().join("repos/extra.repo"),
        folder.path().join("rpms"),
    ];
    assert_eq!(settings.os[0].packages.sources, sources);
    let (_, settings) = read(
        &[],
        "initramfs: {generator: dracut, dracutModules: upstream}",
    );
    let initramfs = &settings.initramfs;
    assert_eq!(initramfs.generator, Some(Generator::Dracut));
    assert_eq!(initramfs.dracut_modules, Some(DracutModules::Upstream));
}

#[test]
fn every_compression_has_its_default_level() {
    for (text, expected) in [
        (
            "{algorithm: zstd}",
            Compression::Zstd {
                level: config::DEFAULT_ZSTD_LEVEL,
            },
        ),
        ("{algorithm: gzip}", Compression::Gzip { level: 6 }),
        (
            "{algorithm: gzip, level: 12}",
            Compression::Gzip { level: 12 },
        ),
        ("{algorithm: xz}", Compression::Xz),
        ("{algorithm: lz4}", Compression::Lz4),
    ] {
        let (_, settings) = read(&[], &format!("rootImage: {{compression: {text}}}"));
        assert_eq!(settings.root_image.compression, Some(expected), "{text}");
    }
}

#[test]
fn inputs_of_registries_are_read_in_all_their_forms() {
    for (text, expected) in [
        ("oci: r.example/os:3", Input::Oci("r.example/os:3".into())),
        (
            "oci: {uri: r.example/os:3, platform: linux/arm64}",
            Input::Oci("r.example/os:3".into()),
        ),
        (
            "oci: {uri: r.example/os:3, platform: {os: linux, architecture: amd64}}",
            Input::Oci("r.example/os:3".into()),
        ),
        (
            "azureLinux: {variant: minimal-os, version: 3.0}",
            Input::AzureLinux {
                variant: "minimal-os".into(),
                version: "3.0".into(),
            },
        ),
    ] {
        let (_, settings) = read(&[], &format!("input: {{image: {{{text}}}}}"));
        assert_eq!(settings.input, Some(expected), "{text}");
    }
}

#[test]
fn json_is_read_as_yaml_is() {
    let text = "{\n\t\"os\": {\n\t\t\"hostname\": \"live\",\n\t\t\"additionalFiles\": [\n\t\t\t{\"content\": \"\\u00e9\\ud83d\\ude00\\\\ud83d\\/\\n\", \"destination\": \"/x\", \"permissions\": \"600\"}\n\t\t]\n\t},\n\t\"iso\": {\"initramfsType\": null}\n}\n";
    let (_, settings) = read(&[], text);
    assert_eq!(settings.hostname(), Some("live"));
    let file = inline("/x", "é😀\\ud83d/\n", Some(0o600));
    assert_eq!(settings.os[0].additional_files, [file]);
    assert_eq!(settings.iso.initramfs_type, None);
}

#[test]
fn what_is_empty_is_not_given() {
    for text in [
        "",
        "# nothing\n",
        "---\n",
        "{}",
        "null",
        "os:\niso: ~\nscripts: {}\n",
        "\u{feff}# a mark of the byte order\n",
    ] {
        let (folder, settings) = read(&[], text);
        let expected = Settings {
            files: vec![folder.path().join("config.yaml")],
            places: settings.places.clone(),
            ..Settings::default()
        };
        assert_eq!(settings, expected, "{text:?}");
    }
    let (_, settings) = read(
        &[],
        "os: {}\npxe: {initramfsType: '', bootstrapBaseUrl: ''}\n",
    );
    assert_eq!(settings.os.len(), 1);
    assert!(settings.pxe.is_given);
    assert_eq!(settings.pxe.initramfs_type, None);
}

#[test]
fn anchors_aliases_and_merge_keys_are_followed() {
    let (_, settings) = read(
        &[],
        "
iso:
  additionalFiles:
  - &one {content: a, destination: /a, permissions: 0o640}
  - {<<: *one, destination: /b}
  - <<: [{content: c}, *one]
    destination: /c
pxe:
  additionalFiles: [*one]
",
    );
    let files = [
        inline("/a", "a", Some(0o640)),
        inline("/b", "a", Some(0o640)),
        inline("/c", "c", Some(0o640)),
    ];
    assert_eq!(settings.iso.additional_files, files);
    assert_eq!(settings.pxe.additional_files, files[..1]);
}

#[test]
fn the_same_files_are_found_from_the_folder_that_they_are_in() {
    // OK: a path without a folder is relative to where the program runs, which for a test is its package's folder.
    let error = load(Path::new("no-such-file.yaml"), Overrides::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("no-such-file.yaml: cannot be read: "),
        "{error}"
    );
    let settings = config::file::parse(
        Path::new("inline.yaml"),
        b"os: {additionalFiles: [{source: Cargo.toml, destination: /x}]}",
        Overrides::default(),
    )
    .unwrap();
    assert_eq!(
        settings.os[0].additional_files[0].source,
        FileSource::Path("Cargo.toml".into())
    );
}
