//! `os.modules` and `os.overlays`.

use std::collections::BTreeSet;

use crate::file::fields::{Fields, Section};
use crate::file::form::key;
use crate::file::rule;
use crate::file::shape::{Choice, Flag, Map, Text};
use crate::settings::{KernelModule, LoadMode, Overlay};

pub(super) const MODULE: Section<KernelModule> = Section("Module", module);
pub(super) const OVERLAY: Section<Overlay> = Section("Overlay", overlay);

const LOAD_MODES: Choice<LoadMode> = Choice(&[
    ("always", LoadMode::Always, "loaded at every start"),
    (
        "auto",
        LoadMode::Auto,
        "loaded when the hardware asks for it, though it was disabled",
    ),
    ("disable", LoadMode::Disable, "never loaded"),
    ("inherit", LoadMode::Inherit, "as the image has it"),
]);

const OPTIONS: Map = Map {
    says: "options of the module",
    name: rule::word,
    value: rule::word,
};

fn module(fields: &mut Fields<'_>) -> KernelModule {
    let mode = key("loadMode", "When it is loaded.").default("`inherit`");
    let options = key("options", "Its options. Not with `loadMode: disable`.");
    let module = KernelModule {
        name: fields.need(key("name", "Its name."), &Text::of("a name", rule::name)),
        load_mode: fields.get(mode, &LOAD_MODES).unwrap_or_default(),
        options: fields.get(options, &OPTIONS).unwrap_or_default(),
    };
    if module.load_mode == LoadMode::Disable && !module.options.is_empty() {
        fields.refuse("options", "has no meaning with the load mode `disable`");
    }
    module
}

/// Each module once.
pub(super) fn check_modules(fields: &mut Fields<'_>, modules: &[KernelModule]) {
    let names = modules.iter().map(|module| module.name.as_str());
    check_twice(fields, "modules", "the module", names);
}

fn overlay(fields: &mut Fields<'_>) -> Overlay {
    let path = Text::of("an absolute path", rule::mount_path);
    let mount_point = key(
        "mountPoint",
        "Where it is mounted: an absolute path without blanks, `:` and `,`, as all paths here.",
    );
    let lower = key("lowerDirs", "The folders below, the uppermost first.");
    let upper = key(
        "upperDir",
        "The folder that takes the changes. Neither `workDir` nor in it, nor the other way round.",
    );
    let work = key(
        "workDir",
        "An empty folder of the same file system as `upperDir`.",
    );
    let early = key(
        "isInitrdOverlay",
        "Whether it is mounted in the initramfs, before the system starts.",
    )
    .default("`false`");
    let dependencies = key("mountDependencies", "Mounts that have to be there before.");
    let options = key(
        "mountOptions",
        "Further mount options, with commas between them.",
    );
    let overlay = Overlay {
        mount_point: fields.need(mount_point, &path),
        lower_directories: fields.list(lower, path),
        upper_directory: fields.need(upper, &path),
        work_directory: fields.need(work, &path),
        in_initramfs: fields.get(early, &Flag).unwrap_or_default(),
        mount_dependencies: fields.list(dependencies, path),
        mount_options: fields.get(options, &Text::of("mount options", rule::word)),
    };
    let (upper, work) = (
        overlay.upper_directory.as_str(),
        overlay.work_directory.as_str(),
    );
    let is_fine = upper.is_empty() || work.is_empty();
    if !is_fine && (contains(upper, work) || contains(work, upper)) {
        let message =
            format!("is `{work}`, and one of it and the upper folder `{upper}` lies in the other");
        fields.refuse("workDir", &message);
    }
    overlay
}

/// Whether a folder is another or has it in it.
fn contains(outer: &str, inner: &str) -> bool {
    let names = |path: &'_ str| -> Vec<String> {
        let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
        names.map(str::to_owned).collect()
    };
    names(inner).starts_with(&names(outer))
}

/// Each mount point, upper and work folder once.
pub(super) fn check_overlays(fields: &mut Fields<'_>, overlays: &[Overlay]) {
    let each =
        |of: fn(&Overlay) -> &String| overlays.iter().map(move |overlay| of(overlay).as_str());
    check_twice(
        fields,
        "overlays",
        "the mount point",
        each(|overlay| &overlay.mount_point),
    );
    check_twice(
        fields,
        "overlays",
        "the upper folder",
        each(|overlay| &overlay.upper_directory),
    );
    check_twice(
        fields,
        "overlays",
        "the work folder",
        each(|overlay| &overlay.work_directory),
    );
}

/// A fault for each name that is there twice.
fn check_twice<'a>(
    fields: &mut Fields<'_>,
    key: &str,
    what: &str,
    names: impl Iterator<Item = &'a str>,
) {
    let mut seen = BTreeSet::new();
    for name in names.filter(|name| !name.is_empty()) {
        if !seen.insert(name) {
            fields.refuse(key, &format!("has {what} `{name}` twice"));
        }
    }
}
