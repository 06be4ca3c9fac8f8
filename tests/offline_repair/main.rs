//! `ringmail log repair` on data directories of real brokers: what is whole comes back byte for byte, what is lost is said and
//! skipped, and nothing is deleted.

#[path = "../native/broker.rs"]
#[allow(dead_code)]
mod broker;
#[path = "../native/client.rs"]
#[allow(dead_code)]
mod client;
mod crash;
mod files;
mod lost;
mod store;
mod whole;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ringmail::offline::repair::{FileSystem, Repaired, repair};
use ringmail_wire::protocol::LogId;

use self::store::{Store, append, contents, logs, start};

/// The offsets that a repair calls lost.
fn lost(repaired: &Repaired) -> BTreeSet<(LogId, u64)> {
    let ranges = repaired.shards.iter().flat_map(|shard| &shard.lost);
    ranges.flat_map(|(log, range)| range.clone().map(|offset| (*log, offset))).collect()
}

/// A dry run in this process, for its figures.
fn planned(store: &Store) -> Repaired {
    let before = store.files();
    let planned = repair(&store.data(), false, &mut FileSystem, |_| {}).expect("it can be repaired");
    assert!(before == store.files(), "a dry run changes nothing");
    planned
}

/// What must hold after every repair of a directory that held `before`: all that is not called lost is there, with the offsets
/// that it had; the broker knows of no damage, appends go on at the old ends; and a further repair finds nothing to do.
#[track_caller]
fn check(store: &Store, before: &store::Contents, lost: &BTreeSet<(LogId, u64)>) {
    let (code, said) = store.run(&["verify"]);
    assert_eq!(code, 0, "{said}");
    let broker = start(&store.data());
    let (after, ends) = contents(&broker);
    let missing: BTreeSet<_> = before.keys().filter(|at| !after.contains_key(at)).copied().collect();
    assert_eq!(missing, *lost, "what is missing is what was called lost");
    let mut client = broker.client();
    for log in logs(&mut client) {
        let last =
            before.range((log, 0)..=(log, u64::MAX)).next_back().map_or(0, |((_, offset), _)| offset + 1);
        assert_eq!(ends[&log], last, "the end of log {log} does not move");
        append(&mut client, log, last);
    }
    let words = broker.stop();
    assert!(!words.contains("damage"), "{words}");
    let (code, said) = store.repair(true);
    assert_eq!((code, said.as_str()), (0, "no damage\n"));
}

/// Everything that the broker serves from a directory that is whole.
fn all_of(store: &Store) -> store::Contents {
    let copy = Store::clone_of(store);
    let broker = start(&copy.data());
    let (contents, _) = contents(&broker);
    broker.stop();
    assert!(contents.len() > 3_000);
    contents
}

/// Damages a copy of a directory, repairs it, and checks it; gives what repair printed, and how many records were lost.
#[track_caller]
fn repaired(end: store::End, damage: impl FnOnce(&Store)) -> (Store, String, usize) {
    let store = Store::new(end);
    let before = all_of(&store);
    damage(&store);
    let plan = planned(&store);
    let (code, said) = store.repair(false);
    assert_eq!(code, 1, "{said}");
    let lost = lost(&plan);
    let (code, said) = store.repair(true);
    assert_eq!(code, i32::from(!lost.is_empty()), "{said}");
    assert!(!said.contains("still damaged"), "{said}");
    check(&store, &before, &lost);
    (store, said, lost.len())
}

/// The files in a shard's quarantine.
fn quarantined(shard: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir(shard.join("quarantine")) else { return Vec::new() };
    entries.map(|entry| fs::read(entry.expect("an entry").path()).expect("a file")).collect()
}
