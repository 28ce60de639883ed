//! `cargo xtask fixtures`: the disk images that tests stand on, made ahead of the tests.

use anyhow::{Result, bail};
use testkit::fixture::{self, Contents, Debian, Layout, TestSystem};

use crate::steps::Steps;

/// All names, in the order of what they cost.
const NAMES: [&str; 8] = [
    "test-system",
    "azure-linux-2",
    "azure-linux-3",
    "azure-linux-4",
    "debian",
    "dracut",
    "peers",
    "large",
];

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
        let small = |layout| {
            fixture::test_system(&TestSystem {
                layout,
                ..TestSystem::default()
            })
        };
        let path = steps.step(name, || match name {
            "test-system" => small(Layout::Debian),
            "azure-linux-2" => small(Layout::AzureLinux2),
            "azure-linux-3" => small(Layout::AzureLinux3),
            "azure-linux-4" => small(Layout::AzureLinux4),
            "debian" => debian(Contents::Minimal),
            "dracut" => debian(Contents::Dracut),
            "peers" => debian(Contents::Peers),
            _ => debian(Contents::Large),
        })?;
        println!("{}", path.display());
    }
    steps.print();
    Ok(())
}
