//! How connections end: by the client, for what it did, for its silence, or because the broker goes down.

use super::connection::{Connection, Phase, Stall};
use super::connections::{Connections, OWED_LIMIT};
use crate::node::slab::Key;

/// How long a connection that is to be closed is given to take what it is still sent, in milliseconds.
pub const LINGER_MS: u64 = 2_000;

/// How long the answers to a client that sends no more may take, in milliseconds.
pub(super) const LAST_ANSWERS_MS: u64 = 30_000;

/// How often connections are looked at for timeouts, in milliseconds.
const INSPECTION_MS: u64 = 500;

/// Why the broker ends a connection, which its protocol may have words for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// Others want the memory of a request that does not come whole.
    Memory,
    /// No handshake came within so many milliseconds.
    NoHandshake(u64),
    /// Nothing came for so many milliseconds.
    Silent(u64),
}

/// How a connection is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// It need not be told, or cannot.
    Silently,
    /// It is to be told.
    With(Farewell),
}

impl Connections {
    /// Takes no more requests from a connection; what it is owed is sent within `after_ms`.
    pub fn end(&mut self, key: Key, after_ms: u64) {
        let Some(connection) = self.slab.get_mut(key) else { return };
        if connection.is_ending() {
            return;
        }
        connection.phase = Phase::Ending { deadline_ms: self.now_ms + after_ms };
        connection.stall = None;
        connection.wake_reader();
        if !connection.dirty {
            connection.dirty = true;
            self.dirty.push(key);
        }
    }

    /// Whether a connection is given up because others want the memory of what it has sent, and what it is told then; `None` if
    /// it waits for the broker, and is to be kept.
    pub(super) fn give_up(&mut self, key: Key) -> Option<GivenUp> {
        let Some(connection) = self.slab.get(key) else { return Some(GivenUp::Silently) };
        let given_up = match connection.stall {
            _ if connection.is_ending() => return Some(GivenUp::Silently),
            None => GivenUp::With(Farewell::Memory),
            Some(Stall::Own) if connection.takes_nothing(self.now_ms) => {
                self.cut(key);
                GivenUp::Silently
            }
            Some(_) => return None,
        };
        self.given_up += 1;
        Some(given_up)
    }

    /// Tells the operator at once of all who were given up lately.
    pub(super) fn tell_of_given_up(&mut self) {
        let connections = std::mem::take(&mut self.given_up);
        if connections > 0 {
            tracing::warn!(
                shard = self.limits.shard,
                connections,
                "memory for requests is short: closed connections whose requests do not come whole, or who take no answers"
            );
        }
    }

    /// The client sends no more. Whether it is still owed something, of which what only waits is to be ended.
    pub(super) fn finished(&mut self, key: Key) -> bool {
        let Some(connection) = self.slab.get_mut(key) else { return false };
        connection.finished = true;
        let is_ending = connection.is_ending();
        if is_ending {
            self.cut(key);
        }
        !is_ending
    }

    /// Cuts a connection off: its tasks end.
    pub fn cut(&mut self, key: Key) {
        if let Some(connection) = self.slab.get_mut(key) {
            connection.phase = Phase::Cut;
            connection.wake_reader();
            connection.wake_writer();
        }
    }

    /// Forgets a connection, at the end of its writer.
    pub(super) fn close(&mut self, key: Key) {
        if let Some(mut connection) = self.slab.remove(key) {
            tracing::debug!(shard = self.limits.shard, peer = connection.peer, "disconnected");
            self.unsent -= connection.unsent();
            self.reading -= connection.reading;
            // It may be waiting for room, which nobody tells it of any more.
            connection.wake_reader();
        }
    }

    /// Looks after all connections once in a while; gives those that are to be ended.
    pub(super) fn inspect_if_due(&mut self) -> Vec<(Key, Farewell)> {
        if self.now_ms < self.inspected_ms + INSPECTION_MS {
            return Vec::new();
        }
        self.inspected_ms = self.now_ms;
        let due = self.inspect();
        self.tell_of_given_up();
        if self.is_short() {
            self.cut_off_idle_takers();
        }
        due
    }

    /// Connections that were silent for too long.
    fn inspect(&mut self) -> Vec<(Key, Farewell)> {
        let now = self.now_ms;
        let (idle, handshake) = (self.limits.idle_timeout_ms, self.limits.handshake_timeout_ms);
        let due = |connection: &Connection| match connection.phase {
            Phase::New => now >= connection.heard_ms + handshake,
            Phase::Open if connection.unsent() > 0 => {
                now >= connection.sent_ms.max(connection.heard_ms) + idle
            }
            // What a client sends that waits for memory is not read: it may be anything but silent.
            Phase::Open => {
                !connection.waits() && !connection.wants_memory && now >= connection.heard_ms + idle
            }
            Phase::Ending { deadline_ms } => now >= deadline_ms,
            Phase::Cut => false,
        };
        let due: Vec<Key> =
            self.slab.iter().filter(|(_, connection)| due(connection)).map(|(key, _)| key).collect();
        let mut ended = Vec::new();
        for key in due {
            let Some(connection) = self.slab.get(key) else { continue };
            match connection.phase {
                Phase::New => ended.push((key, Farewell::NoHandshake(handshake))),
                Phase::Open if connection.unsent() == 0 => ended.push((key, Farewell::Silent(idle))),
                // It does not take what it is sent, so there is no use in sending more.
                _ => self.cut(key),
            }
        }
        ended
    }

    /// Cuts off clients that have taken nothing for a while, those first that have for longest, until there is enough memory
    /// for the others. They cannot be told: they do not read.
    fn cut_off_idle_takers(&mut self) {
        let now_ms = self.now_ms;
        let takes_nothing =
            |connection: &Connection| connection.phase != Phase::Cut && connection.takes_nothing(now_ms);
        let idle = self.slab.iter().filter(|(_, connection)| takes_nothing(connection));
        let mut idle: Vec<_> =
            idle.map(|(key, connection)| (connection.sent_ms, connection.unsent(), key)).collect();
        idle.sort_unstable();
        let mut owed = self.unsent + self.reading;
        let (mut cut, mut bytes) = (0, 0);
        for (_, unsent, key) in idle {
            if owed < OWED_LIMIT / 4 * 3 {
                break;
            }
            self.cut(key);
            (owed, cut, bytes) = (owed - unsent, cut + 1, bytes + unsent);
        }
        if cut > 0 {
            tracing::warn!(
                shard = self.limits.shard,
                connections = cut,
                bytes,
                "cut off clients that do not take their answers"
            );
        }
    }

    /// Whether every request is answered and every answer sent.
    pub fn is_drained(&self) -> bool {
        let settled = |connection: &Connection| connection.requests == 0 && connection.unsent() == 0;
        self.slab.iter().all(|(_, connection)| settled(connection))
    }

    /// The keys of all connections.
    pub(super) fn keys(&self) -> Vec<Key> {
        self.slab.keys().collect()
    }

    /// Cuts all connections off.
    pub fn cut_all(&mut self) {
        self.keys().into_iter().for_each(|key| self.cut(key));
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::super::connection::TAKING_MS;
    use super::super::connections::Limits;
    use super::super::protocol::Session;
    use super::*;

    const IDLE_MS: u64 = 60_000;

    /// The connections of a shard: one, which has introduced itself.
    fn one_connection() -> (Connections, Key) {
        let limits = Limits {
            shard: 0,
            shards: 1,
            in_flight: 1 << 20,
            handshake_timeout_ms: 1_000,
            idle_timeout_ms: IDLE_MS,
        };
        let mut connections = Connections::new(limits);
        let key = connections.open(Session::Native(Default::default()), Phase::Open, "peer".to_owned());
        (connections, key)
    }

    fn connection(connections: &mut Connections, key: Key) -> &mut Connection {
        connections.get_mut(key).expect("it was opened")
    }

    #[test]
    fn a_client_that_takes_its_answers_is_not_cut_off_for_the_memory_of_its_requests() {
        let (mut connections, key) = one_connection();
        connections.write(key, |output| output.copied().extend_from_slice(b"answers"));
        connection(&mut connections, key).stall = Some(Stall::Own);
        for round in 1..4 {
            connections.set_now(round * (TAKING_MS - 1));
            assert_eq!(connections.give_up(key), None, "it took some a moment ago");
            connections.progressed(key);
        }
        connections.set_now(4 * TAKING_MS);
        assert_eq!(connections.give_up(key), Some(GivenUp::Silently));
        assert_eq!(connection(&mut connections, key).phase, Phase::Cut);
    }

    #[test]
    fn a_client_that_waits_for_memory_is_not_taken_for_silent() {
        let (mut connections, key) = one_connection();
        let mut waited = false;
        let mut poll = |connections: &mut Connections| {
            connections.poll_tick(key, &mut waited, &mut std::task::Context::from_waker(Waker::noop()))
        };
        assert!(poll(&mut connections).is_pending());
        connections.set_now(IDLE_MS + 1);
        assert_eq!(connections.inspect(), []);
        assert!(poll(&mut connections).is_pending(), "it is woken by the tick alone, and waits on");
        connections.wake_for_memory();
        assert_eq!(poll(&mut connections), std::task::Poll::Ready(true));
        let silent = (key, Farewell::Silent(IDLE_MS));
        assert_eq!(connections.inspect(), [silent], "it has all it wants, and says nothing");
        connections.end(key, LINGER_MS);
        assert_eq!(poll(&mut connections), std::task::Poll::Ready(false));
    }
}
