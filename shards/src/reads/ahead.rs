//! Reading ahead: a reader that goes on where it stopped finds the next pieces under way already.

use super::{ReadId, Started, Want};
use crate::api::{Answer, Isolation, LogId, ReadData, Token};
use crate::format::footer::RUN_BYTES;
use crate::shard::Shard;

/// Milliseconds after which what was read ahead and not asked for is let go.
const AHEAD_KEPT_MS: u64 = 3000;
/// Bytes that may be read ahead, for all readers together.
const AHEAD_BYTES: usize = 32 << 20;

#[derive(Debug)]
pub(super) struct Ahead {
    pub read: Option<ReadId>,
    pub result: Option<ReadData>,
    pub next: u64,
    pub bytes: usize,
    pub max_bytes: usize,
    pub since_ms: u64,
}

impl Shard {
    /// Answers a read of up to `max_bytes` from what was read ahead, if it was, and is no more than that.
    pub(super) fn claim_ahead(
        &mut self,
        (log, offset, isolation): (LogId, u64, Isolation),
        max_bytes: usize,
        token: Token,
    ) -> Option<Answer<ReadData>> {
        let key = (log, offset, isolation);
        self.reads.ahead.get(&key).filter(|ahead| ahead.max_bytes <= max_bytes)?;
        let ahead = self.reads.ahead.remove(&key)?;
        self.reads.ahead_bytes -= ahead.bytes.min(self.reads.ahead_bytes);
        if let Some(mut data) = ahead.result {
            if let Some(state) = self.logs.get(&log) {
                data.state = state.state_without_bytes();
                data.aborted = state.aborted(isolation, offset..data.next_offset);
            }
            self.read_ahead(log, ahead.next, ahead.max_bytes, isolation);
            return Some(Answer::Now(Ok(data)));
        }
        let read = self.reads.under_way.get_mut(&ahead.read?)?;
        read.want = Want::Batches(token, isolation);
        self.read_ahead(log, ahead.next, ahead.max_bytes, isolation);
        Some(Answer::Later)
    }

    /// Begins reads from `offset` on that a sequential reader will ask for.
    pub(super) fn read_ahead(&mut self, log: LogId, mut offset: u64, max_bytes: usize, isolation: Isolation) {
        if max_bytes < 2 * RUN_BYTES as usize {
            return;
        }
        for _ in 0..self.config.read_ahead {
            let Some(state) = self.logs.get(&log) else { return };
            let until = state.end_for(isolation);
            if offset >= until || self.reads.ahead_bytes >= AHEAD_BYTES {
                return;
            }
            if let Some(known) = self.reads.ahead.get(&(log, offset, isolation)) {
                if known.next == offset {
                    return;
                }
                offset = known.next;
                continue;
            }
            let want = Want::Ahead(isolation);
            let Started::UnderWay(id, next) = self.start_read(log, offset, until, max_bytes, want) else {
                return;
            };
            let done = !self.reads.under_way.contains_key(&id);
            if done {
                // It was in memory after all: the reader has caught up.
                return;
            }
            let ahead =
                Ahead { read: Some(id), result: None, next, bytes: 0, max_bytes, since_ms: self.now_ms };
            self.reads.ahead.insert((log, offset, isolation), ahead);
            if next == offset {
                return;
            }
            offset = next;
        }
    }

    pub(crate) fn reads_tick(&mut self) {
        let now = self.now_ms;
        let reads = &mut self.reads;
        let ahead_bytes = &mut reads.ahead_bytes;
        reads.ahead.retain(|_, ahead| {
            let keep = ahead.result.is_none() || now.saturating_sub(ahead.since_ms) < AHEAD_KEPT_MS;
            if !keep {
                *ahead_bytes -= ahead.bytes.min(*ahead_bytes);
            }
            keep
        });
    }
}
