//! The sections of the configuration and their defaults. What each key does is documented for users in
//! `default.toml`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ByteSize, CoreSet, Limit, ListenAddress, Millis};

/// The whole configuration of a broker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// This process: its data, its cores, its name.
    pub node: Node,
    /// Where each protocol is served.
    pub listen: Listen,
    /// What Kafka's clients are told and given.
    pub kafka: Kafka,
    /// What a client can ask for before it is slowed or refused.
    pub limits: Limits,
    /// The log of each shard.
    pub log: Log,
    /// What a topic gets that was created without saying.
    pub topics: Topics,
    /// What is logged, and how.
    pub logging: Logging,
}

/// `[node]`: this process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Node {
    /// The data directory.
    pub data: PathBuf,
    /// The cores that shards are pinned to.
    pub cores: CoreSet,
    /// The number of shards; 0 means one for each core.
    pub shards: u16,
    /// The host name that clients are told to connect to; empty means the address that they connected to.
    pub advertised_host: String,
    /// How long a shutdown waits for requests under way.
    pub shutdown_grace: Millis,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            data: PathBuf::from("ringmail-data"),
            cores: CoreSet::All,
            shards: 0,
            advertised_host: String::new(),
            shutdown_grace: Millis::seconds(10),
        }
    }
}

/// `[listen]`: where each protocol is served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// The native protocol's shared listener.
    pub native: ListenAddress,
    /// The native protocol's port of shard 0, the others following; 0 means those after the shared listener's
    /// port, or free ones if that was itself chosen by the kernel.
    pub shard_ports_from: u16,
    /// The shared listener for Kafka's clients.
    pub kafka: ListenAddress,
    /// The port of shard 0 for Kafka's clients, the others following; 0 as for the native protocol.
    pub kafka_shard_ports_from: u16,
}

impl Listen {
    /// The native protocol's port of shard 0, or 0 where the kernel is to choose one. Validation has made
    /// sure that the ports of all shards exist.
    pub fn first_shard_port(&self) -> u16 {
        first_shard_port(self.native, self.shard_ports_from)
    }

    /// The port of shard 0 for Kafka's clients, or 0 where the kernel is to choose one.
    pub fn first_kafka_shard_port(&self) -> u16 {
        first_shard_port(self.kafka, self.kafka_shard_ports_from)
    }
}

fn first_shard_port(shared: ListenAddress, from: u16) -> u16 {
    let shared = shared.get().map_or(0, |address| address.port());
    match (from, shared) {
        (0, 0) => 0,
        (0, shared) => shared.saturating_add(1),
        (from, _) => from,
    }
}

impl Default for Listen {
    fn default() -> Self {
        let at = |port| ListenAddress::At(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
        Self { native: at(7411), shard_ports_from: 0, kafka: at(9092), kafka_shard_ports_from: 0 }
    }
}

/// `[kafka]`: what Kafka's clients are told and given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kafka {
    /// The host name that they are told to connect to; empty means `node.advertised_host`.
    pub advertised_host: String,
    /// The port of shard 0 that they are told, the others following; 0 means those that shards listen on.
    pub advertised_port: u16,
    /// Whether all shards are one broker, on the shared port alone.
    pub single_port: bool,
    /// The broker id of shard 0, the others following.
    pub node_id_base: i32,
    /// Whether topics are created when they are first asked for.
    pub auto_create_topics: bool,
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            advertised_host: String::new(),
            advertised_port: 0,
            single_port: false,
            node_id_base: 1,
            auto_create_topics: true,
        }
    }
}

/// `[limits]`: what a client can ask for before it is slowed or refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The largest request, header included.
    pub frame: ByteSize,
    /// The largest record batch, decompressed.
    pub batch: ByteSize,
    /// Connections to the broker.
    pub connections: u32,
    /// Bytes of requests that one connection may have unanswered.
    pub in_flight_per_connection: ByteSize,
    /// Bytes of requests that one shard holds unanswered.
    pub in_flight_per_shard: ByteSize,
    /// How long a connection may be silent.
    pub idle_timeout: Millis,
    /// How long a new connection may take for its handshake.
    pub handshake_timeout: Millis,
    /// Partitions of one topic.
    pub partitions_per_topic: u32,
    /// Partitions of all topics together.
    pub partitions: u32,
    /// Subscriptions of one connection.
    pub subscriptions_per_connection: u32,
    /// The largest answer to one fetch.
    pub fetch_response: ByteSize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame: ByteSize::mib(16),
            batch: ByteSize::mib(8),
            connections: 10_000,
            in_flight_per_connection: ByteSize::mib(16),
            in_flight_per_shard: ByteSize::mib(64),
            idle_timeout: Millis::seconds(600),
            handshake_timeout: Millis::seconds(10),
            partitions_per_topic: 10_000,
            partitions: 100_000,
            subscriptions_per_connection: 1_024,
            fetch_response: ByteSize::mib(8),
        }
    }
}

/// `[log]`: the log of each shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// The size of a segment file.
    pub segment: ByteSize,
    /// The largest group-commit write.
    pub write: ByteSize,
    /// Group-commit writes under way at once.
    pub writes_in_flight: u16,
    /// Memory for what was just written, per shard.
    pub tail_cache: ByteSize,
    /// Segments kept zero-filled ahead of use, per shard.
    pub prefill_segments: u16,
    /// The cleaner copies a segment's live bytes forward once their share of it is below this (0.0 to 0.9).
    pub clean_below: f64,
    /// How much the cleaner of one shard copies per second.
    pub clean_bandwidth: ByteSize,
    /// The largest read from disk.
    pub read_ahead: ByteSize,
    /// Reads from disk under way at once, per shard.
    pub reads_in_flight: u16,
    /// How often it is looked for records that are older than their topic keeps.
    pub age_check: Millis,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            segment: ByteSize::mib(256),
            write: ByteSize::mib(1),
            writes_in_flight: 8,
            tail_cache: ByteSize::mib(48),
            prefill_segments: 2,
            clean_below: 0.3,
            clean_bandwidth: ByteSize::mib(64),
            read_ahead: ByteSize::mib(1),
            reads_in_flight: 8,
            age_check: Millis::seconds(300),
        }
    }
}

/// `[topics]`: what a topic gets that was created without saying.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Topics {
    /// Partitions.
    pub partitions: u32,
    /// How long records are kept.
    pub retention_time: Limit<Millis>,
    /// How many bytes of records each partition keeps.
    pub retention_size: Limit<ByteSize>,
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            partitions: 1,
            retention_time: Limit::At(Millis::seconds(7 * 24 * 3_600)),
            retention_size: Limit::Unlimited,
        }
    }
}

/// `[logging]`: what is logged, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Logging {
    /// How an event is written.
    pub format: LogFormat,
    /// What is logged: a level, or a list of `target=level` directives.
    pub level: String,
}

/// How an event is written to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line for people, coloured on a terminal.
    Human,
    /// One JSON object per line.
    Json,
}

impl Default for Logging {
    fn default() -> Self {
        Self { format: LogFormat::Human, level: "info".to_owned() }
    }
}
