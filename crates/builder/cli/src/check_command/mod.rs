//! `liveos check`: whether media are what was built, and which files are not.
//!
//! * [`verified`]: the root file system image against its hash tree, whose root hash the boot configuration has.
//! * [`summed`]: all of the media against the table of the media check.
//! * `media::implant`: the checksums by which other programs check media.
//!
//! The hash tree tells to within 4096 bytes what is damaged, the table to within its chunks: a file is named by the narrower of both.

mod summed;
mod verified;

use std::io::Write as _;
use std::ops::Range;
use std::sync::Arc;

use block::{Content, DiskFile, Piece, ReadAt};
use formats::{fat, iso9660};
use tree::{Node, Tree};

use crate::args::CheckArguments;
use crate::failure::{Exit, Failure, Result};
use crate::progress::{Progress, Verbosity};

/// How many faults of a kind are printed.
const MOST_LINES: usize = 50;
/// The longest program that is compared with its copy in the ESP, in bytes.
const MAX_PROGRAM: usize = 64 << 20;

/// What was found.
#[derive(Debug, Default)]
struct Findings {
    /// What is as it was built, one line each.
    good: Vec<String>,
    /// What is not, one line each.
    faults: Vec<String>,
    /// What is not as it was built and harms nothing.
    warnings: Vec<String>,
}

/// A medium that is checked.
struct Medium {
    source: Arc<dyn ReadAt>,
    tree: Tree<Content>,
    esp: Esp,
    threads: usize,
}

/// What the ESP holds, held against its copies on the media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Esp {
    /// It cannot be read, or has another program than the media.
    Unknown,
    /// All its programs are as they were.
    Good,
    /// So they are, and somebody put files there, as Windows does where it sees one.
    Used,
}

/// Checks the media.
pub(crate) fn run(arguments: &CheckArguments) -> Result<()> {
    let doing = format!("checking {}", arguments.media.display());
    let progress = Progress::new(match arguments.quiet {
        true => Verbosity::Quiet,
        false => Verbosity::Normal,
    });
    let input = |error| Failure::input(doing.clone(), error);
    let file = DiskFile::open(&arguments.media).map_err(input)?;
    let source: Arc<dyn ReadAt> = Arc::new(file);
    if iso9660::probe(&*source).map_err(input)?.is_none() {
        let error = block::Error::unsupported("the media", "it is no ISO");
        return Err(
            Failure::input(doing, error).help("give an ISO, or a device that one was written to")
        );
    }
    let mut findings = Findings::default();
    match iso9660::read_tree(Arc::clone(&source)) {
        Ok(tree) => {
            let medium = Medium {
                esp: look_at_esp(&tree),
                source,
                tree,
                threads: arguments.threads.unwrap_or(0),
            };
            check(&medium, &mut findings, &progress).map_err(input)?;
        }
        Err(error) => findings
            .faults
            .push(format!("its folders cannot be read: {error}")),
    }
    tell(&findings, &progress, doing)
}

fn check(medium: &Medium, findings: &mut Findings, progress: &Progress) -> block::Result<()> {
    let verified = verified::check(medium, findings, progress)?;
    summed::check(medium, &verified, findings, progress)?;
    let bar = progress.bar("checksums of others", 0);
    let implanted = media::implant::verify(&*medium.source, &|done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    match implanted {
        Ok(found) => {
            for one in found {
                let name = format!(
                    "the implanted checksum ({:?}, {})",
                    one.style,
                    one.algorithm.name()
                );
                match one.outcome {
                    Ok(_) => findings.good.push(name),
                    Err(_) if medium.esp == Esp::Used => {
                        findings
                            .warnings
                            .push(format!("{name} does not fit, as the ESP was written to"));
                    }
                    Err(_) => findings.faults.push(format!("{name} does not fit")),
                }
            }
        }
        Err(error) => findings
            .faults
            .push(format!("the implanted checksums: {error}")),
    }
    if findings.good.is_empty() && findings.faults.is_empty() {
        let text = "the media have neither a hash tree nor a checksum: nothing can be said of them";
        findings.faults.push(text.to_owned());
    }
    Ok(())
}

fn tell(findings: &Findings, progress: &Progress, doing: String) -> Result<()> {
    findings
        .warnings
        .iter()
        .for_each(|text| progress.warn(text));
    let mut text = String::new();
    for good in &findings.good {
        text.push_str(&format!("good: {good}\n"));
    }
    for fault in findings.faults.iter().take(MOST_LINES) {
        text.push_str(&format!("bad: {fault}\n"));
    }
    if let Some(more) = findings
        .faults
        .len()
        .checked_sub(MOST_LINES)
        .filter(|more| *more > 0)
    {
        text.push_str(&format!("bad: and {more} more\n"));
    }
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|error| Failure::new(Exit::Output, doing.clone(), error))?;
    if findings.faults.is_empty() {
        return Ok(());
    }
    let fact = "the media are not what was built";
    Err(Failure::new(Exit::Verification, doing, fact).help("write them again, or use others"))
}

/// The paths of the files of the medium that have bytes in a range of it.
fn files_in(medium: &Medium, range: &Range<u64>) -> Vec<String> {
    let overlaps = |content: &Content| {
        content.pieces().any(|piece| match piece {
            Piece::Range { offset, len, .. } => {
                *offset < range.end && range.start < offset.saturating_add(*len)
            }
            _ => false,
        })
    };
    let files = medium
        .tree
        .walk()
        .filter_map(|entry| match &entry.inode.node {
            Node::File(content) if overlaps(content) => Some(entry.path.to_string()),
            _ => None,
        });
    files.collect()
}

/// Whether a path is that of the ESP's image.
fn is_esp(path: &str) -> bool {
    path.ends_with(contract::media::EFI_IMAGE_NAME)
}

fn look_at_esp(tree: &Tree<Content>) -> Esp {
    let image = tree.walk().find_map(|entry| match &entry.inode.node {
        Node::File(content) if is_esp(&entry.path.to_string()) => Some(content.clone()),
        _ => None,
    });
    let Some(Ok(esp)) = image.map(|image| fat::read_tree(Arc::new(image))) else {
        return Esp::Unknown;
    };
    let mut found = Esp::Good;
    for entry in esp.walk() {
        let Node::File(inside) = &entry.inode.node else {
            continue;
        };
        let Some(outside) = tree.file(entry.path.as_bytes()) else {
            found = Esp::Used;
            continue;
        };
        let both = (inside.read_all(MAX_PROGRAM), outside.read_all(MAX_PROGRAM));
        if !matches!(both, (Ok(inside), Ok(outside)) if inside == outside) {
            return Esp::Unknown;
        }
    }
    found
}
