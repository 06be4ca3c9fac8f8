//! All that was stored, held against what may follow what.

use std::collections::{BTreeMap, BTreeSet};

use ringmail_coordinator::machine::Producer;
use ringmail_coordinator::transactions::record::{decode_key, decode_value, encode_key, encode_value};
use ringmail_coordinator::transactions::{Partitions, State, Transaction};

use crate::host::{Host, START_WALL_MS};

/// A record, and how many markers its partitions had then.
#[derive(Debug)]
struct Entry {
    id: String,
    stored: Option<Transaction>,
    markers: BTreeMap<(String, i32), usize>,
}

#[derive(Debug, Default)]
pub struct History {
    entries: Vec<Entry>,
}

impl History {
    /// Reads what is new in the log.
    pub fn observe(&mut self, host: &Host) {
        for (key, value) in &host.log[self.entries.len()..] {
            let id = decode_key(key).expect("the machine wrote it").to_owned();
            let stored = value.as_deref().map(|value| decode_value(value).expect("the machine wrote it"));
            let markers = host
                .partitions
                .iter()
                .map(|(partition, markers)| (partition.clone(), markers.len()))
                .collect();
            let before = self.entries.iter().rev().find(|entry| entry.id == id);
            check_step(before, stored.as_ref(), host);
            if let Some(stored) = &stored {
                self.check_epoch(&id, stored.producer);
            }
            self.entries.push(Entry { id, stored, markers });
        }
    }

    pub fn restarted(&mut self, host: &Host) {
        self.entries.truncate(host.durable);
        self.observe(host);
    }

    fn of<'a>(&'a self, id: &'a str) -> impl DoubleEndedIterator<Item = &'a Transaction> {
        self.entries.iter().filter(move |entry| entry.id == id).filter_map(|entry| entry.stored.as_ref())
    }

    /// Also over a time in which the transactional id was forgotten.
    fn check_epoch(&self, id: &str, producer: Producer) {
        if let Some(before) = self.of(id).next_back() {
            assert!(order(producer) >= order(before.producer), "{id}: {producer:?} after {before:?}");
        }
    }

    /// A marker is about to be written.
    pub fn check_marker(&self, host: &Host, index: usize) {
        let due = &host.due[index];
        let newest = self.entries[..host.durable]
            .iter()
            .rev()
            .find_map(|entry| entry.stored.as_ref().filter(|stored| stored.producer.id == due.producer.id));
        let stored = newest.expect("a marker is of a stored transaction");
        let expected = if due.commit { State::PrepareCommit } else { State::PrepareAbort };
        assert_eq!(
            (stored.state, stored.producer),
            (expected, due.producer),
            "{due:?} comes too early or too late"
        );
        assert!(flat(&stored.partitions).contains(&due.partition));
    }

    /// A client was told how its transaction ended: that is stored durably, and includes what it was told before.
    pub fn check_ended(
        &self,
        host: &Host,
        id: &str,
        producer: Producer,
        commit: bool,
        added: &BTreeSet<(String, i32)>,
    ) {
        let is_its = |stored: &Transaction| {
            let bumped = stored.ends_bump && producer.epoch.checked_add(1) == Some(stored.producer.epoch);
            stored.producer.id == producer.id && (stored.producer.epoch == producer.epoch || bumped)
        };
        let durable = self.entries[..host.durable].iter().filter(|entry| entry.id == id);
        let mut prepared =
            durable.filter_map(|entry| entry.stored.as_ref()).filter(|stored| stored.state.is_prepared());
        let stored = prepared.rfind(|stored| is_its(stored)).expect("a transaction that was ended is stored");
        assert_eq!(stored.state == State::PrepareCommit, commit, "{stored:?}");
        let there = flat(&stored.partitions);
        assert!(added.is_subset(&there), "{added:?} were acknowledged, but {there:?} is the transaction");
    }
}

/// By which producers are older or newer.
pub fn order(producer: Producer) -> (i64, i16) {
    (producer.id, producer.epoch)
}

fn flat(partitions: &Partitions) -> BTreeSet<(String, i32)> {
    let pairs = |(topic, there): (&String, &BTreeSet<i32>)| {
        there.iter().map(|partition| (topic.clone(), *partition)).collect::<Vec<_>>()
    };
    partitions.iter().flat_map(pairs).collect()
}

fn check_step(before: Option<&Entry>, after: Option<&Transaction>, host: &Host) {
    let stored = before.and_then(|before| before.stored.as_ref());
    let (Some(before), Some(stored), Some(after)) = (before, stored, after) else {
        match (stored, after) {
            (Some(stored), None) => assert!(stored.state.is_idle(), "{stored:?} is forgotten"),
            (None, Some(after)) => assert_eq!((after.state, after.producer.epoch), (State::Empty, 0)),
            _ => panic!("a tombstone for nothing"),
        }
        return;
    };
    let bumped = stored.producer.epoch.checked_add(1) == Some(after.producer.epoch);
    let step = format!("{stored:?} -> {after:?}");
    match (stored.state, after.state) {
        (State::Empty | State::CompleteCommit | State::CompleteAbort, State::Empty | State::PrepareAbort) => {
            assert!(after.partitions.is_empty(), "{step}");
        }
        (State::Empty | State::CompleteCommit | State::CompleteAbort, State::Ongoing) => {
            assert_eq!(stored.producer, after.producer, "{step}");
            assert!(!after.partitions.is_empty() && after.started_ms >= START_WALL_MS, "{step}");
        }
        (State::Ongoing, State::Ongoing) => {
            assert_eq!((stored.producer, stored.started_ms), (after.producer, after.started_ms), "{step}");
            assert!(flat(&stored.partitions).is_subset(&flat(&after.partitions)), "{step}");
        }
        (State::Ongoing, State::PrepareCommit | State::PrepareAbort) => {
            assert_eq!(
                (stored.producer.id, &stored.partitions),
                (after.producer.id, &after.partitions),
                "{step}"
            );
            assert!(bumped || stored.producer == after.producer, "{step}");
        }
        (State::PrepareCommit, State::CompleteCommit) | (State::PrepareAbort, State::CompleteAbort) => {
            let marker = (stored.producer, stored.state == State::PrepareCommit);
            for partition in flat(&stored.partitions) {
                let then = before.markers.get(&partition).copied().unwrap_or(0);
                let new = &host.partitions.get(&partition).map_or(&[][..], Vec::as_slice)[then..];
                assert!(new.contains(&marker), "{partition:?} has {new:?} only: {step}");
            }
        }
        _ => panic!("that never follows: {step}"),
    }
}

/// Stores a producer that has few epochs left.
pub fn put_producer_with_last_epochs(host: &mut Host, id: &str, epoch: i16) {
    let transaction = Transaction {
        producer: Producer { id: 500, epoch: 0 },
        last_epoch: -1,
        previous_id: -1,
        next_id: -1,
        timeout_ms: 60_000,
        state: State::Empty,
        partitions: Partitions::new(),
        updated_ms: host.now.wall_ms,
        started_ms: -1,
        ends_bump: false,
    };
    let late = Transaction { producer: Producer { id: 500, epoch }, ..transaction.clone() };
    for transaction in [transaction, late] {
        host.log.push((encode_key(id), Some(encode_value(&transaction))));
    }
    host.durable = host.log.len();
    host.restart();
}
