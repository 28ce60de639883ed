//! `liveos build`: source → tree → facts and plan → payloads → media.

use std::time::Instant;

use block::{BackingFiles, Content};
use config::{Plan, Request};
use formats::squashfs::{self, Compression};
use media::output::Output;
use tree::{Timestamp, Tree};

use crate::args::{BuildArguments, CompressionName};
use crate::failure::{Exit, Failure, Result};
use crate::payloads::RootImage;
use crate::progress::{Progress, Verbosity};
use crate::run::Environment;
use crate::{bios, boot_files, runtime};

/// Builds the media, start to end.
pub(crate) fn run(arguments: &BuildArguments, environment: &Environment) -> Result<()> {
    let started = Instant::now();
    let progress = Progress::new(if arguments.quiet {
        Verbosity::Quiet
    } else {
        Verbosity::Normal
    });
    let building = format!("building {}", arguments.output.display());
    let input = |error| Failure::input(building.clone(), error);
    let request = request(arguments, environment)?;
    let runtime = runtime::load(arguments.runtime.as_deref())?;
    // The output is opened first: hours of compression are not spent on a folder that cannot be written.
    let output = Output::create(&arguments.output)
        .map_err(|error| Failure::output(building.clone(), error))?;

    let options = source_options(arguments.allow_backing_anywhere);
    let mut system = source::open(&arguments.source, &options).map_err(input)?;
    system
        .warnings
        .iter()
        .for_each(|warning| progress.warn(&warning.to_string()));
    let facts = inspect::facts(&system.tree).map_err(input)?;
    facts
        .warnings
        .iter()
        .for_each(|warning| progress.warn(warning));
    let plan = config::resolve(
        &request,
        &facts,
        newest(&system.tree),
        bios::host_has_grub(),
    )
    .map_err(input)?;
    plan.warnings
        .iter()
        .for_each(|warning| progress.warn(warning));
    progress.say(&format!(
        "{}: {} ({})",
        arguments.source.display(),
        plan.name,
        kernels(&plan)
    ));

    let inputs = boot_files::Inputs {
        tree: &system.tree,
        facts: &facts,
        plan: &plan,
    };
    let (files, description) = boot_files::collect(inputs, runtime, &progress).map_err(input)?;
    let warnings = customize::apply(&mut system.tree).map_err(input)?;
    warnings
        .iter()
        .for_each(|warning| progress.warn(&warning.to_string()));
    let root =
        squashfs::Checked::new(&system.tree, root_options(arguments, &plan)).map_err(input)?;
    root.warnings()
        .iter()
        .for_each(|warning| progress.warn(&warning.to_string()));

    let bar = progress.bar("root file system image", 0);
    let step = |state: media::late::Progress| {
        bar.set_length(state.total);
        bar.set_position(state.done);
    };
    let root = RootImage(root);
    let written = media::iso::write(description, files, &[&root], &output.target(), &step);
    bar.finish_and_clear();
    let report = written.map_err(|error| classify(&building, error))?;
    output
        .commit()
        .map_err(|error| Failure::output(building.clone(), error))?;
    progress.say(&format!(
        "{}: {} MiB, {} MiB of it the root file system image of {} files, in {:.1} s",
        arguments.output.display(),
        report.len >> 20,
        report.placed.iter().map(|placed| placed.len).sum::<u64>() >> 20,
        system.tree.walk().count(),
        started.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// How an input is opened.
pub(crate) fn source_options(allow_backing_anywhere: bool) -> source::Options {
    let backing_files = if allow_backing_anywhere {
        BackingFiles::Anywhere
    } else {
        BackingFiles::default()
    };
    source::Options {
        disk_image: block::Options {
            backing_files,
            ..block::Options::default()
        },
        ..source::Options::default()
    }
}

/// Whose fault an error while writing was: what names the output's file is the output's.
fn classify(building: &str, error: block::Error) -> Failure {
    if error.kind() == block::Kind::Io {
        Failure::output(building, error)
    } else {
        Failure::input(building, error)
    }
}

fn kernels(plan: &Plan) -> String {
    let versions: Vec<&str> = plan
        .kernels
        .iter()
        .map(|kernel| kernel.version.as_str())
        .collect();
    let word = if versions.len() == 1 {
        "kernel"
    } else {
        "kernels"
    };
    format!("{word} {}", versions.join(", "))
}

fn request(arguments: &BuildArguments, environment: &Environment) -> Result<Request> {
    Ok(Request {
        volume_id: arguments.volume_id.clone(),
        append: arguments.append.clone(),
        compression: compression(arguments)?,
        time: environment.source_date_epoch,
        ..Request::default()
    })
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

fn root_options(arguments: &BuildArguments, plan: &Plan) -> squashfs::Options {
    squashfs::Options {
        compression: plan.root_image.compression,
        block_size: plan.root_image.block_size,
        threads: arguments.threads.unwrap_or(0),
        image_time: u32::try_from(plan.time.seconds).ok(),
        ..squashfs::Options::default()
    }
}

/// The time of the newest file: the time of the media where `SOURCE_DATE_EPOCH` does not say another.
fn newest(tree: &Tree<Content>) -> Timestamp {
    tree.walk()
        .map(|entry| entry.inode.metadata.mtime)
        .max()
        .unwrap_or_default()
}
