//! A disk that is full, or fails: what is refused, what goes on, and what is promised.

mod common;

use common::driver::Driver;
use common::{Disk, MemDisk, Rng};
use ringmail_shards::config::{LogConfig, ShardConfig};
use ringmail_shards::io::{FileId, IoError, IoId, IoOp};
use ringmail_shards::shard::{Acks, AppendError, Event, Payload, ReadError, Token};

const KIB: usize = 1 << 10;

fn config() -> ShardConfig {
    ShardConfig {
        segment_bytes: 256 << 10,
        write_bytes: 16 << 10,
        tail_cache_bytes: 64 << 10,
        max_batch_bytes: 100 << 10,
        max_pending_bytes: 1 << 20,
        read_bytes: 64 << 10,
        ..ShardConfig::default()
    }
}

fn open(logs: u64) -> Driver {
    let mut driver = Driver::open(config(), MemDisk::default());
    driver.put_logs(1..=logs);
    driver
}

/// Fills the disk until appends are refused; gives the next offset.
fn fill(driver: &mut Driver) -> u64 {
    let value = vec![7; 8 * KIB];
    for _ in 0..10_000 {
        match driver.append(1, &[&value]) {
            Ok((token, _)) => {
                driver.settle();
                assert!(driver.is_acknowledged(token), "what is taken is stored");
            }
            Err(error) => {
                assert_eq!(error, AppendError::Full);
                return driver.shard.log_state(1).expect("known").end;
            }
        }
    }
    panic!("the disk never fills");
}

fn fullness(driver: &Driver) -> Vec<bool> {
    let of = |e: &Event| match e {
        Event::Full(full) => Some(*full),
        _ => None,
    };
    driver.events.iter().filter_map(of).collect()
}

#[test]
fn a_full_disk_refuses_appends_until_there_is_room() {
    let mut driver = open(1);
    driver.disk.capacity = Some(5 * config().segment_bytes as usize);
    let end = fill(&mut driver);
    assert_eq!(fullness(&driver), [true], "said once");
    assert_eq!(driver.contents(1, 64 * KIB).records.len() as u64, end, "reads go on");
    driver.pass(5000);
    assert_eq!(fullness(&driver), [true]);
    driver.disk.capacity = None;
    driver.pass(1100);
    assert_eq!(fullness(&driver), [true, false]);
    let (token, base) = driver.append(1, &[b"again"]).expect("there is room");
    driver.settle();
    assert!(driver.is_acknowledged(token));
    assert_eq!(base, end);
}

/// Lets everything end but the creation of files, which is given.
fn settle_without_files(driver: &mut Driver) -> Option<IoId> {
    let (mut held, mut rng) = (None, Rng::new(1));
    loop {
        while let Some((id, op)) = driver.shard.next_io() {
            match op {
                IoOp::Create { .. } => held = Some(id),
                op => driver.disk.submit(id, op),
            }
        }
        let Some((id, result)) = driver.disk.complete_one(&mut rng) else { return held };
        driver.shard.complete(id, result);
    }
}

/// A file that could not be created, when emptied ones had come back meanwhile: nobody asked for room again.
#[test]
fn writes_resume_though_there_are_spares_when_a_file_cannot_be_created() {
    for spare_segments in [0, 1, 2] {
        let mut driver = Driver::open(ShardConfig { spare_segments, ..config() }, MemDisk::default());
        driver.put_logs([1]);
        let value = vec![7; 8 * KIB];
        let mut held = None;
        for _ in 0..200 {
            driver.append(1, &[&value]).expect("there is room");
            if driver.shard.log_state(1).expect("known").end < 100 {
                driver.settle();
            } else if held.is_none() {
                held = settle_without_files(&mut driver);
            }
            if held.is_some() {
                break;
            }
        }
        let (token, end) = (driver.token(), driver.shard.log_state(1).expect("known").end);
        driver.shard.delete_records(1, end, token).expect("it is begun");
        for _ in 0..10 {
            driver.now += 100;
            driver.shard.tick(driver.now);
            assert_eq!(settle_without_files(&mut driver), None, "one file is created at a time");
        }
        driver.shard.complete(held.expect("a file is created"), Err(IoError::Full));
        driver.pass(3_000);
        assert_eq!(fullness(&driver), [true, false], "{spare_segments} spares");
        for _ in 0..100 {
            driver.append(1, &[&value]).expect("there is room again");
            driver.settle();
        }
    }
}

#[test]
fn deleting_records_makes_room_on_a_full_disk() {
    let mut driver = open(1);
    driver.disk.capacity = Some(5 * config().segment_bytes as usize);
    let end = fill(&mut driver);
    let token = driver.token();
    assert_eq!(driver.shard.delete_records(1, end, token), Ok(end), "deleting is not refused");
    driver.settle();
    assert!(driver.is_acknowledged(token));
    driver.pass(2000);
    assert_eq!(fullness(&driver), [true, false]);
    let (token, _) = driver.append(1, &[b"again"]).expect("there is room");
    driver.settle();
    assert!(driver.is_acknowledged(token));
}

/// Whoever has waited for the broker comes at once, and must not have the last spare segment.
#[test]
fn a_full_disk_keeps_a_segment_for_deletions_through_restarts() {
    let mut driver = open(1);
    driver.disk.capacity = Some(5 * config().segment_bytes as usize);
    let end = fill(&mut driver);
    for _ in 0..3 {
        let next = ShardConfig { incarnation: driver.config.incarnation + 1, ..config() };
        driver = Driver::begin(next, driver.disk);
        driver.recover();
        assert_eq!(
            driver.append(1, &[&[7; 8 * KIB]]).err(),
            Some(AppendError::NoSpareYet),
            "nothing is known yet"
        );
        driver.settle();
        assert_eq!(driver.append(1, &[&[7; 8 * KIB]]).err(), Some(AppendError::Full));
    }
    let token = driver.token();
    assert_eq!(driver.shard.delete_records(1, end, token), Ok(end));
    driver.settle();
    assert!(driver.is_acknowledged(token));
    driver.pass(2000);
    driver.append(1, &[b"again"]).expect("there is room");
}

/// A spare segment whose filling ends was missed for a moment, and another one made, or a disk called full that was not.
#[test]
fn spare_segments_are_counted_while_they_are_filled() {
    let mut driver = open(1);
    driver.pass(2000);
    assert_eq!(driver.shard.stats().spares, config().spare_segments as u64);
    assert_eq!(driver.disk.files().len(), config().spare_segments);
}

#[test]
fn retention_makes_room_on_a_full_disk() {
    let mut driver = open(1);
    driver.disk.capacity = Some(5 * config().segment_bytes as usize);
    fill(&mut driver);
    driver.shard.put_log(1, LogConfig { retention_bytes: Some(1), ..LogConfig::KEEP });
    for _ in 0..20 {
        driver.pass(1000);
        while driver.append(1, &[&[1; 8 * KIB]]).is_ok() {
            driver.settle();
        }
    }
    assert!(driver.shard.stats().recycled_segments > 10, "{:?}", driver.shard.stats());
}

#[test]
fn segments_that_fill_before_there_are_files_for_them_get_theirs_in_order() {
    let mut driver = Driver::open(
        ShardConfig { max_pending_bytes: 8 << 20, spare_segments: 0, ..config() },
        MemDisk::default(),
    );
    driver.put_logs([1]);
    let value = vec![7; 60 * KIB];
    let tokens: Vec<Token> = (0..40).map(|_| driver.append(1, &[&value]).expect("open").0).collect();
    driver.settle();
    assert!(tokens.iter().all(|token| driver.is_acknowledged(*token)));
    assert_eq!(driver.reopen().contents(1, 200 * KIB).records.len(), 40);
}

#[test]
fn closing_waits_for_the_files_of_segments_that_have_none_yet() {
    let mut driver = Driver::open(
        ShardConfig { max_pending_bytes: 8 << 20, spare_segments: 0, ..config() },
        MemDisk::default(),
    );
    driver.put_logs([1]);
    let value = vec![7; 60 * KIB];
    let tokens: Vec<Token> = (0..10).map(|_| driver.append(1, &[&value]).expect("open").0).collect();
    driver.close();
    assert!(tokens.iter().all(|token| driver.is_acknowledged(*token)));
}

#[test]
fn closing_on_a_full_disk_ends_and_says_what_is_not_stored() {
    let refusals: [fn(&IoOp) -> bool; 3] = [
        |op| matches!(op, IoOp::Create { .. }),
        |op| matches!(op, IoOp::Write { .. }),
        |op| matches!(op, IoOp::Write { position, .. } if *position > 200_000),
    ];
    for (number, refusal) in refusals.into_iter().enumerate() {
        let mut driver = Driver::open(ShardConfig { spare_segments: 0, ..config() }, MemDisk::default());
        driver.put_logs([1]);
        let (stored, _) = driver.append(1, &[&[1; 60 * KIB]]).expect("open");
        driver.settle();
        driver.disk.no_room = Some(refusal);
        let tokens: Vec<Token> =
            (0..3).map(|_| driver.append(1, &[&[2; 60 * KIB]]).expect("open").0).collect();
        driver.shard.close();
        driver.pass(5000);
        assert!(driver.shard.is_closed(), "refusal {number}");
        assert!(driver.is_acknowledged(stored));
        for token in &tokens {
            assert!(driver.is_acknowledged(*token) != driver.failure(*token).is_some(), "refusal {number}");
        }
        let acknowledged = tokens.iter().filter(|token| driver.is_acknowledged(**token)).count();
        driver.disk.no_room = None;
        assert!(driver.reopen().contents(1, 200 * KIB).records.len() > acknowledged, "refusal {number}");
    }
}

#[test]
fn a_disk_that_is_full_from_the_start_acknowledges_nothing() {
    let mut disk = MemDisk::default();
    disk.capacity = Some(0);
    let mut driver = Driver::open(config(), disk);
    driver.put_logs([1]);
    driver.settle();
    let taken: Vec<Token> = (0..3).filter_map(|_| driver.append(1, &[b"value"]).ok()).map(|a| a.0).collect();
    driver.settle();
    assert!(taken.iter().all(|&token| !driver.is_acknowledged(token)));
    assert_eq!(driver.append(1, &[b"value"]), Err(AppendError::Full));
    driver.disk.capacity = None;
    driver.pass(1100);
    assert!(taken.iter().all(|&token| driver.is_acknowledged(token)), "what was taken is stored after all");
    driver.append(1, &[b"value"]).expect("there is room");
}

#[test]
fn an_essential_log_takes_records_on_a_full_disk() {
    let mut driver = open(1);
    driver.shard.put_log(2, LogConfig { essential: true, ..LogConfig::KEEP });
    driver.disk.capacity = Some(5 * config().segment_bytes as usize);
    fill(&mut driver);
    let large = [7; 8 * KIB];
    assert_eq!(driver.append(1, &[&large]).err(), Some(AppendError::Full));
    let (token, _) = driver.append(2, &[&large]).expect("the last spare is for this");
    driver.settle();
    assert!(driver.is_acknowledged(token));
}

#[test]
fn a_write_for_which_there_is_no_room_is_done_later() {
    let mut driver = open(1);
    driver.disk.no_room = Some(|op| matches!(op, IoOp::Write { .. }));
    let (token, _) = driver.append(1, &[b"value"]).expect("nothing is known yet");
    driver.settle();
    driver.pass(1000);
    assert!(!driver.is_acknowledged(token));
    assert_eq!(fullness(&driver), [true]);
    driver.disk.no_room = None;
    driver.pass(1000);
    assert!(driver.is_acknowledged(token), "{:?}", driver.events);
    assert_eq!(fullness(&driver), [true, false]);
    assert_eq!(driver.reopen().contents(1, 64 * KIB).records.len(), 1);
}

#[test]
fn a_footer_for_which_there_is_no_room_is_written_later() {
    let mut driver = open(1);
    driver.disk.no_room = Some(|op| matches!(op, IoOp::Write { position, .. } if *position >= 244 << 10));
    for _ in 0..60 {
        driver.append(1, &[&[7; 8 * KIB]]).expect("there is room for segments");
        driver.pass(100);
    }
    assert!(!driver.events.iter().any(|e| matches!(e, Event::Fenced { .. })), "{:?}", driver.events);
    assert_eq!(driver.contents(1, 64 * KIB).records.len(), 60, "what is not sealed is read all the same");
    driver.disk.no_room = None;
    driver.pass(3000);
    assert_eq!(fullness(&driver).last(), Some(&false));
    driver.close();
    let driver_again = driver.reopen();
    assert!(driver_again.damage().is_empty());
}

/// Fails operations while five appends wait, and checks that nothing more is promised; gives how many of the five
/// were durable before.
fn fences(refuse: fn(&IoOp) -> bool) -> usize {
    let mut driver = open(2);
    for k in 0..10_u64 {
        driver.append(1 + k % 2, &[b"before"]).expect("open");
    }
    driver.settle();
    driver.disk.refuse = Some(refuse);
    let mut waiting = Vec::new();
    for k in 0..5_u64 {
        waiting.push(driver.append(1 + k % 2, &[&[9; 10 * KIB]]).expect("not failed yet").0);
        driver.pump();
    }
    driver.settle();
    driver.pass(1000);
    let fenced = driver.events.iter().filter(|e| matches!(e, Event::Fenced { .. })).count();
    assert_eq!(fenced, 1, "{:?}", driver.events);
    for &token in &waiting {
        let told = matches!(driver.failure(token), Some(AppendError::Fenced(_)));
        assert!(told != driver.is_acknowledged(token), "everyone who waits is told");
    }
    let durable =
        |k: usize| waiting.iter().skip(k).step_by(2).filter(|&&t| driver.is_acknowledged(t)).count();
    let (of_one, of_two) = (durable(0), durable(1));
    driver.disk.refuse = None;
    driver.pass(1000);
    assert!(matches!(driver.append(1, &[b"after"]), Err(AppendError::Fenced(_))));
    let token = driver.token();
    assert!(matches!(driver.shard.delete_records(1, 1, token), Err(AppendError::Fenced(_))));
    driver.shard.drop_log(2);
    driver.settle();
    let state = driver.shard.log_state(1).expect("known");
    assert_eq!(state.high_watermark, 5 + of_one as u64, "nothing became visible after the failure");
    assert_eq!(driver.contents(1, 64 * KIB).records.len(), 5 + of_one, "reads go on");
    driver.shard.close();
    driver.settle();
    assert!(driver.shard.is_closed());

    // The next start goes by what is on the disk.
    let mut driver = driver.reopen();
    assert!(driver.damage().is_empty());
    driver.append(1, &[b"after"]).expect("open");
    driver.settle();
    assert!(driver.contents(1, 64 * KIB).records.len() > 5 + of_one);
    of_one + of_two
}

#[test]
fn a_failed_write_fences_the_shard() {
    assert_eq!(fences(|op| matches!(op, IoOp::Write { .. })), 0);
}

#[test]
fn a_failed_sync_fences_the_shard() {
    assert_eq!(fences(|op| matches!(op, IoOp::Sync { .. } | IoOp::Write { dsync: true, .. })), 0);
}

#[test]
fn one_failed_write_among_good_ones_fences_the_shard() {
    let durable = fences(|op| matches!(op, IoOp::Write { position, .. } if *position > 50_000));
    assert!((1..5).contains(&durable), "{durable}");
}

#[test]
fn what_a_failed_sync_left_uncertain_never_becomes_visible() {
    let mut driver = open(1);
    let lazily = |driver: &mut Driver, value: &[u8]| {
        let token = driver.token();
        let batch = common::driver::batch(1, &[value]);
        driver.shard.append(1, Payload::Ringmail(&batch), Acks::Written, token).expect("open");
        token
    };
    lazily(&mut driver, b"one");
    driver.settle();
    driver.disk.refuse = Some(|op| matches!(op, IoOp::Sync { .. }));
    // The sync of the first is under way while a second is written with dsync.
    driver.shard.tick(driver.now + 100);
    driver.pump();
    let (token, _) = driver.append(1, &[b"two"]).expect("open");
    let mut rng = Rng::new(3);
    driver.pump();
    while let Some((id, result)) = driver.disk.complete_one(&mut rng) {
        driver.shard.complete(id, result);
    }
    driver.settle();
    let high_watermark = driver.shard.log_state(1).expect("known").high_watermark;
    assert!(high_watermark == 0 || driver.is_acknowledged(token), "{high_watermark}");
}

#[test]
fn a_failed_read_is_told_and_the_next_works() {
    let mut driver = open(1);
    for _ in 0..60 {
        driver.append(1, &[&[5; 8 * KIB]]).expect("open");
        driver.settle();
    }
    driver.disk.refuse = Some(|op| matches!(op, IoOp::Read { .. }));
    for max_bytes in [1, 10 * KIB, 200 * KIB] {
        assert!(matches!(driver.read(1, 0, max_bytes), Err(ReadError::Io(_))), "{max_bytes}");
    }
    driver.disk.refuse = None;
    // What was read ahead in vain may answer one read each.
    let in_vain = (0..20).take_while(|_| driver.read(1, 0, 200 * KIB).is_err()).count();
    assert!(in_vain <= 1, "{in_vain}");
    driver.pass(5000);
    assert_eq!(driver.contents(1, 200 * KIB).records.len(), 60);
}

#[test]
fn a_failed_read_at_the_start_fences_the_shard() {
    let mut driver = open(1);
    driver.append(1, &[b"value"]).expect("open");
    driver.settle();
    let mut disk = driver.disk.clone();
    disk.refuse = Some(|op| matches!(op, IoOp::Read { .. }));
    let mut broken = Driver::begin(config(), disk);
    broken.settle();
    assert!(!broken.shard.is_ready());
    assert!(broken.events.iter().any(|e| matches!(e, Event::Fenced { .. })));
    assert!(broken.disk.removed.is_empty());
    assert_eq!(driver.reopen().contents(1, KIB).records.len(), 1);
}

#[test]
fn files_of_others_are_left_alone() {
    let mut driver = open(1);
    driver.append(1, &[b"value"]).expect("open");
    driver.settle();
    driver.close();
    let own = driver.disk.segments()[0];
    let copy = driver.disk.bytes(own).clone();
    let mut noise = Rng::new(5);
    let mut random = |bytes: usize| (0..bytes).map(|_| noise.next() as u8).collect::<Vec<u8>>();
    let mut foreign = vec![(FileId(200), copy)];
    for (name, bytes) in [(100, 100), (101, 4096), (102, 10_000), (103, 300_001), (u64::MAX, 1 << 20)] {
        foreign.push((FileId(name), random(bytes)));
    }
    for (file, bytes) in &foreign {
        driver.disk.put(*file, bytes.clone());
    }
    let mut driver = driver.reopen();
    assert_eq!(driver.damage().len(), foreign.len(), "{:#?}", driver.damage());
    for k in 0..200 {
        driver.append(1, &[&[k; 8 * KIB]]).expect("open");
        driver.settle();
    }
    assert_eq!(driver.contents(1, 64 * KIB).records.len(), 201);
    for (file, bytes) in foreign {
        assert_eq!(driver.disk.bytes(file), &bytes, "{file:?}");
    }
}

#[test]
fn the_segment_of_another_shard_is_left_alone() {
    let mut other = Driver::open(ShardConfig { shard: 4, ..config() }, MemDisk::default());
    other.put_logs([1]);
    other.append(1, &[b"of another shard"]).expect("open");
    other.settle();
    let file = other.disk.segments()[0];
    let bytes = other.disk.bytes(file).clone();
    let mut disk = MemDisk::default();
    disk.put(FileId(9), bytes.clone());
    let mut driver = Driver::open(config(), disk);
    assert!(driver.shard.logs().is_empty());
    assert_eq!(driver.damage().len(), 1);
    assert_eq!(driver.disk.bytes(FileId(9)), &bytes);
}
