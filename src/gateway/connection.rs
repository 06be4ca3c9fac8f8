//! One connection: how far it is, what it is owed, what it is to be sent.

use std::task::Waker;

use super::output::Output;
use super::protocol::Session;

/// Bytes of output past which a connection is served no further until the client has taken some.
pub const OUTPUT_LIMIT: usize = 4 << 20;

/// A client that takes nothing for this long may be cut off if its memory is wanted, in milliseconds.
pub(super) const TAKING_MS: u64 = 3_000;

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It has not introduced itself.
    New,
    /// It is served.
    Open,
    /// It is sent what is left; nothing more is taken from it.
    Ending {
        /// When it is cut off, in milliseconds of the monotonic clock.
        deadline_ms: u64,
    },
    /// It is cut off, or there is nobody at the other end.
    Cut,
}

/// Why a connection's reader has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stall {
    /// Too much of its own is unanswered, or not sent yet.
    Own,
    /// The shard that owns the log of its next request has too much to do.
    Shard,
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    /// How far it is.
    pub phase: Phase,
    /// What its protocol knows of it.
    pub session: Session,
    /// Who is at the other end, for the log.
    pub peer: String,
    pub(super) output: Output,
    /// Bytes that were taken for sending and are not sent.
    pub(super) sending: usize,
    /// Whether this is in the list of connections to be woken.
    pub(super) dirty: bool,
    /// Bytes of requests that are not answered.
    pub in_flight: usize,
    /// Requests that are not answered.
    pub requests: u32,
    /// Bytes that are being read for it.
    pub(super) reading: usize,
    /// Whether something of it waits for output to be taken.
    pub blocked: bool,
    /// Why its reader waits, if it does.
    pub stall: Option<Stall>,
    /// Whether its reader waits for memory, which the next tick may bring.
    pub(super) wants_memory: bool,
    /// Whether the client has said that it sends no more.
    pub(super) finished: bool,
    /// When the last whole request came, or the last answer was given that the client waited for; milliseconds of the
    /// monotonic clock.
    pub heard_ms: u64,
    /// When the client last took some output, or was given some that it could take.
    pub(super) sent_ms: u64,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

impl Connection {
    pub(super) fn new(session: Session, phase: Phase, peer: String, now_ms: u64) -> Self {
        Self {
            phase,
            session,
            peer,
            output: Output::default(),
            sending: 0,
            dirty: false,
            in_flight: 0,
            requests: 0,
            reading: 0,
            blocked: false,
            stall: None,
            wants_memory: false,
            finished: false,
            heard_ms: now_ms,
            sent_ms: now_ms,
            reader: None,
            writer: None,
        }
    }

    /// Bytes that the client has not been sent.
    #[inline]
    pub fn unsent(&self) -> usize {
        self.output.len() + self.sending
    }

    /// Whether more may be read for the client: it takes what it is sent. If memory is `short`, one thing at a time.
    #[inline]
    pub fn takes_more(&self, short: bool) -> bool {
        self.unsent() + self.reading < if short { 1 } else { OUTPUT_LIMIT }
    }

    /// Whether the client is sent something and has not taken any of it for a while.
    pub(super) fn takes_nothing(&self, now_ms: u64) -> bool {
        self.unsent() > 0 && now_ms >= self.sent_ms + TAKING_MS
    }

    /// Whether nothing more is taken from it.
    #[inline]
    pub fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Ending { .. } | Phase::Cut)
    }

    /// Whether the client waits for an answer. One that only listens to subscriptions pings, or it is taken for gone.
    pub(super) fn waits(&self) -> bool {
        self.requests > 0
    }

    pub(super) fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    pub(super) fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}
