//! Shards of a broker, with everything around them in memory: clocks, disks, and the way from one to another.

use std::collections::VecDeque;

use ringmail::config::{ByteSize, Config};
use ringmail::node::catalog::{CATALOG_LOG, Catalog, ShardId};
use ringmail::node::cluster::ClusterId;
use ringmail::node::message::Message;
use ringmail::node::outside::Outside;
use ringmail::node::recovery::Recovered;
use ringmail::node::settings::Ports;
use ringmail::node::shard::Shard;
use ringmail_shards::config::{LogConfig, ShardConfig};
use ringmail_shards::io::{IoError, IoId, IoOp, IoResult};
use ringmail_shards::shard::Shard as Engine;

use crate::disk::Disk;

/// The largest frame of a client, in bytes.
pub const FRAME_BYTES: usize = 16 << 10;

/// How many shards there are.
pub const SHARDS: usize = 2;

/// Rounds in which everything that is under way comes to an end.
const ROUNDS: usize = 2_000;

/// The wall clock at the start, in milliseconds.
const START_MS: u64 = 1_000_000;

/// The world around one shard.
#[derive(Default)]
pub struct Around {
    now_ms: u64,
    disk: Disk,
    completed: VecDeque<(IoId, IoResult)>,
    /// What is on its way to each shard.
    mail: [Vec<Message>; SHARDS],
}

impl Outside for Around {
    fn clock_ms(&self) -> u64 {
        self.now_ms
    }

    fn wall_ms(&self) -> u64 {
        START_MS + self.now_ms
    }

    fn submit(&mut self, id: IoId, op: IoOp) {
        self.disk.submit(id, op);
    }

    fn completed(&mut self) -> Option<(IoId, IoResult)> {
        self.completed.pop_front()
    }

    fn flush_disk(&mut self) {}

    fn send(&mut self, to: ShardId, mail: Vec<Message>) -> Result<(), Vec<Message>> {
        self.mail[usize::from(to)].extend(mail);
        Ok(())
    }

    fn flush_mail(&mut self) {}

    fn changed(&mut self) {}

    fn hurry(&mut self) {}
}

/// The shards.
pub struct Cluster {
    /// By their numbers.
    pub shards: Vec<Shard<Around>>,
}

impl Cluster {
    /// Shards that serve.
    pub fn start() -> Self {
        let shards = (0..SHARDS as ShardId).map(start_shard).collect();
        let mut cluster = Self { shards };
        cluster.shards.iter_mut().for_each(Shard::turn);
        cluster.settle();
        assert!(cluster.shards.iter().all(Shard::is_serving), "without clients nothing is in the way");
        cluster
    }

    /// Lets time pass on all shards.
    pub fn advance(&mut self, ms: u64) {
        for shard in &mut self.shards {
            shard.outside().now_ms += ms;
            shard.tick();
        }
    }

    /// Ends one operation of a disk, in vain if there is an error; whether there was one.
    pub fn complete(&mut self, shard: usize, which: usize, error: Option<IoError>) -> bool {
        let shard = &mut self.shards[shard];
        let around = shard.outside();
        let Some(completion) = around.disk.end(which, error) else { return false };
        around.completed.push_back(completion);
        shard.turn();
        true
    }

    /// Hands over what is on its way from one shard to another; whether there was anything.
    pub fn deliver(&mut self, from: usize, to: usize) -> bool {
        let mail = std::mem::take(&mut self.shards[from].outside().mail[to]);
        let any = !mail.is_empty();
        if any {
            self.shards[to].messages(from as ShardId, mail);
        }
        any
    }

    /// Brings everything to an end that is under way on disks and between shards; whether there was anything.
    pub fn settle(&mut self) -> bool {
        for round in 0..ROUNDS {
            let mut any = false;
            for shard in 0..SHARDS {
                while self.complete(shard, 0, None) {
                    any = true;
                }
                any |= self.deliver(shard, 1 - shard);
            }
            if !any {
                return round > 0;
            }
        }
        panic!("the shards never rest");
    }
}

fn start_shard(number: ShardId) -> Shard<Around> {
    let mut around = Around::default();
    let mut engine = Engine::open(engine_config(number), &[], START_MS);
    around.disk.run(&mut engine);
    assert!(engine.is_ready());
    let catalog = (number == 0).then(|| {
        engine.put_log(CATALOG_LOG, LogConfig { essential: true, ..LogConfig::KEEP });
        (Catalog::default(), 0)
    });
    let cluster = ClusterId::new([7; 16]).expect("it does not begin with a zero or a dash");
    let ports = Ports::of_native(vec![9001, 9002]);
    Shard::new(&config(), cluster, number, &ports, Recovered { engine, catalog }, around)
}

fn engine_config(shard: ShardId) -> ShardConfig {
    // What a log's configuration and the catalog's records ask for decides about the size of a batch.
    ShardConfig { shard, max_pending_bytes: 64 << 10, ..crate::segment::settings() }
}

fn config() -> Config {
    let mut config = Config::default();
    let limits = &mut config.limits;
    limits.frame = ByteSize::kib(FRAME_BYTES as u64 >> 10);
    limits.batch = ByteSize::kib(8);
    limits.in_flight_per_connection = ByteSize::kib(16);
    limits.in_flight_per_shard = ByteSize::kib(32);
    limits.partitions_per_topic = 8;
    limits.partitions = 16;
    limits.subscriptions_per_connection = 3;
    limits.fetch_response = ByteSize::kib(8);
    config
}
