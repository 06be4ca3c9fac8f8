//! ListOffsets: the first, the next, that of the greatest timestamp, or the first of a record as new as a timestamp.

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Body;
use ringmail_kafka::messages::metadata::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListedOffset, ListedOffsetsTopic,
};
use ringmail_shards::api::{Answer, Isolation, LogState, OffsetAtTime, ReadError, TimeQuery};
use ringmail_wire::protocol::LogId;

use super::cluster::{LEADER_EPOCH, check_leader_epoch};
use super::error;
use super::requests::{Handled, Refused, Request};
use super::sessions::Sessions;
use super::waiter::{Reply, Waiter};
use crate::node::logs::{Caller, Logs};
use crate::node::slab::Key;

/// Timestamps that stand for something else, and the versions since which they do.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const GREATEST: (i64, i16) = (-3, 7);
const EARLIEST_LOCAL: (i64, i16) = (-4, 8);
const LATEST_TIERED: (i64, i16) = (-5, 9);
const EARLIEST_PENDING_UPLOAD: (i64, i16) = (-6, 11);

/// An answer whose parts come one by one.
#[derive(Debug)]
pub(super) struct Listing {
    reply: Reply,
    isolation: Isolation,
    topics: Vec<ListedOffsetsTopic<'static>>,
    /// What was asked, in the order of the request.
    questions: Vec<Question>,
    /// Parts that are not known yet.
    outstanding: usize,
}

#[derive(Debug, Clone, Copy)]
struct Question {
    /// Where its answer goes.
    topic: usize,
    place: usize,
    wanted: Offset,
    log: LogId,
}

/// Which offset is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offset {
    First,
    /// The one after the last that the reader may see.
    Next,
    Time(TimeQuery),
}

impl Sessions<'_> {
    pub(super) fn list_offsets(
        &mut self,
        request: &Request<'_>,
        logs: &mut Logs,
    ) -> Result<Handled, Refused> {
        let body = ListOffsetsRequest::decode(request.header.version, request.body)?;
        let isolation = isolation_of(body.isolation_level);
        let mut listing = Listing {
            reply: request.reply,
            isolation,
            topics: Vec::new(),
            questions: Vec::new(),
            outstanding: 0,
        };
        listing.take(&body, logs);
        listing.outstanding = listing.questions.len();
        self.weigh(&request.reply, listing.outstanding);
        let questions = listing.questions.clone();
        let key = self.own.listings.insert(listing);
        for (part, question) in (0..).zip(questions) {
            let caller = Caller::Kafka(Waiter::Offsets { listing: key, part });
            match question.wanted {
                Offset::First | Offset::Next => {
                    if let Answer::Now(result) = logs.state(question.log, caller) {
                        self.listed_state(key, part, result);
                    }
                }
                Offset::Time(time) => {
                    if let Answer::Now(result) = logs.offset_for_time(question.log, time, isolation, caller) {
                        self.listed_time(key, part, result);
                    }
                }
            }
        }
        self.answer_listing_if_done(key);
        Ok(Handled::Done)
    }

    pub(super) fn listed_state(&mut self, key: Key, part: u32, result: Result<LogState, ReadError>) {
        let Some(listing) = self.own.listings.get_mut(key) else { return };
        let first = listing.questions[part as usize].wanted == Offset::First;
        let isolation = listing.isolation;
        let offset = |state: LogState| if first { state.log_start } else { state.end_for(isolation) };
        self.listed(key, part, result.map(|state| Some((offset(state), -1))));
    }

    pub(super) fn listed_time(&mut self, key: Key, part: u32, result: Result<OffsetAtTime, ReadError>) {
        let found = |found: OffsetAtTime| found.timestamp.map(|timestamp| (found.offset, timestamp));
        self.listed(key, part, result.map(found));
    }

    /// The offset and the timestamp of a part, if there is such a record.
    fn listed(&mut self, key: Key, part: u32, result: Result<Option<(u64, i64)>, ReadError>) {
        let Some(listing) = self.own.listings.get_mut(key) else { return };
        let Question { topic, place, .. } = listing.questions[part as usize];
        let listed = &mut listing.topics[topic].partitions[place];
        match result {
            Ok(Some((offset, timestamp))) => {
                listed.offset = i64::try_from(offset).unwrap_or(i64::MAX);
                listed.timestamp = timestamp;
                listed.leader_epoch = LEADER_EPOCH;
            }
            Ok(None) => {}
            Err(error) => listed.error_code = error::of_read(&error).number(),
        }
        listing.outstanding -= 1;
        self.answer_listing_if_done(key);
    }

    fn answer_listing_if_done(&mut self, key: Key) {
        if self.own.listings.get(key).is_some_and(|listing| listing.outstanding == 0)
            && let Some(listing) = self.own.listings.remove(key)
        {
            let response = ListOffsetsResponse { topics: listing.topics, ..ListOffsetsResponse::default() };
            self.answer(&listing.reply, &response);
        }
    }
}

impl Listing {
    /// Notes what is asked; what cannot be asked is answered here.
    fn take(&mut self, body: &ListOffsetsRequest<'_>, logs: &Logs) {
        for wanted in &body.topics {
            let found = logs.catalog().topic(&wanted.name);
            let mut listed =
                ListedOffsetsTopic { name: wanted.name.to_string().into(), partitions: Vec::new() };
            for partition in &wanted.partitions {
                let index = usize::try_from(partition.partition_index).ok();
                let log = found.zip(index).and_then(|(topic, index)| topic.partitions.get(index));
                let log = log.map(|partition| partition.log).ok_or(ErrorCode::UnknownTopicOrPartition);
                let offset = offset_of(partition, self.reply.version);
                let question = log.and_then(|log| Ok(offset?.map(|wanted| (log, wanted))));
                let mut answer =
                    ListedOffset { partition_index: partition.partition_index, ..ListedOffset::default() };
                match question {
                    Ok(Some((log, wanted))) => {
                        let (topic, place) = (self.topics.len(), listed.partitions.len());
                        self.questions.push(Question { topic, place, wanted, log });
                    }
                    Ok(None) => {}
                    Err(code) => answer.error_code = code.number(),
                }
                listed.partitions.push(answer);
            }
            self.topics.push(listed);
        }
    }
}

/// Which offset a partition is asked for; `None` for one that there never is.
///
/// # Errors
/// What the client is told.
fn offset_of(partition: &ListOffsetsPartition, version: i16) -> Result<Option<Offset>, ErrorCode> {
    check_leader_epoch(partition.current_leader_epoch)?;
    let since = |(_, since): (i64, i16)| {
        if version >= since { Ok(()) } else { Err(ErrorCode::UnsupportedVersion) }
    };
    match partition.timestamp {
        LATEST => Ok(Some(Offset::Next)),
        EARLIEST => Ok(Some(Offset::First)),
        time if time == GREATEST.0 => since(GREATEST).map(|()| Some(Offset::Time(TimeQuery::Greatest))),
        time if time == EARLIEST_LOCAL.0 => since(EARLIEST_LOCAL).map(|()| Some(Offset::First)),
        // Nothing is kept elsewhere.
        time if time == LATEST_TIERED.0 => since(LATEST_TIERED).map(|()| None),
        time if time == EARLIEST_PENDING_UPLOAD.0 => since(EARLIEST_PENDING_UPLOAD).map(|()| None),
        time => Ok(Some(Offset::Time(TimeQuery::AtOrAfter(time)))),
    }
}

/// What a reader wants to see: 0 for uncommitted records, 1 for committed ones.
pub(super) fn isolation_of(level: i8) -> Isolation {
    if level == 1 { Isolation::Committed } else { Isolation::Uncommitted }
}
