//! A machine as QEMU's arguments: a pure function.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::accelerator::Accelerator;
use crate::error::{Error, Result};
use crate::firmware::FirmwareFiles;
use crate::machine::{Attach, Console, Firmware, Machine, Media, Network};

/// The arguments that make QEMU the machine `machine`.
///
/// `firmware` are the files for a UEFI machine, its variables being a private copy that is written to.
///
/// # Errors
///
/// [`Error::Machine`] where a UEFI machine has no firmware files, or a machine has no processor or no memory.
///
/// Source: the manual of QEMU 7.2; the arguments are understood from 5.2 on.
pub fn arguments(
    machine: &Machine,
    firmware: Option<&FirmwareFiles>,
    accelerator: Accelerator,
) -> Result<Vec<OsString>> {
    if machine.cpus == 0 || machine.memory_mib == 0 {
        return Err(Error::Machine("a machine needs a processor and memory"));
    }
    let mut list = List::default();
    board(&mut list, machine, firmware)?;
    processor(&mut list, machine, accelerator);
    console(&mut list, machine.console);
    if let Some(media) = &machine.media {
        // A kernel that is started directly is the first in the boot order, and nothing else may be.
        let order = if machine.kernel.is_some() {
            ""
        } else {
            ",bootindex=0"
        };
        attach(&mut list, media, order);
    }
    match machine.network {
        Network::None => list.pair("-nic", "none"),
        // Without a boot ROM: a network boot is never what was asked for here, and it delays the others.
        Network::User => {
            list.pair("-netdev", "user,id=network");
            list.pair("-device", "virtio-net-pci,netdev=network,romfile=");
        }
    }
    // Without it a guest that has no random instruction waits for entropy.
    list.pair("-device", "virtio-rng-pci");
    if let Some(direct) = &machine.kernel {
        list.pair("-kernel", direct.kernel.as_os_str());
        list.pair("-initrd", direct.initramfs.as_os_str());
        list.pair("-append", direct.command_line.as_str());
    }
    list.0.extend(machine.extra.iter().cloned());
    Ok(list.0)
}

#[derive(Default)]
struct List(Vec<OsString>);

impl List {
    fn pair(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.0.push(name.into());
        self.0.push(value.as_ref().to_owned());
    }
}

/// The board and its firmware: the old PC for a BIOS, so that the oldest drivers are tried too, `q35` for UEFI.
fn board(list: &mut List, machine: &Machine, firmware: Option<&FirmwareFiles>) -> Result<()> {
    list.0.push("-nodefaults".into());
    match machine.firmware {
        Firmware::Bios => {
            list.pair("-machine", "pc");
            return Ok(());
        }
        Firmware::Uefi => list.pair("-machine", "q35"),
        Firmware::Secure => {
            list.pair("-machine", "q35,smm=on");
            // The variables may be written from system management mode only: what Secure Boot rests on.
            list.pair("-global", "driver=cfi.pflash01,property=secure,value=on");
        }
    }
    let files = firmware.ok_or(Error::Machine("a UEFI machine needs firmware files"))?;
    list.pair(
        "-drive",
        with_path("if=pflash,format=raw,unit=0,readonly=on,file=", &files.code),
    );
    list.pair(
        "-drive",
        with_path("if=pflash,format=raw,unit=1,file=", &files.variables),
    );
    Ok(())
}

fn processor(list: &mut List, machine: &Machine, accelerator: Accelerator) {
    // `max` of the emulator has five-level paging, which only costs time there.
    let (accel, all) = match accelerator {
        Accelerator::Kvm => ("kvm", "host"),
        Accelerator::Tcg if machine.cpus == 1 => ("tcg,thread=single", "max,la57=off"),
        Accelerator::Tcg => ("tcg", "max,la57=off"),
    };
    list.pair("-accel", accel);
    list.pair("-cpu", machine.cpu_model.as_deref().unwrap_or(all));
    list.pair("-smp", machine.cpus.to_string());
    list.pair("-m", machine.memory_mib.to_string());
}

/// The serial port, and a graphics card that nobody looks at: boot loaders ask for one.
fn console(list: &mut List, console: Console) {
    list.0.push("-nographic".into());
    list.pair("-vga", "std");
    match console {
        Console::Terminal => {
            list.pair("-chardev", "stdio,id=console,mux=on,signal=off");
            list.pair("-mon", "chardev=console,mode=readline");
        }
        Console::Pipe => {
            list.pair("-chardev", "stdio,id=console,signal=off");
            list.pair("-monitor", "none");
        }
    }
    list.pair("-serial", "chardev:console");
}

/// The media, read only, with its place in the boot `order`.
///
/// A block device by name, not a drive: a drive's file name may be taken for a protocol (`a:b.iso`).
fn attach(list: &mut List, media: &Media, order: &str) {
    let file = with_path(
        "driver=file,node-name=media-file,read-only=on,filename=",
        &media.path,
    );
    list.pair("-blockdev", file);
    list.pair(
        "-blockdev",
        "driver=raw,node-name=media,file=media-file,read-only=on",
    );
    match media.attach {
        Attach::Cd => list.pair("-device", format!("ide-cd,drive=media{order}")),
        Attach::Usb => {
            list.pair("-device", "qemu-xhci,id=xhci");
            list.pair(
                "-device",
                format!("usb-storage,bus=xhci.0,drive=media,removable=on{order}"),
            );
        }
        Attach::Disk => list.pair("-device", format!("virtio-blk-pci,drive=media{order}")),
    }
}

/// `prefix` and a path in it; QEMU reads two commas as one.
fn with_path(prefix: &str, path: &Path) -> OsString {
    let mut value = prefix.as_bytes().to_vec();
    for byte in path.as_os_str().as_bytes() {
        value.push(*byte);
        if *byte == b',' {
            value.push(b',');
        }
    }
    OsString::from_vec(value)
}

#[cfg(test)]
mod tests;
