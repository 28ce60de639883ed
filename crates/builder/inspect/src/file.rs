//! Reading the small files that facts come from.

use block::{Content, ReadAt as _, Result};
use tree::{Node, Tree, TreePath};

/// The largest configuration file that is read; the largest real one (a kernel's configuration) has under 400 KiB. A larger one is
/// an error with its path.
const MAX_FILE: usize = 4 << 20;

/// All bytes of the file at `path`, following symbolic links; `None` where there is no such file.
pub(crate) fn read(tree: &Tree<Content>, path: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
    let path = path.as_ref();
    let Some(content) = tree.file(path) else {
        return Ok(None);
    };
    match content.read_all(MAX_FILE) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) => Err(error.in_file(String::from_utf8_lossy(path).as_ref())),
    }
}

/// The file at `path` as text; bytes that are not UTF-8 become U+FFFD.
pub(crate) fn text(tree: &Tree<Content>, path: impl AsRef<[u8]>) -> Result<Option<String>> {
    Ok(read(tree, path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The first `len` bytes of `content`, or all of them where there are fewer.
pub(crate) fn head(content: &Content, len: usize) -> Result<Vec<u8>> {
    let len = usize::try_from(content.len()).unwrap_or(len).min(len);
    let mut bytes = vec![0; len];
    content.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// The regular files in the folder at `path`, by name, with the paths that they really have.
pub(crate) fn files_in<'a>(
    tree: &'a Tree<Content>,
    path: &str,
) -> Vec<(String, TreePath, &'a Content)> {
    let Ok((folder, _)) = tree.resolve(path) else {
        return Vec::new();
    };
    tree.list(path)
        .filter_map(|(name, _)| {
            let (real, id) = tree.resolve(folder.join(name).as_bytes()).ok()?;
            let Node::File(content) = &tree.inode(id).node else {
                return None;
            };
            let name = String::from_utf8_lossy(name.as_bytes()).into_owned();
            Some((name, real, content))
        })
        .collect()
}

/// The names of the folders in the folder at `path`, with the paths that they really have.
pub(crate) fn folders_in(tree: &Tree<Content>, path: &str) -> Vec<(String, TreePath)> {
    let Ok((folder, _)) = tree.resolve(path) else {
        return Vec::new();
    };
    tree.list(path)
        .filter_map(|(name, _)| {
            let (real, id) = tree.resolve(folder.join(name).as_bytes()).ok()?;
            tree.directory(id)?;
            Some((String::from_utf8_lossy(name.as_bytes()).into_owned(), real))
        })
        .collect()
}
