//! A broker in memory for the tests of the client side: it takes topics, batches and subscriptions, and is made to err.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ringmail_wire::batch::{Batch, set_base_offset};
use ringmail_wire::protocol::{
    Api, CreateTopicRequest, CreditRequest, ErrorBody, FRAME_HEADER_BYTES, FrameHeader, HandshakeResponse,
    ListOffsetsRequest, ListOffsetsResponse, ListedOffset, LogId, Message, MetadataRequest, MetadataResponse,
    PartitionInfo, ProduceRequest, ProduceResponse, PushHeader, Reader, SubscribeRequest, SubscribeResponse,
    TopicCreated, TopicInfo, Writer, put_frame,
};

/// What the fake does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Tells offsets that are one too high.
    WrongOffset,
    /// Changes the last byte of what it stores.
    Damage,
    /// Refuses batches.
    Refuse,
}

#[derive(Default)]
struct Log {
    batches: Vec<Vec<u8>>,
    end: u64,
}

#[derive(Default)]
struct State {
    topics: HashMap<String, Vec<LogId>>,
    logs: HashMap<LogId, Log>,
}

/// Starts a fake on a free port. Its threads end with their connections, or with the test.
pub fn start(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let state = Arc::new(Mutex::new(State::default()));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(io::Result::ok) {
            let session = Session { state: Arc::clone(&state), fault, subscription: None };
            thread::spawn(move || session.serve(stream));
        }
    });
    address
}

struct Session {
    state: Arc<Mutex<State>>,
    fault: Fault,
    subscription: Option<Subscription>,
}

struct Subscription {
    id: u32,
    log: LogId,
    next_batch: usize,
    credit: i64,
}

impl Session {
    /// Wakes up every millisecond to push, so that one thread does for a connection.
    fn serve(mut self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_millis(1)))?;
        let mut received = Vec::new();
        let mut chunk = vec![0; 64 << 10];
        loop {
            let mut out = Vec::new();
            match stream.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(count) => received.extend_from_slice(&chunk[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
            }
            while let Some(header) = FrameHeader::parse(&received).unwrap() {
                if received.len() < header.frame_bytes() {
                    break;
                }
                let frame: Vec<u8> = received.drain(..header.frame_bytes()).collect();
                self.answer(header, &frame[FRAME_HEADER_BYTES..], &mut out);
            }
            self.push(&mut out);
            stream.write_all(&out)?;
        }
    }

    fn answer(&mut self, header: FrameHeader, body: &[u8], out: &mut Vec<u8>) {
        let state = Arc::clone(&self.state);
        let mut state = state.lock().unwrap();
        let (api, id) = (Api::from_number(header.api).unwrap(), header.correlation);
        match api {
            Api::Handshake => put_frame(out, api, id, 0, &HANDSHAKE),
            Api::CreateTopic => {
                let request = CreateTopicRequest::from_body(body).unwrap();
                let first = state.logs.len() as LogId;
                let logs: Vec<_> = (first..first + u64::from(request.partitions)).collect();
                state.logs.extend(logs.iter().map(|&log| (log, Log::default())));
                state.topics.insert(request.name.to_owned(), logs);
                put_frame(out, api, id, 0, &TopicCreated { id: 1, partitions: request.partitions });
            }
            Api::Metadata => {
                let request = MetadataRequest::from_body(body).unwrap();
                let topics = request.topics.iter().filter_map(|&name| {
                    let logs = state.topics.get(name)?;
                    let partitions = logs.iter().map(|&log| PartitionInfo { log, shard: 0 }).collect();
                    Some(TopicInfo { name, id: 1, partitions })
                });
                let topics = topics.collect();
                put_frame(out, api, id, 0, &MetadataResponse { shards: Vec::new(), topics });
            }
            Api::Produce if self.fault == Fault::Refuse => {
                put_frame(out, api, id, 21, &ErrorBody { message: "no" });
            }
            Api::Produce => {
                let base_offset = self.append(&mut state, ProduceRequest::from_body(body).unwrap());
                put_frame(out, api, id, 0, &ProduceResponse { base_offset });
            }
            Api::ListOffsets => {
                let log = ListOffsetsRequest::from_body(body).unwrap().queries[0].log;
                let offsets = vec![ListedOffset { log, code: 0, offset: state.logs[&log].end }];
                put_frame(out, api, id, 0, &ListOffsetsResponse { offsets });
            }
            Api::Subscribe => {
                let request = SubscribeRequest::from_body(body).unwrap();
                let batches = &state.logs[&request.log].batches;
                let before = |batch: &Vec<u8>| Batch::parse(batch).unwrap().base_offset() < request.offset;
                self.subscription = Some(Subscription {
                    id: request.subscription,
                    log: request.log,
                    next_batch: batches.partition_point(before),
                    credit: request.credit.into(),
                });
                put_frame(out, api, id, 0, &SubscribeResponse { log_start: 0, high_watermark: 0 });
            }
            Api::Credit => {
                let subscription = self.subscription.as_mut().unwrap();
                subscription.credit += i64::from(CreditRequest::from_body(body).unwrap().bytes);
            }
            other => panic!("the fake does not know {other:?}"),
        }
    }

    fn append(&self, state: &mut State, request: ProduceRequest<'_>) -> u64 {
        let log = state.logs.get_mut(&request.log).unwrap();
        let base_offset = log.end;
        let mut batch = request.batch.to_vec();
        set_base_offset(&mut batch, base_offset);
        log.end += u64::from(Batch::parse(&batch).unwrap().record_count());
        if self.fault == Fault::Damage {
            *batch.last_mut().unwrap() ^= 1;
        }
        log.batches.push(batch);
        base_offset + u64::from(self.fault == Fault::WrongOffset)
    }

    fn push(&mut self, out: &mut Vec<u8>) {
        let Some(subscription) = &mut self.subscription else { return };
        let state = self.state.lock().unwrap();
        let log = &state.logs[&subscription.log];
        while subscription.credit > 0 && subscription.next_batch < log.batches.len() {
            let batch = &log.batches[subscription.next_batch];
            subscription.next_batch += 1;
            subscription.credit -= batch.len() as i64;
            put_frame(out, Api::Push, subscription.id, 0, &Push { high_watermark: log.end, batch });
        }
    }
}

/// A push with one batch.
struct Push<'a> {
    high_watermark: u64,
    batch: &'a [u8],
}

impl<'a> Message<'a> for Push<'a> {
    fn encode(&self, w: &mut Writer<'_>) {
        PushHeader { high_watermark: self.high_watermark }.encode(w);
        w.bytes(self.batch);
    }

    fn decode(r: &mut Reader<'a>) -> Result<Self, ringmail_wire::protocol::DecodeError> {
        Ok(Self { high_watermark: PushHeader::decode(r)?.high_watermark, batch: r.rest() })
    }
}

const HANDSHAKE: HandshakeResponse<'static> = HandshakeResponse {
    version: 1,
    features: 0,
    shard: 0,
    max_frame: 16 << 20,
    max_in_flight: 16 << 20,
    idle_timeout_ms: 0,
    server: "fake",
};
