//! How connections end: by the client, for what it did, for its silence, or because the broker goes down.

use std::cmp::Reverse;

use ringmail_wire::protocol::ErrorCode;

use super::connection::{Connection, Phase, Stall};
use super::error::Fault;
use super::output::put_fault;
use super::sessions::{OWED_LIMIT, Sessions};
use crate::node::logs::Logs;
use crate::node::slab::Key;

/// How long a connection that is to be closed is given to take what it is still sent, in milliseconds.
const LINGER_MS: u64 = 2_000;

/// How long the answers to a client that sends no more may take, in milliseconds.
const LAST_ANSWERS_MS: u64 = 30_000;

/// How often connections are looked at for timeouts, in milliseconds.
const INSPECTION_MS: u64 = 500;

impl Sessions {
    /// Tells a client what is wrong, and closes the connection after that.
    pub(super) fn end_with(&mut self, key: Key, api: u8, correlation: u32, fault: &Fault) {
        if let Some(connection) = self.connections.get(key) {
            tracing::debug!(peer = connection.peer, error = %fault.message, "closing a connection");
        }
        self.write(key, |output| put_fault(output, api, correlation, fault));
        self.end(key, LINGER_MS);
    }

    /// Takes no more requests from a connection; what it is owed is sent within `after_ms`.
    fn end(&mut self, key: Key, after_ms: u64) {
        let Some(connection) = self.connections.get_mut(key) else { return };
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

    /// Gives a connection up because others want the memory of what it has sent; `false` if it waits for the broker, and is to
    /// be kept.
    pub fn give_up(&mut self, key: Key) -> bool {
        let Some(connection) = self.connections.get(key) else { return true };
        match connection.stall {
            _ if connection.is_ending() => return true,
            None => {
                let words = "the broker's memory for requests is used up, and this one has not come whole in time: \
                             send requests whole, try again later, or raise limits.in_flight_per_shard; the connection is closed";
                self.end_with(key, 0, 0, &Fault::new(ErrorCode::Overloaded, words));
            }
            Some(Stall::Own) if connection.takes_nothing(self.now_ms) => self.cut(key),
            Some(_) => return false,
        }
        self.given_up += 1;
        true
    }

    /// Tells the operator at once of all who were given up lately.
    fn tell_of_given_up(&mut self) {
        let connections = std::mem::take(&mut self.given_up);
        if connections > 0 {
            tracing::warn!(
                shard = self.settings.shard,
                connections,
                "memory for requests is short: closed connections whose requests do not come whole, or who take no answers"
            );
        }
    }

    /// The client sends no more. What it is owed is still sent.
    pub fn finished(&mut self, key: Key, logs: &mut Logs) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.finished = true;
        if connection.is_ending() {
            self.cut(key);
        } else {
            self.end_subscriptions(key, logs);
            self.end_waits(key, logs);
            self.end(key, LAST_ANSWERS_MS);
        }
    }

    /// Cuts a connection off: its tasks end.
    pub fn cut(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.phase = Phase::Cut;
            connection.wake_reader();
            connection.wake_writer();
        }
    }

    /// Forgets a connection, at the end of its writer.
    pub fn close(&mut self, key: Key, logs: &mut Logs) {
        self.end_subscriptions(key, logs);
        self.forget_fetches(key, logs);
        if let Some(mut connection) = self.connections.remove(key) {
            tracing::debug!(shard = self.settings.shard, peer = connection.peer, "disconnected");
            self.unsent -= connection.unsent();
            self.reading -= connection.reading;
            // It may be waiting for room, which nobody tells it of any more.
            connection.wake_reader();
        }
    }

    /// Does what is due: fetches that have waited long enough, connections that were silent for too long.
    pub fn tick(&mut self, logs: &mut Logs) {
        while let Some(Reverse((deadline_ms, key))) = self.deadlines.peek().copied()
            && deadline_ms <= self.now_ms
        {
            self.deadlines.pop();
            self.fetch_timed_out(key, deadline_ms, logs);
        }
        self.forget_old_deadlines();
        if self.now_ms >= self.inspected_ms + INSPECTION_MS {
            self.inspected_ms = self.now_ms;
            self.inspect();
            self.tell_of_given_up();
            if self.is_short() {
                self.cut_off_idle_takers();
            }
        }
        self.wake_for_memory();
    }

    fn inspect(&mut self) {
        let now = self.now_ms;
        let (idle, handshake) = (self.settings.idle_timeout_ms, self.settings.handshake_timeout_ms);
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
            self.connections.iter().filter(|(_, connection)| due(connection)).map(|(key, _)| key).collect();
        for key in due {
            let Some(connection) = self.connections.get(key) else { continue };
            let words = match connection.phase {
                Phase::New => format!("no handshake came within {handshake} ms: the connection is closed"),
                Phase::Open if connection.unsent() == 0 => {
                    format!("nothing came for {idle} ms: the connection is closed; send a ping to keep one")
                }
                // It does not take what it is sent, so there is no use in sending more.
                _ => {
                    self.cut(key);
                    continue;
                }
            };
            self.end_with(key, 0, 0, &Fault::new(ErrorCode::IdleTimeout, words));
        }
    }

    /// Cuts off clients that have taken nothing for a while, those first that have for longest, until there is enough memory
    /// for the others. They cannot be told: they do not read.
    fn cut_off_idle_takers(&mut self) {
        let now_ms = self.now_ms;
        let takes_nothing =
            |connection: &Connection| connection.phase != Phase::Cut && connection.takes_nothing(now_ms);
        let idle = self.connections.iter().filter(|(_, connection)| takes_nothing(connection));
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
                shard = self.settings.shard,
                connections = cut,
                bytes,
                "cut off clients that do not take their answers"
            );
        }
    }

    /// The broker is going down: what waits is answered, new work is refused.
    pub fn drain(&mut self, logs: &mut Logs) {
        self.draining = true;
        let keys: Vec<Key> = self.connections.keys().collect();
        for key in keys {
            self.shut_subscriptions(key, logs);
            self.end_waits(key, logs);
        }
    }

    /// Whether every request is answered and every answer sent.
    pub fn is_drained(&self) -> bool {
        let settled = |connection: &Connection| connection.requests == 0 && connection.unsent() == 0;
        self.connections.iter().all(|(_, connection)| settled(connection))
    }

    /// Cuts all connections off.
    pub fn cut_all(&mut self) {
        let keys: Vec<Key> = self.connections.keys().collect();
        keys.into_iter().for_each(|key| self.cut(key));
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::super::connection::TAKING_MS;
    use super::super::sessions::Settings;
    use super::*;

    const IDLE_MS: u64 = 60_000;

    /// The connections of a shard: one, which has introduced itself.
    fn one_connection() -> (Sessions, Key) {
        let settings = Settings {
            shard: 0,
            max_frame: 1 << 20,
            in_flight: 1 << 20,
            idle_timeout_ms: IDLE_MS,
            handshake_timeout_ms: 1_000,
            subscriptions: 1,
            fetch_response: 1 << 20,
            host: String::new(),
            ports: vec![1],
        };
        let mut sessions = Sessions::new(settings);
        let key = sessions.open("peer".to_owned());
        connection(&mut sessions, key).phase = Phase::Open;
        (sessions, key)
    }

    fn connection(sessions: &mut Sessions, key: Key) -> &mut Connection {
        sessions.connections.get_mut(key).expect("it was opened")
    }

    #[test]
    fn a_client_that_takes_its_answers_is_not_cut_off_for_the_memory_of_its_requests() {
        let (mut sessions, key) = one_connection();
        sessions.write(key, |output| output.copied().extend_from_slice(b"answers"));
        connection(&mut sessions, key).stall = Some(Stall::Own);
        for round in 1..4 {
            sessions.set_now(round * (TAKING_MS - 1));
            assert!(!sessions.give_up(key), "it took some a moment ago");
            sessions.progressed(key);
        }
        sessions.set_now(4 * TAKING_MS);
        assert!(sessions.give_up(key));
        assert_eq!(connection(&mut sessions, key).phase, Phase::Cut);
    }

    #[test]
    fn a_client_that_waits_for_memory_is_not_taken_for_silent() {
        let (mut sessions, key) = one_connection();
        let mut waited = false;
        let mut poll = |sessions: &mut Sessions| {
            sessions.poll_tick(key, &mut waited, &mut std::task::Context::from_waker(Waker::noop()))
        };
        assert!(poll(&mut sessions).is_pending());
        sessions.set_now(IDLE_MS + 1);
        sessions.inspect();
        assert!(poll(&mut sessions).is_pending(), "it is woken by the tick alone, and waits on");
        sessions.wake_for_memory();
        assert_eq!(poll(&mut sessions), std::task::Poll::Ready(true));
        sessions.inspect();
        assert!(connection(&mut sessions, key).is_ending(), "it has all it wants, and says nothing");
        assert_eq!(poll(&mut sessions), std::task::Poll::Ready(false));
    }
}
