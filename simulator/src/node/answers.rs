//! What clients are told, held against what they may be told.

use super::client::{Asked, Connection, Fetch, Flaw, Pending, Request};
use super::records::{Known, Status};
use super::workload::{Desk, may_be_gone};
use crate::check::{Check, ensure, violated};
use crate::figures::Figures;
use ringmail_wire::batch::Batches;
use ringmail_wire::protocol::{
    Api, DeleteRecordsResponse, DescribeTopicResponse, ErrorBody, ErrorCode, FetchResponse, FrameHeader,
    HandshakeResponse, ListOffsetsResponse, ListTopicsResponse, LogId, Message, MetadataResponse,
    ProduceResponse, PushHeader, SubscribeResponse, TopicCreated,
};

/// A long poll must have seen what was there so long before its deadline, in microseconds: longer than any delay of the
/// simulated world.
const LONG_BEFORE_US: u64 = 1_500_000;

/// What has gone wrong with the node, so that answers may say so.
#[derive(Debug, Clone, Default)]
pub(super) struct Trouble {
    /// It was told to stop.
    pub stopping: bool,
    /// Disks have been full, or may have been, since its start.
    pub full: bool,
    /// By shard, whether its disk has failed since its start.
    pub failed: Vec<bool>,
    /// By shard, whether it takes no more writes, once faults are long over.
    pub fenced: Option<Vec<bool>>,
    /// The time of an idle connection, in microseconds.
    pub idle_us: u64,
    /// Slow disks may hold up anything.
    pub slow: bool,
    /// Subscriptions that a connection may have.
    pub subscriptions: usize,
}

/// What the broker's clock of whole milliseconds may be off, in microseconds.
const CLOCK_US: u64 = 2000;

/// The judge of one frame.
pub(super) struct Judge<'a, 'b> {
    pub desk: &'a mut Desk<'b>,
    pub trouble: &'a Trouble,
    pub figures: &'a mut Figures,
    /// Logs that were read to their end for the final look.
    pub audited: &'a mut Vec<(LogId, u64)>,
}

impl Judge<'_, '_> {
    /// Takes all whole frames of what has come.
    pub fn take_frames(&mut self, connection: &mut Connection) {
        let mut at = 0;
        while let Some((header, body)) = connection.next_frame(at) {
            at = body + header.body;
            let inbox = std::mem::take(&mut connection.inbox);
            self.frame(connection, &header, &inbox[body..at]);
            connection.inbox = inbox;
        }
        connection.inbox.drain(..at);
    }

    fn frame(&mut self, connection: &mut Connection, header: &FrameHeader, body: &[u8]) {
        let code = (header.code != 0).then(|| {
            let code = ErrorCode::from_number(header.code);
            let words = ErrorBody::from_body(body).map(|body| body.message.to_owned());
            let words = words
                .unwrap_or_else(|error| violated(Check::Answer, format!("an error has no words: {error}")));
            ensure(code != ErrorCode::Internal, Check::Answer, || words.clone());
            (code, words)
        });
        // Garbage may be answered in the name of any API.
        let last_words = code.is_some() && connection.may_end.is_some();
        let is_subscription = connection.subscriptions.contains_key(&header.correlation);
        if header.api == Api::Push as u8 && (is_subscription || !last_words) {
            return self.push(connection, header.correlation, body, code);
        }
        let Some(pending) = connection.pending.remove(&header.correlation) else {
            return self.unasked(connection, header, code);
        };
        let api_fits = header.api == pending.api as u8 || matches!(pending.request, Request::Nonsense);
        ensure(api_fits, Check::Answer, || format!("{pending:?} is answered as API {}", header.api));
        match code {
            None => {
                let decoded = self.granted(connection, &pending, body);
                decoded.unwrap_or_else(|error| {
                    violated(Check::Answer, format!("the answer to {pending:?}: {error}"))
                });
            }
            Some((code, words)) => {
                ensure(self.refused(connection, &pending, code), Check::Answer, || {
                    format!("{pending:?} is refused with {code:?}: {words}; {:?}", self.trouble)
                });
            }
        }
    }

    /// Only the last words of a connection answer nothing.
    fn unasked(
        &mut self,
        connection: &mut Connection,
        header: &FrameHeader,
        code: Option<(ErrorCode, String)>,
    ) {
        let silent = self.desk.now_us - connection.said_us;
        match code {
            Some((ErrorCode::IdleTimeout, _)) if !connection.open && connection.may_end.is_some() => {}
            Some((ErrorCode::IdleTimeout, words)) => {
                let was_silent = silent + CLOCK_US >= self.trouble.idle_us || connection.was_silent;
                ensure(was_silent && header.correlation == 0, Check::Answer, || {
                    format!("after {silent} us: {words}")
                });
                connection.may_end = Some("idle");
            }
            Some(_) if connection.may_end.is_some() => {}
            code => violated(Check::Answer, format!("an answer to no request: {header:?} {code:?}")),
        }
    }

    fn granted(
        &mut self,
        connection: &mut Connection,
        pending: &Pending,
        body: &[u8],
    ) -> Result<(), ringmail_wire::protocol::DecodeError> {
        let now_us = self.desk.now_us;
        match &pending.request {
            Request::Handshake { good } => {
                let hello = HandshakeResponse::from_body(body)?;
                ensure(*good && usize::from(hello.shard) == connection.shard, Check::Answer, || {
                    format!("{hello:?}")
                });
                connection.open = true;
            }
            Request::Ping => <()>::from_body(body)?,
            Request::Nonsense => violated(Check::Answer, format!("{pending:?} is granted")),
            Request::Metadata { versions, settled } => {
                let seen = MetadataResponse::from_body(body)?;
                // What a catalog that has failed did not store, its disk may have all the same.
                let in_doubt = self.trouble.failed.first().copied().unwrap_or(false);
                self.desk.topics.observe(versions, &seen, settled.then_some(in_doubt), self.desk.records);
            }
            Request::Change { topic } => {
                let created =
                    (pending.api == Api::CreateTopic).then(|| TopicCreated::from_body(body)).transpose()?;
                if created.is_none() {
                    <()>::from_body(body)?;
                }
                self.desk.topics.confirmed(*topic, created.map(|created| created.id), self.desk.records);
            }
            Request::List { versions } => self.list(versions, &ListTopicsResponse::from_body(body)?),
            Request::Describe { topic, version } => {
                self.describe(*topic, *version, &DescribeTopicResponse::from_body(body)?)
            }
            Request::Produce { batch, flaw, known } => {
                let base = ProduceResponse::from_body(body)?.base_offset;
                ensure(flaw.is_none() && known.status != Status::Gone, Check::Phantom, || {
                    format!("{pending:?} is taken")
                });
                let shard = usize::from(self.desk.records.log(self.desk.records.sent(*batch).log).shard);
                let fenced = self.trouble.fenced.as_ref().is_some_and(|fenced| fenced[shard]);
                ensure(!fenced, Check::Lost, || format!("shard {shard} has failed, and takes {pending:?}"));
                self.desk.records.acknowledged(*batch, base, now_us);
                self.figures.acknowledged += 1;
            }
            Request::Fetch(fetch) => {
                self.fetched(connection, pending.sent_us, fetch, &FetchResponse::from_body(body)?)
            }
            Request::Subscribe { subscription, known, .. } => {
                let answer = SubscribeResponse::from_body(body)?;
                let Some(state) = connection.subscriptions.get_mut(subscription) else { return Ok(()) };
                state.started = true;
                let (log, offset) = (state.log, state.offset);
                let fits = (answer.log_start..=answer.high_watermark).contains(&offset);
                ensure(fits, Check::Answer, || format!("a subscription from {offset} begins: {answer:?}"));
                self.bounds(log, *known, answer.log_start, answer.high_watermark);
            }
            Request::Unsubscribe { subscription } => {
                <()>::from_body(body)?;
                connection.subscriptions.remove(subscription);
            }
            Request::Offsets { queries } => self.offsets(queries, &ListOffsetsResponse::from_body(body)?),
            Request::DeleteRecords { log, before, known } => {
                let start = DeleteRecordsResponse::from_body(body)?.log_start;
                ensure(start >= (*before).min(known.durable_end), Check::Deleted, || {
                    format!("log {log} was to begin at {before}, and begins at {start}; {known:?}")
                });
                let state = self.desk.records.log(*log);
                state.starts_at(*log, start);
                state.start_durable = state.start_durable.max(start);
                state.is_durable(start, now_us);
            }
        }
        Ok(())
    }

    /// A log stands between these offsets.
    fn bounds(&mut self, log: LogId, known: Known, start: u64, high_watermark: u64) {
        ensure(known.status != Status::Gone, Check::Deleted, || {
            format!("log {log} was deleted, and is read")
        });
        ensure(high_watermark >= known.durable_end, Check::Unserved, || {
            format!("log {log} ends at {high_watermark}, and {} was known to be durable", known.durable_end)
        });
        let now_us = self.desk.now_us;
        ensure(start >= known.start_durable, Check::Deleted, || {
            format!("log {log} begins at {start}; {known:?}")
        });
        let state = self.desk.records.log(log);
        state.starts_at(log, start);
        state.is_durable(high_watermark, now_us);
    }

    fn list(&mut self, versions: &[u64], listed: &ListTopicsResponse<'_>) {
        for topic in &listed.topics {
            let known = self.desk.topics.topics.iter().any(|known| known.name == topic.name);
            ensure(known, Check::Phantom, || format!("{topic:?} was never created"));
        }
        for (topic, version) in self.desk.topics.topics.iter().zip(versions) {
            let there = listed.topics.iter().any(|listed| listed.name == topic.name);
            let certain = topic.change.is_none() && topic.version == *version;
            ensure(!certain || there == topic.existing.is_some(), Check::Lost, || {
                format!("{topic:?}, listed: {there}")
            });
        }
    }

    fn describe(&mut self, topic: usize, version: u64, described: &DescribeTopicResponse<'_>) {
        let topic = &self.desk.topics.topics[topic];
        let Some(existing) = &topic.existing else {
            ensure(topic.version != version || topic.change.is_some(), Check::Deleted, || {
                format!("{topic:?} is described")
            });
            return;
        };
        if topic.version == version && topic.change.is_none() {
            let logs: Vec<_> = described.partitions.iter().map(|p| (p.log, p.shard)).collect();
            ensure(described.id == existing.id && logs.starts_with(&existing.logs), Check::Lost, || {
                format!("{topic:?} is described as {described:?}")
            });
        }
    }

    fn offsets(&mut self, queries: &[(LogId, Known, Asked)], listed: &ListOffsetsResponse) {
        ensure(queries.len() == listed.offsets.len(), Check::Answer, || format!("{queries:?}: {listed:?}"));
        for (&(log, known, asked), answer) in queries.iter().zip(&listed.offsets) {
            ensure(answer.log == log, Check::Answer, || {
                format!("{answer:?} answers a question for log {log}")
            });
            if answer.code != 0 {
                let code = ErrorCode::from_number(answer.code);
                ensure(self.log_error(log, known, code, true), Check::Answer, || {
                    format!("{asked:?} of log {log}: {code:?}; {known:?}, {:?}", self.trouble)
                });
                continue;
            }
            let (start, end) = match asked {
                Asked::First => (answer.offset, known.durable_end),
                Asked::Last => (known.start_durable, answer.offset),
                Asked::Time => {
                    ensure(answer.offset >= known.start_durable, Check::Deleted, || {
                        format!("{answer:?}; {known:?}")
                    });
                    continue;
                }
            };
            self.bounds(log, known, start, end);
        }
    }

    fn fetched(
        &mut self,
        connection: &Connection,
        sent_us: u64,
        fetch: &Fetch,
        response: &FetchResponse<'_>,
    ) {
        let now_us = self.desk.now_us;
        let mut parts = fetch.parts.iter();
        let (mut bytes, mut batches) = (0, 0);
        for found in &response.partitions {
            let log = found.header.log;
            let Some(&(_, offset, known)) = parts.by_ref().find(|part| part.0 == log) else {
                violated(Check::Answer, format!("{fetch:?} gives log {log}, unasked or out of order"));
            };
            let header = found.header;
            if header.code != 0 {
                let code = ErrorCode::from_number(header.code);
                let fits =
                    self.fetch_error(log, offset, known, code, (header.log_start, header.high_watermark));
                ensure(fits, Check::Answer, || {
                    format!("log {log} at {offset}: {code:?}, {header:?}; {known:?}, {:?}", self.trouble)
                });
                continue;
            }
            ensure(!found.batches.is_empty(), Check::Answer, || {
                format!("log {log} at {offset}: nothing, but listed")
            });
            self.bounds(log, known, header.log_start, header.high_watermark);
            let next = self.desk.records.served(log, offset, found.batches, now_us);
            ensure(next <= header.high_watermark, Check::Unserved, || {
                format!("log {log} is read to {next}: {header:?}")
            });
            bytes += found.batches.len();
            batches += Batches::new(found.batches).count();
            if fetch.audit {
                self.audited.push((log, next));
            }
        }
        ensure(batches <= 1 || bytes <= fetch.max_bytes as usize, Check::Answer, || {
            format!("{fetch:?} gives {bytes} bytes in {batches} batches")
        });
        if response.partitions.is_empty() {
            self.found_nothing(connection, sent_us, fetch);
        }
    }

    /// A fetch that is answered with nothing has waited, and there was nothing.
    fn found_nothing(&mut self, connection: &Connection, sent_us: u64, fetch: &Fetch) {
        let waited_us = self.desk.now_us - sent_us;
        let wait_us = u64::from(fetch.max_wait_ms) * 1000;
        let cut_short = self.trouble.stopping || connection.finished_us.is_some() || fetch.min_bytes == 0;
        ensure(waited_us >= wait_us || cut_short, Check::Answer, || {
            format!("{fetch:?} is over after {waited_us} us")
        });
        for &(log, offset, known) in &fetch.parts {
            let there = offset < known.durable_end && fetch.max_wait_ms == 0;
            ensure(!there, Check::Unserved, || format!("log {log} at {offset}: nothing, but {known:?}"));
            if fetch.max_wait_ms == 0 || fetch.min_bytes > 1 || self.trouble.slow {
                continue;
            }
            if let Some(since_us) = self.desk.records.log(log).known_since(offset) {
                ensure(since_us + LONG_BEFORE_US > sent_us + wait_us || cut_short, Check::Forgotten, || {
                    format!(
                        "log {log} at {offset}: nothing after {wait_us} us from {sent_us} on, but was there at {since_us}"
                    )
                });
            }
        }
    }

    fn fetch_error(
        &mut self,
        log: LogId,
        offset: u64,
        known: Known,
        code: ErrorCode,
        (start, end): (u64, u64),
    ) -> bool {
        if code == ErrorCode::OffsetOutOfRange {
            self.bounds(log, known, start, end);
            return !(start..=end).contains(&offset);
        }
        self.log_error(log, known, code, true)
    }

    /// Whether an operation on a log may fail so.
    fn log_error(&mut self, log: LogId, then: Known, code: ErrorCode, reads: bool) -> bool {
        let state = self.desk.records.log(log);
        let shard = usize::from(state.shard);
        let failed = self.trouble.failed.get(shard).copied().unwrap_or(true);
        if let (Some(fenced), false) = (&self.trouble.fenced, reads) {
            // Long after the last fault, a shard takes everything or nothing.
            return code == ErrorCode::StorageFailed && fenced[shard]
                || code == ErrorCode::UnknownPartition && may_be_gone(then, state.known());
        }
        match code {
            ErrorCode::UnknownPartition => may_be_gone(then, state.known()),
            ErrorCode::StorageFailed => failed,
            ErrorCode::ShuttingDown => self.trouble.stopping,
            // Where no file can be made, there is no room either.
            ErrorCode::StorageFull => !reads && (self.trouble.full || failed),
            ErrorCode::Overloaded => !reads,
            _ => false,
        }
    }

    /// Takes a refusal; whether it may be.
    fn refused(&mut self, connection: &mut Connection, pending: &Pending, code: ErrorCode) -> bool {
        match &pending.request {
            Request::Handshake { good } => !good && code == ErrorCode::UnsupportedVersion,
            Request::Ping | Request::Metadata { .. } | Request::List { .. } => false,
            Request::Nonsense => matches!(
                code,
                ErrorCode::MalformedRequest
                    | ErrorCode::HandshakeOrder
                    | ErrorCode::UnknownApi
                    | ErrorCode::InvalidSubscription
            ),
            Request::Change { topic } => self.change_refused(*topic, code),
            Request::Describe { topic, version } => {
                let topic = &self.desk.topics.topics[*topic];
                let certain = topic.version == *version && topic.change.is_none() && topic.existing.is_some();
                code == ErrorCode::UnknownTopic && !certain
            }
            Request::Produce { batch, flaw, known } => self.produce_refused(*batch, *flaw, *known, code),
            Request::Fetch(_) => code == ErrorCode::Overloaded,
            Request::Subscribe { subscription, known, others } => {
                let Some(state) = connection.subscriptions.remove(subscription) else { return false };
                match code {
                    // A client that sends no more gets no pushes.
                    ErrorCode::InvalidSubscription => {
                        *others >= self.trouble.subscriptions || connection.finished_us.is_some()
                    }
                    ErrorCode::OffsetOutOfRange => {
                        let log = self.desk.records.log(state.log);
                        state.offset > known.durable_end || log.may_lack(state.offset)
                    }
                    code => self.log_error(state.log, *known, code, true),
                }
            }
            Request::Unsubscribe { subscription } => {
                // It had ended, and the push that said so has come before this.
                code == ErrorCode::InvalidSubscription
                    && connection.subscriptions.remove(subscription).is_none()
            }
            Request::Offsets { .. } => false,
            Request::DeleteRecords { log, known, .. } => self.log_error(*log, *known, code, false),
        }
    }

    fn produce_refused(&mut self, batch: usize, flaw: Option<Flaw>, known: Known, code: ErrorCode) -> bool {
        // A failed write may have stored it all the same.
        if code != ErrorCode::StorageFailed {
            self.desk.records.refused(batch);
        }
        let log = self.desk.records.sent(batch).log;
        match (flaw, code) {
            (Some(Flaw::Crc), ErrorCode::CorruptBatch) => true,
            (Some(Flaw::Structure), ErrorCode::InvalidBatch | ErrorCode::CorruptBatch) => true,
            (Some(Flaw::TooLarge), ErrorCode::BatchTooLarge) => true,
            (_, code) => self.log_error(log, known, code, false),
        }
    }

    fn change_refused(&mut self, topic: usize, code: ErrorCode) -> bool {
        let latent = code == ErrorCode::StorageFailed;
        self.desk.topics.refused(topic, latent, self.desk.records);
        match code {
            ErrorCode::StorageFailed => self.trouble.failed.first().copied().unwrap_or(false),
            ErrorCode::StorageFull => self.trouble.full || self.trouble.failed[0],
            ErrorCode::ShuttingDown => self.trouble.stopping,
            ErrorCode::CatalogUnavailable => true,
            _ => false,
        }
    }

    fn push(
        &mut self,
        connection: &mut Connection,
        subscription: u32,
        body: &[u8],
        code: Option<(ErrorCode, String)>,
    ) {
        let Some(state) = connection.subscriptions.get_mut(&subscription) else {
            violated(
                Check::Answer,
                format!("a push of subscription {subscription}, which has ended: {code:?}"),
            );
        };
        ensure(state.started, Check::Answer, || format!("a push of {state:?} comes before its answer"));
        let (log, offset) = (state.log, state.offset);
        if let Some((code, words)) = code {
            connection.subscriptions.remove(&subscription);
            let known = self.desk.records.log(log).known();
            let deleted = code == ErrorCode::OffsetOutOfRange && self.desk.records.log(log).may_lack(offset);
            ensure(deleted || self.log_error(log, known, code, true), Check::Answer, || {
                format!(
                    "subscription to log {log} at {offset} ends with {code:?}: {words}; {:?}",
                    self.trouble
                )
            });
            return;
        }
        ensure(state.credit > 0, Check::Answer, || format!("a push beyond its credit: {state:?}"));
        let batches = body.get(PushHeader::BYTES..).unwrap_or_default();
        let header = PushHeader::from_body(&body[..PushHeader::BYTES.min(body.len())]);
        let header = header.unwrap_or_else(|error| violated(Check::Answer, format!("a push: {error}")));
        state.credit -= batches.len() as i64;
        let next = self.desk.records.served(log, offset, batches, self.desk.now_us);
        ensure(next <= header.high_watermark && next > offset, Check::Answer, || {
            format!("log {log} is pushed from {offset} to {next}: {header:?}")
        });
        let state = connection.subscriptions.get_mut(&subscription).expect("it was there a moment ago");
        state.offset = next;
    }
}
