//! How the native protocol's connections end: what the client is told, and what is let go.

use ringmail_wire::protocol::ErrorCode;

use super::error::Fault;
use super::sessions::Sessions;
use crate::gateway::Farewell;
use crate::node::logs::Logs;
use crate::node::slab::Key;

impl Sessions<'_> {
    /// Tells a client why the broker ends the connection, and ends it.
    pub fn bid_farewell(&mut self, key: Key, farewell: Farewell) {
        let fault = match farewell {
            Farewell::Memory => Fault::new(
                ErrorCode::Overloaded,
                "the broker's memory for requests is used up, and this one has not come whole in time: \
                 send requests whole, try again later, or raise limits.in_flight_per_shard; the connection is closed",
            ),
            Farewell::NoHandshake(ms) => Fault::new(
                ErrorCode::IdleTimeout,
                format!("no handshake came within {ms} ms: the connection is closed"),
            ),
            Farewell::Silent(ms) => Fault::new(
                ErrorCode::IdleTimeout,
                format!("nothing came for {ms} ms: the connection is closed; send a ping to keep one"),
            ),
        };
        self.end_with(key, 0, 0, &fault);
    }

    /// The client sends no more: what only waits is ended.
    pub fn finished(&mut self, key: Key, logs: &mut Logs) {
        self.end_subscriptions(key, logs);
        self.end_waits(key, logs);
    }

    /// Lets go of what a connection has here, which is being forgotten.
    pub fn close(&mut self, key: Key, logs: &mut Logs) {
        self.end_subscriptions(key, logs);
        self.forget_fetches(key, logs);
    }

    /// Does what is due: fetches that have waited long enough.
    pub fn tick(&mut self, logs: &mut Logs) {
        self.end_due_fetches(logs);
    }

    /// The broker is going down: what a connection waits for is answered.
    pub fn drain(&mut self, key: Key, logs: &mut Logs) {
        self.shut_subscriptions(key, logs);
        self.end_waits(key, logs);
    }

    /// Lets what was blocked of a connection go on.
    pub fn resume(&mut self, key: Key, logs: &mut Logs) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.blocked = false;
        let Some(session) = self.session(key) else { return };
        for blocked in std::mem::take(&mut session.blocked) {
            self.unblock_subscription(blocked, logs);
        }
        self.unblock_fetches(key, logs);
    }
}
