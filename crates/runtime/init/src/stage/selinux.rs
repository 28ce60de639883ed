//! The SELinux policy of a system whose files get their labels only now.
//!
//! A kernel takes no notice of labels that were set on a file system in memory before it had a policy. So the policy is loaded first,
//! as the system's own init would do it; that init loads it once more, and finds its files labelled.
//!
//! Source: selinux_config(5); libselinux 3.4, `selinux_init_load_policy` and `selinux_mkload_policy`; Linux 6.1, security/selinux/hooks.c.

use contract::attributes::Attributes;
use contract::cmdline::Cmdline;
use contract::failure::{Failure, POLICY};

use super::{Boot, OrStop as _};
use crate::system::{Level, Mount, MountFlags};

/// The attribute that is a file's label.
pub(crate) const LABEL: &[u8] = b"security.selinux";

const CONFIG: &str = "/etc/selinux/config";
const SELINUXFS: &str = "/sys/fs/selinux";
/// The longest configuration that is read, in bytes.
const MAX_CONFIG: usize = 64 * 1024;
/// The longest policy that is loaded, in bytes: the kernel's own limit.
const MAX_POLICY: usize = 64 << 20;
/// The oldest policy version that is looked for: of 2005.
const OLDEST: u32 = 15;

/// A policy that is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    enforcing: bool,
}

/// Loads the policy, where files have labels and kernel and system are to use them. Nothing is enforced yet.
pub(crate) fn load(
    boot: &mut Boot<'_>,
    cmdline: &Cmdline,
    list: &Attributes,
) -> Result<Option<Policy>, Failure> {
    if !list.has(LABEL) || !has_selinux(boot) {
        return Ok(None);
    }
    let config = boot.system.read(CONFIG, MAX_CONFIG).unwrap_or_default();
    let config = String::from_utf8_lossy(&config).into_owned();
    let mode = setting(&config, "SELINUX").unwrap_or("enforcing");
    if mode.eq_ignore_ascii_case("disabled") {
        return Ok(None);
    }
    let enforcing = match cmdline.value("enforcing") {
        Some(word) => word.trim() != "0",
        None => mode.eq_ignore_ascii_case("enforcing"),
    };
    mount(boot)?;
    let name = setting(&config, "SELINUXTYPE").unwrap_or("targeted");
    let Some(path) = find(boot, name) else {
        let cause = format!("/etc/selinux/{name}/policy has none that this kernel takes");
        if enforcing {
            return Err(Failure::new(POLICY, cause));
        }
        boot.warn(&cause);
        return Ok(None);
    };
    let bytes = boot.system.read(&path, MAX_POLICY).or_stop(POLICY, &path)?;
    // Where the kernel enforces by itself, or cannot but enforce, the policy has to allow what follows.
    let _ = boot.system.write(&format!("{SELINUXFS}/enforce"), b"0");
    boot.system
        .write(&format!("{SELINUXFS}/load"), &bytes)
        .or_stop(POLICY, &path)?;
    boot.system
        .log(Level::Detail, &format!("loaded the policy {path}"));
    Ok(Some(Policy { enforcing }))
}

/// From here on the policy holds, if it is to: an init that knows nothing of SELinux is no way around it.
pub(crate) fn enforce(boot: &mut Boot<'_>, policy: Policy) -> Result<(), Failure> {
    if !policy.enforcing {
        return Ok(());
    }
    let path = format!("{SELINUXFS}/enforce");
    boot.system.write(&path, b"1").or_stop(POLICY, &path)
}

fn has_selinux(boot: &Boot<'_>) -> bool {
    let table = boot.system.read("/proc/filesystems", MAX_CONFIG);
    let table = table.unwrap_or_default();
    String::from_utf8_lossy(&table)
        .lines()
        .any(|line| line.split_whitespace().next_back() == Some("selinuxfs"))
}

fn mount(boot: &mut Boot<'_>) -> Result<(), Failure> {
    let mount = Mount {
        source: "selinuxfs",
        target: SELINUXFS,
        kind: "selinuxfs",
        flags: MountFlags::NOSUID | MountFlags::NOEXEC,
        data: "",
    };
    boot.system.mount(&mount).or_stop(POLICY, SELINUXFS)
}

/// The newest policy that is not newer than the kernel.
fn find(boot: &Boot<'_>, name: &str) -> Option<String> {
    let newest = boot.system.read(&format!("{SELINUXFS}/policyvers"), 64);
    let newest = String::from_utf8(newest.ok()?).ok()?;
    let newest: u32 = newest.trim().parse().ok()?;
    if name.contains('/') || name == ".." {
        return None;
    }
    let folder = format!("/etc/selinux/{name}/policy");
    let names = boot.system.list(&folder).ok()?;
    let versions = names
        .iter()
        .filter_map(|name| name.strip_prefix("policy.")?.parse::<u32>().ok());
    let best = versions
        .filter(|version| (OLDEST..=newest).contains(version))
        .max()?;
    Some(format!("{folder}/policy.{best}"))
}

/// The value of a name, as the library reads the file: the last counts, comments and white space do not.
fn setting<'a>(config: &'a str, name: &str) -> Option<&'a str> {
    let values = config.lines().filter_map(|line| {
        line.trim()
            .strip_prefix(name)?
            .trim_start()
            .strip_prefix('=')
    });
    values.map(str::trim).rfind(|value| !value.is_empty())
}
