//! The network: what is needed to fetch a medium, and no more.
//!
//! ```text
//! stage::network ── which card, which address ──┐        netlink   messages to and from the kernel
//!        │                                      ├──────▶ dhcp      asking for an address; udp carries it
//! stage::fetch  ─── the medium, into memory ────┘        http      asking a server for a file
//!                                                        handover  what the system finds of it later
//! ```
//!
//! [`Network`] is what the stages need of the machine; the rest here is values and bytes, and works without one (but for [`http`]).

use std::fmt;
use std::io::{self, Read};
use std::net::Ipv4Addr;

pub(crate) use contract::request::network::Mac;

use crate::system::Wait;

pub(crate) mod dhcp;
pub(crate) mod handover;
pub(crate) mod http;
pub(crate) mod netlink;
pub(crate) mod udp;

/// An Ethernet card, or what acts as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    /// The kernel's number of it.
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) mac: Mac,
    /// Whether it is switched on.
    pub(crate) up: bool,
    /// Whether something answers at the other end of its cable; known only while it is switched on.
    pub(crate) carrier: bool,
}

/// What the kernel is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Switch a card on.
    Up { index: u32 },
    /// Switch a card off; its addresses stay.
    Down { index: u32 },
    /// Set the largest packet, in bytes.
    Mtu { index: u32, mtu: u32 },
    /// Give a card an address.
    Address {
        index: u32,
        address: Ipv4Addr,
        prefix_len: u8,
    },
    /// Send what is for `to` through a card: to `gateway`, or directly.
    Route { index: u32, route: Route },
}

/// A way to a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) to: Ipv4Addr,
    pub(crate) prefix_len: u8,
    pub(crate) gateway: Option<Ipv4Addr>,
    /// Whether the gateway is reached directly, although no network of the card's has it.
    pub(crate) on_link: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up { index } => write!(f, "up {index}"),
            Self::Down { index } => write!(f, "down {index}"),
            Self::Mtu { index, mtu } => write!(f, "mtu {index} {mtu}"),
            Self::Address {
                index,
                address,
                prefix_len,
            } => write!(f, "address {index} {address}/{prefix_len}"),
            Self::Route { index, route } => {
                write!(f, "route {index} {}/{}", route.to, route.prefix_len)?;
                if let Some(gateway) = route.gateway {
                    write!(f, " by {gateway}")?;
                }
                f.write_str(if route.on_link { " on link" } else { "" })
            }
        }
    }
}

/// What happened while we waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The kernel says something of a device, as [`crate::uevent`] reads it.
    Device(Vec<u8>),
    /// A card came, went, or changed.
    Link,
    /// A packet came in: an IPv4 packet, from its header on.
    Packet { index: u32, bytes: Vec<u8> },
}

/// What is asked of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) url: &'a str,
    /// The first byte that is wanted.
    pub(crate) from: u64,
    /// What the server said of the file before: where it says something else now, all of the file is sent.
    pub(crate) validator: Option<&'a str>,
    pub(crate) verify_certificates: bool,
}

/// What a server answered.
pub(crate) struct Reply {
    /// HTTP's code.
    pub(crate) status: u16,
    /// How many bytes follow.
    pub(crate) len: Option<u64>,
    /// Where those bytes begin, and how many the file has; `None` where they are not said to be a part.
    pub(crate) part: Option<(u64, u64)>,
    /// What names this state of the file, and no other.
    pub(crate) validator: Option<String>,
    pub(crate) body: Box<dyn Read>,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} with {:?} bytes, part {:?}",
            self.status, self.len, self.part
        )
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// No name, no way, nobody there, or a connection that broke: later it may be better.
    Unreachable(String),
    /// The server does not prove who it is.
    Certificate(String),
    /// It leads us where we do not go.
    Refused(String),
    /// This is no URL.
    NoUrl(String),
}

/// The network of the machine.
pub(crate) trait Network {
    /// Starts to listen for changes of cards.
    fn watch_links(&mut self) -> io::Result<()>;
    /// Every card that there is.
    fn interfaces(&mut self) -> io::Result<Vec<Interface>>;
    /// Changes something.
    fn change(&mut self, change: Change) -> io::Result<()>;
    /// Starts to receive packets on a card, addressed or not.
    fn open_packets(&mut self, index: u32) -> io::Result<()>;
    /// Sends an IPv4 packet to everyone at a card's cable.
    fn send_packet(&mut self, index: u32, packet: &[u8]) -> io::Result<()>;
    /// Ends what [`open_packets`](Self::open_packets) started, on all cards.
    fn close_packets(&mut self);
    /// What happens next, of devices, cards and packets; `None` where nothing happened in time.
    fn next_of_network(&mut self, wait: Wait) -> io::Result<Option<Event>>;
    /// Asks a server for a file.
    fn ask(&mut self, ask: &Ask<'_>) -> Result<Reply, Trouble>;
}
