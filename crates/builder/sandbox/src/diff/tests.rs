//! Orders, followed by a file system that is a map: whatever changes between two trees, the second is what is there afterwards.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tree::{Device, Name};

use super::*;

/// What the model holds at a path: which inode.
#[derive(Default)]
struct Model {
    names: BTreeMap<Path, usize>,
    inodes: Vec<(String, Option<Metadata>)>,
}

impl Model {
    fn add(&mut self, path: Path, what: String) {
        let parent = path
            .iter()
            .rposition(|byte| *byte == b'/')
            .map_or(&b""[..], |at| &path[..at]);
        assert!(
            path.is_empty() || self.names.contains_key(parent),
            "{path:?} has no folder"
        );
        let is_folder = what == "folder";
        if let Some(id) = self.names.get(&path) {
            assert!(
                is_folder && self.inodes[*id].0 == "folder",
                "{path:?} is there already"
            );
            return;
        }
        self.inodes.push((what, None));
        self.names.insert(path, self.inodes.len() - 1);
    }

    fn follow(&mut self, order: Order) {
        match order {
            Order::Remove(path) => {
                assert!(self.names.contains_key(&path), "{path:?} is not there");
                let below = [&path[..], b"/"].concat();
                self.names
                    .retain(|name, _| *name != path && !name.starts_with(&below));
            }
            Order::Directory(path) => self.add(path, "folder".into()),
            Order::File(path, len) => self.add(path, format!("file {len}")),
            Order::Data(offset, bytes) => {
                let last = self.inodes.last_mut().unwrap();
                last.0
                    .push_str(&format!(" {offset}={}", bytes.escape_ascii()));
            }
            Order::Symlink(path, target) => {
                self.add(path, format!("link {}", target.escape_ascii()))
            }
            Order::Fifo(path) => self.add(path, "fifo".into()),
            Order::Socket(path) => self.add(path, "socket".into()),
            Order::Link(path, existing) => {
                let id = self.names[&existing];
                assert!(self.names.insert(path, id).is_none());
            }
            Order::Metadata(path, metadata) => self.inodes[self.names[&path]].1 = Some(metadata),
            Order::Begin | Order::Settle | Order::Run(_) | Order::Collect => unreachable!(),
        }
    }

    /// Each path with the first path of its inode, what it is, and its metadata.
    fn describe(&self) -> BTreeMap<Path, (Path, String, Option<Metadata>)> {
        let mut first = BTreeMap::new();
        for (path, id) in &self.names {
            first.entry(*id).or_insert_with(|| path.clone());
        }
        let describe = |(path, id): (&Path, &usize)| {
            let (what, metadata) = self.inodes[*id].clone();
            (path.clone(), (first[id].clone(), what, metadata))
        };
        self.names.iter().map(describe).collect()
    }
}

/// A random change: an action, two places, a number.
type Change = (u8, u8, u8, u8);

/// One of 24 places, some below others.
fn place(number: u8) -> TreePath {
    let name = |number: u8| char::from(b'a' + number % 4);
    let text = match number % 3 {
        0 => format!("{}", name(number / 3)),
        1 => format!("{}/{}", name(number / 3), name(number / 12)),
        _ => format!("{}/{}/x", name(number / 3), name(number / 12)),
    };
    TreePath::parse(text).unwrap()
}

fn change(tree: &mut Tree<Content>, (action, one, other, number): Change) {
    let metadata = Metadata::with_permissions(u16::from(number % 3));
    let node = match action % 8 {
        0 | 1 => Node::File(Content::from_bytes(vec![number % 2; 3])),
        2 => Node::Symlink(vec![b'a' + number % 2].into()),
        3 => Node::empty_directory(),
        4 => Node::Character(Device { major: 1, minor: 2 }),
        5 => {
            let (from, to) = (tree.lookup(&place(one)), place(other));
            if let (Some(from), Some(parent)) = (from, tree.lookup(&to.parent().unwrap())) {
                let name = Name::new(to.file_name().unwrap()).unwrap();
                // OK: it may be taken or no folder; then nothing changes.
                let _ = tree.link(parent, name, from);
            }
            return;
        }
        6 => {
            tree.remove_path(&place(one));
            return;
        }
        _ => {
            if let Some(id) = tree.lookup(&place(one)) {
                tree.metadata_mut(id).permissions = u16::from(number);
            }
            return;
        }
    };
    // OK: something that is no folder may be in the way; then nothing changes.
    let _ = tree.put(&place(one), Inode::new(metadata, node));
}

fn laid(held: Option<&Tree<Content>>, tree: &Tree<Content>, model: &mut Model) -> usize {
    let mut count = 0;
    orders(held, tree, &mut |order| {
        count += 1;
        model.follow(order);
        Ok(())
    })
    .unwrap();
    count
}

/// An empty scratch: its root folder.
fn empty() -> Model {
    let mut model = Model::default();
    model.add(Vec::new(), "folder".into());
    model
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn what_is_laid_down_over_one_tree_is_the_other_tree(
        before in prop::collection::vec(any::<Change>(), 0..40),
        after in prop::collection::vec(any::<Change>(), 0..20),
    ) {
        let mut tree = Tree::new(Metadata::with_permissions(0o755));
        before.into_iter().for_each(|one| change(&mut tree, one));
        let held = tree.clone();
        let mut model = empty();
        laid(None, &held, &mut model);
        after.into_iter().for_each(|one| change(&mut tree, one));
        laid(Some(&held), &tree, &mut model);
        let mut fresh = empty();
        laid(None, &tree, &mut fresh);
        prop_assert_eq!(model.describe(), fresh.describe());
        prop_assert_eq!(laid(Some(&tree), &tree.clone(), &mut model), 0, "a second time there is nothing to do");
    }
}
