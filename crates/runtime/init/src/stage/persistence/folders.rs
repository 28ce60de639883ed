//! What of a mounted file system becomes the layer.

use contract::media;
use rustix::io::Errno;

use super::super::find::node;
use super::disk::{Disk, Part, doing};
use super::{Job, Place, Trouble};
use crate::system::{Kind, Mount, MountFlags};

/// File systems that an overlay can write to.
const UPPER: [&str; 3] = ["ext4", "xfs", "btrfs"];
/// What says which medium a layer was written over.
const MEDIUM: &str = "liveos-medium";
/// The longest of these that is read, in bytes.
const MEDIUM_LEN: usize = 4096;

impl Job<'_, '_> {
    /// Mounts the file system on a partition of the boot disk.
    ///
    /// Where the disk is in use as a whole the kernel does not mount a partition of it; a loop device on the same bytes is no partition.
    pub(super) fn mount_partition(&mut self, disk: &Disk, part: &Part) -> Result<(), Trouble> {
        let device = node(&part.name);
        let direct = if disk.held {
            Err(None)
        } else {
            self.try_store(&device).map_err(Some)
        };
        match direct {
            Ok(()) => Ok(()),
            Err(Some((trouble, Some(error)))) if error != Errno::BUSY => Err(trouble),
            Err(Some((trouble, None))) => Err(trouble),
            Err(_) => {
                let path = node(&disk.name);
                let device = self.boot.system.attach_part(&path, part.start, part.len);
                let device = device.map_err(doing(&format!("a loop device on {path}")))?;
                self.mount_store(&device)
            }
        }
    }

    /// Mounts the file system on a device, or in the encrypted volume on it, at [`media::OVERLAY_STORE`].
    pub(super) fn mount_store(&mut self, device: &str) -> Result<(), Trouble> {
        self.try_store(device).map_err(|(trouble, _)| trouble)
    }

    fn try_store(&mut self, device: &str) -> Result<(), (Trouble, Option<Errno>)> {
        let told = |trouble| (trouble, None);
        let mut device = device.to_owned();
        if self.encrypted_label(&device).is_some() {
            device = self.unlock(&device).map_err(told)?;
        } else if self.wish.encrypted {
            return Err(told(format!("{device} is not encrypted")));
        }
        let identity = self.identity(&device);
        let Some(identity) = identity else {
            let trouble =
                format!("{device} holds no file system that is known, and is left as it is");
            return Err(told(trouble));
        };
        let target = media::OVERLAY_STORE;
        self.boot.need_file_system(identity.kind);
        self.boot
            .system
            .make_dir(target)
            .map_err(|error| told(doing(target)(error)))?;
        let access = match self.request.layer.read_only {
            true => MountFlags::RDONLY,
            false => MountFlags::empty(),
        };
        let mounted = self.boot.system.mount(&Mount {
            source: &device,
            target,
            kind: identity.kind,
            flags: access | MountFlags::NOATIME,
            data: "",
        });
        mounted.map_err(|error| {
            let number = error.raw_os_error().map(Errno::from_raw_os_error);
            let what = format!("{device} cannot be mounted as {}", identity.kind);
            (format!("{what}, and is left as it is: {error}"), number)
        })
    }

    /// The folders that KIWI's live module has on its file system.
    pub(super) fn plain_folders(&mut self) -> Result<Place, Trouble> {
        let store = media::OVERLAY_STORE;
        self.compare_medium();
        self.link_for_kiwi();
        self.folders(format!("{store}/rw"), format!("{store}/work"))
    }

    /// These two folders of the mounted file system, made where they are missing, and emptied where that was asked for.
    pub(super) fn folders(&mut self, upper: String, work: String) -> Result<Place, Trouble> {
        let mut mounts = self.mounts().into_iter().rev();
        let store = mounts.find(|it| it.target == media::OVERLAY_STORE);
        let kind = store.map(|it| it.kind);
        if let Some(kind) = kind.filter(|kind| !UPPER.contains(&kind.as_str())) {
            return Err(format!("a layer cannot lie on {kind}"));
        }
        if self.request.layer.read_only {
            return match self.is_there(&upper, Kind::Folder) {
                true => Ok(Place::Folders { upper, work }),
                false => Err(format!("{upper} is not there")),
            };
        }
        self.drop_old(&upper)?;
        for folder in [&upper, &work] {
            self.boot.system.make_dir(folder).map_err(doing(folder))?;
        }
        Ok(Place::Folders { upper, work })
    }

    /// Empties a folder: it gets another name first, and what has that name is on its way out, whenever that ends.
    fn drop_old(&mut self, upper: &str) -> Result<(), Trouble> {
        let dropped = format!("{upper}.dropped");
        if self.wish.reset && self.is_there(upper, Kind::Folder) {
            if self.is_there(&dropped, Kind::Folder) {
                let removed = self.boot.system.remove(&dropped);
                removed.map_err(doing(&dropped))?;
            }
            let renamed = self.boot.system.rename(upper, &dropped);
            renamed.map_err(doing(upper))?;
            self.boot
                .step("what was written is dropped, as the command line asks for");
        }
        if self.is_there(&dropped, Kind::Folder)
            && let Err(error) = self.boot.system.remove(&dropped)
        {
            self.boot.warn(&format!("{dropped}: {error}"));
        }
        Ok(())
    }

    /// Tells where the layer was written over another medium: files that both have may not fit together.
    fn compare_medium(&mut self) {
        let path = format!("{}/{MEDIUM}", media::OVERLAY_STORE);
        let identity = &self.medium.identity;
        let label = identity.labels.first().cloned().unwrap_or_default();
        let now = format!("{} {}\n", identity.uuid, label.replace('\n', " "));
        let before = self.boot.system.read(&path, MEDIUM_LEN).ok();
        if before.as_deref() == Some(now.as_bytes()) {
            return;
        }
        if before.is_some() && !self.wish.reset {
            self.boot.warn(
                "what was written belongs to another build of this medium: rd.overlay.reset drops it, where the system does not work with it",
            );
        }
        if !self.request.layer.read_only {
            // The worst of it is that the line above comes again.
            let _ = self.boot.system.write(&path, now.as_bytes());
        }
    }

    /// Where programs that know KIWI's live module look for its file system.
    fn link_for_kiwi(&mut self) {
        let (link, folder) = (media::KIWI_OVERLAY_STORE, "/run/overlay");
        // A system without it is still a system.
        let _ = self
            .boot
            .system
            .make_dir(folder)
            .and_then(|()| self.boot.system.link(media::OVERLAY_STORE, link));
    }
}
