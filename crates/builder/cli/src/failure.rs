//! How a failure ends the program: the text that a person reads, and the exit code that a script reads.

use std::fmt::Write as _;

use block::Kind;

/// The exit codes. They are an interface: a number never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// A fault of ours.
    Bug = 1,
    /// The arguments are wrong.
    Arguments = 2,
    /// The configuration is wrong.
    Configuration = 3,
    /// The input is damaged, unsupported, or lacks what live media need.
    Input = 4,
    /// The machine lacks something: a program, firmware, memory.
    Host = 5,
    /// The output cannot be written.
    Output = 6,
    /// Media are not what was built.
    Verification = 7,
}

/// A failure of the command.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    /// What was being done: `building live.iso`.
    doing: String,
    error: Box<dyn std::error::Error + Send + Sync>,
    help: Option<String>,
}

/// The result of a step of the command.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(
        exit: Exit,
        doing: impl Into<String>,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            exit,
            doing: doing.into(),
            error: error.into(),
            help: None,
        }
    }

    /// A failure whose fault lies in the input, unless the error says that the operating system refused.
    pub(crate) fn input(doing: impl Into<String>, error: block::Error) -> Self {
        Self::new(Exit::Input, doing, error)
    }

    /// A failure to write the output.
    pub(crate) fn output(doing: impl Into<String>, error: block::Error) -> Self {
        Self::new(Exit::Output, doing, error)
    }

    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn exit_code(&self) -> u8 {
        self.exit as u8
    }

    /// What is printed: what was being done, each cause on a line of its own, and what to do.
    pub(crate) fn render(&self) -> String {
        let mut text = format!("error: {}\n", self.doing);
        if let Some(faults) = self.error.downcast_ref::<config::file::Faults>() {
            // Each has its place, its line and its help.
            let _ = writeln!(text, "{faults}");
            return text;
        }
        let mut cause: Option<&dyn std::error::Error> = Some(&*self.error);
        while let Some(error) = cause {
            // OK: writing to a string cannot fail.
            let _ = writeln!(text, "  cause: {error}");
            cause = error.source();
        }
        if let Some(help) = self.help_text() {
            let _ = writeln!(text, "  help: {help}");
        }
        if self.exit == Exit::Bug {
            text.push_str("  help: this is a fault of liveos; please report it with this text\n");
        }
        text
    }

    fn help_text(&self) -> Option<String> {
        self.help.clone().or_else(|| {
            let error = self.error.downcast_ref::<block::Error>()?;
            match (self.exit, error.kind()) {
                (Exit::Input, Kind::Unsupported) => Some(
                    "convert the input to a raw or qcow2 disk image with ext4 file systems".into(),
                ),
                _ => None,
            }
        })
    }
}
