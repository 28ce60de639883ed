//! Finds the live medium: loads the drivers that devices ask for, looks at every block device as it comes, and ends with the first
//! that is the one. Nothing settles and nothing is asked again and again: between two looks we sleep until the kernel says something.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use contract::failure::{Failure, MEDIUM_NOT_FOUND};
use contract::label;
use contract::request::{Request, Root};

use super::Boot;
use super::drivers::Drivers;
use super::verity;
use crate::probe::{self, Identity, partition};
use crate::system::{Kind, Level, Wait};
use crate::uevent;

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

/// How long the medium whose root hash is asked for is waited for, once another one was seen that has its name.
const OTHERS: Duration = Duration::from_secs(15);

struct Search<'a, 'b> {
    boot: &'a mut Boot<'b>,
    request: &'a Request,
    root: &'a Root,
    /// Modules that devices asked for, those of storage first.
    drivers: Drivers,
    /// Modules that nothing asked for and that are likely needed.
    likely: VecDeque<String>,
    /// What is added to them when a driver was loaded that most likely finds something for it.
    after: Vec<(&'static str, &'static str)>,
    /// What was seen on each device, for the message where the medium is not among them.
    seen: BTreeMap<String, String>,
    found: Option<Medium>,
    /// The first medium that was named right and has another root file system image than the one that is asked for, and when it was seen.
    other: Option<(Medium, Duration)>,
}

/// Finds the medium. The kernel's messages are listened to before anything is looked at, so that nothing falls between.
pub(crate) fn run(boot: &mut Boot<'_>, request: &Request) -> Result<Medium, Failure> {
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
        root: &request.root,
        drivers: Drivers::new(first, is_storage),
        likely: request.drivers.post.iter().cloned().chain(likely).collect(),
        after: LIKELY_AFTER.to_vec(),
        seen: BTreeMap::new(),
        found: None,
        other: None,
    };
    search.drivers.ask_all(search.boot);
    search.look_at_all();
    search
        .boot
        .system
        .log(Level::Detail, "looked at every device that is here");
    let mut polled = false;
    loop {
        search.take_messages(Wait::No);
        if let Some(medium) = search.found {
            boot.system
                .log(Level::Detail, &format!("the medium is {}", medium.path()));
            return Ok(medium);
        }
        if let Some(module) = search.next_module() {
            search.boot.modules.load(search.boot.system, &module);
            continue;
        }
        if !polled {
            polled = true;
            // Without it a medium that is put in later is not seen; the search itself goes on.
            let _ = search.boot.system.write(POLL_MEDIA.0, POLL_MEDIA.1);
        }
        if let Some((medium, seen)) = &search.other {
            let most = request.deadline.unwrap_or(OTHERS).min(OTHERS);
            let end = seen.saturating_add(most);
            let left = end.saturating_sub(search.boot.system.clock());
            if left.is_zero() {
                // It is refused where it is opened, with what is wrong with it.
                return Ok(medium.clone());
            }
            search.take_messages(Wait::For(left));
            continue;
        }
        let wait = match request.deadline {
            None => Wait::Forever,
            Some(deadline) => {
                let end = begin.saturating_add(deadline);
                match end.checked_sub(search.boot.system.clock()) {
                    Some(left) if !left.is_zero() => Wait::For(left),
                    _ => return Err(search.not_found(deadline)),
                }
            }
        };
        search.take_messages(wait);
    }
}

impl Search<'_, '_> {
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

    /// Takes one message after waiting for it, and then all that are there.
    fn take_messages(&mut self, wait: Wait) {
        let mut wait = wait;
        while self.found.is_none() {
            match self.boot.system.next_event(wait) {
                Ok(Some(message)) => self.take_message(&message),
                Ok(None) => return,
                Err(error) => {
                    // Messages were lost: what they were about is still there.
                    self.boot.system.log(
                        Level::Warning,
                        &format!("messages of the kernel were lost: {error}"),
                    );
                    self.drivers.ask_all(self.boot);
                    self.look_at_all();
                    return;
                }
            }
            wait = Wait::No;
        }
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
        let labels = identity.labels.join("\", \"");
        self.saw(
            name,
            &format!(
                "{} with the label \"{labels}\" and the UUID \"{}\"",
                identity.kind, identity.uuid
            ),
        );
        if self.is_wanted(name, &identity) {
            self.take(Medium {
                name: name.to_owned(),
                identity,
                url: None,
            });
        }
    }

    /// Takes a medium that is named right, unless it holds another root file system image than the one that is asked for.
    fn take(&mut self, medium: Medium) {
        if verity::belongs(self.boot, self.request, &medium) {
            self.found = Some(medium);
            return;
        }
        self.saw(
            &medium.name,
            "another root file system image than was asked for",
        );
        let now = self.boot.system.clock();
        self.other.get_or_insert((medium, now));
    }

    fn saw(&mut self, name: &str, what: &str) {
        self.boot
            .system
            .log(Level::Detail, &format!("{}: {what}", node(name)));
        self.seen.insert(name.to_owned(), what.to_owned());
    }

    fn is_wanted(&self, name: &str, identity: &Identity) -> bool {
        match self.root {
            Root::Label(wanted) => identity.labels.iter().any(|l| label::matches(wanted, l)),
            Root::Uuid(wanted) => {
                !identity.uuid.is_empty() && wanted.eq_ignore_ascii_case(&identity.uuid)
            }
            Root::Device(wanted) => *wanted == name.replace('!', "/"),
            Root::Url(_)
            | Root::Id(_)
            | Root::File(_)
            | Root::WithFile { .. }
            | Root::WithImageIn(_) => false,
            Root::PartLabel(wanted) => self
                .partition(name)
                .is_some_and(|partition| label::matches(wanted, &partition.name)),
            Root::PartUuid(wanted) => self
                .partition(name)
                .is_some_and(|partition| wanted.eq_ignore_ascii_case(&partition.uuid)),
        }
    }

    /// What the table of its disk says of a partition.
    fn partition(&self, name: &str) -> Option<partition::Partition> {
        let number = self.number(&format!("{BLOCK}/{name}/partition"))?;
        let disk = disk_of(self.boot, name)?;
        let sector = self.number(&format!("{BLOCK}/{disk}/queue/logical_block_size"));
        let device = self.boot.system.open(&node(&disk)).ok()?;
        let number = u32::try_from(number).ok()?;
        partition::identify(&*device, sector.unwrap_or(512), number).ok()?
    }

    fn number(&self, path: &str) -> Option<u64> {
        let bytes = self.boot.system.read(path, ATTRIBUTE).ok()?;
        str::from_utf8(&bytes).ok()?.trim().parse().ok()
    }

    fn not_found(&self, deadline: Duration) -> Failure {
        let wanted = self.root.describe();
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
        Failure::new(
            MEDIUM_NOT_FOUND,
            format!("no device with {wanted} within {seconds} s; seen: {seen}"),
        )
    }
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
fn is_storage(modalias: &str) -> bool {
    match modalias.split_once(':') {
        // Base class 1 is mass storage.
        Some(("pci", rest)) => rest.contains("bc01"),
        // Interface class 8 is mass storage.
        Some(("usb", rest)) => rest.contains("ic08"),
        Some((bus, _)) => matches!(bus, "virtio" | "scsi" | "vmbus" | "xen" | "mmc" | "nvme"),
        None => false,
    }
}
