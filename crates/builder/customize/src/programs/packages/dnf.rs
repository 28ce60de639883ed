//! tdnf, dnf and yum: Azure Linux, Fedora, Enterprise Linux and what is made from them.

use std::path::Path;

use block::Result;
use sandbox::Bind;

use super::super::path;
use super::local::{check_ending, place};
use super::{Commands, Image, Manager, Request, Setup, repodata, snapshot};

const UPDATE: Commands = Commands {
    refresh: &["makecache"],
    remove: &["remove"],
    update_all: &["update"],
    install: &["install"],
    update: &["update"],
};

const UPGRADE: Commands = Commands {
    update_all: &["upgrade"],
    update: &["upgrade"],
    ..UPDATE
};

pub(super) const TDNF: Manager = Manager {
    name: "tdnf",
    programs: &["/usr/bin/tdnf"],
    commands: UPDATE,
    good_codes: &[],
    set_up,
};

pub(super) const DNF5: Manager = Manager {
    name: "dnf5",
    programs: &["/usr/bin/dnf5"],
    commands: UPGRADE,
    good_codes: &[],
    set_up,
};

pub(super) const DNF: Manager = Manager {
    name: "dnf",
    programs: &["/usr/bin/dnf", "/usr/bin/dnf-3"],
    commands: UPGRADE,
    good_codes: &[],
    set_up,
};

pub(super) const MICRODNF: Manager = Manager {
    name: "microdnf",
    programs: &["/usr/bin/microdnf"],
    commands: UPGRADE,
    good_codes: &[],
    set_up,
};

pub(super) const YUM: Manager = Manager {
    name: "yum",
    programs: &["/usr/bin/yum"],
    commands: UPDATE,
    good_codes: &[],
    set_up,
};

/// Where configuration is lent.
const LENT: &str = "/_repositories";

fn set_up(image: &mut Image<'_>, request: &Request<'_>) -> Result<Setup> {
    let name = request.manager.name;
    let mut setup = Setup {
        options: vec!["-y".into()],
        ..Setup::default()
    };
    setup.cache(&[
        "/var/cache/tdnf",
        "/var/cache/dnf",
        "/var/cache/libdnf5",
        "/var/cache/yum",
    ])?;
    if matches!(name, "dnf" | "dnf5") {
        // Every line of the logs has the clock's time.
        setup.options.push("--setopt=logdir=/tmp".into());
    }
    if let Some(time) = request.snapshot_time {
        if name != "tdnf" {
            request.no_snapshot()?;
        }
        let configuration = image.tree.file("/etc/tdnf/tdnf.conf");
        let configuration = configuration
            .map(|file| file.read_all(1 << 20))
            .transpose()?;
        let text = String::from_utf8_lossy(&configuration.unwrap_or_default()).into_owned();
        let path = format!("{LENT}/tdnf.conf");
        setup.lend(&path, with_snapshot(&text, snapshot::seconds(time)?))?;
        setup.options.extend(["-c".into(), path]);
    }
    let folder = if request.disable_image_repositories {
        setup
            .options
            .push(format!("--setopt=reposdir={LENT}/repos"));
        format!("{LENT}/repos")
    } else {
        "/etc/yum.repos.d".to_owned()
    };
    for (number, (name, text)) in request.definitions().enumerate() {
        check_ending(name, &[".repo"], request.manager.name)?;
        setup.lend(&format!("{folder}/liveos-{number}-{name}"), text)?;
    }
    for (number, host) in request.folders() {
        show(&mut setup, number, host)?;
        setup.lend(
            &format!("{folder}/liveos-local-{number}.repo"),
            local_repository(number),
        )?;
    }
    Ok(setup)
}

/// Shows a folder of packages as a repository: with an index of ours where it has none.
fn show(setup: &mut Setup, number: usize, host: &Path) -> Result<()> {
    let place = place(number);
    let has_index = host.join("repodata/repomd.xml").is_file();
    let inside = if has_index {
        place.clone()
    } else {
        format!("{place}/packages")
    };
    setup.binds.push(Bind {
        host: host.to_path_buf(),
        inside: path(inside)?,
        read_only: true,
    });
    if has_index {
        return Ok(());
    }
    for (name, text) in repodata::index(host, "packages/")? {
        setup.lend(&format!("{place}/repodata/{name}"), text)?;
    }
    Ok(())
}

/// A repository that is a folder: nobody signs its index.
pub(super) fn local_repository(number: usize) -> String {
    let place = place(number);
    format!(
        "[liveos-local-{number}]\nname=packages of the build\nbaseurl=file://{place}\nenabled=1\ngpgcheck=0\nskip_if_unavailable=0\npriority=1\n"
    )
}

/// tdnf's configuration with the time of its repositories.
fn with_snapshot(configuration: &str, seconds: i64) -> String {
    let mut text = String::new();
    let mut is_set = false;
    for line in configuration.lines() {
        let key = line.split('=').next().unwrap_or_default().trim();
        if key == "snapshottime" {
            continue;
        }
        text.push_str(line);
        text.push('\n');
        if line.trim() == "[main]" {
            text.push_str(&format!("snapshottime={seconds}\n"));
            is_set = true;
        }
    }
    if !is_set {
        text.insert_str(0, &format!("[main]\nsnapshottime={seconds}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_snapshot_s_time_is_set_once_whatever_the_configuration_says() {
        assert_eq!(with_snapshot("", 5), "[main]\nsnapshottime=5\n");
        assert_eq!(
            with_snapshot("[main]\ngpgcheck=1\nsnapshottime = 3\n", 5),
            "[main]\nsnapshottime=5\ngpgcheck=1\n"
        );
    }
}
