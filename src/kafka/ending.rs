//! How Kafka's connections end: Kafka closes them without a word.

use super::sessions::Sessions;
use crate::gateway::Farewell;
use crate::node::logs::Logs;
use crate::node::slab::Key;

impl Sessions<'_> {
    /// Ends a connection. There is no message that says why; the broker's log does, when it logs so much.
    pub fn bid_farewell(&mut self, key: Key, farewell: Farewell) {
        let error = match farewell {
            Farewell::Memory => {
                "the memory for requests is used up, and this one does not come whole in time"
            }
            Farewell::NoHandshake(_) | Farewell::Silent(_) => "nothing came for limits.idle_timeout",
        };
        if let Some(connection) = self.connections.get(key) {
            tracing::debug!(peer = connection.peer, error, "closing a connection of a Kafka client");
        }
        self.connections.end(key, crate::gateway::LINGER_MS);
    }

    /// The client sends no more: what only waits is ended.
    pub fn finished(&mut self, key: Key, logs: &mut Logs) {
        self.end_wait(key, logs);
    }

    /// Lets go of what a connection has here, which is being forgotten.
    pub fn close(&mut self, key: Key, logs: &mut Logs) {
        self.forget_fetch(key, logs);
        if let Some(produce) = self.session(key).and_then(|session| session.produce.take()) {
            self.abandon_produce(produce);
        }
    }

    /// Does what is due: fetches that have waited long enough.
    pub fn tick(&mut self, logs: &mut Logs) {
        self.end_due_fetches(logs);
    }

    /// The broker is going down: what a connection waits for is answered.
    pub fn drain(&mut self, key: Key, logs: &mut Logs) {
        self.end_wait(key, logs);
    }

    /// Lets what was blocked of a connection go on.
    pub fn resume(&mut self, key: Key, logs: &mut Logs) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.blocked = false;
        }
        self.unblock_fetch(key, logs);
    }
}
