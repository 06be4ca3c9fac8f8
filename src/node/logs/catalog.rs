//! The catalog as it bears on logs: which there are, how they are kept, which are to go.

use std::collections::HashSet;
use std::sync::Arc;

use ringmail_kafka::codec::Uuid;
use ringmail_shards::api::{AppendError, Payload};
use ringmail_wire::protocol::{Acks, LogId};

use super::{Caller, Logs, Message, Outcome, ShardId};
use crate::node::catalog::plan::Command;
use crate::node::catalog::{
    CATALOG_LOG, Catalog, CatalogError, CatalogLimits, CatalogMismatch, Change, Partition, Topic, TopicConfig,
};

impl Logs {
    /// The catalog, as far as it was applied here.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// What bounds the catalog.
    pub fn limits(&self) -> &CatalogLimits {
        &self.limits
    }

    /// The change that a command would come to now, as far as this shard knows the catalog.
    ///
    /// # Errors
    /// See [`CatalogError`].
    pub fn plan(&self, command: Command) -> Result<Change, CatalogError> {
        self.catalog.plan(command, &self.limits)
    }

    /// The name of the topic with this identity, and the topic.
    pub fn topic_of_uuid(&self, uuid: Uuid) -> Option<(&str, &Topic)> {
        self.catalog.topic_of_id(self.cluster.topic_id(uuid)?)
    }

    /// The identity of a topic.
    pub fn uuid_of(&self, topic: &Topic) -> Uuid {
        self.cluster.topic_uuid(topic.id)
    }

    /// Takes on the whole catalog, once, before anything is served. Completes deletions that a crash has cut short.
    pub fn load_catalog(&mut self, catalog: Catalog) {
        self.catalog = catalog;
        self.catalog_version += 1;
        let own: Vec<_> =
            self.catalog.partitions_of(self.shard).map(|(log, config)| (log, config.log_config())).collect();
        own.iter().for_each(|(log, config)| self.engine.put_log(*log, *config));
        let shard = self.shard;
        let dropping = self.catalog.dropping().filter(|(_, owner)| *owner == shard);
        self.dropping = dropping.map(|(log, _)| log).collect();
        for log in &self.dropping {
            self.drops_uncertain |= !self.engine.drop_log(*log);
        }
        self.warn_of_strangers(own.into_iter().map(|(log, _)| log).collect());
    }

    /// Logs that hold records but belong to no topic are kept: they may be all that is left of one.
    fn warn_of_strangers(&self, own: HashSet<LogId>) {
        let stranger = |log: &LogId| *log != CATALOG_LOG && !own.contains(log);
        let strangers: Vec<_> = self.engine.logs().into_iter().filter(stranger).collect();
        if !strangers.is_empty() {
            let shard = self.shard;
            tracing::warn!(
                shard,
                logs = ?strangers,
                "logs belong to no topic of the catalog: they are kept, and take up space; `ringmail log dump` shows them"
            );
        }
    }

    /// Carries out a change of the catalog on this shard.
    ///
    /// # Errors
    /// If it does not fit the catalog of this shard, which is a defect.
    pub fn apply_change(&mut self, change: &Change) -> Result<(), CatalogMismatch> {
        let deleted: Vec<Partition> = match change {
            Change::Deleted { name } => {
                self.catalog.topic(name).map_or(Vec::new(), |topic| topic.partitions.clone())
            }
            _ => Vec::new(),
        };
        let id = self.deleted_topic(change);
        self.catalog.apply(change)?;
        self.catalog_version += 1;
        self.deleted_topics.extend(id);
        match change {
            Change::Created { topic, .. } => self.put_logs(&topic.partitions, &topic.config),
            Change::Altered { name, config, .. } => {
                let topic = self.catalog.topic(name).expect("applying has found the topic");
                let partitions = topic.partitions.clone();
                self.put_logs(&partitions, config);
            }
            Change::Deleted { .. } => self.drop_logs(&deleted),
            Change::Dropped { .. } | Change::ProducerIds { .. } => {}
        }
        Ok(())
    }

    fn put_logs(&mut self, partitions: &[Partition], config: &TopicConfig) {
        let config = config.log_config();
        for partition in partitions.iter().filter(|partition| partition.shard == self.shard) {
            self.engine.put_log(partition.log, config);
        }
    }

    fn drop_logs(&mut self, partitions: &[Partition]) {
        for Partition { log, shard } in partitions {
            if *shard == self.shard {
                self.drops_uncertain |= !self.engine.drop_log(*log);
                self.dropping.push(*log);
            }
            // Whoever waits for the log finds out that it is gone.
            self.advanced(*log);
        }
    }

    /// Deleted logs of which nothing is left for certain, so that the catalog may forget them. They are given once.
    ///
    /// A deletion is durable when everything is. If one could not be stored, that is never certain: then the next start
    /// deletes again.
    pub fn take_dropped(&mut self) -> Vec<LogId> {
        if self.drops_uncertain || self.dropping.is_empty() || self.engine.pending_bytes() > 0 {
            return Vec::new();
        }
        std::mem::take(&mut self.dropping)
    }

    /// Asks for a change of the catalog; the caller is told by [`Outcome::Changed`].
    pub fn change_catalog(&mut self, command: Command, caller: Caller) {
        if self.shard == 0 {
            self.commands.push_back((command, caller));
        } else {
            self.ask_for_change(command, caller);
        }
    }

    /// A change of the catalog that is wanted; for the keeper.
    pub fn next_command(&mut self) -> Option<(Command, Caller)> {
        self.commands.pop_front()
    }

    /// Tells whoever wanted a change of the catalog what came of it.
    pub fn changed(&mut self, caller: Caller, result: Result<Arc<Change>, CatalogError>) {
        self.ended.push_back((caller, Outcome::Changed(result)));
    }

    /// Sends a message to every other shard.
    pub fn tell_others(&mut self, mut message: impl FnMut() -> Message) {
        for shard in (0..self.shards()).filter(|shard| *shard != self.shard) {
            self.links[usize::from(shard)].send(message());
        }
    }

    /// Sends a message to one other shard.
    pub fn tell_shard(&mut self, shard: ShardId, message: Message) {
        debug_assert_ne!(shard, self.shard);
        self.links[usize::from(shard)].send(message);
    }

    /// Appends to the catalog's own log, synced. The keeper is told.
    ///
    /// # Errors
    /// If the append was not begun.
    pub fn append_to_catalog(&mut self, batch: &[u8]) -> Result<(), AppendError> {
        self.append_here(CATALOG_LOG, Payload::Ringmail(batch), Acks::Synced, Caller::Keeper).map(drop)
    }

    /// Moves the start of the catalog's own log. The keeper is told.
    ///
    /// # Errors
    /// If that was not begun.
    pub fn trim_catalog(&mut self, before: u64) -> Result<(), AppendError> {
        self.delete_records_here(CATALOG_LOG, before, Caller::Keeper)
    }
}
