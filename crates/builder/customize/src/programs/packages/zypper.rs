//! zypper: openSUSE and SUSE Linux Enterprise.

use block::Result;

use super::local::{check_ending, place};
use super::{Commands, Image, Manager, Request, Setup};

pub(super) const ZYPPER: Manager = Manager {
    name: "zypper",
    programs: &["/usr/bin/zypper"],
    commands: Commands {
        refresh: &["refresh"],
        remove: &["remove"],
        update_all: &["update"],
        install: &["install"],
        update: &["update"],
    },
    good_codes: GOOD_CODES,
    set_up,
};

/// What was done needs a restart of the machine (102) or of zypper (103): neither runs here.
///
/// Source: zypper(8) of zypper 1.14, exit codes.
const GOOD_CODES: &[i32] = &[102, 103];

fn set_up(_: &mut Image<'_>, request: &Request<'_>) -> Result<Setup> {
    request.no_snapshot()?;
    let mut setup = Setup {
        options: vec!["--non-interactive".into()],
        // Every line of the log has the clock's time.
        environment: vec![("ZYPP_LOGFILE", "/dev/null")],
        ..Setup::default()
    };
    setup.cache(&["/var/cache/zypp"])?;
    let folder = if request.disable_image_repositories {
        setup.options.push("--reposd-dir=/_repositories".into());
        "/_repositories"
    } else {
        "/etc/zypp/repos.d"
    };
    for (number, (name, text)) in request.definitions().enumerate() {
        check_ending(name, &[".repo"], "zypper")?;
        setup.lend(&format!("{folder}/liveos-{number}-{name}"), text)?;
    }
    setup.show_folders(request)?;
    for (number, host) in request.folders() {
        // zypper reads the packages of a plain folder itself.
        let kind = if host.join("repodata/repomd.xml").is_file() {
            "rpm-md"
        } else {
            "plaindir"
        };
        let text = format!(
            "[liveos-local-{number}]\nname=packages of the build\nbaseurl=dir://{}\nenabled=1\ngpgcheck=0\ntype={kind}\n",
            place(number)
        );
        setup.lend(&format!("{folder}/liveos-local-{number}.repo"), text)?;
    }
    Ok(setup)
}
