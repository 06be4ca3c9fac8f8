//! The handle of one connection: commands to the task that drives it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use ringmail_wire::protocol::{Acks, Api, LogId, Writer};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::Error;
use crate::core::{BrokerError, Fetched, Reply, Request, ServerInfo};

/// How a produce request ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Stored; the offset of the first record.
    Stored(u64),
    /// Sent, and no acknowledgement was asked for.
    Sent,
    /// Refused by the broker; nothing was stored.
    Refused(BrokerError),
    /// Never sent: nothing was stored.
    NotSent(Error),
    /// Sent, and the connection ended before the answer.
    Unknown(Error),
}

/// Where the end of a produce request is told.
#[derive(Debug)]
pub(crate) struct ProduceReply {
    /// The batch, for the producer.
    pub batch: u64,
    pub to: UnboundedSender<(u64, Outcome)>,
}

impl ProduceReply {
    pub fn send(self, outcome: Outcome) {
        // A producer that is gone has nobody left to tell.
        let _ = self.to.send((self.batch, outcome));
    }
}

/// What happens to a subscription or fetch of a consumer.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// The subscription began.
    Begun,
    /// Batches came.
    Batches(Bytes),
    /// Up to this offset nothing is left to be read.
    Nothing { until: u64 },
    /// A fetch was answered.
    Fetched(Vec<Fetched>),
    /// It ended, was refused, or the connection was lost.
    Ended(Error),
}

/// Where the batches of a subscription go.
#[derive(Debug, Clone)]
pub(crate) struct DeliverySink {
    /// Names the subscription; unique within the client.
    pub key: u64,
    pub to: UnboundedSender<(u64, Delivery)>,
}

impl DeliverySink {
    /// Whether anybody is there to take it.
    pub fn send(&self, delivery: Delivery) -> bool {
        self.to.send((self.key, delivery)).is_ok()
    }
}

/// A request of which only the answer's body matters, and whether it was sent at all.
pub(crate) type CallReply = oneshot::Sender<Result<Bytes, CallError>>;

/// Why a call has no answer.
#[derive(Debug)]
pub(crate) struct CallError {
    /// Whether the broker may have done it.
    pub sent: bool,
    pub error: Error,
}

/// What a connection's task is told to do.
#[derive(Debug)]
pub(crate) enum Command {
    Call {
        api: Api,
        body: Vec<u8>,
        reply: CallReply,
    },
    Produce {
        log: LogId,
        acks: Acks,
        batch: Bytes,
        reply: ProduceReply,
    },
    Subscribe {
        log: LogId,
        offset: u64,
        credit: u32,
        sink: DeliverySink,
    },
    Credit {
        key: u64,
        bytes: u32,
    },
    Unsubscribe {
        key: u64,
    },
    Fetch {
        request: ringmail_wire::protocol::FetchRequest,
        sink: DeliverySink,
    },
    /// End the connection, for this reason.
    Close {
        cause: String,
    },
}

impl Command {
    /// Says to whoever waits that it was not sent.
    pub fn fail(self, error: Error) {
        match self {
            // Whoever has stopped waiting needs no word.
            Self::Call { reply, .. } => drop(reply.send(Err(CallError { sent: false, error }))),
            Self::Produce { reply, .. } => reply.send(Outcome::NotSent(error)),
            Self::Subscribe { sink, .. } | Self::Fetch { sink, .. } => {
                sink.send(Delivery::Ended(error));
            }
            Self::Credit { .. } | Self::Unsubscribe { .. } | Self::Close { .. } => {}
        }
    }
}

/// A connection that is driven by a task. Clones are the same connection.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    commands: UnboundedSender<Command>,
    server: Arc<ServerInfo>,
    end: Arc<OnceLock<Error>>,
}

/// The task's side of a [`Link`].
#[derive(Debug)]
pub(super) struct LinkEnd {
    pub commands: UnboundedReceiver<Command>,
    pub end: Arc<OnceLock<Error>>,
}

/// A link before the handshake.
#[derive(Debug)]
pub(super) struct NewLink {
    commands: UnboundedSender<Command>,
    end: Arc<OnceLock<Error>>,
}

impl NewLink {
    /// Both sides of a new link.
    pub fn pair() -> (Self, LinkEnd) {
        let (sender, commands) = unbounded_channel();
        let end = Arc::new(OnceLock::new());
        (Self { commands: sender, end: end.clone() }, LinkEnd { commands, end })
    }

    /// The link, once the broker has said who it is.
    pub fn into_link(self, server: ServerInfo) -> Link {
        Link { commands: self.commands, server: Arc::new(server), end: self.end }
    }
}

impl Link {
    /// What the broker said of itself.
    pub fn server(&self) -> &ServerInfo {
        &self.server
    }

    /// Whether the connection stands, as far as is known.
    pub fn is_open(&self) -> bool {
        !self.commands.is_closed()
    }

    /// Has the task do it; if the connection has ended, whoever waits is told so.
    pub fn send(&self, command: Command) {
        if let Err(unsent) = self.commands.send(command) {
            let error = self.end.get().cloned().unwrap_or(Error::Closed);
            unsent.0.fail(error);
        }
    }

    /// Ends the connection, for all who use it, if it has not ended yet: whoever waits is told this cause.
    pub fn close(&self, cause: String) {
        self.send(Command::Close { cause });
    }

    /// Sends a request and waits for its answer.
    pub async fn call<R: Request>(&self, request: &R, timeout: Duration) -> Result<Reply<R>, CallError> {
        let mut body = Vec::new();
        request.encode_body(&mut Writer::new(&mut body));
        let (reply, answer) = oneshot::channel();
        self.send(Command::Call { api: R::API, body, reply });
        match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(answer)) => answer.map(Reply::new),
            Ok(Err(_)) => Err(CallError { sent: true, error: Error::Closed }),
            Err(_) => Err(CallError {
                sent: true,
                error: Error::Timeout { what: "waiting for the broker's answer", after: timeout },
            }),
        }
    }
}
