//! `os`: what is changed in the operating system.

use crate::file::fields::{Fields, Marked, Section};
use crate::file::form::key;
use crate::file::rule;
use crate::file::section::accounts::{GROUP, USER};
use crate::file::section::files::{ADDITIONAL_DIRECTORY, ADDITIONAL_FILE};
use crate::file::section::kernel::{MODULE, OVERLAY, check_modules, check_overlays};
use crate::file::section::media::KERNEL_COMMAND_LINE;
use crate::file::section::packages::{PACKAGES, PackagesValues};
use crate::file::shape::{Choice, Text};
use crate::file::source::Mark;
use crate::settings::{ImageHistory, Os, SelinuxMode};

pub(super) const OS: Section<OsValues> = Section("Os", os);

/// `os`, as one file has it.
#[derive(Debug, Default)]
pub(in crate::file) struct OsValues {
    pub(in crate::file) os: Os,
    pub(in crate::file) remove_package_manager: Option<Marked<bool>>,
    pub(in crate::file) is_hard_reset: bool,
    pub(in crate::file) uki: Option<Marked<UkiMode>>,
    /// Where `overlays` is.
    pub(in crate::file) overlays: Option<Mark>,
}

/// `uki.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::file) enum UkiMode {
    Create,
    Passthrough,
    Modify,
}

const SELINUX_MODES: Choice<SelinuxMode> = Choice(&[
    ("disabled", SelinuxMode::Disabled, "off"),
    (
        "permissive",
        SelinuxMode::Permissive,
        "on, and only reports",
    ),
    ("enforcing", SelinuxMode::Enforcing, "on"),
    (
        "force-enforcing",
        SelinuxMode::ForceEnforcing,
        "on, by the kernel command line too",
    ),
]);

const IMAGE_HISTORY: Choice<ImageHistory> =
    Choice(&[("none", ImageHistory::None, "no history file is written")]);

fn os(fields: &mut Fields<'_>) -> OsValues {
    let hostname = key("hostname", "The host name.").default("as the image has it");
    let packages = key(
        "packages",
        "Packages, by the image's own package manager in the sandbox.",
    );
    let dirs = key("additionalDirs", "Folders to copy into the image.");
    let files = key("additionalFiles", "Files to put into the image.");
    let groups = key("groups", "Groups to add.");
    let users = key("users", "Users to add or to change.");
    let services = key("services", "systemd's units.");
    let command_line = key(
        "kernelCommandLine",
        "Kernel parameters of the image, which its live media have too.",
    );
    let mut values = OsValues::default();
    let os = &mut values.os;
    os.hostname = fields.get(hostname, &Text::of("a host name", rule::host_name));
    let (packages, remove_manager) = match fields.get(packages, &PACKAGES) {
        Some(PackagesValues {
            packages,
            remove_manager,
        }) => (packages, remove_manager),
        None => Default::default(),
    };
    os.packages = packages;
    values.remove_package_manager = remove_manager;
    os.additional_directories = fields.list(dirs, ADDITIONAL_DIRECTORY);
    os.additional_files = fields.list(files, ADDITIONAL_FILE);
    os.groups = fields.list(groups, GROUP);
    os.users = fields.list(users, USER);
    let (enable, disable) = fields
        .get(services, &Section("Services", services_section))
        .unwrap_or_default();
    os.enable_services = enable;
    os.disable_services = disable;
    kernel(fields, os);
    values.overlays = fields.mark("overlays");
    let os = &mut values.os;
    os.extra_command_line = fields
        .get(command_line, &KERNEL_COMMAND_LINE)
        .unwrap_or_default();
    os.selinux = fields
        .get(key("selinux", "SELinux."), &Section("Selinux", selinux))
        .flatten();
    let history = key(
        "imageHistory",
        "Whether `/usr/share/image-customizer/history.json` says what was changed.",
    )
    .default("it does");
    os.image_history = fields.get(history, &IMAGE_HISTORY);
    boot(fields, &mut values);
    values
}

fn kernel(fields: &mut Fields<'_>, os: &mut Os) {
    let modules = key("modules", "Kernel modules.");
    let overlays = key(
        "overlays",
        "Overlay mounts of the running system, as lines of its `/etc/fstab`. (Image Customizer takes them and loses them on live media.)",
    );
    os.modules = fields.list(modules, MODULE);
    check_modules(fields, &os.modules);
    os.overlays = fields.list(overlays, OVERLAY);
    check_overlays(fields, &os.overlays);
}

/// What is about the boot loader of a disk.
fn boot(fields: &mut Fields<'_>, values: &mut OsValues) {
    let bootloader = key("bootloader", "The boot loader of a disk image.")
        .idle("the media have a boot configuration of their own");
    let uki = key("uki", "Unified kernel images. `create` is an error.");
    let reset = fields.get(bootloader, &Section("BootLoader", bootloader_section));
    values.is_hard_reset = reset.unwrap_or_default();
    values.uki = fields.get(uki, &Section("Uki", uki_section)).flatten();
}

fn services_section(fields: &mut Fields<'_>) -> (Vec<String>, Vec<String>) {
    let unit = Text::of("the name of a unit", rule::name);
    let enable = fields.list(key("enable", "Units to enable."), unit);
    let disable = fields.list(
        key("disable", "Units to disable, after those were enabled."),
        unit,
    );
    (enable, disable)
}

fn selinux(fields: &mut Fields<'_>) -> Option<SelinuxMode> {
    let mode = key("mode", "What it does.").default("as the image has it");
    fields.get(mode, &SELINUX_MODES)
}

fn bootloader_section(fields: &mut Fields<'_>) -> bool {
    let reset = key(
        "resetType",
        "Whether the boot loader's configuration is written anew.",
    );
    let choice = Choice(&[("hard-reset", (), "it is")]);
    fields.get(reset, &choice).is_some()
}

fn uki_section(fields: &mut Fields<'_>) -> Option<Marked<UkiMode>> {
    let choice = Choice(&[
        (
            "create",
            UkiMode::Create,
            "an error: live media boot kernels, not unified kernel images",
        ),
        ("passthrough", UkiMode::Passthrough, "without effect"),
        ("modify", UkiMode::Modify, "without effect"),
    ]);
    fields.marked(key("mode", "What is done with them.").needed(), &choice)
}
