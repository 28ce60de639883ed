//! Embeds the `liveos-init` that `cargo xtask dist` made, where it hands one over.

use std::path::PathBuf;

#[expect(
    clippy::disallowed_methods,
    reason = "a build script reads what cargo gives it"
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    println_directive("rerun-if-env-changed=LIVEOS_INIT_BINARY");
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("liveos-init");
    match std::env::var("LIVEOS_INIT_BINARY") {
        Ok(path) if !path.is_empty() => {
            println_directive(&format!("rerun-if-changed={path}"));
            std::fs::copy(path, out)?;
        }
        _ => std::fs::write(out, [])?,
    }
    Ok(())
}

fn println_directive(directive: &str) {
    println!("cargo::{directive}");
}
