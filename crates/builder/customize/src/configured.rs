//! What a configuration asks for, start to end, in Image Customizer's order.
//!
//! ```text
//! packages                         programs of the image, in the sandbox
//! steps                            edits of the tree
//! scripts (postCustomization)      programs
//! SELinux labels of all files      an edit
//! scripts (finalizeCustomization)  programs
//! SELinux labels of what is new    an edit
//! ```
//!
//! A sandbox is made only where a program has to run.

use std::path::{Path, PathBuf};

use block::{Content, Result};
use config::settings::{Packages, Settings};
use inspect::Facts;
use sandbox::Sandbox;
use tree::{Timestamp, Tree};

use crate::Warning;
use crate::programs::Image;
use crate::programs::packages::{self, Repositories};
use crate::programs::scripts::{self, Phase};
use crate::steps::selinux::{Scope, relabel};
use crate::steps::{self, Release, Root, Surroundings};

/// What is asked for, and what it is done with.
#[derive(Clone, Debug)]
pub struct Work<'a> {
    /// The configuration.
    pub settings: &'a Settings,
    /// What the command line says of packages.
    pub repositories: Repositories,
    /// What makes the image, and when.
    pub release: Release,
    /// What the running system's root will be.
    pub root: Root,
    /// Where the system is unpacked for its programs.
    pub scratch: PathBuf,
}

/// Whether a configuration asks for anything that changes the system.
#[must_use]
pub fn changes_the_system(settings: &Settings) -> bool {
    !settings.os.is_empty() || !settings.scripts.is_empty()
}

/// Does all of it. `output` gets each line that a program of the image writes.
///
/// # Errors
///
/// Whatever a step answers; the tree is half changed then.
pub fn run(
    tree: &mut Tree<Content>,
    work: &Work<'_>,
    output: &mut dyn FnMut(&str),
) -> Result<Vec<Warning>> {
    let mut programs = Programs::new(&work.scratch, work.release.time);
    let settings = work.settings;
    let asked: Vec<&Packages> = settings.os.iter().map(|os| &os.packages).collect();
    if asked.iter().any(|packages| packages::asks(packages)) {
        let mut image = programs.image(tree, output)?;
        packages::apply(&mut image, &asked, &work.repositories)?;
    }
    let surroundings = Surroundings {
        release: work.release.clone(),
        init: inspect::facts(tree)?.init.map(|init| init.value),
        root: work.root,
    };
    let warnings = steps::apply(tree, settings, &surroundings)?;
    if has_scripts(settings, |scripts| !scripts.post_customization.is_empty()) {
        let mut image = programs.image(tree, output)?;
        scripts::run(&mut image, &settings.scripts, Phase::PostCustomization)?;
    }
    let policy = policy(tree)?;
    if let Some(policy) = &policy {
        relabel(tree, policy, Scope::All)?;
    }
    if has_scripts(settings, |scripts| {
        !scripts.finalize_customization.is_empty()
    }) {
        let mut image = programs.image(tree, output)?;
        scripts::run(&mut image, &settings.scripts, Phase::FinalizeCustomization)?;
        if let Some(policy) = &policy {
            relabel(tree, policy, Scope::Unlabelled)?;
        }
    }
    Ok(warnings)
}

fn has_scripts(settings: &Settings, has: impl Fn(&config::settings::Scripts) -> bool) -> bool {
    settings.scripts.iter().any(has)
}

/// The SELinux policy of the system, where SELinux is on and a policy is there.
fn policy(tree: &Tree<Content>) -> Result<Option<String>> {
    let facts = inspect::facts(tree)?;
    let selinux = facts
        .selinux
        .filter(|selinux| selinux.mode != "disabled" && selinux.file_contexts);
    Ok(selinux.map(|selinux| selinux.policy))
}

/// The sandbox, made when the first program has to run.
#[derive(Debug)]
pub struct Programs<'a> {
    scratch: &'a Path,
    time: Timestamp,
    sandbox: Option<Sandbox>,
}

impl<'a> Programs<'a> {
    /// Nothing yet. `scratch` is the folder in which the system will be unpacked.
    #[must_use]
    pub fn new(scratch: &'a Path, time: Timestamp) -> Self {
        Self {
            scratch,
            time,
            sandbox: None,
        }
    }

    /// The image in `tree`, whose programs can run.
    ///
    /// # Errors
    ///
    /// Where no sandbox is to be had, or its programs do not run on this machine.
    pub fn image<'b>(
        &'b mut self,
        tree: &'b mut Tree<Content>,
        output: &'b mut dyn FnMut(&str),
    ) -> Result<Image<'b>> {
        let facts: Facts = inspect::facts(tree)?;
        let sandbox = match self.sandbox.take() {
            Some(sandbox) => sandbox,
            None => Sandbox::new(&sandbox::Options::new(self.scratch, self.time))?,
        };
        let sandbox = self.sandbox.insert(sandbox);
        Image::new(sandbox, tree, &facts, self.time, output)
    }
}
