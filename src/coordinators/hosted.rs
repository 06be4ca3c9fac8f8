//! One machine over its log: given what the log holds, then requests; what it writes is appended, what it answers is sent once
//! all before is durable.

use std::collections::VecDeque;

use ringmail_coordinator::machine::{
    Call, CallId, Effects, Machine, Markers, Now, Producer, Replayed, Topics, Write, WriteError,
};
use ringmail_kafka::batch::{Batch, Batches, Marker, Outcome as MarkerOutcome};
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Response;
use ringmail_shards::api::{Answer, AppendError, Appended, Isolation, ReadData, ReadError};
use ringmail_wire::protocol::LogId;

use super::producer_ids::Wanting;
use super::topics::CatalogTopics;
use super::{Shared, Waiter, batch};
use crate::node::logs::{Caller, Logs};

/// Bytes of one read of a log at the start.
const LOAD_BYTES: usize = 1 << 20;

/// A snapshot is written once so many bytes were appended since the last, and so many times what that took.
const SNAPSHOT_AFTER_BYTES: usize = 16 << 20;
const SNAPSHOT_AFTER_TIMES: usize = 4;

/// How far a machine is.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// Its log is being read, from this offset on.
    Loading(u64),
    /// The next part of the log is on its way.
    Reading(u64),
    /// It is asked.
    Serving,
    /// Its log has failed: nothing that it says could be relied on.
    Failed,
}

/// What is to be done once a write is durable.
#[derive(Debug)]
enum Due {
    Answer(CallId, Response<'static>),
    Markers(Markers),
    /// A marker that was asked for is in the log.
    Marked(Caller, Appended),
    /// A snapshot that begins at this offset is whole.
    Snapshot(u64),
}

/// A machine and its log.
#[derive(Debug)]
pub(super) struct Hosted {
    log: LogId,
    machine: Box<dyn Machine>,
    stage: Stage,
    /// Writes so far, and those of them that are durable.
    taken: u64,
    durable: u64,
    /// What waits for writes: up to which, and what.
    due: VecDeque<(u64, Due)>,
    /// Bytes that were written since the last snapshot, or read at the start.
    written_bytes: usize,
    /// Bytes of the last snapshot.
    snapshot_bytes: usize,
    /// Whether a snapshot, or letting go of what was before it, is under way.
    snapshotting: bool,
}

impl Hosted {
    /// A machine that knows nothing yet.
    pub(super) fn new(log: LogId, machine: Box<dyn Machine>) -> Self {
        Self {
            log,
            machine,
            stage: Stage::Loading(0),
            taken: 0,
            durable: 0,
            due: VecDeque::new(),
            written_bytes: 0,
            snapshot_bytes: 0,
            snapshotting: false,
        }
    }

    /// Whether [`load`](Self::load) has something to do.
    pub(super) fn is_loading(&self) -> bool {
        matches!(self.stage, Stage::Loading(_))
    }

    /// When it has something to do, in milliseconds of the monotonic clock.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        (self.stage == Stage::Serving).then(|| self.machine.next_deadline()).flatten()
    }

    /// Reads the next part of its log, and takes it, unless that comes later.
    pub(super) fn load(&mut self, shared: &mut Shared, logs: &mut Logs) {
        let Stage::Loading(next) = self.stage else { return };
        let caller = Caller::Coordinator(Waiter::Load(self.log));
        match logs.read(self.log, next, LOAD_BYTES, Isolation::Uncommitted, false, caller) {
            Answer::Now(result) => self.loaded(next, result, shared, logs),
            Answer::Later => self.stage = Stage::Reading(next),
        }
    }

    /// A read of the log has ended.
    pub(super) fn read(&mut self, result: Result<ReadData, ReadError>, shared: &mut Shared, logs: &mut Logs) {
        if let Stage::Reading(next) = self.stage {
            self.loaded(next, result, shared, logs);
        }
    }

    fn loaded(
        &mut self,
        next: u64,
        result: Result<ReadData, ReadError>,
        shared: &mut Shared,
        logs: &mut Logs,
    ) {
        let data = match result {
            Ok(data) => data,
            // Records before the log's start are in a snapshot behind it.
            Err(ReadError::OutOfRange { offset, log_start, .. }) if offset < log_start => {
                return self.stage = Stage::Loading(log_start);
            }
            Err(error) => return self.fail_loading(next, &error.to_string()),
        };
        let mut effects = Effects::default();
        for piece in &data.pieces {
            self.written_bytes += piece.len();
            for batch in Batches::new(piece) {
                let replayed = batch.and_then(|batch| self.replay(&batch, shared.now, &mut effects));
                if let Err(error) = replayed {
                    return self.fail_loading(next, &error.to_string());
                }
            }
        }
        // Whatever a marker sets free at the start, nobody waits for it yet.
        if data.next_offset < data.state.high_watermark {
            self.stage = Stage::Loading(data.next_offset);
            return;
        }
        self.stage = Stage::Serving;
        tracing::debug!(log = self.log, records = data.next_offset, "a coordinator has loaded its log");
        self.step(shared, logs, |machine, _, now, effects| machine.loaded(0, now, effects));
    }

    fn fail_loading(&mut self, offset: u64, reason: &str) {
        tracing::error!(
            log = self.log,
            offset,
            reason,
            "the log of a coordinator cannot be read: its groups or transactions are not served; restore it from a backup, then \
             restart the broker"
        );
        self.stage = Stage::Failed;
    }

    /// Gives the records of a stored batch to the machine.
    fn replay(
        &mut self,
        stored: &Batch<'_>,
        now: Now,
        effects: &mut Effects,
    ) -> Result<(), ringmail_kafka::batch::BatchError> {
        if stored.is_control() {
            if let Some(marker) = Marker::decode(stored)? {
                self.replay_marker(&marker, now, effects);
            }
            return Ok(());
        }
        let producer = batch::producer(stored);
        batch::records(stored, |record| {
            self.machine.replay(Replayed {
                offset: record.offset as u64,
                timestamp_ms: record.timestamp,
                producer,
                key: record.key.unwrap_or_default(),
                value: record.value,
            });
        })
    }

    fn replay_marker(&mut self, marker: &Marker, now: Now, effects: &mut Effects) {
        let producer = Producer { id: marker.producer_id, epoch: marker.producer_epoch };
        self.machine.replay_marker(producer, marker.outcome == MarkerOutcome::Commit, now, effects);
    }

    /// Why it cannot be asked now, if it cannot.
    pub(super) fn unavailable(&self) -> Option<ErrorCode> {
        match self.stage {
            Stage::Loading(_) | Stage::Reading(_) => Some(ErrorCode::CoordinatorLoadInProgress),
            Stage::Serving => None,
            Stage::Failed => Some(ErrorCode::CoordinatorNotAvailable),
        }
    }

    /// Takes a request.
    pub(super) fn request(&mut self, call: Call<'_>, shared: &mut Shared, logs: &mut Logs) {
        self.step(shared, logs, |machine, topics, now, effects| machine.request(call, topics, now, effects));
    }

    /// Stores the end of a transaction in the log; `caller` is told once it is durable.
    ///
    /// # Errors
    /// If that was not begun.
    pub(super) fn mark(
        &mut self,
        marker: Marker,
        caller: Caller,
        shared: &mut Shared,
        logs: &mut Logs,
    ) -> Result<(), AppendError> {
        if self.stage != Stage::Serving {
            return Err(AppendError::Closed);
        }
        let waiter = Waiter::Stored { log: self.log, number: self.taken + 1 };
        let appended = logs.append_own_marker(self.log, marker, Caller::Coordinator(waiter))?;
        self.taken += 1;
        self.due.push_back((self.taken, Due::Marked(caller, appended)));
        let now = shared.now;
        let mut effects = Effects::default();
        self.replay_marker(&marker, now, &mut effects);
        self.carry_out(effects, shared, logs);
        Ok(())
    }

    /// Has the machine do something, and does what it wants done.
    pub(super) fn step(
        &mut self,
        shared: &mut Shared,
        logs: &mut Logs,
        act: impl FnOnce(&mut dyn Machine, &dyn Topics, Now, &mut Effects),
    ) {
        if self.stage != Stage::Serving {
            return;
        }
        let mut effects = Effects::default();
        act(self.machine.as_mut(), &CatalogTopics(logs), shared.now, &mut effects);
        self.carry_out(effects, shared, logs);
    }

    fn carry_out(&mut self, effects: Effects, shared: &mut Shared, logs: &mut Logs) {
        let mut steps = VecDeque::from([effects]);
        while let Some(Effects { writes, answers, markers, producer_ids }) = steps.pop_front() {
            for tag in producer_ids {
                shared.producer_ids.want(Wanting::Machine { log: self.log, tag }, logs);
            }
            let mut taken = Ok(());
            for write in writes {
                taken = taken.and_then(|()| self.write(&write, shared, logs));
                if write.tag != 0 {
                    let mut next = Effects::default();
                    let topics = CatalogTopics(logs);
                    self.machine.written(write.tag, taken, &topics, shared.now, &mut next);
                    steps.push_back(next);
                }
            }
            let due = answers.into_iter().map(|(call, answer)| Due::Answer(call, answer));
            let due = due.chain(markers.into_iter().map(Due::Markers));
            self.due.extend(due.map(|due| (self.taken, due)));
        }
        self.snapshot_if_due(shared, logs);
        self.do_what_is_due(shared, logs);
    }

    /// Appends a write, and has the machine take it as what is stored.
    fn write(&mut self, write: &Write, shared: &mut Shared, logs: &mut Logs) -> Result<(), WriteError> {
        let base_offset = self.append(write, shared.now.wall_ms, logs)?;
        for (offset, record) in (base_offset..).zip(&write.records) {
            self.machine.replay(Replayed {
                offset,
                timestamp_ms: shared.now.wall_ms,
                producer: write.producer,
                key: &record.key,
                value: record.value.as_deref(),
            });
        }
        Ok(())
    }

    fn append(&mut self, write: &Write, wall_ms: i64, logs: &mut Logs) -> Result<u64, WriteError> {
        let batch = batch::encode(write, wall_ms)?;
        let waiter = Waiter::Stored { log: self.log, number: self.taken + 1 };
        let begun = logs.append_own(self.log, &batch, Caller::Coordinator(waiter));
        let appended = begun.map_err(|error| match error {
            AppendError::TooLarge { .. } => WriteError::TooLarge,
            AppendError::InvalidProducerEpoch { .. } => WriteError::Fenced,
            _ => WriteError::Unavailable,
        })?;
        self.taken += 1;
        self.written_bytes += batch.len();
        Ok(appended.base_offset)
    }

    /// Write `number` is durable, and so are all before it; or the log has failed.
    pub(super) fn stored(
        &mut self,
        number: u64,
        result: Result<(), AppendError>,
        shared: &mut Shared,
        logs: &mut Logs,
    ) {
        match result {
            Ok(()) => self.durable = self.durable.max(number),
            Err(_) => self.fail(shared, logs),
        }
        self.do_what_is_due(shared, logs);
    }

    fn fail(&mut self, shared: &mut Shared, logs: &mut Logs) {
        self.stage = Stage::Failed;
        for (_, due) in std::mem::take(&mut self.due) {
            match due {
                Due::Answer(call, _) => shared.refuse(call, ErrorCode::CoordinatorNotAvailable, logs),
                Due::Marked(caller, _) => logs.marked(caller, Err(AppendError::Closed)),
                Due::Markers(_) | Due::Snapshot(_) => {}
            }
        }
    }

    fn do_what_is_due(&mut self, shared: &mut Shared, logs: &mut Logs) {
        while let Some((number, _)) = self.due.front()
            && *number <= self.durable
            && let Some((_, due)) = self.due.pop_front()
        {
            match due {
                Due::Answer(call, answer) => shared.answer(call, answer, logs),
                Due::Markers(markers) => shared.marking.begin(self.log, markers),
                Due::Marked(caller, appended) => logs.marked(caller, Ok(appended)),
                Due::Snapshot(start) => {
                    let caller = Caller::Coordinator(Waiter::Trimmed(self.log));
                    self.snapshotting = logs.delete_records(self.log, start, caller).is_ok();
                }
            }
        }
    }

    /// What was before a snapshot is gone, or will go with the next one.
    pub(super) fn trimmed(&mut self) {
        self.snapshotting = false;
    }

    /// Writes all that the machine knows, so that what came before can go.
    fn snapshot_if_due(&mut self, shared: &mut Shared, logs: &mut Logs) {
        let due_at = SNAPSHOT_AFTER_BYTES.max(SNAPSHOT_AFTER_TIMES * self.snapshot_bytes);
        if self.snapshotting || self.written_bytes < due_at || self.stage != Stage::Serving {
            return;
        }
        let Some(writes) = self.machine.snapshot() else { return };
        self.written_bytes = 0;
        let mut start = None;
        for write in &writes {
            match self.append(write, shared.now.wall_ms, logs) {
                Ok(base_offset) => _ = start.get_or_insert(base_offset),
                // A part of one does no harm, and lets nothing go.
                Err(_) => return,
            }
        }
        self.snapshot_bytes = std::mem::take(&mut self.written_bytes);
        if let Some(start) = start {
            self.snapshotting = true;
            self.due.push_back((self.taken, Due::Snapshot(start)));
        }
    }
}
