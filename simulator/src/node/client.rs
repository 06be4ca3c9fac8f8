//! Clients: each has one connection at a time, to some shard.

use super::records::Known;
use super::socket::Socket;
use crate::check::{Check, violated};
use ringmail_wire::protocol::{Api, FRAME_HEADER_BYTES, FrameHeader, LogId, Message, put_frame};
use std::collections::BTreeMap;

/// A request that is not answered.
#[derive(Debug)]
pub(super) struct Pending {
    pub api: Api,
    pub sent_us: u64,
    pub request: Request,
}

/// What was asked.
#[derive(Debug)]
pub(super) enum Request {
    /// Whether it can be agreed to.
    Handshake {
        good: bool,
    },
    Ping,
    /// With the topics' versions then, and whether nothing is under way that could change them.
    Metadata {
        versions: Vec<u64>,
        settled: bool,
    },
    /// A change of this topic.
    Change {
        topic: usize,
    },
    List {
        versions: Vec<u64>,
    },
    Describe {
        topic: usize,
        version: u64,
    },
    Produce {
        batch: usize,
        flaw: Option<Flaw>,
        known: Known,
    },
    Fetch(Fetch),
    /// With how many the connection had, at most.
    Subscribe {
        subscription: u32,
        known: Known,
        others: usize,
    },
    Unsubscribe {
        subscription: u32,
    },
    Offsets {
        queries: Vec<(LogId, Known, Asked)>,
    },
    DeleteRecords {
        log: LogId,
        before: u64,
        known: Known,
    },
    /// Something that must be refused.
    Nonsense,
}

/// Which offset was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    First,
    Last,
    Time,
}

/// What is wrong with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    Crc,
    Structure,
    TooLarge,
}

/// A fetch.
#[derive(Debug)]
pub(super) struct Fetch {
    pub parts: Vec<(LogId, u64, Known)>,
    pub max_wait_ms: u32,
    pub min_bytes: u32,
    pub max_bytes: u32,
    /// Whether this reads on for the final look at a log.
    pub audit: bool,
}

/// A subscription.
#[derive(Debug)]
pub(super) struct Subscription {
    pub log: LogId,
    pub offset: u64,
    pub credit: i64,
    pub started: bool,
    /// The client wants no more of it.
    pub ending: bool,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub number: u32,
    pub shard: usize,
    pub socket: Socket,
    /// What is to be sent.
    pub out: Vec<u8>,
    pub inbox: Vec<u8>,
    /// Whether the handshake is done.
    pub open: bool,
    pub pending: BTreeMap<u32, Pending>,
    next: u32,
    pub subscriptions: BTreeMap<u32, Subscription>,
    /// The last batch to each log.
    pub batches: BTreeMap<LogId, usize>,
    /// Why the broker may close it, if it may.
    pub may_end: Option<&'static str>,
    /// When the client has last sent something, in microseconds.
    pub said_us: u64,
    /// Whether it has said nothing for about as long as it may, at any time.
    pub was_silent: bool,
    /// When it said that it sends no more.
    pub finished_us: Option<u64>,
    /// The client takes nothing before.
    pub deaf_until_us: u64,
    /// The client takes nothing at all any more.
    pub never_reads: bool,
    /// Whether an event is planned that sends, or receives.
    pub sending: bool,
    pub receiving: bool,
}

impl Connection {
    pub fn new(number: u32, shard: usize, socket: Socket, now_us: u64) -> Self {
        Self {
            number,
            shard,
            socket,
            out: Vec::new(),
            inbox: Vec::new(),
            open: false,
            pending: BTreeMap::new(),
            next: 0,
            subscriptions: BTreeMap::new(),
            batches: BTreeMap::new(),
            may_end: None,
            said_us: now_us,
            was_silent: false,
            finished_us: None,
            deaf_until_us: 0,
            never_reads: false,
            sending: false,
            receiving: false,
        }
    }

    /// Whether requests can be made.
    pub fn takes_requests(&self) -> bool {
        self.open && self.finished_us.is_none() && self.may_end.is_none()
    }

    /// Puts a request into what is to be sent; gives its correlation id.
    pub fn ask<'a>(&mut self, api: Api, body: &impl Message<'a>, request: Request, now_us: u64) -> u32 {
        let correlation = self.expect(api, request, now_us);
        put_frame(&mut self.out, api, correlation, 0, body);
        correlation
    }

    /// Notes that a request is to be answered.
    pub fn expect(&mut self, api: Api, request: Request, now_us: u64) -> u32 {
        let correlation = self.correlation();
        self.pending.insert(correlation, Pending { api, sent_us: now_us, request });
        correlation
    }

    /// The next correlation id.
    pub fn correlation(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// The next whole frame of what has come.
    pub fn next_frame(&self, at: usize) -> Option<(FrameHeader, usize)> {
        let rest = &self.inbox[at..];
        let header = FrameHeader::parse(rest).unwrap_or_else(|error| {
            violated(Check::Answer, format!("what the broker sends is no frame: {error}"))
        })?;
        (rest.len() >= header.frame_bytes()).then_some((header, at + FRAME_HEADER_BYTES))
    }
}
