//! A tree that we read against what the kernel shows of the same file system, name by name.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use block::{Content, ReadAt as _};
use tree::{Device, InodeId, Node, Tree};

/// What is compared of a folder's time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum FolderTimes {
    Compared,
    /// The kernel sets those of folders whose names it changes while it replays a fast commit to the time of day.
    Left,
}

/// Panics at the first difference between `tree` and the folder `mounted`; answers with the number of names compared.
pub(crate) fn same(tree: &Tree<Content>, mounted: &Path) -> usize {
    same_with(tree, mounted, FolderTimes::Compared)
}

/// The same, with a choice.
pub(crate) fn same_with(tree: &Tree<Content>, mounted: &Path, times: FolderTimes) -> usize {
    let mut numbers: BTreeMap<u64, InodeId> = BTreeMap::new();
    let mut count = 0;
    for entry in tree.walk() {
        count += 1;
        let relative = OsStr::from_bytes(&entry.path.as_bytes()[1..]);
        let path = mounted.join(relative);
        let shown = &entry.path;
        let stat = path
            .symlink_metadata()
            .unwrap_or_else(|error| panic!("{shown}: {error}"));
        let known = *numbers.entry(stat.ino()).or_insert(entry.id);
        assert_eq!(known, entry.id, "{shown}: another inode");
        let metadata = &entry.inode.metadata;
        assert_eq!(u32::from(entry.inode.mode()), stat.mode(), "{shown}: mode");
        assert_eq!(
            (metadata.uid, metadata.gid),
            (stat.uid(), stat.gid()),
            "{shown}: owner"
        );
        let time = (
            metadata.mtime.seconds,
            i64::from(metadata.mtime.nanoseconds),
        );
        let is_folder = matches!(entry.inode.node, Node::Directory(_));
        if times == FolderTimes::Compared || !is_folder {
            let theirs = (stat.mtime(), stat.mtime_nsec());
            assert_eq!(time, theirs, "{shown}: mtime");
        }
        let ours: BTreeMap<OsString, Vec<u8>> = metadata
            .xattrs
            .iter()
            .map(|(name, value)| (OsString::from_vec(name.to_vec()), value.to_vec()))
            .collect();
        assert_eq!(ours, xattrs(&path), "{shown}: xattrs");
        match &entry.inode.node {
            Node::Directory(names) => {
                let ours: BTreeSet<&[u8]> = names.keys().map(tree::Name::as_bytes).collect();
                let theirs: Vec<OsString> = std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().file_name())
                    .collect();
                let theirs: BTreeSet<&[u8]> = theirs.iter().map(|name| name.as_bytes()).collect();
                assert_eq!(ours, theirs, "{shown}: names");
                continue;
            }
            Node::File(content) => {
                same_content(content, &path);
            }
            Node::Symlink(target) => {
                let theirs = std::fs::read_link(&path).unwrap().into_os_string();
                assert_eq!(target.to_vec(), theirs.into_vec(), "{shown}: target");
            }
            Node::Character(device) | Node::Block(device) => {
                let theirs = Device {
                    major: rustix::fs::major(stat.rdev()),
                    minor: rustix::fs::minor(stat.rdev()),
                };
                assert_eq!(*device, theirs, "{shown}: device");
            }
            Node::Fifo | Node::Socket => {}
        }
        assert_eq!(
            u64::from(entry.inode.names()),
            stat.nlink(),
            "{shown}: links"
        );
    }
    count
}

fn same_content(content: &Content, path: &Path) {
    let file = File::open(path).unwrap();
    let len = file.metadata().unwrap().len();
    assert_eq!(content.len(), len, "{}: length", path.display());
    let (mut ours, mut theirs) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut offset = 0;
    while offset < len {
        // What is a hole for both is not read: it can have gigabytes.
        let next = content.next_data(offset).unwrap();
        let ours_next = next.map_or(len, |range| range.start);
        let data = rustix::fs::SeekFrom::Data(offset);
        let theirs_next = rustix::fs::seek(&file, data).unwrap_or(len);
        offset = ours_next.min(theirs_next);
        let take = usize::try_from((len - offset).min(1 << 20)).unwrap();
        content.read_exact_at(&mut ours[..take], offset).unwrap();
        file.read_exact_at(&mut theirs[..take], offset).unwrap();
        assert!(
            ours[..take] == theirs[..take],
            "{}: bytes from {offset}",
            path.display()
        );
        offset += take as u64;
    }
}

/// All xattrs that the kernel shows, by name.
fn xattrs(path: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let mut names = vec![0; 65536];
    let len = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    let mut found = BTreeMap::new();
    for name in names[..len]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let name = OsStr::from_bytes(name);
        let mut value = vec![0; 65536];
        let len = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
        value.truncate(len);
        found.insert(name.to_owned(), value);
    }
    found
}
