//! A line on the console that says how far a long step is.

use crate::system::System;

/// How far a step is.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    all: u64,
    /// How many bytes are done.
    pub(crate) done: u64,
    shown: Option<u64>,
}

impl Progress {
    /// A step over `all` bytes.
    pub(crate) fn new(what: &'static str, all: u64) -> Self {
        Self {
            what,
            all,
            done: 0,
            shown: None,
        }
    }

    /// How many bytes there are in all.
    pub(crate) fn all(&self) -> u64 {
        self.all
    }

    pub(crate) fn add(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.done = self.done.saturating_add(bytes);
    }

    /// Writes the line again where its number is another; at the end it gets its line feed.
    pub(crate) fn show(&mut self, system: &mut dyn System) {
        let percent = u128::from(self.done)
            .saturating_mul(100)
            .checked_div(self.all.into())
            .unwrap_or(100);
        let percent = u64::try_from(percent).unwrap_or(100);
        if self.shown.replace(percent) == Some(percent) {
            return;
        }
        let end = if self.done >= self.all { "\n" } else { "" };
        system.console(&format!("\r{}: {percent:3} %{end}", self.what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    #[test]
    fn a_number_is_shown_once_and_the_last_one_ends_the_line() {
        let mut fake = Fake::default();
        let mut progress = Progress::new("doing", 1000);
        for _ in 0..200 {
            progress.show(&mut fake);
            progress.add(5);
        }
        progress.show(&mut fake);
        assert_eq!(fake.screen.matches('\r').count(), 101);
        assert!(fake.screen.starts_with("\rdoing:   0 %\rdoing:   1 %"));
        assert!(fake.screen.ends_with("99 %\rdoing: 100 %\n"));
        Progress::new("nothing", 0).show(&mut fake);
        assert!(fake.screen.ends_with("\rnothing: 100 %\n"));
    }
}
