//! The change into the new root: what must live on is moved there, the initramfs' memory is freed, and init starts.

use contract::failure::{Failure, INIT_DOES_NOT_START, NO_INIT, SWITCH_ROOT};

use super::{Boot, OrStop as _};

/// The programs that may be init, in this order, where `init=` is not given or names nothing.
const INITS: [&str; 5] = [
    "/sbin/init",
    "/usr/lib/systemd/systemd",
    "/etc/init",
    "/bin/init",
    "/bin/sh",
];

/// What the kernel's own file systems are moved to: the same place under the new root.
const MOVED: [&str; 4] = ["/dev", "/proc", "/sys", "/run"];

/// The programs in `root` to try, the `given` one of the command line first. Found before anything is given up.
pub(crate) fn find_init(
    boot: &mut Boot<'_>,
    root: &str,
    given: Option<&str>,
) -> Result<Vec<String>, Failure> {
    if let Some(path) = given
        && !boot.system.has_program(root, path)
    {
        boot.warn(&format!(
            "init={path} is not there, the usual ones are tried"
        ));
    }
    let programs: Vec<String> = given
        .into_iter()
        .chain(INITS)
        .filter(|path| boot.system.has_program(root, path))
        .map(str::to_owned)
        .collect();
    if programs.is_empty() {
        let cause = format!("none of {} is there", INITS.join(", "));
        return Err(Failure::new(NO_INIT, cause));
    }
    Ok(programs)
}

/// Changes into the new root, a mount. After this the initramfs is gone.
pub(crate) fn run(boot: &mut Boot<'_>, root: &str) -> Result<(), Failure> {
    for path in MOVED {
        let target = format!("{root}{path}");
        boot.system
            .make_dir(&target)
            .and_then(|()| boot.system.move_mount(path, &target))
            .or_stop(SWITCH_ROOT, &format!("moving {path}"))?;
    }
    boot.system.change_root(root).or_stop(SWITCH_ROOT, root)
}

/// Becomes init; answers only where none of the programs starts.
pub(crate) fn start_init(boot: &mut Boot<'_>, programs: &[String]) -> Failure {
    let mut causes = Vec::new();
    for program in programs {
        let error = boot.system.execute(program);
        causes.push(format!("{program}: {error}"));
    }
    Failure::new(INIT_DOES_NOT_START, causes.join("; "))
}
