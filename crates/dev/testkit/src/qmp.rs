//! QEMU's machine protocol, as far as tests need it.
//!
//! Source: QEMU, `docs/interop/qmp-spec.rst`, version 7.2: a greeting, then one JSON value a line; events come between answers.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// How long QEMU may take for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to a machine's monitor.
#[derive(Debug)]
pub(crate) struct Qmp {
    reader: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects to the socket at `path` and leaves the negotiation behind.
    pub(crate) fn connect(path: &Path) -> Result<Self> {
        let stream = UnixStream::connect(path).context("connecting to the machine's monitor")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let reader = BufReader::new(stream);
        let mut qmp = Self { reader };
        let greeting = qmp.line()?;
        if greeting.get("QMP").is_none() {
            bail!("the monitor does not greet: {greeting}");
        }
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Executes `command` and answers with its `return` value.
    pub(crate) fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let mut request = json!({ "execute": command, "arguments": arguments }).to_string();
        request.push('\n');
        self.reader.get_mut().write_all(request.as_bytes())?;
        loop {
            let answer = self.line()?;
            if let Some(value) = answer.get("return") {
                return Ok(value.clone());
            }
            if let Some(error) = answer.get("error") {
                bail!("the monitor refuses {command}: {error}");
            }
        }
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            bail!("the monitor has gone away");
        }
        serde_json::from_str(&line).context("reading the monitor's answer")
    }
}
