//! Logs on an engine whose disk does at once what it is told.

use ringmail_shards::config::ShardConfig;
use ringmail_shards::io::IoDone;

use super::*;
use crate::node::catalog::{Change, Partition, Topic, TopicConfig, TopicValues};

/// The log of the only topic.
pub(crate) const LOG: LogId = 1;

/// What shard `shard` of two sees once there is topic "t", whose one partition is on shard `owner`.
pub(crate) fn logs_with_a_topic(shard: ShardId, owner: ShardId) -> Logs {
    logs_with_topic("t", shard, owner)
}

/// The like, with a topic of this name.
pub(crate) fn logs_with_topic(name: &str, shard: ShardId, owner: ShardId) -> Logs {
    let config = ShardConfig { shard, segment_bytes: 1 << 20, ..ShardConfig::default() };
    let cluster = ClusterId::new([7; 16]).unwrap();
    let values = TopicValues { max_message_bytes: 1 << 20, retention_bytes: None, retention_ms: None };
    let limits = CatalogLimits {
        shards: 2,
        partitions_per_topic: 10,
        partitions: 10,
        default_partitions: 1,
        defaults: values,
    };
    let mut logs = Logs::new(cluster, shard, limits, Engine::open(config, &[], 0), 1 << 20);
    drive(&mut logs);
    let partitions = vec![Partition { log: LOG, shard: owner }];
    let topic = Topic { id: 1, config: TopicConfig::new(values), partitions };
    logs.apply_change(&Change::Created { name: name.into(), topic }).expect("the catalog is empty");
    logs
}

/// Carries out what the engine wants of its disk.
pub(crate) fn drive(logs: &mut Logs) {
    for now_ms in 0..100 {
        logs.tick(now_ms);
        while let Some((id, _)) = logs.engine().next_io() {
            logs.engine().complete(id, Ok(IoDone::Ok));
        }
    }
}

fn delete(logs: &mut Logs) {
    logs.apply_change(&Change::Deleted { name: "t".into() }).expect("the topic is there");
}

#[test]
fn a_deleted_log_is_forgotten_once_its_deletion_is_durable() {
    let mut logs = logs_with_a_topic(0, 0);
    delete(&mut logs);
    assert!(logs.take_dropped().is_empty(), "the deletion is not durable yet");
    drive(&mut logs);
    assert_eq!(logs.take_dropped(), [LOG]);
    assert!(logs.take_dropped().is_empty(), "it is told once");
}

/// The catalog was told that nothing is left of it; after the next start it was there again, and belonged to nobody.
#[test]
fn a_log_deleted_while_the_engine_closes_is_deleted_again_by_the_next_start() {
    let mut logs = logs_with_a_topic(0, 0);
    logs.engine().close();
    drive(&mut logs);
    delete(&mut logs);
    drive(&mut logs);
    assert!(logs.take_dropped().is_empty());
}
