//! pacman: Arch Linux and what is made from it.

use block::{Error, Result};

use super::local::place;
use super::{Commands, DOING, Image, Manager, Request, Setup};

pub(super) const PACMAN: Manager = Manager {
    name: "pacman",
    programs: &["/usr/bin/pacman"],
    commands: Commands {
        refresh: &["-Sy"],
        remove: &["-R"],
        update_all: &["-Su"],
        install: &["-S", "--needed"],
        update: &["-S"],
    },
    good_codes: &[],
    set_up,
};

/// Where the index of the folders of packages is.
const INDEX: &str = "/_packageindex";
/// Where the configuration is lent.
const CONFIGURATION: &str = "/_pacman.conf";

fn set_up(image: &mut Image<'_>, request: &Request<'_>) -> Result<Setup> {
    request.no_snapshot()?;
    if let Some((name, _)) = request.definitions().next() {
        let message = format!("{name} is no source of packages for pacman: only folders are");
        return Err(Error::unsupported(DOING, message));
    }
    let mut setup = Setup {
        options: vec![
            "--noconfirm".into(),
            "--noprogressbar".into(),
            "--logfile".into(),
            "/dev/null".into(),
        ],
        ..Setup::default()
    };
    setup.cache(&["/var/cache/pacman/pkg", "/var/lib/pacman/sync", INDEX])?;
    setup.show_folders(request)?;
    let own = image
        .tree
        .file("/etc/pacman.conf")
        .map(|file| file.read_all(1 << 20))
        .transpose()?;
    let own = String::from_utf8_lossy(&own.unwrap_or_default()).into_owned();
    let folders: Vec<String> = request.folders().map(|(number, _)| place(number)).collect();
    if !folders.is_empty() {
        index(image, &setup, &folders)?;
    }
    let text = configuration(&own, request.disable_image_repositories, &folders);
    setup.lend(CONFIGURATION, text)?;
    setup
        .options
        .extend(["--config".into(), CONFIGURATION.into()]);
    Ok(setup)
}

/// Makes the index of the folders of packages, with pacman's own program.
fn index(image: &mut Image<'_>, setup: &Setup, folders: &[String]) -> Result<()> {
    let script = format!(
        "shopt -s nullglob; for folder; do set -- \"$folder\"/*.pkg.tar.{{zst,xz,gz}}; [ $# = 0 ] || repo-add -q {INDEX}/liveos.db.tar.gz \"$@\"; done"
    );
    let mut words = vec!["/bin/bash".to_owned(), "-c".into(), script, "index".into()];
    words.extend(folders.iter().cloned());
    let mut program = image.program(words);
    program.binds.clone_from(&setup.binds);
    program.temporary.clone_from(&setup.temporary);
    image.run(&program, "reading folders of packages")
}

/// The image's configuration: without its repositories where they are switched off, and with one of the folders, before all others.
fn configuration(own: &str, without_repositories: bool, folders: &[String]) -> String {
    let mut text = String::new();
    let mut is_options = true;
    let mut is_placed = false;
    for line in own.lines() {
        if line.trim_start().starts_with('[') {
            is_options = line.trim() == "[options]";
        }
        if !is_options && !is_placed {
            text.push_str(&local(folders));
            is_placed = true;
        }
        if is_options || !without_repositories {
            text.push_str(line);
            text.push('\n');
        }
    }
    if !is_placed {
        text.push_str(&local(folders));
    }
    text
}

fn local(folders: &[String]) -> String {
    if folders.is_empty() {
        return String::new();
    }
    let mut text = format!("[liveos]\nSigLevel = Never\nServer = file://{INDEX}\n");
    for folder in folders {
        text.push_str(&format!("Server = file://{folder}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_before_the_image_s_repositories_or_in_their_place() {
        let own = "[options]\nArchitecture = auto\n[core]\nInclude = /x\n";
        let folders = ["/_localpackages/0".to_owned()];
        let local = "[liveos]\nSigLevel = Never\nServer = file:///_packageindex\nServer = file:///_localpackages/0\n";
        assert_eq!(
            configuration(own, false, &folders),
            format!("[options]\nArchitecture = auto\n{local}[core]\nInclude = /x\n")
        );
        assert_eq!(
            configuration(own, true, &folders),
            format!("[options]\nArchitecture = auto\n{local}")
        );
        assert_eq!(configuration(own, false, &[]), own);
        assert_eq!(configuration("", true, &folders), local);
    }
}
