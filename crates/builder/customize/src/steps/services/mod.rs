//! `os.services`: what starts at boot, and what no longer does.
//!
//! * `systemd`: links to units, with `unit` for unit files and `name` for their names; `init_script`: scripts without a unit;
//! * `openrc`: links of run levels.

mod init_script;
mod name;
mod openrc;
mod systemd;
mod unit;

#[cfg(test)]
mod tests;

use block::{Content, Error, Result};
use inspect::InitSystem;
use tree::{Timestamp, Tree};

use crate::Warning;

/// The key of the settings.
const KEY: &str = "os.services";

/// How many names are compared with one that is missing; a distribution has some 500.
const MAX_CANDIDATES: usize = 10_000;

/// Enables services, then disables others: one that is in both lists ends up disabled, as Image Customizer has it.
///
/// # Errors
///
/// [`block::Kind::NotFound`] with the nearest name for a service that the image does not have; [`block::Kind::Unsupported`] for a
/// masked one, for one that is a link of the administrator's to another, for a template without an instance, for a name that cannot be
/// a unit's, and for a process 1 that is neither systemd nor OpenRC.
pub fn apply(
    tree: &mut Tree<Content>,
    (enable, disable): (&[String], &[String]),
    init: Option<InitSystem>,
    time: Timestamp,
) -> Result<Vec<Warning>> {
    let mut warnings = Vec::new();
    if enable.is_empty() && disable.is_empty() {
        return Ok(warnings);
    }
    let manager = manager(init)?;
    for service in enable {
        let what = || format!("os.services.enable: {service}");
        let is_there = match (manager, name::mangle(service)) {
            (Manager::OpenRc, _) => openrc::enable(tree, service, time),
            (Manager::Systemd, None) => Err(bad_name()),
            (Manager::Systemd, Some(unit)) => enable_unit(tree, &unit, time, &mut warnings),
        };
        if !is_there.map_err(|error| error.while_doing(what()))? {
            return Err(missing(tree, manager, service, what()));
        }
    }
    for service in disable {
        let what = || format!("os.services.disable: {service}");
        let is_there = match (manager, name::mangle(service)) {
            (Manager::OpenRc, _) => Ok(openrc::disable(tree, service)),
            (Manager::Systemd, None) => Err(bad_name()),
            (Manager::Systemd, Some(unit)) => disable_unit(tree, &unit, time, &mut warnings),
        };
        if !is_there.map_err(|error| error.while_doing(what()))? {
            return Err(missing(tree, manager, service, what()));
        }
    }
    Ok(warnings)
}

/// What starts services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manager {
    Systemd,
    OpenRc,
}

fn manager(init: Option<InitSystem>) -> Result<Manager> {
    let other = match init {
        Some(InitSystem::Systemd) => return Ok(Manager::Systemd),
        Some(InitSystem::OpenRc) => return Ok(Manager::OpenRc),
        Some(other) => format!("process 1 of the image is {other:?}"),
        None => "the image has no process 1".to_owned(),
    };
    let message =
        format!("{other}; services of systemd and OpenRC can be set: use a script of `scripts`");
    Err(Error::unsupported(KEY, message))
}

fn bad_name() -> Error {
    Error::unsupported("the name", "it cannot be the name of a unit")
}

fn enable_unit(
    tree: &mut Tree<Content>,
    unit: &str,
    time: Timestamp,
    warnings: &mut Vec<Warning>,
) -> Result<bool> {
    if systemd::enable(tree, unit, time, warnings)? {
        return Ok(true);
    }
    let Some(script) = init_script::script(tree, unit) else {
        return Ok(false);
    };
    init_script::enable(tree, &script, time)?;
    Ok(true)
}

fn disable_unit(
    tree: &mut Tree<Content>,
    unit: &str,
    time: Timestamp,
    warnings: &mut Vec<Warning>,
) -> Result<bool> {
    if systemd::disable(tree, unit, warnings)? {
        return Ok(true);
    }
    let Some(script) = init_script::script(tree, unit) else {
        return Ok(false);
    };
    init_script::disable(tree, &script, time)?;
    Ok(true)
}

/// The error for a service that is not there.
fn missing(tree: &Tree<Content>, manager: Manager, service: &str, what: String) -> Error {
    let (asked, all): (String, Vec<String>) = match manager {
        Manager::OpenRc => (service.to_owned(), openrc::all(tree)),
        Manager::Systemd => (
            name::mangle(service).unwrap_or_default(),
            unit::all(tree).into_iter().collect(),
        ),
    };
    let candidates = all.iter().take(MAX_CANDIDATES).map(String::as_str);
    let message = match name::nearest(&asked, candidates) {
        Some(nearest) => format!("the image has no {asked}; the nearest name is {nearest}"),
        None => format!("the image has no {asked}"),
    };
    Error::not_found(what, message)
}
