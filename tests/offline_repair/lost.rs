//! Damage that costs records: exactly those that are not whole.

use std::collections::BTreeSet;
use std::fs;

use ringmail_sdk::StartAt;
use ringmail_sdk::blocking::Client;
use ringmail_shards::format::entry::EntryKind;
use ringmail_wire::protocol::LogId;

use crate::store::{End, Store, contents, damage, frames, ringmail, start};
use crate::{lost, planned, quarantined, repaired};

#[test]
fn broken_payloads() {
    for end in [End::Stopped, End::Killed] {
        let mut broken = BTreeSet::new();
        let mut kept = Vec::new();
        let (store, said, lost) = repaired(end, |store| {
            let path = &store.segments(1)[1];
            let frames = frames(path);
            damage(path, |bytes| {
                for (entry, at) in frames.iter().flat_map(|f| &f.entries).skip(10).step_by(17).take(8) {
                    bytes[at + 64 + 100] ^= 1;
                    broken.extend((entry.base_offset..entry.end_offset()).map(|offset| (entry.log, offset)));
                }
                kept.clone_from(bytes);
            });
        });
        assert_eq!(lost, broken.len(), "{said}");
        assert!(said.contains("the entry payload's CRC is wrong"), "{said}");
        assert!(said.contains(&format!("{lost} lost (topic ")), "{said}");
        let frames_end = kept.len() / 2;
        let quarantined = quarantined(&store.shard(1));
        assert!(
            quarantined.iter().any(|file| file[..frames_end] == kept[..frames_end]),
            "the damaged file is kept"
        );
    }
}

#[test]
fn broken_headers_of_entries_cost_those_entries_alone() {
    for end in [End::Stopped, End::Killed] {
        let mut broken = 0;
        let (_, said, lost) = repaired(end, |store| {
            let path = &store.segments(1)[1];
            let frames = frames(path);
            damage(path, |bytes| {
                for frame in frames[2..].iter().filter(|frame| !frame.entries.is_empty()).step_by(9).take(5) {
                    let (entry, at) = frame.entries[frame.entries.len() / 2];
                    bytes[at + 17] ^= 1;
                    broken += entry.record_count as usize;
                }
            });
        });
        assert_eq!(lost, broken, "{said}");
    }
}

#[test]
fn a_stretch_of_many_frames() {
    let (_, said, lost) = repaired(End::Stopped, |store| {
        damage(&store.segments(1)[1], |bytes| bytes[200_000..300_000].fill(0xee));
    });
    assert!((60..400).contains(&lost), "{said}");
}

#[test]
fn a_missing_segment() {
    for end in [End::Stopped, End::Killed] {
        let mut held = 0;
        let (store, said, lost) = repaired(end, |store| {
            let path = &store.segments(1)[1];
            let entries = frames(path).into_iter().flat_map(|f| f.entries).map(|(entry, _)| entry);
            held = entries.filter(|e| e.kind == EntryKind::Records).map(|e| e.record_count as usize).sum();
            fs::remove_file(path).unwrap();
        });
        assert_eq!(lost, held, "{said}");
        assert!(said.contains("0 segments repaired, 0 records lifted"), "{said}");
        assert!(quarantined(&store.shard(1)).is_empty());
    }
}

#[test]
fn the_end_of_a_log_stays_where_it_was() {
    // The newest segment, with the only snapshot that knows how far the logs went, loses all of its frames.
    let (_, said, lost) = repaired(End::Stopped, |store| {
        let path = store.segments(1).pop().unwrap();
        let last = frames(&path).last().map(|frame| frame.at + frame.bytes).unwrap();
        damage(&path, |bytes| bytes[4096..last].fill(0xee));
    });
    assert!(lost > 0, "{said}");
}

#[test]
fn consumers_go_on_behind_what_is_lost() {
    let store = Store::new(End::Stopped);
    damage(&store.segments(1)[1], |bytes| bytes[200_000..300_000].fill(0xee));
    // And at the end of the logs, where nothing comes behind it.
    let newest = store.segments(1).pop().unwrap();
    let entries: Vec<_> = frames(&newest).into_iter().flat_map(|frame| frame.entries).collect();
    damage(&newest, |bytes| entries.iter().rev().take(3).for_each(|(_, at)| bytes[at + 64 + 100] ^= 1));
    let gone = lost(&planned(&store));
    assert_eq!(store.repair(true).0, 1);
    let broker = start(&store.data());
    let (present, ends) = contents(&broker);
    let expected: BTreeSet<(LogId, u64)> =
        ends.iter().flat_map(|(log, end)| (0..*end).map(|offset| (*log, offset))).collect();
    let found: BTreeSet<_> = present.keys().copied().collect();
    assert_eq!(found.union(&gone).copied().collect::<BTreeSet<_>>(), expected);
    // A subscription passes over it, too, and knows when it has come to the end.
    let client = Client::connect(&broker.address).unwrap();
    let mut count = 0;
    for topic in ["orders", "payments"] {
        let mut consumer = client.consumer();
        consumer.assign_topic(topic, StartAt::Start).unwrap();
        consumer.until_end().unwrap();
        while consumer.next().unwrap().is_some() {
            count += 1;
        }
    }
    assert_eq!(count, found.len());
    // As does the command line.
    let (code, said) = ringmail(&[
        "consume",
        "orders",
        "--server",
        &broker.address,
        "--from",
        "start",
        "--until-end",
        "--json",
    ]);
    assert_eq!(code, 0, "{said}");
    assert!(!broker.stop().contains("damage"));
}

#[test]
fn a_whole_segment_that_is_put_back_is_served_again() {
    let store = Store::new(End::Stopped);
    let before = crate::all_of(&store);
    let path = store.segments(1)[1].clone();
    let backup = fs::read(&path).unwrap();
    damage(&path, |bytes| bytes[200_000..300_000].fill(0xee));
    assert_eq!(store.repair(true).0, 1);
    fs::write(&path, backup).unwrap();
    let (code, said) = store.repair(false);
    assert_eq!((code, said.as_str()), (0, "no damage\n"));
    crate::check(&store, &before, &BTreeSet::new());
}
