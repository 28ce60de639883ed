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

use std::path::PathBuf;

use block::{Content, Result};
use config::settings::{Packages, Settings};
use inspect::{Architecture, Facts};
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
}

/// Whether a configuration asks for anything that changes the system.
#[must_use]
pub fn changes_the_system(settings: &Settings) -> bool {
    !settings.os.is_empty() || !settings.scripts.is_empty()
}

/// Does all of it. `facts` are those of `tree`, and those of the tree that it becomes are in the answer. `output` gets each line that a
/// program of the image writes.
///
/// # Errors
///
/// Whatever a step answers; the tree is half changed then.
pub fn run(
    (tree, facts): (&mut Tree<Content>, Facts),
    work: &Work<'_>,
    programs: &mut Programs,
    output: &mut dyn FnMut(&str),
) -> Result<(Facts, Vec<Warning>)> {
    let mut facts = Known::new(facts);
    let time = work.release.time;
    let settings = work.settings;
    let asked: Vec<&Packages> = settings.os.iter().map(|os| &os.packages).collect();
    if asked.iter().any(|packages| packages::asks(packages)) {
        let mut image = programs.image(facts.for_programs(tree)?, tree, time, output)?;
        packages::apply(&mut image, &asked, &work.repositories)?;
    }
    let surroundings = Surroundings {
        release: work.release.clone(),
        init: facts.of(tree)?.init.as_ref().map(|init| init.value),
        root: work.root,
    };
    facts.outdated = true;
    let warnings = steps::apply(tree, settings, &surroundings)?;
    if has_scripts(settings, |scripts| !scripts.post_customization.is_empty()) {
        let mut image = programs.image(facts.for_programs(tree)?, tree, time, output)?;
        scripts::run(&mut image, &settings.scripts, Phase::PostCustomization)?;
    }
    let policy = policy(facts.of(tree)?);
    if let Some(policy) = &policy {
        // Labels are no facts.
        relabel(tree, policy, Scope::All)?;
    }
    if has_scripts(settings, |scripts| {
        !scripts.finalize_customization.is_empty()
    }) {
        let mut image = programs.image(facts.for_programs(tree)?, tree, time, output)?;
        scripts::run(&mut image, &settings.scripts, Phase::FinalizeCustomization)?;
        if let Some(policy) = &policy {
            relabel(tree, policy, Scope::Unlabelled)?;
        }
    }
    facts.of(tree)?;
    Ok((facts.facts, warnings))
}

/// What a tree is, looked at again only where it may have become something else: that reads hundreds of files.
#[derive(Debug)]
struct Known {
    facts: Facts,
    outdated: bool,
}

impl Known {
    fn new(facts: Facts) -> Self {
        Self {
            facts,
            outdated: false,
        }
    }

    /// What programs of `tree` run on; they may change anything in it.
    fn for_programs(&mut self, tree: &Tree<Content>) -> Result<Architecture> {
        let architecture = self.of(tree)?.architecture.value;
        self.outdated = true;
        Ok(architecture)
    }

    /// The facts of `tree` as it is.
    fn of(&mut self, tree: &Tree<Content>) -> Result<&Facts> {
        if self.outdated {
            self.facts = inspect::facts(tree)?;
            self.outdated = false;
        }
        Ok(&self.facts)
    }
}

fn has_scripts(settings: &Settings, has: impl Fn(&config::settings::Scripts) -> bool) -> bool {
    settings.scripts.iter().any(has)
}

/// The SELinux policy of the system, where SELinux is on and a policy is there.
fn policy(facts: &Facts) -> Option<String> {
    let selinux = facts.selinux.as_ref();
    selinux
        .filter(|selinux| selinux.mode != "disabled" && selinux.file_contexts)
        .map(|selinux| selinux.policy.clone())
}

/// The sandbox of a build, made when the first program has to run: the system is unpacked once, whoever needs it.
#[derive(Debug)]
pub struct Programs {
    scratch: PathBuf,
    sandbox: Option<Sandbox>,
}

impl Programs {
    /// Nothing yet. `scratch` is the folder in which the system will be unpacked.
    #[must_use]
    pub fn new(scratch: PathBuf) -> Self {
        Self {
            scratch,
            sandbox: None,
        }
    }

    /// The image in `tree`, whose programs can run on `architecture`. `time` is what they take for the time of the build; what they
    /// change gets the time of the first call.
    ///
    /// # Errors
    ///
    /// Where no sandbox is to be had, or its programs do not run on this machine.
    pub fn image<'b>(
        &'b mut self,
        architecture: Architecture,
        tree: &'b mut Tree<Content>,
        time: Timestamp,
        output: &'b mut dyn FnMut(&str),
    ) -> Result<Image<'b>> {
        let sandbox = match self.sandbox.take() {
            Some(sandbox) => sandbox,
            None => Sandbox::new(&sandbox::Options::new(&self.scratch, time))?,
        };
        let sandbox = self.sandbox.insert(sandbox);
        Image::new(sandbox, tree, architecture, time, output)
    }
}
