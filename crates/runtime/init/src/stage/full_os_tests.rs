//! The role full-os on a machine that only writes down what is asked of it.

use std::sync::Arc;

use contract::attributes::Attributes;
use contract::failure::Failure;
use contract::media;
use contract::request::Policy;
use rustix::io::Errno;

use crate::fake::Fake;
use crate::report::Report;
use crate::role::full_os;
use crate::system::Moved;

const LABEL: &[u8] = b"system_u:object_r:root_t:s0\0";

fn list(name: &str) -> Attributes {
    let mut list = Attributes::new(10 << 20);
    let set = [(Box::from(name.as_bytes()), Box::from(LABEL))];
    list.insert(b"/", &Arc::new(set.into_iter().collect()))
        .unwrap();
    list
}

/// A system in an initramfs, without labels.
fn machine(cmdline: &str) -> Fake {
    let mut fake = Fake::default();
    fake.file("/proc/cmdline", cmdline)
        .file(
            "/proc/meminfo",
            "MemTotal: 2048 kB\nMemAvailable: 1024 kB\n",
        )
        .file("/init", "ours")
        .file("/sbin/init", "")
        .file(media::ATTRIBUTES, list("user.x").print());
    fake
}

/// The same with labels, a kernel that has SELinux, and this configuration.
fn labelled(cmdline: &str, config: &str) -> Fake {
    let mut fake = machine(cmdline);
    fake.file(media::ATTRIBUTES, list("security.selinux").print())
        .file(
            "/proc/filesystems",
            "nodev\tsysfs\nnodev\tselinuxfs\n\text4\n",
        )
        .file("/etc/selinux/config", config)
        .file("/etc/selinux/default/policy/policy.31", "old")
        .file("/etc/selinux/default/policy/policy.33", "policy")
        .file("/etc/selinux/default/policy/policy.35", "too new")
        .on_mount("selinuxfs", "policyvers", "33");
    fake
}

fn boot(fake: &mut Fake) -> Failure {
    assert!(full_os::is_here(fake));
    match full_os::boot(fake, &mut Report::default(), &mut Policy::default()) {
        Ok(never) => match never {},
        Err(failure) => failure,
    }
}

fn steps(fake: &Fake) -> Vec<&str> {
    let kernel = ["/proc ", "/proc", "/sys", "/dev", "/run", "/dev/pts"];
    let own = |line: &&str| {
        !line.starts_with("mount ") || !kernel.iter().any(|at| line.split(' ').nth(3) == Some(at))
    };
    fake.done.iter().map(String::as_str).filter(own).collect()
}

#[test]
fn the_system_moves_to_a_place_of_its_own_and_starts() {
    let mut fake = machine("console=ttyS0");
    assert_eq!(boot(&mut fake).code.code, "L0603");
    assert_eq!(
        steps(&fake),
        [
            // The files have more than is used: 10 MiB, and half of what is free.
            "mount tmpfs tmpfs /.liveos/root mode=755,size=11010048",
            "bind / /.liveos/source",
            "tree /.liveos/source /.liveos/root",
            "unmount /.liveos/source",
            "write /run/liveos/report.json",
            "move /dev /.liveos/root/dev",
            "move /proc /.liveos/root/proc",
            "move /sys /.liveos/root/sys",
            "move /run /.liveos/root/run",
            "root /.liveos/root",
            "execute /sbin/init",
        ]
    );
}

#[test]
fn a_policy_is_loaded_before_the_labels_are_set_and_holds_after_it() {
    let mut fake = labelled("", "SELINUX=enforcing\nSELINUXTYPE=default\n");
    boot(&mut fake);
    let steps = steps(&fake);
    let at = |line: &str| {
        let found = steps.iter().position(|step| *step == line);
        found.unwrap_or_else(|| panic!("{line:?} is not in {steps:?}"))
    };
    let order = [
        at("mount selinuxfs selinuxfs /sys/fs/selinux"),
        at("write /sys/fs/selinux/load"),
        at(
            "mount tmpfs tmpfs /.liveos/root mode=755,size=11010048,fscontext=system_u:object_r:fs_t:s0",
        ),
        at("tree /.liveos/source /.liveos/root"),
        steps
            .iter()
            .rposition(|s| *s == "write /sys/fs/selinux/enforce")
            .unwrap(),
        at("execute /sbin/init"),
    ];
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!(fake.files["/sys/fs/selinux/load"], b"policy");
    assert_eq!(fake.files["/sys/fs/selinux/enforce"], b"1");
}

#[test]
fn what_is_enforced_is_what_the_command_line_and_the_configuration_say() {
    let enforcing = "SELINUX=enforcing\nSELINUXTYPE=default\n";
    let permissive = "SELINUX = permissive\n# SELINUX=enforcing\nSELINUXTYPE=default\n";
    for (cmdline, config, expected) in [
        ("", enforcing, Some("1")),
        ("enforcing=0", enforcing, Some("0")),
        ("", permissive, Some("0")),
        ("enforcing=1", permissive, Some("1")),
        ("", "SELINUX=disabled\nSELINUXTYPE=default\n", None),
    ] {
        let mut fake = labelled(cmdline, config);
        assert_eq!(boot(&mut fake).code.code, "L0603");
        let said = fake.files.get("/sys/fs/selinux/enforce");
        let said = said.map(|bytes| str::from_utf8(bytes).unwrap());
        assert_eq!(said, expected, "{cmdline} {config}");
    }
    let mut fake = labelled("", enforcing);
    fake.file("/proc/filesystems", "nodev\tsysfs\n");
    assert_eq!(boot(&mut fake).code.code, "L0603");
    assert!(
        fake.done_of("write")
            .iter()
            .all(|path| !path.contains("selinux"))
    );
}

#[test]
fn a_policy_that_must_hold_and_cannot_be_loaded_stops_the_boot() {
    let config = "SELINUX=enforcing\nSELINUXTYPE=other\n";
    assert_eq!(boot(&mut labelled("", config)).code.code, "L0803");
    assert_eq!(
        boot(&mut labelled("enforcing=0", config)).code.code,
        "L0603"
    );
    let config = "SELINUX=enforcing\nSELINUXTYPE=default\n";
    for operation in [
        "write /sys/fs/selinux/load",
        "mount selinuxfs selinuxfs /sys/fs/selinux",
    ] {
        let mut fake = labelled("", config);
        fake.refuse(operation, Errno::INVAL);
        assert_eq!(boot(&mut fake).code.code, "L0803", "{operation}");
        assert!(fake.done_of("execute").is_empty());
    }
}

#[test]
fn a_policy_without_the_name_of_disks_file_systems_is_told_and_goes_on() {
    let mut fake = labelled("", "SELINUX=enforcing\nSELINUXTYPE=default\n");
    let operation = "mount tmpfs tmpfs /.liveos/root mode=755,size=11010048,fscontext=system_u:object_r:fs_t:s0";
    fake.refuse(operation, Errno::INVAL);
    assert_eq!(boot(&mut fake).code.code, "L0603");
    assert!(fake.log.iter().any(|line| line.contains("does not know")));
}

#[test]
fn what_is_not_all_there_or_damaged_does_not_start() {
    let mut fake = machine("");
    fake.files.remove(media::ATTRIBUTES);
    fake.file("/.liveos/root/x", "");
    assert_eq!(boot(&mut fake).code.code, "L0801");

    for text in ["", "liveos attributes 1\ncontent 1\nfiles 1\n", "\u{fffd}"] {
        let mut fake = machine("");
        fake.file(media::ATTRIBUTES, text);
        assert_eq!(boot(&mut fake).code.code, "L0802", "{text:?}");
    }
    let mut fake = machine("");
    fake.moved = Some(Moved::default());
    assert_eq!(boot(&mut fake).code.code, "L0802");

    for (operation, code) in [
        (
            "mount tmpfs tmpfs /.liveos/root mode=755,size=11010048",
            "L0804",
        ),
        ("bind / /.liveos/source", "L0804"),
        ("tree /.liveos/source /.liveos/root", "L0805"),
        ("root /.liveos/root", "L0602"),
    ] {
        let mut fake = machine("");
        fake.refuse(operation, Errno::NOSPC);
        assert_eq!(boot(&mut fake).code.code, code, "{operation}");
        assert!(fake.done_of("execute").is_empty());
    }
    let mut fake = machine("");
    fake.files.remove("/sbin/init");
    assert_eq!(boot(&mut fake).code.code, "L0601");
    assert!(fake.done_of("tree").is_empty(), "nothing is moved before");
}

#[test]
fn the_systems_own_init_comes_first_but_for_that_of_the_command_line() {
    for (cmdline, expected) in [
        ("", vec!["/init", "/sbin/init"]),
        ("init=/bin/sh", vec!["/bin/sh", "/init", "/sbin/init"]),
        ("init=/init", vec!["/init", "/sbin/init"]),
        ("init=/none", vec!["/init", "/sbin/init"]),
    ] {
        let mut fake = machine(cmdline);
        fake.file(media::FULL_OS_INIT, "").file("/bin/sh", "");
        boot(&mut fake);
        let mut tried = fake.done_of("execute");
        tried.dedup();
        assert_eq!(tried[..expected.len()], expected, "{cmdline}");
    }
}
