//! Debian packages: which are missing, and how they come onto the machine.

use anyhow::{Context, Result, bail};

use super::{command, find, is_root, output, run};

/// Packages of one source that conflict unless they come from one release.
const QEMU: [&str; 2] = ["qemu-system-x86", "qemu-utils"];

/// Makes sure that the Debian `packages` are installed, and answers with those that had to be installed.
///
/// They are installed with apt-get, directly as root, otherwise through a sudo that asks for nothing.
///
/// # Errors
///
/// Where packages are missing and we may not install them, with the exact command; where this is not a Debian; where
/// apt-get refuses.
pub fn need(packages: &[&str]) -> Result<Vec<String>> {
    if find("dpkg-query").is_none() || find("apt-get").is_none() {
        bail!(
            "this machine is no Debian or Ubuntu; install what corresponds to these packages: {}",
            packages.join(" ")
        );
    }
    let missing: Vec<&str> = packages
        .iter()
        .copied()
        .filter(|name| !installed(name))
        .collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let Some(prefix) = privilege() else {
        bail!(
            "some packages are missing; install them with this command, and start again:\n\n    \
             sudo apt-get install --no-install-recommends {}\n",
            missing.join(" ")
        );
    };
    if !candidates_known(&missing) {
        apt(&prefix, &["update"]).context("reading the package lists")?;
    }
    let wanted = in_one_release(&missing);
    let mut arguments = vec![
        "install",
        "--yes",
        "--no-install-recommends",
        "--allow-downgrades",
    ];
    arguments.extend(wanted.iter().map(String::as_str));
    apt(&prefix, &arguments).with_context(|| format!("installing {}", missing.join(" ")))?;
    Ok(missing.into_iter().map(str::to_owned).collect())
}

/// Whether the package is unpacked and configured.
fn installed(package: &str) -> bool {
    run(
        "dpkg-query",
        ["--show", "--showformat=${db:Status-Status}", package],
    )
    .is_ok_and(|status| status == "installed")
}

/// How a command gets to be root: as it is, through sudo without a question, or not at all.
fn privilege() -> Option<Vec<&'static str>> {
    if is_root() {
        return Some(Vec::new());
    }
    let sudo = ["sudo", "--non-interactive"];
    let works = output(command("sudo").args(["--non-interactive", "true"])).is_ok();
    works.then(|| sudo.to_vec())
}

/// Whether the package lists know each of them. A fresh container has no lists at all.
fn candidates_known(packages: &[&str]) -> bool {
    packages.iter().all(|package| candidate(package).is_some())
}

/// The version of `package` that apt-get would install.
fn candidate(package: &str) -> Option<String> {
    let text = run("apt-cache", ["policy", package]).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (line != "(none)").then(|| line.to_owned())
}

/// The packages as apt-get takes them, QEMU's two in one version.
///
/// Where one of the two was installed from backports, the other one would come from the stable release and refuse to
/// stand beside it; so both are named with the version that the first can have.
fn in_one_release(missing: &[&str]) -> Vec<String> {
    let mut wanted: Vec<String> = missing
        .iter()
        .filter(|name| !QEMU.contains(name))
        .map(|name| (*name).to_owned())
        .collect();
    if missing.iter().any(|name| QEMU.contains(name)) {
        match candidate(QEMU[0]) {
            Some(version) => wanted.extend(QEMU.map(|name| format!("{name}={version}"))),
            None => wanted.extend(QEMU.map(str::to_owned)),
        }
    }
    wanted
}

fn apt(prefix: &[&str], arguments: &[&str]) -> Result<()> {
    let mut words = prefix.to_vec();
    words.extend([
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "--quiet",
    ]);
    words.extend(arguments);
    let (program, rest) = words.split_first().context("an empty command")?;
    output(command(program).args(rest)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qemu_comes_in_one_version() {
        let wanted = in_one_release(&["ovmf", "qemu-utils"]);
        assert_eq!(wanted[0], "ovmf");
        let versions: Vec<_> = wanted[1..]
            .iter()
            .map(|word| word.split_once('=').map(|(_, v)| v))
            .collect();
        assert_eq!(versions.len(), 2);
        assert_eq!(versions[0], versions[1]);
    }

    #[test]
    fn what_is_installed_needs_nothing() {
        if find("dpkg-query").is_some() {
            assert_eq!(need(&["dpkg"]).unwrap(), Vec::<String>::new());
        }
    }
}
