//! The result: where it is written, and what of.

use std::path::Path;
use std::sync::Arc;

use block::{Content, Piece, ReadAt as _};
use config::Plan;
use config::settings::OutputFormat;
use contract::media as places;
use media::files::Files;
use media::iso::Description;
use media::late::{Late, Progress as Step};
use media::netboot::{Netboot, Shape};
use media::output::Output;

use crate::failure::{Failure, Result};
use crate::job::Job;
use crate::progress::Progress;

/// A result that is not at its place yet.
#[derive(Debug)]
pub(crate) enum Place {
    /// An ISO.
    Iso(Output),
    /// A folder or tar for a network-boot server.
    Netboot(Netboot),
}

impl Place {
    /// Opens the output. This comes first: hours of compression are not spent on a folder that cannot be written.
    pub(crate) fn create(job: &Job) -> Result<Self> {
        let path = &job.output;
        let shape = match job.request.format {
            OutputFormat::Iso => {
                let made = Output::create(path).map(Self::Iso);
                return made.map_err(|error| Failure::output(doing(path), error));
            }
            OutputFormat::PxeDir => Shape::Folder,
            OutputFormat::PxeTar => Shape::TarGz,
        };
        let made = Netboot::create(path, shape).map(Self::Netboot);
        made.map_err(|error| Failure::output(doing(path), error))
    }
}

/// What is being done, for messages.
pub(crate) fn doing(output: &Path) -> String {
    format!("building {}", output.display())
}

/// What goes to the output.
pub(crate) struct Parts<'a> {
    /// The files of the ISO and how it boots; of the ISO in the folder for network boot. `None` where there is none.
    pub(crate) iso: Option<(Files, Description)>,
    /// The files of a server.
    pub(crate) netboot: Option<Files>,
    /// What of it firmware that boots over HTTP loads at once, but for an initramfs that is the large payload.
    pub(crate) http_boot: Option<(Files, Description)>,
    /// The large payload: the root file system image, or the initramfs that is the whole system.
    pub(crate) payload: &'a dyn Late,
}

/// The lengths of what was written, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    /// The whole output.
    pub(crate) len: u64,
    /// The large payload.
    pub(crate) payload: u64,
}

/// Writes all parts and puts the result at its place.
pub(crate) fn write(
    place: Place,
    parts: Parts<'_>,
    plan: &Plan,
    job: &Job,
    progress: &Progress,
) -> Result<Written> {
    let what = doing(&job.output);
    let bar = progress.bar("writing", 0);
    let step = |state: Step| {
        bar.set_length(state.total);
        bar.set_position(state.done);
    };
    let written = match place {
        Place::Iso(output) => write_iso(&output, parts, &step)
            .map_err(|error| classify(&what, error))
            .and_then(|written| {
                let done = output.commit();
                done.map_err(|error| Failure::output(what.clone(), error))?;
                Ok(written)
            }),
        Place::Netboot(netboot) => {
            write_netboot(netboot, parts, plan, &step).map_err(|error| classify(&what, error))
        }
    };
    bar.finish_and_clear();
    written
}

fn write_iso(
    output: &Output,
    parts: Parts<'_>,
    step: &(dyn Fn(Step) + Sync),
) -> block::Result<Written> {
    let (files, description) = parts.iso.ok_or_else(nothing)?;
    let report = media::iso::write(description, files, &[parts.payload], &output.target(), step)?;
    Ok(Written {
        len: report.len,
        payload: report.placed.iter().map(|placed| placed.len).sum(),
    })
}

fn write_netboot(
    mut netboot: Netboot,
    mut parts: Parts<'_>,
    plan: &Plan,
    step: &(dyn Fn(Step) + Sync),
) -> block::Result<Written> {
    let mut files = parts.netboot.ok_or_else(nothing)?;
    let payload = match (&plan.network, parts.iso) {
        (Some(network), Some((iso_files, description))) => {
            let target = netboot.payload(&network.iso_name)?;
            let report =
                media::iso::write(description, iso_files, &[parts.payload], &target, step)?;
            let whole = Arc::new(target.remeasured()?);
            for placed in &report.placed {
                // The root file system image by itself, for machines that need nothing else of the ISO.
                let range = Piece::Range {
                    source: Arc::clone(&whole) as Arc<dyn block::ReadAt>,
                    offset: placed.offset,
                    len: placed.len,
                };
                files.put(&placed.path, Content::new([range])?)?;
            }
            report.placed.iter().map(|placed| placed.len).sum()
        }
        _ => {
            let written = netboot.write(parts.payload, step)?;
            let len = written.len();
            if let Some((files, _)) = &mut parts.http_boot {
                files.put(parts.payload.path(), written)?;
            }
            len
        }
    };
    let pending = parts.payload.pending();
    if let Some(pending) = &pending {
        files.fill(pending)?;
    }
    if let Some((mut files, description)) = parts.http_boot {
        if let Some(pending) = &pending {
            files.fill(pending)?;
        }
        let target = netboot.payload(places::HTTP_BOOT_ISO)?;
        media::iso::write(description, files, &[], &target, &|_| {})?;
    }
    let report = netboot.commit(files)?;
    Ok(Written {
        len: report.len,
        payload,
    })
}

fn nothing() -> block::Error {
    block::Error::not_found("writing the media", "the parts do not fit the plan")
}

/// Whose fault an error while writing was: what the operating system refuses is the output's.
fn classify(what: &str, error: block::Error) -> Failure {
    if error.kind() == block::Kind::Io {
        Failure::output(what, error)
    } else {
        Failure::input(what, error)
    }
}
