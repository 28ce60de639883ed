//! The network of the fake machine: cards with cables, a DHCP server, and a server with files.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, Read};
use std::time::Duration;

use rustix::io::Errno;

use super::Fake;
use crate::net::dhcp::message::tests::{USUAL, server};
use crate::net::{Ask, Change, Event, Interface, Network, Reply, Trouble, udp};
use crate::system::{System as _, Wait};

/// A card of the fake machine.
#[derive(Clone, Debug)]
struct Card {
    card: Interface,
    /// From when on the kernel knows it.
    appears: Duration,
    /// From when on something is at the other end of its cable, once it is switched on.
    link: Option<Duration>,
    /// Whether a DHCP server is there.
    served: bool,
    known: bool,
}

/// What a server answers to one question.
#[derive(Debug)]
pub(crate) struct Scripted {
    pub(crate) status: u16,
    pub(crate) len: Option<u64>,
    pub(crate) part: Option<(u64, u64)>,
    pub(crate) validator: Option<&'static str>,
    pub(crate) body: Vec<u8>,
    /// Whether the connection breaks behind the body.
    pub(crate) breaks: bool,
}

/// The network.
#[derive(Debug, Default)]
pub(crate) struct FakeNet {
    cards: Vec<Card>,
    open: BTreeSet<u32>,
    packets: VecDeque<(Duration, u32, Vec<u8>)>,
    replies: VecDeque<Result<Scripted, Trouble>>,
    /// Packets that a DHCP client sent: the kind of each message.
    pub(crate) asked: Vec<(u32, u8)>,
}

impl Fake {
    /// At this second the kernel knows a card of this name; its number is `index`. It has a link when it is switched on, with a DHCP
    /// server behind it.
    pub(crate) fn card(&mut self, second: u64, index: u32, name: &str) -> &mut Self {
        let [.., last] = index.to_be_bytes();
        self.net.cards.push(Card {
            card: Interface {
                index,
                name: name.to_owned(),
                mac: [0x52, 0x54, 0, 0x12, 0x34, last],
                up: false,
                carrier: false,
            },
            appears: Duration::from_secs(second),
            link: Some(Duration::ZERO),
            served: true,
            known: false,
        });
        self
    }

    /// The last card has no cable.
    pub(crate) fn unplugged(&mut self) -> &mut Self {
        self.net.cards.last_mut().unwrap().link = None;
        self
    }

    /// The last card has its link from this second on.
    pub(crate) fn linked_at(&mut self, second: u64) -> &mut Self {
        self.net.cards.last_mut().unwrap().link = Some(Duration::from_secs(second));
        self
    }

    /// Nobody answers at the last card.
    pub(crate) fn silent(&mut self) -> &mut Self {
        self.net.cards.last_mut().unwrap().served = false;
        self
    }

    /// What the server answers next.
    pub(crate) fn replies(&mut self, reply: Result<Scripted, Trouble>) -> &mut Self {
        self.net.replies.push_back(reply);
        self
    }

    /// Brings the state of cards up to the moment; whether something changed.
    fn update_cards(&mut self) -> bool {
        let now = self.clock();
        let mut changed = false;
        for card in &mut self.net.cards {
            if !card.known && card.appears <= now {
                card.known = true;
                changed = true;
            }
            let carrier = card.card.up && card.link.is_some_and(|link| link <= now);
            changed |= card.card.carrier != carrier;
            card.card.carrier = carrier;
        }
        changed
    }
}

impl Network for Fake {
    fn watch_links(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn interfaces(&mut self) -> io::Result<Vec<Interface>> {
        self.update_cards();
        let known = self.net.cards.iter().filter(|card| card.known);
        Ok(known.map(|card| card.card.clone()).collect())
    }

    fn change(&mut self, change: Change) -> io::Result<()> {
        self.act(change.to_string())?;
        if let Change::Up { index } = change {
            let card = self
                .net
                .cards
                .iter_mut()
                .find(|card| card.card.index == index);
            card.ok_or(Errno::NODEV)?.card.up = true;
        }
        Ok(())
    }

    fn open_packets(&mut self, index: u32) -> io::Result<()> {
        self.act(format!("packets {index}"))?;
        self.net.open.insert(index);
        Ok(())
    }

    fn send_packet(&mut self, index: u32, packet: &[u8]) -> io::Result<()> {
        assert!(self.net.open.contains(&index));
        // The client's packet is read as a server would.
        let message = &packet[28..];
        let (transaction, kind) = (message[4..8].try_into().unwrap(), message[242]);
        self.net.asked.push((index, kind));
        let card = self
            .net
            .cards
            .iter()
            .find(|card| card.card.index == index)
            .unwrap();
        if card.served && card.card.carrier {
            let kind = if kind == 1 { 2 } else { 5 };
            let mut answer = server(kind, u32::from_be_bytes(transaction), USUAL);
            answer[28..34].copy_from_slice(&card.card.mac);
            let at = self.now + Duration::from_millis(10);
            let packet = udp::tests::answer(&answer);
            self.net.packets.push_back((at, index, packet));
        }
        Ok(())
    }

    fn close_packets(&mut self) {
        self.net.open.clear();
    }

    fn next_of_network(&mut self, wait: Wait) -> io::Result<Option<Event>> {
        let end = match wait {
            Wait::No => self.now,
            Wait::For(time) => self.now + time,
            Wait::Forever => panic!("waits for ever"),
        };
        let packet = self.net.packets.front().map(|(at, ..)| *at);
        let links = self
            .net
            .cards
            .iter()
            .filter(|card| card.card.up && !card.card.carrier);
        let links = links.filter_map(|card| card.link);
        let news = self
            .net
            .cards
            .iter()
            .filter(|card| !card.known)
            .map(|card| card.appears);
        let change = links.chain(news).min();
        let device = self.events.front().map(|event| event.at);
        let first = [packet, change, device].into_iter().flatten().min();
        let Some(first) = first.filter(|at| *at <= end) else {
            self.now = end;
            return Ok(None);
        };
        self.now = self.now.max(first);
        if self.update_cards() {
            return Ok(Some(Event::Link));
        }
        if packet == Some(first) {
            let (_, index, bytes) = self.net.packets.pop_front().unwrap();
            return Ok(Some(Event::Packet { index, bytes }));
        }
        Ok(self.next_event(Wait::No)?.map(Event::Device))
    }

    fn ask(&mut self, ask: &Ask<'_>) -> Result<Reply, Trouble> {
        let validator = ask.validator.unwrap_or("nothing");
        self.done
            .push(format!("ask {} from {} if {validator}", ask.url, ask.from));
        let Some(reply) = self.net.replies.pop_front() else {
            return Err(Trouble::Unreachable("nobody is there".to_owned()));
        };
        let reply = reply?;
        Ok(Reply {
            status: reply.status,
            len: reply.len,
            part: reply.part,
            validator: reply.validator.map(str::to_owned),
            body: Box::new(Body {
                bytes: reply.body,
                at: 0,
                breaks: reply.breaks,
            }),
        })
    }
}

struct Body {
    bytes: Vec<u8>,
    at: usize,
    breaks: bool,
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let rest = &self.bytes[self.at..];
        if rest.is_empty() && self.breaks {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let count = rest.len().min(buf.len()).min(7000);
        buf[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}
