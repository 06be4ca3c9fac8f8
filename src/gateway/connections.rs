//! All connections of one shard: what each is owed, what its reader and its writer wait for, whom to wake.
//!
//! Nothing here does I/O or waits, or knows a protocol. A connection's writer takes what is to be sent from
//! [`Connections::poll_output`]; its reader waits for room by [`Connections::poll_room`]; both are [`super::tasks`].

use std::collections::VecDeque;
use std::task::{Context, Poll};

use super::buffers::MUCH_BYTES;
use super::connection::{Connection, Phase, Stall};
use super::output::Output;
use super::peak::Peak;
use super::protocol::Session;
use crate::node::logs::Logs;
use crate::node::slab::{Key, Slab};

/// Emptied buffers that are kept for the next connection that is sent something.
const SPARE_OUTPUTS: usize = 64;

/// Bytes that all connections of a shard together may be owed: read for them, and not taken. Past it, reads are small, each
/// connection gets one at a time, and clients that take nothing are cut off.
pub(super) const OWED_LIMIT: usize = 256 << 20;

/// What holds for all connections.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The shard that they are on.
    pub shard: u16,
    /// How many shards there are.
    pub shards: u16,
    /// Bytes of unanswered requests past which a connection is not read.
    pub in_flight: usize,
    /// Milliseconds that a new connection has for its handshake.
    pub handshake_timeout_ms: u64,
    /// Milliseconds of silence after which a connection is closed.
    pub idle_timeout_ms: u64,
}

/// What became of received bytes.
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
    /// Wait for [`Connections::poll_room`], then give the rest again.
    Stalled,
    /// Take nothing more: what comes is thrown away.
    Discard,
}

/// What a writer does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Send {
    /// Send what was given, then say [`Connections::sent`].
    Output,
    /// All is sent: tell the client that nothing more comes, then wait for [`Connections::poll_cut`].
    Finish,
    /// End.
    Cut,
}

/// The connections.
#[derive(Debug)]
pub struct Connections {
    pub(super) limits: Limits,
    pub(super) slab: Slab<Connection>,
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
    /// Connections that were given up for their memory since the operator was told.
    pub(super) given_up: usize,
    pub(super) now_ms: u64,
    /// When connections were last looked at for timeouts.
    pub(super) inspected_ms: u64,
}

impl Connections {
    /// No connections yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            stalled: (0..limits.shards).map(|_| VecDeque::new()).collect(),
            limits,
            slab: Slab::default(),
            dirty: Vec::new(),
            resumable: Vec::new(),
            spare_outputs: Vec::new(),
            wanting_memory: Vec::new(),
            unsent: 0,
            owed_peak: Peak::new(MUCH_BYTES),
            reading: 0,
            given_up: 0,
            now_ms: 0,
            inspected_ms: 0,
        }
    }

    /// Notes the time, in milliseconds of the monotonic clock.
    pub fn set_now(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    /// The time as it was noted last.
    #[inline]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Takes on a connection from `peer`, of the protocol of its `session`.
    pub fn open(&mut self, session: Session, phase: Phase, peer: String) -> Key {
        tracing::debug!(shard = self.limits.shard, protocol = ?session.protocol(), peer, "connected");
        self.slab.insert(Connection::new(session, phase, peer, self.now_ms))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// The connection of this key, unless it is gone.
    #[inline]
    pub fn get(&self, key: Key) -> Option<&Connection> {
        self.slab.get(key)
    }

    /// The connection of this key, unless it is gone.
    #[inline]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut Connection> {
        self.slab.get_mut(key)
    }

    /// All of them, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &Connection)> {
        self.slab.iter()
    }

    /// Whether a connection may be read on, for its next request; if not, its reader is [stalled](Next::Stalled).
    #[inline]
    pub fn takes_request(&mut self, key: Key) -> bool {
        let (short, in_flight, now_ms) = (self.is_short(), self.limits.in_flight, self.now_ms);
        let Some(connection) = self.slab.get_mut(key) else { return false };
        if connection.in_flight >= in_flight || !connection.takes_more(short) {
            connection.stall = Some(Stall::Own);
            return false;
        }
        connection.heard_ms = now_ms;
        true
    }

    /// A connection with something blocked that may go on, if there is one.
    pub(super) fn next_resumable(&mut self) -> Option<Key> {
        self.resumable.pop()
    }

    /// Whether there is one.
    pub(super) fn can_resume(&self) -> bool {
        !self.resumable.is_empty()
    }

    /// Wakes the tasks of connections that have something to do. To be called at the end of every turn.
    pub fn wake(&mut self, logs: &Logs) {
        for key in self.dirty.drain(..) {
            if let Some(connection) = self.slab.get_mut(key) {
                connection.dirty = false;
                connection.wake_writer();
            }
        }
        for (shard, stalled) in (0..).zip(&mut self.stalled) {
            let mut room = if stalled.is_empty() { 0 } else { logs.room(shard) };
            while room > 0
                && let Some((key, bytes)) = stalled.pop_front()
            {
                if let Some(connection) = self.slab.get_mut(key) {
                    room = room.saturating_sub(bytes);
                    connection.stall = None;
                    connection.wake_reader();
                }
            }
        }
    }

    /// Notes that the next request of a connection, of so many `bytes`, has to wait for room on shard `shard`.
    pub fn stall(&mut self, key: Key, bytes: usize, shard: u16) {
        if let Some(connection) = self.slab.get_mut(key) {
            connection.stall = Some(Stall::Shard);
            self.stalled[usize::from(shard)].push_back((key, bytes));
        }
    }

    /// Ready once a reader that was [stalled](Next::Stalled) may go on.
    pub fn poll_room(&mut self, key: Key, context: &mut Context<'_>) -> Poll<()> {
        match self.slab.get_mut(key) {
            Some(connection) if connection.stall.is_some() && !connection.is_ending() => {
                connection.reader = Some(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// Gives a writer what is to be sent, in `output`, which is empty; or says what else is to be done.
    pub fn poll_output(&mut self, key: Key, output: &mut Output, context: &mut Context<'_>) -> Poll<Send> {
        let Some(connection) = self.slab.get_mut(key) else { return Poll::Ready(Send::Cut) };
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
        match self.slab.get_mut(key) {
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
        if let Some(connection) = self.slab.get_mut(key) {
            self.unsent -= bytes;
            connection.sending = 0;
            connection.sent_ms = self.now_ms;
            self.has_room(key);
        }
    }

    /// Looks whether something of a connection that waited for room of its own can go on.
    pub fn has_room(&mut self, key: Key) {
        let short = self.is_short();
        let Some(connection) = self.slab.get_mut(key) else { return };
        if !connection.takes_more(short) {
            return;
        }
        if connection.blocked {
            self.resumable.push(key);
        }
        if connection.stall == Some(Stall::Own) && connection.in_flight < self.limits.in_flight {
            connection.stall = None;
            connection.wake_reader();
        }
    }

    /// A request of a connection was taken, and is answered later; until then it counts for so many bytes.
    #[inline]
    pub fn begin(&mut self, key: Key, bytes: u32) {
        if let Some(connection) = self.slab.get_mut(key) {
            connection.in_flight += bytes as usize;
            connection.requests += 1;
        }
    }

    /// A request that was [begun](Self::begin) is being answered.
    #[inline]
    pub fn settle(&mut self, key: Key, bytes: u32) {
        let Some(connection) = self.slab.get_mut(key) else { return };
        connection.in_flight -= bytes as usize;
        connection.requests -= 1;
        connection.heard_ms = self.now_ms;
        if connection.is_ending() && connection.requests == 0 {
            connection.wake_writer();
        }
        if connection.stall.is_some() {
            self.has_room(key);
        }
    }

    /// Has something sent on a connection, unless it is gone.
    #[inline]
    pub fn write(&mut self, key: Key, write: impl FnOnce(&mut Output)) {
        let Some(connection) = self.slab.get_mut(key) else { return };
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
