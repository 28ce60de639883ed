//! Machines without a medium: they fetch it from a server, on QEMU's user network or one of their own.
#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, ensure};
use block::{Content, DiskFile};
use contract::failure::{
    Code, FETCH_BROKEN, FETCH_DIGEST, FETCH_MEMORY, FETCH_REFUSED, FETCH_UNKNOWN, NO_ADDRESS,
    NO_NETWORK_CARD, SERVER_UNREACHABLE,
};
use payload::initramfs::{self, Compression};
use sha2::{Digest, Sha256};
use system_tests::builds;
use system_tests::media::{FOR_BOOTS, iso};
use testkit::fixture::{self, Contents, Debian, ROOT_PASSWORD, TestSystem};
use testkit::guest::{self, BOOT, COMMAND, Guest, PATIENT_KERNEL};
use testkit::tools;
use tree::{Inode, Metadata, Node, Tree, TreePath};
use vm::{DirectKernel, Firmware, Machine, Network};

use cable::Cable;
use server::{Manner, Server};

mod cable;
mod server;

/// A card whose cable leads to nobody.
const DEAD_CARD: [&str; 4] = [
    "-netdev",
    "hubport,id=dead,hubid=9",
    "-device",
    "e1000,netdev=dead",
];

/// What every boot here needs.
struct Parts {
    iso: PathBuf,
    kernel: PathBuf,
    initramfs: PathBuf,
    _folder: tempfile::TempDir,
}

/// The ISO of the test system, and a kernel with an initramfs for the network; nothing where a tool is missing.
fn parts() -> Option<&'static Parts> {
    static PARTS: OnceLock<Option<Parts>> = OnceLock::new();
    PARTS
        .get_or_init(|| tools::available(&FOR_BOOTS).then(|| make_parts().unwrap()))
        .as_ref()
}

fn make_parts() -> Result<Parts> {
    let iso = iso(&fixture::test_system(&TestSystem::default())?, &[])?;
    let package = fixture::debian_kernel()?;
    let tree = tree_of(&package)?;
    let facts = inspect::facts(&tree)?;
    let kernel = facts.kernels.first().context("the package has no kernel")?;
    let runtime = Content::from_source(Arc::new(DiskFile::open(&builds::programs()?.init)?));
    let mut options = initramfs::Options::new(runtime);
    options.network = true;
    options.compression = Compression::Zstd { level: 1 };
    let made = initramfs::build(&tree, &facts, kernel, &options)?;
    let folder = tempfile::tempdir()?;
    let initramfs = folder.path().join("initramfs");
    fs::write(&initramfs, made.bytes)?;
    Ok(Parts {
        iso,
        kernel: package.join(format!("boot/vmlinuz-{}", kernel.version)),
        initramfs,
        _folder: folder,
    })
}

/// A folder as a tree.
fn tree_of(root: &Path) -> Result<Tree<Content>> {
    let mut tree = Tree::new(Metadata::with_permissions(0o755));
    let mut pending = vec![root.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let meta = fs::symlink_metadata(&path)?;
            let node = if meta.is_dir() {
                pending.push(path.clone());
                Node::empty_directory()
            } else if meta.is_symlink() {
                Node::Symlink(fs::read_link(&path)?.as_os_str().as_encoded_bytes().into())
            } else {
                Node::File(Content::from_source(Arc::new(DiskFile::open(&path)?)))
            };
            let name = path.strip_prefix(root)?.as_os_str().as_encoded_bytes();
            let inode = Inode::new(Metadata::with_permissions(0o755), node);
            tree.put(&TreePath::parse(name)?, inode)?;
        }
    }
    Ok(tree)
}

/// A machine with one card and nothing else, with `parameters` on its command line.
fn machine(parts: &Parts, parameters: &str) -> Machine {
    let mut machine = guest::machine(&parts.iso);
    machine.firmware = Firmware::Bios;
    machine.media = None;
    machine.network = Network::User;
    machine.kernel = Some(DirectKernel {
        kernel: parts.kernel.clone(),
        initramfs: parts.initramfs.clone(),
        command_line: format!("console=ttyS0 quiet panic=-1 {PATIENT_KERNEL} {parameters}"),
    });
    machine
}

/// Waits for the refusal with `code`, before anything of the system runs; with the text up to it.
fn stops(machine: &Machine, code: Code) -> Result<String> {
    let mut guest = Guest::start(machine)?;
    let (which, text) = guest.expect_any(&["CHECKS BEGIN", "what to do:"], BOOT)?;
    ensure!(which == 1, "it booted: {text}");
    let refusal = format!("liveos-init: {}", code.code);
    ensure!(text.contains(&refusal), "it stopped otherwise: {text}");
    Ok(text)
}

fn digest(path: &Path) -> String {
    let bytes = Sha256::digest(fs::read(path).unwrap());
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn ref_it_boots_from_a_server_that_breaks_off_with_a_dead_card_beside() {
    let Some(parts) = parts() else {
        return;
    };
    let after = fs::metadata(&parts.iso).unwrap().len() / 3;
    let server = Server::start(&parts.iso, Manner::Breaks { after, away: 2 }).unwrap();
    let parameters = format!(
        "root=live:{} ip=dhcp rd.live.check liveos.digest=sha256:{}",
        server.url("live.iso"),
        digest(&parts.iso)
    );
    let mut machine = machine(parts, &parameters);
    machine.extra.extend(DEAD_CARD.map(Into::into));
    let mut guest = Guest::start(&machine).unwrap();
    let (which, text) = guest
        .expect_any(&["CHECKS BEGIN", "what to do:"], BOOT)
        .unwrap();
    assert_eq!(which, 0, "{text}");
    assert!(text.contains("checking the medium: 100 %"), "{text}");
    let report = guest.expect("ALL CHECKS DONE", BOOT).unwrap();
    assert!(
        report.matches(" ok\r").count() == 10 && !report.contains(" FAILED"),
        "{report}"
    );
    assert!(guest.wait_for_end(COMMAND).unwrap().success());
    // It may have taken a little less than was sent when the connection broke.
    let asked = server.asked();
    assert!(asked.len() == 2 && asked[0] == 0, "{asked:?}");
    assert!(asked[1] > 0 && asked[1] <= after, "{asked:?} of {after}");
}

#[test]
fn ref_dnsmasq_gives_the_address_and_knows_the_server_by_its_name() {
    if !tools::available(&cable::PROGRAMS) || !tools::is_root() {
        assert!(!tools::in_ci(), "needs root");
        eprintln!("SKIPPED: needs root, for a network namespace");
        return;
    }
    let Some(parts) = parts() else {
        return;
    };
    let mut cable = Cable::new().unwrap();
    cable.serve().unwrap();
    let boot = || {
        let server = Server::start(&parts.iso, Manner::Good)?;
        let url = server.url_at(cable::NAME, "live.iso");
        let mut machine = machine(parts, &format!("root={url} BOOTIF=01-52-54-00-12-34-56"));
        machine.network = Network::None;
        machine.extra.extend(cable::CARD.map(Into::into));
        let mut guest = Guest::start(&machine)?;
        let (which, text) = guest.expect_any(&["CHECKS BEGIN", "what to do:"], BOOT)?;
        ensure!(which == 0, "{text}");
        guest.expect("ALL CHECKS DONE", BOOT).map(drop)
    };
    cable.inside(boot).unwrap();
    // A name that nobody knows is no endless wait.
    let unknown = machine(parts, "root=http://nobody.test/live.iso rd.retry=2");
    let mut unknown = Machine {
        network: Network::None,
        ..unknown
    };
    unknown.extra.extend(cable::CARD.map(Into::into));
    cable
        .inside(|| stops(&unknown, SERVER_UNREACHABLE))
        .unwrap();
}

#[test]
fn ref_debian_boots_from_a_server_and_names_its_card_by_itself() {
    if !tools::slow_tests() || !tools::available(&["mmdebstrap"]) {
        return;
    }
    let Some(parts) = parts() else {
        return;
    };
    let disk = fixture::debian(&Debian {
        suite: "bookworm",
        contents: Contents::Minimal,
    });
    let server = Server::start(&iso(&disk.unwrap(), &[]).unwrap(), Manner::Good).unwrap();
    let mut machine = machine(parts, &format!("root={} ip=dhcp", server.url("live.iso")));
    machine.memory_mib = 2048;
    let mut guest = Guest::start(&machine).unwrap();
    guest.log_in("root", ROOT_PASSWORD, BOOT).unwrap();
    let cards = guest.command("ls /sys/class/net").unwrap();
    assert!(!cards.contains("eth0"), "{cards}");
    let state =
        guest.command("systemctl is-system-running --wait || systemctl --failed --no-legend");
    assert_eq!(state.unwrap(), "running");
    let report = guest.command("cat /run/liveos/report.json").unwrap();
    assert!(
        report.contains(&format!("\"medium_url\": \"{}\"", server.url("live.iso"))),
        "{report}"
    );
    guest
        .command("grep -q '^nameserver 10.0.2.3$' /run/liveos/resolv.conf")
        .unwrap();
    guest.send("poweroff\n").unwrap();
    assert!(guest.wait_for_end(COMMAND).unwrap().success());
}

#[test]
fn ref_a_server_that_fails_is_told_by_its_code_and_nothing_is_booted() {
    let Some(parts) = parts() else {
        return;
    };
    for (manner, code, cause) in [
        (
            Manner::Refuses(404),
            FETCH_REFUSED,
            "the server answers 404",
        ),
        (Manner::Ends(1 << 20), FETCH_BROKEN, "1048576 of "),
        (Manner::Claims(8 << 30), FETCH_MEMORY, "has 8192 MiB, "),
    ] {
        let server = Server::start(&parts.iso, manner).unwrap();
        let parameters = format!("root=live:{} ip=dhcp rd.retry=10", server.url("live.iso"));
        let text = stops(&machine(parts, &parameters), code).unwrap();
        assert!(text.contains(cause), "{text}");
    }
}

#[test]
fn ref_what_is_not_the_medium_is_not_booted() {
    let Some(parts) = parts() else {
        return;
    };
    let server = Server::start(&parts.iso, Manner::Good).unwrap();
    let url = server.url("live.iso");
    let wrong = format!("root={url} liveos.digest=sha256:{}", "00".repeat(32));
    stops(&machine(parts, &wrong), FETCH_DIGEST).unwrap();
    let kernel = Server::start(&parts.kernel, Manner::Good).unwrap();
    let other = format!("root=live:{}", kernel.url("live.iso"));
    stops(&machine(parts, &other), FETCH_UNKNOWN).unwrap();
}

#[test]
fn ref_a_network_that_does_not_work_ends_within_its_deadline() {
    let Some(parts) = parts() else {
        return;
    };
    let root = "root=live:http://10.0.2.2:1/live.iso rd.retry=4";
    let mut nobody = machine(parts, &format!("{root} rd.net.timeout.dhcp=5"));
    nobody.network = Network::None;
    nobody.extra.extend(DEAD_CARD.map(Into::into));
    let text = stops(&nobody, NO_ADDRESS).unwrap();
    assert!(text.contains("within 5 s"), "{text}");
    let mut none = machine(parts, &format!("{root} rd.net.timeout.iflink=5"));
    none.network = Network::None;
    stops(&none, NO_NETWORK_CARD).unwrap();
    let fixed = format!("{root} ip=10.0.2.15::10.0.2.2:255.255.255.0::eth0:none");
    stops(&machine(parts, &fixed), SERVER_UNREACHABLE).unwrap();
}
