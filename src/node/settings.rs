//! What the configuration means to the parts of a shard.

use ringmail_shards::config::ShardConfig;

use super::catalog::record::LARGEST_BATCH;
use super::catalog::{CatalogLimits, ShardId, TopicValues};
use crate::config::Config;
use crate::gateway::Limits;
use crate::native;

/// Segment files that are held ready at least: one that is next, and one for what frees space on a full disk.
const LEAST_SPARES: usize = 2;

/// Bytes of a batch that Kafka can write: its lengths are signed.
const LARGEST_MESSAGE: u64 = i32::MAX as u64;

/// What the engine of a shard is told. `incarnation` is another number at every start.
pub fn engine(config: &Config, shard: ShardId, incarnation: u64) -> ShardConfig {
    let (log, limits) = (&config.log, &config.limits);
    ShardConfig {
        shard,
        incarnation,
        segment_bytes: log.segment.bytes(),
        write_bytes: log.write.as_usize(),
        writes_in_flight: log.writes_in_flight.into(),
        tail_cache_bytes: log.tail_cache.as_usize(),
        spare_segments: usize::from(log.prefill_segments).max(LEAST_SPARES),
        filled_segments: log.prefill_segments.into(),
        // Topics are held to limits.batch by their own configuration; the catalog's batches must fit in any case.
        max_batch_bytes: limits.batch.as_usize().max(LARGEST_BATCH),
        max_pending_bytes: limits.in_flight_per_shard.as_usize(),
        read_bytes: log.read_ahead.as_usize(),
        reads_in_flight: log.reads_in_flight.into(),
        clean_below: log.clean_below,
        clean_bytes_per_second: log.clean_bandwidth.bytes(),
        age_check_ms: log.age_check.millis(),
        ..ShardConfig::default()
    }
}

/// What holds for all connections of a shard. `ports` are those of all shards.
pub(super) fn connections(config: &Config, shard: ShardId, ports: &[u16]) -> Limits {
    let limits = &config.limits;
    Limits {
        shard,
        shards: ports.len() as ShardId,
        in_flight: limits.in_flight_per_connection.as_usize(),
        handshake_timeout_ms: limits.handshake_timeout.millis(),
        idle_timeout_ms: limits.idle_timeout.millis(),
    }
}

/// What holds for a shard's connections of the native protocol. `ports` are those of all shards.
pub(super) fn native(config: &Config, shard: ShardId, ports: &[u16]) -> native::Settings {
    let limits = &config.limits;
    native::Settings {
        shard,
        max_frame: limits.frame.as_usize(),
        in_flight: limits.in_flight_per_connection.as_usize(),
        idle_timeout_ms: limits.idle_timeout.millis(),
        subscriptions: limits.subscriptions_per_connection as usize,
        fetch_response: limits.fetch_response.as_usize(),
        host: config.node.advertised_host.clone(),
        ports: ports.to_owned(),
    }
}

/// What bounds the catalog of a broker with these ports, one for each shard.
pub(super) fn catalog(config: &Config, ports: &[u16]) -> CatalogLimits {
    let (limits, topics) = (&config.limits, &config.topics);
    CatalogLimits {
        shards: ports.len() as ShardId,
        partitions_per_topic: limits.partitions_per_topic,
        partitions: limits.partitions,
        default_partitions: topics.partitions,
        defaults: TopicValues {
            max_message_bytes: limits.batch.bytes().min(LARGEST_MESSAGE) as u32,
            retention_bytes: topics.retention_size.get().map(|size| size.bytes()),
            retention_ms: topics.retention_time.get().map(|time| time.millis()),
        },
    }
}
