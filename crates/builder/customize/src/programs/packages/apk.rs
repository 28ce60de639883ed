//! apk: Alpine and what is made from it.

use block::Result;

use super::local::{check_ending, place};
use super::{Commands, Image, Manager, Request, Setup};

pub(super) const APK: Manager = Manager {
    name: "apk",
    programs: &["/sbin/apk", "/usr/sbin/apk", "/usr/bin/apk"],
    commands: Commands {
        refresh: &["update"],
        remove: &["del"],
        update_all: &["upgrade"],
        install: &["add"],
        update: &["add", "--upgrade"],
    },
    good_codes: &[],
    set_up,
};

fn set_up(_: &mut Image<'_>, request: &Request<'_>) -> Result<Setup> {
    request.no_snapshot()?;
    let mut setup = Setup {
        options: vec!["--no-progress".into()],
        ..Setup::default()
    };
    setup.cache(&["/var/cache/apk"])?;
    if request.disable_image_repositories {
        setup
            .options
            .extend(["--repositories-file".into(), "/dev/null".into()]);
    }
    for (name, text) in request.definitions() {
        check_ending(name, &[".list"], "apk")?;
        let lines = text.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            setup.options.extend(["--repository".into(), line.into()]);
        }
    }
    setup.show_folders(request)?;
    for (number, _) in request.folders() {
        setup.options.extend(["--repository".into(), place(number)]);
        if !setup
            .options
            .iter()
            .any(|option| option == "--allow-untrusted")
        {
            setup.options.push("--allow-untrusted".into());
        }
    }
    Ok(setup)
}
