//! What is known of the broker's shards and topics.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use ringmail_wire::protocol::{LogId, MetadataResponse};

use super::pool::Endpoint;
use crate::Error;

/// A partition: its log, and the shard that owns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// The log.
    pub log: LogId,
    /// The shard.
    pub shard: u16,
}

/// A topic as the broker last described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Its identity; a topic that is created again gets another.
    pub id: u64,
    /// Partition 0 first.
    pub partitions: Vec<Partition>,
}

impl Topic {
    /// The partition of this number.
    ///
    /// # Errors
    /// [`Error::UnknownPartition`].
    pub fn partition(&self, partition: u32) -> Result<Partition, Error> {
        let known = self.partitions.get(partition as usize).copied();
        known.ok_or_else(|| Error::UnknownPartition { topic: self.name.to_string(), partition })
    }
}

/// The shards and topics that were last heard of.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    shards: HashMap<u16, Endpoint>,
    topics: HashMap<Arc<str>, Arc<Topic>>,
}

impl Cluster {
    /// Where the shard listens.
    pub fn shard(&self, shard: u16) -> Option<Endpoint> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).shards.get(&shard).cloned()
    }

    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).topics.get(name).cloned()
    }

    /// Forgets a topic.
    pub fn forget(&self, name: &str) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).topics.remove(name);
    }

    /// Takes over what the broker says, and returns the topics it names. Shards that name no host are at
    /// that of `bootstrap`.
    pub fn update(&self, metadata: &MetadataResponse<'_>, bootstrap: &Endpoint) -> Vec<Arc<Topic>> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.shards = metadata
            .shards
            .iter()
            .filter(|s| s.port != 0)
            .map(|s| {
                let host = if s.host.is_empty() { &bootstrap.host } else { s.host };
                (s.shard, Endpoint { host: host.to_owned(), port: s.port })
            })
            .collect();
        let topics = metadata.topics.iter().map(|t| {
            let partitions = t.partitions.iter().map(|p| Partition { log: p.log, shard: p.shard });
            Arc::new(Topic { name: t.name.into(), id: t.id, partitions: partitions.collect() })
        });
        let topics: Vec<_> = topics.collect();
        for topic in &topics {
            known.topics.insert(topic.name.clone(), topic.clone());
        }
        topics
    }
}
