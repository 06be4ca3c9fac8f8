//! The bound of a delivery: batches are reported in time whatever becomes of them, and a request that stays
//! without an answer after that ends its connection, so that nothing waits for it for ever.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::{Partition, Route, Sender};
use crate::Error;

/// A look goes through all partitions: in trouble, with a batch due every moment, this is how often at most.
const MIN_LOOK: Duration = Duration::from_millis(10);

impl Sender {
    /// If it is time to look, fails the batches that have taken longer than a delivery may, and closes
    /// connections that owe an answer to one of them for too long.
    pub(super) fn expire(&mut self) {
        let now = Instant::now();
        if self.next_expiry.is_none_or(|next| now < next) {
            return;
        }
        // An answer that is here counts, however late it is taken.
        if let Ok((id, outcome)) = self.outcomes.try_recv() {
            self.take_outcomes(id, outcome);
        }
        if let Some(too_old) = now.checked_sub(self.config.delivery_timeout) {
            self.fail_older(too_old);
        }
        self.close_unanswering(now);
        self.next_expiry = self.expiry_after(now);
    }

    /// Fails all batches that were opened before this time, on their way or not.
    fn fail_older(&mut self, too_old: Instant) {
        let oldest = self.oldest_batches();
        for partition in oldest.into_iter().filter(|(_, opened)| *opened < too_old).map(|(p, _)| p) {
            self.settle(partition);
            while let Some(sealed) = { self.shared.lock().accumulator.take_older(partition, too_old) } {
                let error = self.why_unsent(partition);
                self.fail(partition, sealed, &error);
            }
        }
    }

    /// The partitions that have batches, each with the time when its oldest was opened.
    fn oldest_batches(&self) -> Vec<(u32, Instant)> {
        let state = self.shared.lock();
        let partitions = (0_u32..).zip(&self.partitions);
        let oldest = |(number, partition): (u32, &Partition)| {
            let opened = partition.lane.oldest().or_else(|| state.accumulator.oldest(number))?;
            Some((number, opened))
        };
        partitions.filter_map(oldest).collect()
    }

    /// Why a batch of the partition is still here.
    fn why_unsent(&self, partition: u32) -> Error {
        let owner = self.topic.partitions.get(partition as usize);
        let shard = owner.and_then(|owner| self.shards.get(&owner.shard));
        shard.and_then(|shard| shard.failure.clone()).unwrap_or(Error::Timeout {
            what: "waiting to send the records, of which none is stored,",
            after: self.config.delivery_timeout,
        })
    }

    /// Closes the connections that still owe the answer to a batch when it was reported a whole request's
    /// timeout ago; their end then settles what is left of it.
    fn close_unanswering(&self, now: Instant) {
        let is_overdue = |route: &&Route| self.overdue(route.opened).is_some_and(|overdue| overdue <= now);
        let shards: BTreeSet<u16> =
            self.routes.values().filter(is_overdue).map(|route| route.shard).collect();
        for link in shards.iter().filter_map(|number| self.shards.get(number)?.link()) {
            let after = self.config.delivery_timeout + self.client.config().request_timeout;
            link.close(format!("a batch had no answer for {after:?}"));
        }
    }

    /// When the connection is closed on which a batch that was opened then has no answer.
    fn overdue(&self, opened: Instant) -> Option<Instant> {
        opened.checked_add(self.config.delivery_timeout)?.checked_add(self.client.config().request_timeout)
    }

    /// When to look next. A batch that is opened from now on ends no sooner than a whole timeout from now,
    /// so that nothing needs to be noted for each.
    fn expiry_after(&self, now: Instant) -> Option<Instant> {
        let oldest = self.oldest_batches().into_iter().map(|(_, opened)| opened).min();
        let next = oldest.unwrap_or(now).checked_add(self.config.delivery_timeout)?;
        let overdue = self.routes.values().map(|route| route.opened).min().and_then(|o| self.overdue(o));
        Some(overdue.map_or(next, |overdue| overdue.min(next)).max(now + MIN_LOOK))
    }
}
