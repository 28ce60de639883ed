//! `os.hostname`: `/etc/hostname`.

use block::{Content, Result};
use tree::{Timestamp, Tree};

use super::place;

/// Gives the system its name. As Image Customizer, without a line end, and `/etc/hosts` stays as it is.
///
/// # Errors
///
/// What the tree answers where `/etc/hostname` is no file.
pub fn apply(tree: &mut Tree<Content>, hostname: &str, time: Timestamp) -> Result<()> {
    let new = place::metadata(0o644, time);
    place::write(tree, "/etc/hostname", hostname.as_bytes().to_vec(), &new)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::place::tests::{TIME, text_of, tree_of};

    #[test]
    fn the_name_is_written_without_a_line_end() {
        let mut tree = tree_of(&[("etc/hosts", "127.0.1.1 old\n"), ("etc/hostname", "old\n")]);
        apply(&mut tree, "new.example", TIME).unwrap();
        assert_eq!(text_of(&tree, "etc/hostname"), "new.example");
        assert_eq!(text_of(&tree, "etc/hosts"), "127.0.1.1 old\n");
    }

    #[test]
    fn a_folder_of_that_name_is_refused() {
        let mut tree = tree_of(&[("etc/hostname/", "")]);
        let error = apply(&mut tree, "new", TIME).unwrap_err();
        assert!(error.to_string().contains("/etc/hostname"), "{error}");
    }
}
