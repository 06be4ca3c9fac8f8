//! The topics of the broker, as machines see them.

use ringmail_coordinator::machine::Topics;
use ringmail_kafka::codec::Uuid;

use crate::node::catalog::is_internal;
use crate::node::logs::Logs;

/// The catalog of a shard.
pub(super) struct CatalogTopics<'a>(pub(super) &'a Logs);

impl Topics for CatalogTopics<'_> {
    fn topic(&self, name: &str) -> Option<(Uuid, i32)> {
        let topic = self.0.catalog().topic(name)?;
        let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        Some((self.0.uuid_of(topic), partitions))
    }

    fn name(&self, id: Uuid) -> Option<&str> {
        self.0.topic_of_uuid(id).map(|(name, _)| name)
    }

    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        let names = self.0.catalog().topics().map(|(name, _)| name);
        Box::new(names.filter(|name| !is_internal(name)))
    }

    fn version(&self) -> u64 {
        self.0.catalog_version()
    }
}
