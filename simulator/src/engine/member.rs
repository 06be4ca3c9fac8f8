//! A shard with its disk, as a machine of its own: it starts, runs, ends and crashes by itself.

use crate::disk::Disk;
use crate::rng::Rng;
use ringmail_shards::api::{Acks, LogId, Token};
use ringmail_shards::config::ShardConfig;
use ringmail_shards::shard::Shard;
use std::collections::BTreeMap;

/// A request that the engine has taken and not answered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Waiting {
    Append { log: LogId, base: u64, end: u64, acks: Acks },
    Delete { log: LogId, start: u64 },
    Read { log: LogId, offset: u64, max_bytes: usize },
    Time { log: LogId, timestamp: i64, start: u64, high_watermark: u64 },
}

/// A client's request, as the mesh carries it: who asked, and which of that client's requests it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caller {
    pub worker: usize,
    pub request: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Down,
    Recovering,
    Serving,
    Closing,
}

/// How a shard has ended the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Killed,
    PowerCut,
    Closed,
}

/// The deletion of a log: whether the engine could store it, and whether it is durable for sure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dropped {
    pub stored: bool,
    pub durable: bool,
}

#[derive(Debug)]
pub(super) struct Member {
    pub disk: Disk,
    pub shard: Option<Shard>,
    pub config: ShardConfig,
    pub stage: Stage,
    /// How the machine went since the last recovery that was not cut short: a power cut outweighs what else happened.
    pub ended: End,
    /// Counts starts; what was sent to an earlier one is lost.
    pub boot: u64,
    pub fenced: bool,
    pub full: bool,
    /// A turn is planned.
    pub turn_due: bool,
    pub waiting: BTreeMap<Token, (Caller, Waiting)>,
    /// The watches that the engine was told of: the high watermark then, and who is to be told.
    pub watches: BTreeMap<LogId, (u64, Vec<Caller>)>,
    /// Logs that were deleted.
    pub dropped: BTreeMap<LogId, Dropped>,
    /// Operations of the disk that had failed before the last start, and those refused for want of room.
    pub failed_before: u64,
    pub refused_before: u64,
    /// Breaches of the disk's contract that the trace tells of.
    pub lies_said: usize,
    /// Places of damage that the shard has reported since its start, or since starts before whose recoveries were cut short.
    pub damage_said: u64,
    /// Whether the recovery of its last start came to its end.
    pub has_recovered: bool,
    /// Syncs that had failed before the last recovery ended.
    pub failed_syncs_before: u64,
}

impl Member {
    pub fn new(config: ShardConfig, rng: &mut Rng) -> Self {
        Self {
            disk: Disk::new(rng.fork()),
            shard: None,
            config,
            stage: Stage::Down,
            ended: End::Closed,
            boot: 0,
            fenced: false,
            full: false,
            turn_due: false,
            waiting: BTreeMap::new(),
            watches: BTreeMap::new(),
            dropped: BTreeMap::new(),
            failed_before: 0,
            refused_before: 0,
            lies_said: 0,
            damage_said: 0,
            has_recovered: false,
            failed_syncs_before: 0,
        }
    }

    /// The engine of a shard that runs.
    pub fn engine(&mut self) -> &mut Shard {
        self.shard.as_mut().expect("the shard runs")
    }

    /// Whether the disk has broken its contract.
    pub fn was_lied_to(&self) -> bool {
        !self.disk.lied.is_empty()
    }

    /// Whether clients are served.
    pub fn serves(&self) -> bool {
        self.stage == Stage::Serving
    }
}
