//! Process 1 of an initramfs that is the whole system: nothing is looked for; what an archive cannot hold is restored, and the system
//! starts.

use contract::cmdline::Cmdline;
use contract::failure::{Failure, Stage};
use contract::media;
use contract::module_index::ModuleIndex;
use contract::parameter;
use contract::request::Policy;

use super::pid1::{Never, enter};
use crate::modules::Modules;
use crate::report::{Report, seconds};
use crate::stage::{Boot, restore, selinux, start, switch};
use crate::system::{Kind, Level, System};

/// Whether this initramfs is one.
pub(crate) fn is_here(system: &dyn System) -> bool {
    matches!(system.kind(media::FULL_OS_DIR), Ok(Kind::Folder))
}

pub(crate) fn boot(
    system: &mut dyn System,
    report: &mut Report,
    policy: &mut Policy,
) -> Result<Never, Failure> {
    start::mount_kernel_file_systems(system)?;
    let cmdline = start::read_kernel_cmdline(system);
    *policy = Policy::read(&cmdline);
    system.set_verbosity(policy.verbosity);
    let modules = Modules::new(ModuleIndex::default(), &Cmdline::default(), &[]);
    let mut boot = Boot { system, modules };
    enter(&mut boot, policy, report, Stage::Find);
    let list = restore::read_list(&boot)?;
    let programs = find_init(&mut boot, &cmdline)?;
    let selinux = selinux::load(&mut boot, &cmdline, &list)?;
    report.begin(Stage::FullOs.key(), boot.system.clock());
    restore::run(&mut boot, &list, selinux.as_ref())?;
    enter(&mut boot, policy, report, Stage::Switch);
    let now = boot.system.clock();
    boot.step(&format!(
        "switch_root after {} s ({} s after the kernel's start), from memory",
        seconds(now.saturating_sub(report.began)),
        seconds(now)
    ));
    report.save(boot.system, None);
    if let Some(selinux) = selinux {
        selinux::enforce(&mut boot, selinux)?;
    }
    switch::run(&mut boot, media::FULL_OS_ROOT)?;
    boot.system
        .log(Level::Detail, "the system is where it belongs");
    Err(switch::start_init(&mut boot, &programs))
}

/// The programs to try. The system's own `/init` comes before the usual ones, as the kernel would have started it.
fn find_init(boot: &mut Boot<'_>, cmdline: &Cmdline) -> Result<Vec<String>, Failure> {
    let given = cmdline.value(parameter::INIT).filter(|p| !p.is_empty());
    let own = boot.system.has_program("/", media::FULL_OS_INIT);
    let mut programs = match switch::find_init(boot, "/", given) {
        Ok(programs) => programs,
        Err(_) if own => Vec::new(),
        Err(failure) => return Err(failure),
    };
    // That name is ours still.
    programs.retain(|program| program != media::INIT);
    if own {
        let after_given = usize::from(programs.first().map(String::as_str) == given);
        programs.insert(after_given.min(programs.len()), media::INIT.to_owned());
    }
    Ok(programs)
}
