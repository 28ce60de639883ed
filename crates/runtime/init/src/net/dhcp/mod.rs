//! DHCP for IPv4, as a client that wants an address once: [`message`] is what goes over the wire, [`client`] is when.
//!
//! A lease is not renewed here: the boot takes minutes, and the system asks by itself.

pub(crate) mod client;
pub(crate) mod message;

pub(crate) use client::Client;
pub(crate) use message::{Lease, same_network};
