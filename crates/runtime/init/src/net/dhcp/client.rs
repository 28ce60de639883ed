//! When a client asks, and what it makes of the answers. It knows no socket and no clock: it is given packets and times.
//!
//! Source: RFC 2131 3.1 and 4.1, with shorter pauses in the beginning: a machine that boots has no address to lose.

use std::time::Duration;

use super::super::Mac;
use super::message::{self, Answer, Lease, Question};

/// The pauses between questions, the last one again and again, in seconds.
const PAUSES: [u64; 5] = [1, 2, 4, 8, 16];
/// How often an offer is taken up without an answer before the client begins anew.
const ATTEMPTS: usize = 4;

/// A client on one card.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    mac: Mac,
    transaction: u32,
    began: Duration,
    /// When the next question is due.
    due: Duration,
    /// How many questions of this kind were sent.
    sent: usize,
    /// How many questions of the first kind were sent in all.
    rounds: usize,
    /// The offer that is asked for.
    offer: Option<Lease>,
}

impl Client {
    /// A client that asks at once. `transaction` should be a number that no other machine uses at the time.
    pub(crate) fn new(mac: Mac, transaction: u32, now: Duration) -> Self {
        Self {
            mac,
            transaction,
            began: now,
            due: now,
            sent: 0,
            rounds: 0,
            offer: None,
        }
    }

    /// When [`ask`](Self::ask) has something to say next.
    pub(crate) fn due(&self) -> Duration {
        self.due
    }

    /// The message to send at `now`, if one is due.
    pub(crate) fn ask(&mut self, now: Duration) -> Option<Vec<u8>> {
        if now < self.due {
            return None;
        }
        if self.offer.is_some() && self.sent >= ATTEMPTS {
            // The server that offered is gone: whoever else is there is asked.
            self.offer = None;
        }
        let count = match &self.offer {
            Some(_) => self.sent,
            None => {
                self.rounds = self.rounds.saturating_add(1);
                self.rounds.saturating_sub(1)
            }
        };
        self.sent = self.sent.saturating_add(1);
        let pause = PAUSES.get(count).or(PAUSES.last()).copied();
        // Machines that were switched on together must not ask together for ever: up to a quarter of a second more.
        let turn = u32::try_from(self.sent).unwrap_or_default();
        let spread = u64::from(self.transaction.rotate_left(turn) & 0xff);
        let pause =
            Duration::from_secs(pause.unwrap_or(1)).saturating_add(Duration::from_millis(spread));
        self.due = now.saturating_add(pause);
        let seconds = now.saturating_sub(self.began).as_secs();
        let question = Question {
            mac: self.mac,
            transaction: self.transaction,
            seconds: u16::try_from(seconds).unwrap_or(u16::MAX),
            wish: self
                .offer
                .as_ref()
                .map(|offer| (offer.address, offer.server)),
        };
        Some(question.write())
    }

    /// Takes a message that came in at `now`; the lease, where it grants one.
    pub(crate) fn take(&mut self, bytes: &[u8], now: Duration) -> Option<Lease> {
        match (
            message::read(bytes, self.mac, self.transaction)?,
            &self.offer,
        ) {
            // The first offer is taken. All that follow are late.
            (Answer::Offer(lease), None) => {
                self.offer = Some(lease);
                self.sent = 0;
                self.due = now;
                None
            }
            (Answer::Grant(lease), Some(offer)) if lease.address == offer.address => Some(lease),
            (Answer::Refusal, Some(_)) => {
                self.offer = None;
                self.transaction = self.transaction.wrapping_add(1);
                let pause = PAUSES.get(self.rounds).or(PAUSES.last()).copied();
                self.due = now.saturating_add(Duration::from_secs(pause.unwrap_or(1)));
                None
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::{MAC, USUAL, server};
    use super::*;

    const OFFER: u8 = 2;
    const GRANT: u8 = 5;
    const REFUSAL: u8 = 6;

    /// What kind of message this is.
    fn kind(message: &[u8]) -> u8 {
        message[242]
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_asks_takes_the_first_offer_and_has_its_lease() {
        let mut client = Client::new(MAC, 7, at(5));
        assert_eq!(kind(&client.ask(at(5)).unwrap()), 1);
        assert_eq!(client.ask(at(5)), None, "not yet");
        assert_eq!(client.take(&server(OFFER, 7, USUAL), at(6)), None);
        assert_eq!(kind(&client.ask(at(6)).unwrap()), 3);
        let lease = client.take(&server(GRANT, 7, USUAL), at(7)).unwrap();
        assert_eq!(lease.address.octets(), [192, 0, 2, 15]);
    }

    #[test]
    fn it_asks_again_with_growing_pauses() {
        let mut client = Client::new(MAC, 7, at(0));
        let mut times = Vec::new();
        for _ in 0..8 {
            let due = client.due();
            assert!(client.ask(due).is_some());
            times.push(due.as_secs());
        }
        assert_eq!(times, [0, 1, 3, 7, 15, 31, 47, 63]);
    }

    #[test]
    fn a_server_that_offers_and_falls_silent_is_given_up() {
        let mut client = Client::new(MAC, 7, at(0));
        client.ask(at(0));
        client.take(&server(OFFER, 7, USUAL), at(0));
        let kinds: Vec<u8> = (0..6)
            .map(|_| {
                let due = client.due();
                kind(&client.ask(due).unwrap())
            })
            .collect();
        assert_eq!(kinds, [3, 3, 3, 3, 1, 1]);
    }

    #[test]
    fn after_a_refusal_it_begins_anew_under_another_number() {
        let mut client = Client::new(MAC, u32::MAX, at(0));
        client.ask(at(0));
        client.take(&server(OFFER, u32::MAX, USUAL), at(0));
        client.ask(at(0));
        assert_eq!(client.take(&server(REFUSAL, u32::MAX, &[]), at(1)), None);
        assert!(
            client.due() > at(1),
            "a server that always refuses is not asked without end"
        );
        assert_eq!(kind(&client.ask(client.due()).unwrap()), 1);
        assert_eq!(client.take(&server(OFFER, u32::MAX, USUAL), at(9)), None);
        assert_eq!(client.offer, None, "that was to the question before");
    }

    #[test]
    fn what_was_not_asked_for_is_not_taken() {
        let mut client = Client::new(MAC, 7, at(0));
        client.ask(at(0));
        assert_eq!(
            client.take(&server(GRANT, 7, USUAL), at(0)),
            None,
            "nothing was offered"
        );
        assert_eq!(client.take(&server(REFUSAL, 7, USUAL), at(0)), None);
        client.take(&server(OFFER, 7, USUAL), at(0));
        let mut other = server(GRANT, 7, USUAL);
        other[19] = 99;
        assert_eq!(client.take(&other, at(0)), None, "another address");
    }
}
