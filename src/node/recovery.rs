//! The first thing a shard does: open its files, recover its log; and on shard 0, read the catalog.

use std::path::Path;
use std::time::{Duration, Instant};

use ringmail_shards::api::{Answer, Event, ReadData, ReadError, Token};
use ringmail_shards::config::{LogConfig, ShardConfig};
use ringmail_shards::shard::Shard as Engine;
use ringmail_wire::batch::Batches;

use super::catalog::record::Replay;
use super::catalog::{CATALOG_LOG, Catalog};
use super::error::StartError;
use crate::runtime::disk::Disk;
use crate::runtime::timer::now_ms;

/// How often progress is reported.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// Bytes of the catalog's log that are read at once.
const CATALOG_READ: usize = 1 << 20;

/// A shard's engine and disk while nobody else uses them.
pub struct Recovery {
    engine: Engine,
    disk: Disk,
}

impl Recovery {
    /// Recovers the log in `directory`.
    ///
    /// # Errors
    /// If the directory or a file in it cannot be opened, or the disk cannot be used.
    pub async fn run(directory: &Path, config: ShardConfig) -> Result<Self, StartError> {
        let shard = config.shard;
        let failed = |source| StartError::Disk { directory: directory.to_owned(), source };
        let (disk, files) = Disk::open(directory).map_err(failed)?;
        let bytes: u64 = files.iter().map(|file| file.bytes).sum();
        let engine = Engine::open(config, &files, now_ms());
        let mut recovery = Self { engine, disk };
        let started = Instant::now();
        let mut report_at = started + REPORT_EVERY;
        let mut reads = 0_u64;
        while !recovery.engine.is_ready() {
            reads += recovery.drive().await.map_err(failed)?;
            recovery.report_events(shard);
            if Instant::now() >= report_at {
                report_at += REPORT_EVERY;
                tracing::info!(shard, files = files.len(), mib = bytes >> 20, reads, "recovering the log");
            }
        }
        recovery.report_events(shard);
        let took = started.elapsed().as_millis();
        tracing::info!(shard, files = files.len(), mib = bytes >> 20, ms = took, "the log is recovered");
        Ok(recovery)
    }

    /// Hands operations to the disk and completions to the engine; gives how many there were. Waits for at least one,
    /// unless the engine wants nothing.
    async fn drive(&mut self) -> std::io::Result<u64> {
        while let Some((id, op)) = self.engine.next_io() {
            self.disk.submit(id, op);
        }
        self.disk.flush()?;
        if self.disk.in_flight() > 0 {
            self.disk.ready().await;
        }
        let mut completed = 0;
        while let Some((id, result)) = self.disk.poll() {
            self.engine.complete(id, result);
            completed += 1;
        }
        Ok(completed)
    }

    fn report_events(&mut self, shard: u16) {
        while let Some(event) = self.engine.next_event() {
            if let Event::Damage(damage) = event {
                tracing::error!(
                    shard,
                    %damage,
                    "stored bytes are damaged; reads of this range fail, everything else is served"
                );
            }
        }
    }

    /// Reads the catalog from its log, with the number of changes since its last snapshot.
    ///
    /// # Errors
    /// If it cannot be read or makes no sense. The broker does not start without all of it: what it would not know, it
    /// might give out again.
    pub async fn catalog(&mut self) -> Result<(Catalog, usize), StartError> {
        let failed = |reason: String| StartError::Catalog { reason };
        self.engine.put_log(CATALOG_LOG, LogConfig { essential: true, ..LogConfig::KEEP });
        let state = self.engine.log_state(CATALOG_LOG).expect("the log was made known");
        let mut replay = Replay::default();
        let mut offset = state.log_start;
        while offset < state.high_watermark {
            let data = self.read(offset).await?.map_err(|error| failed(error.to_string()))?;
            if data.next_offset <= offset {
                return Err(failed(format!("its records end at offset {offset}, before their time")));
            }
            for batch in data.pieces.iter().flat_map(|piece| Batches::new(piece)) {
                let replayed = batch.map_err(|error| error.to_string()).and_then(|batch| {
                    batch.check().map_err(|error| error.to_string())?;
                    replay.batch(&batch).map_err(|error| error.to_string())
                });
                replayed.map_err(failed)?;
            }
            offset = data.next_offset;
        }
        Ok(replay.finish())
    }

    async fn read(&mut self, offset: u64) -> Result<Result<ReadData, ReadError>, StartError> {
        if let Answer::Now(result) = self.engine.read(CATALOG_LOG, offset, CATALOG_READ, Token(0)) {
            return Ok(result);
        }
        loop {
            let drive = self.drive().await;
            drive.map_err(|source| StartError::Catalog { reason: source.to_string() })?;
            while let Some(event) = self.engine.next_event() {
                if let Event::Read { result, .. } = event {
                    return Ok(result);
                }
            }
        }
    }

    /// Hands engine and disk on.
    pub fn finish(self) -> (Engine, Disk) {
        (self.engine, self.disk)
    }
}
