//! What clients are told, and whether it is right.

use super::member::{Caller, Stage, Waiting};
use super::model::ModelLog;
use super::world::{Event as Happening, World};
use crate::check::{Check, ensure, violated};
use ringmail_shards::api::{Acks, AppendError, Event, LogId, ReadData, ReadError, Token};
use std::ops::Range;

/// Bytes over [`ringmail_shards::config::ShardConfig::max_pending_bytes`] that may be pending: one batch, and what
/// the cleaner copies in a step.
const PENDING_SLACK: usize = 512 << 10;
/// Operations that a disk may have at once.
const DISK_OPERATIONS: usize = 512;

impl World<'_> {
    /// An answer leaves the shard.
    pub fn answer_in(&mut self, shard: usize, caller: Caller, delay_us: u64) {
        let home = self.workers[caller.worker].home;
        let way = self.mesh.delay(shard, home, self.schedule.now_us(), &mut self.rng);
        self.schedule.after(delay_us + way, Happening::Answered { caller });
    }

    /// A client has its answer.
    pub fn answered(&mut self, caller: Caller) {
        let worker = &mut self.workers[caller.worker];
        if worker.request == caller.request {
            // A second answer finds another number.
            worker.request += 1;
            let (asks, think) = (worker.asks, self.rng.below(self.episode.think_us + 1));
            self.schedule.after(think, Happening::Ask { worker: caller.worker, asks });
        }
    }

    /// A client has waited for records long enough.
    pub fn watch_over(&mut self, caller: Caller) {
        for member in &mut self.members {
            member.watches.values_mut().for_each(|(_, callers)| callers.retain(|other| *other != caller));
        }
        self.answered(caller);
    }

    pub fn take_event(&mut self, shard: usize, event: Event) {
        match event {
            Event::Ready => self.recovered(shard),
            Event::Appended { token, appended } => self.appended(shard, token, appended.base_offset),
            Event::AppendFailed { token, error } => self.append_failed(shard, token, &error),
            Event::Read { token, result } => {
                self.say(shard, "read ended", &[("token", token.0), ("failed", u64::from(result.is_err()))]);
                if let Some(answer) = self.answers.get_mut(&token) {
                    *answer = Some(result);
                    return;
                }
                let (caller, waiting) = self.take_waiting(shard, token);
                let Waiting::Read { log, offset, max_bytes } = waiting else {
                    violated(Check::Answer, format!("{waiting:?} is answered by {result:?}"));
                };
                self.read_ended(shard, caller, (log, offset, max_bytes), result);
                self.reader_left(log);
            }
            Event::OffsetFound { token, result } => {
                let result = result.map(|found| found.offset);
                self.say(
                    shard,
                    "search ended",
                    &[("token", token.0), ("offset", *result.as_ref().unwrap_or(&0))],
                );
                let (caller, waiting) = self.take_waiting(shard, token);
                let Waiting::Time { log, timestamp, start, high_watermark } = waiting else {
                    violated(Check::Answer, format!("{waiting:?} is answered by {result:?}"));
                };
                self.check_time(shard, log, timestamp, start..high_watermark, &result);
                self.answer_in(shard, caller, 0);
                self.reader_left(log);
            }
            Event::Advanced { log } => self.advanced(shard, log),
            Event::Fenced { reason } => self.fenced(shard, &reason),
            Event::Damage(damage) => self.damaged(shard, &damage),
            Event::Full(full) => {
                self.say(shard, "full", &[("full", u64::from(full))]);
                let before = std::mem::replace(&mut self.members[shard].full, full);
                ensure(before != full, Check::Answer, || {
                    format!("shard {shard} says twice that full is {full}")
                });
            }
        }
    }

    fn take_waiting(&mut self, shard: usize, token: Token) -> (Caller, Waiting) {
        let waiting = self.members[shard].waiting.remove(&token);
        waiting.unwrap_or_else(|| {
            violated(Check::Answer, format!("{token:?} is answered, but nobody waits for it"))
        })
    }

    fn appended(&mut self, shard: usize, token: Token, offset: u64) {
        self.say(shard, "done", &[("token", token.0), ("offset", offset)]);
        let (caller, waiting) = self.take_waiting(shard, token);
        self.answer_in(shard, caller, 0);
        match waiting {
            Waiting::Append { log, base, end, acks } => {
                ensure(base == offset, Check::Answer, || {
                    format!("log {log}: {base} is acknowledged as {offset}")
                });
                self.figures.acknowledged += 1;
                let Some(model) = self.logs.get_mut(&log) else { return };
                model.written_end = model.written_end.max(end);
                if acks == Acks::Synced {
                    model.acknowledged_end = model.acknowledged_end.max(end);
                    model.durable_to(end, self.events);
                }
            }
            Waiting::Delete { log, start } => {
                ensure(start == offset, Check::Answer, || {
                    format!("log {log}: {start} is acknowledged as {offset}")
                });
                if let Some(model) = self.logs.get_mut(&log) {
                    model.start_is_durable(start);
                }
            }
            other => violated(Check::Answer, format!("{other:?} is answered as an append")),
        }
    }

    fn append_failed(&mut self, shard: usize, token: Token, error: &AppendError) {
        self.say(shard, "failed", &[("token", token.0)]);
        let (caller, waiting) = self.take_waiting(shard, token);
        self.answer_in(shard, caller, 0);
        let writes = matches!(waiting, Waiting::Append { .. } | Waiting::Delete { .. });
        ensure(writes && matches!(error, AppendError::Fenced(_)), Check::Answer, || {
            format!("{waiting:?} fails with {error}")
        });
    }

    /// A read has its answer.
    pub fn read_ended(
        &mut self,
        shard: usize,
        caller: Caller,
        (log, offset, max_bytes): (LogId, u64, usize),
        result: Result<ReadData, ReadError>,
    ) {
        self.answer_in(shard, caller, 0);
        let model = self.logs.get(&log).or_else(|| self.gone.get(&log));
        let model = model.expect("a log that is read is remembered");
        match result {
            Ok(data) => {
                let count = model.check_read(offset, max_bytes, &data);
                ensure(count > 0, Check::Answer, || {
                    format!("log {log}: a read from {offset} gives nothing: {data:?}")
                });
                self.figures.served += count;
                self.workers[caller.worker].cursor = Some((log, data.next_offset));
                if let Some(model) = self.logs.get_mut(&log) {
                    model.durable_to(data.next_offset, self.events);
                }
            }
            Err(error) => {
                self.workers[caller.worker].cursor = None;
                self.check_read_error(shard, log, offset, &error);
            }
        }
    }

    fn check_read_error(&mut self, shard: usize, log: LogId, offset: u64, error: &ReadError) {
        self.figures.damaged_reads += u64::from(matches!(error, ReadError::Damaged { .. }));
        let right = match error {
            ReadError::UnknownLog(_) => !self.logs.contains_key(&log),
            ReadError::OutOfRange { .. } => self.logs.get(&log).is_none_or(|m| offset < m.start),
            ReadError::Io(_) => self.disk_failed(shard),
            ReadError::Damaged { .. } => self.members[shard].was_lied_to(),
        };
        ensure(right, Check::Damage, || {
            let place = self.logs.get(&log).map(ModelLog::place);
            format!("log {log}: a read from {offset} fails: {error}; {place:?}")
        });
    }

    /// Whether the answer to a search by time is right, for any moment since it was asked, when the log had `then`.
    pub fn check_time(
        &mut self,
        shard: usize,
        log: LogId,
        timestamp: i64,
        then: Range<u64>,
        result: &Result<u64, ReadError>,
    ) {
        let found = match result {
            Ok(found) => *found,
            Err(error) => return self.check_read_error(shard, log, then.start, error),
        };
        if self.logs.contains_key(&log) {
            self.observe(shard, log);
        }
        let lied = self.members[shard].was_lied_to();
        let Some(model) = self.logs.get(&log) else { return };
        let missed = model.first_at(timestamp, model.start.max(then.start), found.min(then.end));
        let matches = model.timestamp(found).is_some_and(|t| t >= timestamp);
        let at_end = (then.end..=model.high_watermark).contains(&found);
        // What is damaged is not found.
        let right = (missed.is_none() || lied)
            && found >= then.start
            && (matches || at_end || found < model.start_known);
        ensure(right, Check::Answer, || {
            format!(
                "log {log}: the search for {timestamp} finds {found}, missing {missed:?}; {:?}",
                model.place()
            )
        });
    }

    fn reader_left(&mut self, log: LogId) {
        if let Some(model) = self.logs.get_mut(&log) {
            model.reader_left();
        } else if let Some(model) = self.gone.get_mut(&log) {
            model.reader_left();
            if model.readers == 0 {
                self.gone.remove(&log);
            }
        }
    }

    fn advanced(&mut self, shard: usize, log: LogId) {
        self.say(shard, "advanced", &[("log", log)]);
        let Some((before, callers)) = self.members[shard].watches.remove(&log) else {
            violated(Check::Answer, format!("log {log} has advanced, but nobody watches it"));
        };
        if self.logs.contains_key(&log) {
            self.observe(shard, log);
            let now = self.logs[&log].high_watermark;
            ensure(now > before, Check::Answer, || {
                format!("log {log} is said to have advanced from {before} to {now}")
            });
        }
        callers.into_iter().for_each(|caller| self.answer_in(shard, caller, 0));
    }

    fn fenced(&mut self, shard: usize, reason: &str) {
        self.trace.note(self.schedule.now_us(), shard as u32, "fenced", reason);
        self.figures.fences += 1;
        let member = &mut self.members[shard];
        member.fenced = true;
        let full = member.disk.stats.refused > member.refused_before;
        let gave_up = matches!(member.stage, Stage::Closing | Stage::Recovering) && full;
        let boot = member.boot;
        ensure(gave_up || self.disk_failed(shard), Check::Answer, || {
            format!("fenced without a fault: {reason}")
        });
        let delay = self.rng.below(30_000);
        self.schedule.after(delay, Happening::Repair { shard, boot });
    }

    fn damaged(&mut self, shard: usize, damage: &ringmail_shards::damage::Damage) {
        self.trace.note(self.schedule.now_us(), shard as u32, "damage", &damage.to_string());
        let member = &mut self.members[shard];
        ensure(member.was_lied_to(), Check::Damage, || {
            format!("damage on a disk that keeps its contract: {damage}")
        });
        member.damage_said += 1;
        self.figures.damage_reported += 1;
    }

    /// Holds a log against the model.
    pub fn observe(&mut self, shard: usize, log: LogId) {
        let state = self.members[shard].engine().log_state(log);
        let state =
            state.unwrap_or_else(|| violated(Check::Lost, format!("log {log} is not known any more")));
        self.logs.get_mut(&log).expect("only known logs are looked at").observe(&state, self.events);
    }

    /// Holds all logs of a shard against the model.
    pub fn observe_all(&mut self, shard: usize) {
        let member = &mut self.members[shard];
        if !matches!(member.stage, Stage::Serving | Stage::Closing) {
            return;
        }
        let engine = member.engine();
        for model in self.logs.values_mut().filter(|model| model.owner == shard) {
            match engine.log_state(model.log) {
                Some(state) => model.observe(&state, self.events),
                None => violated(Check::Lost, format!("log {} is not known any more", model.log)),
            }
        }
    }

    /// What holds after every turn.
    pub fn check_turn(&mut self, shard: usize) {
        let member = &mut self.members[shard];
        let Some(engine) = &member.shard else { return };
        let pending = engine.pending_bytes();
        let limit = member.config.max_pending_bytes + PENDING_SLACK;
        ensure(pending <= limit, Check::Bounds, || {
            format!("{pending} bytes are pending; the limit is {limit}")
        });
        let operations = member.disk.in_flight();
        ensure(operations <= DISK_OPERATIONS, Check::Bounds, || {
            format!("{operations} operations of the disk at once")
        });
        for (&log, &(then, _)) in &member.watches {
            let now = engine.log_state(log).map_or(then, |state| state.high_watermark);
            ensure(now == then, Check::Forgotten, || {
                format!("log {log} went from {then} to {now}, and who watches it was not told")
            });
        }
        if pending == 0 && !member.fenced && member.stage == Stage::Serving {
            member.dropped.values_mut().filter(|d| d.stored).for_each(|d| d.durable = true);
        }
    }
}
