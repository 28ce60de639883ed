//! apt and dpkg: Debian, Ubuntu and what is made from them.

use block::Result;

use super::local::{check_ending, place};
use super::{Commands, Image, Manager, Request, Setup};

pub(super) const APT: Manager = Manager {
    name: "apt-get",
    programs: &["/usr/bin/apt-get"],
    commands: Commands {
        refresh: &["update"],
        remove: &["remove"],
        update_all: &["upgrade", "--with-new-pkgs"],
        install: &["install"],
        update: &["install", "--only-upgrade"],
    },
    good_codes: &[],
    set_up,
};

/// Answers no question, keeps configuration files that were changed, and writes no log: every line of those has the clock's time.
const OPTIONS: [&str; 16] = [
    "-y",
    "-q",
    "-o",
    "APT::Sandbox::User=root",
    "-o",
    "Dpkg::Use-Pty=0",
    "-o",
    "Dpkg::Options::=--force-confdef",
    "-o",
    "Dpkg::Options::=--force-confold",
    "-o",
    "Dpkg::Options::=--log=/dev/null",
    "-o",
    "Dir::Log::Terminal=/dev/null",
    "-o",
    "Dir::Log::History=/dev/null",
];

/// invoke-rc.d asks this program, and 101 means that no service may be started.
///
/// Source: Debian, /usr/share/doc/init-system-helpers/README.policy-rc.d.gz.
const POLICY: &str = "#!/bin/sh\nexit 101\n";

/// Prints an index of the packages in the folders that are its arguments.
const INDEX: &str = r#"set -e
cd /_localpackages
find "$@" -name '*.deb' | LC_ALL=C sort | while read -r file; do
  dpkg-deb -f "$file"
  set -- $(sha256sum "$file")
  echo "Filename: ./$file"
  echo "Size: $(stat -Lc %s "$file")"
  echo "SHA256: $1"
  echo
done
"#;

fn set_up(image: &mut Image<'_>, request: &Request<'_>) -> Result<Setup> {
    request.no_snapshot()?;
    let mut setup = Setup {
        options: OPTIONS.map(str::to_owned).to_vec(),
        environment: vec![
            ("DEBIAN_FRONTEND", "noninteractive"),
            ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
            ("APT_LISTCHANGES_FRONTEND", "none"),
            ("NEEDRESTART_SUSPEND", "1"),
        ],
        ..Setup::default()
    };
    setup.cache(&["/var/lib/apt/lists", "/var/cache/apt"])?;
    setup.lend("/usr/sbin/policy-rc.d", POLICY)?;
    setup
        .files
        .iter_mut()
        .for_each(|file| file.executable = true);
    let folder = if request.disable_image_repositories {
        let parts = "/_sources.list.d";
        for option in [
            "Dir::Etc::SourceList=/dev/null".to_owned(),
            format!("Dir::Etc::SourceParts={parts}"),
        ] {
            setup.options.extend(["-o".to_owned(), option]);
        }
        parts
    } else {
        "/etc/apt/sources.list.d"
    };
    for (number, (name, text)) in request.definitions().enumerate() {
        check_ending(name, &[".list", ".sources"], "apt-get")?;
        setup.lend(&format!("{folder}/liveos-{number}-{name}"), text)?;
    }
    setup.show_folders(request)?;
    if !setup.binds.is_empty() {
        let index = index(image, &setup, request)?;
        setup.lend("/_localpackages/Packages", index)?;
        let list = "deb [trusted=yes] file:/_localpackages ./\n";
        setup.lend(&format!("{folder}/liveos-local.list"), list)?;
    }
    Ok(setup)
}

/// The index of the folders of packages, as the image's own dpkg reads them.
fn index(image: &mut Image<'_>, setup: &Setup, request: &Request<'_>) -> Result<String> {
    let mut words = vec![
        "/bin/sh".to_owned(),
        "-c".into(),
        INDEX.into(),
        "index".into(),
    ];
    for (number, _) in request.folders() {
        words.push(
            place(number)
                .trim_start_matches("/_localpackages/")
                .to_owned(),
        );
    }
    let mut program = image.program(words);
    program.binds.clone_from(&setup.binds);
    image.ask(&program, "reading folders of packages")
}
