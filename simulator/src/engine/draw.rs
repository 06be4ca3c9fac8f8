//! What an episode is like: drawn from its seed.

use crate::disk::Speed;
use crate::rng::Rng;
use ringmail_shards::config::{LogConfig, ShardConfig};

/// Kinds of faults that an episode may have.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kinds {
    pub kill: bool,
    pub power_cut: bool,
    pub close: bool,
    pub read_error: bool,
    pub write_error: bool,
    pub sync_error: bool,
    pub create_error: bool,
    pub full: bool,
    pub slow: bool,
    pub clock: bool,
}

/// How disks break their contract in an episode; most keep it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LieKinds {
    pub lost_write: bool,
    pub misdirected_write: bool,
    pub rot: bool,
}

impl LieKinds {
    /// At least one of them.
    pub fn draw(rng: &mut Rng) -> Self {
        let kinds = rng.between(1, 7);
        Self { lost_write: kinds & 1 != 0, misdirected_write: kinds & 2 != 0, rot: kinds & 4 != 0 }
    }

    pub fn any(self) -> bool {
        self.lost_write || self.misdirected_write || self.rot
    }
}

/// How often clients ask for what, as shares.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mix {
    pub append: u64,
    pub read: u64,
    pub delete: u64,
    pub time: u64,
    pub replace: u64,
}

/// The particulars of an episode.
#[derive(Debug, Clone)]
pub(super) struct Episode {
    pub shards: usize,
    pub workers: usize,
    pub logs_per_shard: u64,
    pub kinds: Kinds,
    pub lies: LieKinds,
    pub mix: Mix,
    /// Once in so many batches one is large.
    pub large_batch: u64,
    /// Bytes of a log past which clients delete rather than append.
    pub log_bytes: u64,
    /// Milliseconds between two crashes on average.
    pub crash_every_ms: u64,
    /// Milliseconds between ticks of a shard with something pending.
    pub busy_tick_ms: u64,
    /// Microseconds between a client's answer and its next request, at most.
    pub think_us: u64,
}

impl Episode {
    pub fn draw(rng: &mut Rng) -> Self {
        let kinds = Kinds {
            kill: !rng.one_in(3),
            power_cut: !rng.one_in(3),
            close: rng.one_in(2),
            read_error: rng.one_in(6),
            write_error: rng.one_in(8),
            sync_error: rng.one_in(5),
            create_error: rng.one_in(6),
            full: rng.one_in(4),
            slow: rng.one_in(5),
            clock: rng.one_in(4),
        };
        let mixes = [
            Mix { append: 70, read: 24, delete: 3, time: 2, replace: 1 },
            Mix { append: 45, read: 50, delete: 2, time: 3, replace: 0 },
            Mix { append: 60, read: 20, delete: 14, time: 3, replace: 3 },
            Mix { append: 90, read: 8, delete: 1, time: 1, replace: 0 },
        ];
        Self {
            shards: rng.pick(&[1, 1, 2, 3]),
            workers: rng.pick(&[2, 4, 8, 16, 32]),
            logs_per_shard: rng.pick(&[1, 2, 3, 5, 8]),
            kinds,
            lies: LieKinds::default(),
            mix: rng.pick(&mixes),
            large_batch: rng.pick(&[10, 30, 100, 400]),
            log_bytes: rng.pick(&[64, 128, 256, 512]) << 10,
            crash_every_ms: rng.pick(&[10, 40, 150, 600]),
            busy_tick_ms: rng.pick(&[5, 10, 20]),
            think_us: rng.pick(&[20, 200, 1000]),
        }
    }
}

/// The configuration of a shard at its next start.
pub(super) fn shard_config(shard: u16, rng: &mut Rng) -> ShardConfig {
    ShardConfig {
        shard,
        incarnation: rng.number(),
        segment_bytes: rng.pick(&[64, 128, 128, 256, 512]) << 10,
        write_bytes: rng.pick(&[4, 8, 16, 16, 32, 64]) << 10,
        writes_in_flight: rng.pick(&[1, 2, 4, 8]),
        tail_cache_bytes: rng.pick(&[0, 16, 64, 256]) << 10,
        spare_segments: rng.pick(&[0, 1, 2, 3]),
        max_batch_bytes: rng.pick(&[16, 40, 100]) << 10,
        max_pending_bytes: rng.pick(&[32, 128, 512, 1024]) << 10,
        read_bytes: rng.pick(&[8, 32, 128]) << 10,
        reads_in_flight: rng.pick(&[1, 2, 8]),
        read_ahead: rng.pick(&[0, 1, 4]),
        clean_below: rng.pick(&[0.0, 0.3, 0.6, 0.9]),
        clean_bytes_per_second: rng.pick(&[64 << 10, 1 << 20, 16 << 20]),
        lazy_sync_ms: rng.pick(&[0, 5, 20, 100]),
        ..ShardConfig::default()
    }
}

pub(super) fn log_config(rng: &mut Rng) -> LogConfig {
    LogConfig {
        retention_ms: rng.one_in(6).then(|| rng.pick(&[50, 400, 5_000, 300_000])),
        retention_bytes: rng.one_in(4).then(|| rng.pick(&[1, 10_000, 60_000, 200_000])),
        max_batch_bytes: rng.one_in(8).then(|| rng.pick(&[1_000, 20_000])),
        essential: rng.one_in(8),
        ..LogConfig::KEEP
    }
}

pub(super) fn speed(slow: bool, rng: &mut Rng) -> Speed {
    if slow && rng.one_in(2) {
        return Speed { least_us: 500, more_us: 4000, hold_up: 10, held_up_us: 300_000 };
    }
    Speed { least_us: rng.pick(&[5, 20, 80]), more_us: rng.pick(&[20, 100]), hold_up: 50, held_up_us: 4000 }
}
