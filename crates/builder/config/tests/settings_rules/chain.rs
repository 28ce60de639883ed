//! Chains of files: what is merged how, and what holds for a chain as a whole.

use config::file::{Overrides, load};
use config::settings::{
    BootstrapUrl, FileSource, Generator, ImageHistory, InitramfsType, Input, KdumpBootFiles,
    OutputFormat, SelinuxMode,
};

use crate::Folder;

/// A chain of a base in a folder of its own and a file that is derived from it.
fn chain(base: &str, derived: &str) -> Folder {
    let folder = Folder::new();
    folder.write("base/file.txt", "base\n");
    folder.write("base/script.sh", "true\n");
    folder.write("base/base.yaml", base);
    folder.write(
        "config.yaml",
        format!("baseConfigs: [{{path: base/base.yaml}}]\n{derived}"),
    );
    folder
}

/// The faults of a chain, each as `file:line message`.
fn faults(folder: &Folder) -> Vec<String> {
    let faults = folder.load("config.yaml").unwrap_err();
    let prefix = format!("{}/", folder.path().display());
    let shown = faults.iter().map(|fault| {
        let file = fault.file.strip_prefix(folder.path()).unwrap().display();
        format!(
            "{file}:{} {}",
            fault.line,
            fault.message.replace(&prefix, "")
        )
    });
    shown.collect()
}

#[test]
fn the_last_file_that_gives_a_value_wins() {
    let base = "
input: {image: {path: base.raw}}
output: {image: {path: base.iso, format: iso}}
iso: {initramfsType: bootstrap, kdumpBootFiles: none, volumeId: BASE}
pxe: {initramfsType: bootstrap, kdumpBootFiles: none, bootstrapFileUrl: 'http://base/a.iso'}
os: {hostname: base, imageHistory: none, selinux: {mode: permissive}, packages: {removePackageManager: true}, uki: {mode: create}}
initramfs: {generator: dracut}
rootImage: {compression: {algorithm: xz}}
";
    let derived = "
input: {image: {oci: r.example/os:3}}
output: {image: {format: pxe-dir}}
iso: {initramfsType: full-os, kdumpBootFiles: keep, volumeId: DERIVED}
pxe: {bootstrapFileUrl: 'http://derived/a.iso'}
os: {hostname: derived, selinux: {mode: enforcing}, packages: {removePackageManager: false}, uki: {mode: passthrough}}
initramfs: {generator: native}
rootImage: {compression: {algorithm: lz4}}
";
    let folder = chain(base, derived);
    let settings = folder.load("config.yaml").unwrap();
    let files = [
        folder.path().join("base/base.yaml"),
        folder.path().join("config.yaml"),
    ];
    assert_eq!(settings.files, files);
    assert_eq!(settings.input, Some(Input::Oci("r.example/os:3".into())));
    assert_eq!(
        settings.output.path,
        Some(folder.path().join("base/base.iso"))
    );
    assert_eq!(settings.output.format, Some(OutputFormat::PxeDir));
    assert_eq!(settings.iso.initramfs_type, Some(InitramfsType::FullOs));
    assert_eq!(settings.iso.kdump_boot_files, Some(KdumpBootFiles::Keep));
    assert_eq!(settings.iso.volume_id.as_deref(), Some("DERIVED"));
    assert_eq!(settings.pxe.initramfs_type, Some(InitramfsType::Bootstrap));
    assert_eq!(
        settings.pxe.bootstrap_url,
        Some(BootstrapUrl::File("http://derived/a.iso".into()))
    );
    assert_eq!(settings.hostname(), Some("derived"));
    assert_eq!(settings.image_history(), Some(ImageHistory::None));
    assert_eq!(settings.selinux(), Some(SelinuxMode::Enforcing));
    assert_eq!(settings.initramfs.generator, Some(Generator::Native));
    assert_eq!(
        settings.root_image.compression,
        Some(formats::squashfs::Compression::Lz4)
    );
    let place = settings.places.get("os.hostname").unwrap();
    assert_eq!((place.file.as_path(), place.line), (files[1].as_path(), 7));
    assert_eq!(
        settings.places.get("os.imageHistory").unwrap().file,
        files[0]
    );
    assert_eq!(settings.warnings.len(), 1);
}

#[test]
fn lists_follow_each_other_the_base_first_and_paths_stay_with_their_file() {
    let both = "
iso: {kernelCommandLine: {extraCommandLine: [NAME]}, additionalFiles: [{source: file.txt, destination: /NAME}]}
pxe: {kernelCommandLine: {extraCommandLine: [NAME]}, additionalFiles: [{source: file.txt, destination: /NAME}]}
os:
  kernelCommandLine: {extraCommandLine: [NAME]}
  users: [{name: NAME}]
  groups: [{name: NAME}]
  packages: {install: [NAME], snapshotTime: 2026-01-31}
  modules: [{name: NAME}]
  overlays: [{mountPoint: /NAME, upperDir: /u, workDir: /w}]
scripts:
  postCustomization: [{path: script.sh, name: NAME}]
  finalizeCustomization: [{content: x, name: NAME}]
initramfs: {addModules: [NAME], omitModules: [NAME], install: [NAME], additionalFiles: [{content: x, destination: /NAME}]}
";
    let folder = chain(
        &both.replace("NAME", "base"),
        &both.replace("NAME", "derived"),
    );
    let settings = folder.load("config.yaml").unwrap();
    let names = ["base", "derived"];
    for media in [&settings.iso, &settings.pxe] {
        assert_eq!(media.extra_command_line, names);
        let sources: Vec<_> = media
            .additional_files
            .iter()
            .map(|file| file.source.clone())
            .collect();
        let expected =
            ["base/file.txt", "file.txt"].map(|name| FileSource::Path(folder.path().join(name)));
        assert_eq!(sources, expected);
    }
    assert_eq!(settings.extra_command_line().collect::<Vec<_>>(), names);
    for (os, name) in settings.os.iter().zip(names) {
        assert_eq!(os.users[0].name, name);
        assert_eq!(os.groups[0].name, name);
        assert_eq!(os.packages.install, [name]);
        assert_eq!(os.packages.snapshot_time.as_deref(), Some("2026-01-31"));
        assert_eq!(os.modules[0].name, name);
        assert_eq!(os.overlays[0].mount_point, format!("/{name}"));
    }
    assert_eq!(settings.os.len(), 2);
    let folders = [folder.path().join("base"), folder.path().to_owned()];
    for ((scripts, name), of) in settings.scripts.iter().zip(names).zip(folders) {
        assert_eq!(scripts.folder, of);
        assert_eq!(scripts.post_customization[0].name.as_deref(), Some(name));
        assert_eq!(
            scripts.finalize_customization[0].name.as_deref(),
            Some(name)
        );
    }
    assert_eq!(settings.scripts.len(), 2);
    assert_eq!(settings.initramfs.add_modules, names);
    assert_eq!(settings.initramfs.omit_modules, names);
    assert_eq!(settings.initramfs.install, names);
    assert_eq!(settings.initramfs.additional_files.len(), 2);
}

#[test]
fn bases_of_bases_come_first_in_the_order_in_which_they_are_named() {
    let folder = Folder::new();
    folder.write(
        "a.yaml",
        "baseConfigs: [{path: b.yaml}, {path: folder/c.yaml}]\nos: {hostname: a}",
    );
    folder.write("b.yaml", "os: {hostname: b}");
    folder.write(
        "folder/c.yaml",
        "baseConfigs: [{path: ../d.yaml}]\nos: {hostname: c}",
    );
    folder.write("d.yaml", "os: {hostname: d}");
    folder.write("config.yaml", "baseConfigs:\n- path: a.yaml\n");
    let settings = folder.load("config.yaml").unwrap();
    let names: Vec<&str> = settings
        .os
        .iter()
        .filter_map(|os| os.hostname.as_deref())
        .collect();
    assert_eq!(names, ["b", "d", "c", "a"]);
    assert_eq!(settings.files.len(), 5);
}

#[test]
fn a_circle_and_a_file_that_comes_twice_are_refused_with_the_chain() {
    let folder = Folder::new();
    folder.write("config.yaml", "baseConfigs: [{path: a.yaml}]");
    folder.write("a.yaml", "baseConfigs:\n- {path: b.yaml}\n");
    folder.write("b.yaml", "baseConfigs: [{path: folder/../a.yaml}]");
    assert_eq!(
        faults(&folder),
        ["b.yaml:1 `baseConfigs` goes in a circle: a.yaml → b.yaml → a.yaml"]
    );
    folder.write("b.yaml", "baseConfigs: [{path: b.yaml}]");
    assert_eq!(
        faults(&folder),
        ["b.yaml:1 `baseConfigs` goes in a circle: b.yaml → b.yaml"]
    );
    folder.write("b.yaml", "");
    folder.write(
        "config.yaml",
        "baseConfigs:\n- path: a.yaml\n- path: ./b.yaml\n",
    );
    assert_eq!(
        faults(&folder),
        ["config.yaml:3 `baseConfigs` has b.yaml for the second time in this chain"]
    );
    std::os::unix::fs::symlink("b.yaml", folder.path().join("link.yaml")).unwrap();
    folder.write(
        "config.yaml",
        "baseConfigs: [{path: b.yaml}, {path: link.yaml}]",
    );
    assert_eq!(
        faults(&folder),
        ["config.yaml:1 `baseConfigs` has b.yaml for the second time in this chain"]
    );
}

#[test]
fn faults_of_all_files_are_reported_together() {
    let folder = chain(
        "os: {hostname: a_b}\ncolour: red\n",
        "os: {hostname: c_d}\n",
    );
    let faults = faults(&folder);
    assert_eq!(faults.len(), 3);
    assert!(
        faults[0].starts_with("config.yaml:2 `os.hostname` is `c_d`"),
        "{faults:?}"
    );
    assert!(
        faults[1].starts_with("base/base.yaml:1 `os.hostname` is `a_b`"),
        "{faults:?}"
    );
    assert!(
        faults[2].starts_with("base/base.yaml:2 unknown key `colour`"),
        "{faults:?}"
    );
}

#[test]
fn rules_hold_for_the_chain_as_for_one_file() {
    for (base, derived, expected) in [
        (
            "pxe: {bootstrapBaseUrl: 'http://h'}",
            "pxe: {initramfsType: bootstrap, bootstrapFileUrl: 'http://h/a'}",
            "config.yaml:2 `pxe.bootstrapFileUrl` stands beside `pxe.bootstrapBaseUrl` (base/base.yaml:1)",
        ),
        (
            "pxe: {bootstrapBaseUrl: 'http://h'}",
            "pxe: {initramfsType: full-os}",
            "base/base.yaml:1 `pxe.bootstrapBaseUrl` has no meaning with `pxe.initramfsType: full-os` (config.yaml:2)",
        ),
        (
            "storage: {resetPartitionsUuidsType: reset-all}\nos: {bootloader: {resetType: hard-reset}}",
            "\nstorage: {}",
            "config.yaml:3 `storage` is in one file of a chain, and base/base.yaml:1 has it already",
        ),
        (
            "os: {overlays: [{mountPoint: /a, upperDir: /u, workDir: /w}]}",
            "os: {overlays: [{mountPoint: /a, upperDir: /x, workDir: /y}]}",
            "config.yaml:2 `os.overlays` has the mount point `/a`, which base/base.yaml:1 has already",
        ),
        (
            "os: {packages: {removePackageManager: true}}",
            "os: {}",
            "base/base.yaml:1 `os.packages.removePackageManager` cannot be had with live media",
        ),
        (
            "output: {image: {format: vhdx}}",
            "os: {}",
            "base/base.yaml:1 `output.image.format` is `vhdx`, which is no format of live media",
        ),
    ] {
        assert_eq!(faults(&chain(base, derived)), [expected]);
    }
}

#[test]
fn nothing_is_said_of_a_chain_whose_files_cannot_all_be_read() {
    for base in [
        "initramfs: {dracutModules: upstream}",
        "storage: {resetPartitionsUuidsType: reset-all}",
        "os: {uki: {mode: create}}",
    ] {
        let faults = faults(&chain(base, "os: {"));
        assert!(
            matches!(faults.as_slice(), [fault] if fault.starts_with("config.yaml:3 is no YAML: ")),
            "{faults:?}"
        );
    }
    let folder = chain("", "");
    folder.write(
        "config.yaml",
        "baseConfigs: [{path: nosuch.yaml}]\ninitramfs: {dracutModules: upstream}",
    );
    let faults = faults(&folder);
    assert!(
        matches!(faults.as_slice(), [fault] if fault.ends_with("nosuch.yaml, which is not there")),
        "{faults:?}"
    );
}

#[test]
fn what_a_derived_file_puts_right_is_right() {
    for (base, derived) in [
        (
            "output: {image: {format: vhdx}}",
            "output: {image: {format: iso}}",
        ),
        (
            "initramfs: {dracutModules: upstream}",
            "initramfs: {generator: dracut}",
        ),
        (
            "storage: {resetPartitionsUuidsType: reset-all}",
            "os: {bootloader: {resetType: hard-reset}}",
        ),
        ("os: {uki: {mode: create}}", "os: {uki: {mode: modify}}"),
    ] {
        let folder = chain(base, derived);
        if let Err(faults) = folder.load("config.yaml") {
            panic!("{base}\n{derived}\n{faults}");
        }
    }
}

#[test]
fn what_the_command_line_gives_need_not_be_right_in_the_file() {
    let folder = Folder::new();
    let path = folder.path().join("config.yaml");
    let overrides = Overrides {
        output_path: true,
        output_format: true,
        initramfs_type: true,
        generator: Some(Generator::Dracut),
    };
    for text in [
        "output: {image: {format: cosi}}",
        "output: {image: {format: iso, path: folder}}",
        "pxe: {initramfsType: full-os, bootstrapFileUrl: 'http://h/a'}",
        "initramfs: {dracutModules: upstream}",
    ] {
        folder.write("config.yaml", text);
        if let Err(faults) = load(&path, overrides) {
            panic!("{faults}");
        }
        let faults = load(&path, Overrides::default()).expect_err(text);
        assert_eq!(faults.count(), 1, "{faults}");
    }
    folder.write(
        "config.yaml",
        "initramfs: {generator: native, omitModules: [a]}",
    );
    let faults = load(&path, overrides).unwrap_err();
    assert!(
        faults.to_string().contains("dracut does not read it"),
        "{faults}"
    );
}

#[test]
fn warnings_are_in_the_order_of_files_and_lines() {
    let folder = chain(
        "output: {selinuxPolicyPath: a}",
        "os:\n  bootloader: {resetType: hard-reset}\n  uki: {mode: modify}\n",
    );
    let settings = folder.load("config.yaml").unwrap();
    let lines: Vec<&str> = settings
        .warnings
        .iter()
        .filter_map(|warning| warning.split(": ").next()?.rsplit('/').next())
        .collect();
    assert_eq!(lines, ["config.yaml:3", "config.yaml:4", "base.yaml:1"]);
}
