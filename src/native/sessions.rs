//! The native protocol's connections of one shard: what came in is taken apart and handed to the handlers.
//!
//! Nothing here does I/O or waits.

use ringmail_wire::protocol::{ErrorCode, FrameHeader, Message, put_frame};

use super::error::{Fault, put_fault};
use super::offsets::Listing;
use super::requests::{Handled, Request};
use super::session::Session;
use super::subscribe::Subscription;
use super::topics::Description;
use super::waiter::Reply;
use crate::gateway::{Connections, Fetches, LINGER_MS, Next, Phase, Received, SessionsUsage};
use crate::node::logs::Logs;
use crate::node::slab::{Key, Slab};

/// What holds for all connections of the native protocol.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The shard that they are on.
    pub shard: u16,
    /// The largest frame, in bytes.
    pub max_frame: usize,
    /// Bytes of unanswered requests past which a connection is not read.
    pub in_flight: usize,
    /// Milliseconds of silence after which a connection is closed.
    pub idle_timeout_ms: u64,
    /// Subscriptions of one connection.
    pub subscriptions: usize,
    /// Bytes of batches in one answer to a fetch.
    pub fetch_response: usize,
    /// The host that clients are told to connect to; empty for the one that they are connected to.
    pub host: String,
    /// The port of each shard.
    pub ports: Vec<u16>,
}

/// What the native protocol keeps beside the connections.
#[derive(Debug)]
pub struct State {
    pub(super) settings: Settings,
    pub(super) fetches: Fetches<Reply>,
    pub(super) subscriptions: Slab<Subscription>,
    pub(super) listings: Slab<Listing>,
    pub(super) descriptions: Slab<Description>,
    /// Batches that were refused without telling their producers, who want no acknowledgement.
    pub(super) refused_silently: u64,
    /// Whether the broker is going down.
    pub(super) draining: bool,
}

impl State {
    /// Nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            fetches: Fetches::default(),
            subscriptions: Slab::default(),
            listings: Slab::default(),
            descriptions: Slab::default(),
            refused_silently: 0,
            draining: false,
        }
    }

    /// Adds what is held for connections of this protocol.
    pub fn add_usage(&self, usage: &mut SessionsUsage) {
        usage.fetches += self.fetches.len();
        usage.subscriptions += self.subscriptions.len();
        usage.gathered += self.listings.len() + self.descriptions.len();
        usage.fetching_bytes += self.fetches.bytes();
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

/// The connections of a shard, as the native protocol's handlers work with them.
#[derive(Debug)]
pub struct Sessions<'a> {
    pub(super) connections: &'a mut Connections,
    pub(super) own: &'a mut State,
}

impl<'a> Sessions<'a> {
    /// Handlers of the native protocol work with all connections and its own state.
    #[inline]
    pub fn new(connections: &'a mut Connections, own: &'a mut State) -> Self {
        Self { connections, own }
    }

    /// Takes on a connection from `peer`.
    pub fn open(&mut self, peer: String) -> Key {
        let session = crate::gateway::Session::Native(Session::default());
        self.connections.open(session, Phase::New, peer)
    }

    /// What is known of a connection, unless it is gone.
    #[inline]
    pub(super) fn session(&mut self, key: Key) -> Option<&mut Session> {
        session_of(self.connections, key)
    }

    /// Takes what a connection has sent, as far as there are whole requests and room for them.
    pub fn receive(&mut self, key: Key, bytes: &[u8], logs: &mut Logs) -> Received {
        let mut consumed = 0;
        let next = loop {
            let Some(connection) = self.connections.get(key) else { break Next::Discard };
            if connection.is_ending() {
                break Next::Discard;
            }
            let rest = &bytes[consumed..];
            let header = match FrameHeader::parse(rest) {
                Ok(Some(header)) => header,
                Ok(None) => break Next::Read(0),
                Err(error) => {
                    self.end_with(key, 0, 0, &Fault::new(ErrorCode::MalformedRequest, error.to_string()));
                    continue;
                }
            };
            let frame = header.frame_bytes();
            if frame > self.own.settings.max_frame {
                self.refuse_frame(key, &header);
                continue;
            }
            let Some(body) = rest.get(ringmail_wire::protocol::FRAME_HEADER_BYTES..frame) else {
                break Next::Read(frame);
            };
            if !self.connections.takes_request(key) {
                break Next::Stalled;
            }
            match self.request(key, header, body, logs) {
                Handled::Done => consumed += frame,
                Handled::Busy => break Next::Stalled,
            }
        };
        Received { consumed, next }
    }

    /// Notes that the next request of a connection has to wait for room on shard `shard`.
    pub(super) fn stall(&mut self, request: &Request<'_>, shard: u16) -> Handled {
        self.connections.stall(request.connection, request.header.frame_bytes(), shard);
        Handled::Busy
    }

    /// A request was taken, and is answered later.
    #[inline]
    pub(super) fn begin(&mut self, reply: &Reply) {
        self.connections.begin(reply.connection, reply.bytes);
    }

    /// A request that was [begun](Self::begin) is being answered.
    #[inline]
    pub(super) fn settle(&mut self, reply: &Reply) {
        self.connections.settle(reply.connection, reply.bytes);
    }

    /// Writes an answer.
    #[inline]
    pub(super) fn answer<'b>(&mut self, reply: &Reply, body: &impl Message<'b>) {
        self.connections.write(reply.connection, |output| {
            put_frame(output.copied(), reply.api, reply.correlation, 0, body);
        });
    }

    /// Writes an answer that says what is wrong.
    pub(super) fn refuse(&mut self, reply: &Reply, fault: &Fault) {
        self.connections
            .write(reply.connection, |output| put_fault(output, reply.api as u8, reply.correlation, fault));
    }

    /// Tells a client what is wrong, and closes the connection after that.
    pub(super) fn end_with(&mut self, key: Key, api: u8, correlation: u32, fault: &Fault) {
        if let Some(connection) = self.connections.get(key) {
            tracing::debug!(peer = connection.peer, error = %fault.message, "closing a connection");
        }
        self.connections.write(key, |output| put_fault(output, api, correlation, fault));
        self.connections.end(key, LINGER_MS);
    }
}

/// What is known of a connection, unless it is gone.
#[inline]
pub(super) fn session_of(connections: &mut Connections, key: Key) -> Option<&mut Session> {
    match &mut connections.get_mut(key)?.session {
        crate::gateway::Session::Native(session) => Some(session),
        crate::gateway::Session::Kafka(_) => None,
    }
}
