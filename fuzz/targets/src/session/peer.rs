//! A client: what it has sent, how far the broker's reader and writer of its connection are, and what it is owed.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use ringmail::gateway::{Next, Output, Parts, Protocol, Send};
use ringmail::node::shard::Shard;
use ringmail::node::slab::Key;
use ringmail_wire::batch::Batches;
use ringmail_wire::protocol::{
    Acks, Api, CreditRequest, FRAME_HEADER_BYTES, FetchResponse, FrameHeader, HandshakeRequest, Message,
    PROTOCOL_VERSION, ProduceRequest, PushHeader,
};

use super::cluster::{Around, FRAME_BYTES};
use crate::memory::measure;

/// What a request may take beyond twice the largest frame, in bytes: what a turn of the shard takes, whatever the request.
const TURN_BYTES: usize = 64 << 10;

/// What the output that a client has not taken may take, for each byte of it: the buffer that holds it doubles, and is there
/// twice meanwhile. The output as a whole has a limit of its own.
const OUTPUT_TIMES: usize = 3;

/// What the decoded lists of a request may take, for each byte of it, while it is handled: an item of 4 bytes becomes one of 32,
/// and a list that has just grown is there twice, half of it empty. With the frames that are usual, the limit of items keeps
/// this below twice a frame.
const DECODED_TIMES: usize = 24;

/// Milliseconds after which a connection that ends may be cut off, whatever it is owed.
const ENDING_MS: u64 = 1_500;

/// Whether a task was woken.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Flag {
    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// What the reader of a connection does: see `ringmail::gateway::tasks`.
#[derive(PartialEq, Eq)]
enum Reader {
    Reading,
    Stalled,
    Discarding,
    Ended,
}

/// What the writer of a connection does.
enum Writer {
    Waiting,
    Sending(Output),
    Finishing,
    Ended,
}

/// A client.
pub struct Peer {
    /// The shard that it is connected to.
    pub shard: usize,
    key: Key,
    reader: Reader,
    writer: Writer,
    read_again: Arc<Flag>,
    write_again: Arc<Flag>,
    /// What the broker has received and not taken.
    inbound: Vec<u8>,
    /// What has come.
    answers: Vec<u8>,
    /// Answers that are owed, by API and correlation id.
    owed: BTreeMap<(u8, u32), u32>,
    /// Answers that may still come, or not.
    given_up: BTreeMap<(u8, u32), u32>,
    /// Whether the handshake is done.
    open: bool,
    /// Whether the broker has said that it ends the connection.
    fault: bool,
    /// Whether the client takes nothing more.
    broken: bool,
    /// Since when the connection is known to end, in milliseconds.
    ending_since: Option<u64>,
}

impl Peer {
    pub fn connect(index: usize, shard: &mut Shard<Around>) -> Self {
        let key = shard.sessions().open(Protocol::Native, "fuzz".to_owned(), Ipv4Addr::LOCALHOST.into());
        let flag = |woken| Arc::new(Flag(AtomicBool::new(woken)));
        Self {
            shard: index,
            key,
            reader: Reader::Reading,
            writer: Writer::Waiting,
            read_again: flag(false),
            write_again: flag(true),
            inbound: Vec::new(),
            answers: Vec::new(),
            owed: BTreeMap::new(),
            given_up: BTreeMap::new(),
            open: false,
            fault: false,
            broken: false,
            ending_since: None,
        }
    }

    /// Whether the broker has forgotten the connection.
    pub fn is_gone(&self) -> bool {
        matches!((&self.reader, &self.writer), (Reader::Ended, Writer::Ended))
    }

    /// Whether the reader waits for room.
    #[cfg(test)]
    pub fn is_stalled(&self) -> bool {
        self.reader == Reader::Stalled
    }

    /// Bytes come in.
    pub fn send(&mut self, bytes: &[u8], shard: &mut Shard<Around>) {
        match self.reader {
            Reader::Reading => {
                self.inbound.extend_from_slice(bytes);
                self.receive(shard);
            }
            // The kernel takes it.
            Reader::Stalled if !self.broken => self.inbound.extend_from_slice(bytes),
            _ => {}
        }
    }

    /// Goes on with reader and writer where they were woken.
    pub fn go_on(&mut self, shard: &mut Shard<Around>, now_ms: u64) {
        let ends = self.fault || matches!(self.reader, Reader::Discarding | Reader::Ended);
        if ends && self.ending_since.is_none() {
            self.ending_since = Some(now_ms);
        }
        if self.reader == Reader::Stalled && self.read_again.take() {
            self.wait_for_room(shard);
        }
        if self.write_again.take() {
            self.write(shard);
        }
    }

    fn receive(&mut self, shard: &mut Shard<Around>) {
        let (received, usage) = measure(|| shard.receive(self.key, &self.inbound));
        let taken: Vec<u8> = self.inbound.drain(..received.consumed).collect();
        let requests = self.note_requests(&taken).max(1);
        let decoded = (DECODED_TIMES * received.consumed).max(2 * FRAME_BYTES * requests);
        let (sessions, _) = shard.usage();
        let limit = requests * TURN_BYTES + decoded + OUTPUT_TIMES * sessions.unsent_bytes;
        assert!(usage.peak <= limit, "{usage:?} for {requests} requests in {} bytes", received.consumed);
        match received.next {
            Next::Read(bytes) => assert!(bytes <= FRAME_BYTES),
            Next::Discard => {
                self.inbound.clear();
                self.reader = Reader::Discarding;
                if self.broken {
                    self.end(shard);
                }
            }
            Next::Stalled => self.wait_for_room(shard),
        }
    }

    fn wait_for_room(&mut self, shard: &mut Shard<Around>) {
        let waker = Waker::from(Arc::clone(&self.read_again));
        match shard.connections().poll_room(self.key, &mut Context::from_waker(&waker)) {
            Poll::Pending => self.reader = Reader::Stalled,
            Poll::Ready(()) => {
                self.reader = Reader::Reading;
                self.receive(shard);
            }
        }
    }

    /// The client sends no more. The reader finds that once it has handed over what came before.
    pub fn end(&mut self, shard: &mut Shard<Around>) {
        if matches!(self.reader, Reader::Reading | Reader::Discarding) {
            self.reader = Reader::Ended;
            shard.finished(self.key);
        }
    }

    /// The connection breaks.
    pub fn reset(&mut self, shard: &mut Shard<Around>) {
        self.broken = true;
        self.end(shard);
        if matches!(self.writer, Writer::Sending(_) | Writer::Finishing) {
            self.close(shard);
        }
    }

    /// The client takes what was sent; whether there was anything.
    pub fn take(&mut self, shard: &mut Shard<Around>) -> bool {
        let Writer::Sending(output) = &mut self.writer else { return false };
        let output = std::mem::take(output);
        self.writer = Writer::Waiting;
        shard.sent(self.key, output);
        self.write(shard);
        true
    }

    /// What the writer does when it was woken.
    fn write(&mut self, shard: &mut Shard<Around>) {
        let waker = Waker::from(Arc::clone(&self.write_again));
        let context = &mut Context::from_waker(&waker);
        match self.writer {
            Writer::Ended => {}
            Writer::Sending(_) | Writer::Finishing => {
                if shard.connections().poll_cut(self.key, context).is_ready() {
                    self.close(shard);
                }
            }
            Writer::Waiting => {
                let mut output = Output::default();
                match shard.connections().poll_output(self.key, &mut output, context) {
                    Poll::Pending => {}
                    Poll::Ready(Send::Output) => self.sending(output, shard),
                    Poll::Ready(Send::Finish) => {
                        self.writer = Writer::Finishing;
                        self.write(shard);
                    }
                    Poll::Ready(Send::Cut) => self.close(shard),
                }
            }
        }
    }

    fn sending(&mut self, mut output: Output, shard: &mut Shard<Around>) {
        if self.broken {
            return self.close(shard);
        }
        match output.parts() {
            Parts::Copied(bytes) => self.answers.extend_from_slice(bytes),
            Parts::Pieces(pieces) => pieces.iter().for_each(|piece| self.answers.extend_from_slice(piece)),
        }
        self.writer = Writer::Sending(output);
        self.note_answers();
        self.write(shard);
    }

    /// The writer ends.
    fn close(&mut self, shard: &mut Shard<Around>) {
        self.writer = Writer::Ended;
        self.broken = true;
        shard.close_connection(self.key);
        self.end(shard);
    }

    /// Notes what is owed for requests that the broker has taken; gives how many there are.
    fn note_requests(&mut self, mut taken: &[u8]) -> usize {
        let mut requests = 0;
        while let Ok(Some(header)) = FrameHeader::parse(taken) {
            let (frame, rest) = taken.split_at(header.frame_bytes());
            let body = &frame[FRAME_HEADER_BYTES..];
            if self.is_owed(&header, body) {
                *self.owed.entry((header.api, header.correlation)).or_default() += 1;
            }
            taken = rest;
            requests += 1;
        }
        assert!(taken.is_empty(), "only whole requests are taken");
        requests
    }

    /// Whether a request is answered.
    fn is_owed(&mut self, header: &FrameHeader, body: &[u8]) -> bool {
        let agreed = header.version == PROTOCOL_VERSION;
        match Api::from_number(header.api) {
            Some(Api::Handshake) => {
                let speaks = |hello: HandshakeRequest<'_>| {
                    (hello.min_version..=hello.max_version).contains(&PROTOCOL_VERSION)
                };
                self.open |= HandshakeRequest::from_body(body).is_ok_and(speaks);
                true
            }
            _ if !self.open => true,
            Some(Api::Credit) => !(agreed && CreditRequest::from_body(body).is_ok()),
            Some(Api::Produce) => {
                let silent = |request: ProduceRequest<'_>| request.acks == Acks::None;
                !(agreed && ProduceRequest::from_body(body).is_ok_and(silent))
            }
            _ => true,
        }
    }

    /// Checks what has come whole.
    fn note_answers(&mut self) {
        let answers = std::mem::take(&mut self.answers);
        let mut rest = &answers[..];
        while let Ok(Some(header)) = FrameHeader::parse(rest)
            && let Some(frame) = rest.get(..header.frame_bytes())
        {
            self.note_answer(&header, &frame[FRAME_HEADER_BYTES..]);
            rest = &rest[frame.len()..];
        }
        self.answers = rest.to_vec();
    }

    fn note_answer(&mut self, header: &FrameHeader, body: &[u8]) {
        if header.api == Api::Push as u8 {
            return self.note_push(header, body);
        }
        if header.api == Api::Fetch as u8 && header.code == 0 {
            let response = FetchResponse::from_body(body).expect("answers are well-formed");
            response.partitions.iter().for_each(|partition| check_batches(partition.batches));
        }
        if !self.settle_one(header) {
            assert!(header.code != 0 && !self.fault, "{header:?} was not asked for");
            self.fault = true;
        }
    }

    /// Takes an answer from those that are owed; whether it was.
    fn settle_one(&mut self, header: &FrameHeader) -> bool {
        let key = (header.api, header.correlation);
        for answers in [&mut self.owed, &mut self.given_up] {
            if let Some(count) = answers.get_mut(&key).filter(|count| **count > 0) {
                *count -= 1;
                return true;
            }
        }
        false
    }

    fn note_push(&mut self, header: &FrameHeader, body: &[u8]) {
        if header.code == 0 {
            assert!(body.len() > PushHeader::BYTES, "a push pushes something");
            check_batches(&body[PushHeader::BYTES..]);
        } else {
            // The end of a subscription, or the answer to a client that has pushed: they look the same.
            self.settle_one(header);
        }
    }

    /// Everything has come to an end: nothing is owed, and nobody hangs.
    pub fn check_settled(&self, now_ms: u64) {
        let pushes = |api: u8| api == Api::Push as u8;
        let owed: Vec<_> = self.owed.iter().filter(|((api, _), n)| **n > 0 && !pushes(*api)).collect();
        let given_up = self.broken || self.ending_since.is_some_and(|since| now_ms >= since + ENDING_MS);
        assert!(given_up || owed.is_empty(), "{owed:?} are never answered");
        assert!(self.reader != Reader::Stalled, "a reader is never woken");
    }

    /// The broker may have given up what it owes: it may still come, or not.
    pub fn give_up(&mut self) {
        for (key, count) in std::mem::take(&mut self.owed) {
            *self.given_up.entry(key).or_default() += count;
        }
    }
}

/// Batches are whole, and follow one another.
fn check_batches(bytes: &[u8]) {
    let mut next = None;
    for batch in Batches::new(bytes) {
        let batch = batch.expect("batches are whole");
        batch.check().expect("batches were checked when they came");
        assert!(next.is_none_or(|next| next == batch.base_offset()), "offsets are dense");
        next = Some(batch.last_offset() + 1);
    }
}
