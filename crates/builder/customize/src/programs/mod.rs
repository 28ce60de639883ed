//! What the configuration asks for and only programs of the image can do: packages, scripts, and dracut's initramfs.
//!
//! The programs run in a sandbox, and what they changed comes back into the tree; what they need only while they run (lists of
//! packages, caches, the configuration's folder) is lent to them and never gets into it.

pub mod dracut;
pub mod packages;
pub mod scripts;

use block::{Content, Error, Result};
use inspect::Architecture;
use sandbox::{Changes, Network, Program, Sandbox};
use tree::{Timestamp, Tree, TreePath};

/// An image whose programs can run.
pub struct Image<'a> {
    sandbox: &'a mut Sandbox,
    tree: &'a mut Tree<Content>,
    time: Timestamp,
    output: &'a mut dyn FnMut(&str),
}

impl std::fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image").finish_non_exhaustive()
    }
}

impl<'a> Image<'a> {
    /// The image in `tree`. `time` is what programs take for the time of the build; `output` gets each line that one writes.
    ///
    /// # Errors
    ///
    /// [`Kind::Unsupported`](block::Kind::Unsupported) where the image's programs are for another machine than this one.
    pub fn new(
        sandbox: &'a mut Sandbox,
        tree: &'a mut Tree<Content>,
        architecture: Architecture,
        time: Timestamp,
        output: &'a mut dyn FnMut(&str),
    ) -> Result<Self> {
        runs_here(architecture)?;
        Ok(Self {
            sandbox,
            tree,
            time,
            output,
        })
    }

    /// Lays the tree down for the programs that follow.
    fn enter(&mut self) -> Result<()> {
        self.sandbox.enter(self.tree)
    }

    /// Takes what they changed into the tree.
    fn leave(&mut self) -> Result<Changes> {
        self.sandbox.leave(self.tree)
    }

    /// A program with the variables that make builds alike.
    fn program(
        &self,
        arguments: impl IntoIterator<Item = impl Into<std::ffi::OsString>>,
    ) -> Program {
        let seconds = self.time.seconds.to_string();
        Program::new(arguments).variable("SOURCE_DATE_EPOCH", seconds)
    }

    /// Runs a program that has to succeed.
    fn run(&mut self, program: &Program, doing: &str) -> Result<()> {
        self.run_to(program, doing, &[])
    }

    /// Runs a program that has to succeed, or to end with one of `codes`, which mean the same.
    fn run_to(&mut self, program: &Program, doing: &str, codes: &[i32]) -> Result<()> {
        let ended = self
            .sandbox
            .run(program, self.output)
            .map_err(|error| error.while_doing(doing))?;
        let code = ended.status.code();
        if ended.success() || code.is_some_and(|code| codes.contains(&code)) {
            return Ok(());
        }
        let name = program
            .arguments
            .first()
            .map_or_else(Default::default, |name| name.to_string_lossy());
        Err(Error::corrupt(
            doing,
            format!("{name}: {}", ended.describe()),
        ))
    }

    /// Runs a program that has to succeed, and answers with what it wrote.
    fn ask(&mut self, program: &Program, doing: &str) -> Result<String> {
        let mut text = String::new();
        let ended = self
            .sandbox
            .run(program, &mut |line| {
                text.push_str(line);
                text.push('\n');
            })
            .map_err(|error| error.while_doing(doing))?;
        if ended.success() {
            return Ok(text);
        }
        Err(Error::corrupt(doing, ended.describe()))
    }

    /// Whether there is such a file, following symbolic links.
    fn has(&self, path: &str) -> bool {
        self.tree.file(path).is_some()
    }
}

/// A path that is written in this program.
fn path(text: impl AsRef<[u8]>) -> Result<TreePath> {
    TreePath::parse(text.as_ref())
        .map_err(|error| Error::unsupported("naming a path of the image", "").caused_by(error))
}

/// Holds that programs for `architecture` run on this machine.
fn runs_here(architecture: Architecture) -> Result<()> {
    let name = architecture.name();
    let here = std::env::consts::ARCH;
    let is_native = name == here || (name == "i386" && here == "x86_64");
    if is_native || architecture == Architecture::Unknown || is_interpreted(name) {
        return Ok(());
    }
    let message = format!(
        "they are for {name}, this machine is {here}, and binfmt_misc has no interpreter that works in a sandbox: \
         install qemu-user-static, or build on a machine of that kind"
    );
    Err(Error::unsupported("running programs of the image", message))
}

/// Whether the kernel starts programs for `architecture` by an interpreter that it holds open (flag `F`): no other one is found from
/// inside the image.
///
/// Source: Linux, Documentation/admin-guide/binfmt-misc.rst.
fn is_interpreted(architecture: &str) -> bool {
    let path = format!("/proc/sys/fs/binfmt_misc/qemu-{architecture}");
    let Ok(text) = std::fs::read_to_string(path) else {
        return false;
    };
    let has_flag = |line: &str| {
        line.strip_prefix("flags:")
            .is_some_and(|flags| flags.contains('F'))
    };
    text.lines().any(|line| line == "enabled") && text.lines().any(has_flag)
}

/// The network for a program that needs it where `is_needed`.
fn network(is_needed: bool) -> Network {
    if is_needed {
        Network::Host
    } else {
        Network::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_for_another_machine_is_refused_with_both_names() {
        assert!(runs_here(Architecture::Unknown).is_ok());
        let other = [Architecture::S390x, Architecture::Riscv64];
        for architecture in other {
            if architecture.name() == std::env::consts::ARCH || is_interpreted(architecture.name())
            {
                continue;
            }
            let error = runs_here(architecture).unwrap_err();
            assert_eq!(error.kind(), block::Kind::Unsupported);
            let text = error.to_string();
            assert!(
                text.contains(architecture.name()) && text.contains(std::env::consts::ARCH),
                "{text}"
            );
        }
    }
}
