//! What the sending task does when connections are lost, partitions are not where they were, and batches
//! were not stored.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::recovery::{Recovered, Recovery};
use super::{Partition, Sender};
use crate::Error;
use crate::client::Topic;

impl Sender {
    /// Has connections made that are missing, and the topic asked for if it may have changed.
    pub(super) fn recover_if_needed(&mut self) {
        if !self.recovery.is_empty() {
            return;
        }
        let owners = self.resend.iter().filter_map(|p| self.topic.partitions.get(*p as usize));
        let mut wanted: BTreeSet<u16> = owners.map(|owner| owner.shard).collect();
        wanted.extend(self.shards.iter().filter(|(_, shard)| !shard.waiting.is_empty()).map(|(s, _)| *s));
        wanted.retain(|shard| self.shards.get(shard).is_none_or(|shard| shard.link().is_none()));
        let is_old = Instant::now() >= self.refresh_due();
        if wanted.is_empty() && self.resend.is_empty() && !is_old {
            return;
        }
        self.stale |= is_old;
        // A connection that was lost may mean a broker that was restarted, and not as it was.
        self.stale |= wanted.iter().any(|s| self.shards.get(s).is_some_and(|shard| shard.link.is_some()));
        self.failures += u32::from(!self.resend.is_empty());
        if self.stale {
            self.refreshed = Instant::now();
        }
        let recovery = Recovery {
            client: self.client.clone(),
            topic: self.topic.name.clone(),
            pause: self.client.config().backoff(self.failures),
            refresh: self.stale,
            shards: wanted.into_iter().collect(),
        };
        self.recovery.spawn(recovery.run());
    }

    /// Goes on with what a recovery has brought; `None` if its task was cut short.
    pub(super) fn recovered(&mut self, recovered: Option<Recovered>) {
        let Some(Recovered { topic, links }) = recovered else { return };
        match topic {
            None => {}
            Some(Ok(topic)) => self.take_topic(topic),
            Some(Err(error @ Error::UnknownTopic(_))) => return self.fail_all(&error),
            Some(Err(error)) => self.note_failure(None, &error),
        }
        for (number, link) in links {
            match link {
                Ok(link) => {
                    let shard = self.shards.entry(number).or_default();
                    shard.link = Some(link);
                    shard.failure = None;
                }
                Err(error) => self.note_failure(Some(number), &error),
            }
        }
        for partition in std::mem::take(&mut self.resend) {
            self.send_again(partition);
        }
    }

    fn take_topic(&mut self, topic: Arc<Topic>) {
        let count = topic.partitions.len().max(self.partitions.len());
        self.partitions.resize_with(count, Partition::default);
        let mut state = self.shared.lock();
        state.accumulator.grow(count as u32);
        state.deliveries.grow(count as u32);
        for shard in self.shards.values_mut() {
            // They may wait for the wrong shard now; on their turn they find the right one.
            for partition in shard.waiting.drain(..) {
                self.partitions[partition as usize].waiting = false;
                state.accumulator.unpark(partition);
            }
        }
        self.topic = topic;
        self.stale = false;
    }

    /// Sends the batches of a partition again that were not stored, if there is a connection for them.
    fn send_again(&mut self, partition: u32) {
        // Some may have become too old meanwhile.
        self.settle(partition);
        if !self.resend.contains(&partition) {
            return;
        }
        let Some(owner) = self.topic.partitions.get(partition as usize) else {
            let error = Error::UnknownPartition { topic: self.topic.name.to_string(), partition };
            return self.give_up(partition, &error);
        };
        if self.shards.get(&owner.shard).is_none_or(|shard| shard.link().is_none()) {
            return;
        }
        let mut lane = std::mem::take(&mut self.partitions[partition as usize].lane);
        lane.resend(|batch| self.transmit(partition, batch));
        self.partitions[partition as usize].lane = lane;
        self.settle(partition);
    }

    /// Fails the batches of a partition that were to be sent again.
    fn give_up(&mut self, partition: u32, error: &Error) {
        let mut ends = Vec::new();
        let lane = &mut self.partitions[partition as usize].lane;
        lane.give_up(error, |batch, result| ends.push((batch, result)));
        self.tell(partition, ends);
        self.settle(partition);
    }

    /// Fails everything that is not on its way: there is nowhere to send it.
    fn fail_all(&mut self, error: &Error) {
        self.stale = false;
        for partition in std::mem::take(&mut self.resend) {
            self.give_up(partition, error);
        }
        self.shared.lock().accumulator.seal_all();
        for partition in 0..self.partitions.len() as u32 {
            while let Some(sealed) = { self.shared.lock().accumulator.take(partition) } {
                self.fail(partition, sealed, error);
            }
        }
    }

    /// Notes why a shard has no connection, or why none of those has that lacks one: batches that wait for
    /// it until they are too old fail with that.
    fn note_failure(&mut self, shard: Option<u16>, error: &Error) {
        self.failures += 1;
        let concerned = self.shards.iter_mut().filter(|(number, _)| shard.is_none_or(|s| s == **number));
        for (_, shard) in concerned.filter(|(_, shard)| shard.link().is_none()) {
            shard.failure = Some(error.clone());
        }
    }
}
