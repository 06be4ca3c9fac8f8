//! What the logs of a data directory are called, as far as the catalog can be read.

use std::collections::HashMap;

use ringmail_shards::api::{Answer, Event, Isolation, LogId, ReadData, Token};
use ringmail_shards::shard::Shard as Engine;
use ringmail_wire::batch::Batches;

use super::RepairError;
use super::disk::Disk;
use super::files::Files;
use crate::node::catalog::record::Replay;
use crate::node::catalog::{CATALOG_LOG, Catalog};

/// Bytes of the catalog's log that are read at once.
const READ_BYTES: usize = 1 << 20;

/// The topic and partition of each log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names(HashMap<LogId, (String, usize)>);

impl Names {
    /// What a log is called.
    pub fn of(&self, log: LogId) -> String {
        match self.0.get(&log) {
            Some((topic, partition)) => format!("topic {topic}, partition {partition}"),
            None if log == CATALOG_LOG => "the catalog".to_owned(),
            None => format!("log {log}"),
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Reads the catalog up to its end, or to where it is damaged: what it says before that holds.
    pub(super) fn read(engine: &mut Engine, disk: &mut Disk<'_, impl Files>) -> Result<Self, RepairError> {
        let mut replay = Replay::default();
        let Some(state) = engine.log_state(CATALOG_LOG) else { return Ok(Self::default()) };
        let mut offset = state.log_start;
        while offset < state.high_watermark {
            let Some(data) = read(engine, disk, offset)?.filter(|data| data.next_offset > offset) else {
                break;
            };
            let mut batches = data.pieces.iter().flat_map(|piece| Batches::new(piece));
            let taken = batches.all(|batch| batch.is_ok_and(|batch| replay.batch(&batch).is_ok()));
            if !taken {
                break;
            }
            offset = data.next_offset;
        }
        Ok(Self::from(replay.finish().0))
    }
}

impl From<Catalog> for Names {
    fn from(catalog: Catalog) -> Self {
        let partitions = catalog.topics().flat_map(|(name, topic)| {
            topic.partitions.iter().enumerate().map(move |(number, p)| (p.log, (name.to_owned(), number)))
        });
        Self(partitions.collect())
    }
}

fn read(
    engine: &mut Engine,
    disk: &mut Disk<'_, impl Files>,
    offset: u64,
) -> Result<Option<ReadData>, RepairError> {
    if let Answer::Now(result) =
        engine.read(CATALOG_LOG, offset, READ_BYTES, Isolation::Uncommitted, Token(0))
    {
        return Ok(result.ok());
    }
    let events = disk.drive(engine)?;
    let answer = events.into_iter().find_map(|event| match event {
        Event::Read { result, .. } => Some(result),
        _ => None,
    });
    Ok(answer.and_then(Result::ok))
}
