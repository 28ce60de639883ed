//! What a program sees, and what it does not.

use sandbox::{Bind, Network};

use crate::system::{self, lines, path, run, shell};

/// A sandbox with the small system; the test ends where there can be none.
macro_rules! sandbox {
    ($scratch:ident, $tree:ident) => {{
        let Some(tree) = system::tree() else { return };
        $tree = tree;
        $scratch = tempfile::tempdir().unwrap();
        let Some(sandbox) = system::sandbox($scratch.path(), &$tree) else {
            return;
        };
        sandbox
    }};
}

#[test]
fn a_program_writes_reads_and_ends_with_its_code() {
    let (scratch, tree);
    let mut sandbox = sandbox!(scratch, tree);
    let mut program = shell("echo out; echo err >&2; cat; pwd; exit 7");
    program.input = b"from outside\n".to_vec();
    program.directory = path("/etc");
    let (ended, lines) = run(&mut sandbox, &program);
    assert_eq!(lines, ["out", "err", "from outside", "/etc"]);
    assert_eq!(ended.status.code(), Some(7));
    assert!(
        ended.describe().contains("exit status: 7"),
        "{}",
        ended.describe()
    );
    let (ended, _) = run(&mut sandbox, &shell("kill -9 $$"));
    use std::os::unix::process::ExitStatusExt as _;
    assert_eq!(ended.status.signal(), Some(9));
}

#[test]
fn a_program_that_is_missing_is_named() {
    let (scratch, tree);
    let mut sandbox = sandbox!(scratch, tree);
    let error = sandbox
        .run(&sandbox::Program::new(["/bin/nothing"]), &mut |_| ())
        .unwrap_err();
    assert_eq!(error.kind(), block::Kind::NotFound);
    assert!(error.to_string().contains("/bin/nothing"), "{error}");
    assert_eq!(lines(&mut sandbox, "echo still here"), ["still here"]);
}

#[test]
fn a_program_of_another_architecture_is_refused_with_the_reason() {
    let Some(mut tree) = system::tree() else {
        return;
    };
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(64, 0);
    elf[16] = 2;
    elf[18..20].copy_from_slice(&[0xf3, 0x7f]);
    system::put(&mut tree, "/bin/foreign", 0o755, &elf);
    let scratch = tempfile::tempdir().unwrap();
    let Some(mut sandbox) = system::sandbox(scratch.path(), &tree) else {
        return;
    };
    let error = sandbox
        .run(&sandbox::Program::new(["/bin/foreign"]), &mut |_| ())
        .unwrap_err();
    assert_eq!(error.kind(), block::Kind::Unsupported);
    assert!(error.to_string().contains("architecture"), "{error}");
}

#[test]
fn the_environment_is_what_was_given_and_nothing_else() {
    let (scratch, tree);
    let mut sandbox = sandbox!(scratch, tree);
    let (_, mut lines) = run(
        &mut sandbox,
        &sandbox::Program::new(["/bin/env"]).variable("A", "b c"),
    );
    lines.sort();
    assert_eq!(
        lines,
        [
            "A=b c",
            "HOME=/root",
            "LANG=C.UTF-8",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "TERM=dumb"
        ]
    );
}

#[test]
fn nothing_is_open_but_the_three_standard_descriptors() {
    // One that is inherited by everything that this process starts.
    let leak = rustix::pipe::pipe().unwrap();
    let (scratch, tree);
    let mut sandbox = sandbox!(scratch, tree);
    let open = lines(
        &mut sandbox,
        "n=0; while [ $n -lt 100 ]; do [ -e /proc/$$/fd/$n ] && echo $n; n=$((n+1)); done; umask; tty || true",
    );
    assert_eq!(open, ["0", "1", "2", "0022", "not a tty"]);
    drop(leak);
}

#[test]
fn only_the_sandbox_s_processes_and_mounts_are_seen() {
    let (scratch, tree);
    let mut sandbox = sandbox!(scratch, tree);
    let seen = lines(
        &mut sandbox,
        "cd /proc; for p in [0-9]*; do echo $p; done; echo end; hostname",
    );
    let end = seen.iter().position(|line| line == "end").unwrap();
    assert!(end <= 3, "{seen:?}");
    assert_eq!(seen[0], "1");
    assert_eq!(seen.last().unwrap(), "localhost");
    let mounts = lines(
        &mut sandbox,
        "sed 's/^[^ ]* [^ ]* [^ ]* [^ ]* \\([^ ]*\\) .*/\\1/' /proc/self/mountinfo",
    );
    for mount in &mounts {
        let known = ["/", "/dev", "/proc", "/sys", "/run", "/tmp"].contains(&mount.as_str());
        assert!(
            known || mount.starts_with("/dev/") || mount.starts_with("/proc/"),
            "{mounts:?}"
        );
    }
    assert_eq!(
        lines(&mut sandbox, "ls /sys /run"),
        ["/run:", "lock", "", "/sys:"]
    );
    let devices = lines(
        &mut sandbox,
        "cd /dev; echo *; echo x > null; dd if=zero bs=4 count=1 2>/dev/null | cat > /dev/null",
    );
    assert_eq!(
        devices,
        ["fd full null ptmx pts random shm stderr stdin stdout tty urandom zero"]
    );
}

#[test]
fn root_inside_reaches_nothing_of_the_machine() {
    let (scratch, tree);
    let mut sandbox = sandbox!(scratch, tree);
    let (_, denied) = run(
        &mut sandbox,
        &shell(
            "id -u; mount -t tmpfs none /home 2>/dev/null || echo no mount
             { echo x > /proc/sys/kernel/hostname; } 2>/dev/null || echo no sysctl
             { echo b > /proc/sysrq-trigger; } 2>/dev/null || echo no sysrq
             mknod /home/disk b 7 0 2>/dev/null; cat /home/disk >/dev/null 2>&1 || echo no disk
             hostname other 2>/dev/null || echo no host name
             sed -n 's/^NoNewPrivs:.//p' /proc/self/status",
        ),
    );
    assert_eq!(
        denied,
        [
            "0",
            "no mount",
            "no sysctl",
            "no sysrq",
            "no disk",
            "no host name",
            "0"
        ]
    );
}

#[test]
fn without_a_network_there_is_a_loopback_device_only() {
    let (scratch, tree);
    let mut sandbox = sandbox!(scratch, tree);
    let devices = lines(
        &mut sandbox,
        "sed -n 's/^ *\\([^ ]*\\):.*/\\1/p' /proc/net/dev; ifconfig lo | grep -c UP; ls /etc",
    );
    assert_eq!(devices, ["lo", "1", "issue", "passwd"]);
}

#[test]
fn with_the_network_the_host_s_name_servers_are_lent_and_taken_back() {
    let Ok(host) = std::fs::read_to_string("/etc/resolv.conf") else {
        return system::skip("/etc/resolv.conf");
    };
    let Some(mut tree) = system::tree() else {
        return;
    };
    system::put(&mut tree, "/etc/resolv.conf", 0o640, b"# the image's own\n");
    let before = system::dump(&tree);
    let scratch = tempfile::tempdir().unwrap();
    let Some(mut sandbox) = system::sandbox(scratch.path(), &tree) else {
        return;
    };
    let program = shell("cat /etc/resolv.conf; echo nameserver 1.1.1.1 >> /etc/resolv.conf")
        .network(Network::Host);
    let (_, seen) = run(&mut sandbox, &program);
    assert_eq!(seen, host.lines().collect::<Vec<_>>());
    assert_eq!(
        lines(&mut sandbox, "cat /etc/resolv.conf"),
        ["# the image's own"]
    );
    let changes = sandbox.leave(&mut tree).unwrap();
    assert_eq!(changes, sandbox::Changes::default());
    assert_eq!(system::dump(&tree), before);
    // A package that makes a link of it keeps it.
    let program = shell("ln -sf ../run/resolv.conf /etc/resolv.conf").network(Network::Host);
    run(&mut sandbox, &program);
    sandbox.leave(&mut tree).unwrap();
    let id = tree.lookup(&path("/etc/resolv.conf")).unwrap();
    assert!(
        matches!(&tree.inode(id).node, tree::Node::Symlink(target) if **target == *b"../run/resolv.conf")
    );
}

#[test]
fn a_link_of_the_image_s_own_comes_back_and_none_stays_none() {
    let Some(mut tree) = system::tree() else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let Some(mut sandbox) = system::sandbox(scratch.path(), &tree) else {
        return;
    };
    run(
        &mut sandbox,
        &shell("cat /etc/resolv.conf").network(Network::Host),
    );
    sandbox.leave(&mut tree).unwrap();
    assert!(tree.lookup(&path("/etc/resolv.conf")).is_none());
    let link = tree::Node::Symlink((*b"../run/stub").into());
    tree.put(
        &path("/etc/resolv.conf"),
        tree::Inode::new(system::metadata(0o777), link),
    )
    .unwrap();
    let before = system::dump(&tree);
    sandbox.enter(&tree).unwrap();
    run(
        &mut sandbox,
        &shell("cat /etc/resolv.conf").network(Network::Host),
    );
    sandbox.leave(&mut tree).unwrap();
    assert_eq!(system::dump(&tree), before);
}

#[test]
fn what_is_bound_is_seen_and_leaves_no_trace() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("file"), "seen").unwrap();
    let Some(mut tree) = system::tree() else {
        return;
    };
    let before = system::dump(&tree);
    let scratch = tempfile::tempdir().unwrap();
    let Some(mut sandbox) = system::sandbox(scratch.path(), &tree) else {
        return;
    };
    let mut program = shell(
        "cat /a/b/file; echo; { echo x > /a/b/new; } 2>/dev/null || echo read only; cat /one; echo; echo kept > /c/new",
    )
    .sees(outside.path(), path("/a/b"))
    .sees(outside.path().join("file"), path("/one"));
    let shared = tempfile::tempdir().unwrap();
    program.binds.push(Bind {
        host: shared.path().to_path_buf(),
        inside: path("/c"),
        read_only: false,
    });
    let (_, seen) = run(&mut sandbox, &program);
    assert_eq!(seen, ["seen", "read only", "seen"]);
    assert_eq!(
        std::fs::read_to_string(shared.path().join("new")).unwrap(),
        "kept\n"
    );
    assert_eq!(
        sandbox.leave(&mut tree).unwrap(),
        sandbox::Changes::default()
    );
    assert_eq!(system::dump(&tree), before);
}

#[test]
fn the_temporary_folder_stays_between_programs_and_never_gets_into_the_tree() {
    let (scratch, tree);
    let mut sandbox = sandbox!(scratch, tree);
    lines(
        &mut sandbox,
        "echo one > /tmp/x; echo two > /run/x; echo three > /dev/shm/x",
    );
    assert_eq!(
        lines(&mut sandbox, "cat /tmp/x; ls /run /dev/shm"),
        ["one", "/dev/shm:", "", "/run:", "lock"]
    );
    let mut after = tree.clone();
    assert_eq!(
        sandbox.leave(&mut after).unwrap(),
        sandbox::Changes::default()
    );
}

#[test]
fn lent_files_and_folders_are_seen_and_in_no_tree() {
    let Some(mut tree) = system::tree() else {
        return;
    };
    let before = system::dump(&tree);
    let scratch = tempfile::tempdir().unwrap();
    let Some(mut sandbox) = system::sandbox(scratch.path(), &tree) else {
        return;
    };
    let mut program = shell("/etc/issue; cat /a/b; echo x > /var/cache/deep/y")
        .finds(path("/a/b"), *b"lent\n")
        .finds(path("/etc/issue"), *b"#!/bin/sh\necho another issue\n");
    program.files[1].executable = true;
    program.temporary = vec![path("/var/cache/deep")];
    let (ended, seen) = run(&mut sandbox, &program);
    assert!(ended.success(), "{}", ended.describe());
    assert_eq!(seen, ["another issue", "lent"]);
    let mut later = shell("cat /var/cache/deep/y /etc/issue; ls /a 2>/dev/null || echo no /a");
    later.temporary = program.temporary.clone();
    assert_eq!(run(&mut sandbox, &later).1, ["x", "issue", "no /a"]);
    assert_eq!(
        sandbox.leave(&mut tree).unwrap(),
        sandbox::Changes::default()
    );
    assert_eq!(system::dump(&tree), before);
}

#[test]
fn what_a_program_leaves_running_ends_with_it() {
    let (scratch, tree);
    let mut sandbox = sandbox!(scratch, tree);
    let unique = format!("{}", 7_000_000 + std::process::id());
    assert_eq!(
        lines(&mut sandbox, &format!("sleep {unique} & echo started")),
        ["started"]
    );
    assert_eq!(crate::killed::processes(&unique), Vec::<String>::new());
    assert_eq!(lines(&mut sandbox, "echo again"), ["again"]);
}
