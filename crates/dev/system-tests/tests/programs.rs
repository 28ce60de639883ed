//! Programs of a Debian: packages from a folder and from the mirror, scripts, and its own dracut.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use block::{Content, DiskFile};
use config::settings::{DracutModules, Packages, Script, ScriptSource, Scripts};
use customize::programs::packages::{self, Repositories};
use customize::programs::scripts::{self, Phase};
use customize::programs::{Image, dracut};
use sandbox::{Options, Sandbox};
use system_tests::ordinary_user::{self, child, run_as};
use testkit::{fixture, tools};
use tree::{Inode, Metadata, Node, Timestamp, Tree, TreePath};

/// The programs that make the roots and the packages.
const TOOLS: [&str; 3] = ["mmdebstrap", "dpkg-deb", "tar"];

/// The time of everything that programs change.
const TIME: Timestamp = Timestamp::from_seconds(1_700_000_000);

/// The variable that names the tar of [`root`] to a test that may not make it.
const ROOT: &str = "LIVEOS_TEST_ROOT";

/// A small Debian as a tar, made at the first call and kept.
fn root() -> PathBuf {
    if let Some(made) = std::env::var_os(ROOT) {
        return made.into();
    }
    let recipe = "mmdebstrap --variant=minbase bookworm";
    let folder = fixture::cached("root-minbase", recipe, |folder| {
        let tar = folder.join("root.tar").to_string_lossy().into_owned();
        tools::run(
            "mmdebstrap",
            ["--quiet", "--variant=minbase", "bookworm", &tar],
        )
        .map(drop)
    });
    folder.unwrap().join("root.tar")
}

fn tree() -> Tree<Content> {
    let tar = DiskFile::open(root()).unwrap();
    formats::tar::read_tree(Arc::new(tar)).unwrap()
}

fn text(tree: &Tree<Content>, path: &str) -> String {
    let bytes = tree
        .file(path)
        .unwrap_or_else(|| panic!("{path} is not there"));
    String::from_utf8(bytes.read_all(64 << 20).unwrap()).unwrap()
}

fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!("\n  cause: {error}"));
        cause = error.source();
    }
    text
}

/// A sandbox of its own folder, and what a test does in it.
fn with_image(
    tree: &mut Tree<Content>,
    act: impl FnOnce(&mut Image<'_>) -> block::Result<()>,
) -> Vec<String> {
    let scratch = tempfile::tempdir().unwrap();
    let options = Options {
        executable: child(env!("CARGO_BIN_EXE_system-tests-child")),
        ..Options::new(scratch.path(), TIME)
    };
    let mut sandbox = Sandbox::new(&options)
        .map_err(|error| describe(&error))
        .unwrap();
    let architecture = inspect::facts(tree).unwrap().architecture.value;
    let mut said = Vec::new();
    let mut output = |line: &str| said.push(line.to_owned());
    let mut image = Image::new(&mut sandbox, tree, architecture, TIME, &mut output).unwrap();
    let result = act(&mut image).map_err(|error| describe(&error));
    drop(sandbox);
    assert_eq!(
        fs::read_dir(scratch.path()).unwrap().count(),
        0,
        "the scratch is gone"
    );
    if let Err(error) = result {
        panic!("{error}\n{}", said.join("\n"));
    }
    said
}

/// Makes a Debian package.
fn package(folder: &Path, name: &str, depends: &str, postinst: &str) {
    let work = tempfile::tempdir().unwrap();
    let control = work.path().join("DEBIAN");
    fs::create_dir(&control).unwrap();
    let description = "Description: a package\n of more than\n .\n one line\n";
    fs::write(
        control.join("control"),
        format!("Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: x <x@x>\n{depends}{description}"),
    )
    .unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(control.join("postinst"), postinst).unwrap();
    fs::set_permissions(control.join("postinst"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(work.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(work.path().join("usr/share/liveos")).unwrap();
    fs::write(work.path().join("usr/share/liveos").join(name), name).unwrap();
    let target = folder.join(format!("{name}.deb"));
    let arguments = [
        "--root-owner-group".as_ref(),
        "-b".as_ref(),
        work.path().as_os_str(),
        target.as_os_str(),
    ];
    tools::run("dpkg-deb", arguments).unwrap();
}

#[test]
fn ref_packages_of_a_folder_are_installed_without_a_network() {
    if !tools::available(&TOOLS) {
        return;
    }
    let mut tree = tree();
    let before = tree.clone();
    let folder = tempfile::tempdir().unwrap();
    let postinst = "#!/bin/sh\nset -e\nmkdir -p /srv/b\ncp /bin/true /srv/b/own\nchown 33:44 /srv/b/own\nchmod 4755 /srv/b/own\n\
        /usr/sbin/policy-rc.d && exit 1 || echo $? > /srv/b/policy\nls /sys/class/net 2>/dev/null | wc -l > /srv/b/net\n\
        tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' \\n' > /srv/b/cards\necho $SOURCE_DATE_EPOCH > /srv/b/epoch\n";
    package(
        folder.path(),
        "liveos-a",
        "Depends: liveos-b\n",
        "#!/bin/sh\n",
    );
    package(folder.path(), "liveos-b", "", postinst);
    let asked = Packages {
        install: vec!["liveos-a".into()],
        sources: vec![folder.path().into()],
        ..Packages::default()
    };
    let repositories = Repositories {
        disable_image_repositories: true,
        ..Repositories::default()
    };
    with_image(&mut tree, |image| {
        packages::apply(image, &[&asked], &repositories)
    });
    let status = text(&tree, "/var/lib/dpkg/status");
    assert!(
        status.contains("Package: liveos-a\nStatus: install ok installed"),
        "{status}"
    );
    assert!(status.contains("Package: liveos-b\nStatus: install ok installed"));
    assert_eq!(text(&tree, "/usr/share/liveos/liveos-b"), "liveos-b");
    let (_, id) = tree.resolve("/srv/b/own").unwrap();
    let own = tree.inode(id);
    assert_eq!(
        (own.metadata.uid, own.metadata.gid, own.metadata.permissions),
        (33, 44, 0o4755)
    );
    assert_eq!(own.metadata.mtime, TIME);
    assert_eq!(text(&tree, "/srv/b/policy"), "101\n");
    assert_eq!(text(&tree, "/srv/b/cards"), "lo", "there is no network");
    assert_eq!(text(&tree, "/srv/b/epoch"), format!("{}\n", TIME.seconds));
    // What was lent leaves no trace.
    for path in [
        "/usr/sbin/policy-rc.d",
        "/_localpackages",
        "/_sources.list.d",
        "/var/log/apt/history.log",
        "/var/cache/apt/pkgcache.bin",
    ] {
        let was = before.resolve(path).is_ok();
        assert_eq!(tree.resolve(path).is_ok(), was, "{path}");
    }
    let names = |tree: &Tree<Content>, folder: &str| {
        tree.list(folder)
            .map(|(name, _)| name.to_string())
            .collect::<Vec<_>>()
    };
    for folder in [
        "/",
        "/etc/apt/sources.list.d",
        "/var/lib/apt/lists",
        "/var/cache/apt/archives",
        "/tmp",
        "/run",
    ] {
        assert_eq!(names(&tree, folder), names(&before, folder), "{folder}");
    }
    // Device nodes are where they were.
    let nodes = |tree: &Tree<Content>| {
        tree.walk()
            .filter(|entry| matches!(entry.inode.node, Node::Character(_)))
            .count()
    };
    assert_eq!(nodes(&tree), nodes(&before));
}

#[test]
fn ref_packages_of_the_mirror_are_installed_and_removed() {
    if !tools::available(&TOOLS) {
        return;
    }
    let mut tree = tree();
    let folder = tempfile::tempdir().unwrap();
    package(folder.path(), "liveos-a", "", "#!/bin/sh\n");
    let first = Packages {
        install: vec!["liveos-a".into(), "tree".into()],
        sources: vec![folder.path().into()],
        ..Packages::default()
    };
    let second = Packages {
        remove: vec!["liveos-a".into()],
        ..Packages::default()
    };
    let resolv = tree.file("/etc/resolv.conf").is_some();
    with_image(&mut tree, |image| {
        packages::apply(image, &[&first, &second], &Repositories::default())
    });
    assert!(tree.file("/usr/bin/tree").is_some());
    assert!(tree.file("/usr/share/liveos/liveos-a").is_none());
    assert_eq!(
        tree.file("/etc/resolv.conf").is_some(),
        resolv,
        "the host's name servers stay with the host"
    );
    let missing = Packages {
        install: vec!["no-such-package".into()],
        ..Packages::default()
    };
    let mut error = String::new();
    with_image(&mut tree, |image| {
        let failed = packages::apply(image, &[&missing], &Repositories::default()).unwrap_err();
        error = describe(&failed);
        Ok(())
    });
    assert!(
        error.contains("installing packages") && error.contains("no-such-package"),
        "{error}"
    );
}

#[test]
fn ref_scripts_change_the_image_and_see_their_folder() {
    if !tools::available(&TOOLS) {
        return;
    }
    let mut tree = tree();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("one.sh"), "cat /_imageconfigs/data > /srv/data; pwd > /srv/pwd; env | sort > /srv/env; echo \"$@\" > /srv/arguments").unwrap();
    fs::write(folder.path().join("data"), "data").unwrap();
    let script = |source: ScriptSource, interpreter: &str| Script {
        source,
        interpreter: interpreter.into(),
        arguments: vec!["a b".into(), "c".into()],
        environment: [("KEY".to_owned(), "a value".to_owned())].into(),
        name: None,
    };
    let all = [Scripts {
        folder: folder.path().into(),
        post_customization: vec![
            script(ScriptSource::Path("one.sh".into()), "/bin/sh"),
            script(
                ScriptSource::Content("open(my $f, '>', '/srv/perl'); print $f 1 + 1;".into()),
                "/usr/bin/perl",
            ),
        ],
        finalize_customization: vec![script(
            ScriptSource::Content("echo oh no; exit 3".into()),
            "/bin/sh",
        )],
    }];
    let mut error = String::new();
    with_image(&mut tree, |image| {
        scripts::run(image, &all, Phase::PostCustomization)?;
        let failed = scripts::run(image, &all, Phase::FinalizeCustomization).unwrap_err();
        error = describe(&failed);
        Ok(())
    });
    assert_eq!(text(&tree, "/srv/data"), "data");
    assert_eq!(text(&tree, "/srv/pwd"), "/\n");
    assert_eq!(text(&tree, "/srv/perl"), "2");
    assert_eq!(text(&tree, "/srv/arguments"), "a b c\n");
    let variables = text(&tree, "/srv/env");
    let names: Vec<&str> = variables
        .lines()
        .filter_map(|line| line.split('=').next())
        .collect();
    assert_eq!(names, ["HOME", "KEY", "LANG", "PATH", "PWD", "TERM"]);
    for part in [
        "scripts.finalizeCustomization[0]",
        "exit status: 3",
        "oh no",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert!(tree.resolve("/_imageconfigs").is_err() && tree.resolve("/_script").is_err());
}

#[test]
fn ref_dracut_makes_an_initramfs_with_what_the_user_s_configuration_adds() {
    if !tools::available(&TOOLS) || !tools::slow_tests() {
        return;
    }
    let mut tree = tree();
    let asked = Packages {
        install: ["dracut", "linux-image-cloud-amd64"]
            .map(str::to_owned)
            .to_vec(),
        ..Packages::default()
    };
    with_image(&mut tree, |image| {
        packages::apply(image, &[&asked], &Repositories::default())
    });
    let mut put = |path: &str, permissions: u16, text: &str| {
        let node = Node::File(Content::from_bytes(text.as_bytes()));
        let inode = Inode::new(Metadata::with_permissions(permissions), node);
        tree.put(&TreePath::parse(path).unwrap(), inode).unwrap();
    };
    // Debian's module for the console makes files with random names.
    put(
        "/etc/dracut.conf.d/50-user.conf",
        0o644,
        "install_items+=\" /etc/liveos-added \"\nomit_dracutmodules+=\" console-setup \"\n",
    );
    put("/etc/liveos-added", 0o644, "added\n");
    let module = "check() { return 0; }\ndepends() { return 0; }\ninstall() { inst_simple /etc/hostname /liveos-module; }\n";
    let module_files = vec![(
        TreePath::parse("/usr/lib/dracut/modules.d/55liveos/module-setup.sh").unwrap(),
        Inode::new(
            Metadata::with_permissions(0o755),
            Node::File(Content::from_bytes(module.as_bytes())),
        ),
    )];
    put("/etc/hostname", 0o644, "made\n");
    let facts = inspect::facts(&tree).unwrap();
    let kernel = facts.kernels.first().unwrap().version.clone();
    let request = |modules| dracut::Request {
        kernel: &kernel,
        modules,
        module_files: module_files.clone(),
        load_selinux_policy: false,
    };
    let before = tree.dump(|content| format!("{content:?}").len().to_string());
    let mut made = Vec::new();
    with_image(&mut tree, |image| {
        for _ in 0..2 {
            made.push(dracut::initramfs(image, &request(DracutModules::Liveos))?);
        }
        let error = dracut::initramfs(image, &request(DracutModules::Upstream))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("dmsquash-live") && error.contains("dracut-live"),
            "{error}"
        );
        Ok(())
    });
    assert_eq!(
        tree.dump(|content| format!("{content:?}").len().to_string()),
        before,
        "the tree is as it was"
    );
    let bytes: Vec<Vec<u8>> = made
        .iter()
        .map(|content| content.read_all(512 << 20).unwrap())
        .collect();
    assert!(bytes[0] == bytes[1], "the same input gives the same bytes");
    let initramfs = formats::cpio::read_tree(Arc::new(bytes[0].clone())).unwrap();
    assert_eq!(text(&initramfs, "/etc/liveos-added"), "added\n");
    assert_eq!(text(&initramfs, "/liveos-module"), "made\n");
    let modules = initramfs
        .walk()
        .filter(|entry| entry.path.to_string().contains("/squashfs.ko"))
        .count();
    assert_eq!(modules, 1);
}

#[test]
fn ref_all_of_it_works_as_an_ordinary_user_too() {
    if !tools::is_root() || !tools::available(&TOOLS) || !tools::available(&ordinary_user::TOOLS) {
        return;
    }
    let root = root();
    let child = child(env!("CARGO_BIN_EXE_system-tests-child"));
    let tests = [
        "ref_packages_of_a_folder_are_installed_without_a_network",
        "ref_packages_of_the_mirror_are_installed_and_removed",
        "ref_scripts_change_the_image_and_see_their_folder",
    ];
    for name in tests {
        let said = run_as(name, &child, (ROOT, &root)).unwrap();
        assert!(
            said.contains("1 passed") && !said.contains("SKIPPED"),
            "{name}: {said}"
        );
    }
}
