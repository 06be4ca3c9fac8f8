//! Operations that wait for the driver, and what those under way are for.

use crate::io::{FileId, IoId, IoOp};
use crate::map::Map;
use std::collections::VecDeque;

/// What an operation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Writes a frame.
    Frame,
    /// Makes written frames durable.
    Sync,
    /// Creates a spare file.
    CreateSpare(FileId),
    /// Zero-fills a piece of a spare file.
    FillSpare(FileId),
    /// Marks an emptied file as spare.
    MarkSpare(FileId),
    /// Removes a file that is not needed.
    Remove(FileId),
    /// Writes the sections of a segment's footer.
    Sections(u64),
    /// Writes the rest of a segment's footer.
    Footer(u64),
    /// Reads a piece of a planned read.
    Piece(FileId),
    /// Reads a section of a footer.
    Section(FileId),
    /// Reads a piece of a segment whose footer is damaged.
    Rebuild(u64),
    /// Reads for recovery.
    Recover,
}

/// The queue of operations.
#[derive(Debug, Default)]
pub(crate) struct Ops {
    next: u64,
    queue: VecDeque<(IoId, IoOp)>,
    under_way: Map<IoId, Purpose>,
}

impl Ops {
    pub fn push(&mut self, op: IoOp, purpose: Purpose) -> IoId {
        let id = IoId(self.next);
        self.next += 1;
        self.queue.push_back((id, op));
        self.under_way.insert(id, purpose);
        id
    }

    pub fn pop(&mut self) -> Option<(IoId, IoOp)> {
        self.queue.pop_front()
    }

    pub fn finish(&mut self, id: IoId) -> Option<Purpose> {
        self.under_way.remove(&id)
    }

    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }
}
