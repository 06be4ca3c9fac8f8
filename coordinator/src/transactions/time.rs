//! What time brings: transactions that take too long, transactional ids that nobody uses any more, and another try for what
//! could not be stored.

use std::sync::Arc;

use super::state::{Ending, State};
use super::{EXPIRY_CHECK_MS, EXPIRY_RECORDS, Operation, RETRY_MS, Then, Transactions, record::record};
use crate::machine::{Effects, Now, Write};

impl Transactions {
    /// Has something done about a transactional id at this time.
    pub(super) fn arm(&mut self, id: &Arc<str>, due_ms: u64) {
        self.disarm(id);
        self.entry(id).due_ms = Some(due_ms);
        self.due.insert((due_ms, Arc::clone(id)));
    }

    pub(super) fn disarm(&mut self, id: &Arc<str>) {
        if let Some(due_ms) = self.entry(id).due_ms.take() {
            self.due.remove(&(due_ms, Arc::clone(id)));
        }
    }

    /// Limits the time of an open transaction that was read back. It has at most as much left as it would have if it began
    /// now: the clock by which its beginning was stored may have jumped.
    pub(super) fn resume_timeout(&mut self, id: &Arc<str>, now: Now) {
        let Some(stored) = self.entry(id).stored.as_ref() else { return };
        let timeout_ms = i64::from(stored.timeout_ms);
        let end_ms = stored.started_ms.saturating_add(timeout_ms);
        let left_ms = end_ms.saturating_sub(now.wall_ms).clamp(0, timeout_ms);
        self.arm(id, now.clock_ms + left_ms.unsigned_abs());
    }

    /// Does what is due.
    pub(super) fn do_due(&mut self, now: Now, effects: &mut Effects) {
        while let Some((_, id)) = self.due.first().filter(|(due_ms, _)| *due_ms <= now.clock_ms).cloned() {
            self.disarm(&id);
            let entry = self.entry(&id);
            let Some(stored) = entry.stored.as_ref() else { continue };
            match stored.state {
                _ if entry.busy => self.arm(&id, now.clock_ms + RETRY_MS),
                State::Ongoing => {
                    tracing::info!(transactional_id = %id, "a transaction took longer than its timeout and is aborted");
                    let next = stored.prepared(Ending::FENCED, now.wall_ms);
                    self.write(&id, &next, Then::Fenced(None), effects);
                }
                State::PrepareCommit | State::PrepareAbort => self.complete(&id, now, effects),
                State::Empty | State::CompleteCommit | State::CompleteAbort => {}
            }
        }
    }

    /// Forgets transactional ids that were not used for long.
    pub(super) fn expire_ids(&mut self, now: Now, effects: &mut Effects) {
        if now.clock_ms < self.next_expiry_ms {
            return;
        }
        let oldest_ms = now.wall_ms.saturating_sub(self.settings.id_expiration_ms);
        let unused: Vec<Arc<str>> = self
            .ids
            .iter()
            .filter(|(_, entry)| {
                let stored = entry.stored.as_ref().filter(|_| !entry.busy);
                stored.is_some_and(|stored| stored.state.is_idle() && stored.updated_ms <= oldest_ms)
            })
            .map(|(id, _)| Arc::clone(id))
            .take(EXPIRY_RECORDS)
            .collect();
        let pause_ms = if unused.len() == EXPIRY_RECORDS { RETRY_MS } else { EXPIRY_CHECK_MS };
        self.next_expiry_ms = now.clock_ms + pause_ms;
        if unused.is_empty() {
            return;
        }
        let records = unused.iter().map(|id| record(id, None)).collect();
        unused.iter().for_each(|id| self.entry(id).busy = true);
        let tag = self.next_tag();
        effects.writes.push(Write { tag, records, producer: None });
        self.operations.insert(tag, Operation::Expiry(unused));
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> u64 {
        let due_ms = self.due.first().map(|(due_ms, _)| *due_ms);
        [due_ms, self.parked_until()].into_iter().flatten().fold(self.next_expiry_ms, u64::min)
    }
}
