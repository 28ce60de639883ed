//! A chain of files to one value, and the rules that hold for the chain as a whole.
//!
//! What stands once in the result is the last file's that gives it; lists follow each other, the base's first; `os` and `scripts` stay
//! apart, since each step is taken for all files before the next step.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::Overrides;
use super::chain::Chain;
use super::fault::Faults;
use super::fields::{Marked, Report};
use super::section::{
    FileValues, Format, InitramfsValues, MediaValues, OutputValues, StorageValues, UkiMode,
};
use super::source::{Mark, Source};
use crate::settings::{
    BootstrapUrl, DracutModules, Generator, InitramfsSettings, InitramfsType, MediaSettings,
    Output, OutputFormat, RootImageSettings, Settings,
};

/// Merges the files of a chain.
///
/// # Errors
///
/// All faults of the files and of the chain.
pub(super) fn merge(chain: Chain, overrides: Overrides) -> Result<Settings, Faults> {
    let Chain { files, mut report } = chain;
    if report.is_broken {
        report.check()?;
    }
    check(&files, &mut report);
    let mut settings = Settings::default();
    let mut output = OutputValues::default();
    let mut urls = Urls::default();
    let mut dracut_modules = None;
    let mut native_only = Vec::new();
    for (source, values) in files {
        settings.files.push(source.path.clone());
        for (key, place) in report.places.remove(&source.order).unwrap_or_default() {
            settings.places.insert(key, place);
        }
        settings.input = values.input.or(settings.input);
        output.path = values.output.path.or(output.path);
        output.format = values.output.format.or(output.format);
        add_media(&mut settings.iso, values.iso, &mut Urls::default());
        add_media(&mut settings.pxe, values.pxe, &mut urls);
        settings.os.extend(values.os.map(|os| os.os));
        settings.scripts.extend(values.scripts);
        dracut_modules = values.initramfs.dracut_modules.clone().or(dracut_modules);
        native_only.extend(values.initramfs.native_only.iter().cloned());
        add_initramfs(&mut settings.initramfs, values.initramfs);
        settings.root_image = RootImageSettings {
            compression: values
                .root_image
                .compression
                .or(settings.root_image.compression),
            verity: values.root_image.verity.or(settings.root_image.verity),
        };
    }
    settings.scripts.retain(|scripts| {
        !scripts.post_customization.is_empty() || !scripts.finalize_customization.is_empty()
    });
    set_output(&mut settings.output, output, overrides, &mut report);
    set_url(&mut settings, urls, overrides, &mut report);
    let generator = overrides.generator.or(settings.initramfs.generator);
    check_generator(generator, dracut_modules, &native_only, &mut report);
    report.check()?;
    settings.warnings = report.warnings();
    Ok(settings)
}

/// The bootstrap addresses of all files.
#[derive(Default)]
struct Urls {
    base: Option<Marked<String>>,
    file: Option<Marked<String>>,
}

fn add_media(settings: &mut MediaSettings, values: Option<MediaValues>, urls: &mut Urls) {
    let Some(values) = values else {
        return;
    };
    settings.is_given = true;
    settings
        .extra_command_line
        .extend(values.extra_command_line);
    settings.additional_files.extend(values.additional_files);
    settings.initramfs_type = values.initramfs_type.or(settings.initramfs_type);
    settings.kdump_boot_files = values.kdump_boot_files.or(settings.kdump_boot_files);
    settings.volume_id = values.volume_id.or(settings.volume_id.take());
    settings.persistence = values.persistence.or(settings.persistence);
    settings.implanted = values.implanted.or(settings.implanted);
    urls.base = values.bootstrap_base_url.or(urls.base.take());
    urls.file = values.bootstrap_file_url.or(urls.file.take());
}

fn add_initramfs(settings: &mut InitramfsSettings, values: InitramfsValues) {
    settings.generator = values.generator.or(settings.generator);
    let modules = values.dracut_modules.map(|modules| modules.value);
    settings.dracut_modules = modules.or(settings.dracut_modules);
    settings.add_modules.extend(values.add_modules);
    settings.omit_modules.extend(values.omit_modules);
    settings.install.extend(values.install);
    settings.shell = values.shell.or(settings.shell);
    settings.additional_files.extend(values.additional_files);
}

/// The path and the format, as far as the command line does not say them.
fn set_output(
    settings: &mut Output,
    values: OutputValues,
    overrides: Overrides,
    report: &mut Report,
) {
    let format = values.format.filter(|_| !overrides.output_format);
    if let Some(format) = format {
        match format.value {
            Format::Live(live) => settings.format = Some(live),
            Format::Disk(name) => {
                let message =
                    format!("`output.image.format` is `{name}`, which is no format of live media");
                let help = "the formats are `iso`, `pxe-dir` and `pxe-tar`";
                report.faults.push(format.mark.fault(message).help(help));
            }
        }
    }
    let Some(path) = values.path else {
        return;
    };
    let is_file = matches!(
        settings.format,
        Some(OutputFormat::Iso | OutputFormat::PxeTar)
    );
    if is_file && !overrides.output_path && path.value.is_dir() {
        let message = "`output.image.path` names a folder, and this format is a file";
        let help = "name the file in the folder";
        report.faults.push(path.mark.fault(message).help(help));
    }
    settings.path = Some(path.value);
}

/// At most one address, and none where nothing is fetched.
fn set_url(settings: &mut Settings, urls: Urls, overrides: Overrides, report: &mut Report) {
    let Settings { pxe, places, .. } = settings;
    let Urls { base, file } = urls;
    if let (Some(base), Some(file)) = (&base, &file) {
        let message = format!(
            "`pxe.bootstrapFileUrl` stands beside `pxe.bootstrapBaseUrl` ({})",
            base.mark
        );
        let help = "give one of the two, in all files together";
        report.faults.push(file.mark.fault(message).help(help));
    }
    let given = [("bootstrapFileUrl", &file), ("bootstrapBaseUrl", &base)];
    for (name, url) in given {
        let Some(url) = url else {
            continue;
        };
        if pxe.initramfs_type == Some(InitramfsType::FullOs) && !overrides.initramfs_type {
            let place = places.get("pxe.initramfsType").map(ToString::to_string);
            let message = format!(
                "`pxe.{name}` has no meaning with `pxe.initramfsType: full-os` ({})",
                place.unwrap_or_default()
            );
            let help =
                "a full-os initramfs fetches nothing: leave the address out, or choose `bootstrap`";
            report.faults.push(url.mark.fault(message).help(help));
        }
    }
    let file = file.map(|url| BootstrapUrl::File(url.value));
    pxe.bootstrap_url = file.or(base.map(|url| BootstrapUrl::Base(url.value)));
}

/// Nothing is asked of a generator that does not run.
fn check_generator(
    generator: Option<Generator>,
    dracut_modules: Option<Marked<DracutModules>>,
    native_only: &[(&'static str, Mark)],
    report: &mut Report,
) {
    if generator == Some(Generator::Dracut) {
        for (name, mark) in native_only {
            let message = format!(
                "`initramfs.{name}` is of the generator `native`, and dracut does not read it"
            );
            let help =
                "put a file of dracut's into /etc/dracut.conf.d of the image: `os.additionalFiles`";
            report.faults.push(mark.fault(message).help(help));
        }
    } else if let Some(modules) = dracut_modules {
        let message = "`initramfs.dracutModules` needs `initramfs.generator: dracut`";
        report.faults.push(modules.mark.fault(message));
    }
}

/// The rules that hold for all files together.
fn check(files: &[(Rc<Source>, FileValues)], report: &mut Report) {
    check_storage(files, report);
    check_os(files, report);
    check_overlays(files, report);
}

fn check_storage(files: &[(Rc<Source>, FileValues)], report: &mut Report) {
    let storages: Vec<&Marked<StorageValues>> = files
        .iter()
        .filter_map(|(_, values)| values.storage.as_ref())
        .collect();
    if let [first, rest @ ..] = storages.as_slice() {
        for storage in rest {
            let message = format!(
                "`storage` is in one file of a chain, and {} has it already",
                first.mark
            );
            report.faults.push(storage.mark.fault(message));
        }
    }
    let is_reset = files
        .iter()
        .any(|(_, values)| values.os.as_ref().is_some_and(|os| os.is_hard_reset));
    for storage in storages {
        let values = &storage.value;
        let keys = [
            ("disks", values.has_disks),
            ("resetPartitionsUuidsType", values.resets_uuids),
        ];
        for (key, _) in keys
            .into_iter()
            .filter(|(_, is_given)| *is_given && !is_reset)
        {
            let message = format!("`storage.{key}` needs `os.bootloader.resetType: hard-reset`");
            report.faults.push(storage.mark.fault(message));
        }
        if let Some(again) = &values.reinitializes_verity {
            let message = "`storage.reinitializeVerity` is `all`, and live media have no hash trees of the disk's";
            report.faults.push(
                again
                    .mark
                    .fault(message)
                    .help("leave it out for live media"),
            );
        }
    }
}

fn check_os(files: &[(Rc<Source>, FileValues)], report: &mut Report) {
    let sections = || {
        files
            .iter()
            .rev()
            .filter_map(|(_, values)| values.os.as_ref())
    };
    let remove = sections().find_map(|os| os.remove_package_manager.as_ref());
    if let Some(remove) = remove.filter(|remove| remove.value) {
        let message = "`os.packages.removePackageManager` cannot be had with live media";
        report.faults.push(remove.mark.fault(message));
    }
    let Some(uki) = sections().find_map(|os| os.uki.as_ref()) else {
        return;
    };
    match uki.value {
        UkiMode::Create => {
            let message =
                "`os.uki.mode` is `create`, and live media boot kernels, not unified kernel images";
            report.faults.push(
                uki.mark
                    .fault(message)
                    .help("leave `os.uki` out for live media"),
            );
        }
        UkiMode::Passthrough | UkiMode::Modify => {
            let message = "`os.uki.mode` has no effect on live media: unified kernel images of the image are not used";
            report.warn(&uki.mark, message);
        }
    }
}

/// Two files that mount an overlay at one place.
fn check_overlays(files: &[(Rc<Source>, FileValues)], report: &mut Report) {
    let mut seen: BTreeMap<&str, &Mark> = BTreeMap::new();
    for os in files.iter().filter_map(|(_, values)| values.os.as_ref()) {
        let Some(mark) = &os.overlays else {
            continue;
        };
        let places = os
            .os
            .overlays
            .iter()
            .map(|overlay| overlay.mount_point.as_str());
        for place in places.filter(|place| !place.is_empty()) {
            let first = *seen.entry(place).or_insert(mark);
            if first.source.order != mark.source.order {
                let message = format!(
                    "`os.overlays` has the mount point `{place}`, which {first} has already"
                );
                report.faults.push(mark.fault(message));
            }
        }
    }
}
