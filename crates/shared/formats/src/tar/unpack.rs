//! Where a member goes in the tree.
//!
//! As GNU tar does it for root in an empty folder, with `--numeric-owner` and `--keep-directory-symlink`, with these differences:
//!
//! * a symbolic link on the way to a member is followed inside the tree only: `/` and `..` of its target end at the tree's root;
//! * a name with `..` in it is refused, and so is a member below something that is no folder: `tar` passes over both with a message.
//!
//! A later member takes the place of an earlier one, but not of a folder with something in it. A folder adds to a folder that is
//! there, and leaves a symbolic link to one in its place: `lib/` in a second archive does not take `/lib` away from a merged `/usr`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use block::{Content, Error, Kind, Result};
use tree::{Inode, InodeId, Metadata, Name, Node, Tree, Xattrs};

use super::acl;
use super::member::{Member, What};

/// How many folders a path may go through. Real ones have under 30.
const MAX_DEPTH: usize = 128;
/// How many symbolic links are followed on the way to one member, as Linux does (`MAXSYMLINKS`).
const MAX_SYMLINKS: usize = 40;

/// How much of an archive is held in memory; beyond it is an error. What a small archive unpacks to is limited by nothing else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Members, and folders that no member makes: 8 million, four times the largest systems.
    pub(super) members: u64,
    /// All names, targets, xattrs and maps of holes, in bytes: 1 GiB, some hundred times what a large system has.
    pub(super) kept: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            members: 8 << 20,
            kept: 1 << 30,
        }
    }
}

const WHAT: &str = "unpacking the archive";

/// A tree that members are put into.
#[derive(Debug)]
pub(super) struct Unpacker {
    tree: Tree<Content>,
    /// The folder that the last member went into, by its names: most members are neighbours.
    last: Option<(Vec<Name>, InodeId)>,
    /// Most files have one of few sets of xattrs.
    xattrs: BTreeSet<Xattrs>,
    /// ACLs that name somebody by a name alone, who may be in a table that comes later.
    acls: BTreeMap<(InodeId, &'static [u8]), Acl>,
    limits: Limits,
    members: u64,
    kept: u64,
}

impl Unpacker {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            tree: Tree::new(Metadata::with_permissions(0o755)),
            last: None,
            xattrs: BTreeSet::new(),
            acls: BTreeMap::new(),
            limits,
            members: 0,
            kept: 0,
        }
    }

    /// The tree, with the ACLs whose names its own tables of users and groups have to say.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a name that is in none of them, with the path of the member.
    pub(super) fn finish(mut self) -> Result<Tree<Content>> {
        let tables = acl::tables(&self.tree);
        let names = acl::Names::new(&tables);
        for ((id, _), acl) in std::mem::take(&mut self.acls) {
            let value = acl::to_xattr(acl.kind, &acl.text, &names);
            let value = value.map_err(|fault| named(&acl.path, acl_fault(fault), acl.offset))?;
            self.set_acl(id, acl.kind, value);
        }
        Ok(self.tree)
    }

    /// Puts `member` where it belongs.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a place where it cannot be, `Limit` for more than what is named above; with the member's path and offset.
    pub(super) fn put(&mut self, mut member: Member) -> Result<()> {
        let (path, offset) = (std::mem::take(&mut member.path), member.offset);
        self.count(&path, &member)
            .and_then(|()| self.place(&path, member))
            .map_err(|fault| named(&path, fault, offset))
    }

    fn count(&mut self, path: &[u8], member: &Member) -> Placed<()> {
        self.count_one()?;
        let extra = match &member.what {
            What::Node(Node::Symlink(target)) => target.len(),
            What::HardLink(target) => target.len(),
            What::Node(Node::File(content)) => content.pieces().count().saturating_mul(64),
            What::Node(_) => 0,
        };
        let acls = member.acls.iter().map(|(_, text)| text.len());
        let extra = acls.fold(extra, usize::saturating_add);
        let xattrs = member.metadata.xattrs.iter();
        let xattrs = xattrs.map(|(name, value)| name.len().saturating_add(value.len()));
        let all = xattrs.fold(path.len().saturating_add(extra), usize::saturating_add);
        self.kept = self
            .kept
            .saturating_add(u64::try_from(all).unwrap_or(u64::MAX));
        if self.kept > self.limits.kept {
            let limit = self.limits.kept;
            let message = format!("names, xattrs and holes of more than {limit} bytes");
            return Err(Fault::limit(message));
        }
        Ok(())
    }

    /// Counts a member, or a folder that no member makes.
    fn count_one(&mut self) -> Placed<()> {
        self.members = self.members.saturating_add(1);
        if self.members > self.limits.members {
            let message = format!("more than {} members and folders", self.limits.members);
            return Err(Fault::limit(message));
        }
        Ok(())
    }

    fn place(&mut self, path: &[u8], member: Member) -> Placed<()> {
        let mut names = names(path)?;
        let mut metadata = member.metadata;
        metadata.xattrs = self.shared(metadata.xattrs);
        let Some(name) = names.pop() else {
            if !matches!(member.what, What::Node(Node::Directory(_))) {
                return Err(Fault::corrupt("the root is a folder".to_owned()));
            }
            let root = self.tree.root();
            *self.tree.metadata_mut(root) = metadata;
            return self.put_acls(root, path, member.acls, member.offset);
        };
        let parent = self.parent(&names)?;
        let id = match member.what {
            What::Node(Node::Directory(_)) => {
                names.push(name);
                self.put_folder(parent, &names, metadata)?
            }
            What::Node(node) => {
                self.make_room(parent, &name)?;
                let inode = Inode::new(metadata, node);
                Some(self.tree.add(parent, name, inode)?)
            }
            What::HardLink(target) => {
                self.put_link(parent, name, &target)?;
                None
            }
        };
        match id {
            Some(id) => self.put_acls(id, path, member.acls, member.offset),
            None => Ok(()),
        }
    }

    /// Gives `id` its ACLs, or keeps them until all of the archive is there.
    fn put_acls(
        &mut self,
        id: InodeId,
        path: &[u8],
        acls: Vec<(acl::Kind, Vec<u8>)>,
        offset: u64,
    ) -> Placed<()> {
        self.forget_acls(id);
        for (kind, text) in acls {
            // What is there as an xattr is exact.
            if self.tree.inode(id).metadata.xattrs.contains_key(kind.xattr) {
                continue;
            }
            match acl::to_xattr(kind, &text, &acl::Names::default()) {
                Ok(value) => self.set_acl(id, kind, value),
                Err(acl::Fault::Name { .. }) => {
                    let path = path.to_vec();
                    let acl = Acl {
                        kind,
                        text,
                        path,
                        offset,
                    };
                    self.acls.insert((id, kind.xattr), acl);
                }
                Err(fault) => return Err(acl_fault(fault)),
            }
        }
        Ok(())
    }

    /// Drops what an earlier member said of `id`, in whose place another one is.
    fn forget_acls(&mut self, id: InodeId) {
        for kind in acl::KINDS {
            self.acls.remove(&(id, kind.xattr));
        }
    }

    fn set_acl(&mut self, id: InodeId, kind: acl::Kind, value: Option<Vec<u8>>) {
        let Some(value) = value else {
            return;
        };
        let mut xattrs = Arc::clone(&self.tree.inode(id).metadata.xattrs);
        Arc::make_mut(&mut xattrs).insert(kind.xattr.into(), value.into());
        let xattrs = self.shared(xattrs);
        self.tree.metadata_mut(id).xattrs = xattrs;
    }

    /// The one copy of a set of xattrs.
    fn shared(&mut self, xattrs: Xattrs) -> Xattrs {
        if let Some(known) = self.xattrs.get(&xattrs) {
            return Arc::clone(known);
        }
        self.xattrs.insert(Arc::clone(&xattrs));
        xattrs
    }

    /// The folder with these names, in its parent that was found; `None` where a link to a folder stays in its place.
    fn put_folder(
        &mut self,
        parent: InodeId,
        names: &[Name],
        metadata: Metadata,
    ) -> Placed<Option<InodeId>> {
        let Some(name) = names.last() else {
            return Ok(None);
        };
        if let Some(id) = self.child(parent, name) {
            if self.tree.directory(id).is_some() {
                *self.tree.metadata_mut(id) = metadata;
                return Ok(Some(id));
            }
            let is_link = matches!(self.tree.inode(id).node, Node::Symlink(_));
            if is_link && self.folder(names, Missing::Refuse).is_ok() {
                return Ok(None);
            }
        }
        self.make_room(parent, name)?;
        let inode = Inode::new(metadata, Node::empty_directory());
        Ok(Some(self.tree.add(parent, name.clone(), inode)?))
    }

    /// The folder with these names, which a member goes into; made where it is missing.
    fn parent(&mut self, names: &[Name]) -> Placed<InodeId> {
        if let Some((known, id)) = &self.last
            && known == names
        {
            return Ok(*id);
        }
        let id = self.folder(names, Missing::Make)?;
        self.last = Some((names.to_vec(), id));
        Ok(id)
    }

    fn put_link(&mut self, parent: InodeId, name: Name, target: &[u8]) -> Placed<()> {
        let shown = target.escape_ascii();
        let mut names = names(target)?;
        let found = match names.pop() {
            Some(last) => {
                let folder = self.folder(&names, Missing::Refuse)?;
                self.child(folder, &last)
            }
            None => Some(self.tree.root()),
        };
        let Some(id) = found else {
            let message = format!("a hard link to {shown}, which is not in the archive before it");
            return Err(Fault::corrupt(message));
        };
        if self.tree.directory(id).is_some() {
            return Err(Fault::corrupt(format!("a hard link to {shown}, a folder")));
        }
        if self.child(parent, &name) == Some(id) {
            return Ok(());
        }
        self.make_room(parent, &name)?;
        self.tree.link(parent, name, id)?;
        Ok(())
    }

    /// Removes what has the name, unless it is a folder with something in it.
    fn make_room(&mut self, parent: InodeId, name: &Name) -> Placed<()> {
        let Some(id) = self.child(parent, name) else {
            return Ok(());
        };
        if self
            .tree
            .directory(id)
            .is_some_and(|names| !names.is_empty())
        {
            let message = "there is a folder with something in it in its place".to_owned();
            return Err(Fault::corrupt(message));
        }
        if self.tree.inode(id).names() == 1 {
            self.forget_acls(id);
        }
        // The way to the last folder may have led through it.
        self.last = None;
        self.tree.remove(parent, name.as_bytes());
        Ok(())
    }

    fn child(&self, parent: InodeId, name: &Name) -> Option<InodeId> {
        self.tree.directory(parent)?.get(name).copied()
    }

    /// The folder with these names from the root on, through symbolic links inside the tree.
    fn folder(&mut self, names: &[Name], missing: Missing) -> Placed<InodeId> {
        let straight = names.iter().try_fold(self.tree.root(), |at, name| {
            let id = self.child(at, name)?;
            self.tree.directory(id).map(|_| id)
        });
        match straight {
            Some(id) => Ok(id),
            None => self.folder_by_steps(names, missing),
        }
    }

    fn folder_by_steps(&mut self, names: &[Name], missing: Missing) -> Placed<InodeId> {
        let mut pending: Vec<Vec<u8>> = names.iter().rev().map(|n| n.as_bytes().to_vec()).collect();
        let mut above = Vec::new();
        let mut at = self.tree.root();
        let mut links = 0_usize;
        while let Some(part) = pending.pop() {
            if part == b".." {
                at = above.pop().unwrap_or_else(|| self.tree.root());
                continue;
            }
            let name = Name::new(&part)?;
            let below = match self.child(at, &name) {
                Some(id) => id,
                None if missing == Missing::Make => {
                    self.count_one()?;
                    let metadata = Metadata::with_permissions(0o755);
                    let inode = Inode::new(metadata, Node::empty_directory());
                    self.tree.add(at, name.clone(), inode)?
                }
                None => return Err(Fault::corrupt(format!("there is no folder {name}"))),
            };
            match &self.tree.inode(below).node {
                Node::Directory(_) if above.len() < MAX_DEPTH => {
                    above.push(at);
                    at = below;
                }
                Node::Directory(_) => return Err(too_deep()),
                Node::Symlink(target) => {
                    links = links.saturating_add(1);
                    if links > MAX_SYMLINKS {
                        let message = format!("more than {MAX_SYMLINKS} symbolic links on the way");
                        return Err(Fault::corrupt(message));
                    }
                    if target.first() == Some(&b'/') {
                        above.clear();
                        at = self.tree.root();
                    }
                    let parts = parts(target);
                    let parts: Vec<Vec<u8>> = parts.take(MAX_DEPTH).map(<[u8]>::to_vec).collect();
                    pending.extend(parts.into_iter().rev());
                }
                _ => return Err(Fault::corrupt(format!("{name} is no folder"))),
            }
        }
        Ok(at)
    }
}

/// An ACL that is not yet one of numbers.
#[derive(Debug)]
struct Acl {
    kind: acl::Kind,
    text: Vec<u8>,
    /// Of the member, for messages.
    path: Vec<u8>,
    offset: u64,
}

/// What is done about a folder that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Make,
    Refuse,
}

type Placed<T> = std::result::Result<T, Fault>;

/// Why a member cannot be put where it belongs.
struct Fault {
    kind: Kind,
    message: String,
}

impl Fault {
    fn corrupt(message: String) -> Self {
        let kind = Kind::Corrupt;
        Self { kind, message }
    }

    fn limit(message: String) -> Self {
        let kind = Kind::Limit;
        Self { kind, message }
    }
}

fn acl_fault(fault: acl::Fault) -> Fault {
    match fault {
        acl::Fault::Entry(entry) => Fault::corrupt(format!("the ACL entry \"{entry}\" is none")),
        acl::Fault::Name { table, name } => Fault {
            kind: Kind::Unsupported,
            message: format!(
                "an ACL names \"{name}\", who is not in the archive's {table}; make it with --numeric-owner"
            ),
        },
    }
}

/// The error of a member.
fn named(path: &[u8], fault: Fault, offset: u64) -> Error {
    let message = format!("{}: {}", path.escape_ascii(), fault.message);
    Error::new(fault.kind, WHAT, message).at(offset)
}

impl From<tree::Error> for Fault {
    fn from(error: tree::Error) -> Self {
        match error {
            tree::Error::TooManyInodes => Self::limit(error.to_string()),
            _ => Self::corrupt(error.to_string()),
        }
    }
}

fn too_deep() -> Fault {
    Fault::limit(format!(
        "the path goes through more than {MAX_DEPTH} folders"
    ))
}

/// The parts of a path without those that lead nowhere.
fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let parts = path.split(|byte| *byte == b'/');
    parts.filter(|part| !part.is_empty() && *part != b".")
}

/// The names that a member's path goes through; a leading slash counts for nothing.
fn names(path: &[u8]) -> Placed<Vec<Name>> {
    let names: Vec<Name> = parts(path).map(Name::new).collect::<tree::Result<_>>()?;
    if names.len() > MAX_DEPTH {
        return Err(too_deep());
    }
    Ok(names)
}
