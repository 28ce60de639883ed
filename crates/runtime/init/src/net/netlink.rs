//! rtnetlink: how cards, addresses and routes are asked for and set.
//!
//! All numbers are in the machine's own byte order; messages and attributes begin at multiples of four bytes. What the kernel answers is
//! read with the same care as a file: a length that leads out of the message ends the reading.
//!
//! Source: Linux, `include/uapi/linux/{netlink,rtnetlink,if_link,if_addr}.h`; rtnetlink(7).

use std::io;
use std::net::Ipv4Addr;

use super::{Change, Interface, Route};

/// The group of messages about cards (`RTMGRP_LINK`).
pub(crate) const LINKS: u32 = 1;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;

const REQUEST: u16 = 0x001;
const ACK: u16 = 0x004;
const REPLACE: u16 = 0x100;
const CREATE: u16 = 0x400;
/// `NLM_F_ROOT | NLM_F_MATCH`.
const DUMP: u16 = 0x300;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;

const IFF_UP: u32 = 1;
const IFF_LOWER_UP: u32 = 1 << 16;
/// `ARPHRD_ETHER`.
const ETHERNET: u16 = 1;
const AF_INET: u8 = 2;
const RT_TABLE_MAIN: u8 = 254;
/// Who made a route: at the start of the machine.
const RTPROT_BOOT: u8 = 3;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;
const RTN_UNICAST: u8 = 1;
const RTNH_F_ONLINK: u32 = 4;

const HEADER: usize = 16;

/// A message while it is written.
struct Writer(Vec<u8>);

impl Writer {
    fn new(kind: u16, flags: u16, sequence: u32) -> Self {
        let mut writer = Self(vec![0; 4]);
        writer.put(&kind.to_ne_bytes());
        writer.put(&flags.to_ne_bytes());
        writer.put(&sequence.to_ne_bytes());
        // From whom: the kernel knows.
        writer.put(&[0; 4]);
        writer
    }

    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Every attribute that is written here has a length of at most four bytes.
    fn attribute(&mut self, kind: u16, value: [u8; 4]) {
        self.put(&8_u16.to_ne_bytes());
        self.put(&kind.to_ne_bytes());
        self.put(&value);
    }

    fn finish(mut self) -> Vec<u8> {
        let len = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        if let Some(field) = self.0.get_mut(..4) {
            field.copy_from_slice(&len.to_ne_bytes());
        }
        self.0
    }
}

/// The request for all cards.
pub(crate) fn dump_links(sequence: u32) -> Vec<u8> {
    let mut writer = Writer::new(RTM_GETLINK, REQUEST | DUMP, sequence);
    link(&mut writer, 0, (0, 0));
    writer.finish()
}

/// The request for a change. The kernel answers with one message whether it was done.
pub(crate) fn request(change: Change, sequence: u32) -> Vec<u8> {
    match change {
        Change::Up { index } => {
            let mut writer = Writer::new(RTM_NEWLINK, REQUEST | ACK, sequence);
            link(&mut writer, index, (IFF_UP, IFF_UP));
            writer.finish()
        }
        Change::Down { index } => {
            let mut writer = Writer::new(RTM_NEWLINK, REQUEST | ACK, sequence);
            link(&mut writer, index, (0, IFF_UP));
            writer.finish()
        }
        Change::Mtu { index, mtu } => {
            let mut writer = Writer::new(RTM_NEWLINK, REQUEST | ACK, sequence);
            link(&mut writer, index, (0, 0));
            writer.attribute(IFLA_MTU, mtu.to_ne_bytes());
            writer.finish()
        }
        Change::Address {
            index,
            address,
            prefix_len,
        } => {
            let flags = REQUEST | ACK | CREATE | REPLACE;
            let mut writer = Writer::new(RTM_NEWADDR, flags, sequence);
            writer.put(&[AF_INET, prefix_len, 0, RT_SCOPE_UNIVERSE]);
            writer.put(&index.to_ne_bytes());
            writer.attribute(IFA_LOCAL, address.octets());
            writer.attribute(IFA_ADDRESS, address.octets());
            // Networks of one or two addresses have none for all (RFC 3021).
            if prefix_len < 31 {
                let host_bits = u32::MAX.checked_shr(prefix_len.into()).unwrap_or(0);
                let everyone = Ipv4Addr::from(u32::from(address) | host_bits);
                writer.attribute(IFA_BROADCAST, everyone.octets());
            }
            writer.finish()
        }
        Change::Route { index, route } => new_route(index, route, sequence),
    }
}

fn new_route(index: u32, route: Route, sequence: u32) -> Vec<u8> {
    let mut writer = Writer::new(RTM_NEWROUTE, REQUEST | ACK | CREATE | REPLACE, sequence);
    let scope = match route.gateway {
        Some(_) => RT_SCOPE_UNIVERSE,
        None => RT_SCOPE_LINK,
    };
    writer.put(&[AF_INET, route.prefix_len, 0, 0]);
    writer.put(&[RT_TABLE_MAIN, RTPROT_BOOT, scope, RTN_UNICAST]);
    let flags = if route.on_link { RTNH_F_ONLINK } else { 0 };
    writer.put(&flags.to_ne_bytes());
    if route.prefix_len > 0 {
        writer.attribute(RTA_DST, route.to.octets());
    }
    if let Some(gateway) = route.gateway {
        writer.attribute(RTA_GATEWAY, gateway.octets());
    }
    writer.attribute(RTA_OIF, index.to_ne_bytes());
    writer.finish()
}

/// `struct ifinfomsg`: the card, its flags, and which of them are to become so.
fn link(writer: &mut Writer, index: u32, (flags, changed): (u32, u32)) {
    // Any family, padding, any kind of hardware.
    writer.put(&[0; 4]);
    writer.put(&index.to_ne_bytes());
    writer.put(&flags.to_ne_bytes());
    writer.put(&changed.to_ne_bytes());
}

/// What the kernel answered to a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Done, or refused.
    End(Result<(), i32>),
    /// A card, and more answers to come.
    Interface(Interface),
    /// Nothing that is used here.
    Other,
}

/// Reads the answers to the request `sequence` from what one `recv` got.
pub(crate) fn answers(bytes: &[u8], sequence: u32) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut rest = bytes;
    while let Some((message, after)) = take(rest, HEADER) {
        rest = after;
        if word(message, 8) != Some(sequence) {
            continue;
        }
        let body = message.get(HEADER..).unwrap_or_default();
        answers.push(match half(message, 4) {
            Some(NLMSG_DONE) => Answer::End(Ok(())),
            Some(NLMSG_ERROR) => {
                let bytes = body.first_chunk().copied().unwrap_or_default();
                match i32::from_ne_bytes(bytes) {
                    0 => Answer::End(Ok(())),
                    number => Answer::End(Err(number.saturating_neg())),
                }
            }
            Some(RTM_NEWLINK) => interface(body).map_or(Answer::Other, Answer::Interface),
            _ => Answer::Other,
        });
    }
    answers
}

/// The first of several items that each begin with their length, and what follows it.
fn take(bytes: &[u8], smallest: usize) -> Option<(&[u8], &[u8])> {
    let len = match smallest {
        HEADER => usize::try_from(word(bytes, 0)?).ok()?,
        _ => usize::from(half(bytes, 0)?),
    };
    let item = bytes.get(..len).filter(|item| item.len() >= smallest)?;
    let next = len.checked_next_multiple_of(4)?;
    Some((item, bytes.get(next..).unwrap_or_default()))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

/// Reads `struct ifinfomsg` and its attributes; `None` for what is no Ethernet card.
fn interface(body: &[u8]) -> Option<Interface> {
    if half(body, 2)? != ETHERNET {
        return None;
    }
    let flags = word(body, 8)?;
    let (mut name, mut mac) = (None, None);
    let mut rest = body.get(16..)?;
    while let Some((attribute, after)) = take(rest, 4) {
        rest = after;
        let value = attribute.get(4..).unwrap_or_default();
        match half(attribute, 2)? {
            IFLA_ADDRESS => mac = value.try_into().ok(),
            IFLA_IFNAME => {
                let text = value.split(|byte| *byte == 0).next();
                name = text.and_then(|text| str::from_utf8(text).ok());
            }
            _ => {}
        }
    }
    Some(Interface {
        index: word(body, 4)?,
        name: name?.to_owned(),
        mac: mac?,
        up: flags & IFF_UP != 0,
        carrier: flags & IFF_UP != 0 && flags & IFF_LOWER_UP != 0,
    })
}

/// A refusal in words.
pub(crate) fn refusal(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = ((value.len() + 4) as u16).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn message(kind: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
        let mut writer = Writer::new(kind, 0, sequence);
        writer.put(body);
        writer.finish()
    }

    /// What the kernel says of a card.
    fn card(hardware: u16, flags: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut body = vec![0, 0];
        body.extend(hardware.to_ne_bytes());
        body.extend(2_u32.to_ne_bytes());
        body.extend(flags.to_ne_bytes());
        body.extend([0; 4]);
        body.extend(attributes.concat());
        message(RTM_NEWLINK, 7, &body)
    }

    fn eth0(flags: u32) -> Vec<u8> {
        let attributes = [
            attribute(99, b"unknown"),
            attribute(IFLA_IFNAME, b"eth0\0"),
            attribute(IFLA_ADDRESS, &MAC),
        ];
        card(ETHERNET, flags, &attributes)
    }

    #[test]
    fn a_card_is_read_and_other_hardware_is_none() {
        let expected = |up, carrier| {
            let name = "eth0".to_owned();
            [Answer::Interface(Interface {
                index: 2,
                name,
                mac: MAC,
                up,
                carrier,
            })]
        };
        assert_eq!(
            answers(&eth0(IFF_UP | IFF_LOWER_UP), 7),
            expected(true, true)
        );
        assert_eq!(answers(&eth0(IFF_UP), 7), expected(true, false));
        assert_eq!(answers(&eth0(IFF_LOWER_UP), 7), expected(false, false));
        let names = [
            attribute(IFLA_IFNAME, b"lo\0"),
            attribute(IFLA_ADDRESS, &[0; 6]),
        ];
        assert_eq!(answers(&card(772, 1, &names), 7), [Answer::Other]);
        assert_eq!(answers(&card(ETHERNET, 1, &names[..1]), 7), [Answer::Other]);
    }

    #[test]
    fn the_end_of_an_answer_says_whether_it_was_done() {
        let mut bytes = eth0(0);
        bytes.extend(message(NLMSG_DONE, 7, &[0; 4]));
        assert_eq!(answers(&bytes, 7).last(), Some(&Answer::End(Ok(()))));
        let refused = message(NLMSG_ERROR, 7, &(-17_i32).to_ne_bytes());
        assert_eq!(answers(&refused, 7), [Answer::End(Err(17))]);
        assert_eq!(
            answers(&message(NLMSG_ERROR, 7, &[0; 20]), 7),
            [Answer::End(Ok(()))]
        );
        assert_eq!(answers(&refused, 8), [], "it answers another request");
    }

    #[test]
    fn damaged_answers_are_read_to_their_damage() {
        let mut whole = eth0(IFF_UP);
        whole.extend(eth0(0));
        for len in 0..whole.len() {
            assert!(answers(&whole[..len], 7).len() < 2, "{len}");
        }
        for at in 0..whole.len() {
            for value in [0, 1, 3, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                assert!(answers(&damaged, 7).len() <= 2);
            }
        }
    }

    #[test]
    fn a_card_is_switched_by_the_one_flag_for_it() {
        let written = |change| request(change, 1)[16..].to_vec();
        let index = [2, 0, 0, 0];
        let up = [[0; 4], index, [1, 0, 0, 0], [1, 0, 0, 0]].concat();
        let down = [[0; 4], index, [0; 4], [1, 0, 0, 0]].concat();
        assert_eq!(written(Change::Up { index: 2 }), up);
        assert_eq!(written(Change::Down { index: 2 }), down);
    }

    #[test]
    fn an_address_comes_with_that_of_everyone() {
        let address = Ipv4Addr::new(192, 0, 2, 7);
        let written = |prefix_len| {
            let change = Change::Address {
                index: 3,
                address,
                prefix_len,
            };
            request(change, 1)
        };
        let bytes = written(25);
        assert_eq!(word(&bytes, 0), Some(bytes.len() as u32));
        assert_eq!(&bytes[16..20], [2, 25, 0, 0]);
        assert_eq!(bytes[bytes.len() - 4..], [192, 0, 2, 127]);
        assert_eq!(written(0)[bytes.len() - 4..], [255; 4]);
        let alone = written(32);
        assert_eq!(
            alone[alone.len() - 12..],
            [192, 0, 2, 7, 8, 0, 1, 0, 192, 0, 2, 7]
        );
    }
}
