//! What an episode is like: drawn from its seed.

use crate::disk::Speed;
use crate::rng::Rng;
use ringmail::config::{ByteSize, Config, Limit, Millis};
use ringmail_shards::config::ShardConfig;

/// How often clients ask for what, as shares.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mix {
    pub produce: u64,
    pub fetch: u64,
    pub subscribe: u64,
    pub offsets: u64,
    pub delete: u64,
    pub look: u64,
    pub change: u64,
    pub misbehave: u64,
}

/// The particulars of an episode.
#[derive(Debug, Clone)]
pub(super) struct Episode {
    pub shards: usize,
    pub clients: usize,
    pub topics: usize,
    pub partitions: u64,
    pub mix: Mix,
    /// Requests that a client has under way, and makes at once.
    pub depth: u64,
    pub burst: u64,
    /// Once in so many values one is large, and how large.
    pub large_value: u64,
    pub large_bytes: u64,
    /// Microseconds between a client's answer and its next requests, at most.
    pub think_us: u64,
    /// Bytes that a connection holds in each direction.
    pub socket_bytes: usize,
    /// Once in so many times only a few bytes are sent or received.
    pub chop: u64,
    /// Once in so many receptions a client takes nothing for a while.
    pub deaf: u64,
    /// Bounds of the mesh.
    pub channel_batches: usize,
    pub outbox_messages: usize,
    /// Microseconds that a batch of messages takes, and that a shard takes to look at its disk, at most.
    pub mesh_us: u64,
    pub turn_us: u64,
    /// Kinds of faults.
    pub crash: bool,
    pub failing: bool,
    pub full: bool,
    pub slow: bool,
    pub clock: bool,
    /// Requests between two ends of the node.
    pub round: u64,
}

impl Episode {
    pub fn draw(rng: &mut Rng) -> Self {
        let usual = Mix {
            produce: 50,
            fetch: 25,
            subscribe: 8,
            offsets: 5,
            delete: 2,
            look: 4,
            change: 3,
            misbehave: 1,
        };
        let mixes = [
            usual,
            usual,
            Mix { produce: 70, fetch: 20, ..usual },
            Mix { produce: 20, fetch: 50, subscribe: 20, ..usual },
            Mix { produce: 15, fetch: 10, look: 15, change: 50, ..usual },
            Mix { misbehave: 12, ..usual },
            Mix { produce: 60, delete: 12, change: 6, ..usual },
        ];
        Self {
            shards: rng.pick(&[1, 2, 2, 3, 4]),
            clients: rng.pick(&[2, 4, 8, 12]),
            topics: rng.pick(&[1, 3, 6, 12]),
            partitions: rng.pick(&[1, 2, 4, 7]),
            mix: rng.pick(&mixes),
            depth: rng.pick(&[1, 4, 16, 64]),
            burst: rng.pick(&[1, 3, 8, 16]),
            large_value: rng.pick(&[0, 200, 20, 4]),
            large_bytes: rng.pick(&[5_000, 20_000, 60_000]),
            think_us: rng.pick(&[10, 100, 1000]),
            socket_bytes: rng.pick(&[2 << 10, 64 << 10, 1 << 20]),
            chop: rng.pick(&[0, 50, 4]),
            deaf: rng.pick(&[0, 0, 1000, 50]),
            channel_batches: rng.pick(&[1, 3, 1024]),
            outbox_messages: rng.pick(&[2, 16, 65_536]),
            mesh_us: rng.pick(&[5, 100, 2000]),
            turn_us: rng.pick(&[5, 50, 1000]),
            crash: !rng.one_in(4),
            failing: rng.one_in(3),
            full: rng.one_in(4),
            slow: rng.one_in(4),
            clock: rng.one_in(4),
            round: rng.pick(&[300, 1500, 4000]),
        }
    }

    /// The broker's configuration.
    pub fn config(&self, rng: &mut Rng) -> Config {
        let mut config = Config::default();
        config.node.shutdown_grace = Millis::seconds(5);
        let limits = &mut config.limits;
        limits.frame = ByteSize::kib(rng.pick(&[300, 1024]));
        limits.batch = ByteSize::kib(rng.pick(&[128, 256]));
        limits.in_flight_per_connection = ByteSize::kib(rng.pick(&[16, 256, 1024]));
        limits.in_flight_per_shard = ByteSize::kib(rng.pick(&[512, 1024, 4096]));
        limits.idle_timeout = Millis::new(rng.pick(&[3_000, 60_000]));
        limits.handshake_timeout = Millis::new(1_000);
        limits.subscriptions_per_connection = rng.pick(&[2, 16]);
        limits.fetch_response = ByteSize::kib(rng.pick(&[64, 1024]));
        config.topics.retention_time = Limit::Unlimited;
        let log = &mut config.log;
        log.segment = ByteSize::kib(rng.pick(&[128, 256, 512, 1024]));
        log.write = ByteSize::kib(rng.pick(&[16, 64]));
        log.writes_in_flight = rng.pick(&[1, 2, 8]);
        log.tail_cache = ByteSize::kib(rng.pick(&[0, 64, 512]));
        log.prefill_segments = rng.pick(&[0, 1, 2]);
        log.read_ahead = ByteSize::kib(rng.pick(&[32, 128]));
        log.reads_in_flight = rng.pick(&[1, 8]);
        log.clean_below = rng.pick(&[0.0, 0.3, 0.8]);
        log.clean_bandwidth = ByteSize::kib(rng.pick(&[64, 1 << 10, 16 << 10]));
        config
    }
}

/// What of the engine's configuration the broker's does not say.
pub(super) fn engine(config: ShardConfig, rng: &mut Rng) -> ShardConfig {
    let (read_ahead, lazy_sync_ms) = (rng.pick(&[0, 2]), rng.pick(&[5, 20]));
    ShardConfig { read_ahead, lazy_sync_ms, age_check_ms: 200, ..config }
}

pub(super) fn speed(slow: bool, rng: &mut Rng) -> Speed {
    if slow && rng.one_in(2) {
        return Speed { least_us: 500, more_us: 4000, hold_up: 20, held_up_us: 200_000 };
    }
    Speed { least_us: rng.pick(&[5, 40]), more_us: rng.pick(&[20, 100]), hold_up: 50, held_up_us: 4000 }
}
