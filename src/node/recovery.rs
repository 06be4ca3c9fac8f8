//! The first thing a shard does: recover its log; and on shard 0, read the catalog. Like the engine, this does no I/O: it gives
//! out operations, and is told of their ends.

use ringmail_shards::api::{Answer, Event, Isolation, ReadData, ReadError, Token};
use ringmail_shards::config::{LogConfig, ShardConfig};
use ringmail_shards::io::{ExistingFile, IoId, IoOp, IoResult};
use ringmail_shards::shard::Shard as Engine;
use ringmail_wire::batch::Batches;

use super::catalog::record::Replay;
use super::catalog::{CATALOG_LOG, Catalog, ShardId};

/// Bytes of the catalog's log that are read at once.
const CATALOG_READ: usize = 1 << 20;

/// A shard's engine while it recovers.
pub struct Recovery {
    shard: ShardId,
    shards: ShardId,
    engine: Engine,
    step: Step,
}

/// What a shard has after it has recovered.
pub struct Recovered {
    /// Its engine.
    pub engine: Engine,
    /// On shard 0, the catalog, and the number of changes since its last snapshot.
    pub catalog: Option<(Catalog, usize)>,
}

enum Step {
    /// The engine recovers.
    Log,
    /// The catalog is read from this offset on.
    Catalog { replay: Replay, offset: u64, reading: bool },
    /// All is done.
    Done(Option<(Catalog, usize)>),
}

/// Why a shard cannot recover.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// The log cannot be read, or what has to be written before it is used cannot be.
    #[error("{0}")]
    Log(String),
    /// The catalog cannot be read.
    #[error("{0}")]
    Catalog(String),
}

impl Recovery {
    /// Begins to recover the log in these files, of one of `shards` shards. `wall_ms` is milliseconds since the Unix epoch.
    pub fn new(config: ShardConfig, shards: ShardId, files: &[ExistingFile], wall_ms: u64) -> Self {
        Self { shard: config.shard, shards, engine: Engine::open(config, files, wall_ms), step: Step::Log }
    }

    /// The next operation for the disk, after every [`step`](Self::step) until there is none.
    pub fn next_io(&mut self) -> Option<(IoId, IoOp)> {
        self.engine.next_io()
    }

    /// An operation has ended.
    pub fn complete(&mut self, id: IoId, result: IoResult) {
        self.engine.complete(id, result);
    }

    /// Goes on as far as the disk has come. Whether all is done.
    ///
    /// # Errors
    /// If the log cannot be recovered; or if the catalog cannot be read or makes no sense. The broker does not start without all of
    /// it: what it would not know, it might give out again.
    pub fn step(&mut self) -> Result<bool, RecoveryError> {
        loop {
            let read = self.take_events()?;
            match &mut self.step {
                Step::Log if !self.engine.is_ready() => return Ok(false),
                Step::Log if self.shard == 0 => self.step = self.open_catalog(),
                Step::Log => self.step = Step::Done(None),
                Step::Catalog { reading: true, .. } => match read {
                    Some(result) => self.take_records(result)?,
                    None => return Ok(false),
                },
                Step::Catalog { reading: false, .. } => self.read_on()?,
                Step::Done(_) => return Ok(true),
            }
        }
    }

    /// What was recovered.
    ///
    /// # Panics
    /// If [`step`](Self::step) has not said that all is done.
    pub fn finish(self) -> Recovered {
        let Step::Done(catalog) = self.step else { panic!("the recovery goes on") };
        Recovered { engine: self.engine, catalog }
    }

    /// Reports what the engine says; gives the end of a read.
    fn take_events(&mut self) -> Result<Option<Result<ReadData, ReadError>>, RecoveryError> {
        while let Some(event) = self.engine.next_event() {
            match event {
                Event::Read { result, .. } => return Ok(Some(result)),
                Event::Fenced { reason } => return Err(RecoveryError::Log(reason)),
                Event::Damage(damage) => tracing::error!(
                    shard = self.shard,
                    %damage,
                    "stored bytes are damaged; reads of this range fail, everything else is served"
                ),
                _ => {}
            }
        }
        Ok(None)
    }

    fn open_catalog(&mut self) -> Step {
        self.engine.put_log(CATALOG_LOG, LogConfig { essential: true, ..LogConfig::KEEP });
        let state = self.engine.log_state(CATALOG_LOG).expect("the log was made known");
        Step::Catalog { replay: Replay::default(), offset: state.log_start, reading: false }
    }

    /// Reads the next records of the catalog, if there are any.
    fn read_on(&mut self) -> Result<(), RecoveryError> {
        let state = self.engine.log_state(CATALOG_LOG).expect("the log was made known");
        let Step::Catalog { replay, offset, reading } = &mut self.step else { return Ok(()) };
        if *offset >= state.high_watermark {
            let (catalog, changes) = std::mem::take(replay).finish();
            self.check_owners(&catalog)?;
            self.step = Step::Done(Some((catalog, changes)));
            return Ok(());
        }
        *reading = true;
        match self.engine.read(CATALOG_LOG, *offset, CATALOG_READ, Isolation::Uncommitted, Token(0)) {
            Answer::Now(result) => self.take_records(result),
            Answer::Later => Ok(()),
        }
    }

    /// A log on a shard that does not exist is in another data directory: nobody could serve it.
    fn check_owners(&self, catalog: &Catalog) -> Result<(), RecoveryError> {
        let shards = self.shards;
        catalog.beyond(shards).map_or(Ok(()), |(log, shard)| {
            let words =
                format!("log {log} is on shard {shard}, and this directory has {shards}, counted from 0");
            Err(RecoveryError::Catalog(words))
        })
    }

    fn take_records(&mut self, result: Result<ReadData, ReadError>) -> Result<(), RecoveryError> {
        let Step::Catalog { replay, offset, reading } = &mut self.step else { return Ok(()) };
        *reading = false;
        let data = result.map_err(|error| RecoveryError::Catalog(error.to_string()))?;
        if data.next_offset <= *offset {
            let words = format!("its records end at offset {offset}, before their time");
            return Err(RecoveryError::Catalog(words));
        }
        for batch in data.pieces.iter().flat_map(|piece| Batches::new(piece)) {
            let replayed = batch.map_err(|error| error.to_string()).and_then(|batch| {
                batch.check().map_err(|error| error.to_string())?;
                replay.batch(&batch).map_err(|error| error.to_string())
            });
            replayed.map_err(RecoveryError::Catalog)?;
        }
        *offset = data.next_offset;
        Ok(())
    }
}
