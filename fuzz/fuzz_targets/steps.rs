//! Any bytes as a file that a step of a customisation reads: a value or an error.
#![no_main]

use block::Content;
use config::settings::{KernelModule, LoadMode, Os, SelinuxMode, Settings, SshKey, User};
use customize::steps::{self, Release, Root, Surroundings, selinux};
use inspect::InitSystem;
use libfuzzer_sys::fuzz_target;
use tree::{Inode, Metadata, Node, Timestamp, Tree, TreePath};

const FILES: [(&str, &str); 12] = [
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
    ("etc/shadow", "root:*:19000:0:99999:7:::\n"),
    ("etc/group", "root:x:0:\nwheel:x:10:\n"),
    ("etc/login.defs", "USERGROUPS_ENAB yes\n"),
    ("etc/default/useradd", "SKEL=/etc/skel\n"),
    ("root/.ssh/authorized_keys", ""),
    (
        "usr/lib/systemd/system/a.service",
        "[Install]\nWantedBy=b.target\n",
    ),
    (
        "etc/modprobe.d/module-options.conf",
        "options loop max_loop=1\n",
    ),
    ("boot/grub/grub.cfg", "linux /v ro\n"),
    ("etc/default/grub", "GRUB_CMDLINE_LINUX=\"a\"\n"),
    ("etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=p\n"),
    (
        "etc/selinux/p/contexts/files/file_contexts",
        "/.*  u:r:t:s0\n",
    ),
];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else {
        return;
    };
    let mut tree = Tree::new(Metadata::with_permissions(0o755));
    for (at, (path, text)) in FILES.iter().enumerate() {
        let is_chosen = usize::from(*first) % FILES.len() == at;
        let content = if is_chosen { bytes } else { text.as_bytes() };
        let node = Node::File(Content::from_bytes(content));
        let inode = Inode::new(Metadata::with_permissions(0o644), node);
        let path = TreePath::parse(path).expect("a plain path");
        tree.put(&path, inode).expect("an empty place");
    }
    let surroundings = Surroundings {
        release: Release {
            tool_version: "liveos".to_owned(),
            time: Timestamp::from_seconds(1),
            image_uuid: String::new(),
        },
        init: Some(InitSystem::Systemd),
        root: Root::Overlay,
    };
    let _ = steps::apply(&mut tree, &settings(), &surroundings);
    let _ = selinux::relabel(&mut tree, "p", selinux::Scope::All);
});

/// Asks for something of most steps.
fn settings() -> Settings {
    let root = User {
        name: "root".to_owned(),
        ssh_keys: vec![SshKey::Line("key".to_owned())],
        secondary_groups: vec!["wheel".to_owned()],
        ..User::default()
    };
    let new = User {
        name: "new".to_owned(),
        ..User::default()
    };
    let module = KernelModule {
        name: "loop".to_owned(),
        load_mode: LoadMode::Always,
        options: [("a".to_owned(), "1".to_owned())].into(),
    };
    let os = Os {
        users: vec![root, new],
        enable_services: vec!["a".to_owned()],
        disable_services: vec!["a".to_owned()],
        modules: vec![module],
        extra_command_line: vec!["quiet".to_owned()],
        selinux: Some(SelinuxMode::Disabled),
        ..Os::default()
    };
    Settings {
        os: vec![os],
        ..Settings::default()
    }
}
