//! Kafka's connections of one shard: what came in is taken apart and handed to the handlers, answers leave in their order.
//!
//! Nothing here does I/O or waits.

use std::sync::Arc;

use ringmail_kafka::api::Api;
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::fetch::FetchAnswer;
use ringmail_kafka::frame::{LENGTH_BYTES, RequestHeader, put_response, request_length};
use ringmail_kafka::messages::Body;
use ringmail_wire::protocol::LogId;

use super::broker_configs::BrokerConfig;
use super::changes::Changes;
use super::cluster::Cluster;
use super::coordinate::{Finding, Gathering, Staging};
use super::fetch::Asked;
use super::list_offsets::Listing;
use super::metadata::Creation;
use super::partitions::Partitions;
use super::pieces::Pieces;
use super::produce::Produce;
use super::producers::Describing;
use super::requests::{Handled, Request};
use super::session::{Handling, Session};
use super::waiter::Reply;
use crate::gateway::{Connections, Fetches, LINGER_MS, Next, Output, Phase, Received, SessionsUsage, Stall};
use crate::node::logs::Logs;
use crate::node::slab::{Key, Slab};

/// Bytes that a request counts for at least: about the memory that it takes until its answer has left.
const REQUEST_BYTES: usize = 256;

/// What holds for all connections of Kafka's clients.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The largest request without its length, in bytes.
    pub max_request: usize,
    /// Where the shards are reached, and as which nodes.
    pub cluster: Cluster,
    /// Milliseconds of silence after which a connection is closed; no fetch waits for longer.
    pub idle_timeout_ms: u64,
    /// Bytes of batches in one answer to a fetch.
    pub fetch_response: usize,
    /// Whether topics are created when they are first asked for.
    pub auto_create_topics: bool,
    /// What is told of the configuration of brokers.
    pub broker_configs: Arc<[BrokerConfig]>,
    /// The data directory, as it is told.
    pub log_dir: String,
}

/// What Kafka's protocol keeps beside the connections.
#[derive(Debug)]
pub struct State {
    pub(super) settings: Settings,
    /// Requests that change the catalog.
    pub(super) changes: Slab<Changes>,
    /// Requests about partitions.
    pub(super) partitions: Slab<Partitions>,
    pub(super) produces: Slab<Produce>,
    /// Memory of requests that were answered.
    pub(super) spare_produces: Vec<Produce>,
    /// Memory for the logs that a request appends to.
    pub(super) targets: Vec<Result<LogId, ErrorCode>>,
    pub(super) fetches: Fetches<Asked>,
    /// Memory for answers to fetches.
    pub(super) fetch_answer: FetchAnswer,
    pub(super) pieces: Pieces,
    pub(super) listings: Slab<Listing>,
    /// Answers of coordinators that are not complete.
    pub(super) gatherings: Slab<Gathering>,
    /// Requests that wait for the topic of their coordinators.
    pub(super) findings: Slab<Finding>,
    /// Requests for producers that are not answered.
    pub(super) describings: Slab<Describing>,
    /// Offsets whose partition is being added to their transaction.
    pub(super) stagings: Slab<Staging>,
    /// Requests for metadata that wait for topics to be created.
    pub(super) creations: Slab<Creation>,
    /// Whether the broker is going down.
    pub(super) draining: bool,
}

impl State {
    /// Nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            changes: Slab::default(),
            partitions: Slab::default(),
            produces: Slab::default(),
            spare_produces: Vec::new(),
            targets: Vec::new(),
            fetches: Fetches::default(),
            fetch_answer: FetchAnswer::default(),
            pieces: Pieces::default(),
            listings: Slab::default(),
            gatherings: Slab::default(),
            findings: Slab::default(),
            stagings: Slab::default(),
            describings: Slab::default(),
            creations: Slab::default(),
            draining: false,
        }
    }

    /// Adds what is held for connections of this protocol.
    pub fn add_usage(&self, usage: &mut SessionsUsage) {
        usage.fetches += self.fetches.len();
        usage.fetching_bytes += self.fetches.bytes();
        usage.gathered += self.produces.len() + self.listings.len() + self.creations.len();
        usage.gathered += self.changes.len() + self.partitions.len();
        usage.gathered += self.gatherings.len() + self.findings.len() + self.stagings.len();
        usage.gathered += self.describings.len();
    }

    /// When something is due, if nothing happens before; milliseconds of the monotonic clock.
    pub fn next_deadline(&self) -> Option<u64> {
        self.fetches.next_deadline()
    }

    /// The broker is going down: new work is refused.
    pub fn drain(&mut self) {
        self.draining = true;
    }
}

/// The connections of a shard, as the handlers of Kafka's protocol work with them.
#[derive(Debug)]
pub struct Sessions<'a> {
    pub(super) connections: &'a mut Connections,
    pub(super) own: &'a mut State,
}

impl<'a> Sessions<'a> {
    /// Handlers work with all connections and the protocol's own state.
    #[inline]
    pub fn new(connections: &'a mut Connections, own: &'a mut State) -> Self {
        Self { connections, own }
    }

    /// Takes on a connection from `peer` to the address `local`.
    pub fn open(&mut self, peer: String, local: std::net::IpAddr) -> Key {
        let session = crate::gateway::Session::Kafka(Session::new(local));
        self.connections.open(session, Phase::Open, peer)
    }

    /// What is known of a connection, unless it is gone.
    #[inline]
    pub(super) fn session(&mut self, key: Key) -> Option<&mut Session> {
        match &mut self.connections.get_mut(key)?.session {
            crate::gateway::Session::Kafka(session) => Some(session),
            crate::gateway::Session::Native(_) => None,
        }
    }

    /// Takes what a connection has sent, as far as there are whole requests and room for them.
    pub fn receive(&mut self, key: Key, bytes: &[u8], logs: &mut Logs) -> Received {
        let mut consumed = 0;
        let next = loop {
            let rest = &bytes[consumed..];
            if self.connections.get(key).is_none_or(|connection| connection.is_ending()) {
                break Next::Discard;
            }
            let length = match request_length(rest, self.own.settings.max_request) {
                Ok(Some(length)) => length,
                Ok(None) => break Next::Read(0),
                Err(error) => {
                    self.end_for(key, &error);
                    continue;
                }
            };
            let Some(frame) = rest.get(LENGTH_BYTES..length) else { break Next::Read(length) };
            if !self.takes_request(key) {
                break Next::Stalled;
            }
            match self.request(key, frame, logs) {
                Handled::Done => consumed += length,
                Handled::Busy(shard) => {
                    self.connections.stall(key, length, shard);
                    break Next::Stalled;
                }
                Handled::Waits => {
                    self.stall_own(key);
                    break Next::Stalled;
                }
            }
        };
        Received { consumed, next }
    }

    /// Whether the next request of a connection may be taken; if not, its reader is stalled.
    fn takes_request(&mut self, key: Key) -> bool {
        if self.session(key).is_some_and(|session| session.takes_request()) {
            return self.connections.takes_request(key);
        }
        self.stall_own(key);
        false
    }

    fn stall_own(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.stall = Some(Stall::Own);
        }
    }

    fn request(&mut self, key: Key, frame: &[u8], logs: &mut Logs) -> Handled {
        let (header, body) = match RequestHeader::parse(frame) {
            Ok(parsed) => parsed,
            Err(error) => {
                self.end_for(key, &error);
                return Handled::Done;
            }
        };
        let Some(session) = self.session(key) else { return Handled::Done };
        let number = session.take();
        let RequestHeader { api, version, correlation, .. } = header;
        let reply = Reply { connection: key, number, correlation, version, api };
        match self.handle(&Request { header, body, reply }, logs) {
            Ok(Handled::Done) => self.handled(&reply, frame.len()),
            Ok(again) => {
                if let Some(session) = self.session(key) {
                    session.put_back();
                }
                return again;
            }
            Err(error) => {
                self.answer_nothing(&reply);
                self.end_for(key, &error);
            }
        }
        Handled::Done
    }

    /// A request of so many bytes was taken: it counts until its answer has left.
    #[inline]
    fn handled(&mut self, reply: &Reply, bytes: usize) {
        let bytes = u32::try_from(bytes.max(REQUEST_BYTES)).unwrap_or(u32::MAX);
        let Some(session) = self.session(reply.connection) else { return };
        let bytes = match session.handled(reply.number, bytes) {
            Handling::Over => return,
            Handling::Held(bytes) => bytes,
            Handling::Waits(bytes) => {
                session.muted |= reply.api != Api::Produce;
                bytes
            }
        };
        self.connections.begin(reply.connection, bytes);
    }

    /// Has a request that is being handled count for as much memory as so many items take, however short it is.
    pub(super) fn weigh(&mut self, reply: &Reply, items: usize) {
        let bytes = u32::try_from(items * REQUEST_BYTES).unwrap_or(u32::MAX);
        if let Some(session) = self.session(reply.connection) {
            session.weigh(reply.number, bytes);
        }
    }

    /// Answers a request.
    pub(super) fn answer<'b>(&mut self, reply: &Reply, body: &impl Body<'b>) {
        let (version, correlation) = (reply.version, reply.correlation);
        self.answer_with(reply, |output| put_response(output.copied(), version, correlation, body));
    }

    /// A request has no answer.
    pub(super) fn answer_nothing(&mut self, reply: &Reply) {
        self.answer_with(reply, |_| ());
    }

    /// Answers a request with what `write` writes: at once if it is its turn, else when it comes.
    #[inline]
    pub(super) fn answer_with(&mut self, reply: &Reply, write: impl FnOnce(&mut Output)) {
        let key = reply.connection;
        let Some(session) = self.session(key) else { return };
        session.muted &= !session.is_newest(reply.number);
        match session.take_turn(reply.number) {
            Some(begun) => {
                self.connections.write(key, write);
                self.settle(key, begun);
                self.send_due(key);
            }
            None => {
                let mut answer = Output::default();
                write(&mut answer);
                let bytes = answer.len();
                session.hold(reply.number, answer);
                self.connections.begin_reading(key, bytes);
            }
        }
    }

    /// Sends what was held and whose turn has come.
    fn send_due(&mut self, key: Key) {
        while let Some(due) = self.session(key).and_then(Session::next_due) {
            self.connections.end_reading(key, due.held.len());
            self.connections.write(key, |output| output.append(due.held));
            self.settle(key, due.begun);
        }
    }

    fn settle(&mut self, key: Key, begun: Option<u32>) {
        if let Some(bytes) = begun {
            self.connections.settle(key, bytes);
        }
    }

    /// Ends a connection whose client does not speak the protocol. What it asked for before is still answered.
    pub(super) fn end_for(&mut self, key: Key, error: &dyn std::error::Error) {
        if let Some(connection) = self.connections.get(key) {
            tracing::debug!(peer = connection.peer, %error, "closing a connection of a Kafka client");
        }
        self.connections.end(key, LINGER_MS);
    }
}
