//! Progress on the terminal: a bar for a long step, a line for each finished one; nothing but errors where nobody looks.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verbosity {
    /// Warnings and errors only.
    Quiet,
    /// Steps, and bars where the terminal shows them.
    Normal,
}

/// Says on standard error what is going on.
#[derive(Debug)]
pub(crate) struct Progress {
    verbosity: Verbosity,
    terminal: bool,
}

impl Progress {
    pub(crate) fn new(verbosity: Verbosity) -> Self {
        Self {
            verbosity,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// A fact worth knowing about what was done.
    pub(crate) fn say(&self, text: &str) {
        if self.verbosity == Verbosity::Normal {
            self.line(text);
        }
    }

    /// A line that a program of the image wrote.
    pub(crate) fn program(&self, text: &str) {
        self.say(&format!("  | {text}"));
    }

    /// A warning: something that was dropped or cannot be honoured.
    pub(crate) fn warn(&self, text: &str) {
        self.line(&format!("warning: {text}"));
    }

    fn line(&self, text: &str) {
        // Standard error that is closed is no reason to give up a build.
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// A bar for `total` bytes of a long step; invisible where standard error is no terminal.
    pub(crate) fn bar(&self, what: &'static str, total: u64) -> ProgressBar {
        if self.verbosity == Verbosity::Quiet || !self.terminal {
            return ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template(
            "{msg:24} [{bar:40}] {percent:>3} % {binary_bytes:>11}/{binary_total_bytes} {binary_bytes_per_sec} {eta}",
        );
        let bar = ProgressBar::new(total).with_message(what);
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}
