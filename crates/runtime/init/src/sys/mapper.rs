//! Device-mapper devices. rustix has no wrapper for these requests.
//!
//! Source: Linux, `include/uapi/linux/dm-ioctl.h` (interface version 4).
#![expect(
    unsafe_code,
    reason = "ioctl(2) takes what its request says, which no type can"
)]

use std::fs::File;
use std::io;

use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl, opcode};

use crate::system::{Access, Target};

const CONTROL: &str = "/dev/mapper/control";

const DEV_CREATE: Opcode = request(3);
const DEV_REMOVE: Opcode = request(4);
const DEV_SUSPEND: Opcode = request(6);
const TABLE_LOAD: Opcode = request(9);

/// Flag: the device cannot be written.
const READ_ONLY: u32 = 1;

/// `struct dm_ioctl` up to its data, in bytes.
const HEADER: usize = 312;
/// `struct dm_target_spec` without the parameters after it, in bytes.
const SPEC: usize = 40;
/// Where the header has what is written and read here.
const TARGETS: usize = 20;
const FLAGS: usize = 28;
const DEVICE: usize = 40;
const NAME: usize = 48;
const UUID: usize = 176;
/// The room for a name, and for a UUID, with the zero at its end.
const NAME_LEN: usize = 128;
const UUID_LEN: usize = 129;
/// The room for the name of a target's kind, with the zero at its end.
const KIND_LEN: usize = 16;

const fn request(number: u8) -> Opcode {
    opcode::read_write::<[u8; HEADER]>(0xfd, number)
}

/// A request whose argument is a header with data behind it, which the kernel reads and writes.
struct Request<'a, const OPCODE: Opcode>(&'a mut [u8]);

// SAFETY: the kernel reads and writes at most the bytes that the header's `data_size` says, which [`header`] sets to the buffer's length.
unsafe impl<const OPCODE: Opcode> Ioctl for Request<'_, OPCODE> {
    type Output = ();
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        OPCODE
    }

    fn as_ptr(&mut self) -> *mut core::ffi::c_void {
        self.0.as_mut_ptr().cast()
    }

    unsafe fn output_from_ptr(
        _: IoctlOutput,
        _: *mut core::ffi::c_void,
    ) -> rustix::io::Result<Self::Output> {
        Ok(())
    }
}

/// Makes the device `name` with this table, and starts it; the path of its node: `/dev/dm-0`.
pub(super) fn create(
    name: &str,
    uuid: &str,
    table: &[Target<'_>],
    access: Access,
) -> io::Result<String> {
    let control = File::options().read(true).write(true).open(CONTROL)?;
    let flags = match access {
        Access::Read => READ_ONLY,
        Access::Write => 0,
    };
    let mut create = header(name, uuid, flags, &[])?;
    send::<DEV_CREATE>(&control, &mut create)?;
    let path = format!("/dev/dm-{}", minor(&create));
    let start = || -> io::Result<()> {
        send::<TABLE_LOAD>(&control, &mut header(name, "", flags, table)?)?;
        send::<DEV_SUSPEND>(&control, &mut header(name, "", 0, &[])?)
    };
    match start() {
        Ok(()) => Ok(path),
        Err(error) => {
            let _ = remove(name);
            Err(error)
        }
    }
}

/// Removes the device `name`; refused while it is used.
pub(super) fn remove(name: &str) -> io::Result<()> {
    let control = File::options().read(true).write(true).open(CONTROL)?;
    send::<DEV_REMOVE>(&control, &mut header(name, "", 0, &[])?)
}

fn send<const OPCODE: Opcode>(control: &File, bytes: &mut [u8]) -> io::Result<()> {
    // SAFETY: these requests take a `struct dm_ioctl` with `data_size` bytes, which `header` made.
    Ok(unsafe { ioctl(control, Request::<OPCODE>(bytes)) }?)
}

/// A `struct dm_ioctl` about the device `name`, with a table behind it.
fn header(name: &str, uuid: &str, flags: u32, table: &[Target<'_>]) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; HEADER];
    for target in table {
        append(&mut bytes, target)?;
    }
    let too_long = |_| io::Error::from(Errno::INVAL);
    let len = u32::try_from(bytes.len()).map_err(too_long)?;
    let count = u32::try_from(table.len()).map_err(too_long)?;
    let start = u32::try_from(HEADER).map_err(too_long)?;
    let words = [
        (0, 4),
        (12, len),
        (16, start),
        (TARGETS, count),
        (FLAGS, flags),
    ];
    for (at, word) in words {
        put(&mut bytes, at, &word.to_ne_bytes(), 4)?;
    }
    // The room is one more than the text may have, for the zero at its end.
    put(&mut bytes, NAME, name.as_bytes(), NAME_LEN - 1)?;
    put(&mut bytes, UUID, uuid.as_bytes(), UUID_LEN - 1)?;
    Ok(bytes)
}

/// One `struct dm_target_spec` and its parameters, which end with zeros at a multiple of eight.
fn append(bytes: &mut Vec<u8>, target: &Target<'_>) -> io::Result<()> {
    let start = bytes.len();
    let len = SPEC
        .saturating_add(target.parameters.len())
        .saturating_add(1)
        .next_multiple_of(8);
    bytes.resize(start.saturating_add(len), 0);
    let spec = bytes.get_mut(start..).unwrap_or_default();
    put(spec, 0, &target.start.to_ne_bytes(), 8)?;
    put(spec, 8, &target.sectors.to_ne_bytes(), 8)?;
    let next = u32::try_from(len).map_err(|_| Errno::INVAL)?;
    put(spec, 20, &next.to_ne_bytes(), 4)?;
    put(spec, 24, target.kind.as_bytes(), KIND_LEN - 1)?;
    put(spec, SPEC, target.parameters.as_bytes(), len)
}

fn put(bytes: &mut [u8], at: usize, value: &[u8], most: usize) -> io::Result<()> {
    let place = bytes.get_mut(at..at.saturating_add(value.len()));
    match place.filter(|_| value.len() <= most && (most <= 8 || !value.contains(&0))) {
        Some(place) => {
            place.copy_from_slice(value);
            Ok(())
        }
        None => Err(Errno::INVAL.into()),
    }
}

/// The minor number in the device number that the kernel answered with.
fn minor(bytes: &[u8]) -> u64 {
    let field = bytes.get(DEVICE..).and_then(<[u8]>::first_chunk::<8>);
    let device = u64::from_ne_bytes(field.copied().unwrap_or_default());
    (device & 0xff) | ((device >> 12) & 0xffff_ff00)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_kernels_own_number() {
        // DM_DEV_CREATE, as strace shows it on x86-64.
        assert_eq!(DEV_CREATE, 0xc138_fd03);
    }

    #[test]
    fn a_table_lies_behind_the_header_in_rows_of_a_multiple_of_eight() {
        let rows = [
            Target {
                start: 0,
                sectors: 8,
                kind: "linear",
                parameters: "7:0 0",
            },
            Target {
                start: 8,
                sectors: 16,
                kind: "zero",
                parameters: "",
            },
        ];
        let bytes = header("live-rw", "LIVEOS-1", READ_ONLY, &rows).unwrap();
        assert_eq!(bytes.len(), HEADER + 48 + 48);
        assert_eq!(bytes[0..4], 4_u32.to_ne_bytes());
        assert_eq!(bytes[12..16], 408_u32.to_ne_bytes());
        assert_eq!(bytes[TARGETS..TARGETS + 4], 2_u32.to_ne_bytes());
        assert_eq!(&bytes[NAME..NAME + 8], b"live-rw\0");
        assert_eq!(&bytes[UUID..UUID + 9], b"LIVEOS-1\0");
        let first = &bytes[HEADER..];
        assert_eq!(first[8..16], 8_u64.to_ne_bytes());
        assert_eq!(first[20..24], 48_u32.to_ne_bytes());
        assert_eq!(&first[24..31], b"linear\0");
        assert_eq!(&first[40..46], b"7:0 0\0");
        assert_eq!(first[48..56], 8_u64.to_ne_bytes());
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        let long = "x".repeat(NAME_LEN);
        assert!(header(&long, "", 0, &[]).is_err());
        assert!(header("a\0b", "", 0, &[]).is_err());
        let row = Target {
            start: 0,
            sectors: 1,
            kind: "a-kind-that-is-long",
            parameters: "",
        };
        assert!(header("x", "", 0, &[row]).is_err());
    }

    #[test]
    fn minor_numbers_over_255_are_read() {
        let mut bytes = vec![0; HEADER];
        // 253:300, as the kernel encodes it.
        let device: u64 = (300 & 0xff) | (253 << 8) | ((300 & !0xff) << 12);
        bytes[DEVICE..DEVICE + 8].copy_from_slice(&device.to_ne_bytes());
        assert_eq!(minor(&bytes), 300);
    }
}
