//! A device that the command line names, as dracut's `dmsquash-live` and `overlayfs` use it.

use std::time::Duration;

use contract::request::persistence::Device;
use contract::{label, media};

use super::super::drivers::Drivers;
use super::super::find::{disk_of, is_storage, node};
use super::disk::{Carrier, doing};
use super::{Job, Place, Trouble};
use crate::probe::partition;
use crate::system::{Access, Kind, MountFlags, Wait};

const BLOCK: &str = "/sys/class/block";
/// How long a named device is waited for after the medium was found. A medium that is asked for by its own name is there by then;
/// another disk may be slower.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much of a snapshot's store is zeroed where it is to be empty: its header and first table.
const STORE_HEAD: usize = 64 * 1024;
/// What a snapshot's store begins with.
///
/// Source: Linux, `drivers/md/dm-snap-persistent.c`, `SNAP_MAGIC`.
const SNAPSHOT: &[u8] = b"SnAp";

impl Job<'_, '_> {
    /// The place on a named device.
    pub(super) fn named_place(
        &mut self,
        device: &Device,
        path: Option<&str>,
    ) -> Result<Place, Trouble> {
        match (self.wait_for(device), device) {
            (Some(found), _) => self.mount_named(&found)?,
            (None, Device::Label(label)) => self.mount_new(label)?,
            (None, other) => return Err(format!("there is no {}", name_of(other))),
        }
        let default = self.default_path();
        let place = format!("{}{}", media::OVERLAY_STORE, path.unwrap_or(&default));
        if self.is_there(&place, Kind::File) {
            return self.file_place(&place);
        }
        let parent = place.rsplit_once('/').map_or("", |(parent, _)| parent);
        // A device that dracut's overlayfs module has used has these at its top.
        let top = ["overlay", "ovlwork"].map(|it| format!("{}/{it}", media::OVERLAY_STORE));
        let has_top = top.iter().all(|it| self.is_there(it, Kind::Folder));
        if path.is_none() && has_top && !self.is_there(&place, Kind::Folder) {
            let [upper, work] = top;
            return self.folders(upper, work);
        }
        let work = format!("{parent}/ovlwork");
        self.folders(place, work)
    }

    /// The usual folder for this medium: another medium has another one.
    fn default_path(&self) -> String {
        let identity = &self.medium.identity;
        let label = identity.labels.first().map_or("", String::as_str);
        let folder = format!("overlay-{label}-{}", identity.uuid).replace('/', "_");
        format!("/{}/{folder}", self.request.dir)
    }

    /// The path of the device, which may still be on its way.
    fn wait_for(&mut self, device: &Device) -> Option<String> {
        let begin = self.boot.system.clock();
        let end = begin.saturating_add(PATIENCE);
        let mut drivers = Drivers::new(Vec::new(), is_storage);
        let mut asked = false;
        loop {
            if let Some(found) = self.find(device) {
                return Some(found);
            }
            if !asked {
                asked = true;
                drivers.ask_all(self.boot);
            }
            if let Some(module) = drivers.next_urgent() {
                self.boot.modules.load(self.boot.system, &module);
                continue;
            }
            let left = end.checked_sub(self.boot.system.clock());
            let left = left.filter(|left| !left.is_zero())?;
            match self.boot.system.next_event(Wait::For(left)) {
                Ok(Some(message)) => {
                    if let Some(event) = crate::uevent::parse(&message)
                        && !event.modalias.is_empty()
                    {
                        drivers.want(self.boot, &event.modalias);
                    }
                }
                Ok(None) => return self.find(device),
                Err(_) => drivers.ask_all(self.boot),
            }
        }
    }

    fn find(&self, device: &Device) -> Option<String> {
        if let Device::Path(path) = device {
            return self.boot.system.kind(path).is_ok().then(|| path.clone());
        }
        let names = self.boot.system.list(BLOCK).unwrap_or_default();
        let never = ["loop", "ram", "zram", "fd", "nbd", "sr"];
        let found = names.into_iter().find(|name| {
            let kind = name.trim_end_matches(|c: char| c.is_ascii_digit());
            !never.contains(&kind) && self.is_named(name, device)
        });
        found.map(|name| node(&name))
    }

    fn is_named(&self, name: &str, device: &Device) -> bool {
        let identity = || self.identity(&node(name)).unwrap_or_default();
        match device {
            Device::Label(wanted) => {
                let mut labels = identity().labels;
                labels.extend(self.encrypted_label(&node(name)));
                labels.iter().any(|it| label::matches(wanted, it))
            }
            Device::Uuid(wanted) => {
                let uuid = identity().uuid;
                !uuid.is_empty() && wanted.eq_ignore_ascii_case(&uuid)
            }
            Device::PartLabel(wanted) => self
                .partition(name)
                .is_some_and(|part| label::matches(wanted, &part.name)),
            Device::PartUuid(wanted) => self
                .partition(name)
                .is_some_and(|part| wanted.eq_ignore_ascii_case(&part.uuid)),
            Device::Path(_) => false,
        }
    }

    /// What the table of its disk says of a partition.
    fn partition(&self, name: &str) -> Option<partition::Partition> {
        let read = |path: &str| {
            let bytes = self.boot.system.read(path, 64).ok()?;
            str::from_utf8(&bytes).ok()?.trim().parse::<u64>().ok()
        };
        let number = read(&format!("{BLOCK}/{name}/partition"))?;
        let disk = disk_of(self.boot, name)?;
        let sector = read(&format!("{BLOCK}/{disk}/queue/logical_block_size"));
        let opened = self.boot.system.open(&node(&disk)).ok()?;
        let number = u32::try_from(number).ok()?;
        partition::identify(&*opened, sector.unwrap_or(512), number).ok()?
    }

    /// Mounts a device that was found, or makes what is mounted of it writable.
    fn mount_named(&mut self, device: &str) -> Result<(), Trouble> {
        let mut mounts = self.mounts().into_iter().rev();
        let mounted = mounts.find(|it| it.source == device);
        let Some(mounted) = mounted else {
            // A partition of a disk that is in use as a whole has to be mounted by another way.
            if let Ok(Carrier::Disk(disk)) = self.carrier()
                && let Some(part) = self
                    .parts(&disk.name)
                    .into_iter()
                    .find(|part| node(&part.name) == device)
            {
                return self.mount_partition(&disk, &part);
            }
            return self.mount_store(device);
        };
        let system = &mut *self.boot.system;
        if !self.request.layer.read_only {
            let written = system.remount(&mounted.target, MountFlags::empty(), "");
            written.map_err(doing(&format!("{device} cannot be written")))?;
        }
        let store = media::OVERLAY_STORE;
        let bound = system.make_dir(store);
        bound
            .and_then(|()| system.bind(&mounted.target, store))
            .map_err(doing(store))
    }

    /// Makes a partition with this label on the boot disk, and mounts it.
    fn mount_new(&mut self, label: &str) -> Result<(), Trouble> {
        match self.carrier()? {
            Carrier::Disk(disk) => {
                let part = match self.labelled(&disk, &[label]) {
                    Some(part) => part,
                    None => self.new_partition(&disk, label)?,
                };
                self.mount_partition(&disk, &part)
            }
            Carrier::Fixed(reason) => Err(format!("there is no LABEL={label}, and {reason}")),
            Carrier::Beside(_) => Err(format!("there is no LABEL={label}")),
        }
    }

    /// A file is a store of snapshots, or holds a file system with the folders.
    fn file_place(&mut self, path: &str) -> Result<Place, Trouble> {
        let read_only = self.request.layer.read_only;
        let access = if read_only {
            Access::Read
        } else {
            Access::Write
        };
        let device = self.boot.system.attach_loop(path, access);
        let device = device.map_err(doing(path))?;
        let mut head = [0; 4];
        let opened = self.boot.system.open(&device);
        let read = opened.and_then(|it| it.read_at(&mut head, 0));
        read.map_err(doing(path))?;
        let is_store = head == SNAPSHOT || self.identity(&device).is_none() && head == [0; 4];
        if is_store {
            if self.wish.reset && !read_only {
                let opened = self.boot.system.open_to_write(&device);
                let opened = opened.map_err(doing(path))?;
                opened
                    .write_all_at(&vec![0; STORE_HEAD], 0)
                    .map_err(|error| format!("{path}: {error}"))?;
                opened.sync().map_err(doing(path))?;
            }
            return Ok(Place::Snapshot { device, read_only });
        }
        self.mount_store(&device)?;
        let store = media::OVERLAY_STORE;
        self.folders(format!("{store}/overlayfs"), format!("{store}/ovlwork"))
    }
}

fn name_of(device: &Device) -> String {
    match device {
        Device::Label(it) => format!("LABEL={it}"),
        Device::Uuid(it) => format!("UUID={it}"),
        Device::PartLabel(it) => format!("PARTLABEL={it}"),
        Device::PartUuid(it) => format!("PARTUUID={it}"),
        Device::Path(it) => it.clone(),
    }
}
