//! A machine that only writes down what was asked of it: stages run on it without root, and each operation can be refused.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use contract::attributes::Attributes;
use contract::request::{Emergency, Verbosity};
use rustix::io::Errno;

use crate::system::{
    Access, Bytes, Finished, Kind, Level, Mount, MountFlags, Moved, System, Target, Wait,
};

pub(crate) mod disks;
pub(crate) mod net;

/// Files with their paths.
type Files = Vec<(String, Vec<u8>)>;

/// What happens at a moment: files appear, and the kernel says something.
#[derive(Debug)]
struct Event {
    at: Duration,
    files: Files,
    message: Vec<u8>,
}

/// The fake machine.
#[derive(Debug, Default)]
pub(crate) struct Fake {
    /// Every file with its bytes; folders follow from them.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    folders: BTreeSet<String>,
    links: BTreeSet<String>,
    /// What appears below a mount's target, by the mount's source.
    mounts: BTreeMap<String, Files>,
    /// What was done, in order: `mount iso9660 /dev/sr0 /run/initramfs/live`.
    pub(crate) done: Vec<String>,
    /// What was logged.
    pub(crate) log: Vec<String>,
    /// What the consoles show.
    pub(crate) screen: String,
    refusals: BTreeMap<String, Errno>,
    events: VecDeque<Event>,
    /// Files that come with a kernel module, by its path.
    drivers: BTreeMap<String, (Files, Vec<u8>)>,
    /// The loop devices of files, where that is not the first one.
    loops: BTreeMap<String, String>,
    /// What the next move of a tree answers, if not that all went well.
    pub(crate) moved: Option<Moved>,
    /// What programs answer, by their command line; all others succeed and say nothing.
    pub(crate) answers: BTreeMap<String, Finished>,
    /// The inputs of the programs that were run, in order.
    pub(crate) inputs: Vec<Vec<u8>>,
    /// Where files lie on their devices.
    pub(crate) extents: BTreeMap<String, u64>,
    /// What is pressed each time that keys are asked for.
    pub(crate) keys: VecDeque<Vec<u8>>,
    /// Devices and files that were opened to be written.
    disks: BTreeMap<String, disks::Shared>,
    /// Loop devices that are a part of another device.
    parts: BTreeMap<String, (String, u64)>,
    /// How much is free on a file system, where that is not all that anybody wants.
    pub(crate) free: BTreeMap<String, u64>,
    /// What is typed where something is asked.
    pub(crate) typed: VecDeque<Vec<u8>>,
    now: Duration,
    pub(crate) net: net::FakeNet,
    /// Files that were made, with what was written to them so far.
    made: BTreeMap<String, Rc<RefCell<Vec<u8>>>>,
}

impl Fake {
    pub(crate) fn file(&mut self, path: &str, bytes: impl Into<Vec<u8>>) -> &mut Self {
        self.files.insert(path.to_owned(), bytes.into());
        self
    }

    /// Whoever mounts `source` sees this file at this path below the target.
    pub(crate) fn on_mount(
        &mut self,
        source: &str,
        path: &str,
        bytes: impl Into<Vec<u8>>,
    ) -> &mut Self {
        let files = self.mounts.entry(source.to_owned()).or_default();
        files.push((path.to_owned(), bytes.into()));
        self
    }

    /// This file gets this loop device; all others get the first one.
    pub(crate) fn loops(&mut self, file: &str, device: &str) -> &mut Self {
        self.loops.insert(file.to_owned(), device.to_owned());
        self
    }

    /// At this second a block device is there and the kernel says so.
    pub(crate) fn appears(
        &mut self,
        second: u64,
        name: &str,
        bytes: impl Into<Vec<u8>>,
    ) -> &mut Self {
        let message = format!("add@/devices/x/block/{name}\0ACTION=add\0SUBSYSTEM=block\0");
        self.events.push_back(Event {
            at: Duration::from_secs(second),
            files: vec![(format!("/dev/{name}"), bytes.into())],
            message: message.into(),
        });
        self
    }

    /// At this second the kernel says this.
    pub(crate) fn says(&mut self, second: u64, message: &str) -> &mut Self {
        self.events.push_back(Event {
            at: Duration::from_secs(second),
            files: Vec::new(),
            message: message.into(),
        });
        self
    }

    /// When this module is loaded, a block device is there and the kernel says so.
    pub(crate) fn drives(
        &mut self,
        module: &str,
        name: &str,
        bytes: impl Into<Vec<u8>>,
    ) -> &mut Self {
        let message = format!("add@/devices/y/block/{name}\0ACTION=add\0SUBSYSTEM=block\0");
        let files = vec![(format!("/dev/{name}"), bytes.into())];
        self.drivers
            .insert(module.to_owned(), (files, message.into()));
        self
    }

    /// This operation, as [`done`](Self::done) has it, answers so from now on.
    pub(crate) fn refuse(&mut self, operation: &str, error: Errno) -> &mut Self {
        self.refusals.insert(operation.to_owned(), error);
        self
    }

    /// What was done of this kind, without the first word.
    pub(crate) fn done_of(&self, verb: &str) -> Vec<String> {
        let lines = self
            .done
            .iter()
            .filter_map(|line| line.strip_prefix(verb)?.strip_prefix(' '));
        lines.map(str::to_owned).collect()
    }

    fn act(&mut self, operation: String) -> io::Result<()> {
        let refusal = self.refusals.get(&operation).copied();
        self.done.push(operation);
        match refusal {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    fn is_folder(&self, path: &str) -> bool {
        let below = format!("{}/", path.trim_end_matches('/'));
        self.folders.contains(path)
            || self
                .files
                .keys()
                .chain(&self.folders)
                .any(|p| p.starts_with(&below))
    }
}

struct Held(Vec<u8>);

impl Bytes for Held {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap();
        let bytes = self
            .0
            .get(from..from + buf.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(bytes);
        Ok(())
    }
}

/// A file that keeps its bytes.
struct Kept(Rc<RefCell<Vec<u8>>>);

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that takes no bytes.
struct Full(Errno);

impl io::Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl System for Fake {
    fn clock(&self) -> Duration {
        self.now
    }
    fn set_clock_floor(&mut self, path: &str) -> io::Result<bool> {
        self.act(format!("clock {path}"))?;
        Ok(true)
    }
    fn set_verbosity(&mut self, _: Verbosity) {}
    fn log(&mut self, level: Level, text: &str) {
        self.log.push(format!("{level:?}: {text}"));
    }
    fn console(&mut self, text: &str) {
        self.screen.push_str(text);
    }

    fn watch_keys(&mut self) -> io::Result<()> {
        self.act("keys watched".to_owned())
    }
    fn pressed_keys(&mut self) -> Vec<u8> {
        self.keys.pop_front().unwrap_or_default()
    }
    fn ignore_keys(&mut self) {
        self.done.push("keys ignored".to_owned());
    }

    fn read(&self, path: &str, limit: usize) -> io::Result<Vec<u8>> {
        if let Some(error) = self.refusals.get(&format!("read {path}")) {
            return Err((*error).into());
        }
        let bytes = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        if bytes.len() > limit {
            return Err(io::Error::other("too long"));
        }
        Ok(bytes.clone())
    }
    fn write(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.act(format!("write {path}"))?;
        self.files.insert(path.to_owned(), bytes.to_vec());
        Ok(())
    }
    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let below = format!("{path}/");
        let names = self
            .files
            .keys()
            .chain(&self.folders)
            .filter_map(|p| p.strip_prefix(&below));
        let names: BTreeSet<_> = names
            .map(|rest| rest.split('/').next().unwrap().to_owned())
            .collect();
        Ok(names.into_iter().collect())
    }
    fn kind(&self, path: &str) -> io::Result<Kind> {
        if self.files.contains_key(path) {
            Ok(Kind::File)
        } else if self.is_folder(path) {
            Ok(Kind::Folder)
        } else if self.links.contains(path) {
            Ok(Kind::Other)
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }
    fn make_dir(&mut self, path: &str) -> io::Result<()> {
        self.folders.insert(path.to_owned());
        Ok(())
    }
    fn link(&mut self, target: &str, path: &str) -> io::Result<()> {
        self.act(format!("link {target} {path}"))?;
        self.links.insert(path.to_owned());
        Ok(())
    }
    fn open(&self, path: &str) -> io::Result<Box<dyn Bytes>> {
        if let Some(error) = self.refusals.get(&format!("open {path}")) {
            return Err((*error).into());
        }
        if let Some(bytes) = self.made.get(path) {
            return Ok(Box::new(Held(bytes.borrow().clone())));
        }
        if let Some(disk) = self.disks.get(path) {
            return Ok(Box::new(disk.clone()));
        }
        let bytes = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Held(bytes.clone())))
    }
    fn create(&mut self, path: &str) -> io::Result<Box<dyn io::Write>> {
        self.act(format!("create {path}"))?;
        if let Some(error) = self.refusals.get(&format!("fill {path}")) {
            return Ok(Box::new(Full(*error)));
        }
        let bytes = Rc::default();
        self.made.insert(path.to_owned(), Rc::clone(&bytes));
        Ok(Box::new(Kept(bytes)))
    }
    fn create_sparse(&mut self, path: &str, len: u64) -> io::Result<()> {
        self.act(format!("create {path} of {len}"))?;
        // What nobody writes to may be as long as it likes.
        let held = usize::try_from(len).unwrap();
        let held = if held > 32 << 20 { 0 } else { held };
        self.files.insert(path.to_owned(), vec![0; held]);
        Ok(())
    }
    fn copy(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.act(format!("copy {from} {to}"))?;
        let bytes = self.files.get(from).cloned().unwrap_or_default();
        self.files.insert(to.to_owned(), bytes);
        Ok(())
    }
    fn copy_over(&mut self, from: &str, root: &str) -> io::Result<u64> {
        self.act(format!("over {from} {root}"))?;
        Ok(1)
    }
    fn copy_attributes(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.act(format!("attributes {from} {to}"))
    }

    fn move_tree(&mut self, from: &str, to: &str, list: &Attributes) -> io::Result<Moved> {
        self.act(format!("tree {from} {to}"))?;
        let moved = Moved {
            content_len: list.content_len,
            listed: list.len(),
            ..Moved::default()
        };
        Ok(self.moved.take().unwrap_or(moved))
    }

    fn mount(&mut self, it: &Mount<'_>) -> io::Result<()> {
        let words = [it.kind, it.source, it.target, it.data];
        let words: Vec<_> = words.into_iter().filter(|w| !w.is_empty()).collect();
        self.act(format!("mount {}", words.join(" ")))?;
        for (path, bytes) in self.mounts.get(it.source).cloned().unwrap_or_default() {
            self.files.insert(format!("{}/{path}", it.target), bytes);
        }
        let line = format!("{} {} {} rw 0 0\n", it.source, it.target, it.kind);
        self.files
            .entry("/proc/self/mounts".to_owned())
            .or_default()
            .extend(line.bytes());
        Ok(())
    }
    fn remount(&mut self, target: &str, _: MountFlags, data: &str) -> io::Result<()> {
        self.act(format!("remount {target} {data}"))
    }
    fn bind(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.act(format!("bind {from} {to}"))
    }
    fn move_mount(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.act(format!("move {from} {to}"))
    }
    fn unmount(&mut self, path: &str) -> io::Result<()> {
        self.act(format!("unmount {path}"))?;
        let table = self
            .files
            .entry("/proc/self/mounts".to_owned())
            .or_default();
        let text = String::from_utf8_lossy(table).into_owned();
        let stays = |line: &&str| line.split(' ').nth(1) != Some(path);
        let left: Vec<&str> = text.lines().filter(stays).collect();
        *table = left
            .iter()
            .flat_map(|line| format!("{line}\n").into_bytes())
            .collect();
        self.files
            .retain(|file, _| !file.starts_with(&format!("{path}/")));
        Ok(())
    }
    fn attach_loop(&mut self, file: &str, access: Access) -> io::Result<String> {
        let verb = match access {
            Access::Read => "loop",
            Access::Write => "loop-rw",
        };
        self.act(format!("{verb} {file}"))?;
        let device = self.loops.get(file).cloned();
        let device = device.unwrap_or_else(|| "/dev/loop0".to_owned());
        if let Ok(bytes) = self.open(file) {
            let mut content = vec![0; usize::try_from(bytes.len()).unwrap()];
            bytes.read_at(&mut content, 0)?;
            self.files.insert(device.clone(), content);
        }
        Ok(device)
    }
    fn detach_loop(&mut self, device: &str) -> io::Result<()> {
        self.act(format!("detach {device}"))?;
        self.put_back(device);
        Ok(())
    }
    fn extent(&self, path: &str) -> io::Result<u64> {
        let extent = self.extents.get(path).copied();
        extent.ok_or_else(|| io::ErrorKind::Unsupported.into())
    }
    fn eject(&mut self, device: &str) -> io::Result<()> {
        self.act(format!("eject {device}"))
    }
    fn map(
        &mut self,
        name: &str,
        _: &str,
        table: &[Target<'_>],
        access: Access,
    ) -> io::Result<String> {
        let verb = match access {
            Access::Read => "map",
            Access::Write => "map-rw",
        };
        let rows: Vec<_> = table
            .iter()
            .map(|t| format!("{} {} {} {}", t.start, t.sectors, t.kind, t.parameters))
            .collect();
        self.act(format!("{verb} {name}: {}", rows.join("; ")))?;
        let path = format!("/dev/dm-{name}");
        self.files.entry(path.clone()).or_default();
        Ok(path)
    }
    fn unmap(&mut self, name: &str) -> io::Result<()> {
        self.act(format!("unmap {name}"))
    }
    fn run(&mut self, program: &str, arguments: &[&str], input: &[u8]) -> io::Result<Finished> {
        let text = format!("{program} {}", arguments.join(" "));
        self.act(format!("run {text}"))?;
        self.inputs.push(input.to_vec());
        let answer = self.answers.get(&text).cloned();
        Ok(answer.unwrap_or(Finished {
            succeeded: true,
            output: String::new(),
        }))
    }

    fn load_module(&mut self, path: &str, parameters: &str) -> io::Result<()> {
        self.act(format!("load {path} {parameters}"))?;
        if let Some((files, message)) = self.drivers.remove(path) {
            let at = self.now;
            self.events.push_front(Event { at, files, message });
        }
        Ok(())
    }
    fn listen(&mut self) -> io::Result<()> {
        self.act("listen".to_owned())
    }
    fn next_event(&mut self, wait: Wait) -> io::Result<Option<Vec<u8>>> {
        let end = match wait {
            Wait::No => self.now,
            Wait::For(time) => self.now + time,
            Wait::Forever => Duration::MAX,
        };
        match self.events.pop_front_if(|event| event.at <= end) {
            Some(event) => {
                self.now = self.now.max(event.at);
                self.files.extend(event.files);
                Ok(Some(event.message))
            }
            None => {
                assert!(wait != Wait::Forever, "waits for ever");
                self.now = end;
                Ok(None)
            }
        }
    }

    fn has_program(&self, root: &str, path: &str) -> bool {
        self.files
            .contains_key(&format!("{}{path}", root.trim_end_matches('/')))
    }
    fn change_root(&mut self, root: &str) -> io::Result<()> {
        self.act(format!("root {root}"))
    }
    fn execute(&mut self, program: &str) -> io::Error {
        self.done.push(format!("execute {program}"));
        Errno::NOEXEC.into()
    }
    fn shell(&mut self) -> io::Result<()> {
        self.act("shell".to_owned())
    }
    fn power(&mut self, how: Emergency) -> io::Error {
        self.done.push(format!("power {how:?}"));
        Errno::PERM.into()
    }
    fn rest(&mut self) -> ! {
        panic!("rests")
    }
}
