//! Memory that connections share: who waits for it, and what they may take while it is short.

use std::task::{Context, Poll};

use super::connections::{Connections, OWED_LIMIT};
use crate::node::slab::Key;

/// Bytes of a small read.
const SMALL_READ: usize = 64 << 10;

impl Connections {
    /// Ready at the next tick, for a reader that waits for memory and is to look again whether others have to give theirs up;
    /// with `false` if its connection is ending. `waited` is `false` at first.
    pub fn poll_tick(&mut self, key: Key, waited: &mut bool, context: &mut Context<'_>) -> Poll<bool> {
        let Some(connection) = self.slab.get_mut(key) else { return Poll::Ready(false) };
        if connection.is_ending() {
            return Poll::Ready(false);
        }
        if std::mem::replace(waited, true) && !connection.wants_memory {
            return Poll::Ready(true);
        }
        connection.reader = Some(context.waker().clone());
        // What is given back wakes it again and again, within one tick.
        if !std::mem::replace(&mut connection.wants_memory, true) {
            self.wanting_memory.push(key);
        }
        Poll::Pending
    }

    /// Wakes the readers that wait for memory.
    pub(super) fn wake_for_memory(&mut self) {
        for key in std::mem::take(&mut self.wanting_memory) {
            if let Some(connection) = self.slab.get_mut(key) {
                connection.wants_memory = false;
                connection.wake_reader();
            }
        }
    }

    /// A client has taken some of what was given for sending.
    pub fn progressed(&mut self, key: Key) {
        if let Some(connection) = self.slab.get_mut(key) {
            connection.sent_ms = self.now_ms;
        }
    }

    /// So many bytes are being read for a connection.
    pub fn begin_reading(&mut self, key: Key, bytes: usize) {
        if let Some(connection) = self.slab.get_mut(key) {
            connection.reading += bytes;
            self.reading += bytes;
            self.owed_peak.note(self.unsent + self.reading);
        }
    }

    /// They have been read, or are not wanted any more.
    pub fn end_reading(&mut self, key: Key, bytes: usize) {
        if let Some(connection) = self.slab.get_mut(key) {
            connection.reading -= bytes;
            self.reading -= bytes;
        }
    }

    /// Whether so little is owed by now that memory is to be given back to the system.
    pub fn has_shrunk(&self) -> bool {
        self.owed_peak.has_shrunk(self.unsent + self.reading)
    }

    /// Whether connections are owed so much that they have to take some first.
    pub fn is_short(&self) -> bool {
        self.unsent + self.reading >= OWED_LIMIT
    }

    /// So many bytes may be read at once, where `wanted` are asked for.
    pub fn read_size(&self, wanted: usize) -> usize {
        if self.is_short() { wanted.min(SMALL_READ) } else { wanted }
    }

    /// Whether a connection that holds `own` of `total` may not have more, where all together should not have more than
    /// `limit`: past it, each may have the same share.
    pub fn is_over_share(&self, own: usize, total: usize, limit: usize) -> bool {
        total >= limit && own >= limit / self.slab.len().max(1)
    }
}
