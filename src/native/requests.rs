//! Requests: what of a connection's bytes is one, whether it may come now, and which handler takes it; and who is told when
//! something has ended that a request waited for.

use ringmail_wire::protocol::{Api, ErrorCode, FrameHeader, PROTOCOL_VERSION};

use super::error::{Fault, put_fault};
use super::sessions::Sessions;
use super::waiter::{Reply, Waiter};
use crate::gateway::Phase;
use crate::node::logs::Logs;
use crate::node::message::Outcome;
use crate::node::slab::Key;

/// Bytes that one partition of a request counts for until it is answered: about the memory that it takes, the question to
/// another shard included.
const PARTITION_BYTES: usize = 256;

/// A whole request.
pub(super) struct Request<'a> {
    pub(super) connection: Key,
    pub(super) header: FrameHeader,
    pub(super) api: Api,
    pub(super) body: &'a [u8],
}

impl Request<'_> {
    pub(super) fn reply(&self) -> Reply {
        Reply::new(self.connection, self.api, &self.header)
    }
}

impl Reply {
    /// Has the request count for as many bytes as its `partitions` take, however short it is.
    pub(super) fn weigh(&mut self, partitions: usize) {
        let bytes = u32::try_from(partitions * PARTITION_BYTES).unwrap_or(u32::MAX);
        self.bytes = self.bytes.max(bytes);
    }
}

/// What became of a request.
pub(super) enum Handled {
    /// It was answered, will be, or has no answer.
    Done,
    /// The shard has too much to do: nothing was done.
    Busy,
}

impl Sessions<'_> {
    /// Refuses a request about so many partitions that it would take more memory than the largest frame.
    pub(super) fn check_partitions(&self, partitions: usize) -> Result<(), Fault> {
        let most = self.own.settings.max_frame / PARTITION_BYTES;
        if partitions <= most {
            return Ok(());
        }
        let words = format!(
            "{partitions} partitions are too many for one request: ask about {most} at a time, or raise limits.frame"
        );
        Err(Fault::new(ErrorCode::InvalidPartitions, words))
    }

    pub(super) fn refuse_frame(&mut self, key: Key, header: &FrameHeader) {
        let (bytes, limit) = (header.frame_bytes(), self.own.settings.max_frame);
        let words = format!(
            "a frame of {bytes} bytes is over the limit of {limit}: send smaller requests, or raise limits.frame; the connection \
             is closed"
        );
        self.end_with(key, header.api, header.correlation, &Fault::new(ErrorCode::FrameTooLarge, words));
    }

    #[inline]
    pub(super) fn request(&mut self, key: Key, header: FrameHeader, body: &[u8], logs: &mut Logs) -> Handled {
        let Some(api) = Api::from_number(header.api).filter(|api| *api != Api::Push) else {
            return self.refuse_api(key, &header);
        };
        let request = Request { connection: key, header, api, body };
        let phase = self.connections.get(key).map(|connection| connection.phase);
        if (phase == Some(Phase::New)) != (api == Api::Handshake) {
            return self.refuse_order(&request);
        }
        if header.version != PROTOCOL_VERSION && api != Api::Handshake {
            let words = format!(
                "version {} of the request is not the version {PROTOCOL_VERSION} that the handshake agreed on",
                header.version
            );
            self.refuse(&request.reply(), &Fault::new(ErrorCode::UnsupportedVersion, words));
            return Handled::Done;
        }
        let handled = match api {
            Api::Produce => self.produce(&request, logs),
            Api::DeleteRecords => self.delete_records(&request, logs),
            _ => self.simple_request(&request, logs),
        };
        handled.unwrap_or_else(|fault| {
            self.refuse(&request.reply(), &fault);
            Handled::Done
        })
    }

    /// Requests that always have room.
    fn simple_request(&mut self, request: &Request<'_>, logs: &mut Logs) -> Result<Handled, Fault> {
        match request.api {
            Api::Handshake => self.handshake(request),
            Api::Ping => self.ping(request),
            Api::Metadata => self.metadata(request, logs),
            Api::CreateTopic => self.create_topic(request, logs),
            Api::AlterTopic => self.alter_topic(request, logs),
            Api::DeleteTopic => self.delete_topic(request, logs),
            Api::ListTopics => self.list_topics(request, logs),
            Api::DescribeTopic => self.describe_topic(request, logs),
            Api::Fetch => self.fetch(request, logs),
            Api::Subscribe => self.subscribe(request, logs),
            Api::Credit => self.credit(request, logs),
            Api::Unsubscribe => self.unsubscribe(request, logs),
            Api::ListOffsets => self.list_offsets(request, logs),
            Api::Produce | Api::DeleteRecords | Api::Push => unreachable!("these were told apart before"),
        }?;
        Ok(Handled::Done)
    }

    fn refuse_api(&mut self, key: Key, header: &FrameHeader) -> Handled {
        if self.connections.get(key).is_some_and(|connection| connection.phase == Phase::New) {
            self.end_with(key, header.api, header.correlation, &handshake_first());
            return Handled::Done;
        }
        let words = format!("there is no API {}: this broker may be older than the client", header.api);
        let fault = Fault::new(ErrorCode::UnknownApi, words);
        self.connections.write(key, |output| put_fault(output, header.api, header.correlation, &fault));
        Handled::Done
    }

    fn refuse_order(&mut self, request: &Request<'_>) -> Handled {
        if request.api == Api::Handshake {
            let words = "the handshake was done already: it is the first request of a connection only";
            self.refuse(&request.reply(), &Fault::new(ErrorCode::HandshakeOrder, words));
        } else {
            let (api, correlation) = (request.header.api, request.header.correlation);
            self.end_with(request.connection, api, correlation, &handshake_first());
        }
        Handled::Done
    }

    /// Something that a connection waited for has ended.
    #[inline]
    pub fn outcome(&mut self, waiter: Waiter, outcome: Outcome, logs: &mut Logs) {
        match (waiter, outcome) {
            (Waiter::Produce(reply), Outcome::Appended(result)) => self.produced(reply, result),
            (Waiter::Unacknowledged, Outcome::Appended(result)) => {
                if let Err(error) = result {
                    self.produce_failed_silently(error);
                }
            }
            (Waiter::FetchRead { fetch, part }, Outcome::Read(result)) => {
                self.fetch_read(fetch, part, result, logs);
            }
            (Waiter::FetchCount { fetch, part }, Outcome::Read(result)) => {
                self.fetch_counted(fetch, part, result, logs);
            }
            (Waiter::FetchWatch { fetch, part }, Outcome::Advanced) => {
                self.fetch_advanced(fetch, part, logs);
            }
            (Waiter::Subscription(key), Outcome::State(result)) => self.subscribed(key, result, logs),
            (Waiter::Subscription(key), Outcome::Read(result)) => {
                self.subscription_read(key, result, logs);
            }
            (Waiter::SubscriptionWatch(key), Outcome::Advanced) => self.push(key, logs),
            (Waiter::Offsets { listing, part }, Outcome::State(result)) => {
                self.listed_state(listing, part, result);
            }
            (Waiter::Offsets { listing, part }, Outcome::Offset(result)) => {
                self.listed_time(listing, part, result);
            }
            (Waiter::Description { description, part }, Outcome::State(result)) => {
                self.described(description, part, result);
            }
            (Waiter::DeleteRecords(reply), Outcome::Appended(result)) => self.records_deleted(reply, result),
            (Waiter::Catalog(reply), Outcome::Changed(result)) => self.catalog_changed(reply, result),
            (waiter, outcome) => debug_assert!(false, "{waiter:?} does not wait for {outcome:?}"),
        }
    }
}

fn handshake_first() -> Fault {
    Fault::new(
        ErrorCode::HandshakeOrder,
        "the first request of a connection must be a handshake: the connection is closed",
    )
}
