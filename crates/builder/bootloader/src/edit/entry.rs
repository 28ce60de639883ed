//! The change of a Boot Loader Specification entry: `options` and `initrd`.

use block::Result;

use super::{Change, Changed, Line, beside};
use crate::bls::BlsEntry;
use crate::cmdline;

/// Changes the entry.
pub(super) fn edit(bytes: &[u8], change: &Change<'_>) -> Result<Changed> {
    let mut entry = BlsEntry::parse("", bytes)?;
    let Some(kernel) = entry.value("linux").map(str::to_owned) else {
        return Ok(Changed {
            bytes: bytes.to_vec(),
            ..Changed::default()
        });
    };
    let old = entry.options();
    let new = change.parameters.apply(&old);
    if new != old {
        entry.set("options", &cmdline::join(&new));
    }
    let mut initramfs: Vec<String> = entry
        .values("initrd")
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
        .collect();
    if let (Some(path), Some(known)) = (change.initramfs, initramfs.first()) {
        let new = beside(known, path);
        initramfs.push(new);
        entry.set("initrd", &initramfs.join(" "));
    }
    Ok(Changed {
        bytes: entry.print().into_bytes(),
        lines: vec![Line {
            title: entry.value("title").unwrap_or_default().to_owned(),
            kernel,
            initramfs,
            parameters: new,
        }],
        warnings: Vec::new(),
    })
}
