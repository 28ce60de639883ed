//! Several file systems become one tree, as `fstab` mounts them.

use block::{Content, Error, Result};
use inspect::fstab::{self, Spec};
use tree::{Metadata, Tree, TreePath};

use crate::Warning;
use crate::root;
use crate::volume::{Role, Volume};

/// The longest `fstab` that is read: a megabyte, some ten thousand lines. A longer one counts as missing.
const MAX_FSTAB: usize = 1 << 20;

/// Where an EFI system partition is looked for that `fstab` does not name, in this order (systemd, `bootctl`(1)).
const ESP_MOUNT_POINTS: [&str; 3] = ["/boot/efi", "/efi", "/boot"];

/// Finds the root among `volumes`, lays the others over it, and notes in each what it became.
pub(crate) fn assemble(
    volumes: &mut [Volume],
    warnings: &mut Vec<Warning>,
) -> Result<Tree<Content>> {
    let (root, mut tree, said) = root::find(volumes)?;
    note(&said, volumes.get(root), warnings);
    set_role(volumes, root, Role::Root);
    for (mount_point, spec) in wanted_mounts(&tree, warnings) {
        let found = volumes.iter().position(|volume| matches(&spec, volume));
        match found {
            Some(index) => mount(&mut tree, volumes, index, &mount_point, warnings)?,
            None => warnings.push(Warning::NotOnDisk {
                spec: spec.to_string(),
                mount_point,
            }),
        }
    }
    mount_esp_by_type(&mut tree, volumes, warnings)?;
    warnings.extend(
        volumes
            .iter()
            .filter(|volume| is_left_out(volume))
            .map(|volume| Warning::NotMounted {
                index: volume.index(),
                what: volume.describe(),
            }),
    );
    Ok(tree)
}

/// Takes note of what was said of a volume while it was read.
fn note(said: &[String], volume: Option<&Volume>, warnings: &mut Vec<Warning>) {
    let what = volume.map(Volume::describe).unwrap_or_default();
    warnings.extend(said.iter().map(|text| Warning::FileSystem {
        what: what.clone(),
        text: text.clone(),
    }));
}

fn set_role(volumes: &mut [Volume], index: usize, role: Role) {
    if let Some(volume) = volumes.get_mut(index) {
        volume.role = role;
    }
}

/// Whether someone would miss the volume: it holds files and is mounted nowhere.
fn is_left_out(volume: &Volume) -> bool {
    volume.role == Role::Unused
        && volume
            .identity
            .as_ref()
            .is_some_and(|identity| identity.format != "swap")
}

/// What `fstab` mounts from block devices, parents before what is mounted in them; the root and swap are left out.
fn wanted_mounts(tree: &Tree<Content>, warnings: &mut Vec<Warning>) -> Vec<(String, Spec)> {
    let Some(bytes) = fstab_bytes(tree) else {
        return Vec::new();
    };
    let fstab = fstab::parse(&bytes);
    warnings.extend(fstab.warnings.into_iter().map(Warning::Fstab));
    let mut wanted: Vec<(String, Spec)> = fstab
        .entries
        .into_iter()
        .filter(|entry| entry.spec.is_block_device() && entry.kind != "swap")
        .filter(|entry| entry.target.starts_with(b"/") && entry.target != b"/")
        .map(|entry| {
            (
                String::from_utf8_lossy(&entry.target).into_owned(),
                entry.spec,
            )
        })
        .collect();
    // `/boot` sorts before `/boot/efi`; a path is always longer than its parents.
    wanted.sort_by(|a, b| a.0.cmp(&b.0));
    wanted
}

/// Mounts an ESP that `fstab` does not name, as systemd would find it.
fn mount_esp_by_type(
    tree: &mut Tree<Content>,
    volumes: &mut [Volume],
    warnings: &mut Vec<Warning>,
) -> Result<()> {
    let is_free = |volume: &Volume| volume.is_esp() && volume.role == Role::Unused;
    let Some(index) = volumes.iter().position(is_free) else {
        return Ok(());
    };
    let place = ESP_MOUNT_POINTS.iter().find(|path| {
        tree.resolve(path).is_ok_and(|(_, id)| {
            tree.directory(id)
                .is_some_and(std::collections::BTreeMap::is_empty)
        })
    });
    let place = place.copied().unwrap_or("/boot/efi");
    mount(tree, volumes, index, place, warnings)
}

fn mount(
    tree: &mut Tree<Content>,
    volumes: &mut [Volume],
    index: usize,
    mount_point: &str,
    warnings: &mut Vec<Warning>,
) -> Result<()> {
    let Some(volume) = volumes.get_mut(index) else {
        return Ok(());
    };
    match volume.read() {
        Ok((other, said)) => {
            note(&said, Some(volume), warnings);
            let graft = |error: tree::Error| {
                Error::corrupt(
                    format!("mounting {} at {mount_point}", volume.describe()),
                    "",
                )
                .caused_by(error)
            };
            let path = TreePath::parse(mount_point).map_err(graft)?;
            let at = tree
                .make_directories(&path, &Metadata::with_permissions(0o755))
                .map_err(graft)?;
            tree.graft(at, other).map_err(graft)?;
            volume.role = Role::MountedAt(mount_point.to_owned());
            Ok(())
        }
        Err(error) if error.kind() == block::Kind::Unsupported => {
            warnings.push(Warning::Unreadable {
                index: volume.index(),
                mount_point: mount_point.to_owned(),
                reason: crate::chain(&error),
            });
            // It was spoken of: that is enough.
            volume.role = Role::MountedAt(mount_point.to_owned());
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// The bytes of `etc/fstab`, where there is one that can be read.
pub(crate) fn fstab_bytes(tree: &Tree<Content>) -> Option<Vec<u8>> {
    tree.file("etc/fstab")?.read_all(MAX_FSTAB).ok()
}

/// Whether the first field of a line of `fstab` means this volume.
pub(crate) fn matches(spec: &Spec, volume: &Volume) -> bool {
    let identity = volume.identity.as_ref();
    let partition = volume.partition.as_ref();
    let same = |a: &str, b: &str| !a.is_empty() && a.eq_ignore_ascii_case(b);
    match spec {
        Spec::Uuid(uuid) => identity.is_some_and(|identity| same(&identity.uuid, uuid)),
        Spec::Label(label) => {
            identity.is_some_and(|identity| !label.is_empty() && identity.label == *label)
        }
        Spec::PartUuid(uuid) => partition.is_some_and(|partition| same(&partition.part_uuid, uuid)),
        Spec::PartLabel(label) => {
            partition.is_some_and(|partition| !label.is_empty() && partition.label == *label)
        }
        Spec::Device(path) => device_matches(path, volume),
        _ => false,
    }
}

/// Whether a device path means this volume: by the partition number at its end, as the disk is the only one that is known
/// (`/dev/sda2`, `/dev/vda2`, `/dev/nvme0n1p2`, `/dev/mmcblk0p2`).
fn device_matches(path: &str, volume: &Volume) -> bool {
    let Some(name) = path.strip_prefix("/dev/") else {
        return false;
    };
    let disk = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let number: Option<u32> = name
        .get(disk.len()..)
        .and_then(|digits| digits.parse().ok());
    let is_disk = ["sd", "vd", "hd", "xvd", "nvme", "mmcblk"]
        .iter()
        .any(|kind| name.starts_with(kind));
    is_disk && number == volume.partition.as_ref().map(|partition| partition.index)
}
