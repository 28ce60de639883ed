//! Loop devices. rustix has no wrapper for these requests.
//!
//! Source: Linux, `include/uapi/linux/loop.h`.
#![expect(
    unsafe_code,
    reason = "ioctl(2) takes what its request says, which no type can"
)]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, NoArg, Opcode, Setter, ioctl};

use crate::system::Access;

const CONTROL: &str = "/dev/loop-control";

const LOOP_SET_FD: Opcode = 0x4c00;
const LOOP_CLR_FD: Opcode = 0x4c01;
const LOOP_SET_STATUS64: Opcode = 0x4c04;
const LOOP_CONFIGURE: Opcode = 0x4c0a;
const LOOP_CTL_GET_FREE: Opcode = 0x4c82;

const READ_ONLY: u32 = 1;
const AUTOCLEAR: u32 = 4;
const DIRECT_IO: u32 = 16;

/// How often a free device is asked for: another process may be faster, and there is none but us.
const ATTEMPTS: usize = 8;

/// `struct loop_info64`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Config {
    fd: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

const _: () = assert!(size_of::<Info>() == 232 && size_of::<Config>() == 304);

/// A request whose argument is a number, or nothing, and whose answer is a number.
struct Number<const OPCODE: Opcode>(usize);

// SAFETY: the requests that this is used for take an integer (or ignore it), touch no memory of ours, and answer with an integer.
unsafe impl<const OPCODE: Opcode> Ioctl for Number<OPCODE> {
    type Output = IoctlOutput;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        OPCODE
    }

    fn as_ptr(&mut self) -> *mut core::ffi::c_void {
        std::ptr::without_provenance_mut(self.0)
    }

    unsafe fn output_from_ptr(
        out: IoctlOutput,
        _: *mut core::ffi::c_void,
    ) -> rustix::io::Result<Self::Output> {
        Ok(out)
    }
}

/// Attaches `len` bytes of a device, from `offset` on, for writing; as [`attach`].
pub(super) fn attach_part(file: &str, offset: u64, len: u64) -> io::Result<(File, String)> {
    attach_range(file, Access::Write, (offset, len))
}

/// Attaches a file to a free loop device. The device is free again when its last user, the answered handle or a mount, goes.
pub(super) fn attach(file: &str, access: Access) -> io::Result<(File, String)> {
    attach_range(file, access, (0, 0))
}

/// A length of 0 is all that there is.
fn attach_range(file: &str, access: Access, range: (u64, u64)) -> io::Result<(File, String)> {
    let writes = access == Access::Write;
    let backing = File::options().read(true).write(writes).open(file)?;
    let control = File::options().read(true).write(true).open(CONTROL)?;
    for _ in 0..ATTEMPTS {
        // SAFETY: LOOP_CTL_GET_FREE takes nothing and answers with the device's number.
        let number = unsafe { ioctl(&control, Number::<LOOP_CTL_GET_FREE>(0)) }?;
        let path = format!("/dev/loop{number}");
        // The kernel makes it read-only where it is configured through a handle that cannot write.
        let device = File::options().read(true).write(writes).open(&path)?;
        match configure(&device, &backing, file, (access, range)) {
            Ok(()) => return Ok((device, path)),
            Err(Errno::BUSY) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Errno::BUSY.into())
}

fn configure(
    device: &File,
    backing: &File,
    name: &str,
    (access, range): (Access, (u64, u64)),
) -> rustix::io::Result<()> {
    let read_only = match access {
        Access::Read => READ_ONLY,
        Access::Write => 0,
    };
    let fd = backing.as_fd().as_raw_fd();
    let mut config = Config {
        fd: fd.unsigned_abs(),
        block_size: 0,
        info: Info {
            device: 0,
            inode: 0,
            rdevice: 0,
            offset: range.0,
            size_limit: range.1,
            number: 0,
            encrypt_type: 0,
            encrypt_key_size: 0,
            // The kernel leaves direct I/O out where the file system below has none.
            flags: read_only | AUTOCLEAR | DIRECT_IO,
            file_name: [0; 64],
            crypt_name: [0; 64],
            encrypt_key: [0; 32],
            init: [0; 2],
        },
        reserved: [0; 8],
    };
    // The last byte stays zero.
    for (to, from) in config.info.file_name.iter_mut().take(63).zip(name.bytes()) {
        *to = from;
    }
    // SAFETY: LOOP_CONFIGURE reads a `struct loop_config`, which `Config` is, size checked above.
    let configured = unsafe { ioctl(device, Setter::<LOOP_CONFIGURE, Config>::new(config)) };
    match configured {
        // Linux before 5.8 has the two steps only.
        Err(Errno::INVAL | Errno::NOTTY) => {}
        other => return other,
    }
    config.info.flags = read_only | AUTOCLEAR;
    let fd = usize::try_from(fd).map_err(|_| Errno::BADF)?;
    // SAFETY: LOOP_SET_FD takes a file descriptor as a number; `backing` holds it open.
    unsafe { ioctl(device, Number::<LOOP_SET_FD>(fd)) }?;
    // SAFETY: LOOP_SET_STATUS64 reads a `struct loop_info64`, which `Info` is, size checked above.
    let set = unsafe { ioctl(device, Setter::<LOOP_SET_STATUS64, Info>::new(config.info)) };
    if set.is_err() {
        let _ = clear(device);
    }
    set
}

/// Detaches the file of a loop device.
pub(super) fn detach(path: &str) -> io::Result<()> {
    Ok(clear(&File::open(path)?)?)
}

fn clear(device: &File) -> rustix::io::Result<()> {
    // SAFETY: LOOP_CLR_FD takes nothing.
    unsafe { ioctl(device, NoArg::<LOOP_CLR_FD>::new()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    #[test]
    fn ref_a_file_is_read_and_not_written_through_a_loop_device() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let bytes: Vec<u8> = (0..8192_u32).map(|n| (n % 251) as u8).collect();
        File::create(&path).unwrap().write_all(&bytes).unwrap();
        let (mut device, name) = match attach(path.to_str().unwrap(), Access::Read) {
            Ok(attached) => attached,
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "loop devices: {error}");
                eprintln!("SKIPPED: needs loop devices and root: {error}");
                return;
            }
        };
        let mut read = Vec::new();
        device.read_to_end(&mut read).unwrap();
        assert!(read == bytes);
        assert!(
            File::options()
                .write(true)
                .open(&name)
                .and_then(|mut d| d.write_all(b"x").and_then(|()| d.sync_all()))
                .is_err()
        );
        let number = name.strip_prefix("/dev/").unwrap();
        let backing = format!("/sys/block/{number}/loop/backing_file");
        assert_eq!(
            std::fs::read_to_string(&backing).unwrap().trim(),
            path.to_str().unwrap()
        );
    }
}
