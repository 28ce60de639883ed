//! Which package manager an image has, and what is refused before anything runs.

use super::*;

#[test]
fn names_that_would_be_options_are_refused() {
    let packages = |name: &str| Packages {
        install: vec!["good".into(), name.into()],
        ..Packages::default()
    };
    for name in ["", "-o", "--root=/", "a b", "a\nb"] {
        let error = check_names(&packages(name)).unwrap_err().to_string();
        assert!(error.contains("cannot be the name"), "{error}");
    }
    for name in [
        "gcc-12",
        "libstdc++6",
        "a:amd64",
        "kernel=6.1-1",
        "@group",
        "python3.11",
    ] {
        check_names(&packages(name)).unwrap();
    }
}

#[test]
fn only_what_is_asked_for_needs_repositories() {
    let none = Packages::default();
    let remove = Packages {
        remove: vec!["x".into()],
        ..Packages::default()
    };
    let update = Packages {
        update_existing: true,
        ..Packages::default()
    };
    assert!(!asks(&none) && asks(&remove) && asks(&update));
    assert!(!fetches(&remove) && fetches(&update));
}

#[test]
fn folders_alone_need_no_network() {
    let request = |disable: bool, sources: Vec<Source>| Request {
        manager: &apt::APT,
        program: "/usr/bin/apt-get",
        sources,
        disable_image_repositories: disable,
        snapshot_time: None,
    };
    let folder = || Source::Folder("/x".into());
    let definition = || Source::Definition {
        name: "x.list".into(),
        text: String::new(),
    };
    assert!(!request(true, vec![folder()]).is_remote());
    assert!(request(false, vec![folder()]).is_remote());
    assert!(request(true, vec![folder(), definition()]).is_remote());
}

#[test]
fn only_tdnf_has_repositories_of_the_past() {
    for manager in MANAGERS {
        let request = Request {
            manager: &manager,
            program: "",
            sources: Vec::new(),
            disable_image_repositories: false,
            snapshot_time: Some("2025-01-01"),
        };
        let error = request.no_snapshot().unwrap_err().to_string();
        assert!(
            error.contains(manager.name) && error.contains("tdnf"),
            "{error}"
        );
    }
}
