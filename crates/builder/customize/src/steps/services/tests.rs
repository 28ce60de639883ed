//! Services against `systemctl`, and what is refused.

use super::*;
use crate::steps::place::tests::{TIME, tree_of};
use crate::testing::{assert_same, has_root_and, list, read_folder, run, write_folder};
use tree::Node;

const UNITS: &str = "usr/lib/systemd/system";

fn system() -> Tree<Content> {
    let files: Vec<(String, &str)> = [
        ("multi-user.target", "[Unit]\n"),
        ("sockets.target", "[Unit]\n"),
        ("getty.target", "[Unit]\n"),
        ("cron.service", "[Install]\nWantedBy=multi-user.target\nAlias=crond.service\n"),
        ("pair.service", "[Install]\nAlso=pair.socket missing.socket\nRequiredBy=multi-user.target\nWantedBy=absent.target\n"),
        ("pair.socket", "[Install]\nWantedBy=sockets.target\nAlso=pair.service\n"),
        ("static.service", "[Service]\nExecStart=/x\n"),
        ("getty@.service", "[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n"),
        ("plain@.service", "[Install]\nWantedBy=getty.target other-%i.target\nAlias=renamed@.service\n"),
        ("nodefault@.service", "[Install]\nWantedBy=getty.target\n"),
        ("vendor.service", "-> cron.service"),
        (
            "upheld@.service",
            "[Install]\nUpheldBy=up@%i.target\n",
        ),
        ("host.service", "[Install]\nWantedBy=%H.target\n"),
        ("badalias.service", "[Install]\nAlias=x.socket\n"),
    ]
    .into_iter()
    .map(|(name, text)| (format!("{UNITS}/{name}"), text))
    .chain([
        ("etc/systemd/system/masked.service".to_owned(), "-> /dev/null"),
        ("etc/systemd/system/own.service".to_owned(), "-> /usr/lib/systemd/system/static.service"),
        ("lib".to_owned(), "-> usr/lib"),
        ("etc/init.d/old".to_owned(), "### BEGIN INIT INFO\n# Default-Start: 2 3 S\n### END INIT INFO\n"),
        ("etc/rc2.d/K01old".to_owned(), "-> ../init.d/old"),
    ])
    .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), *text))
        .collect();
    tree_of(&files)
}

fn links(tree: &Tree<Content>) -> Vec<String> {
    let links = tree.walk().filter_map(|entry| match &entry.inode.node {
        Node::Symlink(target) if entry.path.to_string().starts_with("/etc/") => {
            Some(format!("{} {}", entry.path, target.escape_ascii()))
        }
        _ => None,
    });
    links.collect()
}

fn change(tree: &mut Tree<Content>, enable: &[&str], disable: &[&str]) -> Result<Vec<Warning>> {
    let owned = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    let (enable, disable) = (owned(enable), owned(disable));
    apply(tree, (&enable, &disable), Some(InitSystem::Systemd), TIME)
}

#[test]
fn enabling_makes_links_and_disabling_takes_them_away() {
    let mut tree = system();
    let before = list(&tree);
    let warnings = change(
        &mut tree,
        &["cron", "getty@", "plain@x", "upheld@x", "static"],
        &[],
    )
    .unwrap();
    let made: Vec<String> = links(&tree);
    for link in [
        "/etc/systemd/system/crond.service /usr/lib/systemd/system/cron.service",
        "/etc/systemd/system/multi-user.target.wants/cron.service /usr/lib/systemd/system/cron.service",
        "/etc/systemd/system/getty.target.wants/getty@tty1.service /usr/lib/systemd/system/getty@.service",
        "/etc/systemd/system/other-x.target.wants/plain@x.service /usr/lib/systemd/system/plain@.service",
        "/etc/systemd/system/up@x.target.upholds/upheld@x.service /usr/lib/systemd/system/upheld@.service",
        "/etc/systemd/system/renamed@x.service /usr/lib/systemd/system/plain@.service",
    ] {
        assert!(made.iter().any(|made| made == link), "{link}: {made:#?}");
    }
    let texts: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert!(
        texts
            .iter()
            .any(|text| text.contains("static.service has nothing to enable"))
    );
    assert!(
        texts
            .iter()
            .any(|text| text.contains("other-x.target, which is not in the image"))
    );
    let again = list(&tree);
    change(&mut tree, &["cron"], &[]).unwrap();
    assert_eq!(list(&tree), again, "a second time changes nothing");
    change(&mut tree, &[], &["cron", "getty@", "plain@x", "upheld@x"]).unwrap();
    // An instance's alias leads to the template, and so stays, as `systemctl disable` leaves it.
    assert!(
        tree.remove_path(&tree::TreePath::parse("etc/systemd/system/renamed@x.service").unwrap())
    );
    assert_same(&list(&tree), &before);
}

#[test]
fn one_in_both_lists_ends_up_disabled() {
    let mut tree = system();
    let before = list(&tree);
    change(&mut tree, &["pair.socket"], &["pair"]).unwrap();
    assert_same(&list(&tree), &before);
}

#[test]
fn what_cannot_be_enabled_is_refused_by_name() {
    for (name, says) in [
        ("corn", "the nearest name is cron.service"),
        ("quite-other", "the image has no quite-other.service"),
        ("masked", "it is masked"),
        ("own", "name the unit itself"),
        ("nodefault@", "nodefault@NAME.service"),
        ("a/b", "cannot be the name"),
        ("host", "only on the machine"),
        ("badalias", "cannot be another name"),
    ] {
        let error = change(&mut system(), &[name], &[]).unwrap_err();
        let text = match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        assert!(text.contains(says) && text.contains(name), "{text}");
    }
    let error = change(&mut system(), &[], &["none"]).unwrap_err();
    assert_eq!(error.kind(), block::Kind::NotFound);
    let cron = ["cron".to_owned()];
    let names = (cron.as_slice(), [].as_slice());
    let error = apply(&mut system(), names, Some(InitSystem::Runit), TIME).unwrap_err();
    assert!(error.to_string().contains("Runit"), "{error}");
}

#[test]
fn a_script_without_a_unit_gets_links_of_run_levels() {
    let mut tree = system();
    change(&mut tree, &["old"], &[]).unwrap();
    let of_levels = |tree: &Tree<Content>| {
        let mut links = links(tree);
        links.retain(|link| link.starts_with("/etc/rc"));
        links
    };
    assert_eq!(
        of_levels(&tree),
        [
            "/etc/rc2.d/S01old ../init.d/old",
            "/etc/rc3.d/S01old ../init.d/old"
        ]
    );
    change(&mut tree, &[], &["old"]).unwrap();
    assert_eq!(
        of_levels(&tree),
        [
            "/etc/rc2.d/K01old ../init.d/old",
            "/etc/rc3.d/K01old ../init.d/old"
        ]
    );
}

#[test]
fn openrc_has_links_of_run_levels() {
    let mut tree = tree_of(&[
        ("etc/init.d/sshd", "#!/sbin/openrc-run\n"),
        ("etc/init.d/boot", ""),
        ("etc/runlevels/boot/boot", "-> /etc/init.d/boot"),
        ("etc/runlevels/default/", ""),
    ]);
    let before = list(&tree);
    let apply = |tree: &mut Tree<Content>, enable: &str, disable: &str| {
        let owned = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let (enable, disable) = (owned(enable), owned(disable));
        super::apply(tree, (&enable, &disable), Some(InitSystem::OpenRc), TIME)
    };
    apply(&mut tree, "sshd boot", "").unwrap();
    assert_eq!(
        links(&tree),
        [
            "/etc/runlevels/boot/boot /etc/init.d/boot",
            "/etc/runlevels/default/sshd /etc/init.d/sshd"
        ]
    );
    apply(&mut tree, "", "sshd").unwrap();
    assert_same(&list(&tree), &before);
    let error = apply(&mut tree, "shd", "").unwrap_err().to_string();
    assert!(error.contains("sshd"), "{error}");
    assert!(apply(&mut tree, "../x", "").is_err());
}

/// `systemctl --root` over every unit of this machine's own packages, one at a time, and of our small system.
#[test]
fn ref_systemctl_makes_and_removes_the_same_links() {
    if !has_root_and("systemctl") {
        return;
    }
    let mut of_machine = read_folder(std::path::Path::new("/usr/lib/systemd/system"));
    let mut tree = tree_of(&[
        ("lib", "-> usr/lib"),
        ("etc/systemd/system/", ""),
        (UNITS, ""),
    ]);
    tree.put(
        &tree::TreePath::parse(UNITS).unwrap(),
        tree::Inode::new(
            tree::Metadata::with_permissions(0o755),
            Node::empty_directory(),
        ),
    )
    .unwrap();
    let (_, units) = tree.resolve(UNITS).unwrap();
    of_machine.metadata_mut(of_machine.root()).permissions = 0o755;
    tree.graft(units, of_machine).unwrap();
    // Debian's builds of systemd name `/lib`; a link that is there tells.
    let seed = (
        "etc/systemd/system/seed.target.wants/seed.service",
        "-> /lib/systemd/system/none",
    );
    for (mut tree, mut names) in [
        (tree, Vec::new()),
        (
            system(),
            vec![
                "plain@x.service".to_owned(),
                "getty@tty9.service".to_owned(),
            ],
        ),
    ] {
        let inode = tree::Inode::new(
            tree::Metadata::with_permissions(0o777),
            Node::Symlink(seed.1.as_bytes()[3..].into()),
        );
        tree.put(&tree::TreePath::parse(seed.0).unwrap(), inode)
            .unwrap();
        names.extend(unit::all(&tree));
        // systemd 252 does not know `UpheldBy`, takes names of this machine, and makes the alias of a template that it refuses.
        let differ = ["upheld@.service", "host.service", "plain@.service"];
        names.retain(|name| !differ.contains(&name.as_str()));
        compare(&tree, &names);
    }
}

fn compare(start: &Tree<Content>, names: &[String]) {
    let folder = tempfile::tempdir().unwrap();
    write_folder(start, folder.path());
    let root = format!("--root={}", folder.path().display());
    let mut ours = start.clone();
    for (verb, is_enable) in [("enable", true), ("disable", false)] {
        for name in names {
            let output = run("systemctl", &[&root, verb, name]);
            let mut tried = ours.clone();
            let result = if is_enable {
                change(&mut tried, &[name], &[])
            } else {
                change(&mut tried, &[], &[name])
            };
            if result.is_ok() {
                ours = tried;
            }
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(
                result.is_ok(),
                output.status.success(),
                "{verb} {name}: {result:?}\n{text}"
            );
        }
        let theirs = read_folder(&folder.path().join("etc"));
        let mut expected: Vec<String> = list(&theirs)
            .iter()
            .map(|line| format!("/etc{line}"))
            .collect();
        let mut found = list(&ours);
        for lines in [&mut expected, &mut found] {
            lines.retain(|line| line.starts_with("/etc/systemd/"));
        }
        assert!(!is_enable || expected.len() > 5);
        assert_same(&found, &expected);
    }
}
