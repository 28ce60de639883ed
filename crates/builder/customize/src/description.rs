//! The steps that a configuration asks for, for people.

use config::settings::{Os, Packages, Script, ScriptSource, SelinuxMode, Settings};

/// A line for each step that is asked for, in their order.
#[must_use]
pub fn describe(settings: &Settings) -> Vec<String> {
    let mut lines = Lines::default();
    packages(settings, &mut lines);
    system(settings, &mut lines);
    scripts(settings, &mut lines);
    lines.0
}

#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    /// A step of these items; none where there are none.
    fn add<'a>(&mut self, what: &str, items: impl IntoIterator<Item = &'a str>) {
        let items: Vec<&str> = items.into_iter().collect();
        if !items.is_empty() {
            self.0.push(format!("{what}: {}", items.join(", ")));
        }
    }

    /// A step of what `of` finds in each file's `os` section.
    fn of_all<'a, T: 'a>(
        &mut self,
        what: &str,
        settings: &'a Settings,
        of: fn(&Os) -> &Vec<T>,
        name: fn(&T) -> &str,
    ) {
        self.add(what, settings.os.iter().flat_map(of).map(name));
    }
}

fn packages(settings: &Settings, lines: &mut Lines) {
    let packages = || settings.os.iter().map(|os| &os.packages);
    let mut list = |what: &str, of: fn(&Packages) -> &Vec<String>| {
        lines.add(what, packages().flat_map(of).map(String::as_str));
    };
    list("remove packages", |packages| &packages.remove);
    list("install packages", |packages| &packages.install);
    list("update packages", |packages| &packages.update);
    if packages().any(|packages| packages.update_existing) {
        lines.add("update packages", ["all"]);
    }
}

fn system(settings: &Settings, lines: &mut Lines) {
    lines.add("host name", settings.hostname());
    lines.of_all("groups", settings, |os| &os.groups, |group| &group.name);
    lines.of_all("users", settings, |os| &os.users, |user| &user.name);
    lines.of_all(
        "folders",
        settings,
        |os| &os.additional_directories,
        |folder| &folder.destination,
    );
    lines.of_all(
        "files",
        settings,
        |os| &os.additional_files,
        |file| &file.destination,
    );
    lines.of_all(
        "enable services",
        settings,
        |os| &os.enable_services,
        String::as_str,
    );
    lines.of_all(
        "disable services",
        settings,
        |os| &os.disable_services,
        String::as_str,
    );
    lines.of_all(
        "kernel modules",
        settings,
        |os| &os.modules,
        |module| &module.name,
    );
    lines.of_all(
        "kernel parameters of the system",
        settings,
        |os| &os.extra_command_line,
        String::as_str,
    );
    let mode = settings.selinux().map(|mode| match mode {
        SelinuxMode::Disabled => "disabled",
        SelinuxMode::Permissive => "permissive",
        SelinuxMode::Enforcing => "enforcing",
        SelinuxMode::ForceEnforcing => "force-enforcing",
    });
    lines.add("SELinux", mode);
    lines.of_all(
        "overlays",
        settings,
        |os| &os.overlays,
        |overlay| &overlay.mount_point,
    );
}

fn scripts(settings: &Settings, lines: &mut Lines) {
    let name = |script: &Script| {
        script.name.clone().unwrap_or_else(|| match &script.source {
            ScriptSource::Path(path) => path.display().to_string(),
            ScriptSource::Content(_) => "(inline)".to_owned(),
        })
    };
    let all = &settings.scripts;
    let first: Vec<String> = all
        .iter()
        .flat_map(|scripts| &scripts.post_customization)
        .map(name)
        .collect();
    lines.add("scripts", first.iter().map(String::as_str));
    let last: Vec<String> = all
        .iter()
        .flat_map(|scripts| &scripts.finalize_customization)
        .map(name)
        .collect();
    lines.add("last scripts", last.iter().map(String::as_str));
}
