//! The keeper of the catalog, on shard 0: makes its changes durable, one after another, and has every shard apply them.
//!
//! A change is planned on the catalog as it is, written to the catalog's log, applied here and by all other shards, and only
//! then confirmed: so whatever a client does next, on whichever shard, finds the change done. Every so often the whole catalog
//! is written as a snapshot, and what came before is let go.

use std::collections::VecDeque;
use std::sync::Arc;

use ringmail_shards::api::AppendError;
use ringmail_wire::protocol::LogId;

use super::catalog::plan::Command;
use super::catalog::record::{Entry, encode};
use super::catalog::{CatalogError, Change};
use super::logs::{Caller, Logs};
use super::message::{Message, Outcome};

/// Changes that wait for their turn; one more is refused.
const QUEUE: usize = 1_024;

/// Changes after which a snapshot is written.
const CHANGES_PER_SNAPSHOT: usize = 1_000;

/// Deleted logs of which nothing is left are noted once there are so many, or with the next tick.
const FORGET_AT_ONCE: usize = 1_024;

/// What is being done.
#[derive(Debug)]
enum Step {
    Idle,
    /// The records of a change are being written.
    Writing {
        change: Arc<Change>,
        /// `None` for the keeper's own.
        caller: Option<Caller>,
        outstanding: usize,
        failed: Option<AppendError>,
    },
    /// A durable change is being applied by the other shards.
    Spreading {
        change: Arc<Change>,
        caller: Option<Caller>,
        outstanding: usize,
    },
    /// A snapshot is being written.
    Snapshot {
        outstanding: usize,
        /// The offset of its first record.
        start: Option<u64>,
        failed: bool,
    },
    /// What came before a snapshot is being let go.
    Trimming,
}

/// The keeper.
#[derive(Debug)]
pub struct Keeper {
    queue: VecDeque<(Command, Caller)>,
    step: Step,
    /// Changes since the last snapshot.
    changes: usize,
    /// Deleted logs of which nothing is left, but the catalog still says so.
    dropped: Vec<LogId>,
}

impl Keeper {
    /// A keeper whose catalog has seen so many `changes` since its last snapshot.
    pub fn new(changes: usize) -> Self {
        Self { queue: VecDeque::new(), step: Step::Idle, changes, dropped: Vec::new() }
    }

    /// Whether nothing is being done or waits to be.
    pub fn is_idle(&self) -> bool {
        matches!(self.step, Step::Idle) && self.queue.is_empty()
    }

    /// Wants a change.
    pub fn request(&mut self, command: Command, caller: Caller, logs: &mut Logs) {
        if self.queue.len() >= QUEUE {
            return logs.changed(caller, Err(CatalogError::Busy(QUEUE)));
        }
        self.queue.push_back((command, caller));
        self.go_on(logs);
    }

    /// Notes that nothing is left of deleted logs.
    pub fn dropped(&mut self, logs_gone: Vec<LogId>, logs: &mut Logs) {
        self.dropped.extend(logs_gone);
        if self.dropped.len() >= FORGET_AT_ONCE {
            self.tick(logs);
        }
    }

    /// Time has passed: does what has no hurry.
    pub fn tick(&mut self, logs: &mut Logs) {
        if !self.dropped.is_empty() && self.is_idle() {
            let command = Command::Forget { logs: std::mem::take(&mut self.dropped) };
            self.begin(command, None, logs);
        }
    }

    /// Begins what comes next, if nothing is being done.
    fn go_on(&mut self, logs: &mut Logs) {
        while let Step::Idle = self.step {
            if self.changes >= CHANGES_PER_SNAPSHOT {
                self.begin_snapshot(logs);
            } else if let Some((command, caller)) = self.queue.pop_front() {
                self.begin(command, Some(caller), logs);
            } else {
                return;
            }
        }
    }

    fn begin(&mut self, command: Command, caller: Option<Caller>, logs: &mut Logs) {
        let change = match logs.plan(command) {
            Ok(change) => Arc::new(change),
            Err(error) => return tell(logs, caller, Err(error)),
        };
        match append(logs, Entry::Change(&change)) {
            (0, Some(error)) => tell(logs, caller, Err(CatalogError::NotStored(error))),
            (outstanding, failed) => self.step = Step::Writing { change, caller, outstanding, failed },
        }
    }

    /// An append or deletion of the keeper has ended.
    pub fn outcome(&mut self, outcome: Outcome, logs: &mut Logs) {
        let Outcome::Appended(result) = outcome else {
            debug_assert!(false, "the keeper appends and deletes only");
            return;
        };
        match std::mem::replace(&mut self.step, Step::Idle) {
            Step::Writing { change, caller, outstanding, failed } => {
                let failed = failed.or(result.err());
                self.written(change, caller, outstanding - 1, failed, logs);
            }
            Step::Snapshot { outstanding, start, failed } => {
                let failed = failed || result.is_err();
                let start = start.or(result.ok().map(|appended| appended.base_offset));
                self.snapshot_written(outstanding - 1, start, failed, logs);
            }
            // It may have failed: then the next snapshot lets go of more.
            Step::Trimming => {}
            other => {
                debug_assert!(false, "nothing was being written");
                self.step = other;
            }
        }
        self.go_on(logs);
    }

    fn written(
        &mut self,
        change: Arc<Change>,
        caller: Option<Caller>,
        outstanding: usize,
        failed: Option<AppendError>,
        logs: &mut Logs,
    ) {
        if outstanding > 0 {
            self.step = Step::Writing { change, caller, outstanding, failed };
        } else if let Some(error) = failed {
            tell(logs, caller, Err(CatalogError::NotStored(error)));
        } else {
            self.changes += 1;
            apply(&change, logs);
            logs.tell_others(|| Message::Apply(Arc::clone(&change)));
            self.spread(change, caller, usize::from(logs.shards()) - 1, logs);
        }
    }

    fn spread(&mut self, change: Arc<Change>, caller: Option<Caller>, outstanding: usize, logs: &mut Logs) {
        if outstanding > 0 {
            self.step = Step::Spreading { change, caller, outstanding };
        } else {
            tracing::info!(%change, "the catalog has changed");
            tell(logs, caller, Ok(change));
        }
    }

    /// Another shard has applied the change that is being spread.
    pub fn applied(&mut self, logs: &mut Logs) {
        match std::mem::replace(&mut self.step, Step::Idle) {
            Step::Spreading { change, caller, outstanding } => {
                self.spread(change, caller, outstanding - 1, logs);
            }
            other => {
                debug_assert!(false, "nothing was being spread");
                self.step = other;
            }
        }
        self.go_on(logs);
    }

    fn begin_snapshot(&mut self, logs: &mut Logs) {
        self.changes = 0;
        let snapshot = logs.catalog().clone();
        let (outstanding, failed) = append(logs, Entry::Snapshot(&snapshot));
        if outstanding > 0 {
            self.step = Step::Snapshot { outstanding, start: None, failed: failed.is_some() };
        }
    }

    /// Lets go of what came before a snapshot that is whole. Otherwise all of it is still needed.
    fn snapshot_written(&mut self, outstanding: usize, start: Option<u64>, failed: bool, logs: &mut Logs) {
        if outstanding > 0 {
            self.step = Step::Snapshot { outstanding, start, failed };
        } else if let Some(start) = start
            && !failed
            && logs.trim_catalog(start).is_ok()
        {
            self.step = Step::Trimming;
        }
    }
}

/// Appends an entry to the catalog's log: how many batches are under way, and why there are not more. An entry that is cut
/// short does not count, so nothing has to be taken back.
fn append(logs: &mut Logs, entry: Entry<'_>) -> (usize, Option<AppendError>) {
    let batches = encode(entry, logs.wall_ms() as i64);
    for (count, batch) in batches.iter().enumerate() {
        if let Err(error) = logs.append_to_catalog(batch) {
            return (count, Some(error));
        }
    }
    (batches.len(), None)
}

/// Applies a change to the shard of `logs`, where it was planned or is known to follow.
pub fn apply(change: &Change, logs: &mut Logs) {
    if let Err(mismatch) = logs.apply_change(change) {
        let shard = logs.shard();
        tracing::error!(shard, %mismatch, "a defect: a change does not fit the catalog; restart the broker");
    }
}

fn tell(logs: &mut Logs, caller: Option<Caller>, result: Result<Arc<Change>, CatalogError>) {
    if let Some(caller) = caller {
        logs.changed(caller, result);
    }
}
