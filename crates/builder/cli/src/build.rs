//! `liveos build`: source → tree → facts and plan → payloads → media.

use std::path::Path;
use std::time::Instant;

use block::{BackingFiles, Content};
use config::settings::{Generator, OutputFormat};
use config::{InitramfsPlan, Plan};
use contract::cmdline::Cmdline;
use customize::steps::files::content_of;
use formats::squashfs;
use media::files::Files;
use media::late::Late;
use payload::{full_os, initramfs};
use tree::{Inode, Metadata, Node, TreePath};

use crate::args::BuildArguments;
use crate::boot_files::kernels::{self, Native};
use crate::boot_files::{self, Inputs};
use crate::carried::{self, Carried};
use crate::failure::{Failure, Result};
use crate::job::Job;
use crate::payloads::{FullOs, HashTree, PassedOn, RootImage};
use crate::progress::{Progress, Verbosity};
use crate::run::Environment;
use crate::system::System;
use crate::write::{self, Parts, Place, Written};
use crate::{customise, runtime};

/// Builds the media, start to end.
pub(crate) fn run(arguments: &BuildArguments, environment: &Environment) -> Result<()> {
    let started = Instant::now();
    let progress = Progress::new(if arguments.quiet {
        Verbosity::Quiet
    } else {
        Verbosity::Normal
    });
    let mut job = Job::new(arguments, environment)?;
    tell_all(&progress, &job.settings.warnings);
    let building = write::doing(&job.output);
    let input = |error| Failure::input(building.clone(), error);
    let runtime = Content::from_bytes(runtime::load(arguments.runtime.as_deref())?);
    let place = Place::create(&job)?;

    let mut system = System::open(&mut job, arguments, &progress)?;
    let mut programs = customise::programs(&job, arguments);
    customise::run(&mut system, &job, arguments, (&mut programs, &progress))?;
    let plan = system.plan(&job)?;
    tell_all(&progress, &plan.warnings);
    progress.say(&format!(
        "{}: {} ({})",
        job.source.display(),
        plan.name,
        kernel_names(&plan)
    ));

    let build = Build {
        arguments,
        job: &job,
        plan: &plan,
        runtime,
        progress: &progress,
    };
    let mut carried = build.carried(&system);
    if build.wants_dracut(&carried) {
        let with = (&build.runtime, &progress);
        carried.initramfs = customise::by_dracut(&mut system, &plan, &job, &mut programs, with)?;
    }
    // What was unpacked takes no room any more while the media are written.
    drop(programs);
    let boot = build.boot_parts(&system, &carried).map_err(input)?;
    let kept = boot_files::kept_for_kdump(&system.tree, &plan);
    let warnings = customize::apply(&mut system.tree, &kept).map_err(input)?;
    tell_all(&progress, &warnings);
    let payload = match carried.payload {
        Some(content) => build
            .passed_on(content, carried.additions.as_ref())
            .map_err(input)?,
        None => build.payload(&system).map_err(input)?,
    };
    let parts = Parts {
        iso: boot.iso,
        netboot: boot.netboot,
        http_boot: boot.http_boot,
        payload: &*payload,
    };
    let written = write::write(place, parts, &plan, &job, &progress)?;
    build.tell_result(written, started);
    Ok(())
}

/// What the boot loaders load, for the ISO and for a server.
struct BootParts {
    iso: Option<(Files, media::iso::Description)>,
    netboot: Option<Files>,
    http_boot: Option<(Files, media::iso::Description)>,
}

/// A build whose plan stands.
struct Build<'a> {
    arguments: &'a BuildArguments,
    job: &'a Job,
    plan: &'a Plan,
    /// `liveos-init`.
    runtime: Content,
    progress: &'a Progress,
}

impl<'p> Build<'p> {
    /// What is passed on from the input as it is.
    fn carried(&self, system: &System) -> Carried {
        let changed = system.changed || self.arguments.rebuild;
        let media = system.media.as_deref();
        let carried = media
            .map(|media| carried::choose(media, self.plan, self.job, changed))
            .unwrap_or_default();
        let is_new = carried.payload.is_none() && self.plan.initramfs == InitramfsPlan::FullOs;
        if carried.additions.is_some() && is_new {
            self.progress.warn(
                "what was added to the initramfs of the input media is not in the new one: add it again with liveos edit",
            );
        }
        carried
    }

    /// Whether the image's own dracut makes the initramfs.
    fn wants_dracut(&self, carried: &Carried) -> bool {
        let by_dracut = matches!(
            self.plan.initramfs,
            InitramfsPlan::Bootstrap {
                generator: Generator::Dracut,
                ..
            }
        );
        by_dracut && carried.initramfs.is_empty()
    }

    fn boot_parts(&self, system: &System, carried: &Carried) -> block::Result<BootParts> {
        let inputs = Inputs {
            tree: &system.tree,
            facts: &system.facts,
            plan: self.plan,
        };
        let common = self.common_files(system, carried, inputs)?;
        let is_iso = self.plan.format == OutputFormat::Iso;
        let mut parts = BootParts {
            iso: None,
            netboot: None,
            http_boot: None,
        };
        if is_iso || self.plan.network.is_some() {
            let (files, mut description) = boot_files::iso(inputs, &common, self.progress)?;
            description.reserved = self.job.reserved;
            parts.iso = Some((files, description));
        }
        if !is_iso {
            parts.netboot = Some(boot_files::netboot(inputs, &common, self.progress)?);
            parts.http_boot = Some(boot_files::http_boot(inputs, &common)?);
        }
        let additional = &self.job.section().additional_files;
        let iso = parts.iso.iter_mut().map(|(files, _)| files);
        for files in iso.chain(&mut parts.netboot) {
            boot_files::put_additional(files, additional)?;
        }
        Ok(parts)
    }

    /// The files that all kinds of media have: kernels, initramfs, what users put on the input media, what the next build has to know.
    fn common_files(
        &self,
        system: &System,
        carried: &Carried,
        inputs: Inputs<'_>,
    ) -> block::Result<Files> {
        let mut files = Files::new(self.plan.time);
        if let Some(media) = &system.media {
            carried::put_files(media, &mut files)?;
        }
        let saved = system.saved_after(self.job, self.plan).print();
        let saved = Content::from_bytes(saved.into_bytes());
        files.put(source::SAVED_CONFIGS, saved)?;
        let mut native = Native::new(inputs, self.initramfs_options()?, self.progress);
        let mut maker = kernels::Known {
            known: &carried.initramfs,
            other: &mut native,
            additions: carried.additions.as_ref(),
        };
        kernels::put(&mut files, inputs, &mut maker)?;
        Ok(files)
    }

    /// What goes into a native initramfs.
    fn initramfs_options(&self) -> block::Result<initramfs::Options> {
        let mut options = initramfs::Options::new(self.runtime.clone());
        options.root_image = kernels::root_image(self.plan);
        options.time = self.plan.time;
        options.network = self.plan.network.is_some();
        options.verity = self.plan.verity;
        let wishes = &self.job.settings.initramfs;
        options.add_modules.clone_from(&wishes.add_modules);
        options.omit_modules.clone_from(&wishes.omit_modules);
        options.install.clone_from(&wishes.install);
        let cmdline = Cmdline::parse(&self.plan.append.join(" "));
        for need in contract::request::persistence::needs(&cmdline) {
            let modules = need.modules.iter().map(|name| (*name).to_owned());
            options.add_modules.extend(modules);
            options.programs.extend(need.programs);
        }
        if wishes.shell == Some(true) {
            options.shell = Some(boot_files::host_shell()?);
        }
        for item in &wishes.additional_files {
            let path = TreePath::parse(&item.destination).map_err(|error| {
                let what = format!("initramfs.additionalFiles: {}", item.destination);
                block::Error::unsupported(what, "it is no path").caused_by(error)
            })?;
            let (content, mode) = content_of(item)?;
            let metadata = Metadata {
                mtime: self.plan.time,
                ..Metadata::with_permissions(mode)
            };
            options
                .extra
                .push((path, Inode::new(metadata, Node::File(content))));
        }
        Ok(options)
    }

    /// A payload of the input, as it is; `additions` were put beside an initramfs on the input media.
    fn passed_on<'a>(
        &self,
        content: Content,
        additions: Option<&Content>,
    ) -> block::Result<Box<dyn Late + 'a>> {
        self.progress.say("the system is passed on as it is");
        let content = match additions {
            Some(additions) if self.plan.initramfs == InitramfsPlan::FullOs => {
                carried::joined(&content, additions)?
            }
            _ => content,
        };
        let tree = HashTree::new(self.plan.verity);
        let passed_on = PassedOn::new(self.plan.initramfs, content, tree)?;
        Ok(Box::new(passed_on))
    }

    /// The large payload of the plan.
    fn payload<'a>(&self, system: &'a System) -> block::Result<Box<dyn Late + 'a>>
    where
        'p: 'a,
    {
        match self.plan.initramfs {
            InitramfsPlan::Bootstrap { .. } => {
                let root = squashfs::Checked::new(&system.tree, self.root_options())?;
                tell_all(self.progress, root.warnings());
                Ok(Box::new(RootImage::new(
                    root,
                    HashTree::new(self.plan.verity),
                )))
            }
            InitramfsPlan::FullOs => {
                let mut options = full_os::Options::new(self.runtime.clone());
                options.time = self.plan.time;
                options.threads = self.arguments.threads.unwrap_or(0);
                let checked = full_os::Checked::new(&system.tree, &system.facts, &options)?;
                tell_all(self.progress, checked.warnings());
                Ok(Box::new(FullOs {
                    checked,
                    tell: self.progress,
                }))
            }
        }
    }

    fn root_options(&self) -> squashfs::Options {
        squashfs::Options {
            compression: self.plan.root_image.compression,
            block_size: self.plan.root_image.block_size,
            threads: self.arguments.threads.unwrap_or(0),
            image_time: u32::try_from(self.plan.time.seconds).ok(),
            ..squashfs::Options::default()
        }
    }

    fn tell_result(&self, written: Written, started: Instant) {
        self.progress.say(&format!(
            "{}: {} MiB, {} MiB of it {}, in {:.1} s",
            self.job.output.display(),
            written.len >> 20,
            written.payload >> 20,
            match self.plan.initramfs {
                InitramfsPlan::Bootstrap { .. } => "the root file system image",
                InitramfsPlan::FullOs => "the initramfs that is the whole system",
            },
            started.elapsed().as_secs_f64()
        ));
    }
}

fn tell_all<W: std::fmt::Display>(progress: &Progress, warnings: &[W]) {
    for warning in warnings {
        progress.warn(&warning.to_string());
    }
}

/// How an input is opened. `scratch` is where what has to be unpacked for reading goes; the machine's folder for temporary files by default.
pub(crate) fn source_options(
    allow_backing_anywhere: bool,
    scratch: Option<&Path>,
) -> source::Options {
    let backing_files = if allow_backing_anywhere {
        BackingFiles::Anywhere
    } else {
        BackingFiles::default()
    };
    let mut options = source::Options::default();
    options.disk_image.backing_files = backing_files;
    if let Some(folder) = scratch {
        options.temporary_folder = Some(folder.to_path_buf());
    }
    options
}

fn kernel_names(plan: &Plan) -> String {
    let versions: Vec<&str> = plan
        .kernels
        .iter()
        .map(|kernel| kernel.version.as_str())
        .collect();
    let word = if versions.len() == 1 {
        "kernel"
    } else {
        "kernels"
    };
    format!("{word} {}", versions.join(", "))
}
