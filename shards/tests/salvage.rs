//! Salvage from damaged segments, whatever is damaged: nothing comes out that was not written there, and every entry does whose
//! bytes, and whose frame's header, are whole.

mod common;

use common::driver::Driver;
use common::{MemDisk, Rng};
use proptest::prelude::*;
use ringmail_shards::config::ShardConfig;
use ringmail_shards::format::entry::EntryHeader;
use ringmail_shards::format::frame::FRAME_HEADER_BYTES;
use ringmail_shards::format::segment::{FirstBlock, parse_first_block};
use ringmail_shards::io::{BLOCK_BYTES, FileId, IoId};
use ringmail_shards::salvage::{Identity, salvage};
use ringmail_shards::scan::{FoundFrame, Scan};
use std::collections::BTreeSet;

const LOGS: u64 = 3;

/// A segment of several frames, each with entries of several logs; its first bytes are those of an older one where nothing was
/// written since.
fn segment() -> (Vec<u8>, Identity) {
    let config = ShardConfig {
        segment_bytes: 256 << 10,
        write_bytes: 16 << 10,
        tail_cache_bytes: 0,
        spare_segments: 1,
        incarnation: 77,
        ..ShardConfig::default()
    };
    let mut driver = Driver::open(config, MemDisk::default());
    driver.put_logs(1..=LOGS);
    let mut rng = Rng::new(5);
    for _ in 0..12 {
        for _ in 0..2 + rng.below(6) {
            let value = vec![b'v'; 20 + rng.below(900)];
            let log = 1 + rng.below(LOGS as usize) as u64;
            driver.append(log, &[&value, b"second"]).expect("there is room");
        }
        driver.settle();
    }
    driver.close();
    let file = driver.disk.segments()[0];
    let bytes = driver.disk.bytes(file).clone();
    let FirstBlock::Segment(header) = parse_first_block(&bytes[..BLOCK_BYTES]) else { panic!("it is whole") };
    let frames = frames(&bytes, header.segment, header.incarnation);
    let last_frame = frames.last().expect("there are frames").header.number;
    assert!(frames.len() >= 8, "{} frames", frames.len());
    (bytes, Identity { segment: header.segment, incarnation: header.incarnation, last_frame })
}

fn frames(bytes: &[u8], segment: u64, incarnation: u64) -> Vec<FoundFrame> {
    let mut scan = Scan::new(FileId(0), segment, incarnation, bytes.len() as u64);
    let mut frames = Vec::new();
    while let Some((position, length)) = scan.next_read() {
        scan.reading(IoId(position));
        scan.take(IoId(position), bytes[position as usize..position as usize + length].to_vec().into());
        frames.extend(std::iter::from_fn(|| scan.next_frame()));
    }
    frames
}

/// What of the damaged bytes must come out, and what may.
fn expected(bytes: &[u8], damaged: &[u8], identity: Identity) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let same = |from: usize, length: usize| bytes[from..from + length] == damaged[from..from + length];
    let (mut must, mut may) = (BTreeSet::new(), BTreeSet::new());
    for frame in frames(bytes, identity.segment, identity.incarnation) {
        let at = frame.position as usize;
        for (entry, within) in &frame.entries {
            let position = at + within;
            if same(position, entry.entry_bytes()) {
                may.insert(position as u64);
                if same(at, FRAME_HEADER_BYTES) {
                    must.insert(position as u64);
                }
            } else if same(position, 64 + entry.payload_bytes as usize) {
                // The padding is of no concern.
                may.insert(position as u64);
            }
        }
    }
    (must, may)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300)
    ))]

    #[test]
    fn nothing_wrong_comes_out_and_all_that_is_whole_does(
        places in prop::collection::vec((0.0..1.0_f64, 1..6000_usize, any::<u8>()), 1..6),
        flips in prop::collection::vec((0.0..1.0_f64, 1..=255_u8), 0..12),
    ) {
        let (bytes, identity) = segment();
        let all = frames(&bytes, identity.segment, identity.incarnation);
        let end = all.last().map(|f| f.position as usize + f.header.frame_bytes()).expect("there are frames");
        let mut damaged = bytes.clone();
        for (k, (place, length, with)) in places.into_iter().enumerate() {
            let at = (place * end as f64) as usize;
            // Every other one is short: of an entry, or a header.
            let length = if k % 2 == 0 { length % 90 + 1 } else { length };
            damaged[at..(at + length).min(end)].fill(with);
        }
        for (place, with) in flips {
            damaged[(place * end as f64) as usize] ^= with;
        }
        let (must, may) = expected(&bytes, &damaged, identity);
        let found = salvage(&damaged, Some(identity), &[]);
        let out: BTreeSet<u64> = found.whole.iter().map(|(_, at)| *at).collect();
        prop_assert!(out.is_subset(&may), "wrong: {:?}", out.difference(&may).collect::<Vec<_>>());
        prop_assert!(must.is_subset(&out), "missing: {:?}", must.difference(&out).collect::<Vec<_>>());
        for (entry, at) in &found.whole {
            prop_assert_eq!(EntryHeader::parse(&bytes[*at as usize..]).expect("it was written"), *entry);
        }
    }
}

#[test]
fn what_a_payload_holds_is_not_taken_for_entries() {
    let config = ShardConfig {
        segment_bytes: 256 << 10,
        write_bytes: 32 << 10,
        incarnation: 9,
        ..ShardConfig::default()
    };
    let mut driver = Driver::open(config, MemDisk::default());
    driver.put_logs(1..=LOGS);
    // A client stores an entry of another log, as a value: at every place modulo 8, so that one of them is aligned.
    driver.append(2, &[b"a secret"]).expect("there is room");
    driver.settle();
    let file = driver.disk.segments()[0];
    let first = driver.disk.bytes(file)[BLOCK_BYTES + FRAME_HEADER_BYTES..][..256].to_vec();
    let entry = EntryHeader::parse(&first).expect("an entry");
    let forged = &first[..entry.entry_bytes()];
    let mut value = Vec::new();
    for shift in 0..8 {
        value.extend(vec![0; shift]);
        value.extend_from_slice(forged);
    }
    for around in 0..2 {
        driver.append(1, &[&value]).expect("there is room");
        driver.append(3, &[&[around; 50]]).expect("there is room");
    }
    driver.settle();
    driver.close();
    let bytes = driver.disk.bytes(file).clone();
    let all = frames(&bytes, 1, 9);
    let last_frame = all.last().expect("there are frames").header.number;
    let written: BTreeSet<u64> =
        all.iter().flat_map(|f| f.entries.iter().map(|(_, at)| f.position + *at as u64)).collect();
    for frame in &all {
        let entries = frame.entries.iter().map(|(_, at)| frame.position as usize + at);
        // The header of the frame, or of any entry, or both.
        for broken in entries.map(|at| vec![at + 9, frame.position as usize + 3]) {
            for change in [&broken[..], &broken[..1], &broken[1..]] {
                let mut damaged = bytes.clone();
                change.iter().for_each(|at| damaged[*at] ^= 0x20);
                let identity = Identity { segment: 1, incarnation: 9, last_frame };
                let found = salvage(&damaged, Some(identity), &[]);
                let out: BTreeSet<u64> = found.whole.iter().map(|(_, at)| *at).collect();
                assert!(
                    out.is_subset(&written),
                    "{change:?}: {:?}",
                    out.difference(&written).collect::<Vec<_>>()
                );
            }
        }
    }
}
