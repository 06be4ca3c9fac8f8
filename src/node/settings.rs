//! What the configuration means to the parts of a shard.

use ringmail_shards::config::ShardConfig;

use super::catalog::record::LARGEST_BATCH;
use super::catalog::{CatalogLimits, ShardId, TopicValues};
use crate::config::Config;
use crate::gateway::Limits;
use crate::kafka::broker_configs::broker_configs;
use crate::kafka::cluster::Cluster;
use crate::{kafka, native};

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

/// The ports of the shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports {
    /// The native protocol's, by shard; 0 where it is off.
    pub native: Vec<u16>,
    /// Kafka's shared one; 0 where it is off.
    pub kafka_shared: u16,
    /// Kafka's, by shard; empty where it is off, or has the shared one alone.
    pub kafka: Vec<u16>,
}

impl Ports {
    /// Of shards that speak the native protocol alone.
    pub fn of_native(native: Vec<u16>) -> Self {
        Self { native, kafka_shared: 0, kafka: Vec::new() }
    }

    /// How many shards there are.
    pub fn shards(&self) -> ShardId {
        self.native.len() as ShardId
    }
}

/// What holds for all connections of a shard.
pub(super) fn connections(config: &Config, shard: ShardId, ports: &Ports) -> Limits {
    let limits = &config.limits;
    Limits {
        shard,
        shards: ports.shards(),
        in_flight: limits.in_flight_per_connection.as_usize(),
        handshake_timeout_ms: limits.handshake_timeout.millis(),
        idle_timeout_ms: limits.idle_timeout.millis(),
    }
}

/// What holds for a shard's connections of the native protocol.
pub(super) fn native(config: &Config, shard: ShardId, ports: &Ports) -> native::Settings {
    let limits = &config.limits;
    native::Settings {
        shard,
        max_frame: limits.frame.as_usize(),
        in_flight: limits.in_flight_per_connection.as_usize(),
        idle_timeout_ms: limits.idle_timeout.millis(),
        subscriptions: limits.subscriptions_per_connection as usize,
        fetch_response: limits.fetch_response.as_usize(),
        host: config.node.advertised_host.clone(),
        ports: ports.native.clone(),
    }
}

/// What holds for a shard's connections of Kafka's clients.
pub(super) fn kafka(config: &Config, ports: &Ports) -> kafka::Settings {
    let (limits, kafka) = (&config.limits, &config.kafka);
    let own = [&kafka.advertised_host, &config.node.advertised_host];
    let host = own.into_iter().find(|host| !host.is_empty()).cloned().unwrap_or_default();
    let cluster = if ports.kafka.is_empty() {
        let port = if kafka.advertised_port == 0 { ports.kafka_shared } else { kafka.advertised_port };
        Cluster::of_one_port(host, port, ports.shards(), kafka.node_id_base)
    } else {
        let told = (kafka.advertised_port..).take(ports.kafka.len());
        let told = if kafka.advertised_port == 0 { ports.kafka.clone() } else { told.collect() };
        Cluster::of_shards(host, told, kafka.node_id_base)
    };
    kafka::Settings {
        max_request: limits.frame.as_usize(),
        cluster,
        idle_timeout_ms: limits.idle_timeout.millis(),
        fetch_response: limits.fetch_response.as_usize(),
        auto_create_topics: kafka.auto_create_topics,
        broker_configs: broker_configs(config, &topic_defaults(config)).into(),
        log_dir: config.node.data.display().to_string(),
    }
}

/// What topics get that do not say.
fn topic_defaults(config: &Config) -> TopicValues {
    let (limits, topics) = (&config.limits, &config.topics);
    TopicValues {
        max_message_bytes: limits.batch.bytes().min(LARGEST_MESSAGE) as u32,
        retention_bytes: topics.retention_size.get().map(|size| size.bytes()),
        retention_ms: topics.retention_time.get().map(|time| time.millis()),
    }
}

/// What bounds the catalog of a broker with these ports.
pub(super) fn catalog(config: &Config, ports: &Ports) -> CatalogLimits {
    let (limits, topics) = (&config.limits, &config.topics);
    CatalogLimits {
        shards: ports.shards(),
        partitions_per_topic: limits.partitions_per_topic,
        partitions: limits.partitions,
        default_partitions: topics.partitions,
        defaults: topic_defaults(config),
    }
}
