//! Subscriptions: the broker pushes batches as far as it was given credit, and as far as the client takes them.

use ringmail_shards::api::{Answer, Isolation, LogState, ReadData, ReadError};
use ringmail_wire::protocol::{
    Api, CreditRequest, ErrorCode, FrameHeader, LogId, Message, PROTOCOL_VERSION, PushHeader,
    SubscribeRequest, SubscribeResponse, UnsubscribeRequest, Writer,
};

use super::error::{Fault, put_fault};
use super::readable::readable;
use super::requests::Request;
use super::sessions::{Sessions, session_of};
use super::waiter::{Reply, Waiter};
use crate::gateway::Output;
use crate::node::logs::{Caller, Logs, Watcher};
use crate::node::slab::Key;

/// Bytes of the largest push, unless one batch alone is larger.
const PUSH_BYTES: usize = 1 << 20;

/// Subscriptions on one shard past which each connection may have the same share of so many.
const SUBSCRIPTIONS: usize = 100_000;

/// What a subscription is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its request is not answered yet.
    Starting(Reply),
    /// It has no credit.
    Idle,
    /// It reads so many bytes.
    Reading(usize),
    /// It waits for its log to advance.
    Watching,
    /// It waits for its connection to take some output.
    Blocked,
}

/// A subscription.
#[derive(Debug)]
pub(super) struct Subscription {
    connection: Key,
    id: u32,
    log: LogId,
    offset: u64,
    /// Bytes that may be pushed; below 0, credit that was overdrawn.
    credit: i64,
    stage: Stage,
}

impl Sessions<'_> {
    pub(super) fn subscribe(&mut self, request: &Request<'_>, logs: &mut Logs) -> Result<(), Fault> {
        let wanted = SubscribeRequest::from_body(request.body)?;
        let limit = self.own.settings.subscriptions;
        if self.own.draining {
            return Err(Fault::shutting_down());
        }
        let refused = |words: String| Err(Fault::new(ErrorCode::InvalidSubscription, words));
        let Some(session) = self.session(request.connection) else { return Ok(()) };
        if session.subscriptions.contains_key(&wanted.subscription) {
            let id = wanted.subscription;
            return refused(format!("subscription {id} exists on this connection: choose another id"));
        }
        if session.subscriptions.len() >= limit {
            return refused(format!(
                "this connection has {limit} subscriptions: use another, or raise limits.subscriptions_per_connection"
            ));
        }
        let own = session.subscriptions.len();
        if self.connections.is_over_share(own, self.own.subscriptions.len(), SUBSCRIPTIONS) {
            let words = format!(
                "the shard has {SUBSCRIPTIONS} subscriptions, and this connection its share of them: end some of them first"
            );
            return Err(Fault::new(ErrorCode::Overloaded, words));
        }
        let reply = request.reply();
        let key = self.own.subscriptions.insert(Subscription {
            connection: request.connection,
            id: wanted.subscription,
            log: wanted.log,
            offset: wanted.offset,
            credit: wanted.credit.into(),
            stage: Stage::Starting(reply),
        });
        if let Some(session) = self.session(request.connection) {
            session.subscriptions.insert(wanted.subscription, key);
        }
        self.begin(&reply);
        if let Answer::Now(result) = logs.state(wanted.log, Caller::Native(Waiter::Subscription(key))) {
            self.subscribed(key, result, logs);
        }
        Ok(())
    }

    /// Where the log of a new subscription stands.
    pub(super) fn subscribed(&mut self, key: Key, result: Result<LogState, ReadError>, logs: &mut Logs) {
        let Some(subscription) = self.own.subscriptions.get_mut(key) else { return };
        let Stage::Starting(reply) = subscription.stage else { return };
        let offset = subscription.offset;
        let result = result.and_then(|state| {
            let LogState { log_start, high_watermark, end, .. } = state;
            let inside = (log_start..=high_watermark).contains(&offset);
            let out_of_range = ReadError::OutOfRange { offset, log_start, high_watermark, end };
            if inside { Ok(state) } else { Err(out_of_range) }
        });
        subscription.stage = Stage::Idle;
        self.settle(&reply);
        match result {
            Ok(LogState { log_start, last_stable, .. }) => {
                self.answer(&reply, &SubscribeResponse { log_start, high_watermark: last_stable });
                self.push(key, logs);
            }
            Err(error) => {
                self.forget_subscription(key, logs);
                self.refuse(&reply, &error.into());
            }
        }
    }

    /// Pushes what there is, as far as credit and output allow.
    pub(super) fn push(&mut self, key: Key, logs: &mut Logs) {
        loop {
            let short = self.connections.is_short();
            let Some(subscription) = self.own.subscriptions.get_mut(key) else { return };
            let Some(connection) = self.connections.get_mut(subscription.connection) else { return };
            if subscription.credit <= 0 {
                subscription.stage = Stage::Idle;
                return;
            }
            if !connection.takes_more(short) {
                subscription.stage = Stage::Blocked;
                connection.blocked = true;
                if let Some(session) = session_of(self.connections, subscription.connection) {
                    session.blocked.push(key);
                }
                return;
            }
            let credit = usize::try_from(subscription.credit).expect("it is positive");
            let (log, offset) = (subscription.log, subscription.offset);
            let size = self.connections.read_size(credit.min(PUSH_BYTES));
            let caller = Caller::Native(Waiter::Subscription(key));
            match logs.read(log, offset, size, Isolation::Committed, true, caller) {
                Answer::Later => return self.reading(key, size),
                Answer::Now(result) => {
                    if !self.deliver(key, result, logs) {
                        return;
                    }
                }
            }
        }
    }

    fn reading(&mut self, key: Key, size: usize) {
        let subscription = subscription_of(&mut self.own.subscriptions, key);
        subscription.stage = Stage::Reading(size);
        let connection = subscription.connection;
        self.connections.begin_reading(connection, size);
    }

    /// A read of a subscription has ended.
    pub(super) fn subscription_read(
        &mut self,
        key: Key,
        result: Result<ReadData, ReadError>,
        logs: &mut Logs,
    ) {
        self.stop_reading(key);
        if self.own.subscriptions.get(key).is_some() && self.deliver(key, result, logs) {
            self.push(key, logs);
        }
    }

    fn stop_reading(&mut self, key: Key) {
        let Some(subscription) = self.own.subscriptions.get_mut(key) else { return };
        let Stage::Reading(size) = subscription.stage else { return };
        subscription.stage = Stage::Idle;
        let connection = subscription.connection;
        self.connections.end_reading(connection, size);
        self.connections.has_room(connection);
    }

    /// Sends what was read; whether there may be more.
    fn deliver(&mut self, key: Key, result: Result<ReadData, ReadError>, logs: &mut Logs) -> bool {
        let subscription = subscription_of(&mut self.own.subscriptions, key);
        let (connection, id) = (subscription.connection, subscription.id);
        match readable(result, subscription.offset) {
            Ok(data) if data.bytes > 0 => {
                subscription.offset = data.next_offset;
                subscription.credit -= data.bytes as i64;
                self.connections.write(connection, |output| put_push(output, id, data));
                true
            }
            // Nothing of it is for consumers, but there is more.
            Ok(data) if (subscription.offset + 1..data.state.last_stable).contains(&data.next_offset) => {
                subscription.offset = data.next_offset;
                true
            }
            Ok(data) => {
                subscription.stage = Stage::Watching;
                logs.watch(subscription.log, data.state, watcher(key));
                // Up to its end nothing is left for consumers: the client is to know that it has come so far.
                if data.next_offset > subscription.offset {
                    subscription.offset = data.next_offset;
                    self.connections.write(connection, |output| put_push(output, id, data));
                }
                false
            }
            Err(error) => {
                self.end_subscription(key, &error.into(), logs);
                false
            }
        }
    }

    pub(super) fn credit(&mut self, request: &Request<'_>, logs: &mut Logs) -> Result<(), Fault> {
        let CreditRequest { subscription, bytes } = CreditRequest::from_body(request.body)?;
        let Some(session) = self.session(request.connection) else { return Ok(()) };
        let Some(&key) = session.subscriptions.get(&subscription) else { return Ok(()) };
        let subscription = subscription_of(&mut self.own.subscriptions, key);
        subscription.credit = (subscription.credit + i64::from(bytes)).min(u32::MAX.into());
        if subscription.stage == Stage::Idle {
            self.push(key, logs);
        }
        Ok(())
    }

    pub(super) fn unsubscribe(&mut self, request: &Request<'_>, logs: &mut Logs) -> Result<(), Fault> {
        let UnsubscribeRequest { subscription: id } = UnsubscribeRequest::from_body(request.body)?;
        let session = self.session(request.connection);
        let key = session.and_then(|session| session.subscriptions.get(&id).copied());
        let Some(key) = key else {
            let words = format!("there is no subscription {id} on this connection: it may have ended");
            return Err(Fault::new(ErrorCode::InvalidSubscription, words));
        };
        self.forget_subscription(key, logs);
        self.answer(&request.reply(), &());
        Ok(())
    }

    /// Tells the client why a subscription ends.
    fn end_subscription(&mut self, key: Key, fault: &Fault, logs: &mut Logs) {
        let Some(subscription) = self.own.subscriptions.get(key) else { return };
        let (connection, id) = (subscription.connection, subscription.id);
        self.forget_subscription(key, logs);
        self.connections.write(connection, |output| put_fault(output, Api::Push as u8, id, fault));
    }

    fn forget_subscription(&mut self, key: Key, logs: &mut Logs) {
        self.stop_reading(key);
        let Some(subscription) = self.own.subscriptions.remove(key) else { return };
        if subscription.stage == Stage::Watching {
            logs.unwatch(subscription.log, watcher(key));
        }
        if let Stage::Starting(reply) = subscription.stage {
            self.settle(&reply);
            let words = "the subscription was ended before it began";
            self.refuse(&reply, &Fault::new(ErrorCode::InvalidSubscription, words));
        }
        if let Some(session) = self.session(subscription.connection) {
            session.subscriptions.remove(&subscription.id);
        }
    }

    /// Ends all subscriptions of a connection that does not listen any more.
    pub(super) fn end_subscriptions(&mut self, connection: Key, logs: &mut Logs) {
        for key in self.subscriptions_of(connection) {
            self.forget_subscription(key, logs);
        }
    }

    /// Ends all subscriptions of a connection because the broker is going down.
    pub(super) fn shut_subscriptions(&mut self, connection: Key, logs: &mut Logs) {
        for key in self.subscriptions_of(connection) {
            self.end_subscription(key, &Fault::shutting_down(), logs);
        }
    }

    fn subscriptions_of(&mut self, connection: Key) -> Vec<Key> {
        let session = self.session(connection);
        session.map_or(Vec::new(), |session| session.subscriptions.values().copied().collect())
    }

    /// Goes on with a subscription that waited for output to be taken.
    pub(super) fn unblock_subscription(&mut self, key: Key, logs: &mut Logs) {
        if self.own.subscriptions.get(key).is_some_and(|s| s.stage == Stage::Blocked) {
            self.push(key, logs);
        }
    }
}

/// The subscription of a key that was found a moment ago.
fn subscription_of(subscriptions: &mut crate::node::slab::Slab<Subscription>, key: Key) -> &mut Subscription {
    subscriptions.get_mut(key).expect("a connection's subscriptions and the table are changed together")
}

fn watcher(subscription: Key) -> Watcher {
    Watcher::Native(Waiter::SubscriptionWatch(subscription))
}

fn put_push(output: &mut Output, subscription: u32, data: ReadData) {
    let header = FrameHeader {
        body: PushHeader::BYTES + data.bytes,
        correlation: subscription,
        api: Api::Push as u8,
        version: PROTOCOL_VERSION,
        code: 0,
    };
    output.copied().extend_from_slice(&header.to_bytes());
    let high_watermark = if data.bytes > 0 { data.state.last_stable } else { data.next_offset };
    PushHeader { high_watermark }.encode(&mut Writer::new(output.copied()));
    data.pieces.into_iter().for_each(|piece| output.piece(piece));
}
