//! Random damage to logs that have lived: bits, bursts, zeroed blocks, blocks swapped or copied from elsewhere, sectors
//! as they were before. It is harmless, or it is reported and costs no more than what was hit.
//!
//! `FLIPS=n` says how much damage is done, `SEED=n` which.

use crate::common::Rng;
use crate::common::driver::{Driver, records};
use crate::patched::{Patch, PatchedDisk};
use crate::small::{BLOCK, number};
use crate::world::{Entry, Frame, Held, LOGS, World};
use ringmail_shards::config::ShardConfig;
use ringmail_shards::format::entry::ENTRY_HEADER_BYTES;
use ringmail_shards::format::frame::FRAME_HEADER_BYTES;
use ringmail_shards::format::segment::{FirstBlock, parse_first_block};
use ringmail_shards::io::FileId;
use ringmail_shards::shard::{LogId, ReadError};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

const FLIPS: u64 = 1_000_000;
/// Of a hundred flips so many are within frames of sealed segments, which a start does not look at.
const IN_SEALED_FRAMES: usize = 75;
/// So many flips in sealed frames are tried on one shard.
const PER_SHARD: u64 = 64;

/// A log and one of its offsets.
pub type Place = (LogId, u64);

/// What was done, for the last line.
#[derive(Debug, Default)]
struct Figures {
    done: AtomicU64,
    harmless: AtomicU64,
    records_lost: AtomicU64,
}

impl World {
    fn bytes(&self, file: FileId, range: Range<usize>) -> &[u8] {
        &self.image[&file][range]
    }

    fn held_in(&self, file: FileId) -> Option<&Held> {
        self.held.iter().find(|h| h.file == file)
    }

    fn any_file(&self, rng: &mut Rng) -> FileId {
        *self.image.keys().nth(rng.below(self.image.len())).expect("there are files")
    }

    fn is_live(&self, (log, offset): Place) -> bool {
        let (start, end) = self.states[&log];
        (start..end).contains(&offset)
    }

    /// Bytes at a place, changed in some way.
    fn flip(&self, rng: &mut Rng, file: FileId, at: usize) -> Vec<Patch> {
        let whole = self.image[&file].len();
        let block = at & !(BLOCK - 1);
        let sector = at & !511;
        let one = |at: usize, bytes: Vec<u8>| vec![Patch::new(file, at, bytes)];
        match rng.below(8) {
            0..=2 => {
                let mut bytes = self.bytes(file, sector..sector + 512).to_vec();
                bytes[at - sector] ^= 1 << rng.below(8);
                for _ in 0..rng.below(8) {
                    bytes[rng.below(512)] ^= 1 << rng.below(8);
                }
                one(sector, bytes)
            }
            3 => {
                let length = (1 + rng.below(64)).min(whole - at);
                let bytes = self.bytes(file, at..at + length).iter();
                one(at, bytes.map(|byte| byte ^ (1 + rng.below(255)) as u8).collect())
            }
            4 => one(block, vec![if rng.chance(2) { 0 } else { 0xff }; BLOCK]),
            5 => match self.older.get(&file).and_then(|older| older.get(sector..sector + 512)) {
                Some(older) => one(sector, older.to_vec()),
                None => one(sector, vec![0; 512]),
            },
            kind => {
                let other = self.any_file(rng);
                let from = rng.below(self.image[&other].len() / BLOCK) * BLOCK;
                let mut patches = one(block, self.bytes(other, from..from + BLOCK).to_vec());
                if kind == 6 {
                    patches.push(Patch::new(other, from, self.bytes(file, block..block + BLOCK).to_vec()));
                }
                patches
            }
        }
    }

    /// Whether bytes differ there now.
    fn differs(&self, patch: &Patch) -> bool {
        self.bytes(patch.file, patch.range()) != &patch.bytes[..]
    }

    /// The bytes that differ.
    fn hit(&self, patch: &Patch) -> Range<usize> {
        let old = self.bytes(patch.file, patch.range());
        let differs = |k: &usize| old[*k] != patch.bytes[*k];
        let first = (0..old.len()).find(differs).unwrap_or(0);
        let last = (0..old.len()).rfind(differs).map_or(0, |k| k + 1);
        patch.at + first..patch.at + last
    }

    /// The records that the damage may cost.
    fn affected(&self, patches: &[Patch]) -> BTreeSet<Place> {
        let mut affected = BTreeSet::new();
        let patches: Vec<&Patch> = patches.iter().filter(|p| self.differs(p)).collect();
        let mut hit_frames = BTreeSet::new();
        for held in &self.held {
            let hits: Vec<Range<usize>> =
                patches.iter().filter(|p| p.file == held.file).map(|p| self.hit(p)).collect();
            if hits.is_empty() {
                continue;
            }
            let moved = patches.iter().any(|p| p.file == held.file && is_of_another(held, p));
            let footer = hits.iter().any(|h| h.end > held.footer_at);
            let scanned = !held.sealed || footer && hits.len() > 1;
            let struck = |range: &Range<usize>| hits.iter().filter(|h| overlap(h, range)).count();
            let frame_lost = |f: &Frame| {
                let header = f.range.start..f.range.start + FRAME_HEADER_BYTES;
                // Bytes of another place may look like entries, and hide those behind them.
                let replaced = hits.iter().any(|h| h.len() >= ENTRY_HEADER_BYTES && overlap(h, &f.range));
                scanned && (struck(&header) > 0 || struck(&f.range) > 1 || replaced)
            };
            let lost: BTreeSet<u64> =
                held.frames.iter().filter(|f| frame_lost(f)).map(|f| f.number).collect();
            hit_frames.extend(held.frames.iter().filter(|f| struck(&f.range) > 0).map(|f| f.number));
            let entry_lost = |e: &&Entry| moved || lost.contains(&e.frame) || struck(&e.range) > 0;
            affected.extend(held.entries.iter().filter(entry_lost).flat_map(places));
        }
        self.cut_off(&hit_frames, &mut affected);
        affected
    }

    /// Adds what may be taken for torn: frames that were hit and that no other calls durable, and those behind.
    fn cut_off(&self, hit: &BTreeSet<u64>, affected: &mut BTreeSet<Place>) {
        let trailers = self.held.iter().filter(|h| h.sealed).map(|h| h.last_frame);
        let frames = self.held.iter().flat_map(|h| &h.frames).filter(|f| !hit.contains(&f.number));
        let durable = frames.map(|f| f.durable).chain(trailers).max().unwrap_or(0);
        let Some(first) = hit.iter().find(|&&number| number > durable) else { return };
        let entries = self.held.iter().filter(|h| !h.sealed).flat_map(|h| &h.entries);
        affected.extend(entries.filter(|e| e.frame >= *first).flat_map(places));
    }
}

/// Whether the patch makes the file's first block that of something else.
fn is_of_another(held: &Held, patch: &Patch) -> bool {
    let first = (patch.at == 0 && patch.bytes.len() == BLOCK).then(|| parse_first_block(&patch.bytes));
    matches!(first, Some(FirstBlock::Segment(h)) if h.segment != held.segment)
        || matches!(first, Some(FirstBlock::Spare { .. }))
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

fn places(entry: &Entry) -> impl Iterator<Item = Place> + use<> {
    let log = entry.log;
    (entry.base..entry.end).map(move |offset| (log, offset))
}

/// Reads what stands at the places, and gives those that cannot be read. What stands at `ends` of a log or behind is new.
pub fn unreadable(
    world: &World,
    driver: &mut Driver<PatchedDisk>,
    places: impl IntoIterator<Item = Place>,
    what: &str,
    ends: &BTreeMap<LogId, u64>,
) -> Vec<Place> {
    let mut lost = Vec::new();
    let mut known = BTreeSet::new();
    for (log, offset) in places {
        if known.contains(&(log, offset)) || !world.is_live((log, offset)) {
            continue;
        }
        // What was cut off is at or past the end.
        if driver.shard.log_state(log).is_none_or(|state| offset >= state.high_watermark) {
            lost.push((log, offset));
            continue;
        }
        match driver.read(log, offset, 16 << 10) {
            Ok(data) => {
                assert!(data.next_offset > offset, "{what}: log {log} offset {offset}: nothing");
                for (at, value) in records(&data.pieces) {
                    if !world.is_live((log, at)) || ends.get(&log).is_some_and(|&end| at >= end) {
                        continue;
                    }
                    assert!(
                        world.values.get(&(log, at)) == Some(&value),
                        "{what}: log {log} offset {at} is another record"
                    );
                    known.insert((log, at));
                }
                assert!(known.contains(&(log, offset)), "{what}: log {log} offset {offset} is left out");
            }
            Err(ReadError::Damaged { .. } | ReadError::OutOfRange { .. }) => lost.push((log, offset)),
            Err(error) => panic!("{what}: log {log} offset {offset}: {error}"),
        }
    }
    lost
}

/// One thread's share of the flips.
struct Flipper<'a> {
    world: &'a World,
    rng: Rng,
    figures: &'a Figures,
}

impl Flipper<'_> {
    fn config(&self, incarnation: u64) -> ShardConfig {
        ShardConfig { incarnation, ..self.world.config.clone() }
    }

    fn describe(&self, patches: &[Patch]) -> String {
        let mut words = String::new();
        for patch in patches {
            let held = self.world.held_in(patch.file);
            let segment = held.map(|h| (h.segment, h.sealed, h.frames_end(), h.footer_at));
            words += &format!("file {} {:?} of {segment:?}; ", patch.file.0, self.world.hit(patch));
        }
        words
    }

    fn run(&mut self, flips: u64) {
        let mut left = flips;
        while left > 0 {
            let sealed = (left.min(PER_SHARD) * IN_SEALED_FRAMES as u64).div_ceil(100);
            let other = left.min(PER_SHARD) - sealed;
            self.in_sealed_frames(sealed);
            (0..other).for_each(|_| self.anywhere());
            left -= sealed + other;
            self.figures.done.fetch_add(sealed + other, Ordering::Relaxed);
        }
    }

    /// Flips in frames of sealed segments, under a shard that runs.
    fn in_sealed_frames(&mut self, flips: u64) {
        let world = self.world;
        let sealed: Vec<&Held> = world.held.iter().filter(|h| h.sealed && h.frames.len() > 1).collect();
        let disk = PatchedDisk::new(&world.image, &[]);
        let mut driver = Driver::open(self.config(100), disk);
        for _ in 0..flips {
            let held = sealed[self.rng.below(sealed.len())];
            let from = held.frames[0].range.end;
            let at = from + self.rng.below(held.frames_end() - from);
            let patches = self.world.flip(&mut self.rng, held.file, at);
            let affected = world.affected(&patches[..1]);
            driver.disk.patch(&patches[0]);
            let what = self.describe(&patches[..1]);
            let around = affected
                .iter()
                .flat_map(|&(log, at)| [(log, at.saturating_sub(1)), (log, at), (log, at + 1)]);
            let lost =
                unreadable(world, &mut driver, around.collect::<BTreeSet<_>>(), &what, &BTreeMap::new());
            driver.disk.unpatch(held.file);
            self.judge(&driver, &lost, &affected, &what);
        }
    }

    /// A flip anywhere, before a start: mostly where a start looks.
    fn anywhere(&mut self) {
        let world = self.world;
        let file = world.any_file(&mut self.rng);
        let bytes = world.image[&file].len();
        let at = match (world.held_in(file), self.rng.below(4)) {
            (Some(held), 0) if held.sealed => held.footer_at + self.rng.below(bytes - held.footer_at),
            (_, 1) => self.rng.below(2 * BLOCK),
            (Some(held), 2) => self.rng.below(held.frames_end()),
            _ => self.rng.below(bytes),
        };
        let patches = world.flip(&mut self.rng, file, at);
        let affected = world.affected(&patches);
        let what = self.describe(&patches);
        let mut driver = Driver::open(self.config(100), PatchedDisk::new(&world.image, &patches));
        let touched = world.held.iter().filter(|h| patches.iter().any(|p| p.file == h.file));
        let places: BTreeSet<Place> =
            touched.flat_map(|h| &h.entries).flat_map(places).chain(affected.clone()).collect();
        let lost = unreadable(world, &mut driver, places.iter().copied(), &what, &BTreeMap::new());
        self.judge(&driver, &lost, &affected, &what);
        self.nothing_is_overwritten(&driver, &what);
        self.goes_on(driver, &affected, &places, &lost, &what);
    }

    /// What is lost was hit, and somebody was told.
    fn judge(&self, driver: &Driver<PatchedDisk>, lost: &[Place], affected: &BTreeSet<Place>, what: &str) {
        let beyond: Vec<_> = lost.iter().filter(|place| !affected.contains(place)).collect();
        assert!(beyond.is_empty(), "{what}: not hit, and lost: {beyond:?}; {:?}", driver.damage());
        let cut =
            |(log, offset): &Place| driver.shard.log_state(*log).is_none_or(|s| *offset >= s.high_watermark);
        // What no segment holds any more is told at the start, too.
        let holes = driver.shard.holes();
        let hole =
            |(log, offset): &Place| holes.iter().any(|(of, range)| of == log && range.contains(offset));
        let silent: Vec<_> = lost.iter().filter(|place| !cut(place) && !hole(place)).collect();
        assert!(silent.is_empty() || !driver.damage().is_empty(), "{what}: lost in silence: {silent:?}");
        let harmless = u64::from(lost.is_empty() && driver.damage().is_empty());
        self.figures.harmless.fetch_add(harmless, Ordering::Relaxed);
        self.figures.records_lost.fetch_add(lost.len() as u64, Ordering::Relaxed);
    }

    fn nothing_is_overwritten(&self, driver: &Driver<PatchedDisk>, what: &str) {
        assert!(driver.disk.removed.is_empty(), "{what}: a file was removed; {:?}", driver.damage());
        for held in &self.world.held {
            let from = if held.sealed { 0 } else { BLOCK };
            let to = if held.sealed { held.bytes } else { held.frames_end() };
            let over = driver.disk.written.iter().find(|(file, range)| {
                // The end of a footer that is damaged is written anew.
                let frames = range.start < held.frames_end();
                *file == held.file && frames && overlap(range, &(from..to))
            });
            assert!(over.is_none(), "{what}: {over:?} is written over; {:?}", driver.damage());
        }
    }

    /// Appends go on where the log ended, and another start finds the same.
    fn goes_on(
        &mut self,
        mut driver: Driver<PatchedDisk>,
        affected: &BTreeSet<Place>,
        places: &BTreeSet<Place>,
        lost: &[Place],
        what: &str,
    ) {
        driver.put_logs(1..=LOGS);
        let mut bases = BTreeMap::new();
        for log in 1..=LOGS {
            let (start, end) = self.world.states[&log];
            let state = driver.shard.log_state(log).expect("put");
            let cut = affected.iter().filter(|place| place.0 == log).map(|place| place.1).min();
            let least = cut.map_or(end, |cut| cut.min(end));
            assert!(
                (least..=end).contains(&state.high_watermark) && state.log_start == start,
                "{what}: log {log} was {start}..{end} and is {state:?}; {:?}",
                driver.damage()
            );
            let (token, base) = driver.append(log, &[b"later"]).expect("open");
            driver.settle();
            assert!(driver.is_acknowledged(token), "{what}");
            bases.insert(log, base);
        }
        self.nothing_is_overwritten(&driver, what);
        if !self.rng.chance(8) {
            return;
        }
        let disk = driver.disk;
        let mut driver = Driver::open(self.config(101), disk);
        let old = |p: &Place| p.1 < bases[&p.0];
        let again = unreadable(self.world, &mut driver, places.iter().copied().filter(old), what, &bases);
        let before: Vec<_> = lost.iter().copied().filter(old).collect();
        assert_eq!(again, before, "{what}: another start finds something else");
        for (log, base) in bases {
            let data = driver
                .read(log, base, 1)
                .unwrap_or_else(|error| panic!("{what}: log {log} at {base}: {error}"));
            assert_eq!(records(&data.pieces)[0], (base, b"later".to_vec()), "{what}");
        }
    }
}

fn flip_all(closed: bool) {
    let flips = number("FLIPS", FLIPS).div_ceil(4);
    let seed = number("SEED", 1);
    let started = std::time::Instant::now();
    let world = World::new(seed, closed);
    let figures = Figures::default();
    std::thread::scope(|scope| {
        let threads = [0, 1].map(|half| {
            let (world, figures) = (&world, &figures);
            let rng = Rng::new(seed.wrapping_mul(4) + 2 * half + u64::from(closed));
            scope.spawn(move || Flipper { world, rng, figures }.run(flips))
        });
        let mut told = 0;
        while threads.iter().any(|thread| !thread.is_finished()) {
            std::thread::sleep(std::time::Duration::from_millis(50));
            let tenths = figures.done.load(Ordering::Relaxed) * 10 / (2 * flips);
            if tenths > told {
                told = tenths;
                eprintln!("{tenths}0% of {} flips, {} s", 2 * flips, started.elapsed().as_secs());
            }
        }
    });
    println!(
        "seed {seed}, {} log: {} flips, {} harmless, 0 wrong records, 0 in silence, {} reads refused, {} s",
        if closed { "closed" } else { "killed" },
        figures.done.into_inner(),
        figures.harmless.into_inner(),
        figures.records_lost.into_inner(),
        started.elapsed().as_secs()
    );
}

#[test]
fn flips_in_a_log_that_was_closed() {
    flip_all(true);
}

#[test]
fn flips_in_a_log_of_a_broker_that_was_killed() {
    flip_all(false);
}
