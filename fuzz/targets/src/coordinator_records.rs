//! The records from which the coordinators of groups and of transactions come back after a restart.

use ringmail_coordinator::groups::{self, Groups};
use ringmail_coordinator::machine::{Effects, Machine, Now, Producer, Replayed, Topics, Write};
use ringmail_coordinator::transactions::{self, Transactions};
use ringmail_kafka::codec::Uuid;

/// No topics at all.
struct Nothing;

impl Topics for Nothing {
    fn topic(&self, _name: &str) -> Option<(Uuid, i32)> {
        None
    }

    fn name(&self, _id: Uuid) -> Option<&str> {
        None
    }

    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(std::iter::empty())
    }

    fn version(&self) -> u64 {
        1
    }
}

/// What stands in the log.
enum Entry<'a> {
    Record { producer: Option<Producer>, key: &'a [u8], value: Option<&'a [u8]> },
    Marker(Producer, bool),
}

/// In `kind`: a record without a value; one of a transaction; the end of a transaction, and whether it is committed.
const TOMBSTONE: u8 = 1;
const STAGED: u8 = 2;
const MARKER: u8 = 4;
const COMMIT: u8 = 8;

fn take<'a>(input: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(length.min(input.len()));
    *input = rest;
    taken
}

fn length(input: &mut &[u8]) -> usize {
    take(input, 2).iter().fold(0, |length, &byte| length << 8 | usize::from(byte))
}

/// Entries one after the other: what it is in the low half of a byte and whose in the high half, a key and a value with two
/// bytes of length each.
fn entries(mut input: &[u8]) -> Vec<Entry<'_>> {
    let mut entries = Vec::new();
    while let [kind, rest @ ..] = input {
        input = rest;
        let producer = Producer { id: i64::from(kind >> 4), epoch: 0 };
        if kind & MARKER != 0 {
            entries.push(Entry::Marker(producer, kind & COMMIT != 0));
            continue;
        }
        let bytes = length(&mut input);
        let key = take(&mut input, bytes);
        let bytes = if kind & TOMBSTONE == 0 { length(&mut input) } else { 0 };
        let value = (kind & TOMBSTONE == 0).then(|| take(&mut input, bytes));
        entries.push(Entry::Record { producer: (kind & STAGED != 0).then_some(producer), key, value });
    }
    entries
}

fn replay(machine: &mut impl Machine, at: usize, entry: &Entry<'_>, now: Now) {
    match *entry {
        Entry::Record { producer, key, value } => {
            let timestamp_ms = now.wall_ms;
            machine.replay(Replayed { offset: at as u64, timestamp_ms, producer, key, value });
        }
        Entry::Marker(producer, commit) => {
            machine.replay_marker(producer, commit, now, &mut Effects::default());
        }
    }
}

/// Does what a host does with writes.
fn carry_out(machine: &mut impl Machine, effects: Effects, now: Now) {
    for Write { tag, records, producer } in effects.writes {
        for record in &records {
            let (key, value) = (&record.key[..], record.value.as_deref());
            replay(machine, usize::MAX >> 1, &Entry::Record { producer, key, value }, now);
        }
        let mut effects = Effects::default();
        machine.written(tag, Ok(()), &Nothing, now, &mut effects);
        carry_out(machine, effects, now);
    }
}

/// Loads a log, and checks that what is left of it says as much, and that time can pass.
fn load<M: Machine>(new: impl Fn() -> M, entries: &[Entry<'_>]) {
    const HOUR_MS: u64 = 60 * 60 * 1000;
    let at =
        |hours: u64| Now { clock_ms: hours * HOUR_MS, wall_ms: 1_700_000_000_000 + (hours * HOUR_MS) as i64 };
    let mut machine = new();
    entries.iter().enumerate().for_each(|(offset, entry)| replay(&mut machine, offset, entry, at(0)));
    if let Some(writes) = machine.snapshot() {
        let mut again = new();
        let records = writes.iter().flat_map(|write| &write.records);
        for (offset, record) in records.enumerate() {
            let (key, value) = (&record.key[..], record.value.as_deref());
            replay(&mut again, offset, &Entry::Record { producer: None, key, value }, at(0));
        }
        let again = again.snapshot().expect("nothing is open in a snapshot");
        let records =
            |writes: Vec<Write>| writes.into_iter().flat_map(|write| write.records).collect::<Vec<_>>();
        assert_eq!(records(writes), records(again), "a snapshot of a snapshot");
    }
    let mut effects = Effects::default();
    machine.loaded(1, at(0), &mut effects);
    carry_out(&mut machine, effects, at(0));
    for hours in [0, 1, 2, 9 * 24, 10 * 24] {
        let mut effects = Effects::default();
        machine.tick(&Nothing, at(hours), &mut effects);
        carry_out(&mut machine, effects, at(hours));
        machine.next_deadline();
    }
    machine.snapshot();
}

/// The first byte picks the coordinator, the rest is its log.
pub fn coordinator_records(input: &[u8]) {
    let [pick, log @ ..] = input else { return };
    let entries = entries(log);
    if pick % 2 == 0 {
        load(|| Groups::new(groups::Settings::default()), &entries);
    } else {
        load(|| Transactions::new(transactions::Settings::default()), &entries);
    }
}
