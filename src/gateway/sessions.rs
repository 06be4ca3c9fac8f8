//! All connections of one shard with their protocols: what comes in goes to the protocol of its connection, what has ended to
//! the one that waits for it.

use std::net::IpAddr;

use super::connections::{Connections, Limits, Next, Received};
use super::ending::{Farewell, GivenUp, LAST_ANSWERS_MS};
use super::output::Output;
use super::protocol::Protocol;
use crate::node::logs::Logs;
use crate::node::message::Outcome;
use crate::node::slab::Key;
use crate::{kafka, native};

/// What connections hold, in figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionsUsage {
    /// Connections.
    pub connections: usize,
    /// Fetches that are not answered.
    pub fetches: usize,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Listings of offsets and descriptions of topics that are not answered.
    pub gathered: usize,
    /// Bytes that clients have not taken.
    pub unsent_bytes: usize,
    /// Bytes that are being read for clients.
    pub reading_bytes: usize,
    /// Bytes that fetches count for.
    pub fetching_bytes: usize,
    /// Requests that are not answered.
    pub requests: usize,
    /// Bytes that these count for.
    pub in_flight_bytes: usize,
}

/// The connections, and what each protocol knows beside them.
#[derive(Debug)]
pub struct Sessions {
    pub(super) connections: Connections,
    native: native::State,
    kafka: kafka::State,
}

impl Sessions {
    /// No connections yet.
    pub fn new(limits: Limits, native: native::Settings, kafka: kafka::Settings) -> Self {
        Self {
            connections: Connections::new(limits),
            native: native::State::new(native),
            kafka: kafka::State::new(kafka),
        }
    }

    /// The connections, whatever they speak.
    pub fn connections(&mut self) -> &mut Connections {
        &mut self.connections
    }

    /// The time as it was noted last, in milliseconds of the monotonic clock.
    pub fn now_ms(&self) -> u64 {
        self.connections.now_ms()
    }

    #[inline]
    fn native(&mut self) -> native::Sessions<'_> {
        native::Sessions::new(&mut self.connections, &mut self.native)
    }

    #[inline]
    fn kafka(&mut self) -> kafka::Sessions<'_> {
        kafka::Sessions::new(&mut self.connections, &mut self.kafka)
    }

    /// What the connections hold.
    pub fn usage(&self) -> SessionsUsage {
        let connections = &self.connections;
        let mut usage = SessionsUsage {
            connections: connections.len(),
            unsent_bytes: connections.unsent,
            reading_bytes: connections.reading,
            requests: connections.iter().map(|(_, connection)| connection.requests as usize).sum(),
            in_flight_bytes: connections.iter().map(|(_, connection)| connection.in_flight).sum(),
            ..SessionsUsage::default()
        };
        self.native.add_usage(&mut usage);
        self.kafka.add_usage(&mut usage);
        usage
    }

    /// When something is due, if nothing happens before; milliseconds of the monotonic clock.
    pub fn next_deadline(&self) -> Option<u64> {
        let deadlines = [self.native.next_deadline(), self.kafka.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// Takes on a connection from `peer` to the address `local`.
    pub fn open(&mut self, protocol: Protocol, peer: String, local: IpAddr) -> Key {
        match protocol {
            Protocol::Native => self.native().open(peer),
            Protocol::Kafka => self.kafka().open(peer, local),
        }
    }

    /// Which protocol a connection speaks, unless it is gone.
    #[inline]
    fn protocol(&self, key: Key) -> Option<Protocol> {
        self.connections.get(key).map(|connection| connection.session.protocol())
    }

    /// Takes what a connection has sent, as far as there are whole requests and room for them.
    #[inline]
    pub fn receive(&mut self, key: Key, bytes: &[u8], logs: &mut Logs) -> Received {
        match self.protocol(key) {
            Some(Protocol::Native) => self.native().receive(key, bytes, logs),
            Some(Protocol::Kafka) => self.kafka().receive(key, bytes, logs),
            None => Received { consumed: 0, next: Next::Discard },
        }
    }

    /// Something that a connection of the native protocol waited for has ended.
    #[inline]
    pub fn native_outcome(&mut self, waiter: native::Waiter, outcome: Outcome, logs: &mut Logs) {
        self.native().outcome(waiter, outcome, logs);
    }

    /// Something that a connection of Kafka's protocol waited for has ended.
    #[inline]
    pub fn kafka_outcome(&mut self, waiter: kafka::Waiter, outcome: Outcome, logs: &mut Logs) {
        self.kafka().outcome(waiter, outcome, logs);
    }

    /// Whether [`resume`](Self::resume) has something to do.
    pub fn can_resume(&self) -> bool {
        self.connections.can_resume()
    }

    /// Lets what was blocked go on where there is room now. To be called after outcomes, until it gives `false`.
    pub fn resume(&mut self, logs: &mut Logs) -> bool {
        let Some(key) = self.connections.next_resumable() else { return false };
        match self.protocol(key) {
            Some(Protocol::Native) => self.native().resume(key, logs),
            Some(Protocol::Kafka) => self.kafka().resume(key, logs),
            None => {}
        }
        true
    }

    /// What was given for sending is sent; `output` comes back for further use.
    pub fn sent(&mut self, key: Key, output: Output) {
        self.connections.sent(key, output);
    }

    /// Gives a connection up because others want the memory of what it has sent; `false` if it waits for the broker, and is to
    /// be kept.
    pub fn give_up(&mut self, key: Key) -> bool {
        match self.connections.give_up(key) {
            None => false,
            Some(GivenUp::Silently) => true,
            Some(GivenUp::With(farewell)) => {
                self.bid_farewell(key, farewell);
                true
            }
        }
    }

    /// Ends a connection in the way of its protocol.
    fn bid_farewell(&mut self, key: Key, farewell: Farewell) {
        match self.protocol(key) {
            Some(Protocol::Native) => self.native().bid_farewell(key, farewell),
            Some(Protocol::Kafka) => self.kafka().bid_farewell(key, farewell),
            None => {}
        }
    }

    /// The client sends no more. What it is owed is still sent.
    pub fn finished(&mut self, key: Key, logs: &mut Logs) {
        if self.connections.finished(key) {
            match self.protocol(key) {
                Some(Protocol::Native) => self.native().finished(key, logs),
                Some(Protocol::Kafka) => self.kafka().finished(key, logs),
                None => {}
            }
            self.connections.end(key, LAST_ANSWERS_MS);
        }
    }

    /// Forgets a connection, at the end of its writer.
    pub fn close(&mut self, key: Key, logs: &mut Logs) {
        match self.protocol(key) {
            Some(Protocol::Native) => self.native().close(key, logs),
            Some(Protocol::Kafka) => self.kafka().close(key, logs),
            None => {}
        }
        self.connections.close(key);
    }

    /// Does what is due: requests that have waited long enough, connections that were silent for too long.
    pub fn tick(&mut self, logs: &mut Logs) {
        self.native().tick(logs);
        self.kafka().tick(logs);
        for (key, farewell) in self.connections.inspect_if_due() {
            self.bid_farewell(key, farewell);
        }
        self.connections.wake_for_memory();
    }

    /// The broker is going down: what waits is answered, new work is refused.
    pub fn drain(&mut self, logs: &mut Logs) {
        self.native.drain();
        self.kafka.drain();
        for key in self.connections.keys() {
            match self.protocol(key) {
                Some(Protocol::Native) => self.native().drain(key, logs),
                Some(Protocol::Kafka) => self.kafka().drain(key, logs),
                None => {}
            }
        }
    }
}
