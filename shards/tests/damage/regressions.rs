//! What random damage found, each in the smallest form.

use crate::common::MemDisk;
use crate::common::driver::{Contents, Driver};
use crate::flips::{Place, unreadable};
use crate::patched::{Patch, PatchedDisk};
use crate::small::{BLOCK, config, many_segments, reopen};
use crate::world::{Held, World};
use ringmail_shards::config::ShardConfig;
use ringmail_shards::format::segment::{FirstBlock, parse_first_block, spare_block};
use ringmail_shards::io::{FileId, IoOp};
use ringmail_shards::shard::Event;
use std::collections::{BTreeMap, BTreeSet};

const SEED: u64 = 5;

fn open(world: &World, patches: &[Patch]) -> Driver<PatchedDisk> {
    let config = ShardConfig { incarnation: 100, ..world.config.clone() };
    let driver = Driver::open(config, PatchedDisk::new(&world.image, patches));
    assert!(driver.disk.removed.is_empty(), "a file was removed");
    driver
}

/// All offsets that can be read, but for those that nobody knows to be durable.
fn all(world: &World) -> Vec<Place> {
    world
        .states
        .iter()
        .flat_map(|(&log, &(start, end))| (start..end).map(move |offset| (log, offset)))
        .collect()
}

/// Opens the damaged log, in which nothing may be lost.
#[track_caller]
fn costs_nothing(world: &World, patches: &[Patch], what: &str) -> Driver<PatchedDisk> {
    let mut driver = open(world, patches);
    let lost = unreadable(world, &mut driver, all(world), what, &BTreeMap::new());
    assert_eq!(lost, [], "{what}: {:?}", driver.damage());
    for (&log, &(start, end)) in &world.states {
        let state = driver.shard.log_state(log).expect("it is known");
        assert_eq!((state.log_start, state.high_watermark), (start, end), "{what}: log {log}");
    }
    driver
}

fn last_blocks(held: &Held, blocks: usize) -> Patch {
    let bytes = blocks * BLOCK;
    Patch::new(held.file, held.bytes - bytes, vec![0xee; bytes])
}

fn first_block(held: &Held, bytes: &[u8]) -> Patch {
    Patch::new(held.file, 0, bytes.to_vec())
}

#[test]
fn a_segment_whose_first_block_is_that_of_a_spare_file_is_not_written_over() {
    for closed in [true, false] {
        let world = World::new(SEED, closed);
        for held in &world.held {
            let spare = spare_block(0, held.file, held.bytes as u64, held.segment - 1);
            let what = format!("segment {}, closed {closed}", held.segment);
            costs_nothing(&world, &[first_block(held, &spare)], &what);
            // One that was written for another file.
            let other = FileId(held.file.0 + 1);
            let spare = spare_block(0, other, held.bytes as u64, held.segment + 5);
            costs_nothing(&world, &[first_block(held, &spare)], &what);
        }
    }
}

#[test]
fn first_blocks_that_are_swapped_or_copied_cost_nothing() {
    for closed in [true, false] {
        let world = World::new(SEED, closed);
        for (a, b) in world.held.iter().zip(&world.held[1..]) {
            let [of_a, of_b] = [a, b].map(|held| &world.image[&held.file][..BLOCK]);
            let what = format!("segments {} and {}, closed {closed}", a.segment, b.segment);
            costs_nothing(&world, &[first_block(a, of_b), first_block(b, of_a)], &what);
            let driver = costs_nothing(&world, &[first_block(a, of_b)], &what);
            assert!(!driver.damage().is_empty(), "{what}");
            costs_nothing(&world, &[first_block(b, of_a)], &what);
        }
    }
}

#[test]
fn a_segment_whose_first_blocks_are_lost_is_found_by_its_other_frames() {
    for (closed, with) in [(true, 0), (true, 0xee), (false, 0), (false, 0xee)] {
        let world = World::new(SEED, closed);
        for held in &world.held {
            let first = &held.frames[0];
            let patch = Patch::new(held.file, 0, vec![with; first.range.end]);
            let mut driver = open(&world, &[patch]);
            let lost = unreadable(&world, &mut driver, all(&world), "two blocks", &BTreeMap::new());
            let entries = held.entries.iter().filter(|e| e.frame == first.number);
            let hit: BTreeSet<Place> =
                entries.flat_map(|e| (e.base..e.end).map(|offset| (e.log, offset))).collect();
            let beyond: Vec<_> = lost.iter().filter(|place| !hit.contains(place)).collect();
            assert!(beyond.is_empty(), "segment {}, closed {closed}, {with}: {beyond:?}", held.segment);
            assert!(!driver.damage().is_empty(), "segment {}, closed {closed}, {with}", held.segment);
        }
    }
}

#[test]
fn a_footer_that_is_lost_brings_nothing_back_that_was_cut_off_and_moves_no_log() {
    let cut_off = |bytes: &[u8]| match parse_first_block(&bytes[..BLOCK]) {
        FirstBlock::Segment(header) => header.previous_frame + 1 < header.first_frame,
        _ => false,
    };
    let mut worlds = 0;
    for (seed, closed) in (0..12).flat_map(|seed| [(seed, false), (seed, true)]) {
        // The segment that was cut off is followed by one that has no footer yet.
        let world = World::after_crash(seed, closed, 8);
        worlds += usize::from(world.held.iter().any(|h| cut_off(&world.image[&h.file])));
        for held in world.held.iter().filter(|h| h.sealed) {
            let footer = (held.bytes - held.footer_at) / BLOCK;
            for blocks in [1, footer] {
                let what = format!("seed {seed}, closed {closed}, segment {}", held.segment);
                costs_nothing(&world, &[last_blocks(held, blocks)], &what);
            }
        }
    }
    assert!(worlds > 2, "frames were cut off in {worlds} worlds");
}

/// A log of one record in a segment behind which the next start cuts a frame off.
fn before_a_cut() -> (Driver, Vec<(u64, Vec<u8>)>) {
    let config = ShardConfig { incarnation: 1, ..config() };
    let mut driver = Driver::open(config, MemDisk::default());
    driver.put_logs([1]);
    driver.append(1, &[b"first"]).expect("open");
    driver.settle();
    // Of two frames on their way the second reaches the disk. It is so large that it does not wait for the other.
    for value in [b"missing".to_vec(), vec![b'x'; 2 * BLOCK]] {
        driver.append(1, &[&value]).expect("open");
        driver.pump();
    }
    let second = driver.disk.writes_outstanding()[1];
    let is_second =
        |op: &IoOp| matches!(op, IoOp::Write { file, position, .. } if (*file, *position) == second);
    let (_, written) = driver.disk.complete_first(is_second).expect("it is outstanding");
    assert!(written.is_ok(), "{written:?}");
    (driver, vec![(0, b"first".to_vec())])
}

/// Starts the shard, and appends two records in a frame each.
fn start_and_append(driver: Driver, values: &mut Vec<(u64, Vec<u8>)>) -> Driver {
    let mut driver = driver.reopen();
    for _ in 0..2 {
        let value = format!("record {}", values.len()).into_bytes();
        let (_, offset) = driver.append(1, &[&value]).expect("open");
        assert_eq!(offset, values.len() as u64, "offsets of what was cut off are given out again");
        values.push((offset, value));
        driver.settle();
    }
    driver
}

fn destroy(disk: &mut MemDisk, file: FileId, range: impl Fn(usize) -> std::ops::Range<usize>) {
    let bytes = disk.bytes(file);
    let range = range(bytes.len());
    bytes[range].fill(0xee);
}

#[test]
fn a_lost_footer_brings_nothing_back_if_the_segment_is_gone_that_told_of_its_cutting_off() {
    let (mut driver, mut values) = before_a_cut();
    for _ in 0..3 {
        driver = start_and_append(driver, &mut values);
        driver.close();
    }
    let segments = driver.disk.segments();
    assert_eq!(segments.len(), 4, "one of each start");
    destroy(&mut driver.disk, segments[0], |end| end - BLOCK..end);
    driver.disk.take(segments[1]);
    // The second start finds the footer that the first has built again.
    for start in 0..2 {
        driver = driver.reopen();
        assert_eq!(driver.damage().is_empty(), start > 0, "{:?}", driver.damage());
        let contents = driver.contents(1, 100 << 10);
        assert_eq!(contents.damaged, [1, 2], "what the segment held that is gone");
        assert_eq!(contents.records, [&values[..1], &values[3..]].concat());
        driver.events.clear();
        driver.close();
    }
}

#[test]
fn a_first_block_that_is_written_anew_tells_of_what_was_cut_off_before() {
    let (driver, mut values) = before_a_cut();
    let mut driver = start_and_append(driver, &mut values);
    let segments = driver.disk.segments();
    driver.disk.bytes(segments[1])[..BLOCK].fill(0);
    driver = driver.reopen();
    let damage = driver.damage();
    assert!(matches!(&damage[..], [one] if one.contains("it is written anew")), "{damage:?}");
    destroy(&mut driver.disk, segments[0], |end| end - BLOCK..end);
    driver.events.clear();
    driver = driver.reopen();
    assert_eq!(driver.damage(), [""; 0]);
    assert_eq!(driver.contents(1, 100 << 10), Contents { records: values, damaged: Vec::new() });
}

#[test]
fn sections_of_what_the_cleaner_copied_in_pieces_are_built_again() {
    let world = World::new(SEED, true);
    for held in &world.held {
        let sections = Patch::new(held.file, held.footer_at, vec![0xee; BLOCK]);
        let driver = costs_nothing(&world, &[sections], &format!("segment {}", held.segment));
        assert!(!driver.damage().is_empty(), "segment {}", held.segment);
    }
}

#[test]
fn the_footer_of_another_segment_makes_no_spare_file_a_segment() {
    let world = World::new(SEED, true);
    let used: BTreeSet<_> = world.held.iter().map(|h| h.file).collect();
    let spare = *world.image.keys().find(|file| !used.contains(file)).expect("there is a spare file");
    for held in &world.held {
        let end = held.bytes - BLOCK;
        let [of_spare, of_held] = [spare, held.file].map(|file| world.image[&file][end..].to_vec());
        let swapped = [Patch::new(spare, end, of_held), Patch::new(held.file, end, of_spare)];
        costs_nothing(&world, &swapped, &format!("segment {}", held.segment));
    }
}

#[test]
fn a_frame_that_was_written_to_the_wrong_place_costs_only_what_stood_there() {
    let world = World::new(SEED, false);
    let held = world.held.iter().find(|h| !h.sealed).expect("the broker was killed");
    let frames = &held.frames[..held.frames.len() - 1];
    for (there, from) in frames.iter().zip(&frames[3..]) {
        let copy = world.image[&held.file][from.range.start..from.range.start + BLOCK].to_vec();
        let mut driver = open(&world, &[Patch::new(held.file, there.range.start, copy)]);
        let lost = unreadable(&world, &mut driver, all(&world), "copied", &BTreeMap::new());
        let entries = held.entries.iter().filter(|e| e.frame == there.number);
        let hit: BTreeSet<Place> =
            entries.flat_map(|e| (e.base..e.end).map(|offset| (e.log, offset))).collect();
        assert_eq!(lost.into_iter().collect::<BTreeSet<_>>(), hit, "frame {}", there.number);
    }
}

#[test]
fn frames_that_are_missing_from_the_end_of_a_segment_are_reported() {
    let world = World::new(SEED, true);
    let followed =
        world.held.iter().filter(|h| world.held.iter().any(|other| other.segment == h.segment + 1));
    let mut reported = 0;
    for held in followed {
        let last = held.frames.last().expect("it has frames");
        let frame = Patch::new(held.file, last.range.start, vec![0; last.range.len()]);
        let driver = open(&world, &[frame, last_blocks(held, 1)]);
        let damage = driver.damage();
        let told = damage
            .iter()
            .any(|d| d.contains(&format!("frames {} to ", last.number)) && d.contains("at its end"));
        assert!(told, "segment {}: {damage:?}", held.segment);
        // The footer that is built again stands behind what was there.
        let over =
            |(file, range): &&(_, std::ops::Range<usize>)| *file == held.file && range.start < held.bytes;
        assert_eq!(driver.disk.written.iter().find(over), None, "segment {}", held.segment);
        reported += 1;
    }
    assert!(reported > 1, "{reported}");
}

#[test]
fn of_copies_of_a_segment_the_one_with_the_lowest_name_counts_at_every_start() {
    const COPIES: u64 = 8;
    let mut disk = many_segments().disk;
    for file in disk.segments() {
        let bytes = disk.bytes(file).clone();
        // So many that their reads complete in another order than that of their names.
        (1..=COPIES).for_each(|copy| disk.put(FileId(file.0 + (copy << 32)), bytes.clone()));
    }
    let (driver, _) = reopen(&disk, "with copies");
    let left_alone: BTreeSet<FileId> = driver
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Damage(damage) if damage.reason.contains("in another file too") => Some(damage.file),
            _ => None,
        })
        .collect();
    let copies = disk.segments().into_iter().filter(|file| file.0 >> 32 > 0).collect();
    assert_eq!(left_alone, copies);
}
