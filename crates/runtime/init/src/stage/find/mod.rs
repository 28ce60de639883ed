//! Finds the live medium: loads the drivers that devices ask for, looks at every block device as it comes, and ends with the first
//! that is the one. Nothing settles and nothing is asked again and again: between two looks we sleep until the kernel says something.
//!
//! * [`file`]: a medium that is a file of a file system, or of the initramfs.
//! * [`content`]: a medium that is known by the files that it holds.
//! * [`name`]: whether a device is what the command line names.
//! * [`by_id`]: names that udev makes of what a device says of itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use contract::failure::{Failure, ISO_FILE_NOT_FOUND, MEDIUM_NOT_FOUND};
use contract::request::search::Only;
use contract::request::{Request, Root};

use super::drivers::Drivers;
use super::{Boot, verity};
use crate::probe::{self, Identity};
use crate::system::{Kind, Level, Wait};
use crate::uevent;

mod by_id;
mod content;
pub(crate) mod file;
mod name;

const BLOCK: &str = "/sys/class/block";
/// The kernel asks drives for a change of medium only if somebody sets how often, in milliseconds. udev's rules set the same.
const POLL_MEDIA: (&str, &[u8]) = (
    "/sys/module/block/parameters/events_dfl_poll_msecs",
    b"2000",
);
/// The longest attribute that is read, in bytes: sysfs has at most a page.
const ATTRIBUTE: usize = 4096;

/// Devices that are never a live medium: they hold nothing yet, or reading takes seconds to say so.
const NEVER: [&str; 6] = ["loop", "ram", "zram", "fd", "nbd", "mtdblock"];

/// How long a file system that could not be mounted is left alone: a module that it needs may be loaded meanwhile.
const AGAIN: Duration = Duration::from_secs(3);
/// How long a device that is the medium by its name waits for what the command line asks for more closely: the file that the medium is
/// in, or the root file system image with a root hash.
const PREFERENCE: Duration = Duration::from_secs(15);

/// What is needed in any case, or most likely is: loaded while drivers look for their devices, when there is nothing else to do.
const LIKELY: [&str; 4] = ["loop", "overlay", "squashfs", "isofs"];
/// A driver, and what it most likely finds something for. A disk's is large, and waits to be asked for but where we wait anyway.
const LIKELY_AFTER: [(&str, &str); 3] = [
    ("libata", "sr_mod"),
    ("usb_storage", "sd_mod"),
    ("uas", "sd_mod"),
];

/// The live medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Medium {
    /// The block device's kernel name: `sr0`. Its node is [`path`](Self::path).
    pub(crate) name: String,
    /// What it holds.
    pub(crate) identity: Identity,
    /// Where it came from, for people, where that was the network: it is in memory, and nothing has to be copied there.
    pub(crate) url: Option<String>,
    /// The file that it is, where it is one on another file system.
    pub(crate) carrier: Option<Carrier>,
}

/// A file system that has the medium in a file; it is mounted at [`contract::media::ISO_SCAN`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Carrier {
    /// The block device's kernel name.
    pub(crate) name: String,
    /// The file system, as [`Identity::kind`].
    pub(crate) kind: &'static str,
    /// The file's path on it, with a slash in front.
    pub(crate) path: String,
}

impl Medium {
    /// The device's path.
    pub(crate) fn path(&self) -> String {
        node(&self.name)
    }
}

/// The kernel writes `!` for a `/` in a device's name.
pub(crate) fn node(name: &str) -> String {
    format!("/dev/{}", name.replace('!', "/"))
}

struct Search<'a, 'b> {
    boot: &'a mut Boot<'b>,
    request: &'a Request,
    /// Modules that devices asked for, those of storage first.
    drivers: Drivers,
    /// Modules that nothing asked for and that are likely needed.
    likely: VecDeque<String>,
    /// What is added to them when a driver was loaded that most likely finds something for it.
    after: Vec<(&'static str, &'static str)>,
    /// What was seen on each device, for the message where the medium is not among them.
    seen: BTreeMap<String, String>,
    found: Option<Medium>,
    /// What is the medium by its name, while what is asked for more closely is still looked for; and since when.
    fallback: Option<(Medium, Duration)>,
    /// Devices whose file systems could not be mounted.
    again: BTreeSet<String>,
    /// What cannot be got over.
    failure: Option<Failure>,
}

/// Finds the medium. The kernel's messages are listened to before anything is looked at, so that nothing falls between.
pub(crate) fn run(boot: &mut Boot<'_>, request: &Request) -> Result<Medium, Failure> {
    let medium = match &request.root {
        Root::File(path) => file::of_initramfs(boot, path)?,
        _ => search(boot, request)?,
    };
    let text = format!("the medium is {}", medium.path());
    boot.system.log(Level::Detail, &text);
    Ok(medium)
}

fn search(boot: &mut Boot<'_>, request: &Request) -> Result<Medium, Failure> {
    let begin = boot.system.clock();
    if let Err(error) = boot.system.listen() {
        boot.warn(&format!(
            "cannot listen for devices, only those here now are seen: {error}"
        ));
    }
    let likely = LIKELY.map(str::to_owned);
    let first = request.drivers.pre.iter().cloned();
    let first = first.chain(boot.modules.always()).collect::<Vec<_>>();
    let mut search = Search {
        boot,
        request,
        drivers: Drivers::new(first, is_storage),
        likely: request.drivers.post.iter().cloned().chain(likely).collect(),
        after: LIKELY_AFTER.to_vec(),
        seen: BTreeMap::new(),
        found: None,
        fallback: None,
        again: BTreeSet::new(),
        failure: None,
    };
    search.drivers.ask_all(search.boot);
    search.look_at_all();
    search
        .boot
        .system
        .log(Level::Detail, "looked at every device that is here");
    search.until_found(begin)
}

impl Search<'_, '_> {
    fn until_found(mut self, begin: Duration) -> Result<Medium, Failure> {
        let mut polled = false;
        loop {
            self.take_messages(Wait::No);
            if let Some(failure) = self.failure {
                return Err(failure);
            }
            if let Some(medium) = self.found {
                return Ok(medium);
            }
            if let Some(module) = self.next_module() {
                self.boot.modules.load(self.boot.system, &module);
                continue;
            }
            if !polled {
                polled = true;
                // Without it a medium that is put in later is not seen; the search itself goes on.
                let _ = self.boot.system.write(POLL_MEDIA.0, POLL_MEDIA.1);
            }
            let now = self.boot.system.clock();
            let preference = self.preference();
            if let Some((medium, _)) = self
                .fallback
                .take_if(|(_, since)| now.saturating_sub(*since) >= preference)
            {
                self.boot.warn(&format!(
                    "nothing else came: {} is taken, which has the name that was asked for",
                    medium.path()
                ));
                return Ok(medium);
            }
            let wait = self.wait(begin, now)?;
            let heard = self.take_messages(wait);
            if !heard {
                for name in std::mem::take(&mut self.again) {
                    self.look_at(&name);
                }
            }
        }
    }

    fn preference(&self) -> Duration {
        self.request
            .deadline
            .map_or(PREFERENCE, |deadline| deadline.min(PREFERENCE))
    }

    /// How long to wait for the next message; a failure where the time is over.
    fn wait(&self, begin: Duration, now: Duration) -> Result<Wait, Failure> {
        let mut wait = Wait::Forever;
        if let Some(deadline) = self.request.deadline {
            let left = begin.saturating_add(deadline).checked_sub(now);
            match left.filter(|left| !left.is_zero()) {
                Some(left) => wait = Wait::For(left),
                None => return Err(self.not_found(deadline)),
            }
        }
        let mut at_most = |limit: Duration| {
            wait = match wait {
                Wait::For(time) => Wait::For(time.min(limit)),
                _ => Wait::For(limit),
            };
        };
        if !self.again.is_empty() {
            at_most(AGAIN);
        }
        if let Some((_, since)) = &self.fallback {
            at_most(since.saturating_add(self.preference()).saturating_sub(now));
        }
        Ok(wait)
    }

    /// Looks at every block device that is here already, whole disks first: a hybrid ISO on a disk is also its first partition.
    fn look_at_all(&mut self) {
        let names = self.boot.system.list(BLOCK).unwrap_or_default();
        let (parts, disks): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| {
            let attribute = format!("{BLOCK}/{name}/partition");
            matches!(self.boot.system.kind(&attribute), Ok(Kind::File))
        });
        for name in disks.iter().chain(&parts) {
            self.look_at(name);
        }
    }

    /// What to load next: what storage asks for, then what all else asks for, then what is likely needed.
    fn next_module(&mut self) -> Option<String> {
        let asked = self.drivers.next();
        if asked.is_some() {
            return asked;
        }
        let (likely, modules) = (&mut self.likely, &self.boot.modules);
        self.after.retain(|(driver, module)| {
            let here = modules.was_tried(driver);
            if here {
                likely.push_back((*module).to_owned());
            }
            !here
        });
        self.likely.pop_front()
    }

    /// Takes one message after waiting for it, and then all that are there; whether there was one.
    fn take_messages(&mut self, wait: Wait) -> bool {
        let mut wait = wait;
        let mut heard = false;
        while self.found.is_none() {
            match self.boot.system.next_event(wait) {
                Ok(Some(message)) => self.take_message(&message),
                Ok(None) => return heard,
                Err(error) => {
                    // Messages were lost: what they were about is still there.
                    self.boot.system.log(
                        Level::Warning,
                        &format!("messages of the kernel were lost: {error}"),
                    );
                    self.drivers.ask_all(self.boot);
                    self.look_at_all();
                    return true;
                }
            }
            heard = true;
            wait = Wait::No;
        }
        heard
    }

    fn take_message(&mut self, message: &[u8]) {
        let Some(event) = uevent::parse(message) else {
            return;
        };
        match (event.action.as_str(), event.subsystem.as_str()) {
            ("add" | "change", "block") => self.look_at(&event.name),
            ("remove", "block") => {
                self.seen.remove(&event.name);
            }
            ("add", _) if !event.modalias.is_empty() => {
                self.drivers.want(self.boot, &event.modalias)
            }
            _ => {}
        }
    }

    /// Reads what a block device holds and whether it is the one. A device that cannot be read now may say so later by a message.
    fn look_at(&mut self, name: &str) {
        let kind = name.trim_end_matches(|c: char| c.is_ascii_digit());
        if self.found.is_some() || NEVER.contains(&kind) {
            return;
        }
        let device = self.boot.system.open(&node(name));
        let identity = match device.and_then(|device| probe::probe(&*device)) {
            Ok(Some(identity)) => identity,
            Ok(None) => {
                self.saw(name, "nothing that is known");
                return;
            }
            Err(error) => {
                self.saw(name, &error.to_string());
                return;
            }
        };
        self.saw(name, &in_words(&identity));
        if !self.may_be(name) {
            return;
        }
        let medium = Medium {
            name: name.to_owned(),
            identity,
            url: None,
            carrier: None,
        };
        if self.request.search.iso.is_none() {
            if self.is_wanted(&medium) {
                self.take(medium);
            }
            return;
        }
        self.look_into(&medium);
        let is_named = !matches!(
            self.request.root,
            Root::WithFile { .. } | Root::WithImageIn(_)
        );
        if self.found.is_none() && is_named && self.is_wanted(&medium) {
            self.fall_back_on(medium);
        }
    }

    /// Takes a medium that is named right, unless it holds another root file system image than the one that is asked for.
    fn take(&mut self, medium: Medium) {
        if verity::belongs(self.boot, self.request, &medium) {
            self.found = Some(medium);
            return;
        }
        let device = medium.carrier.as_ref().map_or(&medium.name, |it| &it.name);
        let device = device.clone();
        self.saw(&device, "another root file system image than was asked for");
        if medium.carrier.is_some() {
            file::release(self.boot, &medium);
        } else {
            // Where nothing better comes it is refused as it is opened, with what is wrong with it.
            self.fall_back_on(medium);
        }
    }

    fn fall_back_on(&mut self, medium: Medium) {
        let now = self.boot.system.clock();
        self.fallback.get_or_insert((medium, now));
    }

    /// Looks for the file with the medium on a device.
    fn look_into(&mut self, device: &Medium) {
        let Some(iso) = &self.request.search.iso else {
            return;
        };
        let (name, identity) = (device.name.as_str(), &device.identity);
        let is_carrier = match &iso.carrier {
            Some(carrier) => name::is_named(self.boot, carrier, name, identity),
            None => true,
        };
        if !is_carrier || !file::may_hold_files(identity) {
            return;
        }
        let root = &self.request.root;
        let is_wanted = |inside: &Identity| match root {
            Root::Label(_) | Root::Uuid(_) => name::by_file_system(root, inside),
            // A device's name is not known of a file, and neither is what it holds before it is mounted.
            _ => true,
        };
        let look = file::look(self.boot, self.request, (name, identity), iso, is_wanted);
        match look {
            Ok(file::Look::Found(medium)) => self.take(medium),
            Ok(file::Look::Other(what)) => self.saw(name, &what),
            Ok(file::Look::Later(what)) => {
                self.again.insert(name.to_owned());
                self.saw(name, &what);
            }
            Err(failure) => self.failure = Some(failure),
        }
    }

    /// Whether the command line lets such a device be the medium, or have it.
    fn may_be(&self, name: &str) -> bool {
        let only = self.request.search.only;
        if only == Only::Any {
            return true;
        }
        let disk = disk_of(self.boot, name).unwrap_or_else(|| name.to_owned());
        let is_removable = number(self.boot, &format!("{BLOCK}/{disk}/removable")) == Some(1);
        // A disk on USB is a SCSI device below a host below the interface of a USB device.
        let interface = format!("{BLOCK}/{disk}/device/../../../bInterfaceClass");
        let is_usb = matches!(self.boot.system.kind(&interface), Ok(Kind::File));
        is_removable && (only == Only::Removable || is_usb)
    }

    fn saw(&mut self, name: &str, what: &str) {
        self.boot
            .system
            .log(Level::Detail, &format!("{}: {what}", node(name)));
        self.seen.insert(name.to_owned(), what.to_owned());
    }

    fn is_wanted(&mut self, medium: &Medium) -> bool {
        let root = &self.request.root;
        name::is_named(self.boot, root, &medium.name, &medium.identity)
            || content::holds(self.boot, root, medium)
    }

    fn not_found(&self, deadline: Duration) -> Failure {
        let seen: Vec<String> = self
            .seen
            .iter()
            .map(|(name, what)| format!("{} has {what}", node(name)))
            .collect();
        let seen = if seen.is_empty() {
            "no block device at all".to_owned()
        } else {
            seen.join("; ")
        };
        let seconds = deadline.as_secs();
        let (code, wanted) = match &self.request.search.iso {
            Some(iso) => (ISO_FILE_NOT_FOUND, format!("a file {}", iso.path)),
            None => (MEDIUM_NOT_FOUND, self.request.root.describe()),
        };
        Failure::new(
            code,
            format!("no device with {wanted} within {seconds} s; seen: {seen}"),
        )
    }
}

/// What a file system says of itself, in words.
fn in_words(identity: &Identity) -> String {
    format!(
        "{} with the label \"{}\" and the UUID \"{}\"",
        identity.kind,
        identity.labels.join("\", \""),
        identity.uuid
    )
}

/// A number that the kernel says of a device.
fn number(boot: &Boot<'_>, path: &str) -> Option<u64> {
    let bytes = boot.system.read(path, ATTRIBUTE).ok()?;
    str::from_utf8(&bytes).ok()?.trim().parse().ok()
}

/// The disk that a partition is on.
pub(crate) fn disk_of(boot: &Boot<'_>, name: &str) -> Option<String> {
    let names = boot.system.list(BLOCK).unwrap_or_default();
    names.into_iter().find(|disk| {
        let below = format!("{BLOCK}/{disk}/{name}");
        disk != name && matches!(boot.system.kind(&below), Ok(Kind::Folder))
    })
}

/// Whether a device that asks for a driver so is storage, which is what we wait for; all else comes after it.
pub(super) fn is_storage(modalias: &str) -> bool {
    match modalias.split_once(':') {
        // Base class 1 is mass storage.
        Some(("pci", rest)) => rest.contains("bc01"),
        // Interface class 8 is mass storage.
        Some(("usb", rest)) => rest.contains("ic08"),
        Some((bus, _)) => matches!(bus, "virtio" | "scsi" | "vmbus" | "xen" | "mmc" | "nvme"),
        None => false,
    }
}
