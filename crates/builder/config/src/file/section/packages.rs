//! `os.packages`, and the files that list packages.

use std::path::PathBuf;

use crate::file::fields::{Context, Fields, Marked, Section, Shape};
use crate::file::form::{Form, key};
use crate::file::local::Local;
use crate::file::node::Node;
use crate::file::rule;
use crate::file::shape::{Flag, Text};
use crate::settings::{PackageList, Packages};

pub(super) const PACKAGES: Section<PackagesValues> = Section("Packages", packages);

/// `os.packages`, as one file has it.
#[derive(Debug, Default)]
pub(super) struct PackagesValues {
    pub(super) packages: Packages,
    pub(super) remove_manager: Option<Marked<bool>>,
}

/// The endings of files that name repositories: dnf's, apt's one-line style and apt's other.
const REPOSITORY_ENDINGS: [&str; 3] = ["repo", "list", "sources"];

const PACKAGE: Text = Text::of("the name of a package", rule::name);

fn packages(fields: &mut Fields<'_>) -> PackagesValues {
    let update_existing = key(
        "updateExistingPackages",
        "Whether all packages of the image are updated.",
    )
    .default("`false`");
    let snapshot = key(
        "snapshotTime",
        "Packages as they were at this date (`2026-01-31`) or time (RFC 3339); `--package-snapshot-time` wins.",
    );
    let remove_manager = key(
        "removePackageManager",
        "An error if `true`, as in Image Customizer.",
    )
    .default("`false`");
    let sources = key("sources", "Repositories (`.repo`, `.list`, `.sources` files) and folders of packages for the time of the build, relative to this file.").ours();
    let install = lists(
        fields,
        [
            ("installLists", "Files that list packages to install."),
            ("install", "Packages to install."),
        ],
    );
    let remove = lists(
        fields,
        [
            ("removeLists", "Files that list packages to remove."),
            ("remove", "Packages to remove."),
        ],
    );
    let update = lists(
        fields,
        [
            ("updateLists", "Files that list packages to update."),
            ("update", "Packages to update."),
        ],
    );
    PackagesValues {
        packages: Packages {
            update_existing: fields.get(update_existing, &Flag).unwrap_or_default(),
            install,
            remove,
            update,
            snapshot_time: fields.get(snapshot, &Text::of("a date or a time", rule::time)),
            sources: fields.list(sources, PackageSource),
        },
        remove_manager: fields.marked(remove_manager, &Flag),
    }
}

/// The names of the files of the first key and of the second.
fn lists(
    fields: &mut Fields<'_>,
    [files, names]: [(&'static str, &'static str); 2],
) -> PackageList {
    let mut list: PackageList = fields
        .list(key(files.0, files.1), ListFile)
        .into_iter()
        .flatten()
        .collect();
    list.extend(fields.list(key(names.0, names.1), PACKAGE));
    list
}

/// The path of a file that lists packages; read into their names.
#[derive(Clone, Copy, Debug)]
struct ListFile;

impl Shape for ListFile {
    type Value = PackageList;

    fn read(&self, node: &Node, context: &mut Context) -> Option<PackageList> {
        let path = Local::File.read(node, context)?;
        let mark = context.mark(node.position);
        // OK: without the list the chain can be judged all the same.
        let was_broken = context.report.is_broken;
        let source = context.open(&path, &mark);
        let list = source.and_then(|source| {
            crate::file::chain::document(context, source, &Section("PackageList", list_file))
        });
        context.report.is_broken = was_broken;
        list
    }

    fn form(&self) -> Form {
        Local::File.form()
    }

    fn empty_is_absent(&self) -> bool {
        true
    }
}

fn list_file(fields: &mut Fields<'_>) -> PackageList {
    fields.list(key("packages", "The packages."), PACKAGE)
}

/// A file that names repositories, or a folder of packages.
#[derive(Clone, Copy, Debug)]
struct PackageSource;

impl Shape for PackageSource {
    type Value = PathBuf;

    fn read(&self, node: &Node, context: &mut Context) -> Option<PathBuf> {
        let path = Local::Either.read(node, context)?;
        let ending = path.extension().and_then(|ending| ending.to_str());
        if path.is_dir() || ending.is_some_and(|ending| REPOSITORY_ENDINGS.contains(&ending)) {
            return Some(path);
        }
        let message = format!(
            "names {}, which is neither a folder nor ends in .repo, .list or .sources",
            path.display()
        );
        context.refuse(node.position, &message);
        None
    }

    fn form(&self) -> Form {
        Local::Either.form()
    }

    fn empty_is_absent(&self) -> bool {
        true
    }
}
