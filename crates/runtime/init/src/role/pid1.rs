//! Process 1 of the initramfs: the stages in order, and what happens where one fails. It never ends, as the kernel would panic.

#[cfg(not(feature = "network"))]
use contract::failure::NOT_SUPPORTED;
use contract::failure::{Failure, NO_LIVE_ROOT, Stage};
use contract::media;
use contract::request::{Policy, Request, Root};

use super::full_os;
use crate::modules::Modules;
use crate::report::{self, Report, seconds};
use crate::stage::find::Medium;
use crate::stage::{Boot, base, find, overlay, persistence, start, switch, verify};
#[cfg(feature = "network")]
use crate::stage::{fetch, network};
use crate::system::{Level, System};

/// The file of this program, wherever the initramfs has it.
const OURSELVES: &str = "/proc/self/exe";

/// Boots. What is left where that fails depends on the command line: a shell, the end of the machine, or rest.
pub(crate) fn run(system: &mut dyn System) -> ! {
    let mut report = Report {
        began: system.clock(),
        ..Report::default()
    };
    report.begin(Stage::Start.key(), report.began);
    let mut policy = Policy::default();
    let boot = if full_os::is_here(system) {
        full_os::boot
    } else {
        boot
    };
    let failure = match boot(system, &mut report, &mut policy) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    stop(system, &report, &policy, &failure);
    system.rest()
}

/// No value: a boot that succeeds has become another program.
#[derive(Debug)]
pub(crate) enum Never {}

pub(crate) fn boot(
    system: &mut dyn System,
    report: &mut Report,
    policy: &mut Policy,
) -> Result<Never, Failure> {
    start::mount_kernel_file_systems(system)?;
    start::mount_run_initramfs(system)?;
    let cmdline = start::read_cmdline(system);
    *policy = Policy::read(&cmdline);
    system.set_verbosity(policy.verbosity);
    let Some(mut request) = Request::read(&cmdline)? else {
        let cause = match cmdline.value(contract::parameter::ROOT) {
            Some(root) => format!("root={root} is none"),
            None => "there is no root= at all".to_owned(),
        };
        return Err(Failure::new(NO_LIVE_ROOT, cause));
    };
    system.log(Level::Detail, "mounted the kernel's file systems");
    let index = start::read_module_index(system)?;
    let modules = Modules::new(index, &cmdline, &request.drivers.blacklist);
    system.log(Level::Detail, "read the module index");
    let mut boot = Boot { system, modules };
    let medium = assemble(&mut boot, &mut request, report, policy, media::NEW_ROOT)?;
    enter(&mut boot, policy, report, Stage::Switch);
    let programs = switch::find_init(&mut boot, media::NEW_ROOT, request.init.as_deref())?;
    let now = boot.system.clock();
    boot.step(&format!(
        "switch_root after {} s ({} s after the kernel's start), from {}",
        seconds(now.saturating_sub(report.began)),
        seconds(now),
        medium.path()
    ));
    report.save(boot.system, None);
    switch::run(&mut boot, media::NEW_ROOT)?;
    Err(switch::start_init(&mut boot, &programs))
}

/// The live system at the folder `root`, from a medium that is found, verified and opened.
pub(super) fn assemble(
    boot: &mut Boot<'_>,
    request: &mut Request,
    report: &mut Report,
    policy: &Policy,
    root: &str,
) -> Result<Medium, Failure> {
    for notice in &request.notices {
        boot.warn(notice);
    }
    report.notices.clone_from(&request.notices);
    enter(boot, policy, report, Stage::Find);
    let medium = find_medium(boot, request)?;
    report.medium = Some(medium.clone());
    enter(boot, policy, report, Stage::Verify);
    verify::run(boot, request, &medium)?;
    enter(boot, policy, report, Stage::Base);
    let base = base::run(boot, request, &medium)?;
    pause_before(boot, policy, report, Stage::Overlay);
    report.begin("persistence", boot.system.clock());
    let place = persistence::run(boot, request, &medium);
    report.begin(Stage::Overlay.key(), boot.system.clock());
    overlay::run(boot, request, &base, place.as_ref(), root)?;
    leave_shutdown_program(boot);
    Ok(medium)
}

/// The medium, from where the command line says.
#[cfg(not(feature = "network"))]
fn find_medium(boot: &mut Boot<'_>, request: &mut Request) -> Result<Medium, Failure> {
    if matches!(request.root, Root::Url(_)) {
        let cause = "the medium is on a server, and this liveos-init was built without the network";
        return Err(Failure::new(NOT_SUPPORTED, cause));
    }
    if request.network.needed {
        boot.warn("no network: this liveos-init was built without it");
    }
    find::run(boot, request)
}

/// The medium, from where the command line says.
#[cfg(feature = "network")]
fn find_medium(boot: &mut Boot<'_>, request: &mut Request) -> Result<Medium, Failure> {
    if let Root::Url(url) = request.root.clone() {
        let connection = network::run(boot, request)?;
        let medium = fetch::run(boot, request, &url)?;
        if let Some(connection) = connection {
            network::release(boot, request, &connection);
        }
        fetch::find_layout(boot, request, &medium)?;
        return Ok(medium);
    }
    // Nothing of the boot itself needs it then.
    if request.network.needed
        && let Err(failure) = network::run(boot, request)
    {
        boot.warn(&format!("no network: {failure}"));
    }
    find::run(boot, request)
}

/// systemd starts this program again, from there, when all else has ended. A system without it powers off too, less tidily.
fn leave_shutdown_program(boot: &mut Boot<'_>) {
    if let Err(error) = boot.system.copy(OURSELVES, media::SHUTDOWN) {
        boot.warn(&format!(
            "no program to release the medium at power-off: {error}"
        ));
    }
}

/// Begins a stage; `rd.break=` has a shell before it, whose time is the shell's own.
pub(super) fn enter(boot: &mut Boot<'_>, policy: &Policy, report: &mut Report, stage: Stage) {
    pause_before(boot, policy, report, stage);
    report.begin(stage.key(), boot.system.clock());
}

fn pause_before(boot: &mut Boot<'_>, policy: &Policy, report: &mut Report, stage: Stage) {
    if !policy.breaks.contains(&stage) {
        return;
    }
    report.begin("shell", boot.system.clock());
    let text = format!(
        "liveos-init: rd.break={}: a shell before \"{}\"; its end goes on\n",
        stage.key(),
        stage.name()
    );
    boot.system.console(&text);
    if let Err(error) = boot.system.shell() {
        boot.warn(&format!("no shell: {error}"));
    }
}

/// Tells the failure and does what the command line asked for; comes back where that is nothing, or refused.
pub(crate) fn stop(system: &mut dyn System, report: &Report, policy: &Policy, failure: &Failure) {
    report::tell(system, failure);
    report.save(system, Some(failure));
    if policy.shell
        && let Err(error) = system.shell()
    {
        system.console(&format!("liveos-init: no shell: {error}\n"));
    }
    if let Some(emergency) = policy.emergency {
        let error = system.power(emergency);
        system.log(
            Level::Warning,
            &format!("{emergency:?} was refused: {error}"),
        );
    }
    system.console(&format!(
        "liveos-init: stopped with {}: switch the machine off, or press ctrl-alt-del to start it again\n",
        failure.code.code
    ));
}
