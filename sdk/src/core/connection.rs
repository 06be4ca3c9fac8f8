//! One connection: requests become bytes, bytes become events.

use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSlice};

use ahash::RandomState;
use bytes::{Bytes, BytesMut};
use ringmail_wire::protocol::{
    Acks, Api, CreditRequest, DecodeError, FetchRequest, FetchResponse, FrameHeader, HandshakeRequest,
    HandshakeResponse, LogId, Message, PROTOCOL_VERSION, ProduceResponse, PushHeader, Reader,
    SubscribeRequest, SubscribeResponse, Writer, features, put_frame, put_produce,
};

use super::inflow::Inflow;
use super::outbox::Outbox;
use super::{BrokerError, Event, Fetched, ProtocolError, READ_BYTES, Request, ServerInfo};

const HANDSHAKE_CORRELATION: u32 = 0;

#[derive(Debug)]
struct Pending<T> {
    api: Api,
    /// Position in the stream after the request.
    end: u64,
    token: T,
}

/// A request that had no answer when the connection ended.
#[derive(Debug)]
pub struct Unanswered<T> {
    /// What it asked for.
    pub api: Api,
    /// Whether all of it had been taken for sending. If not, the broker cannot have done it.
    pub sent: bool,
    /// What it was sent with.
    pub token: T,
}

/// The state of a connection, without the socket.
///
/// Requests go in by method, each with a token of the caller's that comes back with its answer. Their bytes
/// are taken by [`slices`](Self::slices) and [`consume`](Self::consume); received bytes are written into
/// [`receive_buffer`](Self::receive_buffer); events come from [`poll`](Self::poll). The handshake is the
/// first request of its own accord; others may follow before it is answered.
#[derive(Debug)]
pub struct Connection<T> {
    outbox: Outbox,
    inflow: Inflow,
    pending: HashMap<u32, Pending<T>, RandomState>,
    /// Batches that get no answer, by the position in the stream after them.
    unacknowledged: VecDeque<(u64, T)>,
    next_correlation: u32,
    next_subscription: u32,
    server: Option<ServerInfo>,
}

impl<T> Connection<T> {
    /// A connection whose handshake is ready to be sent; `client` is the name in the broker's log.
    pub fn new(client: &str) -> Self {
        let mut outbox = Outbox::default();
        let handshake = HandshakeRequest {
            min_version: PROTOCOL_VERSION,
            max_version: PROTOCOL_VERSION,
            features: features::ALL,
            client,
        };
        outbox.put(|out| put_frame(out, Api::Handshake, HANDSHAKE_CORRELATION, 0, &handshake));
        Self {
            outbox,
            inflow: Inflow::default(),
            pending: HashMap::default(),
            unacknowledged: VecDeque::new(),
            next_correlation: HANDSHAKE_CORRELATION,
            next_subscription: 0,
            server: None,
        }
    }

    /// What the broker said of itself, once the handshake is done.
    pub fn server(&self) -> Option<&ServerInfo> {
        self.server.as_ref()
    }

    /// Requests without an answer yet.
    pub fn in_flight(&self) -> usize {
        self.pending.len()
    }

    // ---- Requests ----

    /// Appends one batch to a partition; answered by [`Event::Produced`]. With [`Acks::None`] the broker does
    /// not answer: [`Event::Sent`] follows when all of it was taken by [`consume`](Self::consume).
    pub fn produce(&mut self, log: LogId, acks: Acks, batch: Bytes, token: T) {
        let correlation = self.next_correlation();
        self.outbox.put(|out| put_produce(out, correlation, log, acks, batch.len()));
        self.outbox.put_bytes(batch);
        match acks {
            Acks::None => self.unacknowledged.push_back((self.outbox.queued_end(), token)),
            Acks::Written | Acks::Synced => self.expect(correlation, Api::Produce, token),
        }
    }

    /// Reads batches; answered by [`Event::Fetched`].
    pub fn fetch(&mut self, request: &FetchRequest, token: T) {
        self.put(Api::Fetch, token, |w| request.encode(w));
    }

    /// Has the broker push batches of a partition from `offset` on, as far as `credit` bytes go. Returns the
    /// subscription's id; answered by [`Event::Subscribed`].
    pub fn subscribe(&mut self, log: LogId, offset: u64, credit: u32, token: T) -> u32 {
        let subscription = self.next_subscription;
        self.next_subscription = self.next_subscription.wrapping_add(1);
        let request = SubscribeRequest { subscription, log, offset, credit };
        self.put(Api::Subscribe, token, |w| request.encode(w));
        subscription
    }

    /// Gives a subscription credit for so many more bytes.
    pub fn credit(&mut self, subscription: u32, bytes: u32) {
        let correlation = self.next_correlation();
        let request = CreditRequest { subscription, bytes };
        self.outbox.put(|out| put_frame(out, Api::Credit, correlation, 0, &request));
    }

    /// Sends any other request; answered by [`Event::Answered`].
    pub fn request<R: Request>(&mut self, request: &R, token: T) {
        self.put(R::API, token, |w| request.encode_body(w));
    }

    /// Sends a request whose body is encoded already; answered by [`Event::Answered`].
    pub fn request_body(&mut self, api: Api, body: &[u8], token: T) {
        self.put(api, token, |w| w.bytes(body));
    }

    fn put(&mut self, api: Api, token: T, body: impl FnOnce(&mut Writer<'_>)) {
        let correlation = self.next_correlation();
        self.outbox.put(|out| {
            let start = out.len();
            put_frame(out, api, correlation, 0, &());
            let body_start = out.len();
            body(&mut Writer::new(out));
            let header = FrameHeader {
                body: out.len() - body_start,
                correlation,
                api: api as u8,
                version: PROTOCOL_VERSION,
                code: 0,
            };
            out[start..body_start].copy_from_slice(&header.to_bytes());
        });
        self.expect(correlation, api, token);
    }

    fn expect(&mut self, correlation: u32, api: Api, token: T) {
        self.pending.insert(correlation, Pending { api, end: self.outbox.queued_end(), token });
    }

    /// The next id; ids come round after four billion requests, and one that is still waiting is passed over.
    fn next_correlation(&mut self) -> u32 {
        loop {
            self.next_correlation = self.next_correlation.wrapping_add(1);
            let id = self.next_correlation;
            if id != HANDSHAKE_CORRELATION && !self.pending.contains_key(&id) {
                return id;
            }
        }
    }

    // ---- Bytes out ----

    /// Bytes that wait to be sent.
    pub fn output_bytes(&self) -> usize {
        (self.outbox.queued_end() - self.outbox.sent_end()) as usize
    }

    /// Fills `slices` with the bytes to send next, for a vectored write, and returns how many it filled.
    /// Large batches stand where the caller built them.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.outbox.slices(slices)
    }

    /// Takes away the first `n` bytes: they were sent.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn consume(&mut self, n: usize) {
        self.outbox.consume(n);
    }

    /// Writes once to `writer`, and returns how many bytes it took; 0 also if there was nothing to send.
    ///
    /// # Errors
    /// What the writer returns.
    pub fn write_to(&mut self, writer: &mut impl io::Write) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); super::WRITE_SLICES];
        let filled = self.slices(&mut slices);
        if filled == 0 {
            return Ok(0);
        }
        let written = writer.write_vectored(&slices[..filled])?;
        self.consume(written);
        Ok(written)
    }

    // ---- Bytes in ----

    /// Where received bytes are to be appended. It has room for a read of 64 KiB or more.
    pub fn receive_buffer(&mut self) -> &mut BytesMut {
        self.inflow.buffer()
    }

    /// Takes received bytes by copying them.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.inflow.buffer().extend_from_slice(bytes);
    }

    /// Reads once from `reader`, and returns how many bytes came; 0 is the end of the stream.
    ///
    /// # Errors
    /// What the reader returns.
    pub fn read_from(&mut self, reader: &mut impl io::Read) -> io::Result<usize> {
        let buffer = self.inflow.buffer();
        let before = buffer.len();
        let room = (buffer.capacity() - before).min(READ_BYTES);
        buffer.resize(before + room, 0);
        let read = reader.read(&mut buffer[before..]);
        buffer.truncate(before + *read.as_ref().unwrap_or(&0));
        read
    }

    /// The next event, if there is one.
    ///
    /// # Errors
    /// [`ProtocolError`]: the connection is of no use any more.
    pub fn poll(&mut self) -> Result<Option<Event<T>>, ProtocolError> {
        let sent_end = self.outbox.sent_end();
        if let Some((_, token)) = self.unacknowledged.pop_front_if(|(end, _)| *end <= sent_end) {
            return Ok(Some(Event::Sent { token }));
        }
        match self.inflow.next_frame()? {
            Some((header, body)) => self.event(header, body).map(Some),
            None => Ok(None),
        }
    }

    fn event(&mut self, header: FrameHeader, body: Bytes) -> Result<Event<T>, ProtocolError> {
        let malformed = |cause| ProtocolError::Malformed { api: header.api, cause };
        if header.api == Api::Push as u8 {
            return push(header, body).map_err(malformed);
        }
        if header.correlation == HANDSHAKE_CORRELATION && self.server.is_none() {
            return self.handshake(header, &body).map_err(malformed);
        }
        let Some(pending) = self.pending.remove(&header.correlation) else {
            return unasked(header, &body);
        };
        if header.api != pending.api as u8 {
            return Err(ProtocolError::WrongApi { found: header.api, asked: pending.api as u8 });
        }
        answer(pending, header.code, body).map_err(malformed)
    }

    fn handshake(&mut self, header: FrameHeader, body: &[u8]) -> Result<Event<T>, DecodeError> {
        if header.code != 0 {
            return Ok(Event::Refused(BrokerError::from_answer(header.code, body)));
        }
        let server = ServerInfo::from(HandshakeResponse::from_body(body)?);
        self.server = Some(server.clone());
        Ok(Event::Ready(server))
    }

    /// Ends the connection: every request that had no answer, in no particular order, and every batch that gets none and of
    /// which [`Event::Sent`] was not taken.
    pub fn into_unanswered(self) -> impl Iterator<Item = Unanswered<T>> {
        let sent = self.outbox.sent_end();
        let pending = self.pending.into_values().map(|p| (p.api, p.end, p.token));
        let unacknowledged = self.unacknowledged.into_iter().map(|(end, token)| (Api::Produce, end, token));
        let all = pending.chain(unacknowledged);
        all.map(move |(api, end, token)| Unanswered { api, sent: end <= sent, token })
    }
}

/// An answer to nothing: the broker speaks of the connection itself, or of a request that has no answer.
fn unasked<T>(header: FrameHeader, body: &[u8]) -> Result<Event<T>, ProtocolError> {
    if header.code == 0 {
        return Err(ProtocolError::Unasked { api: header.api, correlation: header.correlation });
    }
    Ok(Event::Refused(BrokerError::from_answer(header.code, body)))
}

fn push<T>(header: FrameHeader, mut body: Bytes) -> Result<Event<T>, DecodeError> {
    let subscription = header.correlation;
    if header.code != 0 {
        let error = BrokerError::from_answer(header.code, &body);
        return Ok(Event::SubscriptionEnded { subscription, error });
    }
    let head = PushHeader::decode(&mut Reader::new(&body))?;
    let batches = body.split_off(PushHeader::BYTES);
    Ok(Event::Push { subscription, high_watermark: head.high_watermark, batches })
}

fn answer<T>(pending: Pending<T>, code: u16, body: Bytes) -> Result<Event<T>, DecodeError> {
    let token = pending.token;
    Ok(match pending.api {
        Api::Produce => {
            let base_offset = |body: &Bytes| Ok(ProduceResponse::from_body(body)?.base_offset);
            Event::Produced { token, result: outcome(code, &body, base_offset)? }
        }
        Api::Fetch => Event::Fetched { token, result: outcome(code, &body, fetched)? },
        Api::Subscribe => {
            let offsets = |body: &Bytes| SubscribeResponse::from_body(body);
            Event::Subscribed { token, result: outcome(code, &body, offsets)? }
        }
        _ => Event::Answered { token, result: outcome(code, &body, |body| Ok(body.clone()))? },
    })
}

/// The error that the answer carries, or what its body says.
fn outcome<V>(
    code: u16,
    body: &Bytes,
    decode: impl FnOnce(&Bytes) -> Result<V, DecodeError>,
) -> Result<Result<V, BrokerError>, DecodeError> {
    if code != 0 {
        return Ok(Err(BrokerError::from_answer(code, body)));
    }
    decode(body).map(Ok)
}

fn fetched(body: &Bytes) -> Result<Vec<Fetched>, DecodeError> {
    let response = FetchResponse::from_body(body)?;
    let partitions = response.partitions.iter();
    Ok(partitions.map(|p| Fetched { header: p.header, batches: body.slice_ref(p.batches) }).collect())
}
