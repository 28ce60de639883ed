//! DHCP messages: what a client asks, and what a server grants.
//!
//! A server's message is anybody's bytes: lists are cut at a limit, names that could break a configuration file are dropped, and an
//! address that no machine can have makes the message nothing.
//!
//! Source: RFC 2131 2, RFC 2132, RFC 3396 (long options), RFC 3397 (not read: domain search), RFC 3442 (classless routes).

use std::net::Ipv4Addr;

use super::super::{Mac, Route};

const REQUEST: u8 = 1;
const REPLY: u8 = 2;
const ETHERNET: u8 = 1;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Where the options begin: behind the fields of BOOTP and the cookie.
const OPTIONS: usize = 240;
/// Some relays drop what is shorter than a BOOTP message (RFC 1542 2.1).
const SHORTEST: usize = 300;

/// The kinds of messages (RFC 2132 9.6).
const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const ASK: u8 = 3;
const ACKNOWLEDGE: u8 = 5;
const REFUSE: u8 = 6;

/// The numbers of options.
const PAD: u8 = 0;
const SUBNET_MASK: u8 = 1;
const ROUTERS: u8 = 3;
const NAME_SERVERS: u8 = 6;
const HOST_NAME: u8 = 12;
const DOMAIN: u8 = 15;
const MTU: u8 = 26;
const REQUESTED_ADDRESS: u8 = 50;
const LEASE_SECONDS: u8 = 51;
const OVERLOAD: u8 = 52;
const KIND: u8 = 53;
const SERVER: u8 = 54;
const WANTED: u8 = 55;
const LONGEST_MESSAGE: u8 = 57;
const VENDOR_CLASS: u8 = 60;
const CLIENT_ID: u8 = 61;
const CLASSLESS_ROUTES: u8 = 121;
const END: u8 = 255;

/// The longest message that we take, in bytes: what Ethernet carries less the headers.
const LONGEST: u16 = 1472;
/// How many entries of a list count; what is beyond is dropped.
const MAX_LIST: usize = 16;
/// The longest name that counts (RFC 1035 2.3.4).
const MAX_NAME: usize = 253;
/// An MTU up to this is an error of the server: dracut drops it too, as some cheap routers say 576.
const TOO_SMALL_MTU: u16 = 576;

/// What a server grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix_len: u8,
    /// Ways to other networks, the one to all others among them.
    pub(crate) routes: Vec<Route>,
    pub(crate) name_servers: Vec<Ipv4Addr>,
    pub(crate) domain: Option<String>,
    pub(crate) host_name: Option<String>,
    pub(crate) mtu: Option<u32>,
    /// Who grants it.
    pub(crate) server: Ipv4Addr,
    /// How long; `None` where the server does not say.
    pub(crate) seconds: Option<u32>,
}

/// A server's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It would grant this.
    Offer(Lease),
    /// It grants this.
    Grant(Lease),
    /// It refuses what was asked for.
    Refusal,
}

/// What a client says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    pub(crate) mac: Mac,
    /// The number by which answers are known.
    pub(crate) transaction: u32,
    /// Since when the client asks, in seconds.
    pub(crate) seconds: u16,
    /// What is asked for, and of whom; `None` asks who is there.
    pub(crate) wish: Option<(Ipv4Addr, Ipv4Addr)>,
}

impl Question {
    /// The message.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut bytes = vec![REQUEST, ETHERNET, 6, 0];
        bytes.extend(self.transaction.to_be_bytes());
        bytes.extend(self.seconds.to_be_bytes());
        bytes.resize(28, 0);
        bytes.extend(self.mac);
        bytes.resize(236, 0);
        bytes.extend(COOKIE);
        let kind = if self.wish.is_some() { ASK } else { DISCOVER };
        bytes.extend([KIND, 1, kind]);
        // As the loaders of network cards name themselves, so that a server grants the same address again.
        bytes.extend([CLIENT_ID, 7, ETHERNET]);
        bytes.extend(self.mac);
        bytes.extend([LONGEST_MESSAGE, 2]);
        bytes.extend(LONGEST.to_be_bytes());
        bytes.extend([VENDOR_CLASS, 6]);
        bytes.extend(b"liveos");
        if let Some((address, server)) = self.wish {
            bytes.extend([REQUESTED_ADDRESS, 4]);
            bytes.extend(address.octets());
            bytes.extend([SERVER, 4]);
            bytes.extend(server.octets());
        }
        bytes.extend([
            WANTED,
            8,
            SUBNET_MASK,
            CLASSLESS_ROUTES,
            ROUTERS,
            NAME_SERVERS,
        ]);
        bytes.extend([HOST_NAME, DOMAIN, MTU, LEASE_SECONDS, END]);
        let len = bytes.len().max(SHORTEST);
        bytes.resize(len, PAD);
        bytes
    }
}

/// Reads a server's message to this client; `None` for every other, and for what is no message.
pub(crate) fn read(bytes: &[u8], mac: Mac, transaction: u32) -> Option<Answer> {
    let is_ours = bytes.starts_with(&[REPLY, ETHERNET, 6])
        && bytes.get(4..8)? == transaction.to_be_bytes()
        && bytes.get(28..34)? == mac
        && bytes.get(236..OPTIONS)? == COOKIE;
    if !is_ours {
        return None;
    }
    let options = Options::read(bytes)?;
    let kind = *options.value(KIND)?.first()?;
    match kind {
        REFUSE => Some(Answer::Refusal),
        OFFER => lease(bytes, &options).map(Answer::Offer),
        ACKNOWLEDGE => lease(bytes, &options).map(Answer::Grant),
        _ => None,
    }
}

/// The options of a message by number; those that come several times are put together (RFC 3396).
#[derive(Debug, Default)]
struct Options(std::collections::BTreeMap<u8, Vec<u8>>);

impl Options {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut options = Self::default();
        options.add(bytes.get(OPTIONS..)?);
        // The fields for names may hold options too: first the file's, then the server's.
        let overload = options.value(OVERLOAD).and_then(|value| value.first());
        let overload = overload.copied().unwrap_or_default();
        if overload & 1 != 0 {
            options.add(bytes.get(108..236)?);
        }
        if overload & 2 != 0 {
            options.add(bytes.get(44..108)?);
        }
        Some(options)
    }

    /// An option that is longer than what is left ends the reading; those before it count.
    fn add(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((number, after)) = rest.split_first() {
            rest = after;
            match *number {
                PAD => {}
                END => return,
                number => {
                    let Some((len, after)) = rest.split_first() else {
                        return;
                    };
                    let Some((value, after)) = after.split_at_checked(usize::from(*len)) else {
                        return;
                    };
                    self.0.entry(number).or_default().extend_from_slice(value);
                    rest = after;
                }
            }
        }
    }

    fn value(&self, number: u8) -> Option<&[u8]> {
        self.0.get(&number).map(Vec::as_slice)
    }

    fn number<const N: usize>(&self, number: u8) -> Option<[u8; N]> {
        self.value(number)?.try_into().ok()
    }

    fn addresses(&self, number: u8) -> Vec<Ipv4Addr> {
        let (addresses, _) = self.value(number).unwrap_or_default().as_chunks::<4>();
        let addresses = addresses.iter().map(|octets| Ipv4Addr::from(*octets));
        addresses.filter(is_machine).take(MAX_LIST).collect()
    }

    /// A name that can stand in a configuration file.
    fn name(&self, number: u8) -> Option<String> {
        let value = self.value(number)?;
        let end = value.iter().position(|byte| *byte == 0);
        let text = str::from_utf8(value.get(..end.unwrap_or(value.len()))?).ok()?;
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let good = (1..=MAX_NAME).contains(&text.len())
            && !text.starts_with('-')
            && text.bytes().all(is_plain);
        good.then(|| text.to_owned())
    }
}

fn lease(bytes: &[u8], options: &Options) -> Option<Lease> {
    let octets: [u8; 4] = bytes.get(16..20)?.try_into().ok()?;
    let address = Ipv4Addr::from(octets);
    if !is_machine(&address) {
        return None;
    }
    let prefix_len = match options.number(SUBNET_MASK).map(u32::from_be_bytes) {
        Some(mask) if mask.leading_ones() == mask.count_ones() && mask != 0 => mask.leading_ones(),
        _ => class_of(address),
    };
    let prefix_len = u8::try_from(prefix_len).ok()?;
    let mtu = options.number(MTU).map(u16::from_be_bytes);
    Some(Lease {
        address,
        prefix_len,
        routes: routes(address, prefix_len, options),
        name_servers: options.addresses(NAME_SERVERS),
        domain: options.name(DOMAIN),
        host_name: options.name(HOST_NAME),
        mtu: mtu.filter(|mtu| *mtu > TOO_SMALL_MTU).map(u32::from),
        server: options.number(SERVER).map(Ipv4Addr::from)?,
        seconds: options.number(LEASE_SECONDS).map(u32::from_be_bytes),
    })
}

/// Whether one machine can have this address.
fn is_machine(address: &Ipv4Addr) -> bool {
    !(address.octets().first() == Some(&0)
        || address.is_loopback()
        || address.is_multicast()
        || address.octets().first() >= Some(&240))
}

/// How long the network's part is where nobody says: by the classes of RFC 791 3.2.
fn class_of(address: Ipv4Addr) -> u32 {
    match address.octets().first() {
        Some(0..128) => 8,
        Some(128..192) => 16,
        _ => 24,
    }
}

/// The routes of option 121, and only where there are none the first router (RFC 3442: a client that knows the one ignores the other).
fn routes(address: Ipv4Addr, prefix_len: u8, options: &Options) -> Vec<Route> {
    let on_link = |gateway: Ipv4Addr| !same_network(address, gateway, prefix_len);
    if let Some(value) = options.value(CLASSLESS_ROUTES)
        && let Some(mut routes) = classless_routes(value)
    {
        for route in &mut routes {
            route.on_link = route.gateway.is_some_and(on_link);
        }
        return routes;
    }
    let router = options.addresses(ROUTERS).first().copied();
    let default = router.map(|router| Route {
        to: Ipv4Addr::UNSPECIFIED,
        prefix_len: 0,
        gateway: Some(router),
        on_link: on_link(router),
    });
    default.into_iter().collect()
}

/// Whether two addresses are in the same network.
pub(crate) fn same_network(one: Ipv4Addr, other: Ipv4Addr, prefix_len: u8) -> bool {
    let differ = u32::from(one) ^ u32::from(other);
    differ.leading_zeros() >= u32::from(prefix_len)
}

/// Reads option 121: the width of a network, as many of its bytes as that has, and the router; `None` where it is broken.
fn classless_routes(value: &[u8]) -> Option<Vec<Route>> {
    let mut routes = Vec::new();
    let mut rest = value;
    while let Some((width, after)) = rest.split_first() {
        let significant = usize::from(*width).div_ceil(8);
        let (network, after) = after.split_at_checked(significant)?;
        let (router, after) = after.split_at_checked(4)?;
        rest = after;
        let mut octets = [0; 4];
        octets.get_mut(..significant)?.copy_from_slice(network);
        let mask = u32::MAX.checked_shl(32_u32.checked_sub((*width).into())?);
        let router = Ipv4Addr::from(<[u8; 4]>::try_from(router).ok()?);
        routes.push(Route {
            to: Ipv4Addr::from(u32::from_be_bytes(octets) & mask.unwrap_or(0)),
            prefix_len: *width,
            // No router: it is on the same cable.
            gateway: (!router.is_unspecified()).then_some(router),
            on_link: false,
        });
        if routes.len() == MAX_LIST {
            break;
        }
    }
    Some(routes)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const MAC: Mac = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

    /// A server's message with these options.
    pub(crate) fn server(kind: u8, transaction: u32, options: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![REPLY, ETHERNET, 6, 0];
        bytes.extend(transaction.to_be_bytes());
        bytes.resize(16, 0);
        bytes.extend([192, 0, 2, 15]);
        bytes.resize(28, 0);
        bytes.extend(MAC);
        bytes.resize(236, 0);
        bytes.extend(COOKIE);
        bytes.extend([KIND, 1, kind]);
        for (number, value) in options {
            bytes.extend([*number, value.len() as u8]);
            bytes.extend(*value);
        }
        bytes.push(END);
        bytes
    }

    pub(crate) const USUAL: &[(u8, &[u8])] = &[
        (SERVER, &[192, 0, 2, 2]),
        (SUBNET_MASK, &[255, 255, 255, 0]),
        (ROUTERS, &[192, 0, 2, 1, 192, 0, 2, 3]),
        (NAME_SERVERS, &[192, 0, 2, 3]),
        (LEASE_SECONDS, &[0, 1, 81, 128]),
        (DOMAIN, b"example.org"),
        (HOST_NAME, b"machine-7\0"),
        (MTU, &[5, 120]),
    ];

    fn grant(options: &[(u8, &[u8])]) -> Lease {
        match read(&server(ACKNOWLEDGE, 7, options), MAC, 7) {
            Some(Answer::Grant(lease)) => lease,
            other => panic!("{other:?}"),
        }
    }

    fn with(number: u8, value: &[u8]) -> Lease {
        let mut options: Vec<(u8, &[u8])> = USUAL.to_vec();
        options.retain(|(n, _)| *n != number);
        options.push((number, value));
        grant(&options)
    }

    #[test]
    fn a_grant_has_what_the_server_says() {
        let lease = grant(USUAL);
        let expected = Lease {
            address: Ipv4Addr::new(192, 0, 2, 15),
            prefix_len: 24,
            routes: vec![Route {
                to: Ipv4Addr::UNSPECIFIED,
                prefix_len: 0,
                gateway: Some(Ipv4Addr::new(192, 0, 2, 1)),
                on_link: false,
            }],
            name_servers: vec![Ipv4Addr::new(192, 0, 2, 3)],
            domain: Some("example.org".into()),
            host_name: Some("machine-7".into()),
            mtu: Some(1400),
            server: Ipv4Addr::new(192, 0, 2, 2),
            seconds: Some(86_400),
        };
        assert_eq!(lease, expected);
        let offer = read(&server(OFFER, 7, USUAL), MAC, 7);
        assert_eq!(offer, Some(Answer::Offer(expected)));
        assert_eq!(read(&server(REFUSE, 7, &[]), MAC, 7), Some(Answer::Refusal));
    }

    #[test]
    fn classless_routes_take_the_place_of_the_routers() {
        let value: [&[u8]; 3] = [
            &[0, 192, 0, 2, 9],
            &[9, 10, 255, 0, 0, 0, 0],
            &[32, 198, 51, 100, 7, 203, 0, 113, 1],
        ];
        let routes = with(CLASSLESS_ROUTES, &value.concat()).routes;
        let shown: Vec<String> = routes
            .iter()
            .map(|route| {
                super::super::super::Change::Route {
                    index: 1,
                    route: *route,
                }
                .to_string()
            })
            .collect();
        assert_eq!(
            shown,
            [
                "route 1 0.0.0.0/0 by 192.0.2.9",
                "route 1 10.128.0.0/9",
                "route 1 198.51.100.7/32 by 203.0.113.1 on link"
            ]
        );
        // One that is broken is none at all.
        for broken in [
            &[33, 1, 2, 3, 4, 5, 6, 7, 8, 9][..],
            &[24, 10, 0],
            &[0, 1, 2, 3],
        ] {
            let routes = with(CLASSLESS_ROUTES, broken).routes;
            assert_eq!(routes[0].gateway, Some(Ipv4Addr::new(192, 0, 2, 1)));
        }
        let many = [0, 192, 0, 2, 9].repeat(50);
        assert_eq!(with(CLASSLESS_ROUTES, &many).routes.len(), MAX_LIST);
    }

    #[test]
    fn a_gateway_outside_the_network_is_on_the_cable_all_the_same() {
        let lease = with(SUBNET_MASK, &[255, 255, 255, 255]);
        assert!(lease.prefix_len == 32 && lease.routes[0].on_link);
    }

    #[test]
    fn long_options_come_in_pieces_and_names_fields_may_hold_options() {
        let mut options: Vec<(u8, &[u8])> = USUAL.to_vec();
        options.retain(|(n, _)| *n != DOMAIN);
        options.push((DOMAIN, b"exam"));
        options.push((DOMAIN, b"ple.org"));
        options.push((OVERLOAD, &[3]));
        let mut bytes = server(ACKNOWLEDGE, 7, &options);
        bytes[108..115].copy_from_slice(&[DOMAIN, 4, b'.', b'n', b'e', b't', END]);
        bytes[44..51].copy_from_slice(&[NAME_SERVERS, 4, 198, 51, 100, 9, END]);
        let Some(Answer::Grant(lease)) = read(&bytes, MAC, 7) else {
            panic!();
        };
        assert_eq!(lease.domain.as_deref(), Some("example.org.net"));
        assert_eq!(lease.name_servers.len(), 2);
    }

    #[test]
    fn what_could_do_harm_is_left_out() {
        for name in [
            &b"a\nnameserver 6.6.6.6"[..],
            b"",
            b"-rf",
            b"a b",
            b"\xff",
            b"\0",
        ] {
            assert_eq!(with(DOMAIN, name).domain, None);
            assert_eq!(with(HOST_NAME, name).host_name, None);
        }
        assert_eq!(with(DOMAIN, &[b'a'; 254]).domain, None);
        assert_eq!(with(MTU, &[2, 64]).mtu, None);
        assert_eq!(with(MTU, &[2]).mtu, None);
        assert_eq!(
            with(NAME_SERVERS, &[0, 0, 0, 0, 255, 255, 255, 255, 1]).name_servers,
            [] as [Ipv4Addr; 0]
        );
        assert_eq!(with(NAME_SERVERS, &[9; 160]).name_servers.len(), MAX_LIST);
        // A mask with holes, or none: the classes of old.
        for mask in [&[255, 0, 255, 0][..], &[0; 4], &[255]] {
            assert_eq!(with(SUBNET_MASK, mask).prefix_len, 24);
        }
    }

    #[test]
    fn an_address_that_no_machine_has_is_none() {
        for first in [0, 127, 224, 239, 240, 255] {
            let mut bytes = server(OFFER, 7, USUAL);
            bytes[16] = first;
            assert_eq!(read(&bytes, MAC, 7), None, "{first}");
        }
    }

    #[test]
    fn messages_to_others_are_none_and_damaged_ones_do_no_harm() {
        let good = server(OFFER, 7, USUAL);
        assert_eq!(read(&good, MAC, 8), None);
        assert_eq!(read(&good, [2; 6], 7), None);
        let question = Question {
            mac: MAC,
            transaction: 7,
            seconds: 0,
            wish: None,
        };
        assert_eq!(read(&question.write(), MAC, 7), None, "a client's");
        for len in 0..good.len() {
            // It may end after any option; without the server's it is nothing.
            if let Some(Answer::Offer(lease)) = read(&good[..len], MAC, 7) {
                assert!(len > OPTIONS && lease.server == Ipv4Addr::new(192, 0, 2, 2));
            }
        }
        for at in 0..good.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut damaged = good.clone();
                damaged[at] = value;
                let _ = read(&damaged, MAC, 7);
            }
        }
    }

    #[test]
    fn a_question_says_who_asks_and_for_what() {
        let mut question = Question {
            mac: MAC,
            transaction: 0x0102_0304,
            seconds: 9,
            wish: None,
        };
        let bytes = question.write();
        assert_eq!(bytes[..10], [1, 1, 6, 0, 1, 2, 3, 4, 0, 9]);
        assert_eq!(bytes[28..34], MAC);
        assert!(bytes.len() >= SHORTEST);
        let options = Options::read(&bytes).unwrap();
        assert_eq!(options.value(KIND), Some(&[DISCOVER][..]));
        assert_eq!(options.value(CLIENT_ID).unwrap()[1..], MAC);
        assert_eq!(options.value(REQUESTED_ADDRESS), None);
        question.wish = Some((Ipv4Addr::new(192, 0, 2, 15), Ipv4Addr::new(192, 0, 2, 2)));
        let options = Options::read(&question.write()).unwrap();
        assert_eq!(options.value(KIND), Some(&[ASK][..]));
        assert_eq!(options.value(REQUESTED_ADDRESS), Some(&[192, 0, 2, 15][..]));
        assert_eq!(options.value(SERVER), Some(&[192, 0, 2, 2][..]));
        assert_eq!(options.value(WANTED).unwrap().len(), 8);
    }
}
