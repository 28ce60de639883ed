//! The network of this machine: rtnetlink and packet sockets.
#![expect(
    unsafe_code,
    reason = "rustix has no type for the address of a packet socket"
)]

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use contract::media;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send,
    sendto, socket_with, sockopt,
};

use super::{Machine, files, uevents};
use crate::net::netlink::{self, Answer};
use crate::net::{Ask, Change, Event, Interface, Network, Reply, Trouble, http};
use crate::system::Wait;

/// Room for one answer of the kernel, in bytes: it sends at most 32 KiB at once.
const ANSWER: usize = 64 << 10;
/// Room for one packet, in bytes: what carries more than this is none of DHCP's.
const PACKET: usize = 4096;
/// How long the kernel may take to answer; it answers at once, or something is wrong.
const PATIENCE: Duration = Duration::from_secs(10);
/// `ETH_P_IP`: IPv4.
const IPV4: u16 = 0x0800;
/// How often what is there is taken away before cards are looked at all the same.
const BURST: usize = 256;

/// The sockets of the network.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    links: Option<OwnedFd>,
    requests: Option<OwnedFd>,
    sequence: u32,
    packets: BTreeMap<u32, OwnedFd>,
}

/// `struct sockaddr_ll` (Linux, `include/uapi/linux/if_packet.h`).
#[repr(C)]
struct PacketAddress {
    family: u16,
    protocol: u16,
    index: u32,
    hardware: u16,
    kind: u8,
    len: u8,
    address: [u8; 8],
}

const _: () = assert!(size_of::<PacketAddress>() == 20);

impl PacketAddress {
    /// Everyone at the cable of a card.
    fn everyone(index: u32) -> Self {
        Self {
            family: AddressFamily::PACKET.as_raw(),
            protocol: IPV4.to_be(),
            index,
            hardware: 0,
            kind: 0,
            len: 6,
            address: [255, 255, 255, 255, 255, 255, 0, 0],
        }
    }
}

// SAFETY: the pointer is to a `struct sockaddr_ll`, size checked above, that lives while `f` runs, and the length is its own.
unsafe impl SocketAddrArg for PacketAddress {
    unsafe fn with_sockaddr<R>(
        &self,
        f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R,
    ) -> R {
        f(std::ptr::from_ref(self).cast(), 20)
    }
}

fn netlink_socket(groups: u32, flags: SocketFlags) -> io::Result<OwnedFd> {
    let flags = flags | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

impl Sockets {
    /// Sends a request and takes the answers until their end.
    fn exchange(&mut self, write: impl FnOnce(u32) -> Vec<u8>) -> io::Result<Vec<Interface>> {
        self.sequence = self.sequence.wrapping_add(1);
        let socket = match &mut self.requests {
            Some(socket) => socket,
            none => {
                let socket = netlink_socket(0, SocketFlags::empty())?;
                sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(PATIENCE))?;
                none.insert(socket)
            }
        };
        send(&*socket, &write(self.sequence), SendFlags::empty())?;
        let mut found = Vec::new();
        let mut buffer = vec![0; ANSWER];
        loop {
            let (len, _) = match recv(&*socket, buffer.as_mut_slice(), RecvFlags::empty()) {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            let bytes = buffer.get(..len).unwrap_or_default();
            for answer in netlink::answers(bytes, self.sequence) {
                match answer {
                    Answer::End(Ok(())) => return Ok(found),
                    Answer::End(Err(number)) => return Err(netlink::refusal(number)),
                    Answer::Interface(interface) => found.push(interface),
                    Answer::Other => {}
                }
            }
        }
    }

    /// Takes what the kernel says of cards away; whether there was something. What it says is asked for again in one piece.
    fn links_changed(&self) -> bool {
        let Some(socket) = &self.links else {
            return false;
        };
        let mut buffer = vec![0; ANSWER];
        let mut any = false;
        for _ in 0..BURST {
            match recv(socket, buffer.as_mut_slice(), RecvFlags::empty()) {
                // Messages were lost: something changed.
                Ok(_) | Err(Errno::NOBUFS) => any = true,
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        any
    }

    fn next_packet(&self) -> Option<Event> {
        for (index, socket) in &self.packets {
            let mut bytes = vec![0; PACKET];
            // A card that is gone has nothing to say: that it is gone is said elsewhere.
            if let Ok((len, _)) = recv(socket, bytes.as_mut_slice(), RecvFlags::empty()) {
                bytes.truncate(len);
                let index = *index;
                return Some(Event::Packet { index, bytes });
            }
        }
        None
    }
}

impl Network for Machine {
    fn watch_links(&mut self) -> io::Result<()> {
        self.sockets.links = Some(netlink_socket(netlink::LINKS, SocketFlags::NONBLOCK)?);
        Ok(())
    }

    fn interfaces(&mut self) -> io::Result<Vec<Interface>> {
        self.sockets.exchange(netlink::dump_links)
    }

    fn change(&mut self, change: Change) -> io::Result<()> {
        let request = |sequence| netlink::request(change, sequence);
        self.sockets.exchange(request).map(drop)
    }

    fn open_packets(&mut self, index: u32) -> io::Result<()> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let protocol = Protocol::from_raw(
            std::num::NonZeroU32::new(u32::from(IPV4.to_be())).ok_or(Errno::INVAL)?,
        );
        let socket = socket_with(
            AddressFamily::PACKET,
            SocketType::DGRAM,
            flags,
            Some(protocol),
        )?;
        bind(&socket, &PacketAddress::everyone(index))?;
        self.sockets.packets.insert(index, socket);
        Ok(())
    }

    fn send_packet(&mut self, index: u32, packet: &[u8]) -> io::Result<()> {
        let socket = self.sockets.packets.get(&index).ok_or(Errno::NODEV)?;
        let to = PacketAddress::everyone(index);
        sendto(socket, packet, SendFlags::empty(), &to)?;
        Ok(())
    }

    fn close_packets(&mut self) {
        self.sockets.packets.clear();
    }

    fn next_of_network(&mut self, wait: Wait) -> io::Result<Option<Event>> {
        let mut wait = wait;
        loop {
            if let Some(uevents) = &self.uevents
                && let Some(message) = uevents::next(Some(uevents), Wait::No)?
            {
                return Ok(Some(Event::Device(message)));
            }
            if self.sockets.links_changed() {
                return Ok(Some(Event::Link));
            }
            if let Some(packet) = self.sockets.next_packet() {
                return Ok(Some(packet));
            }
            if wait == Wait::No {
                return Ok(None);
            }
            let sources = self.uevents.iter().chain(&self.sockets.links);
            let sources = sources.chain(self.sockets.packets.values());
            let mut sources: Vec<_> = sources
                .map(|source| PollFd::from_borrowed_fd(source.as_fd(), PollFlags::IN))
                .collect();
            match poll(&mut sources, uevents::timeout(wait).as_ref()) {
                Ok(_) => wait = Wait::No,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn ask(&mut self, ask: &Ask<'_>) -> Result<Reply, Trouble> {
        http::ask(ask, || {
            files::read(media::CERTIFICATES, http::MAX_CERTIFICATES)
        })
    }
}
