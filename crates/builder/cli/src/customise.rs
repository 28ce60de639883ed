//! What the configuration asks of the system, done before anything is decided about the media.

use block::Content;
use config::settings::{DracutModules, InitramfsType};
use config::{InitramfsPlan, Plan};
use customize::configured::{self, Programs, Work};
use customize::programs::dracut;
use customize::programs::packages::Repositories;
use customize::steps::{Release, Root, history, release};
use media::output::folder_of;

use crate::args::BuildArguments;
use crate::failure::{Failure, Result};
use crate::job::Job;
use crate::progress::Progress;
use crate::system::{System, newest};
use crate::write::doing;

/// Our name and version, as the release file has them.
const TOOL_VERSION: &str = concat!("liveos-", env!("CARGO_PKG_VERSION"));

/// Does what the configuration asks of the system, and looks at the system anew.
pub(crate) fn run(
    system: &mut System,
    job: &Job,
    arguments: &BuildArguments,
    (programs, progress): (&mut Programs, &Progress),
) -> Result<()> {
    let settings = &job.settings;
    let changes = configured::changes_the_system(settings);
    // Media that nothing is asked of are passed on; of anything else a configuration makes an image with a release file.
    if settings.files.is_empty() || !(changes || system.media.is_none()) {
        return Ok(());
    }
    let failed = |error| Failure::input(doing(&job.output), error);
    for step in customize::description::describe(settings) {
        progress.say(&step);
    }
    let work = work(system, job, arguments).map_err(failed)?;
    let mut lines = |line: &str| progress.program(line);
    let before = (&mut system.tree, system.facts.clone());
    let (facts, warnings) = configured::run(before, &work, programs, &mut lines).map_err(failed)?;
    for warning in warnings {
        progress.warn(&warning.to_string());
    }
    system.changed = true;
    system.facts = facts;
    Ok(())
}

fn work<'a>(system: &System, job: &'a Job, arguments: &BuildArguments) -> block::Result<Work<'a>> {
    let time = match job.request.time {
        Some(seconds) => tree::Timestamp::from_seconds(seconds),
        None => newest(&system.tree),
    };
    // The same on every machine: neither folders nor the order of anything is in it.
    let identity = history::describe(&job.settings)?;
    let image_uuid = release::image_uuid(TOOL_VERSION, time, identity.as_bytes());
    let is_memory = job.request.initramfs_kind() == InitramfsType::FullOs;
    Ok(Work {
        settings: &job.settings,
        repositories: Repositories {
            sources: arguments.package_source.clone(),
            disable_image_repositories: arguments.disable_image_repositories,
            snapshot_time: arguments.package_snapshot_time.clone(),
        },
        release: Release {
            tool_version: TOOL_VERSION.to_owned(),
            time,
            image_uuid,
        },
        root: if is_memory {
            Root::Memory
        } else {
            Root::Overlay
        },
    })
}

/// What runs programs of the image. The system is unpacked where that was asked for, or beside the output.
pub(crate) fn programs(job: &Job, arguments: &BuildArguments) -> Programs {
    let beside = || folder_of(&job.output).to_path_buf();
    Programs::new(arguments.scratch.clone().unwrap_or_else(beside))
}

/// The initramfs of every kernel, made by the image's own dracut; by the version of the kernel.
pub(crate) fn by_dracut(
    system: &mut System,
    plan: &Plan,
    job: &Job,
    programs: &mut Programs,
    (runtime, progress): (&Content, &Progress),
) -> Result<std::collections::BTreeMap<String, Content>> {
    let mut made = std::collections::BTreeMap::new();
    let InitramfsPlan::Bootstrap { dracut_modules, .. } = plan.initramfs else {
        return Ok(made);
    };
    let failed = |error| Failure::input(doing(&job.output), error);
    let module_files = match dracut_modules {
        DracutModules::Liveos => {
            payload::dracut_module::files(runtime, plan.time).map_err(failed)?
        }
        DracutModules::Upstream => Vec::new(),
    };
    let is_early_azure = system.facts.os.as_ref().is_some_and(|os| {
        let version = os.version_id().unwrap_or_default();
        ["azurelinux", "mariner"].contains(&os.id())
            && (version.starts_with("2") || version.starts_with("3"))
    });
    let architecture = system.facts.architecture.value;
    for kernel in &plan.kernels {
        let mut lines = |line: &str| progress.program(line);
        let mut image = programs
            .image(architecture, &mut system.tree, plan.time, &mut lines)
            .map_err(failed)?;
        let request = dracut::Request {
            kernel: &kernel.version,
            modules: dracut_modules,
            module_files: module_files.clone(),
            load_selinux_policy: is_early_azure,
        };
        let content = dracut::initramfs(&mut image, &request).map_err(failed)?;
        progress.say(&format!("initramfs of {} by dracut", kernel.version));
        made.insert(kernel.version.clone(), content);
    }
    Ok(made)
}
