//! Offsets: the first, the last, by time; and moving the first.

use ringmail_shards::api::{
    Answer, AppendError, Appended, Isolation, LogState, OffsetAtTime, ReadError, TimeQuery,
};
use ringmail_wire::protocol::{
    DeleteRecordsRequest, DeleteRecordsResponse, ListOffsetsQuery, ListOffsetsRequest, ListOffsetsResponse,
    ListedOffset, Message, OffsetQuery,
};

use super::error::Fault;
use super::requests::{Handled, Request};
use super::sessions::Sessions;
use super::waiter::{Reply, Waiter};
use crate::node::logs::{Caller, Logs, Refusal};
use crate::node::slab::Key;

/// An answer whose parts come one by one.
#[derive(Debug)]
pub(super) struct Listing {
    reply: Reply,
    queries: Vec<ListOffsetsQuery>,
    offsets: Vec<ListedOffset>,
    /// Parts that are not known yet.
    outstanding: usize,
}

impl Sessions<'_> {
    pub(super) fn list_offsets(&mut self, request: &Request<'_>, logs: &mut Logs) -> Result<(), Fault> {
        let queries = ListOffsetsRequest::from_body(request.body)?.queries;
        self.check_partitions(queries.len())?;
        let mut reply = request.reply();
        reply.weigh(queries.len());
        self.begin(&reply);
        let offsets = queries.iter().map(|query| ListedOffset { log: query.log, code: 0, offset: 0 });
        let listing = Listing { reply, offsets: offsets.collect(), outstanding: queries.len(), queries };
        let queries = listing.queries.clone();
        let key = self.own.listings.insert(listing);
        for (part, ListOffsetsQuery { log, query }) in (0..).zip(queries) {
            let caller = Caller::Native(Waiter::Offsets { listing: key, part });
            match query {
                OffsetQuery::First | OffsetQuery::Last => {
                    if let Answer::Now(result) = logs.state(log, caller) {
                        self.listed_state(key, part, result);
                    }
                }
                OffsetQuery::Timestamp(timestamp) => {
                    if let Answer::Now(result) = logs.offset_for_time(
                        log,
                        TimeQuery::AtOrAfter(timestamp),
                        Isolation::Committed,
                        caller,
                    ) {
                        self.listed_time(key, part, result);
                    }
                }
            }
        }
        self.finish_listing(key);
        Ok(())
    }

    pub(super) fn listed_state(&mut self, key: Key, part: u32, result: Result<LogState, ReadError>) {
        let Some(listing) = self.own.listings.get(key) else { return };
        let first = listing.queries[part as usize].query == OffsetQuery::First;
        let offset = |state: LogState| if first { state.log_start } else { state.last_stable };
        self.listed(key, part, result.map(offset));
    }

    pub(super) fn listed_time(&mut self, key: Key, part: u32, result: Result<OffsetAtTime, ReadError>) {
        self.listed(key, part, result.map(|found| found.offset));
    }

    fn listed(&mut self, key: Key, part: u32, result: Result<u64, ReadError>) {
        let Some(listing) = self.own.listings.get_mut(key) else { return };
        let listed = &mut listing.offsets[part as usize];
        match result {
            Ok(offset) => listed.offset = offset,
            Err(error) => listed.code = Fault::from(error).code as u16,
        }
        listing.outstanding -= 1;
        self.finish_listing(key);
    }

    fn finish_listing(&mut self, key: Key) {
        if self.own.listings.get(key).is_some_and(|listing| listing.outstanding == 0)
            && let Some(listing) = self.own.listings.remove(key)
        {
            self.settle(&listing.reply);
            self.answer(&listing.reply, &ListOffsetsResponse { offsets: listing.offsets });
        }
    }

    pub(super) fn delete_records(
        &mut self,
        request: &Request<'_>,
        logs: &mut Logs,
    ) -> Result<Handled, Fault> {
        let DeleteRecordsRequest { log, before } = DeleteRecordsRequest::from_body(request.body)?;
        if logs.catalog().is_internal(log) {
            return Err(Fault::internal());
        }
        let reply = request.reply();
        match logs.delete_records(log, before, Caller::Native(Waiter::DeleteRecords(reply))) {
            Ok(()) => {
                self.begin(&reply);
                Ok(Handled::Done)
            }
            Err(Refusal::Busy(shard)) => Ok(self.stall(request, shard)),
            Err(Refusal::Error(error)) => Err(error.into()),
        }
    }

    pub(super) fn records_deleted(&mut self, reply: Reply, result: Result<Appended, AppendError>) {
        self.settle(&reply);
        match result {
            Ok(Appended { log_start, .. }) => self.answer(&reply, &DeleteRecordsResponse { log_start }),
            Err(error) => self.refuse(&reply, &error.into()),
        }
    }
}
