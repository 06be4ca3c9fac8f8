//! The repair of one shard.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ringmail_shards::api::LogId;
use ringmail_shards::config::ShardConfig;
use ringmail_shards::format::entry::EntryKind;
use ringmail_shards::io::FileId;
use ringmail_shards::mend::{KnownSegment, Standing};
use ringmail_shards::shard::Shard as Engine;

use super::disk::Disk;
use super::files::Files;
use super::names::Names;
use super::plan::{Plan, learn};
use super::source::Source;
use super::triage::Triage;
use super::{RepairError, quarantine};
use crate::offline::{Finding, OfflineError, Verifier, find};

/// Bytes of a frame of the repair's, and after which the engine is made to write.
const WRITE_BYTES: usize = 256 << 10;

/// What was lifted of one log from one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifted {
    /// The file.
    pub path: PathBuf,
    /// The segment, as far as it is known.
    pub segment: Option<u64>,
    /// The log.
    pub log: LogId,
    /// The first offset and the one after the last; others may be between them.
    pub offsets: Range<u64>,
    /// Records.
    pub records: u64,
    /// Bytes of their entries.
    pub bytes: u64,
}

/// A file that was moved aside, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Where it was.
    pub from: PathBuf,
    /// Where it is.
    pub to: PathBuf,
    /// The segment, as far as it is known.
    pub segment: Option<u64>,
    /// Why.
    pub reason: String,
    /// Entries in it that look whole but cannot be told to belong to the segment, and were not lifted.
    pub untold: u64,
}

/// What was done about a shard, or would be.
#[derive(Debug, Default)]
pub struct ShardRepair {
    /// The shard.
    pub shard: u16,
    /// What was found to be wrong.
    pub findings: Vec<Finding>,
    /// What was lifted.
    pub lifted: Vec<Lifted>,
    /// Offsets that are lost, and given up.
    pub lost: Vec<(LogId, Range<u64>)>,
    /// Offsets of the catalog that are lost. They are not given up: a broker without all of its catalog might give out again
    /// what it does not know.
    pub lost_of_catalog: Vec<Range<u64>>,
    /// Files that were moved aside.
    pub moved: Vec<Moved>,
    /// What is still damaged after the repair.
    pub left: Vec<Finding>,
}

impl ShardRepair {
    /// Whether there was nothing to do.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
            && self.moved.is_empty()
            && self.lost.is_empty()
            && self.lost_of_catalog.is_empty()
    }
}

pub(super) fn repair<F: Files>(
    directory: &Path,
    shard: u16,
    apply: bool,
    files: &mut F,
    progress: &mut impl FnMut(u64),
) -> Result<(ShardRepair, Names), RepairError> {
    let triage = Triage::of(directory, shard, progress)?;
    let mut disk = Disk::new(directory, files, !apply, triage.next_name);
    let config = config(shard, triage.usual_bytes());
    let done = ShardRepair { shard, ..ShardRepair::default() };
    let mut repair = Repair { directory, config, apply, done };
    let names = repair.run(triage, &mut disk)?;
    let mut done = repair.done;
    if apply && !done.is_clean() {
        done.left = verify(directory)?;
    }
    Ok((done, names))
}

fn config(shard: u16, segment_bytes: u64) -> ShardConfig {
    ShardConfig {
        shard,
        incarnation: RandomState::new().hash_one(shard),
        segment_bytes,
        write_bytes: WRITE_BYTES,
        tail_cache_bytes: 0,
        spare_segments: 0,
        ..ShardConfig::default()
    }
}

struct Repair<'a> {
    directory: &'a Path,
    config: ShardConfig,
    apply: bool,
    done: ShardRepair,
}

impl Repair<'_> {
    fn run<F: Files>(&mut self, triage: Triage, disk: &mut Disk<'_, F>) -> Result<Names, RepairError> {
        for candidate in &triage.segments {
            disk.open(candidate.file, &candidate.path.path)?;
        }
        let mut engine = self.recover(disk)?;
        let standing = engine.standing();
        let mut known = engine.known_segments();
        let holes = !engine.holes().is_empty();
        let names = Names::read(&mut engine, disk)?;
        self.close(&mut engine, disk)?;
        self.done.findings.extend(triage.damage.values().flatten().cloned());
        let broken = broken(&triage, &mut known);
        let sources = sources(&triage, &broken, &known, self.done.shard)?;
        if sources.is_empty() && !holes {
            self.move_aside(disk, &[], &triage.foreign)?;
            return Ok(names);
        }
        self.mend(disk, sources, &triage.foreign, standing)
    }

    /// The engine over the files of `disk`.
    fn recover<F: Files>(&self, disk: &mut Disk<'_, F>) -> Result<Engine, RepairError> {
        let mut engine = Engine::open(self.config.clone(), &disk.existing(), 0);
        disk.drive(&mut engine)?;
        assert!(engine.is_ready(), "recovery is over once it wants nothing of the disk");
        Ok(engine)
    }

    fn close<F: Files>(&self, engine: &mut Engine, disk: &mut Disk<'_, F>) -> Result<(), RepairError> {
        engine.close();
        disk.drive(engine)?;
        if engine.is_closed() {
            return Ok(());
        }
        let reason = "its log cannot be closed".to_owned();
        Err(RepairError::Engine { path: self.directory.to_owned(), reason })
    }

    fn mend<F: Files>(
        &mut self,
        disk: &mut Disk<'_, F>,
        mut sources: Vec<Source>,
        foreign: &[(PathBuf, String)],
        mut standing: Standing,
    ) -> Result<Names, RepairError> {
        for source in &sources {
            disk.forget(source.file);
            learn(&mut standing, source.whole.iter().map(|(entry, _)| entry));
            standing.next_segment = standing.next_segment.max(source.number.map_or(0, |number| number + 1));
            standing.next_frame = standing.next_frame.max(source.last_seen + 1);
            standing.last_frame = standing.last_frame.max(source.last_frame);
        }
        let mut engine = self.recover(disk)?;
        engine.stand(&standing);
        let whole: Vec<_> = sources.iter().map(|source| &source.whole[..]).collect();
        let plan = Plan::new(engine.holes(), &whole);
        self.note(&plan, &sources);
        let nothing = sources.is_empty() && plan.lifts.is_empty() && plan.given_up().next().is_none();
        if self.apply && !nothing {
            put_back(&plan, &sources, &mut engine, disk)?;
        }
        let names = Names::read(&mut engine, disk)?;
        if self.apply {
            self.close(&mut engine, disk)?;
        }
        let used: HashSet<usize> = plan.lifts.iter().map(|lift| lift.source).collect();
        let mut places = 0..;
        // A file that looks as if it was never written is damage only if something of it is needed.
        sources.retain(|source| {
            let needed = places.next().is_some_and(|place| used.contains(&place));
            needed || !source.blank
        });
        self.move_aside(disk, &sources, foreign)?;
        Ok(names)
    }

    /// Notes what the plan comes to.
    fn note(&mut self, plan: &Plan, sources: &[Source]) {
        let mut lifted: BTreeMap<(usize, LogId), Lifted> = BTreeMap::new();
        for lift in plan.lifts.iter().filter(|lift| lift.entry.kind == EntryKind::Records) {
            let (source, log) = (&sources[lift.source], lift.entry.log);
            let entry = lifted.entry((lift.source, log)).or_insert_with(|| Lifted {
                path: source.path.clone(),
                segment: source.number,
                log,
                offsets: lift.entry.base_offset..lift.entry.base_offset,
                records: 0,
                bytes: 0,
            });
            entry.offsets.start = entry.offsets.start.min(lift.entry.base_offset);
            entry.offsets.end = entry.offsets.end.max(lift.entry.end_offset());
            entry.records += lift.records;
            entry.bytes += lift.entry.entry_bytes() as u64;
        }
        self.done.lifted = lifted.into_values().collect();
        self.done.lost = plan.given_up().cloned().collect();
        self.done.lost_of_catalog = plan.lost_of_catalog().cloned().collect();
    }

    /// Moves the damaged files and those that are not the shard's.
    fn move_aside<F: Files>(
        &mut self,
        disk: &mut Disk<'_, F>,
        sources: &[Source],
        foreign: &[(PathBuf, String)],
    ) -> Result<(), RepairError> {
        let damaged = sources.iter().map(|s| (&s.path, s.number, &s.reason, s.untold.len() as u64));
        let foreign = foreign.iter().map(|(path, reason)| (path, None, reason, 0));
        for (from, segment, reason, untold) in damaged.chain(foreign) {
            let to = if self.apply {
                quarantine::take(self.directory, from, disk.files())?
            } else {
                quarantine::place(self.directory, from)
            };
            self.done.moved.push(Moved { from: from.clone(), to, segment, reason: reason.clone(), untold });
        }
        Ok(())
    }
}

/// The files that are damaged in a way that a start does not mend, and why. A segment whose last frames are missing gets to
/// know of them in `known`.
fn broken(triage: &Triage, known: &mut [KnownSegment]) -> HashMap<FileId, String> {
    let mut broken = HashMap::new();
    for candidate in &triage.segments {
        let findings = triage.damage.get(&candidate.path.path).into_iter().flatten();
        let mut stays = findings.filter(|finding| !finding.by_start);
        if let Some(first) = stays.next() {
            let more = stays.count();
            let more = if more == 0 { String::new() } else { format!(", and {more} more places") };
            broken.insert(candidate.file, format!("{}{more}", first.what));
        }
    }
    for at in 0..known.len() {
        if known[at].last_frame.is_none() {
            broken.entry(known[at].file).or_insert_with(|| "none of its frames can be read".to_owned());
        }
        let Some(next) = known.get(at + 1).filter(|next| next.number == known[at].number + 1) else {
            continue;
        };
        let next = triage.segments.iter().find(|c| c.file == next.file).and_then(|c| c.segment.header());
        // In one life of a broker the numbers of frames have no gaps.
        let Some(next) = next.filter(|h| h.incarnation == known[at].incarnation && h.incarnation != 0) else {
            continue;
        };
        if let Some(last) = known[at].last_frame.filter(|last| last + 1 < next.first_frame) {
            let why = || format!("frames {} to {} are missing at its end", last + 1, next.first_frame - 1);
            broken.entry(known[at].file).or_insert_with(why);
            known[at].last_frame = Some(next.first_frame - 1);
        }
    }
    // What was never durable was cut off as a whole, and is a spare file now.
    broken.retain(|file, _| known.iter().any(|k| k.file == *file));
    broken
}

/// The damaged files, the newest segment first.
fn sources(
    triage: &Triage,
    broken: &HashMap<FileId, String>,
    known: &[KnownSegment],
    shard: u16,
) -> Result<Vec<Source>, RepairError> {
    let damaged = triage.segments.iter().filter_map(|c| Some((c, broken.get(&c.file)?.as_str(), false)));
    let strays = triage.strays.iter().map(|(c, reason)| (c, reason.as_str(), false));
    let blank = triage.blank.iter().map(|c| (c, "its first blocks are lost", true));
    let mut sources = Vec::new();
    for (candidate, reason, blank) in damaged.chain(strays).chain(blank) {
        let source = Source::new(candidate, reason, blank, known, shard)?;
        // A file that was never written is no damage.
        if !blank || !source.whole.is_empty() {
            sources.push(source);
        }
    }
    sources.sort_by_key(|source| std::cmp::Reverse(source.number));
    Ok(sources)
}

/// Stores what is to be lifted, and what is to be given up.
fn put_back<F: Files>(
    plan: &Plan,
    sources: &[Source],
    engine: &mut Engine,
    disk: &mut Disk<'_, F>,
) -> Result<(), RepairError> {
    for lift in &plan.lifts {
        let payload = sources[lift.source].payload(&lift.entry, lift.position)?;
        engine.put_back(&lift.entry, &payload)?;
        if engine.pending_bytes() >= WRITE_BYTES {
            disk.drive(engine)?;
        }
    }
    for (log, range) in plan.given_up() {
        engine.give_up(*log, range.clone())?;
    }
    engine.store_standing()?;
    disk.drive(engine).map(drop)
}

/// What is damaged in the directory.
fn verify(directory: &Path) -> Result<Vec<Finding>, RepairError> {
    let files = match find(directory) {
        Err(OfflineError::NoSegments(_)) => return Ok(Vec::new()),
        files => files?,
    };
    let mut verifier = Verifier::default();
    files.iter().try_for_each(|file| verifier.file(file, |_| {}))?;
    Ok(verifier.finish(Some(directory)).damage)
}
