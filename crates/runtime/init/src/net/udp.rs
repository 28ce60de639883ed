//! IPv4 and UDP around a DHCP message: before a card has an address the kernel does not carry it, so whole packets are written and read.
//!
//! Source: RFC 791 3.1, RFC 768.

use std::net::Ipv4Addr;

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;
const UDP: u8 = 17;
/// Version 4, and a header of five words.
const PLAIN_HEADER: u8 = 0x45;
const IP_HEADER: u16 = 20;
const UDP_HEADER: u16 = 8;
/// How many routers a packet may pass.
const TIME_TO_LIVE: u8 = 64;

/// The packet that carries `message` from a client without an address to all servers. At most 65,507 bytes; what is beyond is cut off.
pub(crate) fn packet(message: &[u8]) -> Vec<u8> {
    let headers = IP_HEADER.saturating_add(UDP_HEADER);
    let room = usize::from(u16::MAX.saturating_sub(headers));
    let message = message.get(..room).unwrap_or(message);
    let len = u16::try_from(message.len()).unwrap_or_default();
    let (from, to) = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST);
    let mut ip = vec![PLAIN_HEADER, 0];
    ip.extend(len.saturating_add(headers).to_be_bytes());
    // Number and place among fragments: there are none.
    ip.extend([0, 0, 0, 0, TIME_TO_LIVE, UDP, 0, 0]);
    ip.extend(from.octets());
    ip.extend(to.octets());
    let sum = checksum(&ip, 0);
    if let Some(field) = ip.get_mut(10..12) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
    let udp_len = len.saturating_add(UDP_HEADER);
    let mut udp = Vec::new();
    for field in [CLIENT_PORT, SERVER_PORT, udp_len, 0] {
        udp.extend(field.to_be_bytes());
    }
    udp.extend_from_slice(message);
    // The checksum is over the addresses, the protocol and the length too.
    let pseudo = [from.octets(), to.octets(), [0, UDP, 0, 0]].concat();
    let before = u32::from(!checksum(&pseudo, u32::from(udp_len)));
    let sum = match checksum(&udp, before) {
        // Nought says that there is none.
        0 => u16::MAX,
        sum => sum,
    };
    if let Some(field) = udp.get_mut(6..8) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
    ip.extend(udp);
    ip
}

/// The message in a packet to a DHCP client; `None` for every other packet.
///
/// UDP's own checksum is not looked at: packets from another machine on the same host come before it is made.
pub(crate) fn message(packet: &[u8]) -> Option<&[u8]> {
    let first = *packet.first()?;
    let header = usize::from(first & 15).checked_mul(4)?;
    let ip = packet.get(..header)?;
    let total = usize::from(number(ip, 2)?);
    let is_whole = number(ip, 6)? & 0x3fff == 0;
    if first >> 4 != 4 || header < usize::from(IP_HEADER) || !is_whole || checksum(ip, 0) != 0 {
        return None;
    }
    if ip.get(9) != Some(&UDP) {
        return None;
    }
    // A frame is longer than its packet where that is short.
    let udp = packet.get(header..total)?;
    let len = usize::from(number(udp, 4)?);
    if number(udp, 2)? != CLIENT_PORT {
        return None;
    }
    udp.get(usize::from(UDP_HEADER)..len)
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

/// The Internet checksum (RFC 1071) of `bytes`, going on from a sum. Nought for a header whose checksum is right.
fn checksum(bytes: &[u8], before: u32) -> u16 {
    let (pairs, last) = bytes.as_chunks::<2>();
    let mut sum = u64::from(before);
    for pair in pairs {
        sum = sum.saturating_add(u16::from_be_bytes(*pair).into());
    }
    if let Some(last) = last.first() {
        sum = sum.saturating_add(u16::from_be_bytes([*last, 0]).into());
    }
    while sum > 0xffff {
        sum = (sum >> 16).saturating_add(sum & 0xffff);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The packet that carries `message` from a server to a client.
    pub(crate) fn answer(message: &[u8]) -> Vec<u8> {
        let mut bytes = packet(message);
        bytes[20..24].copy_from_slice(&[0, 67, 0, 68]);
        bytes
    }

    #[test]
    fn a_message_comes_out_as_it_went_in() {
        for len in [0, 1, 2, 300, 1471] {
            let message_in = vec![0xa5; len];
            let packet = answer(&message_in);
            assert_eq!(message(&packet), Some(message_in.as_slice()));
            let mut frame = packet;
            frame.extend([0; 30]);
            assert_eq!(message(&frame), Some(message_in.as_slice()), "padding");
        }
        assert!(packet(&vec![0; 70_000]).len() <= 65_535);
    }

    #[test]
    fn the_checksums_are_those_of_the_specification() {
        // A packet with every field, its sums made by hand: RFC 1071's way.
        let packet = packet(b"abc");
        assert_eq!(packet.len(), 31);
        assert_eq!(checksum(&packet[..20], 0), 0);
        let udp = &packet[20..];
        let mut whole = [0, 0, 0, 0, 255, 255, 255, 255, 0, 17, 0, 11].to_vec();
        whole.extend(udp);
        assert_eq!(checksum(&whole, 0), 0);
    }

    #[test]
    fn other_packets_are_none_and_damaged_ones_do_no_harm() {
        let good = answer(&[7; 40]);
        assert_eq!(message(&packet(&[7; 40])), None, "it is for a server");
        for len in 0..good.len() {
            assert_eq!(message(&good[..len]), None, "{len}");
        }
        for at in 0..28 {
            for bit in 0..8 {
                let mut damaged = good.clone();
                damaged[at] ^= 1 << bit;
                // Source port and checksum of UDP do not count; a length may be shorter.
                let got = message(&damaged);
                assert!(got.is_none() || (20..28).contains(&at), "byte {at}");
                assert!(got.is_none_or(|got| got.len() <= 40));
            }
        }
    }
}
