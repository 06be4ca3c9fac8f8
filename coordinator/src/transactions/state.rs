//! What is stored of a transactional id, and the steps from one state to the next.

use std::collections::{BTreeMap, BTreeSet};

use crate::machine::Producer;

/// No producer id.
pub(super) const NO_ID: i64 = -1;
/// No epoch.
pub(super) const NO_EPOCH: i16 = -1;
/// The highest epoch that a producer is given. The one above it is left for fencing the producer that has this one.
pub(super) const LAST_EPOCH: i16 = i16::MAX - 1;

/// Partitions by topic.
pub type Partitions = BTreeMap<String, BTreeSet<i32>>;

/// How far a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum State {
    /// There was none since the producer got its epoch.
    Empty = 0,
    /// It is open.
    Ongoing = 1,
    /// It is committed; not all partitions have the marker yet.
    PrepareCommit = 2,
    /// It is aborted; not all partitions have the marker yet.
    PrepareAbort = 3,
    /// It is committed.
    CompleteCommit = 4,
    /// It is aborted.
    CompleteAbort = 5,
}

impl State {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
    ];

    /// The state of this number.
    pub fn from_number(number: i8) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// Kafka's name, as its tools show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }

    /// Whether the outcome is certain, and the markers are under way.
    pub fn is_prepared(self) -> bool {
        matches!(self, Self::PrepareCommit | Self::PrepareAbort)
    }

    /// Whether there is no transaction now.
    pub fn is_idle(self) -> bool {
        matches!(self, Self::Empty | Self::CompleteCommit | Self::CompleteAbort)
    }
}

/// What is stored of a transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Its producer; while the transaction is being completed, the one that the markers name.
    pub producer: Producer,
    /// The epoch that the producer had before, if it may still ask with it for the answer that it missed; else -1.
    pub last_epoch: i16,
    /// The producer id before this one, or this one, or -1.
    pub previous_id: i64,
    /// The producer id after completion, if the epochs of this one are used up; else -1.
    pub next_id: i64,
    /// After how many milliseconds an open transaction is aborted.
    pub timeout_ms: i32,
    /// How far the transaction is.
    pub state: State,
    /// What it has written to.
    pub partitions: Partitions,
    /// When this was stored, in milliseconds since the Unix epoch.
    pub updated_ms: i64,
    /// When the newest transaction began, in milliseconds since the Unix epoch; -1 if there was none.
    pub started_ms: i64,
    /// Whether the end of the newest transaction gave the producer a new epoch (KIP-890).
    pub ends_bump: bool,
}

/// Why partitions were given up on: how the end of a transaction is to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) commit: bool,
    /// Whether the epoch goes up.
    pub(super) bump: bool,
    /// The producer id that is to follow if the epochs are used up, else -1.
    pub(super) next_id: i64,
}

impl Ending {
    /// The end of an open transaction that its producer did not ask for.
    pub(super) const FENCED: Self = Self { commit: false, bump: true, next_id: NO_ID };
}

impl Transaction {
    /// A transactional id that is used for the first time.
    pub(super) fn created(producer_id: i64, timeout_ms: i32, now_ms: i64) -> Self {
        Self {
            producer: Producer { id: producer_id, epoch: 0 },
            last_epoch: NO_EPOCH,
            previous_id: NO_ID,
            next_id: NO_ID,
            timeout_ms,
            state: State::Empty,
            partitions: Partitions::new(),
            updated_ms: now_ms,
            started_ms: -1,
            ends_bump: false,
        }
    }

    /// Whether the producer has the last epoch that its id can have.
    pub(super) fn is_exhausted(&self) -> bool {
        self.producer.epoch >= LAST_EPOCH
    }

    /// A producer begins anew.
    pub(super) fn initialized(
        &self,
        producer: Producer,
        last_epoch: i16,
        timeout_ms: i32,
        now_ms: i64,
    ) -> Self {
        assert!(self.state.is_idle(), "a transaction is ended before its producer begins anew");
        // Whoever asks again may do so as often as it takes.
        let previous_id = if producer == self.producer { self.previous_id } else { self.producer.id };
        Self { last_epoch, previous_id, producer, ..Self::created(producer.id, timeout_ms, now_ms) }
    }

    /// Partitions are added; the first ones begin a transaction.
    pub(super) fn joined(&self, added: &Partitions, now_ms: i64) -> Self {
        assert!(!self.state.is_prepared(), "nothing is added to what has ended");
        let mut next = self.clone();
        if self.state.is_idle() {
            next.started_ms = now_ms;
        }
        for (topic, partitions) in added {
            match next.partitions.get_mut(topic) {
                Some(there) => there.extend(partitions),
                None => drop(next.partitions.insert(topic.clone(), partitions.clone())),
            }
        }
        Self { state: State::Ongoing, updated_ms: now_ms, ends_bump: false, ..next }
    }

    /// The outcome is decided, of an open transaction or of one that never got a partition.
    pub(super) fn prepared(&self, ending: Ending, now_ms: i64) -> Self {
        assert!(!self.state.is_prepared(), "an outcome is never changed");
        let mut next = self.clone();
        if self.state.is_idle() {
            next.started_ms = now_ms;
        }
        if ending.bump {
            next.last_epoch = self.producer.epoch;
            // The highest epoch is nobody's who could be fenced.
            next.producer.epoch = self.producer.epoch.saturating_add(1);
        }
        let state = if ending.commit { State::PrepareCommit } else { State::PrepareAbort };
        Self { state, next_id: ending.next_id, updated_ms: now_ms, ends_bump: ending.bump, ..next }
    }

    /// All partitions have their marker.
    pub(super) fn completed(&self, now_ms: i64) -> Self {
        let state = match self.state {
            State::PrepareCommit => State::CompleteCommit,
            State::PrepareAbort => State::CompleteAbort,
            state => panic!("only a decided transaction can be completed, not one in {}", state.name()),
        };
        Self {
            state,
            producer: self.producer_after(),
            previous_id: self.producer.id,
            next_id: NO_ID,
            partitions: Partitions::new(),
            updated_ms: now_ms,
            ..*self
        }
    }

    /// The producer once the transaction is completed.
    pub(super) fn producer_after(&self) -> Producer {
        match self.next_id {
            NO_ID => self.producer,
            id => Producer { id, epoch: 0 },
        }
    }

    /// Whether the transaction has all these partitions.
    pub(super) fn has(&self, partitions: &Partitions) -> bool {
        let has = |(topic, asked): (&String, &BTreeSet<i32>)| {
            self.partitions.get(topic).is_some_and(|there| asked.is_subset(there))
        };
        partitions.iter().all(has)
    }

    /// How many partitions it would have with these.
    pub(super) fn count_with(&self, added: &Partitions) -> usize {
        let there: usize = self.partitions.values().map(BTreeSet::len).sum();
        let new = |(topic, asked): (&String, &BTreeSet<i32>)| match self.partitions.get(topic) {
            Some(there) => asked.difference(there).count(),
            None => asked.len(),
        };
        there + added.iter().map(new).sum::<usize>()
    }
}
