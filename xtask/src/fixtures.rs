//! `cargo xtask fixtures`: the disk images that tests stand on, made ahead of the tests.

use anyhow::{Result, bail};
use testkit::fixture::{self, Contents, Debian, TestSystem};

use crate::steps::Steps;

/// All names, in the order of what they cost.
const NAMES: [&str; 4] = ["test-system", "debian", "dracut", "large"];

/// Makes the fixtures with these names, or those that the tests of every day need.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let names: Vec<&str> = match words {
        [] => vec!["test-system", "debian"],
        _ => words.iter().map(String::as_str).collect(),
    };
    if let Some(unknown) = names.iter().find(|name| !NAMES.contains(name)) {
        bail!(
            "there is no fixture {unknown:?}; there are {}",
            NAMES.join(", ")
        );
    }
    let mut steps = Steps::default();
    for name in names {
        let debian = |contents| {
            fixture::debian(&Debian {
                suite: "bookworm",
                contents,
            })
        };
        let path = steps.step(name, || match name {
            "test-system" => fixture::test_system(&TestSystem::default()),
            "debian" => debian(Contents::Minimal),
            "dracut" => debian(Contents::Dracut),
            _ => debian(Contents::Large),
        })?;
        println!("{}", path.display());
    }
    steps.print();
    Ok(())
}
