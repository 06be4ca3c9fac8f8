//! All connections of one shard: what came in is taken apart and handed to the handlers, answers are gathered.
//!
//! Nothing here does I/O or waits. A connection's reader gives received bytes to [`Sessions::receive`], its writer takes what
//! is to be sent from [`Sessions::poll_output`]; both are [`super::tasks`].

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::task::{Context, Poll};

use ringmail_wire::protocol::{ErrorCode, FrameHeader, Message, put_frame};

use super::buffers::MUCH_BYTES;
use super::connection::{Connection, Phase, Stall};
use super::error::Fault;
use super::fetch::Fetch;
use super::offsets::Listing;
use super::output::{Output, put_fault};
use super::peak::Peak;
use super::requests::{Handled, Request};
use super::subscribe::Subscription;
use super::topics::Description;
use super::waiter::Reply;
use crate::node::logs::Logs;
use crate::node::slab::{Key, Slab};

/// Emptied buffers that are kept for the next connection that is sent something.
const SPARE_OUTPUTS: usize = 64;

/// Bytes that all connections of a shard together may be owed: read for them, and not taken. Past it, reads are small, each
/// connection gets one at a time, and clients that take nothing are cut off.
pub(super) const OWED_LIMIT: usize = 256 << 20;

/// What holds for all connections.
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
    /// Milliseconds that a new connection has for its handshake.
    pub handshake_timeout_ms: u64,
    /// Subscriptions of one connection.
    pub subscriptions: usize,
    /// Bytes of batches in one answer to a fetch.
    pub fetch_response: usize,
    /// The host that clients are told to connect to; empty for the one that they are connected to.
    pub host: String,
    /// The port of each shard.
    pub ports: Vec<u16>,
}

/// What [`Sessions::receive`] did.
#[derive(Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes that are done with.
    pub consumed: usize,
    /// What to do next.
    pub next: Next,
}

/// What a reader does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Read on; the next frame has this many bytes in all, 0 if that is not known yet.
    Read(usize),
    /// Wait for [`Sessions::poll_room`], then give the rest again.
    Stalled,
    /// Take nothing more: what comes is thrown away.
    Discard,
}

/// What a writer does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Send {
    /// Send what was given, then say [`Sessions::sent`].
    Output,
    /// All is sent: tell the client that nothing more comes, then wait for [`Sessions::poll_cut`].
    Finish,
    /// End.
    Cut,
}

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

/// The connections.
#[derive(Debug)]
pub struct Sessions {
    pub(super) settings: Settings,
    pub(super) connections: Slab<Connection>,
    pub(super) fetches: Slab<Fetch>,
    pub(super) subscriptions: Slab<Subscription>,
    pub(super) listings: Slab<Listing>,
    pub(super) descriptions: Slab<Description>,
    /// When fetches that wait give up.
    pub(super) deadlines: BinaryHeap<Reverse<(u64, Key)>>,
    /// Connections that were given something to send.
    pub(super) dirty: Vec<Key>,
    /// Connections with something blocked that can go on.
    resumable: Vec<Key>,
    /// By shard, connections whose next request adds to that shard, and how much.
    stalled: Vec<VecDeque<(Key, usize)>>,
    spare_outputs: Vec<Output>,
    /// Connections whose readers wait for memory.
    pub(super) wanting_memory: Vec<Key>,
    /// Bytes that all connections together have not taken.
    pub(super) unsent: usize,
    /// Of those and the following.
    pub(super) owed_peak: Peak,
    /// Bytes that are being read for all connections together.
    pub(super) reading: usize,
    /// Bytes that all fetches together count for.
    pub(super) fetching: usize,
    /// Batches that were refused without telling their producers, who want no acknowledgement.
    pub(super) refused_silently: u64,
    /// Connections that were given up for their memory since the operator was told.
    pub(super) given_up: usize,
    /// Whether the broker is going down.
    pub(super) draining: bool,
    pub(super) now_ms: u64,
    /// When connections were last looked at for timeouts.
    pub(super) inspected_ms: u64,
}

impl Sessions {
    /// No connections yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            stalled: settings.ports.iter().map(|_| VecDeque::new()).collect(),
            settings,
            connections: Slab::default(),
            fetches: Slab::default(),
            subscriptions: Slab::default(),
            listings: Slab::default(),
            descriptions: Slab::default(),
            deadlines: BinaryHeap::new(),
            dirty: Vec::new(),
            resumable: Vec::new(),
            spare_outputs: Vec::new(),
            wanting_memory: Vec::new(),
            unsent: 0,
            owed_peak: Peak::new(MUCH_BYTES),
            reading: 0,
            fetching: 0,
            refused_silently: 0,
            given_up: 0,
            draining: false,
            now_ms: 0,
            inspected_ms: 0,
        }
    }

    /// What the connections hold.
    pub fn usage(&self) -> SessionsUsage {
        SessionsUsage {
            connections: self.connections.len(),
            fetches: self.fetches.len(),
            subscriptions: self.subscriptions.len(),
            gathered: self.listings.len() + self.descriptions.len(),
            unsent_bytes: self.unsent,
            reading_bytes: self.reading,
            fetching_bytes: self.fetching,
            requests: self.connections.iter().map(|(_, connection)| connection.requests as usize).sum(),
            in_flight_bytes: self.connections.iter().map(|(_, connection)| connection.in_flight).sum(),
        }
    }

    /// Notes the time, in milliseconds of the monotonic clock.
    pub fn set_now(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    /// The time as it was noted last.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// When something is due, if nothing happens before; milliseconds of the monotonic clock.
    pub fn next_deadline(&self) -> Option<u64> {
        self.deadlines.peek().map(|Reverse((deadline_ms, _))| *deadline_ms)
    }

    /// Takes on a connection from `peer`.
    pub fn open(&mut self, peer: String) -> Key {
        tracing::debug!(shard = self.settings.shard, peer, "connected");
        self.connections.insert(Connection::new(peer, self.now_ms))
    }

    /// Takes what a connection has sent, as far as there are whole requests and room for them.
    pub fn receive(&mut self, key: Key, bytes: &[u8], logs: &mut Logs) -> Received {
        let mut consumed = 0;
        let next = loop {
            let short = self.is_short();
            let Some(connection) = self.connections.get_mut(key) else { break Next::Discard };
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
            if frame > self.settings.max_frame {
                self.refuse_frame(key, &header);
                continue;
            }
            let Some(body) = rest.get(ringmail_wire::protocol::FRAME_HEADER_BYTES..frame) else {
                break Next::Read(frame);
            };
            if connection.in_flight >= self.settings.in_flight || !connection.takes_more(short) {
                connection.stall = Some(Stall::Own);
                break Next::Stalled;
            }
            connection.heard_ms = self.now_ms;
            match self.request(key, header, body, logs) {
                Handled::Done => consumed += frame,
                Handled::Busy => break Next::Stalled,
            }
        };
        Received { consumed, next }
    }

    /// Whether [`resume`](Self::resume) has something to do.
    pub fn can_resume(&self) -> bool {
        !self.resumable.is_empty()
    }

    /// Lets what was blocked go on where there is room now. To be called after outcomes, until it gives `false`.
    pub fn resume(&mut self, logs: &mut Logs) -> bool {
        let Some(key) = self.resumable.pop() else { return false };
        let Some(connection) = self.connections.get_mut(key) else { return true };
        for blocked in std::mem::take(&mut connection.blocked) {
            self.unblock(blocked, logs);
        }
        true
    }

    /// Wakes the tasks of connections that have something to do. To be called at the end of every turn.
    pub fn wake(&mut self, logs: &Logs) {
        for key in self.dirty.drain(..) {
            if let Some(connection) = self.connections.get_mut(key) {
                connection.dirty = false;
                connection.wake_writer();
            }
        }
        for (shard, stalled) in (0..).zip(&mut self.stalled) {
            let mut room = if stalled.is_empty() { 0 } else { logs.room(shard) };
            while room > 0
                && let Some((key, bytes)) = stalled.pop_front()
            {
                if let Some(connection) = self.connections.get_mut(key) {
                    room = room.saturating_sub(bytes);
                    connection.stall = None;
                    connection.wake_reader();
                }
            }
        }
    }

    /// Notes that the next request of a connection has to wait for room on shard `shard`.
    pub(super) fn stall(&mut self, request: &Request<'_>, shard: u16) -> Handled {
        if let Some(connection) = self.connections.get_mut(request.connection) {
            connection.stall = Some(Stall::Shard);
            let bytes = request.header.frame_bytes();
            self.stalled[usize::from(shard)].push_back((request.connection, bytes));
        }
        Handled::Busy
    }

    /// Ready once a reader that was [stalled](Next::Stalled) may go on.
    pub fn poll_room(&mut self, key: Key, context: &mut Context<'_>) -> Poll<()> {
        match self.connections.get_mut(key) {
            Some(connection) if connection.stall.is_some() && !connection.is_ending() => {
                connection.reader = Some(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// Gives a writer what is to be sent, in `output`, which is empty; or says what else is to be done.
    pub fn poll_output(&mut self, key: Key, output: &mut Output, context: &mut Context<'_>) -> Poll<Send> {
        let Some(connection) = self.connections.get_mut(key) else { return Poll::Ready(Send::Cut) };
        match connection.phase {
            Phase::Cut => return Poll::Ready(Send::Cut),
            _ if !connection.output.is_empty() => {
                std::mem::swap(output, &mut connection.output);
                connection.sending = output.len();
                return Poll::Ready(Send::Output);
            }
            Phase::Ending { .. } if connection.requests == 0 => {
                return Poll::Ready(if connection.finished { Send::Cut } else { Send::Finish });
            }
            _ => {}
        }
        connection.writer = Some(context.waker().clone());
        Poll::Pending
    }

    /// Ready once a connection is cut off.
    pub fn poll_cut(&mut self, key: Key, context: &mut Context<'_>) -> Poll<()> {
        match self.connections.get_mut(key) {
            Some(connection) if connection.phase != Phase::Cut => {
                connection.writer = Some(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// What was given for sending is sent; `output` comes back for further use.
    pub fn sent(&mut self, key: Key, mut output: Output) {
        let bytes = output.len();
        output.clear();
        if self.spare_outputs.len() < SPARE_OUTPUTS {
            self.spare_outputs.push(output);
        }
        if let Some(connection) = self.connections.get_mut(key) {
            self.unsent -= bytes;
            connection.sending = 0;
            connection.sent_ms = self.now_ms;
            self.has_room(key);
        }
    }

    /// Looks whether something of a connection that waited for room of its own can go on.
    pub(super) fn has_room(&mut self, key: Key) {
        let short = self.is_short();
        let Some(connection) = self.connections.get_mut(key) else { return };
        if !connection.takes_more(short) {
            return;
        }
        if !connection.blocked.is_empty() {
            self.resumable.push(key);
        }
        if connection.stall == Some(Stall::Own) && connection.in_flight < self.settings.in_flight {
            connection.stall = None;
            connection.wake_reader();
        }
    }

    /// A request was taken, and is answered later.
    #[inline]
    pub(super) fn begin(&mut self, reply: &Reply) {
        if let Some(connection) = self.connections.get_mut(reply.connection) {
            connection.in_flight += reply.bytes as usize;
            connection.requests += 1;
        }
    }

    /// A request that was [begun](Self::begin) is being answered.
    #[inline]
    pub(super) fn settle(&mut self, reply: &Reply) {
        let Some(connection) = self.connections.get_mut(reply.connection) else { return };
        connection.in_flight -= reply.bytes as usize;
        connection.requests -= 1;
        connection.heard_ms = self.now_ms;
        if connection.is_ending() && connection.requests == 0 {
            connection.wake_writer();
        }
        if connection.stall.is_some() {
            self.has_room(reply.connection);
        }
    }

    /// Writes an answer.
    #[inline]
    pub(super) fn answer<'a>(&mut self, reply: &Reply, body: &impl Message<'a>) {
        self.write(reply.connection, |output| {
            put_frame(output.copied(), reply.api, reply.correlation, 0, body);
        });
    }

    /// Writes an answer that says what is wrong.
    pub(super) fn refuse(&mut self, reply: &Reply, fault: &Fault) {
        self.write(reply.connection, |output| put_fault(output, reply.api as u8, reply.correlation, fault));
    }

    /// Has something sent on a connection, unless it is gone.
    #[inline]
    pub(super) fn write(&mut self, key: Key, write: impl FnOnce(&mut Output)) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.phase == Phase::Cut {
            return;
        }
        if !connection.output.has_capacity()
            && let Some(spare) = self.spare_outputs.pop()
        {
            connection.output = spare;
        }
        if connection.unsent() == 0 {
            connection.sent_ms = self.now_ms;
        }
        let before = connection.output.len();
        write(&mut connection.output);
        self.unsent += connection.output.len() - before;
        self.owed_peak.note(self.unsent + self.reading);
        if !connection.dirty {
            connection.dirty = true;
            self.dirty.push(key);
        }
    }
}
