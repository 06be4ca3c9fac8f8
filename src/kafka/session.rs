//! What Kafka's protocol knows of a connection: above all, the order of its answers.
//!
//! Answers leave in the order of the requests. An answer that is ready before its turn is **held**; it then counts as memory
//! that the connection is owed. So that no more is held than a client can mean to have, at most [`PIPELINE`] requests are taken
//! at a time, and a connection whose newest request waits for anything but an append takes no further ones: it is *muted*.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::coordinate::Adding;
use crate::gateway::Output;
use crate::node::slab::Key;

/// Requests of one connection that are taken and not answered.
pub(super) const PIPELINE: usize = 256;

/// What Kafka's protocol knows of a connection.
#[derive(Debug)]
pub struct Session {
    /// The address that the client has connected to: what it is told to connect to, unless something else is configured.
    pub(super) local: IpAddr,
    /// Requests whose answers have not left, in their order.
    turns: VecDeque<Turn>,
    /// The number of the first of them.
    first: u64,
    /// Whether nothing is taken until the newest request is answered.
    pub(super) muted: bool,
    /// The transaction that its producer adds partitions to by writing to them.
    pub(super) adding: Option<Box<Adding>>,
    /// The Produce that was given back for want of room.
    pub(super) produce: Option<Key>,
    /// The fetch that is not answered.
    pub(super) fetch: Option<Key>,
}

/// A request whose answer has not left.
#[derive(Debug, Default)]
struct Turn {
    /// Its answer, if that is ready.
    held: Option<Output>,
    /// Bytes that the request counts for, once it does.
    begun: Option<u32>,
    /// Bytes that it is to count for at least.
    weight: u32,
}

/// A turn that has come: what was held, and what the request counted for.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) held: Output,
    pub(super) begun: Option<u32>,
}

impl Session {
    /// A connection to the address `local` that has asked for nothing.
    pub fn new(local: IpAddr) -> Self {
        Self {
            local: local.to_canonical(),
            turns: VecDeque::new(),
            first: 0,
            muted: false,
            adding: None,
            produce: None,
            fetch: None,
        }
    }

    /// Whether a further request may be taken.
    #[inline]
    pub(super) fn takes_request(&self) -> bool {
        !self.muted && self.turns.len() < PIPELINE
    }

    /// Takes a request; gives its number.
    #[inline]
    pub(super) fn take(&mut self) -> u64 {
        self.turns.push_back(Turn::default());
        self.first + self.turns.len() as u64 - 1
    }

    /// Forgets the newest request, with which nothing was done.
    pub(super) fn put_back(&mut self) {
        self.turns.pop_back();
    }

    /// A request has been handled: from now on it counts for `bytes`, unless its answer has left.
    #[inline]
    pub(super) fn handled(&mut self, number: u64, bytes: u32) -> Handling {
        let Some(turn) = self.turn(number) else { return Handling::Over };
        let bytes = bytes.max(turn.weight);
        turn.begun = Some(bytes);
        if turn.held.is_some() { Handling::Held(bytes) } else { Handling::Waits(bytes) }
    }

    /// A request that is being handled is to count for so many bytes at least.
    pub(super) fn weigh(&mut self, number: u64, bytes: u32) {
        if let Some(turn) = self.turn(number) {
            turn.weight = bytes;
        }
    }

    fn turn(&mut self, number: u64) -> Option<&mut Turn> {
        self.turns.get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// Whether it is the turn of this request; then it is over, and what it counted for is given.
    #[inline]
    pub(super) fn take_turn(&mut self, number: u64) -> Option<Option<u32>> {
        if number != self.first {
            return None;
        }
        self.first += 1;
        self.turns.pop_front().map(|turn| turn.begun)
    }

    /// Holds an answer until its turn.
    pub(super) fn hold(&mut self, number: u64, answer: Output) {
        if let Some(turn) = self.turn(number) {
            debug_assert!(turn.held.is_none(), "every request is answered once");
            turn.held = Some(answer);
        }
    }

    /// The next answer that was held and whose turn has come.
    #[inline]
    pub(super) fn next_due(&mut self) -> Option<Due> {
        let held = self.turns.front_mut()?.held.take()?;
        let begun = self.turns.pop_front()?.begun;
        self.first += 1;
        Some(Due { held, begun })
    }

    /// Whether the request is the newest one.
    pub(super) fn is_newest(&self, number: u64) -> bool {
        number + 1 == self.first + self.turns.len() as u64
    }
}

/// How far a request is after it was handled.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Handling {
    /// Its answer has left.
    Over,
    /// Its answer waits for its turn; it counts for so many bytes.
    Held(u32),
    /// It is answered later; it counts for so many bytes.
    Waits(u32),
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn session() -> Session {
        Session::new(Ipv4Addr::LOCALHOST.into())
    }

    fn answer(text: &str) -> Output {
        let mut output = Output::default();
        output.copied().extend_from_slice(text.as_bytes());
        output
    }

    #[test]
    fn answers_wait_for_their_turn() {
        let mut session = session();
        let numbers = [session.take(), session.take(), session.take()];
        assert_eq!(session.handled(numbers[0], 10), Handling::Waits(10));
        assert_eq!(session.take_turn(numbers[1]), None);
        session.hold(numbers[1], answer("second"));
        assert_eq!(session.handled(numbers[1], 20), Handling::Held(20));
        assert!(session.next_due().is_none(), "the first is not answered");
        assert_eq!(session.take_turn(numbers[0]), Some(Some(10)));
        let due = session.next_due().expect("it is its turn");
        assert_eq!((due.held.len(), due.begun), (6, Some(20)));
        assert!(session.next_due().is_none());
        assert_eq!(
            (session.take_turn(numbers[2]), session.handled(numbers[2], 1)),
            (Some(None), Handling::Over)
        );
    }

    #[test]
    fn a_request_that_was_put_back_leaves_no_gap() {
        let mut session = session();
        let first = session.take();
        session.put_back();
        assert_eq!(session.take(), first);
        assert!(session.is_newest(first));
        assert_eq!(session.take_turn(first), Some(None));
    }

    #[test]
    fn so_many_at_a_time() {
        let mut session = session();
        for number in 0..PIPELINE as u64 {
            assert_eq!(session.take(), number);
        }
        assert!(!session.takes_request());
        assert_eq!(session.take_turn(0), Some(None));
        assert!(session.takes_request());
        session.muted = true;
        assert!(!session.takes_request());
    }
}
