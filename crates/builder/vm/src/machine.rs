//! What a machine is made of, as values.

use std::ffi::OsString;
use std::path::PathBuf;

/// The firmware that starts the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// `SeaBIOS`, QEMU's own.
    Bios,
    /// OVMF without Secure Boot.
    Uefi,
    /// OVMF with Secure Boot on and Microsoft's keys enrolled.
    Secure,
}

/// How the media is attached to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// A CD in an ATA drive.
    Cd,
    /// A stick on an xHCI controller, as after `dd` of an ISO onto it.
    Usb,
    /// A virtio disk.
    Disk,
}

/// Where the machine's first serial port goes. There is never a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// The caller's terminal in raw mode, with QEMU's monitor behind Ctrl-a c and its end behind Ctrl-a x.
    Terminal,
    /// The standard input and output of QEMU, without a monitor: for a caller that holds pipes.
    Pipe,
}

/// The machine's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// No network card.
    None,
    /// QEMU's user network behind a virtio card: outgoing connections, DHCP, no privilege.
    User,
}

/// What is booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// An ISO or a raw disk image. It is opened for reading only.
    pub path: PathBuf,
    /// How the machine sees it.
    pub attach: Attach,
}

/// A kernel that QEMU loads itself, for tests in which the firmware is not what is tested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectKernel {
    /// The kernel (`bzImage`).
    pub kernel: PathBuf,
    /// The initramfs.
    pub initramfs: PathBuf,
    /// The whole kernel command line.
    pub command_line: String,
}

/// A machine as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The firmware; with a `kernel` it still starts, and hands over at once.
    pub firmware: Firmware,
    /// What is booted, first in the boot order; none for a machine that only has a `kernel` or `extra` disks.
    pub media: Option<Media>,
    /// A kernel to start directly.
    pub kernel: Option<DirectKernel>,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Virtual processors, at least one.
    pub cpus: u16,
    /// QEMU's name of the processor model; `None`: all that the accelerator offers.
    pub cpu_model: Option<String>,
    /// The first serial port.
    pub console: Console,
    /// The network.
    pub network: Network,
    /// Further arguments, put at the end as they are.
    pub extra: Vec<OsString>,
}

impl Machine {
    /// A machine that boots the media at `path`: UEFI, CD, 2 GiB, one processor, the user network, the terminal.
    ///
    /// 2 GiB, because a live system keeps what it changes in memory: half of it is then there for that.
    #[must_use]
    pub fn booting(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self {
            firmware: Firmware::Uefi,
            media: Some(Media {
                path,
                attach: Attach::Cd,
            }),
            kernel: None,
            memory_mib: 2048,
            cpus: 1,
            cpu_model: None,
            console: Console::Terminal,
            network: Network::User,
            extra: Vec::new(),
        }
    }
}
