//! Writes that reached the disk in part.

use crate::common::driver::{Driver, records};
use crate::common::{MemDisk, Rng};
use crate::patched::{Image, Patch, PatchedDisk, shared};
use crate::small::*;
use ringmail_shards::config::ShardConfig;
use ringmail_shards::io::FileId;
use ringmail_shards::shard::LogId;
use std::ops::Range;

#[test]
fn a_torn_write_of_the_last_frames_is_no_damage() {
    let mut driver = written();
    let acknowledged = ends(&driver);
    let before = driver.disk.clone();
    let file = driver.disk.segments()[0];
    (0..2).for_each(|_| append_frame(&mut driver));
    let after = driver.disk.bytes(file).clone();
    let start = BLOCK * (1 + FRAMES as usize);
    for cut in (start..=start + 2 * BLOCK).step_by(512) {
        let what = format!("cut at {cut}");
        let mut disk = before.clone();
        disk.bytes(file)[start..cut].copy_from_slice(&after[start..cut]);
        let (mut driver, _) = reopen(&disk, &what);
        assert!(driver.damage().is_empty(), "{what}: {:?}", driver.damage());
        for (end, least) in ends(&driver).iter().zip(&acknowledged) {
            assert!(end >= least, "{what}");
        }
        append_frame(&mut driver);
        let (_, logs) = reopen(&driver.disk, &what);
        assert!(logs.iter().all(|l| l.damaged.is_empty()), "{what}");
    }
}

#[test]
fn holes_in_the_last_frames_are_no_damage() {
    let mut driver = written();
    let acknowledged = ends(&driver);
    let before = driver.disk.clone();
    let file = driver.disk.segments()[0];
    (0..2).for_each(|_| append_frame(&mut driver));
    let after = driver.disk.bytes(file).clone();
    let start = BLOCK * (1 + FRAMES as usize);
    // The second of the two says that the first was durable: of that one alone nothing may be missing.
    for hole in (start + BLOCK..start + 2 * BLOCK).step_by(512) {
        let mut disk = before.clone();
        disk.bytes(file).copy_from_slice(&after);
        disk.bytes(file)[hole..hole + 512].fill(0xee);
        let (driver, logs) = reopen(&disk, &format!("hole at {hole}"));
        assert!(driver.damage().is_empty(), "{:?}", driver.damage());
        assert!(logs.iter().all(|l| l.damaged.is_empty()));
        assert!(ends(&driver).iter().zip(&acknowledged).all(|(end, least)| end >= least));
    }
}

/// The bytes that a log's last MiB is torn in.
const MIB: usize = 1 << 20;
/// What a disk may tear.
const SECTOR: usize = 512;

/// What stands where a write did not arrive.
#[derive(Debug, Clone, Copy)]
enum Rest {
    /// What the file held when it was another segment.
    Old,
    Zeros,
    Random,
}

/// A log whose last write is to be torn: the files before it and after it, and what was acknowledged before it.
struct LastWrite {
    config: ShardConfig,
    file: FileId,
    before: Vec<u8>,
    image: Image,
    /// Where the write begins, and where it ends.
    range: Range<usize>,
    acknowledged: u64,
    appended: u64,
}

fn large(log: LogId, offset: u64, bytes: usize) -> Vec<u8> {
    let mut rng = Rng::new(log << 32 | offset);
    let mut value: Vec<u8> = (0..bytes / 8).flat_map(|_| rng.next().to_le_bytes()).collect();
    value.extend_from_slice(format!("log {log} offset {offset}").as_bytes());
    value
}

/// Values of so many bytes each, appended one after another as one frame where `at_once`.
fn append_all(driver: &mut Driver, sizes: &[usize], at_once: bool) {
    for bytes in sizes {
        let offset = driver.shard.log_state(1).expect("known").end;
        driver.append(1, &[&large(1, offset, *bytes)]).expect("open");
        if !at_once {
            driver.settle();
        }
    }
    driver.settle();
}

/// Writes a log into a file that was used before, the last MiB of it in frames of so many entries each.
fn last_write(entries: &[usize]) -> LastWrite {
    let config = ShardConfig {
        segment_bytes: 3 << 20,
        write_bytes: MIB + (64 << 10),
        max_batch_bytes: MIB,
        tail_cache_bytes: 0,
        spare_segments: 1,
        ..ShardConfig::default()
    };
    let mut driver = Driver::open(config.clone(), MemDisk::default());
    driver.put_logs([1]);
    // Three segments that are full, deleted and used again.
    while driver.shard.stats().segments < 4 {
        append_all(&mut driver, &[200 << 10, 3 << 10], false);
    }
    let token = driver.token();
    driver.shard.delete_records(1, u64::MAX, token).expect("open");
    driver.settle();
    driver.pass(1000);
    while driver.shard.stats().segments < 3 || driver.shard.stats().recycled_segments == 0 {
        append_all(&mut driver, &[200 << 10], false);
    }
    append_all(&mut driver, &[100, 5000, 100 << 10], false);
    let state = driver.shard.log_state(1).expect("known");
    let file = *driver.disk.segments().last().expect("there are some");
    let before = driver.disk.bytes(file).clone();
    append_all(&mut driver, entries, entries.len() > 1);
    let after = driver.disk.bytes(file).clone();
    assert_eq!(driver.disk.segments().last(), Some(&file), "it all went into one segment");
    let changed = |k: &usize| before[*k] != after[*k];
    let start = (0..after.len()).find(changed).expect("something was written") & !(BLOCK - 1);
    let end = (0..after.len()).rfind(changed).expect("something was written") + 1;
    LastWrite {
        config,
        file,
        image: shared(driver.disk.image()),
        before,
        range: start..end.next_multiple_of(SECTOR),
        acknowledged: state.high_watermark,
        appended: driver.shard.log_state(1).expect("known").end,
    }
}

impl LastWrite {
    /// The disk where only what stands before `cut` arrived.
    fn torn(&self, cut: usize, rest: Rest) -> PatchedDisk {
        let length = self.range.end - cut;
        let bytes = match rest {
            Rest::Old => self.before[cut..self.range.end].to_vec(),
            Rest::Zeros => vec![0; length],
            Rest::Random => {
                let mut rng = Rng::new(cut as u64);
                (0..length.div_ceil(8)).flat_map(|_| rng.next().to_le_bytes()).take(length).collect()
            }
        };
        PatchedDisk::new(&self.image, &[Patch::new(self.file, cut, bytes)])
    }

    fn open(&self, disk: PatchedDisk, incarnation: u64) -> Driver<PatchedDisk> {
        Driver::open(ShardConfig { incarnation, ..self.config.clone() }, disk)
    }

    fn read(driver: &mut Driver<PatchedDisk>, from: u64, until: u64, what: &str) {
        let mut at = from;
        while at < until {
            let data =
                driver.read(1, at, 2 * MIB).unwrap_or_else(|error| panic!("{what}: offset {at}: {error}"));
            for (offset, value) in records(&data.pieces).into_iter().filter(|r| r.0 < until) {
                let ends = format!("log 1 offset {offset}");
                assert!(value.ends_with(ends.as_bytes()), "{what}: offset {offset} is another record");
                assert_eq!(value, large(1, offset, value.len() - ends.len()), "{what}: offset {offset}");
            }
            at = data.next_offset;
        }
    }

    /// Opens the torn log, looks at all that stands near the cut, goes on, and opens it again.
    fn check(&self, cut: usize, rest: Rest) {
        let what = format!("{rest:?} behind {cut} of {:?}", self.range);
        let mut driver = self.open(self.torn(cut, rest), 2);
        let state = driver.shard.log_state(1).expect("known");
        let end = state.high_watermark;
        let (least, most) = (self.acknowledged, self.appended);
        assert!((least..=most).contains(&end), "{what}: {end} is not in {least}..={most}");
        assert!(end < most || cut >= self.last_byte(), "{what}: more is there than was written");
        assert_eq!(driver.damage(), Vec::<String>::new(), "{what}: a torn write is no damage");
        assert!(driver.disk.removed.is_empty());
        Self::read(&mut driver, least - 3, end, &what);
        let value = large(1, end, 3000);
        let (token, base) = driver.append(1, &[&value]).expect("it is open");
        driver.settle();
        assert!(base == end && driver.is_acknowledged(token), "{what}");
        let mut driver = self.open(driver.disk, 3);
        assert_eq!(driver.shard.log_state(1).expect("known").high_watermark, end + 1, "{what}");
        assert_eq!(driver.damage(), Vec::<String>::new(), "{what}: opened again");
        Self::read(&mut driver, least - 1, end + 1, &what);
    }

    /// The byte after the last that is not padding.
    fn last_byte(&self) -> usize {
        let bytes = &self.image[&self.file][self.range.clone()];
        self.range.start + bytes.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1)
    }

    /// Tears the write at every sector, in all ways, on two threads.
    fn check_all(&self) {
        let cuts: Vec<usize> = (self.range.start..self.range.end).step_by(SECTOR).collect();
        assert!(cuts.len() >= MIB / SECTOR, "the last MiB");
        std::thread::scope(|scope| {
            for half in [0, 1] {
                let cuts = cuts.iter().skip(half).step_by(2);
                scope.spawn(move || {
                    for cut in cuts {
                        for rest in [Rest::Old, Rest::Zeros, Rest::Random] {
                            self.check(*cut, rest);
                        }
                    }
                });
            }
        });
    }
}

#[test]
fn one_write_of_a_mib_is_torn_at_every_sector() {
    last_write(&[260 << 10; 4]).check_all();
}

#[test]
fn one_entry_of_a_mib_is_torn_at_every_sector() {
    last_write(&[MIB - 100]).check_all();
}
