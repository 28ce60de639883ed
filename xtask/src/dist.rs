//! `cargo xtask dist`: the two programs as they are shipped.

use std::fs;

use anyhow::{Context, Result, bail};
use testkit::programs::{self, Optimised};

use crate::steps::Steps;

/// The largest `liveos-init` that ships: firmware loads it from slow media. The C library alone is 1.1 MiB of it, and what HTTPS needs
/// is as much again.
const INIT_BUDGET: u64 = 4 << 20;

/// Builds both programs into `target/dist` and checks their sizes.
pub(crate) fn run(_words: &[String]) -> Result<()> {
    let mut steps = Steps::default();
    let built = steps.step("building liveos-init and liveos", || {
        programs::build(Optimised::Shipped)
    })?;
    let folder = programs::target().join("dist");
    fs::create_dir_all(&folder)?;
    for (name, path) in [("liveos", &built.liveos), ("liveos-init", &built.init)] {
        let copy = folder.join(name);
        fs::copy(path, &copy).with_context(|| format!("copying {}", path.display()))?;
        println!(
            "{:>10} bytes  {}",
            fs::metadata(&copy)?.len(),
            copy.display()
        );
    }
    steps.print();
    let len = fs::metadata(&built.init)?.len();
    if len > INIT_BUDGET {
        bail!("liveos-init has {len} bytes, and {INIT_BUDGET} are its budget");
    }
    Ok(())
}
