//! A running virtual machine, with its serial line in our hands.
//!
//! Emulated always, with one processor: hardware virtualisation differs from host to host, and with two emulated
//! processors one firmware boot in ten was seen to hang.
//!
//! Nothing here sleeps: the serial line is read by a thread, and whoever waits is woken by each piece of it.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::json;
use vm::{Accelerator, Console, Host, Machine, Network, Prepared};

use crate::qmp::Qmp;
use crate::tools;

/// The time that a boot to a login may take before it counts as hung: twelve times what it takes on a quiet machine.
pub const BOOT: Duration = Duration::from_secs(600);
/// The time that a command at a prompt, or a power-off, may take.
pub const COMMAND: Duration = Duration::from_secs(240);

/// The time after its start that QEMU may take to open its monitor.
const MONITOR: Duration = Duration::from_secs(60);

/// The processor of all tests: the oldest that distributions support, without what the emulator does badly.
const PROCESSOR: &str = "qemu64,-svm,-cx16";

/// What Linux says before it stops; nobody has to wait for a deadline after that.
const PANIC: &[u8] = b"Kernel panic - not syncing";

/// What every guest's kernel command line needs on a busy host: without it the kernel tests its timer interrupt against a
/// count of instructions, and panics where the emulator was not given the processor for that long.
pub const PATIENT_KERNEL: &str = "no_timer_check";

/// A machine for tests that boots the media at `path`: as [`Machine::booting`], with the serial line on pipes,
/// 1 GiB of memory, no network, and an end instead of a reboot.
#[must_use]
pub fn machine(path: impl Into<std::path::PathBuf>) -> Machine {
    Machine {
        memory_mib: 1024,
        cpu_model: Some(PROCESSOR.to_owned()),
        console: Console::Pipe,
        network: Network::None,
        extra: vec!["-no-reboot".into()],
        ..Machine::booting(path)
    }
}

/// A machine that runs. It is ended when this value goes, and when we are killed.
#[derive(Debug)]
pub struct Guest {
    child: Child,
    input: ChildStdin,
    line: Arc<Line>,
    /// How far `expect` has read, in bytes of the transcript.
    read_to: usize,
    started: Instant,
    prepared: Prepared,
}

/// What came over the serial line so far.
#[derive(Debug, Default)]
struct Line {
    state: Mutex<Received>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Received {
    bytes: Vec<u8>,
    ended: bool,
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Received> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all that comes from a pipe until that is closed.
    fn read_all(&self, mut from: impl Read) {
        let mut buffer = [0; 4096];
        loop {
            match from.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(read) => {
                    let read = buffer.get(..read).unwrap_or_default();
                    self.lock().bytes.extend_from_slice(read);
                    self.changed.notify_all();
                }
            }
        }
    }

    /// Nothing more will come: the machine has closed its serial line.
    fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }
}

impl Guest {
    /// Starts `machine`, emulated.
    ///
    /// # Errors
    ///
    /// Where QEMU, the firmware or the media are not there, or QEMU cannot be started.
    pub fn start(machine: &Machine) -> Result<Self> {
        let host = Host::new(&tools::search_path());
        let prepared = vm::prepare(machine, &host, Accelerator::Tcg).map_err(|error| {
            let help = error.help().unwrap_or_default();
            anyhow::Error::new(error).context(format!("preparing the machine {help}"))
        })?;
        let mut command = match tools::find("setpriv") {
            // The kernel ends the machine when we end, however that happens.
            Some(setpriv) => {
                let mut command = tools::command(setpriv);
                command
                    .args(["--pdeathsig", "KILL", "--"])
                    .arg(&prepared.program);
                command
            }
            None => tools::command(&prepared.program),
        };
        let mut socket = std::ffi::OsString::from("unix:");
        socket.push(prepared.scratch().join("monitor"));
        socket.push(",server=on,wait=off");
        let mut child = command
            .args(&prepared.arguments)
            .arg("-qmp")
            .arg(socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting QEMU")?;
        let line = Arc::new(Line::default());
        let input = child.stdin.take().context("QEMU has no input")?;
        let output = child.stdout.take().context("QEMU has no output")?;
        let complaints = child.stderr.take().context("QEMU has no error output")?;
        let (serial, errors) = (Arc::clone(&line), Arc::clone(&line));
        std::thread::spawn(move || errors.read_all(complaints));
        std::thread::spawn(move || {
            serial.read_all(output);
            serial.end();
        });
        Ok(Self {
            child,
            input,
            line,
            read_to: 0,
            started: Instant::now(),
            prepared,
        })
    }

    /// The time since the start.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// QEMU's process, for who measures it.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// All that came over the serial line so far, without control sequences.
    #[must_use]
    pub fn transcript(&self) -> String {
        plain(&self.line.lock().bytes)
    }

    /// Waits until `marker` comes, after all that earlier calls have waited for; answers with the text up to its end.
    ///
    /// # Errors
    ///
    /// After `deadline`, or where the machine ended before: with the last lines of the transcript.
    pub fn expect(&mut self, marker: &str, deadline: Duration) -> Result<String> {
        self.expect_any(&[marker], deadline).map(|(_, text)| text)
    }

    /// Waits until one of `markers` comes; answers with its number and the text up to its end.
    ///
    /// # Errors
    ///
    /// As [`Guest::expect`].
    pub fn expect_any(&mut self, markers: &[&str], deadline: Duration) -> Result<(usize, String)> {
        let until = Instant::now() + deadline;
        let mut state = self.line.lock();
        loop {
            let fresh = state.bytes.get(self.read_to..).unwrap_or_default();
            let found = markers
                .iter()
                .enumerate()
                .filter_map(|(number, marker)| {
                    Some((find(fresh, marker.as_bytes())?, number, marker.len()))
                })
                .min();
            if let Some((at, number, len)) = found {
                let end = at.saturating_add(len);
                let text = plain(fresh.get(..end).unwrap_or_default());
                self.read_to = self.read_to.saturating_add(end);
                return Ok((number, text));
            }
            let left = until.saturating_duration_since(Instant::now());
            let panicked = find(fresh, PANIC).is_some();
            let why = match (state.ended || panicked, left.is_zero()) {
                (true, _) if panicked => "the kernel panicked".to_owned(),
                (true, _) => "the machine ended".to_owned(),
                (false, true) => format!("{} s passed", deadline.as_secs()),
                (false, false) => {
                    let waited = self.line.changed.wait_timeout(state, left);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                    continue;
                }
            };
            let transcript = plain(&state.bytes);
            bail!(
                "{why} without {}; the last lines of the console:\n{}",
                markers
                    .iter()
                    .map(|marker| format!("{marker:?}"))
                    .collect::<Vec<_>>()
                    .join(" or "),
                tools::last_lines(&transcript, 60),
            );
        }
    }

    /// Sends `text` as if typed.
    ///
    /// # Errors
    ///
    /// Where the machine has ended.
    pub fn send(&mut self, text: &str) -> Result<()> {
        self.input
            .write_all(text.as_bytes())
            .and_then(|()| self.input.flush())
            .context("typing at the console")
    }

    /// Waits for a login prompt, logs in, and leaves a shell that prints nothing but what commands print.
    ///
    /// # Errors
    ///
    /// As [`Guest::expect`].
    pub fn log_in(&mut self, user: &str, password: &str, deadline: Duration) -> Result<()> {
        self.expect("login: ", deadline)?;
        self.send(&format!("{user}\n"))?;
        self.expect("Password: ", COMMAND)?;
        self.send(&format!("{password}\n"))?;
        let (which, _) = self.expect_any(&["# ", "$ ", "Login incorrect"], COMMAND)?;
        if which == 2 {
            bail!("the console refuses the password of {user}");
        }
        self.send("stty -echo; PS1=; TERM=dumb; bind 'set enable-bracketed-paste off' 2>/dev/null; echo \"rea\"dy\n")?;
        self.expect("ready\r\n", COMMAND).map(drop)
    }

    /// Runs `line` in the shell that [`Guest::log_in`] left and answers with what it printed.
    ///
    /// # Errors
    ///
    /// Where it ends with another status than 0, and as [`Guest::expect`].
    pub fn command(&mut self, line: &str) -> Result<String> {
        // The quotes keep the marker out of an echo of this very line.
        self.send(&format!("{line}\necho; echo \"@@st\"\"atus $?\"\n"))?;
        let text = self.expect("@@status ", COMMAND)?;
        let status = self.expect("\n", COMMAND)?;
        let text = text
            .trim_end_matches("@@status ")
            .trim()
            .replace("\r\n", "\n");
        if status.trim() != "0" {
            bail!(
                "{line:?} ended with {} in the machine:\n{text}",
                status.trim()
            );
        }
        Ok(text)
    }

    /// Waits until the machine ends by itself.
    ///
    /// # Errors
    ///
    /// After `deadline`: with the last lines of the transcript.
    pub fn wait_for_end(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let until = Instant::now() + deadline;
        let mut state = self.line.lock();
        while !state.ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let text = plain(&state.bytes);
                let last = tools::last_lines(&text, 40);
                bail!(
                    "the machine still runs after {} s; its last lines:\n{last}",
                    deadline.as_secs()
                );
            }
            let waited = self.line.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        self.child.wait().context("waiting for QEMU")
    }

    /// Writes what the machine's screen shows to `path`, as a PPM picture.
    ///
    /// # Errors
    ///
    /// Where the monitor refuses.
    pub fn screendump(&self, path: &Path) -> Result<()> {
        let path = path
            .to_str()
            .ok_or_else(|| anyhow!("{} is not UTF-8", path.display()))?;
        self.monitor()?
            .execute("screendump", json!({ "filename": path }))
            .map(drop)
    }

    /// How many bytes the machine has read from all of its drives so far; what QEMU loads itself (a kernel, an initramfs) is not among them.
    ///
    /// # Errors
    ///
    /// Where the monitor refuses.
    pub fn bytes_read(&self) -> Result<u64> {
        let drives = self.monitor()?.execute("query-blockstats", json!({}))?;
        let drives = drives
            .as_array()
            .context("the monitor has no list of drives")?;
        let read = |drive: &serde_json::Value| drive["stats"]["rd_bytes"].as_u64();
        Ok(drives.iter().filter_map(read).sum())
    }

    /// Presses the power button.
    ///
    /// # Errors
    ///
    /// Where the monitor refuses.
    pub fn press_power(&self) -> Result<()> {
        self.monitor()?
            .execute("system_powerdown", json!({}))
            .map(drop)
    }

    /// Pulls out the device of this identifier.
    ///
    /// # Errors
    ///
    /// Where the monitor refuses.
    pub fn unplug(&self, device: &str) -> Result<()> {
        self.monitor()?
            .execute("device_del", json!({ "id": device }))
            .map(drop)
    }

    /// Whether the drive of this identifier is open.
    ///
    /// # Errors
    ///
    /// Where the monitor refuses, or there is no such drive.
    pub fn is_open(&self, drive: &str) -> Result<bool> {
        let all = self.monitor()?.execute("query-block", json!({}))?;
        let mut drives = all.as_array().into_iter().flatten();
        let is_it = |one: &&serde_json::Value| {
            let path = one["qdev"].as_str().unwrap_or_default();
            path.rsplit('/').next() == Some(drive)
        };
        let one = drives.find(is_it).context("there is no such drive")?;
        Ok(one["tray_open"].as_bool().unwrap_or(false))
    }

    /// Plugs a stick into the USB controller `xhci`: the block device of that name, which the machine was started with.
    ///
    /// # Errors
    ///
    /// Where the monitor refuses.
    pub fn plug_stick(&self, drive: &str) -> Result<()> {
        let device =
            json!({ "driver": "usb-storage", "bus": "xhci.0", "drive": drive, "removable": true });
        self.monitor()?.execute("device_add", device).map(drop)
    }

    fn monitor(&self) -> Result<Qmp> {
        let socket = self.prepared.scratch().join("monitor");
        let until = Instant::now() + MONITOR;
        // QEMU opens it some time after its start; where it refuses to start, it never does.
        loop {
            match Qmp::connect(&socket) {
                Err(_) if !self.line.lock().ended && Instant::now() < until => {
                    std::thread::yield_now()
                }
                answer => return answer,
            }
        }
    }
}

impl Drop for Guest {
    #[expect(clippy::print_stderr, reason = "a failed test shows the whole console")]
    fn drop(&mut self) {
        // A machine that has ended already cannot be killed, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!(
                "---- console ----\n{}\n---- end of console ----",
                self.transcript()
            );
        }
    }
}

fn find(text: &[u8], marker: &[u8]) -> Option<usize> {
    text.windows(marker.len().max(1))
        .position(|window| window == marker)
}

/// `bytes` as text without the control sequences of a terminal (ECMA-48 5.4), which firmware and shells love.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '\u{1b}' {
            plain.push(character);
            continue;
        }
        if characters.next_if_eq(&'[').is_some() {
            for parameter in characters.by_ref() {
                if ('@'..='~').contains(&parameter) {
                    break;
                }
            }
        } else {
            characters.next();
        }
    }
    plain
}

#[cfg(test)]
mod tests;
