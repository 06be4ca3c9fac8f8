//! The task that drives one connection: commands and received bytes in, bytes and events out.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ahash::RandomState;
use ringmail_wire::protocol::UnsubscribeRequest;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::WriteHalf;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::link::{CallError, CallReply, Command, Delivery, DeliverySink, LinkEnd, Outcome, ProduceReply};
use crate::Error;
use crate::core::{BrokerError, Connection, Event, Ping, ServerInfo, Unanswered, WRITE_SLICES};

/// Commands that are taken before the next write, at most.
const COMMANDS_AT_ONCE: usize = 256;
/// How often the connection is looked at for silence, at least and at most.
const MIN_LOOK: Duration = Duration::from_millis(100);
const MAX_LOOK: Duration = Duration::from_secs(10);

/// Who waits for the answer to a request.
#[derive(Debug)]
enum Waiting {
    Call(CallReply),
    Produce(ProduceReply),
    Subscribe(DeliverySink),
    Fetch(DeliverySink),
    /// Nobody: an unsubscription.
    Nobody,
    Ping,
}

impl Waiting {
    fn fail(self, sent: bool, error: Error) {
        match self {
            // Whoever has stopped waiting needs no word.
            Self::Call(reply) => drop(reply.send(Err(CallError { sent, error }))),
            Self::Produce(reply) if sent => reply.send(Outcome::Unknown(error)),
            Self::Produce(reply) => reply.send(Outcome::NotSent(error)),
            Self::Fetch(sink) => {
                sink.send(Delivery::Ended(error));
            }
            // A subscription is told with all others of the connection.
            Self::Subscribe(_) | Self::Nobody | Self::Ping => {}
        }
    }
}

/// Told once: the broker's answer to the handshake, or why there is none.
pub(super) type ReadySender = oneshot::Sender<Result<ServerInfo, Error>>;

/// The state of a driven connection.
pub(super) struct Driver {
    connection: Connection<Waiting>,
    subscriptions: Subscriptions,
    server: String,
    ready: Option<ReadySender>,
    /// What the broker last said about the connection as a whole.
    refusal: Option<BrokerError>,
    /// Silence after which an unanswered ping ends the connection.
    dead_after: Duration,
    ping_after: Duration,
    ping_sent: Option<Instant>,
    last_sent: Instant,
    last_received: Instant,
}

enum Wake {
    Command(Option<Command>),
    Read(usize),
    Writable,
    Tick,
}

impl Driver {
    /// A driver for a connection to `server` as a client of that name.
    pub fn new(name: &str, server: String, dead_after: Duration, ready: ReadySender) -> Self {
        let now = Instant::now();
        Self {
            connection: Connection::new(name),
            subscriptions: Subscriptions::default(),
            server,
            ready: Some(ready),
            refusal: None,
            dead_after,
            ping_after: dead_after / 3,
            ping_sent: None,
            last_sent: now,
            last_received: now,
        }
    }

    /// Drives the connection until it ends, or until no handle of it is left and everything is sent.
    pub async fn run(mut self, mut stream: TcpStream, mut link: LinkEnd) {
        let error = match self.drive(&mut stream, &mut link.commands).await {
            Ok(()) => Error::Closed,
            Err(error) => error,
        };
        self.end(error, &link.end, link.commands);
    }

    async fn drive(
        &mut self,
        stream: &mut TcpStream,
        commands: &mut UnboundedReceiver<Command>,
    ) -> Result<(), Error> {
        let (mut reader, mut writer) = stream.split();
        let mut ticks = ticks(self.ping_after);
        let mut closing = false;
        loop {
            if self.write(&mut writer)? {
                self.events()?;
            }
            let output_waits = self.connection.output_bytes() > 0;
            if closing && !output_waits {
                return Ok(());
            }
            let wake = tokio::select! {
                command = commands.recv(), if !closing => Wake::Command(command),
                read = reader.read_buf(self.connection.receive_buffer()) => Wake::Read(self.io(read)?),
                ready = writer.writable(), if output_waits => {
                    self.io(ready)?;
                    Wake::Writable
                }
                _ = ticks.tick() => Wake::Tick,
            };
            match wake {
                Wake::Command(None) => closing = true,
                Wake::Command(Some(command)) => {
                    self.apply(command)?;
                    for _ in 1..COMMANDS_AT_ONCE {
                        let Ok(command) = commands.try_recv() else { break };
                        self.apply(command)?;
                    }
                }
                Wake::Read(0) => return Err(self.lost("the broker closed it")),
                Wake::Read(_) => {
                    let ping_after = self.ping_after;
                    self.last_received = Instant::now();
                    self.events()?;
                    if self.ping_after != ping_after {
                        ticks = self::ticks(self.ping_after);
                    }
                }
                Wake::Writable => {}
                Wake::Tick => self.look_for_silence()?,
            }
        }
    }

    /// Sends what there is and the socket takes; says whether that was anything.
    fn write(&mut self, writer: &mut WriteHalf<'_>) -> Result<bool, Error> {
        let mut any = false;
        while self.connection.output_bytes() > 0 {
            let mut slices = [IoSlice::new(&[]); WRITE_SLICES];
            let filled = self.connection.slices(&mut slices);
            match writer.try_write_vectored(&slices[..filled]) {
                Ok(written) => self.connection.consume(written),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(self.lost(e)),
            }
            any = true;
        }
        if any {
            self.last_sent = Instant::now();
        }
        Ok(any)
    }

    fn apply(&mut self, command: Command) -> Result<(), Error> {
        match command {
            Command::Call { api, body, reply } => {
                self.connection.request_body(api, &body, Waiting::Call(reply));
            }
            Command::Produce { log, acks, batch, reply } => {
                self.connection.produce(log, acks, batch, Waiting::Produce(reply));
            }
            Command::Subscribe { log, offset, credit, sink } => {
                let id = self.connection.subscribe(log, offset, credit, Waiting::Subscribe(sink.clone()));
                self.subscriptions.add(id, sink);
            }
            Command::Credit { key, bytes } => {
                if let Some(id) = self.subscriptions.id(key) {
                    self.connection.credit(id, bytes);
                }
            }
            Command::Unsubscribe { key } => {
                if let Some(id) = self.subscriptions.id(key) {
                    self.unsubscribe(id);
                }
            }
            Command::Fetch { request, sink } => self.connection.fetch(&request, Waiting::Fetch(sink)),
            Command::Close { cause } => return Err(self.lost(cause)),
        }
        Ok(())
    }

    fn unsubscribe(&mut self, id: u32) {
        self.subscriptions.remove(id);
        self.connection.request(&UnsubscribeRequest { subscription: id }, Waiting::Nobody);
    }

    fn events(&mut self) -> Result<(), Error> {
        while let Some(event) = self.connection.poll()? {
            self.handle(event);
        }
        match &self.refusal {
            Some(refusal) if self.ready.is_some() => Err(refusal.clone().into()),
            _ => Ok(()),
        }
    }

    fn handle(&mut self, event: Event<Waiting>) {
        match event {
            Event::Ready(info) => self.begin(info),
            Event::Produced { token: Waiting::Produce(reply), result } => reply.send(match result {
                Ok(offset) => Outcome::Stored(offset),
                Err(error) => Outcome::Refused(error),
            }),
            Event::Sent { token: Waiting::Produce(reply) } => reply.send(Outcome::Sent),
            Event::Answered { token: Waiting::Call(reply), result } => {
                let result = result.map_err(|e| CallError { sent: true, error: e.into() });
                // Whoever has stopped waiting needs no word.
                let _ = reply.send(result);
            }
            Event::Answered { token: Waiting::Ping, .. } => self.ping_sent = None,
            Event::Fetched { token: Waiting::Fetch(sink), result } => {
                sink.send(match result {
                    Ok(fetched) => Delivery::Fetched(fetched),
                    Err(error) => Delivery::Ended(error.into()),
                });
            }
            Event::Subscribed { token: Waiting::Subscribe(sink), result } => match result {
                Ok(_) => {
                    sink.send(Delivery::Begun);
                }
                Err(error) => self.subscriptions.end(sink.key, error.into()),
            },
            Event::Push { subscription, high_watermark, batches } => {
                let delivery = if batches.is_empty() {
                    Delivery::Nothing { until: high_watermark }
                } else {
                    Delivery::Batches(batches)
                };
                if !self.subscriptions.deliver(subscription, delivery) {
                    self.unsubscribe(subscription);
                }
            }
            Event::SubscriptionEnded { subscription, error } => {
                if let Some(sink) = self.subscriptions.remove(subscription) {
                    sink.send(Delivery::Ended(error.into()));
                }
            }
            Event::Refused(error) => self.refusal = Some(error),
            // The core gives every answer the token of its request, and unsubscriptions need no word.
            Event::Answered { .. }
            | Event::Produced { .. }
            | Event::Sent { .. }
            | Event::Fetched { .. }
            | Event::Subscribed { .. } => {}
        }
    }

    fn begin(&mut self, info: ServerInfo) {
        if info.idle_timeout_ms > 0 {
            let idle = Duration::from_millis(info.idle_timeout_ms.into());
            self.ping_after = self.ping_after.min(idle / 3);
        }
        if let Some(ready) = self.ready.take() {
            // Whoever connects may have run out of time; the link is dropped then, and the task ends.
            let _ = ready.send(Ok(info));
        }
    }

    /// Pings a peer that was not spoken to, or has not spoken, for some time, and gives up on one that
    /// does not answer.
    fn look_for_silence(&mut self) -> Result<(), Error> {
        match self.ping_sent {
            Some(sent) if self.last_received.max(sent).elapsed() > self.dead_after => {
                Err(self.lost(format!("no sign of the broker for {:?}", self.dead_after)))
            }
            Some(_) => Ok(()),
            None => {
                if self.last_sent.min(self.last_received).elapsed() >= self.ping_after {
                    self.connection.request(&Ping, Waiting::Ping);
                    self.ping_sent = Some(Instant::now());
                }
                Ok(())
            }
        }
    }

    fn io<V>(&self, result: io::Result<V>) -> Result<V, Error> {
        result.map_err(|e| self.lost(e))
    }

    fn lost(&self, cause: impl std::fmt::Display) -> Error {
        let cause = match &self.refusal {
            Some(refusal) => format!("{cause}; the broker said: {refusal}"),
            None => cause.to_string(),
        };
        Error::ConnectionLost { server: self.server.clone(), cause }
    }

    /// Tells everybody that the connection is over.
    fn end(self, error: Error, end: &Arc<OnceLock<Error>>, mut commands: UnboundedReceiver<Command>) {
        end.get_or_init(|| error.clone());
        commands.close();
        if let Some(ready) = self.ready {
            // Whoever connects may have run out of time.
            let _ = ready.send(Err(error.clone()));
        }
        self.subscriptions.end_all(&error);
        for Unanswered { sent, token, .. } in self.connection.into_unanswered() {
            token.fail(sent, error.clone());
        }
        while let Ok(command) = commands.try_recv() {
            command.fail(error.clone());
        }
    }
}

/// Looks often enough to notice within a quarter that `ping_after` has passed.
fn ticks(ping_after: Duration) -> Interval {
    let mut ticks = interval((ping_after / 4).clamp(MIN_LOOK, MAX_LOOK));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The subscriptions of a connection, by the connection's id and by the client's key.
#[derive(Debug, Default)]
struct Subscriptions {
    sinks: HashMap<u32, DeliverySink, RandomState>,
    ids: HashMap<u64, u32, RandomState>,
}

impl Subscriptions {
    fn add(&mut self, id: u32, sink: DeliverySink) {
        self.ids.insert(sink.key, id);
        self.sinks.insert(id, sink);
    }

    fn id(&self, key: u64) -> Option<u32> {
        self.ids.get(&key).copied()
    }

    fn remove(&mut self, id: u32) -> Option<DeliverySink> {
        let sink = self.sinks.remove(&id)?;
        self.ids.remove(&sink.key);
        Some(sink)
    }

    /// Whether somebody took it, or nobody is to be told any more; `false` asks for an unsubscription.
    fn deliver(&self, id: u32, delivery: Delivery) -> bool {
        self.sinks.get(&id).is_none_or(|sink| sink.send(delivery))
    }

    fn end(&mut self, key: u64, error: Error) {
        if let Some(sink) = self.id(key).and_then(|id| self.remove(id)) {
            sink.send(Delivery::Ended(error));
        }
    }

    fn end_all(self, error: &Error) {
        for sink in self.sinks.into_values() {
            sink.send(Delivery::Ended(error.clone()));
        }
    }
}
