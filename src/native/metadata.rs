//! Metadata: which shard and port owns which partition.

use ringmail_wire::protocol::{
    Message, MetadataRequest, MetadataResponse, PartitionInfo, ShardInfo, TopicInfo,
};

use super::error::Fault;
use super::requests::Request;
use super::sessions::Sessions;
use crate::node::catalog::Topic;
use crate::node::logs::Logs;

impl Sessions<'_> {
    pub(super) fn metadata(&mut self, request: &Request<'_>, logs: &Logs) -> Result<(), Fault> {
        let mut wanted = MetadataRequest::from_body(request.body)?.topics;
        // A topic that is named many times is described once: a short name may stand for a long description.
        wanted.sort_unstable();
        wanted.dedup();
        let catalog = logs.catalog();
        let topics = if wanted.is_empty() {
            catalog.topics().map(|(name, topic)| describe(name, topic)).collect()
        } else {
            let known = |name: &&'_ str| catalog.topic(name);
            wanted.iter().filter_map(|name| Some(describe(name, known(name)?))).collect()
        };
        let host = self.own.settings.host.clone();
        let shards = (0..).zip(&self.own.settings.ports);
        let shards = shards.map(|(shard, port)| ShardInfo { shard, port: *port, host: &host }).collect();
        self.answer(&request.reply(), &MetadataResponse { shards, topics });
        Ok(())
    }
}

fn describe<'a>(name: &'a str, topic: &Topic) -> TopicInfo<'a> {
    let info = |partition: &crate::node::catalog::Partition| PartitionInfo {
        log: partition.log,
        shard: partition.shard,
    };
    TopicInfo { name, id: topic.id, partitions: topic.partitions.iter().map(info).collect() }
}
