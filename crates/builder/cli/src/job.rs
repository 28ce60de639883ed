//! What is to be done: the arguments and the configuration together. Flags win.

use std::path::{Path, PathBuf};

use config::Request;
use config::file::Overrides;
use config::settings::{
    BootstrapUrl, Generator, InitramfsType, Input, MediaSettings, OutputFormat,
    PersistenceSettings, Settings, Verity,
};
use contract::cmdline::Argument;
use contract::request::persistence::{self, FileSystem};
use formats::squashfs::Compression;

use crate::args::{
    BuildArguments, CompressionName, FileSystemName, FormatName, GeneratorName, InitramfsTypeName,
};
use crate::failure::{Exit, Failure, Result};
use crate::run::Environment;

/// A build, as it was asked for.
#[derive(Debug)]
pub(crate) struct Job {
    /// What it is built from.
    pub(crate) source: PathBuf,
    /// Where the result goes.
    pub(crate) output: PathBuf,
    /// The configuration.
    pub(crate) settings: Settings,
    /// What is asked for, but for what only the input says.
    pub(crate) request: Request,
    /// How many bytes of an ISO are kept free for later changes.
    pub(crate) reserved: u64,
}

impl Job {
    /// Reads the configuration and puts what was typed over it.
    pub(crate) fn new(arguments: &BuildArguments, environment: &Environment) -> Result<Self> {
        let mut settings = match &arguments.config {
            Some(path) => load(path, arguments)?,
            None => Settings::default(),
        };
        if arguments.initramfs_shell {
            settings.initramfs.shell = Some(true);
        }
        let source = source(arguments, &settings)?;
        let output = arguments
            .output
            .clone()
            .or_else(|| settings.output.path.clone())
            .ok_or_else(|| {
                missing(
                    "no output was named; give --output, or output.image.path in the configuration",
                )
            })?;
        let format = format(arguments, &settings, &output)?;
        let section = section(&settings, format);
        let mut append = section.extra_command_line.clone();
        append.extend(arguments.append.iter().flat_map(|line| split(line)));
        if let Some(wish) = wished_persistence(arguments).or(section.persistence) {
            let words = persistence::arguments(wish.file_system, wish.encrypted);
            append.extend(words.iter().map(argument));
        }
        let request = Request {
            format,
            volume_id: arguments
                .volume_id
                .clone()
                .or_else(|| settings.iso.volume_id.clone()),
            append,
            compression: compression(arguments)?.or(settings.root_image.compression),
            verity: verity(arguments).or(settings.root_image.verity),
            time: environment.source_date_epoch,
            initramfs_type: arguments
                .initramfs_type
                .map(|name| match name {
                    InitramfsTypeName::Bootstrap => InitramfsType::Bootstrap,
                    InitramfsTypeName::FullOs => InitramfsType::FullOs,
                })
                .or(section.initramfs_type),
            generator: generator(arguments).or(settings.initramfs.generator),
            dracut_modules: settings.initramfs.dracut_modules,
            bootstrap_url: arguments
                .bootstrap_url
                .clone()
                .map(BootstrapUrl::File)
                .or_else(|| section.bootstrap_url.clone()),
            kdump_boot_files: section.kdump_boot_files,
            implanted: settings.iso.implanted,
            input: None,
        };
        Ok(Self {
            source,
            output,
            settings,
            request,
            reserved: arguments
                .reserve
                .map_or(contract::media::RESERVED_LEN, |mib| u64::from(mib) << 20),
        })
    }

    /// The section of the configuration for what is written.
    pub(crate) fn section(&self) -> &MediaSettings {
        section(&self.settings, self.request.format)
    }
}

fn section(settings: &Settings, format: OutputFormat) -> &MediaSettings {
    match format {
        OutputFormat::Iso => &settings.iso,
        OutputFormat::PxeDir | OutputFormat::PxeTar => &settings.pxe,
    }
}

/// What the command line says of what stays.
fn wished_persistence(arguments: &BuildArguments) -> Option<PersistenceSettings> {
    let file_system = match arguments.persistence? {
        FileSystemName::Ext4 => FileSystem::Ext4,
        FileSystemName::Xfs => FileSystem::Xfs,
        FileSystemName::Btrfs => FileSystem::Btrfs,
    };
    Some(PersistenceSettings {
        file_system,
        encrypted: false,
    })
}

/// An argument of a kernel command line without quoting.
fn argument(argument: &Argument) -> String {
    match &argument.value {
        Some(value) => format!("{}={value}", argument.name),
        None => argument.name.clone(),
    }
}

/// The generator that the command line names.
fn generator(arguments: &BuildArguments) -> Option<Generator> {
    arguments.initramfs_generator.map(|name| match name {
        GeneratorName::Native => Generator::Native,
        GeneratorName::Dracut => Generator::Dracut,
    })
}

/// What the command line says of the hash tree.
fn verity(arguments: &BuildArguments) -> Option<Verity> {
    match (arguments.verity, arguments.no_verity) {
        (true, _) => Some(Verity::On),
        (_, true) => Some(Verity::Off),
        _ => None,
    }
}

fn load(path: &Path, arguments: &BuildArguments) -> Result<Settings> {
    let overrides = Overrides {
        output_path: arguments.output.is_some(),
        output_format: arguments.format.is_some(),
        initramfs_type: arguments.initramfs_type.is_some(),
        generator: generator(arguments),
    };
    config::file::load(path, overrides).map_err(|faults| {
        let doing = format!("reading the configuration {}", path.display());
        Failure::new(Exit::Configuration, doing, faults)
    })
}

fn source(arguments: &BuildArguments, settings: &Settings) -> Result<PathBuf> {
    if let Some(source) = &arguments.source {
        return Ok(source.clone());
    }
    match &settings.input {
        Some(Input::Path(path)) => Ok(path.clone()),
        Some(Input::Oci(reference)) => Err(not_yet(&format!("oci:{reference}"))),
        Some(Input::AzureLinux { variant, version }) => {
            Err(not_yet(&format!("azurelinux:{variant}:{version}")))
        }
        None => Err(missing(
            "nothing to build from was named; give a disk image, a live ISO, a tar or a folder, or input.image.path in the configuration",
        )),
    }
}

fn not_yet(what: &str) -> Failure {
    let fact = format!("{what}: images of registries are not read by this version");
    Failure::new(Exit::Configuration, "choosing the input", fact)
        .help("download the image, and name its file")
}

fn missing(fact: &str) -> Failure {
    Failure::new(Exit::Arguments, "reading the arguments", fact.to_owned())
}

/// What is written: as it was asked for, or as the output's name says.
fn format(arguments: &BuildArguments, settings: &Settings, output: &Path) -> Result<OutputFormat> {
    if let Some(name) = arguments.format {
        return Ok(match name {
            FormatName::Iso => OutputFormat::Iso,
            FormatName::PxeDir => OutputFormat::PxeDir,
            FormatName::PxeTar => OutputFormat::PxeTar,
        });
    }
    if let Some(format) = settings.output.format {
        return Ok(format);
    }
    let name = output.as_os_str().to_string_lossy();
    let lower = name.to_ascii_lowercase();
    if lower.ends_with(".iso") {
        return Ok(OutputFormat::Iso);
    }
    if lower.ends_with(".tar.gz") || lower.ends_with(".tgz") {
        return Ok(OutputFormat::PxeTar);
    }
    if name.ends_with('/') || output.is_dir() {
        return Ok(OutputFormat::PxeDir);
    }
    Err(missing(&format!(
        "the name {name} does not say what is to be written; end it with .iso, .tar.gz or /, or give --format"
    )))
}

/// The arguments of a command line.
fn split(line: &str) -> Vec<String> {
    bootloader::cmdline::split(line)
}

/// The compression that was asked for; `None` where the choice is ours.
fn compression(arguments: &BuildArguments) -> Result<Option<Compression>> {
    if arguments.smallest {
        return Ok(Some(config::SMALLEST));
    }
    let level = |default: u8, range: std::ops::RangeInclusive<u8>| {
        let level = arguments.level.unwrap_or(default);
        if range.contains(&level) {
            return Ok(level);
        }
        let fact = format!(
            "--level is {level}, and goes from {} to {}",
            range.start(),
            range.end()
        );
        Err(Failure::new(Exit::Arguments, "reading the arguments", fact))
    };
    let no_level = |name: &str| match arguments.level {
        None => Ok(()),
        Some(_) => {
            let fact = format!("--level has no meaning for {name}");
            Err(Failure::new(Exit::Arguments, "reading the arguments", fact))
        }
    };
    match arguments.compression {
        None if arguments.level.is_none() => Ok(None),
        None | Some(CompressionName::Zstd) => Ok(Some(Compression::Zstd {
            level: level(config::DEFAULT_ZSTD_LEVEL, 1..=22)?,
        })),
        Some(CompressionName::Gzip) => Ok(Some(Compression::Gzip {
            level: level(6, 1..=12)?,
        })),
        Some(CompressionName::Xz) => no_level("xz").map(|()| Some(Compression::Xz)),
        Some(CompressionName::Lz4) => no_level("lz4").map(|()| Some(Compression::Lz4)),
    }
}
