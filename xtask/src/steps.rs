//! What a command does, step by step, with the time that each took.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// The steps so far.
#[derive(Debug, Default)]
pub(crate) struct Steps(Vec<(String, Duration)>);

impl Steps {
    /// Does one step, announced by its name.
    ///
    /// # Errors
    ///
    /// What the step answers, with its name.
    pub(crate) fn step<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        eprintln!("==> {name}");
        let began = Instant::now();
        let value = work().with_context(|| name.to_owned())?;
        self.0.push((name.to_owned(), began.elapsed()));
        Ok(value)
    }

    /// Prints what each step took.
    pub(crate) fn print(&self) {
        println!();
        for (name, took) in &self.0 {
            println!("{:>8.1} s  {name}", took.as_secs_f64());
        }
        let all: Duration = self.0.iter().map(|(_, took)| *took).sum();
        println!("{:>8.1} s  in all", all.as_secs_f64());
    }
}
