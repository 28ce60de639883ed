//! The kernel's messages about devices, over netlink.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recvfrom, socket_with, sockopt,
};

use crate::system::Wait;

/// The multicast group of the kernel itself; udev's is another.
const KERNEL: u32 = 1;
/// Room for what arrives while a driver is loaded, in bytes.
const QUEUE: usize = 16 << 20;
/// The longest message, in bytes: the kernel's buffer for it has 2 KiB, and a header.
const MESSAGE: usize = 8192;

/// A socket on which every message from now on arrives.
pub(super) fn listen() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        flags,
        Some(KOBJECT_UEVENT),
    )?;
    // Where this is refused the queue is shorter, and an overrun is told.
    let _ = sockopt::set_socket_recv_buffer_size_force(&socket, QUEUE);
    bind(&socket, &SocketAddrNetlink::new(0, KERNEL))?;
    Ok(socket)
}

/// The next message; `None` where none comes in time, or nothing is listened to.
pub(super) fn next(socket: Option<&OwnedFd>, wait: Wait) -> io::Result<Option<Vec<u8>>> {
    let Some(socket) = socket else {
        sleep(wait)?;
        return Ok(None);
    };
    let mut wait = wait;
    loop {
        let mut buffer = vec![0; MESSAGE];
        match recvfrom(socket, buffer.as_mut_slice(), RecvFlags::empty()) {
            Ok((len, _, from)) => {
                let from = from.and_then(|address| SocketAddrNetlink::try_from(address).ok());
                // Other programs may write to the group; only the kernel is number 0.
                if from.is_some_and(|from| from.pid() == 0) {
                    buffer.truncate(len);
                    return Ok(Some(buffer));
                }
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                if wait == Wait::No {
                    return Ok(None);
                }
                let timeout = timeout(wait);
                let mut sources = [PollFd::new(socket, PollFlags::IN)];
                match poll(&mut sources, timeout.as_ref()) {
                    Ok(_) => wait = Wait::No,
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Nothing will come: the time passes all the same, as the caller's deadline is what ends its search.
fn sleep(wait: Wait) -> io::Result<()> {
    if wait != Wait::No {
        poll(&mut [], timeout(wait).as_ref())?;
    }
    Ok(())
}

pub(super) fn timeout(wait: Wait) -> Option<Timespec> {
    match wait {
        Wait::No => Some(Timespec::default()),
        Wait::For(time) => Some(Timespec::try_from(time).unwrap_or_default()),
        Wait::Forever => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn nothing_comes_where_nothing_is_listened_to() {
        for wait in [Wait::No, Wait::For(Duration::from_millis(1))] {
            assert_eq!(next(None, wait).unwrap(), None);
        }
    }

    #[test]
    fn a_message_that_is_not_there_is_not_waited_for_beyond_the_time() {
        let Ok(socket) = listen() else {
            eprintln!("SKIPPED: needs netlink");
            return;
        };
        // Devices of this machine may really say something: that is an answer too.
        for wait in [Wait::No, Wait::For(Duration::from_millis(1))] {
            let message = next(Some(&socket), wait).unwrap();
            assert!(message.is_none_or(|message| message.contains(&b'@')));
        }
    }
}
