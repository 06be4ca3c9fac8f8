//! Appends: what may be appended, and what becomes of it.

use crate::api::{Acks, AppendError, Appended, Event, LogId, Origin, Payload, Token};
use crate::config::{LogConfig, Timestamps};
use crate::format::entry::EntryHeader;
use crate::format::states::SentBatch;
use crate::incoming;
use crate::index::Place;
use crate::producers::Verdict;
use crate::shard::Shard;
use ringmail_kafka::batch::Marker;

impl Shard {
    /// Checks and appends one batch, and says where it stands. The token comes back by [`Event::Appended`] or
    /// [`Event::AppendFailed`]; for [`Acks::None`] it does not. Of a batch that its producer sends once more it is said where it
    /// stands already.
    ///
    /// # Errors
    /// See [`AppendError`]; nothing was appended then.
    pub fn append(
        &mut self,
        log: LogId,
        payload: Payload<&[u8]>,
        acks: Acks,
        token: Token,
    ) -> Result<Appended, AppendError> {
        self.admit()?;
        let config = self.logs.get(&log).ok_or(AppendError::UnknownLog(log))?.config;
        self.admit_records(&config)?;
        let now_ms = self.wall_ms as i64;
        incoming::check(payload, &config, self.config.max_batch_bytes, now_ms)?;
        if config.timestamps != Timestamps::Append {
            return self.append_checked(log, payload, None, acks, token);
        }
        let mut stamped = std::mem::take(&mut self.stamped);
        incoming::stamp(payload, now_ms, &mut stamped);
        let payload = payload.map(|_| stamped.as_slice());
        let appended = self.append_checked(log, payload, Some(now_ms), acks, token);
        self.stamped = stamped;
        appended
    }

    fn append_checked(
        &mut self,
        log: LogId,
        payload: Payload<&[u8]>,
        append_time: Option<i64>,
        acks: Acks,
        token: Token,
    ) -> Result<Appended, AppendError> {
        let state = &self.logs[&log];
        let appended = Appended { base_offset: state.end, append_time, log_start: state.start };
        let entry = incoming::describe(log, state.end, payload, self.wall_ms as i64)?;
        if let (Some(_), Some(producers)) = (entry.producer, &state.producers)
            && let Verdict::Duplicate(sent) = producers.judge(&entry)?
        {
            return Ok(self.append_again(sent, appended, acks, token));
        }
        self.make_room_for_producer(&entry)?;
        self.store(&entry, payload.batch(), acks == Acks::Synced)?;
        match acks {
            Acks::None => {}
            Acks::Written => self.commit.wait(token, appended, false),
            Acks::Synced => self.commit.wait(token, appended, true),
        }
        Ok(appended)
    }

    /// Answers for a batch that was appended before; if it is on its way to the disk still, once it has arrived there.
    fn append_again(&mut self, sent: SentBatch, new: Appended, acks: Acks, token: Token) -> Appended {
        let append_time = new.append_time.map(|_| sent.timestamp);
        let appended = Appended { base_offset: sent.base_offset, append_time, ..new };
        let waits = match acks {
            Acks::None => return appended,
            Acks::Written => self.commit.wait_for_all(token, appended, false),
            Acks::Synced => self.commit.wait_for_all(token, appended, true),
        };
        if !waits {
            self.events.push_back(Event::Appended { token, appended });
        }
        appended
    }

    /// Ends a transaction in a log by a marker. The token comes back once that is durable.
    ///
    /// # Errors
    /// See [`AppendError`]; nothing was appended then.
    pub fn append_marker(
        &mut self,
        log: LogId,
        marker: Marker,
        token: Token,
    ) -> Result<Appended, AppendError> {
        self.admit()?;
        let state = self.logs.get(&log).ok_or(AppendError::UnknownLog(log))?;
        self.admit_records(&state.config)?;
        let now_ms = self.wall_ms as i64;
        let appended = Appended { base_offset: state.end, append_time: None, log_start: state.start };
        let mut batch = Vec::new();
        marker.encode(state.end as i64, 0, now_ms, &mut batch);
        let entry = incoming::describe(log, state.end, Payload::Kafka(&batch, Origin::Broker), now_ms)?;
        if let (Some(marker), Some(producers)) = (entry.producer, &state.producers) {
            producers.judge_marker(marker)?;
        }
        self.store(&entry, &batch, true)?;
        self.commit.wait(token, appended, true);
        Ok(appended)
    }

    fn store(&mut self, entry: &EntryHeader, batch: &[u8], sync: bool) -> Result<(), AppendError> {
        let place = self.place(entry, batch, sync)?;
        self.index_records(place, entry);
        self.take_producer(entry);
        self.stats.appended_batches += 1;
        self.stats.appended_records += u64::from(entry.record_count);
        Ok(())
    }

    /// Remembers what a batch says of its producer.
    pub(crate) fn take_producer(&mut self, entry: &EntryHeader) {
        let (Some(producer), Some(state)) = (entry.producer, self.logs.get_mut(&entry.log)) else { return };
        let producers = state.producers.get_or_insert_default();
        self.totals.producers += usize::from(!producers.knows(producer.id));
        self.totals.aborted += usize::from(producers.take(entry, self.now_ms));
    }

    /// Whether anything can be appended now.
    pub(crate) fn admit(&self) -> Result<(), AppendError> {
        if let Some(reason) = &self.commit.fenced {
            return Err(AppendError::Fenced(reason.clone()));
        }
        if self.closing || self.recovery.is_some() {
            return Err(AppendError::Closed);
        }
        let pending = self.commit.pending_bytes();
        if pending >= self.config.max_pending_bytes {
            return Err(if self.upkeep.is_full() {
                AppendError::Full
            } else {
                AppendError::Overloaded(pending)
            });
        }
        Ok(())
    }

    /// Whether records of a log can be appended now. On a full disk the last spare segment is for what frees space: deletions,
    /// retention, the cleaner.
    fn admit_records(&self, config: &LogConfig) -> Result<(), AppendError> {
        if config.essential {
            return Ok(());
        }
        if self.upkeep.is_full() && self.segments.spares.is_empty() {
            return Err(AppendError::Full);
        }
        if self.may_need_last_spare() {
            return Err(AppendError::NoSpareYet);
        }
        Ok(())
    }

    /// Takes an entry of records that was placed into the index.
    pub(crate) fn index_records(&mut self, place: Place, entry: &EntryHeader) {
        let state = self.logs.get_mut(&entry.log).expect("the log was looked up");
        let (extents, runs) = state.push(place, entry);
        self.count_entry(place.segment, entry.entry_bytes() as u64, extents, runs);
        self.touch(entry.log, entry.end_offset());
    }
}
