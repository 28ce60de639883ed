//! `initramfs.generator: dracut`: an initramfs that the image's own dracut makes, for one kernel.
//!
//! What the user put into `/etc/dracut.conf.d` takes effect; our configuration is one more file there for the time. dracut works on a
//! copy of the tree: nothing that it does is in the tree afterwards.

use block::{Content, Error, Result};
use config::settings::DracutModules;
use sandbox::LentFile;
use tree::{Inode, Metadata, Node, Tree, TreePath};

use super::{Image, path};

/// What is asked of dracut.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The kernel's version: the name of its folder in `/lib/modules`.
    pub kernel: &'a str,
    /// What boots the live media.
    pub modules: DracutModules,
    /// The files of our dracut module, for [`DracutModules::Liveos`].
    pub module_files: Vec<(TreePath, Inode<Content>)>,
    /// Whether the SELinux policy is loaded in the initramfs, where upstream's module for it is there: Azure Linux 2 and 3 do so,
    /// later ones load it after the root is found.
    pub load_selinux_policy: bool,
}

/// Where dracut's program may be.
const PROGRAMS: [&str; 3] = ["/usr/bin/dracut", "/usr/sbin/dracut", "/sbin/dracut"];
/// Where its modules are.
const MODULES: &str = "/usr/lib/dracut/modules.d";
/// Our configuration; the name is before those that users choose, so that theirs has the last word.
const CONFIGURATION: &str = "/etc/dracut.conf.d/20-liveos.conf";
/// The folder in which dracut works, and where the initramfs is written.
const FOLDER: &str = "/var/tmp";
const OUTPUT: &str = "/var/tmp/liveos-initramfs";
/// Where the program is that dracut calls in ldconfig's place.
const LDCONFIG: &str = "/_ldconfig";
/// ldconfig without its cache, which holds the times and numbers of dracut's own temporary files. The arguments are `-r FOLDER …`.
const LDCONFIG_PROGRAM: &str =
    "#!/bin/sh\nldconfig \"$@\" || exit\nrm -f \"$2/var/cache/ldconfig/aux-cache\"\n";
/// The name of our dracut module.
const OURS: &str = "liveos";

/// What upstream's modules need of the image: a program, and its package in Debian and in Azure Linux or Fedora.
const PROGRAMS_OF_UPSTREAM: [(&[&str], &str); 4] = [
    (
        &["/usr/sbin/dmsetup", "/sbin/dmsetup", "/usr/bin/dmsetup"],
        "dmsetup or device-mapper",
    ),
    (&["/usr/bin/curl"], "curl"),
    (&["/usr/bin/tar", "/bin/tar"], "tar"),
    (&["/usr/bin/dd", "/bin/dd"], "coreutils"),
];

/// Makes the initramfs. The tree stays as it is.
///
/// # Errors
///
/// [`Kind::NotFound`](block::Kind::NotFound) where the image lacks dracut, a module of it or a program that the module needs: with the
/// package; where dracut fails, with the last that it wrote.
pub fn initramfs(image: &mut Image<'_>, request: &Request<'_>) -> Result<Content> {
    let doing = format!("making the initramfs of {} by dracut", request.kernel);
    let program = check(image, request)?;
    let mut work = image.tree.clone();
    prepare(&mut work, request)?;
    image.sandbox.enter(&work)?;
    let mut words: Vec<&str> = vec![
        program,
        "--force",
        "--no-hostonly",
        "--no-hostonly-cmdline",
        "--reproducible",
        "--kver",
        request.kernel,
    ];
    let has_locale = image.tree.resolve("/usr/lib/locale").is_ok();
    if request.modules == DracutModules::Upstream && has_locale {
        words.extend(["--include", "/usr/lib/locale", "/usr/lib/locale"]);
    }
    words.push(OUTPUT);
    let mut program = image
        .program(words)
        // The kernel makes these itself, and not every sandbox can.
        .variable("DRACUT_NO_MKNOD", "1")
        .variable("DRACUT_LDCONFIG", LDCONFIG)
        .variable("SYSTEMD_OFFLINE", "1");
    program.files.push(LentFile {
        inside: path(LDCONFIG)?,
        bytes: LDCONFIG_PROGRAM.into(),
        executable: true,
    });
    image.run(&program, &doing)?;
    image.sandbox.leave(&mut work)?;
    let made = work.file(OUTPUT).cloned();
    made.ok_or_else(|| Error::not_found(doing, "it ended well, and wrote no initramfs"))
}

/// Holds that the image has what is needed: where its dracut is.
fn check(image: &Image<'_>, request: &Request<'_>) -> Result<&'static str> {
    let lacks = |what: &str, packages: &str| {
        let message = format!("the image has no {what}: install {packages} (os.packages.install)");
        Error::not_found("making an initramfs by dracut", message)
    };
    let program = PROGRAMS.iter().find(|path| image.has(path));
    let program = program.ok_or_else(|| lacks("dracut", "the package dracut"))?;
    if request.modules == DracutModules::Liveos {
        return Ok(program);
    }
    let has_module = |name: &str| {
        let mut modules = image.tree.list(MODULES);
        modules.any(|(folder, _)| folder.as_bytes().get(2..) == Some(name.as_bytes()))
    };
    for (module, package) in [
        ("dmsquash-live", "dracut-live"),
        ("livenet", "dracut-network"),
    ] {
        if !has_module(module) {
            return Err(lacks(
                &format!("dracut module {module}"),
                &format!("the package {package}"),
            ));
        }
    }
    for (places, package) in PROGRAMS_OF_UPSTREAM {
        if !places.iter().any(|place| image.has(place)) {
            let name = places
                .first()
                .unwrap_or(&"")
                .rsplit('/')
                .next()
                .unwrap_or_default();
            return Err(lacks(name, &format!("the package {package}")));
        }
    }
    Ok(program)
}

/// Puts our configuration, our module and dracut's folder into the copy.
fn prepare(work: &mut Tree<Content>, request: &Request<'_>) -> Result<()> {
    let refused =
        |error: tree::Error| Error::corrupt("preparing the image for dracut", "").caused_by(error);
    let (at, folder) = work
        .resolve(FOLDER)
        .map_or((None, None), |(at, id)| (Some(at), Some(id)));
    if at.is_none() || folder.is_none_or(|id| work.directory(id).is_none()) {
        work.make_directories(&path(FOLDER)?, &Metadata::with_permissions(0o1777))
            .map_err(refused)?;
    }
    let node = Node::File(Content::from_bytes(configuration(request).into_bytes()));
    work.put(
        &path(CONFIGURATION)?,
        Inode::new(Metadata::with_permissions(0o644), node),
    )
    .map_err(refused)?;
    for (place, inode) in &request.module_files {
        let inode = Inode::new(inode.metadata.clone(), inode.node.clone());
        work.put(place, inode).map_err(refused)?;
    }
    Ok(())
}

/// Our configuration for dracut.
///
/// Source: dracut.conf(5) of dracut 059 and dracut-ng 106; the modules and drivers of Image Customizer 1.6.
fn configuration(request: &Request<'_>) -> String {
    let (modules, file_systems) = match request.modules {
        DracutModules::Liveos => (OURS.to_owned(), "squashfs erofs iso9660 vfat ext4"),
        DracutModules::Upstream => {
            let selinux = if request.load_selinux_policy {
                " selinux"
            } else {
                ""
            };
            (format!("dmsquash-live livenet{selinux}"), "squashfs")
        }
    };
    format!(
        "hostonly=\"no\"\nadd_dracutmodules+=\" {modules} \"\nadd_drivers+=\" overlay loop squashfs \"\nfilesystems+=\" {file_systems} \"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(modules: DracutModules) -> Request<'static> {
        Request {
            kernel: "6.1",
            modules,
            module_files: Vec::new(),
            load_selinux_policy: true,
        }
    }

    #[test]
    fn the_configuration_adds_to_the_user_s_and_is_understood_by_our_own_reader() {
        for (modules, expected) in [
            (
                DracutModules::Upstream,
                &["dmsquash-live", "livenet", "selinux"][..],
            ),
            (DracutModules::Liveos, &["liveos"]),
        ] {
            let mut tree = Tree::new(Metadata::default());
            prepare(&mut tree, &request(modules)).unwrap();
            let facts = inspect::facts(&tree).unwrap();
            assert!(
                facts
                    .dracut
                    .words("add_dracutmodules")
                    .eq(expected.iter().copied())
            );
            assert!(facts.dracut.words("hostonly").eq(["no"]));
            assert!(
                facts
                    .dracut
                    .words("filesystems")
                    .any(|name| name == "squashfs")
            );
            assert!(tree.resolve("/var/tmp").is_ok());
        }
    }
}
