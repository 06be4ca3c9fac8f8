//! The tail cache: frames just written, kept in memory for readers at the end of the log.

use bytes::Bytes;
use std::collections::VecDeque;

#[derive(Debug)]
struct CachedFrame {
    segment: u64,
    position: u64,
    data: Bytes,
}

/// Recent frames in the order of their places in the log, up to a budget in bytes.
#[derive(Debug)]
pub(crate) struct TailCache {
    frames: VecDeque<CachedFrame>,
    bytes: usize,
    budget: usize,
}

impl TailCache {
    pub fn new(budget: usize) -> Self {
        Self { frames: VecDeque::new(), bytes: 0, budget }
    }

    /// Adds the frame after all others, and lets go of the oldest over the budget.
    pub fn push(&mut self, segment: u64, position: u64, data: Bytes) {
        debug_assert!(self.frames.back().is_none_or(|f| (f.segment, f.position) < (segment, position)));
        self.bytes += data.len();
        self.frames.push_back(CachedFrame { segment, position, data });
        while self.bytes > self.budget {
            let Some(old) = self.frames.pop_front() else { break };
            self.bytes -= old.data.len();
        }
    }

    /// The bytes at this place of a segment, if all of them are here.
    pub fn get(&self, segment: u64, position: u64, bytes: usize) -> Option<Bytes> {
        let after = self.frames.partition_point(|f| (f.segment, f.position) <= (segment, position));
        let frame = self.frames.get(after.checked_sub(1)?)?;
        if frame.segment != segment {
            return None;
        }
        let from = (position - frame.position) as usize;
        let to = from.checked_add(bytes)?;
        (to <= frame.data.len()).then(|| frame.data.slice(from..to))
    }
}
