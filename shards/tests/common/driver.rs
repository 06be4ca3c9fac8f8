//! A shard over a disk in memory, where every call is driven to its end.

use super::{Disk, MemDisk, Rng};
use bytes::Bytes;
use ringmail_shards::config::{LogConfig, ShardConfig};
use ringmail_shards::shard::{
    Acks, Answer, AppendError, Event, Isolation, LogId, OffsetAtTime, Payload, ReadData, ReadError, Shard,
    TimeQuery, Token,
};
use ringmail_wire::batch::{BatchBuilder, Batches, Compression};

/// A token that nobody waits for.
pub const ANY: Token = Token(u64::MAX);

/// What a log holds: offset and value of each record, and the offsets that cannot be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Contents {
    pub records: Vec<(u64, Vec<u8>)>,
    pub damaged: Vec<u64>,
}

/// The shard, its disk, and what it said.
pub struct Driver<D: Disk = MemDisk> {
    pub disk: D,
    pub shard: Shard,
    pub config: ShardConfig,
    pub now: u64,
    pub events: Vec<Event>,
    rng: Rng,
    token: u64,
}

/// A batch of one record for each value.
pub fn batch(timestamp: i64, values: &[&[u8]]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(64 << 20, Compression::None);
    for value in values {
        builder.push(timestamp, None, Some(value), &[]).expect("it fits");
    }
    let mut batch = Vec::new();
    builder.finish_into(&mut batch);
    batch
}

/// The offsets and values of the records in pieces of batches.
pub fn records(pieces: &[Bytes]) -> Vec<(u64, Vec<u8>)> {
    let mut records = Vec::new();
    for batch in pieces.iter().flat_map(|piece| Batches::new(piece)) {
        let batch = batch.expect("batches are whole");
        batch.check().expect("and right");
        let mut scratch = Vec::new();
        let open = batch.open(&mut scratch).expect("and can be opened");
        records.extend(open.iter().map(|r| (r.offset, r.value.expect("a value").to_vec())));
    }
    records
}

impl<D: Disk> Driver<D> {
    /// A shard over `disk`, once recovery is over.
    pub fn open(config: ShardConfig, disk: D) -> Self {
        let mut driver = Self::begin(config, disk);
        driver.settle();
        assert!(driver.shard.is_ready(), "recovery never ends: {:?}", driver.events);
        driver
    }

    /// A shard over `disk` that may never become ready.
    pub fn begin(config: ShardConfig, mut disk: D) -> Self {
        disk.kill();
        let now = 1_000_000;
        let shard = Shard::open(config.clone(), &disk.files(), now);
        Self { disk, shard, config, now, events: Vec::new(), rng: Rng::new(1), token: 0 }
    }

    /// Kills the process and starts it again.
    pub fn reopen(self) -> Self {
        let config = ShardConfig { incarnation: self.config.incarnation + 1, ..self.config };
        Self::open(config, self.disk)
    }

    pub fn settle(&mut self) {
        for _ in 0..1_000_000 {
            self.pump();
            let Some((id, result)) = self.disk.complete_one(&mut self.rng) else { return };
            self.shard.complete(id, result);
        }
        panic!("the shard never settles");
    }

    /// Goes on until recovery is over, and no further.
    pub fn recover(&mut self) {
        while !self.shard.is_ready() {
            self.pump();
            let (id, result) = self.disk.complete_one(&mut self.rng).expect("recovery goes on");
            self.shard.complete(id, result);
        }
    }

    /// Hands operations to the disk without completing any.
    pub fn pump(&mut self) {
        while let Some((id, op)) = self.shard.next_io() {
            self.disk.submit(id, op);
        }
        while let Some(event) = self.shard.next_event() {
            self.events.push(event);
        }
    }

    /// Lets time pass in steps of at most 100 ms.
    pub fn pass(&mut self, mut ms: u64) {
        while ms > 0 {
            let step = ms.min(100);
            self.now += step;
            ms -= step;
            self.shard.tick(self.now);
            self.settle();
        }
    }

    pub fn close(&mut self) {
        self.shard.close();
        self.settle();
        assert!(self.shard.is_closed());
    }

    pub fn put_logs(&mut self, logs: impl IntoIterator<Item = LogId>) {
        logs.into_iter().for_each(|log| self.shard.put_log(log, LogConfig::KEEP));
    }

    pub fn token(&mut self) -> Token {
        self.token += 1;
        Token(self.token)
    }

    /// Begins an append of one batch.
    pub fn append(&mut self, log: LogId, values: &[&[u8]]) -> Result<(Token, u64), AppendError> {
        let token = self.token();
        let batch = batch(self.now as i64, values);
        self.shard
            .append(log, Payload::Ringmail(&batch), Acks::Synced, token)
            .map(|appended| (token, appended.base_offset))
    }

    /// Whether an append was acknowledged.
    pub fn is_acknowledged(&self, token: Token) -> bool {
        self.events.iter().any(|e| matches!(e, Event::Appended { token: t, .. } if *t == token))
    }

    /// How an append failed.
    pub fn failure(&self, token: Token) -> Option<&AppendError> {
        self.events.iter().find_map(|e| match e {
            Event::AppendFailed { token: t, error } if *t == token => Some(error),
            _ => None,
        })
    }

    /// The damage that was reported.
    pub fn damage(&self) -> Vec<String> {
        let said = |e: &Event| matches!(e, Event::Damage(_)).then(|| format!("{e:?}"));
        self.events.iter().filter_map(said).collect()
    }

    pub fn read(&mut self, log: LogId, offset: u64, max_bytes: usize) -> Result<ReadData, ReadError> {
        let token = self.token();
        match self.shard.read(log, offset, max_bytes, Isolation::Uncommitted, token) {
            Answer::Now(result) => result,
            Answer::Later => {
                self.settle();
                let at =
                    self.events.iter().position(|e| matches!(e, Event::Read { token: t, .. } if *t == token));
                match self.events.swap_remove(at.expect("every read is answered")) {
                    Event::Read { result, .. } => result,
                    _ => unreachable!("it was matched"),
                }
            }
        }
    }

    pub fn offset_for_time(&mut self, log: LogId, timestamp: i64) -> Result<u64, ReadError> {
        self.find(log, TimeQuery::AtOrAfter(timestamp)).map(|found| found.offset)
    }

    pub fn find(&mut self, log: LogId, time: TimeQuery) -> Result<OffsetAtTime, ReadError> {
        let token = self.token();
        match self.shard.offset_for_time(log, time, Isolation::Uncommitted, token) {
            Answer::Now(result) => result,
            Answer::Later => {
                self.settle();
                let found = self.events.iter().rev().find_map(|e| match e {
                    Event::OffsetFound { token: t, result } if *t == token => Some(result.clone()),
                    _ => None,
                });
                found.expect("every search is answered")
            }
        }
    }

    /// Reads all of a log, past damage too.
    pub fn contents(&mut self, log: LogId, max_bytes: usize) -> Contents {
        let mut contents = Contents::default();
        let Some(state) = self.shard.log_state(log) else { return contents };
        let mut at = state.log_start;
        while at < state.high_watermark {
            match self.read(log, at, max_bytes) {
                Ok(data) => {
                    assert!(data.next_offset > at, "a read at {at} gives nothing: {data:?}");
                    contents.records.extend(records(&data.pieces).into_iter().filter(|r| r.0 >= at));
                    at = data.next_offset;
                }
                Err(ReadError::Damaged { .. }) => {
                    contents.damaged.push(at);
                    at += 1;
                }
                Err(error) => panic!("log {log} at {at}: {error}"),
            }
        }
        contents
    }
}
