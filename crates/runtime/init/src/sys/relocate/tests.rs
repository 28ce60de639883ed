//! Small trees from one folder to another.

use super::*;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use rustix::fs::lgetxattr;

/// A system in an initramfs, and the folder that it goes to.
fn system() -> (tempfile::TempDir, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("from");
    let to = folder.path().join("to");
    for path in ["from/.liveos/root", "from/usr/bin", "from/proc", "to"] {
        fs::create_dir_all(folder.path().join(path)).unwrap();
    }
    fs::write(from.join("init"), "ours").unwrap();
    fs::write(from.join("usr/bin/a"), "program").unwrap();
    fs::set_permissions(from.join("usr/bin/a"), Permissions::from_mode(0o4751)).unwrap();
    fs::hard_link(from.join("usr/bin/a"), from.join("usr/bin/b")).unwrap();
    symlink("usr/bin", from.join("bin")).unwrap();
    let text = |path: PathBuf| path.to_str().unwrap().to_owned();
    (folder, text(from), text(to))
}

fn list(files: &[(&str, &str, &[u8])]) -> Attributes {
    let mut list = Attributes::new(0);
    for (path, name, value) in files {
        let set = [(Box::from(name.as_bytes()), Box::from(*value))];
        list.insert(path.as_bytes(), &Arc::new(set.into_iter().collect()))
            .unwrap();
    }
    list
}

#[test]
fn all_of_it_is_there_with_its_links_and_modes_and_nothing_is_left() {
    let (_folder, from, to) = system();
    let times = fs::FileTimes::new()
        .set_modified(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(5));
    for path in ["usr/bin/a", "usr"] {
        let file = File::open(format!("{from}/{path}")).unwrap();
        file.set_times(times).unwrap();
    }
    let moved = relocate(&from, &to, &list(&[])).unwrap();
    assert_eq!(moved.content_len, 7);
    let file = |name: &str| fs::symlink_metadata(format!("{to}/{name}")).unwrap();
    assert_eq!(file("usr/bin/a").mode() & 0o7777, 0o4751);
    assert_eq!(file("usr/bin/a").ino(), file("usr/bin/b").ino());
    assert_eq!(file("usr/bin/a").mtime(), 5);
    assert_eq!(file("usr").mtime(), 5);
    assert_eq!(
        fs::read_link(format!("{to}/bin")).unwrap().to_str(),
        Some("usr/bin")
    );
    assert!(file("proc").is_dir());
    let names = |path: &str| {
        let entries = fs::read_dir(path).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&to), ["bin", "proc", "usr"]);
    assert_eq!(names(&from), [".liveos"]);
}

#[test]
fn the_systems_own_init_comes_back_to_its_place() {
    let (_folder, from, to) = system();
    symlink("/lib/systemd/systemd", format!("{from}/.liveos/init")).unwrap();
    relocate(&from, &to, &list(&[])).unwrap();
    let init = fs::read_link(format!("{to}/init")).unwrap();
    assert_eq!(init.to_str(), Some("/lib/systemd/systemd"));
}

#[test]
fn a_long_file_is_whole_and_its_holes_stay_holes() {
    let (_folder, from, to) = system();
    let piece = usize::try_from(PIECE).unwrap();
    for (name, len) in [
        ("one", piece),
        ("over", piece + 1),
        ("three", 3 * piece + 5),
    ] {
        let mut bytes = vec![0; len];
        bytes[0] = 1;
        bytes[len - 1] = 2;
        fs::write(format!("{from}/{name}"), &bytes).unwrap();
        relocate(&from, &to, &list(&[])).unwrap();
        let path = format!("{to}/{name}");
        assert!(fs::read(&path).unwrap() == bytes, "{name}");
        if name == "three" {
            assert!(fs::metadata(&path).unwrap().blocks() * 512 < 3 * PIECE);
        }
        fs::remove_dir_all(&to).unwrap();
        fs::create_dir(&to).unwrap();
    }
    let hole = File::create(format!("{from}/hole")).unwrap();
    hole.set_len(2 * PIECE).unwrap();
    relocate(&from, &to, &list(&[])).unwrap();
    assert_eq!(fs::metadata(format!("{to}/hole")).unwrap().len(), 2 * PIECE);
}

#[test]
fn what_the_list_has_is_put_back_by_every_name_and_counted() {
    let (_folder, from, to) = system();
    let list = list(&[
        ("/usr/bin/a", "user.test", b"1"),
        ("/usr/bin/b", "user.test", b"1"),
        ("/usr", "user.test", b"2"),
        ("/usr/bin/other", "user.test", b"3"),
        ("/bin", "unknown.kind", b"4"),
    ]);
    let moved = relocate(&from, &to, &list).unwrap();
    assert_eq!(moved.listed, 4, "one of five names is not there");
    assert!(moved.lost.contains_key("unknown.kind"));
    // A file system without user attributes says so.
    if !moved.lost.contains_key("user.test") {
        let mut value = [0; 8];
        for (path, expected) in [("usr/bin/b", b'1'), ("usr", b'2')] {
            let path = format!("{to}/{path}");
            assert_eq!(lgetxattr(path, "user.test", &mut value).unwrap(), 1);
            assert_eq!(value[0], expected);
        }
    }
}

#[test]
fn a_file_that_cannot_be_moved_is_named() {
    let (_folder, from, to) = system();
    fs::create_dir_all(format!("{to}/usr/bin/a")).unwrap();
    let error = relocate(&from, &to, &list(&[])).unwrap_err();
    assert!(error.to_string().starts_with("/usr"), "{error}");
}
