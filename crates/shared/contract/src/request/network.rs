//! What a command line says of the network: dracut's parameters, as a value.
//!
//! Understood so far: IPv4 by DHCP or fixed, on any card, one named card or the card that the firmware booted from. What else dracut's
//! grammar has (IPv6, bonds, bridges, VLANs, new names) is refused where the network is needed, as a boot without it would hang.
//!
//! Source: dracut.cmdline(7) of dracut 059 to 111, section "Network".

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::cmdline::Cmdline;
use crate::failure::{Failure, NETWORK_UNKNOWN, NOT_SUPPORTED};
use crate::parameter as name;

/// A hardware address of Ethernet.
pub type Mac = [u8; 6];

/// How long a network card is waited for where `rd.net.timeout.iflink=` is not given, as in dracut.
pub const DEFAULT_DEVICE_LIMIT: Duration = Duration::from_secs(60);
/// How long any link is waited for where `rd.net.timeout.carrier=` is not given. (dracut gives each card 10 seconds, one after the
/// other; here all cards are tried at once, and links of fast cards need longer.)
pub const DEFAULT_CARRIER_LIMIT: Duration = Duration::from_secs(30);
/// How long an answer of a DHCP server is waited for where `rd.net.timeout.dhcp=` is not given: a switch that looks for loops first
/// forwards nothing for up to 50 seconds.
pub const DEFAULT_DHCP_LIMIT: Duration = Duration::from_secs(75);

/// The longest name of a network device: the kernel's `IFNAMSIZ` has 16 bytes with the one that ends it.
const MAX_DEVICE_NAME: usize = 15;

/// What is to be done with the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Whether the boot needs it.
    pub needed: bool,
    /// What `ip=` says, in order; where there is none, every card asks by DHCP.
    pub addresses: Vec<Address>,
    /// The card that the firmware booted from: no other one is used.
    pub boot_card: Option<Mac>,
    /// Whether cards keep the kernel's names in the system.
    pub keeps_names: bool,
    /// Name servers, before those of DHCP.
    pub name_servers: Vec<Ipv4Addr>,
    /// Whether the name servers of DHCP are used too.
    pub peer_dns: bool,
    /// How long a card is waited for, from the start of the search.
    pub device_limit: Duration,
    /// How long a link is waited for, from the first card on.
    pub carrier_limit: Duration,
    /// How long an address is waited for, from the first link on.
    pub dhcp_limit: Duration,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            needed: false,
            addresses: Vec::new(),
            boot_card: None,
            keeps_names: false,
            name_servers: Vec::new(),
            peer_dns: true,
            device_limit: DEFAULT_DEVICE_LIMIT,
            carrier_limit: DEFAULT_CARRIER_LIMIT,
            dhcp_limit: DEFAULT_DHCP_LIMIT,
        }
    }
}

/// One `ip=`: which card gets its address how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The card; `None` is every card.
    pub device: Option<Device>,
    /// Where its address comes from.
    pub method: Method,
    /// The largest packet, if not the one that DHCP or the driver says, in bytes.
    pub mtu: Option<u32>,
}

/// What names a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// The kernel's name: `eth0`.
    Name(String),
    /// Its hardware address.
    Mac(Mac),
}

/// Where an address comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// From a DHCP server.
    Dhcp,
    /// From the command line.
    Fixed(Fixed),
    /// The card is left alone.
    Off,
}

/// An address that the command line gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// The address.
    pub address: Ipv4Addr,
    /// How many bits of it are the network's, at most 32.
    pub prefix_len: u8,
    /// The way to everywhere else.
    pub gateway: Option<Ipv4Addr>,
}

/// Parameters that change which devices there are. To leave them out would be to boot another network than the one that was meant.
const SHAPES: [&str; 6] = [
    name::BOND,
    name::BRIDGE,
    name::TEAM,
    name::VLAN,
    name::IFNAME,
    name::ROUTE,
];

impl Network {
    /// Reads what the command line says; `needed` where the boot cannot go on without a network.
    ///
    /// Where it is not needed at all nothing is read, so that no media stop for a network that they do not use.
    ///
    /// # Errors
    ///
    /// [`NETWORK_UNKNOWN`] where a parameter cannot be understood, [`NOT_SUPPORTED`] for what is understood and cannot be done.
    pub fn read(
        cmdline: &Cmdline,
        needed: bool,
        notices: &mut Vec<String>,
    ) -> Result<Self, Failure> {
        if !needed {
            return Ok(Self::default());
        }
        for shape in SHAPES {
            if let Some(argument) = cmdline.last(shape) {
                let value = argument.value.as_deref().unwrap_or_default();
                return Err(not_yet(
                    &format!("{shape}={value}"),
                    "network devices of other kinds",
                ));
            }
        }
        let mut network = Self {
            needed,
            peer_dns: cmdline.boolean(&[name::PEER_DNS], true),
            keeps_names: !cmdline.boolean(&[name::UDEV_NAMES], true),
            ..Self::default()
        };
        for value in cmdline.all(name::IP) {
            network.read_ip(value, notices)?;
        }
        for value in cmdline.all(name::NAME_SERVER) {
            match value.parse() {
                Ok(server) => network.name_servers.push(server),
                Err(_) => notices.push(format!("nameserver={value}: only IPv4 is used so far")),
            }
        }
        if cmdline.boolean(&[name::USE_BOOTIF], true)
            && let Some(value) = cmdline.value(name::BOOTIF)
        {
            network.boot_card = boot_card(value);
            if network.boot_card.is_none() {
                notices.push(format!(
                    "BOOTIF={value}: no hardware address, every card is tried"
                ));
            }
        }
        for (key, limit) in [
            (name::DEVICE_LIMIT, &mut network.device_limit),
            (name::CARRIER_LIMIT, &mut network.carrier_limit),
            (name::DHCP_LIMIT, &mut network.dhcp_limit),
        ] {
            match cmdline.value(key).map(str::parse) {
                None => {}
                Some(Ok(seconds)) => *limit = Duration::from_secs(seconds),
                Some(Err(_)) => notices.push(format!("{key}: this is no number of seconds")),
            }
        }
        Ok(network)
    }

    fn read_ip(&mut self, value: &str, notices: &mut Vec<String>) -> Result<(), Failure> {
        let unknown = |what: &str| Failure::new(NETWORK_UNKNOWN, format!("ip={value}: {what}"));
        if value.contains('[') {
            return Err(not_yet(&format!("ip={value}"), "IPv6"));
        }
        let (device, fields) = fields(value);
        // `ip=dhcp`, `ip=eth0:dhcp[:mtu[:mac]]`, `ip=mac:dhcp…`.
        let (device, method, rest) = match (device, fields.as_slice()) {
            (None, [one]) => (None, method(one, value, notices)?, &[][..]),
            (Some(mac), [one, rest @ ..]) => {
                let method = method(one, value, notices)?;
                (Some(Device::Mac(mac)), method, rest)
            }
            (None, [device, one, rest @ ..])
                if !device.is_empty() && device.parse::<Ipv4Addr>().is_err() =>
            {
                (
                    Some(device_name(device, value)?),
                    method(one, value, notices)?,
                    rest,
                )
            }
            (None, [address, _peer, gateway, mask, _host, device, one, rest @ ..]) => {
                let device = match device.is_empty() {
                    true => None,
                    false => Some(device_name(device, value)?),
                };
                let method = match (*one, address.is_empty()) {
                    ("none" | "off" | "static" | "", false) => {
                        Method::Fixed(fixed(address, gateway, mask, &unknown)?)
                    }
                    ("" | "none" | "off" | "static", true) => {
                        return Err(unknown("a fixed address needs the address"));
                    }
                    _ => method(one, value, notices)?,
                };
                (device, method, rest)
            }
            _ => return Err(unknown("this is no form of ip= that is known")),
        };
        let mtu = self.read_rest(rest, value, notices)?;
        self.addresses.push(Address {
            device,
            method,
            mtu,
        });
        Ok(())
    }

    /// What stands behind the method: the MTU and a hardware address, or name servers.
    fn read_rest(
        &mut self,
        rest: &[&str],
        value: &str,
        notices: &mut Vec<String>,
    ) -> Result<Option<u32>, Failure> {
        let mut mtu = None;
        for (place, field) in rest.iter().enumerate().filter(|(_, f)| !f.is_empty()) {
            match (field.parse(), field.parse()) {
                (Ok(number), _) if place == 0 => mtu = Some(number),
                (_, Ok(server)) => self.name_servers.push(server),
                _ => {
                    notices.push(format!("ip={value}: nothing is done from {field:?} on"));
                    break;
                }
            }
        }
        match mtu {
            // RFC 791: every network carries 68 bytes. No hardware carries more than 65535.
            Some(mtu) if !(68..=65535).contains(&mtu) => {
                let cause = format!("ip={value}: {mtu} is no MTU");
                Err(Failure::new(NETWORK_UNKNOWN, cause))
            }
            mtu => Ok(mtu),
        }
    }
}

fn not_yet(given: &str, what: &str) -> Failure {
    Failure::new(NOT_SUPPORTED, format!("{given}: {what}"))
}

/// The fields between colons; a hardware address with colons in front is taken off first.
fn fields(value: &str) -> (Option<Mac>, Vec<&str>) {
    if let Some((head, rest)) = value.split_at_checked(17)
        && let (Some(mac), Some(rest)) = (mac(head), rest.strip_prefix(':'))
    {
        return (Some(mac), rest.split(':').collect());
    }
    (None, value.split(':').collect())
}

fn device_name(text: &str, value: &str) -> Result<Device, Failure> {
    if let Some(mac) = mac(text) {
        return Ok(Device::Mac(mac));
    }
    if text.len() > MAX_DEVICE_NAME || text.contains(['/', ' ']) || text.starts_with('.') {
        let cause = format!("ip={value}: {text:?} is no name of a network device");
        return Err(Failure::new(NETWORK_UNKNOWN, cause));
    }
    Ok(Device::Name(text.to_owned()))
}

/// Methods may be several with commas between: the first that can be done is taken.
fn method(text: &str, value: &str, notices: &mut Vec<String>) -> Result<Method, Failure> {
    let mut found = None;
    for word in text.split(',') {
        match word {
            "dhcp" | "dhcp4" | "on" | "any" | "both" | "single-dhcp" => found = Some(Method::Dhcp),
            "none" | "off" if found.is_none() => found = Some(Method::Off),
            "dhcp6" | "auto6" | "either6" | "link6" | "ibft" | "link-local" => {
                notices.push(format!("ip={value}: {word}: not done yet"));
            }
            _ => {
                let cause = format!("ip={value}: {word:?} is no way to an address");
                return Err(Failure::new(NETWORK_UNKNOWN, cause));
            }
        }
    }
    found.ok_or_else(|| not_yet(&format!("ip={value}"), "a network without IPv4"))
}

fn fixed(
    address: &str,
    gateway: &str,
    mask: &str,
    unknown: &impl Fn(&str) -> Failure,
) -> Result<Fixed, Failure> {
    let parse = |text: &str| -> Result<Ipv4Addr, Failure> {
        let no_address = || unknown(&format!("{text:?} is no IPv4 address"));
        text.parse().map_err(|_| no_address())
    };
    let prefix_len = prefix_len(mask);
    Ok(Fixed {
        address: parse(address)?,
        prefix_len: prefix_len.ok_or_else(|| unknown(&format!("{mask:?} is no network mask")))?,
        gateway: match gateway {
            "" => None,
            text => Some(parse(text)?),
        },
    })
}

/// How many bits a mask has: `255.255.255.0` or `24`. Holes are refused.
fn prefix_len(mask: &str) -> Option<u8> {
    if let Ok(len) = mask.parse::<u8>() {
        return (len <= 32).then_some(len);
    }
    let bits = u32::from(mask.parse::<Ipv4Addr>().ok()?);
    let ones = bits.leading_ones();
    (ones == bits.count_ones())
        .then_some(ones)
        .and_then(|ones| u8::try_from(ones).ok())
}

/// A hardware address: six bytes in hexadecimal with colons or dashes between. That of a group is no card's (IEEE 802: the lowest bit
/// of the first byte).
fn mac(text: &str) -> Option<Mac> {
    let mut mac = [0; 6];
    let mut parts = text.split([':', '-']);
    for byte in &mut mac {
        let part = parts.next().filter(|part| part.len() == 2)?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    let is_group = mac.first().is_none_or(|first| first & 1 == 1);
    (parts.next().is_none() && !is_group).then_some(mac)
}

/// What a PXE loader says: the hardware type (01 is Ethernet) before the address, or the address alone.
fn boot_card(value: &str) -> Option<Mac> {
    let typed = value
        .split_at_checked(3)
        .filter(|(kind, _)| matches!(*kind, "01-" | "01:"))
        .and_then(|(_, rest)| mac(rest));
    typed.or_else(|| mac(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::read(&Cmdline::parse(text), true, &mut Vec::new()).unwrap()
    }

    fn code(text: &str) -> &'static str {
        let read = Network::read(&Cmdline::parse(text), true, &mut Vec::new());
        read.unwrap_err().code.code
    }

    fn one(text: &str) -> Address {
        let network = network(text);
        assert_eq!(network.addresses.len(), 1, "{text}");
        network.addresses[0].clone()
    }

    #[test]
    fn dhcp_is_asked_for_in_many_words() {
        for word in ["dhcp", "on", "any", "both", "single-dhcp", "dhcp,dhcp6"] {
            let address = one(&format!("ip={word}"));
            assert_eq!(
                (address.device, address.method),
                (None, Method::Dhcp),
                "{word}"
            );
        }
        assert_eq!(network("").addresses, []);
        assert_eq!(one("ip=off").method, Method::Off);
    }

    #[test]
    fn a_card_is_named_by_name_or_hardware_address() {
        let mac = [0x52, 0x54, 0, 0x12, 0x34, 0xab];
        for (text, device) in [
            ("ip=eth0:dhcp", Device::Name("eth0".into())),
            ("ip=enp0s3:on:1400", Device::Name("enp0s3".into())),
            ("ip=52:54:00:12:34:ab:dhcp", Device::Mac(mac)),
            ("ip=52-54-00-12-34-AB:dhcp", Device::Mac(mac)),
            ("ip=:::::eth0:dhcp", Device::Name("eth0".into())),
        ] {
            let address = one(text);
            assert_eq!(address.device, Some(device), "{text}");
            assert_eq!(address.method, Method::Dhcp);
        }
        assert_eq!(one("ip=eth0:dhcp:1400:52:54:00:12:34:56").mtu, Some(1400));
        assert_eq!(one("ip=eth0:dhcp::52:54:00:12:34:56").mtu, None);
    }

    #[test]
    fn a_fixed_address_has_its_mask_gateway_and_name_servers() {
        let fixed = Fixed {
            address: Ipv4Addr::new(192, 0, 2, 7),
            prefix_len: 25,
            gateway: Some(Ipv4Addr::new(192, 0, 2, 1)),
        };
        for text in [
            "ip=192.0.2.7::192.0.2.1:255.255.255.128:host:eth0:none",
            "ip=192.0.2.7:192.0.2.9:192.0.2.1:25:host:eth0:off:1500",
            "ip=192.0.2.7::192.0.2.1:25::eth0:none:192.0.2.3:192.0.2.4",
        ] {
            let address = one(text);
            assert_eq!(address.method, Method::Fixed(fixed), "{text}");
            assert_eq!(address.device, Some(Device::Name("eth0".into())));
        }
        let network = network("ip=192.0.2.7:::25:::none:1400:192.0.2.3 nameserver=192.0.2.4");
        let servers = [3, 4].map(|last| Ipv4Addr::new(192, 0, 2, last));
        assert_eq!(network.name_servers, servers);
        assert_eq!(
            (network.addresses[0].mtu, &network.addresses[0].device),
            (Some(1400), &None)
        );
    }

    #[test]
    fn what_cannot_be_understood_stops_the_boot() {
        for text in [
            "ip",
            "ip=dhpc",
            "ip=eth0:dhpc",
            "ip=eth0",
            "ip=192.0.2.7",
            "ip=192.0.2.7::192.0.2.1:255.0.255.0::eth0:none",
            "ip=192.0.2.7::192.0.2.1:33::eth0:none",
            "ip=192.0.2.777::192.0.2.1:24::eth0:none",
            "ip=192.0.2.7::x:24::eth0:none",
            "ip=192.0.2.7:::24::a-name-that-is-too-long:none",
            "ip=192.0.2.7:::24::../x:none",
            "ip=:::::eth0:none",
            "ip=eth0:dhcp:20",
        ] {
            assert_eq!(code(text), NETWORK_UNKNOWN.code, "{text}");
        }
        for text in [
            "ip=dhcp6",
            "ip=eth0:auto6",
            "ip=[2001:db8::1]::[2001:db8::2]:64::eth0:none",
            "vlan=vlan5:eth0",
            "bond=bond0:eth0,eth1",
            "rd.route=10.0.0.0/8:10.1.1.1",
        ] {
            assert_eq!(code(text), NOT_SUPPORTED.code, "{text}");
        }
    }

    #[test]
    fn nothing_of_it_counts_where_no_network_is_needed() {
        let cmdline = Cmdline::parse("ip=nonsense vlan=x bond=y BOOTIF=z");
        let read = Network::read(&cmdline, false, &mut Vec::new()).unwrap();
        assert_eq!(read, Network::default());
    }

    #[test]
    fn the_firmwares_card_is_the_one_that_counts() {
        let mac = Some([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
        for (text, card) in [
            ("BOOTIF=01-52-54-00-12-34-56", mac),
            ("BOOTIF=52:54:00:12:34:56", mac),
            ("BOOTIF=01:52:54:00:12:34:56", mac),
            // As GRUB's variable has it.
            ("BOOTIF=01-52:54:00:12:34:56", mac),
            ("BOOTIF=01-52-54-00-12-34-56 rd.bootif=0", None),
            ("BOOTIF=01-52-54-00-12-34", None),
            ("BOOTIF=eth0", None),
        ] {
            assert_eq!(network(text).boot_card, card, "{text}");
        }
    }

    #[test]
    fn cards_keep_their_names_where_udev_is_told_so() {
        assert!(!network("").keeps_names && network("net.ifnames=0").keeps_names);
    }

    #[test]
    fn limits_are_seconds() {
        let read =
            network("rd.net.timeout.carrier=3 rd.net.timeout.dhcp=4 rd.net.timeout.iflink=x");
        assert_eq!(read.carrier_limit, Duration::from_secs(3));
        assert_eq!(read.dhcp_limit, Duration::from_secs(4));
        assert_eq!(read.device_limit, DEFAULT_DEVICE_LIMIT);
    }
}
