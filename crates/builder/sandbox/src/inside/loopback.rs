//! The loopback device of a new network namespace: it is down until somebody brings it up.

use std::io;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// Brings up the device with index 1, which is the loopback device in every network namespace.
///
/// Source: rtnetlink(7), `RTM_NEWLINK`; `struct nlmsghdr` and `struct ifinfomsg` of Linux.
pub(super) fn up() -> io::Result<()> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None, // protocol 0 is NETLINK_ROUTE
    )?;
    rustix::net::send(&socket, &request(), SendFlags::empty())?;
    let mut answer = [0_u8; 256];
    let (len, _) = rustix::net::recv(&socket, &mut answer, RecvFlags::empty())?;
    // An acknowledgement is an error message whose error is 0; the number is negative otherwise.
    let error = answer
        .get(16..20)
        .filter(|_| len >= 20)
        .and_then(|bytes| bytes.first_chunk::<4>())
        .map(|bytes| i32::from_ne_bytes(*bytes));
    match error {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(error.saturating_neg())),
        None => Err(io::Error::other("the answer of the kernel is too short")),
    }
}

/// Set `IFF_UP` of device 1, and acknowledge it.
fn request() -> Vec<u8> {
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST_ACK: u16 = 1 | 4;
    const IFF_UP: u32 = 1;
    let mut message = Vec::new();
    message.extend(32_u32.to_ne_bytes()); // length of it all
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    message.extend(1_u32.to_ne_bytes()); // sequence
    message.extend(0_u32.to_ne_bytes()); // the kernel
    message.extend([0; 4]); // any family, padding, any type
    message.extend(1_u32.to_ne_bytes()); // index
    message.extend(IFF_UP.to_ne_bytes()); // flags
    message.extend(IFF_UP.to_ne_bytes()); // which flags change
    message
}
