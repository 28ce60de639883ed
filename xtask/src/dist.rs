//! `cargo xtask dist`: the two programs as they are shipped, and the dracut module for people who run dracut themselves.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use block::{Content, ReadAt as _};
use payload::dracut_module;
use testkit::programs::{self, Optimised};
use testkit::tools;
use tree::{Node, Timestamp};

use crate::steps::Steps;

/// The largest `liveos-init` that ships: firmware loads it from slow media. What HTTPS needs is more than half of it.
const INIT_BUDGET: u64 = 4 << 20;
/// The largest one without the network; the C library and Rust's own are two thirds of it.
const SMALL_BUDGET: u64 = 3 << 19;

/// The name of the dracut module's package.
const PACKAGE: &str = "liveos-dracut";

/// The Debian packages of the compilers; musl is the smaller C library of the program without the network.
const PACKAGES: [&str; 3] = ["gcc", "libc6-dev", "musl-tools"];

/// Builds all of it into `target/dist` and checks the sizes.
pub(crate) fn run(_words: &[String]) -> Result<()> {
    let mut steps = Steps::default();
    steps.step("packages", || tools::need(&PACKAGES))?;
    let built = steps.step("building liveos-init and liveos", || {
        programs::build(Optimised::Shipped)
    })?;
    let small = steps.step("building liveos-init without the network", || {
        programs::init_without_network()
    })?;
    let folder = programs::target().join("dist");
    fs::create_dir_all(&folder)?;
    let sizes = [
        ("liveos", &built.liveos, u64::MAX),
        ("liveos-init", &built.init, INIT_BUDGET),
        ("liveos-init-without-network", &small, SMALL_BUDGET),
    ];
    for (name, path, _) in sizes {
        let copy = folder.join(name);
        fs::copy(path, &copy).with_context(|| format!("copying {}", path.display()))?;
        print(&copy)?;
    }
    for package in steps.step("the dracut module", || dracut(&folder, &built.init))? {
        print(&package)?;
    }
    steps.print();
    for (name, path, budget) in sizes {
        let len = fs::metadata(path)?.len();
        if len > budget {
            bail!("{name} has {len} bytes, and {budget} are its budget");
        }
    }
    Ok(())
}

fn print(path: &Path) -> Result<()> {
    println!(
        "{:>10} bytes  {}",
        fs::metadata(path)?.len(),
        path.display()
    );
    Ok(())
}

/// The dracut module as a folder tree (`dracut`), as a tar of it, and, where the machine has `dpkg-deb`, as a Debian package. Every time is
/// that of the last commit, so that the same sources give the same bytes.
fn dracut(folder: &Path, init: &Path) -> Result<Vec<PathBuf>> {
    let root = folder.join("dracut");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    let runtime = Content::from_bytes(fs::read(init)?);
    for (path, inode) in dracut_module::files(&runtime, Timestamp::default())? {
        let Node::File(content) = &inode.node else {
            bail!("{path} is no file");
        };
        let bytes = content.read_all(usize::try_from(content.len())?)?;
        put(
            &root,
            path.to_string().trim_start_matches('/'),
            &bytes,
            inode.metadata.permissions,
        )?;
    }
    let documents = format!("usr/share/doc/{PACKAGE}");
    put(
        &root,
        &format!("{documents}/README.md"),
        dracut_module::README.as_bytes(),
        0o644,
    )?;
    let time = committed()?;
    let tar = folder.join(format!("{PACKAGE}.tar.gz"));
    let mut command = tools::command("tar");
    command
        .args([
            "--sort=name",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "--mode=go-w",
        ])
        .arg(format!("--mtime=@{time}"))
        .args(["--use-compress-program=gzip -n", "-cf"])
        .arg(&tar)
        .arg("-C")
        .arg(&root)
        .arg("usr");
    tools::output(&mut command).context("making the tar")?;
    let mut made = vec![tar];
    if tools::find("dpkg-deb").is_some() {
        made.push(debian_package(folder, &root, &time)?);
    }
    Ok(made)
}

fn put(root: &Path, path: &str, bytes: &[u8], mode: u16) -> Result<()> {
    let path = root.join(path);
    fs::create_dir_all(path.parent().context("a path with a folder")?)?;
    fs::write(&path, bytes)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode.into()))?;
    Ok(())
}

/// The time of the last commit, in seconds since 1970.
fn committed() -> Result<String> {
    let mut command = tools::command("git");
    command
        .args(["log", "-1", "--format=%ct"])
        .current_dir(testkit::fixture::workspace());
    let time = tools::output(&mut command)?.trim().to_owned();
    ensure!(time.parse::<u64>().is_ok(), "git says {time:?}");
    Ok(time)
}

/// The tree `root` as a Debian package.
fn debian_package(folder: &Path, root: &Path, time: &str) -> Result<PathBuf> {
    let version = env!("CARGO_PKG_VERSION");
    let control = format!(
        "Package: {PACKAGE}\nVersion: {version}\nArchitecture: amd64\nMaintainer: the liveos project <liveos@localhost>\n\
         Depends: dracut-core | dracut\nSection: admin\nPriority: optional\n\
         Description: dracut module that boots live media with liveos-init\n \
         An initramfs made with it finds a live medium, verifies it and starts the system on it.\n"
    );
    let work = tempfile::tempdir_in(folder)?;
    let tree = work.path().join("tree");
    let mut copy = tools::command("cp");
    copy.arg("-a").arg(root).arg(&tree);
    tools::output(&mut copy)?;
    put(&tree, "DEBIAN/control", control.as_bytes(), 0o644)?;
    let package = folder.join(format!("{PACKAGE}_{version}_amd64.deb"));
    let mut command = tools::command("dpkg-deb");
    command
        .args(["--root-owner-group", "--build"])
        .arg(&tree)
        .arg(&package)
        .env("SOURCE_DATE_EPOCH", time);
    tools::output(&mut command).context("making the Debian package")?;
    Ok(package)
}
