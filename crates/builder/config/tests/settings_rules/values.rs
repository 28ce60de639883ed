//! Values: types, words, ranges, and the rules of text.

use crate::{HERE, accepted, read, refused};

#[test]
fn a_value_of_the_wrong_type_is_refused_by_what_it_is() {
    refused(&[
        ("¦[]", "is a list, and must be a section with keys"),
        (
            "¦text",
            "is a single value, and must be a section with keys",
        ),
        (
            "os: ¦1",
            "`os` is a single value, and must be a section with keys",
        ),
        (
            "os: ¦[a]",
            "`os` is a list, and must be a section with keys",
        ),
        (
            "os: {hostname: ¦[a]}",
            "`os.hostname` is a list, and must be a host name",
        ),
        (
            "os: {hostname: ¦{a: b}}",
            "`os.hostname` is a section with keys, and must be",
        ),
        (
            "os: {users: ¦{}}",
            "`os.users` is a section with keys, and must be a list",
        ),
        (
            "os: {users: [¦a]}",
            "`os.users[0]` is a single value, and must be a section",
        ),
        (
            "os: {packages: {updateExistingPackages: ¦1}}",
            "`os.packages.updateExistingPackages` is `1`, and must be `true` or `false`",
        ),
        (
            "os: {packages: {updateExistingPackages: ¦'true'}}",
            "`os.packages.updateExistingPackages` is the text \"true\", and must be",
        ),
        (
            "os: {groups: [{name: a, gid: ¦x}]}",
            "`os.groups[0].gid` is `x`, and must be a whole number",
        ),
        (
            "os: {groups: [{name: a, gid: ¦'1'}]}",
            "`os.groups[0].gid` is the text \"1\", and must be a whole number",
        ),
        (
            "os: {groups: [{name: a, gid: ¦1.5}]}",
            "`os.groups[0].gid` is `1.5`, and must be",
        ),
        (
            "os: {groups: [{name: a, gid: ¦010}]}",
            "`os.groups[0].gid` is `010`, and must be",
        ),
        (
            "os: {modules: [{name: a, options: ¦[b]}]}",
            "`os.modules[0].options` is a list, and must be names with values",
        ),
        (
            "scripts: {postCustomization: [{content: a, environmentVariables: {A: ¦[b]}}]}",
            "`scripts.postCustomization[0].environmentVariables.A` is a list, and must be text",
        ),
    ]);
    accepted(&[
        "os: {packages: {updateExistingPackages: yes}}",
        "os: {packages: {updateExistingPackages: Off}}",
        "os: {groups: [{name: a, gid: 0x10}, {name: b, gid: 0o10}, {name: c, gid: 0}]}",
        "os: {hostname: 123}",
        "os: {hostname: !!str 123}",
    ]);
}

#[test]
fn an_empty_item_or_a_missing_key_is_refused() {
    refused(&[
        (
            "iso: {kernelCommandLine: {extraCommandLine: [a, ¦'']}}",
            "`iso.kernelCommandLine.extraCommandLine[1]` is empty",
        ),
        (
            "os: {kernelCommandLine: {extraCommandLine: [¦~]}}",
            "`os.kernelCommandLine.extraCommandLine[0]` is empty",
        ),
        (
            "os: {services: {enable: [¦'']}}",
            "`os.services.enable[0]` is empty",
        ),
        ("os: {users: [¦~]}", "`os.users[0]` is empty"),
        ("previewFeatures: [¦'']", "`previewFeatures[0]` is empty"),
        (
            "os: {users: [¦{uid: 1}]}",
            "`os.users[0]` needs the key `name`",
        ),
        (
            "os: {users: [¦{name: ''}]}",
            "`os.users[0]` needs the key `name`",
        ),
        ("os: {groups: [¦{}]}", "`os.groups[0]` needs the key `name`"),
        (
            "os: {modules: [¦{}]}",
            "`os.modules[0]` needs the key `name`",
        ),
        ("os: {uki: ¦{}}", "`os.uki` needs the key `mode`"),
        (
            "baseConfigs: [¦{}]",
            "`baseConfigs[0]` needs the key `path`",
        ),
        (
            "input: {image: {oci: ¦{platform: linux}}}",
            "`input.image.oci` needs the key `uri`",
        ),
        (
            "input: {image: {azureLinux: ¦{version: 3.0}}}",
            "`input.image.azureLinux` needs the key `variant`",
        ),
        (
            "output: {artifacts: ¦{path: a}}",
            "`output.artifacts` needs the key `items`",
        ),
        (
            "rootImage: {compression: ¦{level: 3}}",
            "`rootImage.compression` needs the key `algorithm`",
        ),
    ]);
}

#[test]
fn a_word_that_is_none_of_those_that_there_are_is_refused_with_the_nearest() {
    refused(&[
        (
            "previewFeatures: [¦ukis]",
            "`previewFeatures[0]` is `ukis`, and must be one of `uki`, `output-artifacts`",
        ),
        (
            "iso: {initramfsType: ¦fullos}",
            "`iso.initramfsType` is `fullos`, and must be one of `bootstrap` and `full-os`",
        ),
        (
            "pxe: {initramfsType: ¦[full-os]}",
            "`pxe.initramfsType` is a list, and must be one of",
        ),
        (
            "iso: {kdumpBootFiles: ¦all}",
            "`iso.kdumpBootFiles` is `all`, and must be one of `none` and `keep`",
        ),
        (
            "os: {selinux: {mode: ¦enforced}}",
            "`os.selinux.mode` is `enforced`, and must be",
        ),
        (
            "os: {imageHistory: ¦all}",
            "`os.imageHistory` is `all`, and must be `none`",
        ),
        (
            "os: {modules: [{name: a, loadMode: ¦never}]}",
            "`os.modules[0].loadMode` is `never`, and must be",
        ),
        (
            "os: {bootloader: {resetType: ¦soft}}",
            "`os.bootloader.resetType` is `soft`, and must be `hard-reset`",
        ),
        (
            "os: {uki: {mode: ¦make}}",
            "`os.uki.mode` is `make`, and must be",
        ),
        (
            "output: {image: {format: ¦img}}",
            "`output.image.format` is `img`, and must be one of `iso`, `pxe-dir` and `pxe-tar`",
        ),
        (
            "output: {artifacts: {path: a, items: [¦uki-addons]}}",
            "`output.artifacts.items[0]` is `uki-addons`, and must be",
        ),
        (
            "initramfs: {generator: ¦mkinitcpio}",
            "`initramfs.generator` is `mkinitcpio`, and must be one of `native` and `dracut`",
        ),
        (
            "initramfs: {generator: dracut, dracutModules: ¦mine}",
            "`initramfs.dracutModules` is `mine`, and must be",
        ),
        (
            "rootImage: {compression: {algorithm: ¦brotli}}",
            "`rootImage.compression.algorithm` is `brotli`, and must be",
        ),
        (
            "os: {users: [{name: a, password: {type: ¦open}}]}",
            "`os.users[0].password.type` is `open`, and must be",
        ),
    ]);
    let faults = read("iso: {initramfsType: fullos}").unwrap_err();
    assert_eq!(
        faults.iter().next().unwrap().help.as_deref(),
        Some("did you mean `full-os`?")
    );
    accepted(&[
        "previewFeatures: [uki, output-artifacts, inject-files, reinitialize-verity, package-snapshot-time, kdump-boot-files, base-configs, input-image-oci, output-selinux-policy, btrfs, create, preview-distro-version, unsupported-distro-version, tools-dir, remove-package-manager]",
        "os: {selinux: {mode: ''}, imageHistory: '', bootloader: {resetType: ''}}",
    ]);
}

#[test]
fn a_number_out_of_its_range_is_refused_with_the_range() {
    refused(&[
        (
            "os: {groups: [{name: a, gid: ¦60001}]}",
            "`os.groups[0].gid` is 60001, and must be from 0 to 60000",
        ),
        (
            "os: {users: [{name: a, uid: ¦-1}]}",
            "`os.users[0].uid` is -1, and must be from 0 to 60000",
        ),
        (
            "os: {users: [{name: a, passwordExpiresDays: ¦-2}]}",
            "`os.users[0].passwordExpiresDays` is -2, and must be from -1 to 99999",
        ),
        (
            "os: {users: [{name: a, passwordExpiresDays: ¦100000}]}",
            "`os.users[0].passwordExpiresDays` is 100000, and must be",
        ),
        (
            "output: {image: {cosi: {compression: {level: ¦23}}}}",
            "`output.image.cosi.compression.level` is 23, and must be from 1 to 22",
        ),
        (
            "rootImage: {compression: {algorithm: zstd, level: ¦0}}",
            "`rootImage.compression.level` is 0, and must be from 1 to 22",
        ),
        (
            "rootImage: {compression: {algorithm: gzip, ¦level: 13}}",
            "`rootImage.compression.level` is 13, and gzip has 1 to 12",
        ),
        (
            "rootImage: {compression: {algorithm: xz, ¦level: 3}}",
            "`rootImage.compression.level` has no meaning for this algorithm",
        ),
    ]);
}

#[test]
fn permissions_are_octal_and_have_nothing_above_them() {
    let row = |permissions: &str| {
        format!(
            "iso: {{additionalFiles: [{{content: a, destination: /a, permissions: {permissions}}}]}}"
        )
    };
    for (permissions, expected) in [
        (
            "'999'",
            "is the text \"999\", and must be permissions in octal, as \"644\"",
        ),
        ("4755", "is 4755, and may have the bits of 777 only"),
        ("u+x", "is `u+x`, and must be permissions in octal"),
        ("'-1'", "is the text \"-1\", and must be permissions"),
        ("'+1'", "is the text \"+1\", and must be permissions"),
        ("[6]", "is a list, and must be permissions"),
        ("77777777777", "is `77777777777`, and must be permissions"),
    ] {
        let expected = format!("`iso.additionalFiles[0].permissions` {expected}");
        refused(&[(&row(&format!("¦{permissions}")), &expected)]);
    }
    for permissions in ["644", "'0644'", "0o644", "0", "777", "''"] {
        accepted(&[&row(permissions)]);
    }
}

#[test]
fn text_that_breaks_its_rule_is_refused_with_the_rule() {
    refused(&[
        (
            "os: {hostname: ¦a_b}",
            "`os.hostname` is `a_b`, which is no host name",
        ),
        (
            "os: {users: [{name: ¦'a:b'}]}",
            "`os.users[0].name` is `a:b`, and a name has no blank, `:`",
        ),
        (
            "os: {users: [{name: a, primaryGroup: ¦'b c'}]}",
            "`os.users[0].primaryGroup` is `b c`, and a name",
        ),
        (
            "os: {users: [{name: a, homeDirectory: ¦home}]}",
            "`os.users[0].homeDirectory` is `home`, and must be an absolute path",
        ),
        (
            "os: {users: [{name: a, startupCommand: ¦\"/a:b\"}]}",
            "`os.users[0].startupCommand` is `/a:b`, and must be",
        ),
        (
            "os: {users: [{name: a, sshPublicKeys: [¦\"a\\nb\"]}]}",
            "`os.users[0].sshPublicKeys[0]` is `a\\nb`, and must be a single line",
        ),
        (
            "os: {packages: {install: [¦'-y']}}",
            "`os.packages.install[0]` is `-y`, and a name does not start with `-`",
        ),
        (
            "os: {packages: {remove: [¦'a b']}}",
            "`os.packages.remove[0]` is `a b`, and must be without blanks",
        ),
        (
            "os: {packages: {snapshotTime: ¦yesterday}}",
            "`os.packages.snapshotTime` is `yesterday`, and must be a date",
        ),
        (
            "os: {services: {disable: [¦'a b']}}",
            "`os.services.disable[0]` is `a b`, and must be without blanks",
        ),
        (
            "os: {modules: [{name: ¦'a b'}]}",
            "`os.modules[0].name` is `a b`, and must be without blanks",
        ),
        (
            "os: {modules: [{name: a, options: {¦'b c': d}}]}",
            "`os.modules[0].options` has a name that is `b c`, and must be without blanks",
        ),
        (
            "os: {modules: [{name: a, options: {b: ¦'c d'}}]}",
            "`os.modules[0].options.b` is `c d`, and must be without blanks",
        ),
        (
            "os: {modules: [{name: a, options: {b: ¦''}}]}",
            "`os.modules[0].options.b` is empty",
        ),
        (
            "os: {kernelCommandLine: {extraCommandLine: [¦\"a\\nb\"]}}",
            "`os.kernelCommandLine.extraCommandLine[0]` is `a\\nb`, and must be a single line",
        ),
        (
            "iso: {additionalFiles: [{content: a, destination: ¦/a/../../b}]}",
            "`iso.additionalFiles[0].destination` is `/a/../../b`, and must be without `..`",
        ),
        (
            "iso: {additionalFiles: [{content: a, destination: ¦/}]}",
            "`iso.additionalFiles[0].destination` is `/`, which names the root folder itself",
        ),
        (
            "iso: {volumeId: ''}\nos: {hostname: ¦\"a\\0b\"}",
            "`os.hostname` holds a character of number zero",
        ),
        (
            "iso: {volumeId: ¦AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA}",
            "`iso.volumeId` is no volume identifier: ",
        ),
        (
            "pxe: {bootstrapBaseUrl: ¦'torrent://h'}",
            "`pxe.bootstrapBaseUrl` is `torrent://h`, and must start with one of `ftp://`",
        ),
        (
            "pxe: {bootstrapFileUrl: ¦'HTTP://h/a'}",
            "`pxe.bootstrapFileUrl` is `HTTP://h/a`, and must start with",
        ),
        (
            "pxe: {bootstrapFileUrl: ¦'http://h:x/a'}",
            "`pxe.bootstrapFileUrl` is `http://h:x/a`, and its port",
        ),
        (
            "pxe: {bootstrapFileUrl: ¦'http://h/'}",
            "`pxe.bootstrapFileUrl` is `http://h/`, which ends without the name of a file",
        ),
        (
            "input: {image: {oci: ¦'https://r/x'}}",
            "`input.image.oci` is `https://r/x`, and must be REGISTRY/REPOSITORY",
        ),
        (
            "input: {image: {oci: {uri: r/x, platform: ¦a/b/c}}}",
            "`input.image.oci.platform` is `a/b/c`, and must be OS or OS/ARCHITECTURE",
        ),
        (
            "input: {image: {azureLinux: {variant: ¦Os, version: 3.0}}}",
            "`input.image.azureLinux.variant` is `Os`, and must be",
        ),
        (
            "input: {image: {azureLinux: {variant: os, version: ¦3}}}",
            "`input.image.azureLinux.version` is `3`, and must be MAJOR.MINOR",
        ),
        (
            "scripts: {postCustomization: [{content: a, environmentVariables: {¦'A=B': c}}]}",
            "`scripts.postCustomization[0].environmentVariables` has a name that is `A=B`, and must have",
        ),
        (
            "initramfs: {install: [¦a/../b]}",
            "`initramfs.install[0]` is `a/../b`, and must be without `..`",
        ),
    ]);
}

#[test]
fn keys_that_exclude_each_other_are_refused_together_and_one_is_needed() {
    refused(&[
        (
            "input: {image: {path: a, ¦oci: r/x}}",
            "`input.image.oci` cannot stand beside `path`",
        ),
        (
            "input: {image: {oci: r/x, ¦azureLinux: {variant: a, version: 3.0}}}",
            "`input.image.azureLinux` cannot stand beside `oci`",
        ),
        (
            "iso: {additionalFiles: [{source: file.txt, ¦content: a, destination: /a}]}",
            "`iso.additionalFiles[0].content` cannot stand beside `source`",
        ),
        (
            "iso: {additionalFiles: [¦{destination: /a}]}",
            "`iso.additionalFiles[0]` needs one of the keys `source` and `content`",
        ),
        (
            "os: {additionalFiles: [¦{source: '', destination: /a}]}",
            "`os.additionalFiles[0]` needs one of the keys",
        ),
        (
            "pxe: {additionalFiles: [¦{content: a}]}",
            "`pxe.additionalFiles[0]` needs the key `destination`",
        ),
        (
            "scripts: {postCustomization: [{path: script.sh, ¦content: a}]}",
            "`scripts.postCustomization[0].content` cannot stand beside `path`",
        ),
        (
            "scripts: {finalizeCustomization: [¦{name: a}]}",
            "`scripts.finalizeCustomization[0]` needs one of the keys `path` and `content`",
        ),
        (
            "os: {modules: [{name: a, loadMode: disable, ¦options: {b: c}}]}",
            "`os.modules[0].options` has no meaning with the load mode `disable`",
        ),
        (
            "os: {¦modules: [{name: a}, {name: a}]}",
            "`os.modules` has the module `a` twice",
        ),
        (
            "pxe:\n  bootstrapBaseUrl: http://h\n  ¦bootstrapFileUrl: http://h/a\n",
            "`pxe.bootstrapFileUrl` stands beside `pxe.bootstrapBaseUrl`",
        ),
        (
            "initramfs: {generator: dracut, ¦addModules: [a]}",
            "`initramfs.addModules` is of the generator `native`, and dracut does not read it",
        ),
        (
            "initramfs: {generator: dracut, ¦install: [/a]}",
            "`initramfs.install` is of the generator `native`",
        ),
        (
            "initramfs: {¦dracutModules: upstream}",
            "`initramfs.dracutModules` needs `initramfs.generator: dracut`",
        ),
    ]);
}

#[test]
fn overlays_that_would_not_mount_are_refused() {
    let row = |keys: &str| match keys.contains(HERE) {
        true => format!("os: {{overlays: [{{{keys}}}]}}"),
        false => format!("os: {{¦overlays: [{{{keys}}}]}}"),
    };
    for (keys, expected) in [
        (
            "mountPoint: ¦a, upperDir: /u, workDir: /w",
            "`os.overlays[0].mountPoint` is `a`, and must be an absolute path",
        ),
        (
            "mountPoint: ¦'/a b', upperDir: /u, workDir: /w",
            "`os.overlays[0].mountPoint` is `/a b`, and must be without blanks, `:` and `,`",
        ),
        (
            "mountPoint: /a, upperDir: ¦'/u:v', workDir: /w",
            "`os.overlays[0].upperDir` is `/u:v`, and must be without",
        ),
        (
            "mountPoint: /a, upperDir: /u, workDir: ¦'/w,x'",
            "`os.overlays[0].workDir` is `/w,x`, and must be without",
        ),
        (
            "mountPoint: /a, upperDir: /u, workDir: /w, lowerDirs: [¦l]",
            "`os.overlays[0].lowerDirs[0]` is `l`, and must be an absolute path",
        ),
        (
            "mountPoint: /a, upperDir: /u, workDir: /w, mountDependencies: [¦d]",
            "`os.overlays[0].mountDependencies[0]` is `d`, and must be",
        ),
        (
            "mountPoint: /a, upperDir: /u, workDir: /w, mountOptions: ¦'a b'",
            "`os.overlays[0].mountOptions` is `a b`, and must be without blanks",
        ),
        (
            "mountPoint: /a, upperDir: /u, ¦workDir: /u",
            "`os.overlays[0].workDir` is `/u`, and one of it and the upper folder",
        ),
        (
            "mountPoint: /a, upperDir: /u, ¦workDir: /u/w",
            "`os.overlays[0].workDir` is `/u/w`, and one of",
        ),
        (
            "mountPoint: /a, upperDir: /w//u/, ¦workDir: /w",
            "`os.overlays[0].workDir` is `/w`, and one of",
        ),
        (
            "mountPoint: /a, upperDir: /u, workDir: /w}, {mountPoint: /a, upperDir: /v, workDir: /x",
            "`os.overlays` has the mount point `/a` twice",
        ),
        (
            "mountPoint: /a, upperDir: /u, workDir: /w}, {mountPoint: /b, upperDir: /u, workDir: /x",
            "`os.overlays` has the upper folder `/u` twice",
        ),
        (
            "mountPoint: /a, upperDir: /u, workDir: /w}, {mountPoint: /b, upperDir: /v, workDir: /w",
            "`os.overlays` has the work folder `/w` twice",
        ),
    ] {
        refused(&[(&row(keys), expected)]);
    }
    accepted(&[&row("mountPoint: /a, upperDir: /var/u, workDir: /var/uw, lowerDirs: [/a, /b], isInitrdOverlay: true, mountDependencies: [/var], mountOptions: 'a,b'",
    ).replace(HERE, "")]);
}

#[test]
fn passwords_are_given_as_their_type_wants_and_never_shown() {
    let start = "os:\n  users:\n  - name: a\n    password: ";
    let row = |keys: &str| match keys.contains(HERE) {
        true => format!("{start}{{{keys}}}\n"),
        false => format!("{start}{HERE}{{{keys}}}\n"),
    };
    for (keys, expected) in [
        (
            "type: locked, ¦value: hunter2",
            "`os.users[0].password.value` has no meaning with the type `locked`",
        ),
        (
            "type: plain-text",
            "`os.users[0].password` needs the key `value`",
        ),
        (
            "type: hashed, value: ''",
            "`os.users[0].password` needs the key `value`",
        ),
        (
            "value: hunter2",
            "`os.users[0].password` needs the key `type`",
        ),
        (
            "type: hashed, ¦value: 'hunter2:x'",
            "`os.users[0].password.value` is no hash as crypt(5) writes it",
        ),
        (
            "type: plain-text, value: ¦\"hunter2\\nx\"",
            "`os.users[0].password.value` must be a single line",
        ),
        (
            "type: ¦plain-txt, value: hunter2",
            "`os.users[0].password.type` is `plain-txt`, and must be",
        ),
        (
            "type: plain-text, value: hunter2, ¦colour: red",
            "unknown key `os.users[0].password.colour`",
        ),
        (
            "type: plain-text, value: ¦[hunter2]",
            "`os.users[0].password.value` is a list, and must be",
        ),
    ] {
        refused(&[(&row(keys), expected)]);
        let shown = read(&row(keys).replace(HERE, "")).unwrap_err().to_string();
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    // OK: where the syntax is broken nothing says what is a password.
    for text in [
        "password:\n  value: hunter2: x\n",
        "password: {value: 'hunter2}\n",
        "value: |\n hunter2\n\tx: {\n",
    ] {
        let shown = read(text).unwrap_err().to_string();
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    accepted(&[
        &format!("{start}{{type: plain-text, value: hunter2}}"),
        &format!("{start}{{type: hashed, value: $6$salt$hash}}"),
        &format!("{start}{{type: plain-text-file, value: file.txt}}"),
        &format!("{start}{{type: hashed-file, value: file.txt}}"),
    ]);
}

#[test]
fn what_live_media_cannot_have_is_refused() {
    refused(&[
        (
            "os: {packages: {¦removePackageManager: true}}",
            "`os.packages.removePackageManager` cannot be had with live media",
        ),
        (
            "os: {uki: {¦mode: create}}",
            "`os.uki.mode` is `create`, and live media boot kernels",
        ),
        (
            "storage: {¦reinitializeVerity: all}",
            "`storage.reinitializeVerity` is `all`, and live media have no hash trees",
        ),
        (
            "pxe: {initramfsType: full-os, ¦bootstrapBaseUrl: 'http://h'}",
            "`pxe.bootstrapBaseUrl` has no meaning with `pxe.initramfsType: full-os`",
        ),
        (
            "pxe: {initramfsType: full-os, ¦bootstrapFileUrl: 'http://h/a'}",
            "`pxe.bootstrapFileUrl` has no meaning with",
        ),
        (
            "output: {image: {format: iso, ¦path: folder}}",
            "`output.image.path` names a folder, and this format is a file",
        ),
    ]);
    for format in [
        "raw",
        "qcow2",
        "vhd",
        "vhd-fixed",
        "vhdx",
        "cosi",
        "baremetal-image",
    ] {
        let text = format!("output: {{image: {{¦format: {format}}}}}");
        let expected =
            format!("`output.image.format` is `{format}`, which is no format of live media");
        refused(&[(&text, &expected)]);
    }
    accepted(&[
        "os: {packages: {removePackageManager: false}}",
        "storage: {reinitializeVerity: none}",
        "output: {image: {format: pxe-dir, path: folder}}",
    ]);
}

#[test]
fn what_has_no_effect_on_live_media_is_a_warning_with_key_and_line() {
    for (text, expected) in [
        (
            "output:\n  image:\n    cosi: {compression: {level: 9}}\n",
            "config.yaml:3: `output.image.cosi` has no effect on live media: ",
        ),
        (
            "output: {artifacts: {path: a, items: [shim]}}",
            "config.yaml:1: `output.artifacts` has no effect on live media: ",
        ),
        (
            "output: {selinuxPolicyPath: a}",
            "config.yaml:1: `output.selinuxPolicyPath` has no effect on live media: ",
        ),
        (
            "os:\n  bootloader: {resetType: hard-reset}\n",
            "config.yaml:2: `os.bootloader` has no effect on live media: ",
        ),
        (
            "os: {uki: {mode: passthrough}}",
            "config.yaml:1: `os.uki.mode` has no effect on live media: ",
        ),
        (
            "os: {uki: {mode: modify}}",
            "config.yaml:1: `os.uki.mode` has no effect on live media: ",
        ),
    ] {
        let settings = read(text).unwrap();
        assert!(
            matches!(settings.warnings.as_slice(), [warning] if warning.contains(expected)),
            "{text}: {:?}",
            settings.warnings
        );
    }
}
