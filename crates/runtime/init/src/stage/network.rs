//! The network comes up: drivers are loaded, every card is switched on, and the first that gets an address is the one. Cards without a
//! cable cost nothing, as nobody waits for one card alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use contract::failure::{Failure, NETWORK_REFUSED, NO_ADDRESS, NO_LINK, NO_NETWORK_CARD};
use contract::media;
use contract::request::Request;
use contract::request::network::{Address, Device, Fixed, Mac, Method, Network};

use super::drivers::Drivers;
use super::{Boot, OrStop as _};
use crate::net::dhcp::{Client, Lease};
use crate::net::handover::Connection;
use crate::net::{Change, Event, Interface, Route, udp};
use crate::system::{Level, Wait};
use crate::uevent;

/// Every card has its own module, but packets of a card without an address need this one.
const PACKETS: &str = "af_packet";
/// Where chips between a card and its cable are. The kernel asks a program for their drivers, and there is none here to answer.
const PHYS: &str = "/sys/bus/mdio_bus/devices";
/// The kernel's version.
const RELEASE: &str = "/proc/sys/kernel/osrelease";
/// The first kernel that renames cards that are up (the change "net/core: Allow live renaming when an interface is up").
const LIVE_RENAME: (u32, u32) = (6, 2);
/// Where the kernel lists its routes, and the longest list that is read, in bytes; a longer one counts as none.
const ROUTES: &str = "/proc/net/route";
const MAX_ROUTES: usize = 1 << 20;
/// The longest attribute that is read, in bytes.
const ATTRIBUTE: usize = 4096;

struct Search<'a, 'b> {
    boot: &'a mut Boot<'b>,
    wish: &'a Network,
    drivers: Drivers,
    cards: BTreeMap<u32, Interface>,
    /// Cards that were switched on, and could not be.
    touched: BTreeSet<u32>,
    clients: BTreeMap<u32, Client>,
    began: Duration,
    /// When there was a card, and a link, first.
    first_card: Option<Duration>,
    first_link: Option<Duration>,
}

/// Brings the network up, and leaves word of it for who comes later.
///
/// One that is up is used as it is: a kernel may have configured it, or dracut.
pub(crate) fn run(boot: &mut Boot<'_>, request: &Request) -> Result<Option<Connection>, Failure> {
    if is_up(boot) {
        boot.step("network: it is up already");
        return Ok(None);
    }
    let connection = connect(boot, request)?;
    hand_over(boot, request, &connection);
    let (card, address) = (&connection.card, connection.address);
    let by = match connection.server {
        Some(server) => format!(" from {server}"),
        None => String::new(),
    };
    boot.step(&format!(
        "network: {card} has {address}/{}{by}",
        connection.prefix_len
    ));
    Ok(Some(connection))
}

/// The medium is in memory, and nothing of the boot needs the network any more.
///
/// udev gives cards names of its own, which the system's configuration goes by. Before Linux 6.2 no card that is up gets another name:
/// there it is switched off, and the system finds it as after a boot from a CD.
pub(crate) fn release(boot: &mut Boot<'_>, request: &Request, connection: &Connection) {
    if request.network.keeps_names || kernel(boot) >= Some(LIVE_RENAME) {
        return;
    }
    let index = connection.index;
    match boot.system.change(Change::Down { index }) {
        Ok(()) => boot.system.log(
            Level::Detail,
            &format!(
                "network card {} is switched off, for udev to name it",
                connection.card
            ),
        ),
        Err(error) => boot.warn(&format!("{} stays up: {error}", connection.card)),
    }
}

/// The kernel's version, the first two numbers of it.
fn kernel(boot: &Boot<'_>) -> Option<(u32, u32)> {
    let text = boot.system.read(RELEASE, ATTRIBUTE).ok()?;
    let text = String::from_utf8(text).ok()?;
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Whether there is a way to anywhere by a card.
///
/// Source: Linux, `fib_route_seq_show`: a line for each route below a line of titles, the card's name first.
fn is_up(boot: &Boot<'_>) -> bool {
    let table = boot.system.read(ROUTES, MAX_ROUTES).unwrap_or_default();
    let table = String::from_utf8_lossy(&table);
    let cards = table
        .lines()
        .skip(1)
        .filter_map(|line| line.split('\t').next());
    cards
        .map(str::trim)
        .any(|card| !card.is_empty() && card != "lo")
}

/// Brings the network up; answers with how the machine is on it.
pub(super) fn connect(boot: &mut Boot<'_>, request: &Request) -> Result<Connection, Failure> {
    let doing = "listening for network cards";
    boot.system.listen().or_stop(NO_NETWORK_CARD, doing)?;
    boot.system.watch_links().or_stop(NO_NETWORK_CARD, doing)?;
    let first = request.drivers.pre.iter().cloned();
    let first = first.chain([PACKETS.to_owned()]).collect::<Vec<_>>();
    let began = boot.system.clock();
    let mut search = Search {
        boot,
        wish: &request.network,
        drivers: Drivers::new(first, is_network),
        cards: BTreeMap::new(),
        touched: BTreeSet::new(),
        clients: BTreeMap::new(),
        began,
        first_card: None,
        first_link: None,
    };
    search.drivers.ask_all(search.boot);
    search.until_connected()
}

impl Search<'_, '_> {
    fn until_connected(&mut self) -> Result<Connection, Failure> {
        self.look_at_cards()?;
        loop {
            if let Some(connection) = self.try_fixed()? {
                return Ok(connection);
            }
            self.ask_for_addresses();
            let wait = match self.drivers.next() {
                Some(module) => {
                    self.boot.modules.load(self.boot.system, &module);
                    Wait::No
                }
                None => Wait::For(self.time_left()?),
            };
            match self.boot.system.next_of_network(wait) {
                Ok(None) => {}
                Ok(Some(Event::Link)) => self.look_at_cards()?,
                Ok(Some(Event::Device(message))) => self.take_message(&message)?,
                Ok(Some(Event::Packet { index, bytes })) => {
                    if let Some(connection) = self.take_packet(index, &bytes)? {
                        return Ok(connection);
                    }
                }
                Err(error) => {
                    // Messages were lost: what they were about is still there.
                    let text = format!("messages of the kernel were lost: {error}");
                    self.boot.warn(&text);
                    self.drivers.ask_all(self.boot);
                    self.look_at_cards()?;
                }
            }
        }
    }

    fn take_message(&mut self, message: &[u8]) -> Result<(), Failure> {
        let Some(event) = uevent::parse(message).filter(|event| event.action == "add") else {
            return Ok(());
        };
        if !event.modalias.is_empty() {
            self.drivers.want(self.boot, &event.modalias);
        }
        match event.subsystem.as_str() {
            "net" => self.look_at_cards(),
            _ => Ok(()),
        }
    }

    /// Asks the kernel for all cards, and switches on those that may be used.
    fn look_at_cards(&mut self) -> Result<(), Failure> {
        let doing = "asking for network cards";
        let cards = self
            .boot
            .system
            .interfaces()
            .or_stop(NETWORK_REFUSED, doing)?;
        let now = self.boot.system.clock();
        let wanted = cards
            .into_iter()
            .filter(|card| self.method(card) != Method::Off);
        let cards: BTreeMap<u32, Interface> = wanted.map(|card| (card.index, card)).collect();
        for card in cards.values() {
            self.first_card.get_or_insert(now);
            if card.carrier {
                self.first_link.get_or_insert(now);
            }
            if !card.up && self.touched.insert(card.index) {
                self.load_phys();
                let up = self.boot.system.change(Change::Up { index: card.index });
                let text = match &up {
                    Ok(()) => format!("network card {} is switched on", card.name),
                    Err(error) => format!("network card {} stays off: {error}", card.name),
                };
                let level = if up.is_ok() {
                    Level::Detail
                } else {
                    Level::Warning
                };
                self.boot.system.log(level, &text);
            }
        }
        // A card that lost its link begins anew when it has one again.
        self.clients
            .retain(|index, _| cards.get(index).is_some_and(|card| card.carrier));
        self.cards = cards;
        Ok(())
    }

    /// Loads the drivers of chips that a card is going to look for.
    fn load_phys(&mut self) {
        for phy in self.boot.system.list(PHYS).unwrap_or_default() {
            let id = self
                .boot
                .system
                .read(&format!("{PHYS}/{phy}/phy_id"), ATTRIBUTE);
            let id = id.ok().and_then(|text| {
                let text = String::from_utf8(text).ok()?;
                u32::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok()
            });
            if let Some(id) = id {
                self.boot
                    .modules
                    .load(self.boot.system, &format!("mdio:{id:032b}"));
            }
        }
    }

    fn address_of(&self, card: &Interface) -> Option<&Address> {
        self.wish
            .addresses
            .iter()
            .find(|address| match &address.device {
                None => true,
                Some(Device::Name(name)) => *name == card.name,
                Some(Device::Mac(mac)) => *mac == card.mac,
            })
    }

    /// How a card gets its address. One that `ip=` does not speak of is left alone where it speaks of others.
    fn method(&self, card: &Interface) -> Method {
        if self.wish.boot_card.is_some_and(|mac| mac != card.mac) {
            return Method::Off;
        }
        match self.address_of(card) {
            Some(address) => address.method,
            None if self.wish.addresses.is_empty() => Method::Dhcp,
            None => Method::Off,
        }
    }

    /// Takes the first card with a link and an address of the command line's.
    fn try_fixed(&mut self) -> Result<Option<Connection>, Failure> {
        for card in self.cards.values().filter(|card| card.carrier) {
            if let Method::Fixed(fixed) = self.method(card) {
                let connection = self.connection(&card.clone(), &fixed.into())?;
                return Ok(Some(Connection {
                    server: None,
                    ..connection
                }));
            }
        }
        Ok(None)
    }

    /// Every card with a link has a client, and each says what is due.
    fn ask_for_addresses(&mut self) {
        let now = self.boot.system.clock();
        for card in self.cards.values() {
            if !card.carrier
                || self.clients.contains_key(&card.index)
                || self.method(card) != Method::Dhcp
            {
                continue;
            }
            match self.boot.system.open_packets(card.index) {
                Ok(()) => {
                    let client = Client::new(card.mac, transaction(card.mac, now), now);
                    self.clients.insert(card.index, client);
                }
                Err(error) => self.boot.system.log(
                    Level::Warning,
                    &format!("network card {}: no packets: {error}", card.name),
                ),
            }
        }
        for (index, client) in &mut self.clients {
            if let Some(message) = client.ask(now)
                && let Err(error) = self.boot.system.send_packet(*index, &udp::packet(&message))
            {
                let text = format!("asking for an address: {error}");
                self.boot.system.log(Level::Detail, &text);
            }
        }
    }

    fn take_packet(&mut self, index: u32, bytes: &[u8]) -> Result<Option<Connection>, Failure> {
        let now = self.boot.system.clock();
        let message = udp::message(bytes);
        let client = self.clients.get_mut(&index);
        let Some(lease) = message.and_then(|message| client?.take(message, now)) else {
            return Ok(None);
        };
        match self.cards.get(&index).cloned() {
            Some(card) => self.connection(&card, &lease).map(Some),
            None => Ok(None),
        }
    }

    /// Gives a card what was granted.
    fn connection(&mut self, card: &Interface, lease: &Lease) -> Result<Connection, Failure> {
        self.boot.system.close_packets();
        let index = card.index;
        let asked = self.address_of(card).and_then(|address| address.mtu);
        let mtu = asked.or(lease.mtu).map(|mtu| Change::Mtu { index, mtu });
        let address = Change::Address {
            index,
            address: lease.address,
            prefix_len: lease.prefix_len,
        };
        // Networks on the cable come before those whose gateway is in one of them.
        let (near, far): (Vec<&Route>, Vec<&Route>) = lease
            .routes
            .iter()
            .partition(|route| route.gateway.is_none());
        let routes = near.into_iter().chain(far);
        let routes = routes.map(|route| Change::Route {
            index,
            route: *route,
        });
        for change in mtu.into_iter().chain([address]).chain(routes) {
            let done = self.boot.system.change(change);
            // Without its address nothing works. Without the rest something may.
            match (change, done) {
                (_, Ok(())) => {}
                (Change::Address { .. }, Err(error)) => {
                    let cause = format!("{}: {change}: {error}", card.name);
                    return Err(Failure::new(NETWORK_REFUSED, cause));
                }
                (_, Err(error)) => {
                    self.boot.warn(&format!("{}: {change}: {error}", card.name));
                }
            }
        }
        let peers = lease.name_servers.iter().filter(|_| self.wish.peer_dns);
        Ok(Connection {
            card: card.name.clone(),
            index,
            mac: card.mac,
            address: lease.address,
            prefix_len: lease.prefix_len,
            routes: lease.routes.clone(),
            name_servers: self
                .wish
                .name_servers
                .iter()
                .chain(peers)
                .copied()
                .collect(),
            domain: lease.domain.clone(),
            host_name: lease.host_name.clone(),
            server: Some(lease.server),
        })
    }

    /// How long nothing has to be done; a failure where that is for ever.
    fn time_left(&mut self) -> Result<Duration, Failure> {
        let now = self.boot.system.clock();
        let (from, limit, code) = match (self.first_card, self.first_link) {
            (None, _) => (self.began, self.wish.device_limit, NO_NETWORK_CARD),
            (Some(card), None) => (card, self.wish.carrier_limit, NO_LINK),
            (_, Some(link)) => (link, self.wish.dhcp_limit, NO_ADDRESS),
        };
        let end = from.saturating_add(limit);
        if now >= end {
            let cause = format!("within {} s; seen: {}", limit.as_secs(), self.seen());
            return Err(Failure::new(code, cause));
        }
        let due = self.clients.values().map(Client::due);
        let next = due.chain([end]).min().unwrap_or(end);
        Ok(next.saturating_sub(now))
    }

    /// What cards there are, for the message where none of them works.
    fn seen(&mut self) -> String {
        let cards = self.boot.system.interfaces().unwrap_or_default();
        let cards: Vec<String> = cards
            .iter()
            .map(|card| {
                let [a, b, c, d, e, f] = card.mac;
                let state = match (self.method(card), card.carrier) {
                    (Method::Off, _) => "not asked for",
                    (_, true) => "with a link",
                    (_, false) => "without a link",
                };
                format!(
                    "{} ({a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}, {state})",
                    card.name
                )
            })
            .collect();
        match cards.is_empty() {
            true => "no network card at all".to_owned(),
            false => cards.join(", "),
        }
    }
}

impl From<Fixed> for Lease {
    fn from(fixed: Fixed) -> Self {
        let gateway = fixed.gateway.map(|gateway| Route {
            to: Ipv4Addr::UNSPECIFIED,
            prefix_len: 0,
            gateway: Some(gateway),
            on_link: !crate::net::dhcp::same_network(fixed.address, gateway, fixed.prefix_len),
        });
        Self {
            address: fixed.address,
            prefix_len: fixed.prefix_len,
            routes: gateway.into_iter().collect(),
            name_servers: Vec::new(),
            domain: None,
            host_name: None,
            mtu: None,
            server: Ipv4Addr::UNSPECIFIED,
            seconds: None,
        }
    }
}

/// Writes what the C library, and later the system, finds of the network. None of it is worth stopping for.
fn hand_over(boot: &mut Boot<'_>, request: &Request, connection: &Connection) {
    let resolv_conf = connection.resolv_conf();
    let mut files = vec![
        (media::INITRAMFS_RESOLV_CONF.to_owned(), resolv_conf.clone()),
        (media::RESOLV_CONF.to_owned(), resolv_conf),
    ];
    // Under a name that the card loses, the file would configure a card that is not there.
    if request.network.keeps_names {
        let path = media::network_card(&connection.card);
        files.push((path, connection.klibc_conf()));
    }
    for (path, text) in files {
        let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
        let written = boot
            .system
            .make_dir(folder)
            .and_then(|()| boot.system.write(&path, text.as_bytes()));
        if let Err(error) = written {
            boot.warn(&format!("{path}: {error}"));
        }
    }
}

/// A number that other machines do not use at the same time.
fn transaction(mac: Mac, now: Duration) -> u32 {
    let mut seed = mac.to_vec();
    seed.extend(now.as_nanos().to_le_bytes());
    let digest = blake3::hash(&seed);
    let (first, _) = digest.as_bytes().as_chunks::<4>();
    u32::from_le_bytes(first.first().copied().unwrap_or_default())
}

/// Whether a device that asks for a driver so is a network card, or what one may be behind.
fn is_network(modalias: &str) -> bool {
    match modalias.split_once(':') {
        // Base class 2 is networks.
        Some(("pci", rest)) => rest.contains("bc02"),
        Some((bus, _)) => matches!(bus, "virtio" | "vmbus" | "xen" | "mdio"),
        None => false,
    }
}
