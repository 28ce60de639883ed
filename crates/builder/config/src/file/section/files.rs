//! `additionalFiles` and `additionalDirs`, wherever they stand.

use std::path::PathBuf;

use crate::file::fields::{Fields, Section};
use crate::file::form::key;
use crate::file::local::Local;
use crate::file::rule;
use crate::file::shape::{Permissions, Text};
use crate::settings::{AdditionalDirectory, AdditionalFile, FileSource};

pub(super) const ADDITIONAL_FILE: Section<AdditionalFile> = Section("AdditionalFile", file);
pub(super) const ADDITIONAL_DIRECTORY: Section<AdditionalDirectory> =
    Section("AdditionalDir", directory);

/// The permissions of new folders and of files in copied folders.
const DEFAULT_PERMISSIONS: u16 = 0o755;

fn file(fields: &mut Fields<'_>) -> AdditionalFile {
    let source = key(
        "source",
        "The file to copy, relative to this one. Either this or `content`.",
    );
    let content = key("content", "The file's text. Either this or `source`.");
    let destination = key(
        "destination",
        "Where to; from the root where it is relative.",
    );
    let permissions = key("permissions", "Its permissions, in octal.")
        .default("those of `source`; `644` with `content`");
    let given = (fields.has("source"), fields.has_any("content"));
    let source = fields.get(source, &Local::File).map(FileSource::Path);
    let content = fields.get(content, &Text::any("text").or_empty());
    fields.need_one_of(("source", given.0), ("content", given.1));
    let content = content.map(FileSource::Content);
    AdditionalFile {
        source: source
            .or(content)
            .unwrap_or(FileSource::Content(String::new())),
        destination: fields.need(destination, &Text::of("a path", rule::destination)),
        permissions: fields.get(permissions, &Permissions),
    }
}

fn directory(fields: &mut Fields<'_>) -> AdditionalDirectory {
    let source = key(
        "source",
        "The folder whose contents are copied, relative to this file.",
    );
    let destination = key("destination", "The folder that they are copied to.");
    let new = key(
        "newDirPermissions",
        "The permissions of folders that are made.",
    )
    .default("`755`");
    let merged = key(
        "mergedDirPermissions",
        "The permissions of folders that are there already.",
    )
    .default("as they are");
    let files = key("childFilePermissions", "The permissions of the files.").default("`755`");
    let source: PathBuf = fields.need(source, &Local::Folder);
    AdditionalDirectory {
        source,
        destination: fields.need(destination, &Text::of("a path", rule::folder)),
        new_directory_permissions: fields.get(new, &Permissions).unwrap_or(DEFAULT_PERMISSIONS),
        merged_directory_permissions: fields.get(merged, &Permissions),
        child_file_permissions: fields
            .get(files, &Permissions)
            .unwrap_or(DEFAULT_PERMISSIONS),
    }
}
