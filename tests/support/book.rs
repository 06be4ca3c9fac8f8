//! What is known of every record of a topic: who sent it, what was promised of it, who has read it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ringmail_sdk::Acks;

use crate::support::findings::{Findings, Kind};
use crate::support::record::Id;

/// What a crash may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// The process dies: all that is written stays.
    Kill,
    /// The machine dies: what is not synced may go.
    PowerCut,
}

/// A producer.
#[derive(Debug)]
pub struct Session {
    pub number: u32,
    pub acks: Acks,
    /// Whether it sends again what may be stored already.
    pub retries: bool,
    /// Records given to the SDK, by partition.
    pub sent: Vec<AtomicU64>,
}

impl Session {
    /// Whether it ever sent this record.
    fn has_sent(&self, partition: usize, id: Id) -> bool {
        self.sent.get(partition).is_some_and(|sent| u64::from(id.sequence) < sent.load(Ordering::SeqCst))
    }
}

/// What is known of the topic itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The answer to its creation is due.
    Creating,
    Exists,
    /// The answer to its deletion is due.
    Deleting,
    Deleted,
}

/// A topic.
#[derive(Debug)]
pub struct TopicBook {
    pub name: String,
    pub state: Mutex<State>,
    pub partitions: Vec<Mutex<PartitionBook>>,
    sessions: Mutex<HashMap<u32, Arc<Session>>>,
}

impl TopicBook {
    pub fn new(name: String, partitions: u32) -> Self {
        Self {
            name,
            state: Mutex::new(State::Creating),
            partitions: (0..partitions).map(|_| Mutex::default()).collect(),
            sessions: Mutex::default(),
        }
    }

    /// A producer of this topic.
    pub fn session(&self, number: u32, acks: Acks, retries: bool) -> Arc<Session> {
        let sent = self.partitions.iter().map(|_| AtomicU64::new(0)).collect();
        let session = Arc::new(Session { number, acks, retries, sent });
        self.sessions.lock().unwrap().insert(number, Arc::clone(&session));
        session
    }

    pub fn set_state(&self, state: State) {
        *self.state.lock().unwrap() = state;
    }

    pub fn state(&self) -> State {
        *self.state.lock().unwrap()
    }

    /// Whether any producer ever sent this record.
    pub fn was_sent(&self, partition: usize, id: Id) -> bool {
        let sessions = self.sessions.lock().unwrap();
        sessions.get(&id.session).is_some_and(|session| session.has_sent(partition, id))
    }

    fn retries(&self, id: Id) -> bool {
        self.sessions.lock().unwrap().get(&id.session).is_some_and(|session| session.retries)
    }
}

#[derive(Debug, Clone, Copy)]
struct Known {
    id: Id,
    /// Whether somebody has read it, and not only its producer was told.
    seen: bool,
}

/// A record that is written, but need not be synced.
#[derive(Debug, Clone, Copy)]
struct Written {
    offset: u64,
    id: Id,
    epoch: u32,
}

/// A partition.
#[derive(Debug, Default)]
pub struct PartitionBook {
    /// What stands at each offset for good.
    known: Vec<Option<Known>>,
    written: Vec<Written>,
    /// The end of what was known to stand for good, by the number of crashes before.
    durable_ends: HashMap<u32, u64>,
}

impl PartitionBook {
    /// A producer was told that a record is stored and synced, or a consumer has read it.
    pub fn stands(&mut self, offset: u64, id: Id, seen: bool, epoch: u32) -> Result<(), String> {
        let at = offset as usize;
        if self.known.len() <= at {
            self.known.resize(at + 1, None);
        }
        let end = self.durable_ends.entry(epoch).or_default();
        *end = (*end).max(offset + 1);
        match &mut self.known[at] {
            Some(known) if known.id == id => {
                known.seen |= seen;
                Ok(())
            }
            Some(known) => Err(format!("offset {offset} is both {:?} and {id:?}", known.id)),
            none => {
                *none = Some(Known { id, seen });
                Ok(())
            }
        }
    }

    /// A producer was told that a record is written.
    pub fn is_written(&mut self, offset: u64, id: Id, epoch: u32) {
        self.written.push(Written { offset, id, epoch });
    }

    /// How many records stand for good.
    pub fn standing(&self) -> u64 {
        self.known.iter().flatten().count() as u64
    }
}

/// Compares what is stored in a partition, from offset 0 on, with what is known; from then on it is what is known.
pub fn compare(
    topic: &TopicBook,
    partition: usize,
    stored: &[(u64, Option<Id>)],
    crash: Crash,
    findings: &Findings,
) {
    let place = |offset: u64| format!("{}/{partition} at {offset}", topic.name);
    let found = look_through(topic, partition, stored, findings);
    let everywhere: HashSet<Id> = found.iter().flatten().copied().collect();
    let at = |offset: u64| found.get(offset as usize).copied().flatten();
    let mut book = topic.partitions[partition].lock().unwrap();
    let known = std::mem::take(&mut book.known);
    for (offset, known) in (0..).zip(known) {
        let Some(Known { id, seen }) = known else { continue };
        if at(offset) == Some(id) {
            continue;
        }
        let kind = if everywhere.contains(&id) { Kind::Reordered } else { Kind::Lost };
        let kind = if seen && kind == Kind::Lost { Kind::Gone } else { kind };
        findings.add(kind, || format!("{}: {id:?} was there, now {:?}", place(offset), at(offset)));
    }
    for Written { offset, id, epoch } in std::mem::take(&mut book.written) {
        if at(offset) == Some(id) {
            continue;
        }
        let before_synced = book.durable_ends.get(&epoch).is_some_and(|end| offset < *end);
        if crash == Crash::PowerCut && !before_synced {
            findings.note_forgotten();
            continue;
        }
        let kind = if everywhere.contains(&id) { Kind::Reordered } else { Kind::Lost };
        findings.add(kind, || format!("{}: {id:?} was written, now {:?}", place(offset), at(offset)));
    }
    book.known = found.into_iter().map(|id| id.map(|id| Known { id, seen: true })).collect();
    book.durable_ends.clear();
}

/// Whether the stored records make sense on their own; gives them by offset.
fn look_through(
    topic: &TopicBook,
    partition: usize,
    stored: &[(u64, Option<Id>)],
    findings: &Findings,
) -> Vec<Option<Id>> {
    let mut found: Vec<Option<Id>> = Vec::with_capacity(stored.len());
    let mut once = HashSet::with_capacity(stored.len());
    let mut newest: HashMap<u32, u32> = HashMap::new();
    for &(offset, id) in stored {
        let place = || format!("{}/{partition} at {offset}", topic.name);
        if offset != found.len() as u64 {
            findings.add(Kind::Reordered, || format!("{}: offset {} was due", place(), found.len()));
            found.resize((offset as usize).max(found.len()), None);
        }
        found.push(id);
        let Some(id) = id.filter(|id| topic.was_sent(partition, *id)) else {
            findings.add(Kind::Phantom, || format!("{}: {id:?} was never sent", place()));
            continue;
        };
        let newest = newest.entry(id.session).or_default();
        match (once.insert(id), topic.retries(id)) {
            (true, false) if id.sequence < *newest => {
                findings.add(Kind::Reordered, || format!("{}: {id:?} after {newest}", place()));
            }
            (false, true) => findings.note_repeated(),
            (false, false) => findings.add(Kind::Duplicated, || format!("{}: {id:?} again", place())),
            (true, _) => {}
        }
        *newest = id.sequence.max(*newest);
    }
    found
}

/// Shows that [`compare`] sees what is wrong: a checker that finds nothing proves nothing by itself.
pub fn check_the_checker() {
    let [lost, duplicated, reordered, phantom, gone] = [0, 1, 2, 3, 4];
    let (kill, cut) = (Crash::Kill, Crash::PowerCut);
    assert_eq!(findings_of(&[0, 1, 2, 3], kill), [0; 5]);
    assert_eq!(findings_of(&[0, 1, 2, 3, 4, 7], kill), [0; 5], "what nobody was told of may be there or not");
    assert_eq!(findings_of(&[0, 1, 2], kill)[lost], 1, "what is written survives a kill");
    assert_eq!(findings_of(&[0, 1, 2], cut), [0; 5], "but not a power cut");
    assert_eq!(findings_of(&[0], cut)[lost], 1);
    assert_eq!(findings_of(&[0], cut)[gone], 1);
    assert_eq!(findings_of(&[0, 1, 2, 3, 3], kill)[duplicated], 1);
    assert_eq!(findings_of(&[0, 1, 2, 3, 6, 5], kill)[reordered], 1);
    assert!(findings_of(&[1, 0, 2, 3], kill)[reordered] >= 2);
    assert_eq!(findings_of(&[0, 1, 2, 3, 9], kill)[phantom], 1);
}

/// What comes of it that these records of one producer are stored, of 9 that it sent, where 0 and 1 were acknowledged as synced, 2
/// was read, and 3 is written.
fn findings_of(stored: &[u32], crash: Crash) -> [u64; 5] {
    let id = |sequence: u32| Id { session: 1, sequence };
    let topic = TopicBook::new("t".into(), 1);
    topic.session(1, Acks::Synced, false).sent[0].store(9, Ordering::SeqCst);
    {
        let mut book = topic.partitions[0].lock().unwrap();
        book.stands(0, id(0), false, 0).unwrap();
        book.stands(1, id(1), false, 0).unwrap();
        book.stands(2, id(2), true, 0).unwrap();
        book.is_written(3, id(3), 0);
        assert!(book.stands(1, id(5), false, 0).is_err(), "one offset, two records");
    }
    let findings = Findings::default();
    let stored: Vec<_> = (0..).zip(stored.iter().map(|n| Some(id(*n)))).collect();
    compare(&topic, 0, &stored, crash, &findings);
    findings.counts()
}
