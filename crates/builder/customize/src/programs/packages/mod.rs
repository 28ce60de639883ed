//! `os.packages`: by the package manager that the image has.
//!
//! For each configuration file in turn: refresh, remove, update all, install, update. Repositories and folders of packages that the
//! configuration names are there for the time; so are a policy that starts no service, and caches that leave no trace.

mod apk;
mod apt;
mod dnf;
mod local;
mod pacman;
mod repodata;
mod rpm;
mod snapshot;
mod zypper;

use std::path::PathBuf;

use block::{Error, Result};
use config::settings::Packages;
use sandbox::{Bind, LentFile, Program};
use tree::TreePath;

use super::{Image, network};
use local::Source;

/// What the command line says of packages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repositories {
    /// `--rpm-source`: repository files and folders of packages.
    pub sources: Vec<PathBuf>,
    /// `--disable-base-image-rpm-repos`: the image's own repositories are not asked.
    pub disable_image_repositories: bool,
    /// `--package-snapshot-time`: a date or RFC 3339; it wins over the configuration.
    pub snapshot_time: Option<String>,
}

/// The words of a package manager, after its name and options.
#[derive(Clone, Copy, Debug)]
struct Commands {
    /// Fetch what the repositories hold.
    refresh: &'static [&'static str],
    /// Remove the packages that follow.
    remove: &'static [&'static str],
    /// Update all that is installed.
    update_all: &'static [&'static str],
    /// Install the packages that follow.
    install: &'static [&'static str],
    /// Update the packages that follow, which are installed.
    update: &'static [&'static str],
}

/// A package manager.
#[derive(Clone, Copy, Debug)]
struct Manager {
    /// Its program's name, for messages.
    name: &'static str,
    /// Where the program may be.
    programs: &'static [&'static str],
    commands: Commands,
    /// Its exit codes beside 0 that are no failure.
    good_codes: &'static [i32],
    /// What it needs for the time.
    set_up: fn(&mut Image<'_>, &Request<'_>) -> Result<Setup>,
}

/// Each that we know. The first that an image has is the one that manages it: some can be installed beside another.
const MANAGERS: [Manager; 9] = [
    apt::APT,
    zypper::ZYPPER,
    dnf::TDNF,
    dnf::DNF5,
    dnf::DNF,
    dnf::MICRODNF,
    dnf::YUM,
    apk::APK,
    pacman::PACMAN,
];

/// What a package manager is asked to work with.
#[derive(Clone, Debug)]
struct Request<'a> {
    manager: &'a Manager,
    /// Where its program is.
    program: &'static str,
    sources: Vec<Source>,
    disable_image_repositories: bool,
    snapshot_time: Option<&'a str>,
}

impl Request<'_> {
    /// Whether anything has to be fetched from elsewhere.
    fn is_remote(&self) -> bool {
        let is_remote = |source: &Source| !matches!(source, Source::Folder(_));
        !self.disable_image_repositories || self.sources.iter().any(is_remote)
    }

    /// The folders of packages, numbered.
    fn folders(&self) -> impl Iterator<Item = (usize, &PathBuf)> {
        let folders = self.sources.iter().filter_map(|source| match source {
            Source::Folder(path) => Some(path),
            Source::Definition { .. } => None,
        });
        folders.enumerate()
    }

    /// The definitions of repositories: name of the file and text.
    fn definitions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sources.iter().filter_map(|source| match source {
            Source::Definition { name, text } => Some((name.as_str(), text.as_str())),
            Source::Folder(_) => None,
        })
    }

    /// Refuses a time where the package manager has no repositories of the past.
    fn no_snapshot(&self) -> Result<()> {
        if self.snapshot_time.is_none() {
            return Ok(());
        }
        let message = format!(
            "{} has no repositories of the past: packages.snapshotTime is for tdnf of Azure Linux 3",
            self.manager.name
        );
        Err(Error::unsupported(DOING, message))
    }
}

/// What a package manager has for the time.
#[derive(Clone, Debug, Default)]
struct Setup {
    /// Its options, before the command.
    options: Vec<String>,
    environment: Vec<(&'static str, &'static str)>,
    files: Vec<LentFile>,
    binds: Vec<Bind>,
    temporary: Vec<TreePath>,
}

impl Setup {
    fn lend(&mut self, inside: &str, bytes: impl Into<Vec<u8>>) -> Result<()> {
        self.files.push(LentFile {
            inside: super::path(inside)?,
            bytes: bytes.into(),
            executable: false,
        });
        Ok(())
    }

    /// Shows the folders of packages, each at its own place.
    fn show_folders(&mut self, request: &Request<'_>) -> Result<()> {
        for (number, host) in request.folders() {
            self.binds.push(Bind {
                host: host.clone(),
                inside: super::path(local::place(number))?,
                read_only: true,
            });
        }
        Ok(())
    }

    fn cache(&mut self, folders: &[&str]) -> Result<()> {
        for folder in folders {
            self.temporary.push(super::path(folder)?);
        }
        Ok(())
    }
}

/// What the errors of this step name.
const DOING: &str = "changing the image's packages";

/// Changes the packages of the image as `settings` say, one configuration file after the other.
///
/// # Errors
///
/// [`Kind::NotFound`](block::Kind::NotFound) where the image has no package manager or a source is missing; where a step fails, with
/// the command, how it ended, and the last that it wrote.
pub fn apply(
    image: &mut Image<'_>,
    settings: &[&Packages],
    repositories: &Repositories,
) -> Result<()> {
    let settings: Vec<&Packages> = settings
        .iter()
        .copied()
        .filter(|packages| asks(packages))
        .collect();
    if settings.is_empty() {
        return Ok(());
    }
    settings
        .iter()
        .try_for_each(|packages| check_names(packages))?;
    let (manager, program) = find(image)?;
    image.enter()?;
    for packages in settings {
        let mut sources = Vec::new();
        for path in repositories.sources.iter().chain(&packages.sources) {
            sources.push(Source::open(path)?);
        }
        let request = Request {
            manager,
            program,
            sources,
            disable_image_repositories: repositories.disable_image_repositories,
            snapshot_time: repositories
                .snapshot_time
                .as_deref()
                .or(packages.snapshot_time.as_deref()),
        };
        change(image, packages, &request)?;
    }
    image.leave().map(drop)
}

/// Whether anything is asked for.
#[must_use]
pub fn asks(packages: &Packages) -> bool {
    fetches(packages) || !packages.remove.is_empty()
}

/// Whether repositories are needed.
fn fetches(packages: &Packages) -> bool {
    packages.update_existing || !packages.install.is_empty() || !packages.update.is_empty()
}

/// Refuses what a package manager would take for an option.
fn check_names(packages: &Packages) -> Result<()> {
    let names = [&packages.install, &packages.remove, &packages.update];
    let wrong = names.into_iter().flatten().find(|name| {
        name.is_empty()
            || name.starts_with('-')
            || name.contains(|c: char| c.is_whitespace() || c.is_control())
    });
    match wrong {
        None => Ok(()),
        Some(name) => {
            let message = format!(
                "\"{}\" cannot be the name of a package",
                name.escape_debug()
            );
            Err(Error::unsupported(DOING, message))
        }
    }
}

/// The package manager of the image, and where its program is.
fn find(image: &Image<'_>) -> Result<(&'static Manager, &'static str)> {
    let found = MANAGERS.iter().find_map(|manager| {
        let program = manager.programs.iter().find(|path| image.has(path))?;
        Some((manager, *program))
    });
    found.ok_or_else(|| {
        let names: Vec<&str> = MANAGERS.iter().map(|manager| manager.name).collect();
        let message = format!(
            "the image has no package manager: it has none of {}",
            names.join(", ")
        );
        Error::not_found(DOING, message)
    })
}

/// All that one configuration file asks for.
fn change(image: &mut Image<'_>, packages: &Packages, request: &Request<'_>) -> Result<()> {
    let commands = request.manager.commands;
    if fetches(packages) && request.disable_image_repositories && request.sources.is_empty() {
        let message = "the image's own repositories are switched off, and no other source is given";
        return Err(Error::not_found(DOING, message));
    }
    let setup = (request.manager.set_up)(image, request)?;
    let mut step = |doing: &str, words: &[&str], names: &[String], is_remote: bool| {
        let program = command(image, request, &setup, (words, names)).network(network(is_remote));
        image.run_to(&program, doing, request.manager.good_codes)
    };
    let is_remote = request.is_remote();
    if fetches(packages) {
        step(
            "asking the image's repositories",
            commands.refresh,
            &[],
            is_remote,
        )?;
    }
    if !packages.remove.is_empty() {
        step(
            "removing packages",
            commands.remove,
            &packages.remove,
            false,
        )?;
    }
    if packages.update_existing {
        step("updating all packages", commands.update_all, &[], is_remote)?;
    }
    if !packages.install.is_empty() {
        step(
            "installing packages",
            commands.install,
            &packages.install,
            is_remote,
        )?;
    }
    if !packages.update.is_empty() {
        step(
            "updating packages",
            commands.update,
            &packages.update,
            is_remote,
        )?;
    }
    Ok(())
}

fn command(
    image: &Image<'_>,
    request: &Request<'_>,
    setup: &Setup,
    (words, names): (&[&str], &[String]),
) -> Program {
    let mut arguments = vec![request.program.to_owned()];
    arguments.extend(setup.options.iter().cloned());
    arguments.extend(words.iter().map(|word| (*word).to_owned()));
    arguments.extend(names.iter().cloned());
    let mut program = image
        .program(arguments)
        // systemctl changes files and asks nobody.
        .variable("SYSTEMD_OFFLINE", "1");
    for (name, value) in &setup.environment {
        program = program.variable(*name, *value);
    }
    program.files.clone_from(&setup.files);
    program.binds.clone_from(&setup.binds);
    program.temporary.clone_from(&setup.temporary);
    program
}

#[cfg(test)]
mod tests;
