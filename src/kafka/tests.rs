//! What other tests need of Kafka's protocol.

use super::Settings;
use super::cluster::Cluster;

/// Settings of one shard.
pub(crate) fn settings() -> Settings {
    Settings {
        max_request: 1 << 20,
        cluster: Cluster::of_shards(String::new(), vec![1], 1),
        idle_timeout_ms: 60_000,
        fetch_response: 1 << 20,
        auto_create_topics: true,
        broker_configs: [].into(),
        log_dir: "data".to_owned(),
    }
}
