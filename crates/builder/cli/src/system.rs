//! The operating system that is built from: its tree, and what it is.

use block::Content;
use std::path::Path;

use config::saved::SavedConfigs;
use config::settings::InitramfsType;
use config::{InputMedia, Plan};
use inspect::Facts;
use source::{Media, Origin, RootOnMedia};
use tree::{Timestamp, Tree};

use crate::args::BuildArguments;
use crate::build::source_options;
use crate::failure::{Exit, Failure, Result};
use crate::job::Job;
use crate::progress::Progress;
use crate::write::doing;
use crate::{bios, carried};

/// An operating system on its way to media.
#[derive(Debug)]
pub(crate) struct System {
    /// Its files.
    pub(crate) tree: Tree<Content>,
    /// What they are.
    pub(crate) facts: Facts,
    /// The media that they come from, where it is media.
    pub(crate) media: Option<Box<Media>>,
    /// What earlier builds left on those media.
    pub(crate) saved: SavedConfigs,
    /// Whether anything was changed in it since it was read.
    pub(crate) changed: bool,
}

impl System {
    /// Reads the input.
    pub(crate) fn open(
        job: &mut Job,
        arguments: &BuildArguments,
        progress: &Progress,
    ) -> Result<Self> {
        let input = |error| Failure::input(doing(&job.output), error);
        let options = source_options(
            arguments.allow_backing_anywhere,
            arguments.scratch.as_deref(),
        );
        let opened = source::open(&job.source, &options).map_err(input)?;
        opened
            .warnings
            .iter()
            .for_each(|warning| progress.warn(&warning.to_string()));
        let facts = inspect::facts(&opened.tree).map_err(input)?;
        facts
            .warnings
            .iter()
            .for_each(|warning| progress.warn(warning));
        let media = match opened.origin {
            Origin::Media(media) => Some(media),
            _ => None,
        };
        let saved = match &media {
            Some(media) => saved(media, progress)?,
            None => SavedConfigs::default(),
        };
        job.request.input = media.as_deref().map(|media| input_media(media, &saved));
        Ok(Self {
            tree: opened.tree,
            facts,
            media,
            saved,
            changed: false,
        })
    }

    /// What this build leaves on the media for the next one.
    pub(crate) fn saved_after(&self, job: &Job, plan: &Plan) -> SavedConfigs {
        let asked = job
            .settings
            .os
            .iter()
            .filter_map(|os| os.selinux)
            .next_back();
        self.saved.clone().merge(SavedConfigs {
            kdump_boot_files: Some(plan.kdump_boot_files),
            extra_command_line: plan.append.clone(),
            bootstrap_url: job.request.bootstrap_url.clone(),
            verity: job.request.verity,
            selinux_mode: asked,
            ..SavedConfigs::default()
        })
    }

    /// What is built of it.
    pub(crate) fn plan(&self, job: &Job) -> Result<Plan> {
        config::resolve(
            &job.request,
            &self.facts,
            newest(&self.tree),
            bios::host_has_grub(),
        )
        .map_err(|error| Failure::input(doing(&job.output), error))
    }
}

/// What the input media say.
fn input_media(media: &Media, saved: &SavedConfigs) -> InputMedia {
    InputMedia {
        initramfs_type: match media.root {
            RootOnMedia::FullOs { .. } => InitramfsType::FullOs,
            _ => InitramfsType::Bootstrap,
        },
        volume_id: carried::is_our_layout(media).then(|| media.volume_id.clone()),
        append: saved.extra_command_line.clone(),
        kdump_boot_files: saved.kdump_boot_files,
        bootstrap_url: saved.bootstrap_url.clone(),
        verity: saved.verity,
    }
}

/// What earlier builds left on the media; nothing where they left nothing.
fn saved(media: &Media, progress: &Progress) -> Result<SavedConfigs> {
    let Some(bytes) = &media.saved else {
        return Ok(SavedConfigs::default());
    };
    let path = Path::new(source::SAVED_CONFIGS);
    let (saved, not_understood) = SavedConfigs::parse(path, bytes).map_err(|faults| {
        let doing = "reading what an earlier build left on the media";
        Failure::new(Exit::Input, doing, faults)
    })?;
    for text in not_understood {
        progress.warn(&format!("{}: {text}", source::SAVED_CONFIGS));
    }
    Ok(saved)
}

/// The time of the newest file: the time of the media where `SOURCE_DATE_EPOCH` does not say another.
pub(crate) fn newest(tree: &Tree<Content>) -> Timestamp {
    tree.walk()
        .map(|entry| entry.inode.metadata.mtime)
        .max()
        .unwrap_or_default()
}
