use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ringmail_shards::config::{LogConfig, ShardConfig};
use ringmail_shards::io::{BLOCK_BYTES, FileId, IoDone, IoError, IoOp};
use ringmail_shards::shard::{Acks, Payload, Shard, Token};
use ringmail_wire::batch::{BatchBuilder, Compression};
use tempfile::TempDir;

use super::*;
use crate::runtime::disk::file_name;

const LOGS: u64 = 3;

/// A shard over files in memory.
struct Engine {
    shard: Shard,
    files: BTreeMap<FileId, Vec<u8>>,
}

impl Engine {
    fn new() -> Self {
        let config = ShardConfig {
            segment_bytes: 44 << 10,
            write_bytes: 8 << 10,
            max_batch_bytes: 16 << 10,
            spare_segments: 1,
            ..ShardConfig::default()
        };
        let mut engine = Self { shard: Shard::open(config, &[], 1), files: BTreeMap::new() };
        (1..=LOGS).for_each(|log| engine.shard.put_log(log, LogConfig::KEEP));
        engine.settle();
        engine
    }

    fn settle(&mut self) {
        while let Some((id, op)) = self.shard.next_io() {
            let done = self.execute(op);
            self.shard.complete(id, done);
        }
        while self.shard.next_event().is_some() {}
    }

    fn execute(&mut self, op: IoOp) -> Result<IoDone, IoError> {
        let mut put = |file: FileId, position: u64, data: &[u8]| {
            let bytes = self.files.get_mut(&file).unwrap();
            let end = position as usize + data.len();
            bytes.resize(bytes.len().max(end), 0);
            bytes[position as usize..end].copy_from_slice(data);
        };
        match op {
            IoOp::Create { file, bytes } => drop(self.files.insert(file, vec![0; bytes as usize])),
            IoOp::Remove { file } => drop(self.files.remove(&file)),
            IoOp::Write { file, position, data, .. } => put(file, position, &data),
            IoOp::Zero { file, position, length } => put(file, position, &vec![0; length as usize]),
            IoOp::Sync { .. } => {}
            IoOp::Read { file, position, length } => {
                let bytes = &self.files[&file];
                let end = bytes.len().min(position as usize + length);
                return Ok(IoDone::Data(bytes[position as usize..end].to_vec().into()));
            }
        }
        Ok(IoDone::Ok)
    }

    /// One frame with a batch for each log.
    fn append(&mut self) {
        for log in 1..=LOGS {
            let mut builder = BatchBuilder::new(1 << 20, Compression::None);
            builder.push(5, Some(b"key"), Some(b"a value"), &[]).unwrap();
            builder.push(6, None, Some(b"another"), &[]).unwrap();
            let mut batch = Vec::new();
            builder.finish_into(&mut batch);
            self.shard.append(log, Payload::Ringmail(&batch), Acks::Synced, Token(0)).unwrap();
        }
        self.settle();
    }

    fn close(&mut self) {
        self.shard.close();
        self.settle();
        assert!(self.shard.is_closed());
    }

    /// A data directory with the files.
    fn store(&self) -> TempDir {
        let data = TempDir::new().unwrap();
        fs::create_dir(data.path().join("shard-000")).unwrap();
        self.files.iter().for_each(|(file, bytes)| write(data.path(), *file, bytes));
        data
    }

    fn segments(&self) -> Vec<FileId> {
        let held = self.files.iter().filter(|(_, bytes)| bytes.starts_with(b"RMSEGMNT"));
        held.map(|(file, _)| *file).collect()
    }
}

fn write(data: &Path, file: FileId, bytes: &[u8]) {
    fs::write(data.join("shard-000").join(file_name(file)), bytes).unwrap();
}

fn verify(data: &Path) -> Report {
    let mut verifier = Verifier::default();
    let files = find(data).unwrap();
    files.iter().for_each(|file| verifier.file(file, |_| {}).unwrap());
    verifier.finish(files[0].shard.as_deref())
}

#[test]
fn what_a_shard_has_written_is_clean() {
    let mut engine = Engine::new();
    for sealed in [false, true] {
        (0..20).for_each(|_| engine.append());
        if sealed {
            engine.close();
        }
        let report = verify(engine.store().path());
        assert_eq!((&report.damage[..], &report.torn[..]), (&[][..], &[][..]));
        let appends = if sealed { 40 } else { 20 };
        assert_eq!((report.frames, report.entries, report.records), (appends, 3 * appends, 6 * appends));
        assert!(report.segments > 1);
    }
}

#[test]
fn a_changed_byte_of_a_sealed_segment_is_found() {
    let mut engine = Engine::new();
    (0..3).for_each(|_| engine.append());
    engine.close();
    let data = engine.store();
    let file = engine.segments()[0];
    let bytes = engine.files[&file].clone();
    let unused = 4 * BLOCK_BYTES..bytes.len() - 2 * BLOCK_BYTES;
    for at in (0..bytes.len()).step_by(3).filter(|at| !unused.contains(at)) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        write(data.path(), file, &changed);
        assert!(!verify(data.path()).damage.is_empty(), "byte {at}");
    }
}

#[test]
fn a_torn_tail_is_told_from_damage() {
    let mut engine = Engine::new();
    (0..3).for_each(|_| engine.append());
    let file = engine.segments()[0];
    let broken = |frame: usize| {
        let data = engine.store();
        let mut bytes = engine.files[&file].clone();
        bytes[BLOCK_BYTES * (frame + 1) + 150] ^= 1;
        write(data.path(), file, &bytes);
        verify(data.path())
    };
    let last = broken(2);
    assert_eq!((last.damage.len(), last.torn.len()), (0, 1), "{:?}", last.damage);
    let first = broken(0);
    assert_eq!((first.damage.len(), first.torn.len()), (1, 0), "{:?}", first.torn);
    let said = first.damage[0].to_string();
    assert!(said.contains("segment 1, frame 1, log 1, offsets 0-1: "), "{said}");
}

#[test]
fn a_missing_segment_is_noticed() {
    let mut engine = Engine::new();
    (0..20).for_each(|_| engine.append());
    engine.close();
    let data = engine.store();
    let files = engine.segments();
    fs::remove_file(data.path().join("shard-000").join(file_name(files[1]))).unwrap();
    let report = verify(data.path());
    assert_eq!(report.damage.len() as u64, LOGS, "{:?}", report.damage);
    assert!(report.damage[0].to_string().contains("no segment holds them"));
}

#[test]
fn paths_that_hold_nothing_say_so() {
    let empty = TempDir::new().unwrap();
    assert!(matches!(find(empty.path()), Err(OfflineError::NoSegments(_))));
    assert!(matches!(find(&empty.path().join("none")), Err(OfflineError::Read { .. })));
}
