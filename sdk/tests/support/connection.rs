//! One connection of the broker in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ringmail_wire::protocol::{
    Api, CreditRequest, ErrorBody, ErrorCode, FRAME_HEADER_BYTES, FetchRequest, FetchResponse,
    FetchedPartition, FetchedPartitionHeader, FrameHeader, HandshakeResponse, Message, ProduceRequest,
    ProduceResponse, PushHeader, Reader, SubscribeRequest, SubscribeResponse, UnsubscribeRequest, Writer,
    features, put_frame,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{Duration, sleep, timeout};

use super::model::{Fault, Model};

/// What all connections share.
#[derive(Debug, Default)]
pub struct Shared {
    pub model: Mutex<Model>,
    /// Something was stored or changed.
    pub changed: Notify,
    /// All connections are to end.
    pub hang_up: Notify,
}

struct Subscription {
    log: u64,
    offset: u64,
    credit: i64,
}

struct Connection {
    shared: Arc<Shared>,
    shard: u16,
    out: UnboundedSender<Vec<u8>>,
    subscriptions: BTreeMap<u32, Subscription>,
}

/// Serves a client until either side has enough.
pub async fn serve(shared: Arc<Shared>, shard: u16, stream: TcpStream) {
    let (mut reader, mut writer) = stream.into_split();
    let (out, mut queue) = unbounded_channel::<Vec<u8>>();
    let mut connection = Connection { shared: shared.clone(), shard, out, subscriptions: BTreeMap::new() };
    let mut received = Vec::new();
    loop {
        let changed = shared.changed.notified();
        connection.push();
        let mut buffer = [0; 65536];
        tokio::select! {
            read = reader.read(&mut buffer) => match read {
                Ok(n) if n > 0 => {
                    received.extend_from_slice(&buffer[..n]);
                    if !connection.frames(&mut received) {
                        return;
                    }
                }
                _ => return,
            },
            Some(bytes) = queue.recv() => {
                if writer.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            () = changed => {}
            () = shared.hang_up.notified() => return,
        }
    }
}

impl Connection {
    /// Handles whole frames; `false` ends the connection.
    fn frames(&mut self, received: &mut Vec<u8>) -> bool {
        while let Some(header) = FrameHeader::parse(received).unwrap() {
            if received.len() < header.frame_bytes() {
                break;
            }
            let frame: Vec<u8> = received.drain(..header.frame_bytes()).collect();
            if !self.handle(header, &frame[FRAME_HEADER_BYTES..]) {
                return false;
            }
        }
        true
    }

    fn handle(&mut self, header: FrameHeader, body: &[u8]) -> bool {
        let api = Api::from_number(header.api).unwrap();
        let id = header.correlation;
        if self.shared.model.lock().unwrap().mute {
            return true;
        }
        match api {
            Api::Handshake => self.handshake(id),
            Api::Produce => return self.produce(id, ProduceRequest::from_body(body).unwrap()),
            Api::Fetch => self.fetch(id, FetchRequest::from_body(body).unwrap()),
            Api::Subscribe => self.subscribe(id, SubscribeRequest::from_body(body).unwrap()),
            Api::Credit => {
                let credit = CreditRequest::from_body(body).unwrap();
                if let Some(subscription) = self.subscriptions.get_mut(&credit.subscription) {
                    subscription.credit += i64::from(credit.bytes);
                }
            }
            Api::Unsubscribe => {
                self.subscriptions.remove(&UnsubscribeRequest::from_body(body).unwrap().subscription);
                self.answer(api, id, &());
            }
            _ => {
                let answer = self.shared.model.lock().unwrap().answer(api, body);
                self.shared.changed.notify_waiters();
                match answer {
                    Ok(body) => self.answer(api, id, &Raw(&body)),
                    Err((code, words)) => self.error(api, id, code, &words),
                }
            }
        }
        true
    }

    fn handshake(&self, id: u32) {
        let mut model = self.shared.model.lock().unwrap();
        if let Some(code) = model.refuse {
            return self.error(Api::Handshake, id, code, "not today");
        }
        model.handshakes += 1;
        let answer = HandshakeResponse {
            version: 1,
            features: features::ALL,
            shard: self.shard,
            max_frame: model.max_frame,
            max_in_flight: 4 << 20,
            idle_timeout_ms: model.idle_timeout_ms,
            server: "fake broker",
        };
        self.answer(Api::Handshake, id, &answer);
    }

    fn produce(&self, id: u32, request: ProduceRequest<'_>) -> bool {
        let mut model = self.shared.model.lock().unwrap();
        if model.stalled {
            return true;
        }
        model.produced += 1;
        if model.logs.get(&request.log).is_some_and(|log| log.shard != self.shard) {
            model.misrouted += 1;
        }
        let fault = model.faults.pop_front().unwrap_or(Fault::None);
        let result = match fault {
            Fault::Close => return false,
            Fault::Refuse(code) => Err((code, "as the test wants it".to_owned())),
            _ => model.produce(request.log, request.batch),
        };
        drop(model);
        self.shared.changed.notify_waiters();
        let mut frame = Vec::new();
        match result {
            _ if request.acks == ringmail_wire::protocol::Acks::None => return true,
            Ok(base_offset) => put_frame(&mut frame, Api::Produce, id, 0, &ProduceResponse { base_offset }),
            Err((code, words)) => put_error(&mut frame, Api::Produce, id, code, &words),
        }
        match fault {
            Fault::StoreAndClose => return false,
            Fault::Late(by) => {
                let out = self.out.clone();
                tokio::spawn(async move {
                    sleep(by).await;
                    let _ = out.send(frame);
                });
            }
            _ => self.send(frame),
        }
        true
    }

    fn fetch(&self, id: u32, request: FetchRequest) {
        let (shared, out) = (self.shared.clone(), self.out.clone());
        let wait = Duration::from_millis(request.max_wait_ms.into());
        tokio::spawn(async move {
            let read = async {
                loop {
                    let changed = shared.changed.notified();
                    if let Some(frame) = read(&shared.model.lock().unwrap(), id, &request) {
                        return frame;
                    }
                    changed.await;
                }
            };
            let frame = timeout(wait, read).await.unwrap_or_else(|_| {
                let mut frame = Vec::new();
                put_frame(&mut frame, Api::Fetch, id, 0, &FetchResponse { partitions: Vec::new() });
                frame
            });
            let _ = out.send(frame);
        });
    }

    fn subscribe(&mut self, id: u32, request: SubscribeRequest) {
        let shared = self.shared.clone();
        let model = shared.model.lock().unwrap();
        let Some(log) = model.logs.get(&request.log) else {
            return self.error(Api::Subscribe, id, ErrorCode::UnknownPartition, "no partition of that log");
        };
        if self.subscriptions.len() >= model.max_subscriptions {
            return self.error(Api::Subscribe, id, ErrorCode::InvalidSubscription, "one too many");
        }
        if request.offset < log.start || request.offset > log.end {
            return self.error(Api::Subscribe, id, ErrorCode::OffsetOutOfRange, "out of range");
        }
        let (log_start, high_watermark) = (log.start, log.end);
        self.answer(Api::Subscribe, id, &SubscribeResponse { log_start, high_watermark });
        let credit = i64::from(request.credit);
        let subscription = Subscription { log: request.log, offset: request.offset, credit };
        self.subscriptions.insert(request.subscription, subscription);
    }

    /// Pushes what there is to the subscriptions that have credit.
    fn push(&mut self) {
        let shared = self.shared.clone();
        let mut model = shared.model.lock().unwrap();
        let mut ended = Vec::new();
        for (id, subscription) in &mut self.subscriptions {
            let Some(log) = model.logs.get(&subscription.log) else {
                ended.push(*id);
                continue;
            };
            let mut pushed = 0;
            while subscription.credit > 0 && subscription.offset < log.end {
                let Ok((bytes, next)) = log.read(subscription.offset, subscription.credit as usize) else {
                    break;
                };
                subscription.offset = next;
                subscription.credit -= bytes.len() as i64;
                pushed += bytes.len();
                let mut body = Vec::new();
                PushHeader { high_watermark: log.end }.encode(&mut Writer::new(&mut body));
                body.extend_from_slice(&bytes);
                let _ = self.out.send(framed(Api::Push, *id, &Raw(&body)));
            }
            model.pushed_bytes += pushed;
        }
        for id in ended {
            self.subscriptions.remove(&id);
            self.error(Api::Push, id, ErrorCode::UnknownPartition, "the partition is gone");
        }
    }

    fn send(&self, frame: Vec<u8>) {
        let _ = self.out.send(frame);
    }

    fn answer<'a>(&self, api: Api, id: u32, body: &impl Message<'a>) {
        self.send(framed(api, id, body));
    }

    fn error(&self, api: Api, id: u32, code: ErrorCode, words: &str) {
        let mut frame = Vec::new();
        put_error(&mut frame, api, id, code, words);
        self.send(frame);
    }
}

/// The answer to a fetch, if there is enough to say.
fn read(model: &Model, id: u32, request: &FetchRequest) -> Option<Vec<u8>> {
    let read: Vec<_> = request.partitions.iter().map(|p| (p.log, model.fetch(p))).collect();
    let bytes: usize = read.iter().filter_map(|(_, r)| r.as_ref().ok()).map(|(b, _)| b.len()).sum();
    if bytes < request.min_bytes as usize && read.iter().all(|(_, r)| r.is_ok()) {
        return None;
    }
    let partitions = read.iter().map(|(log, result)| {
        let header = |code, log_start, high_watermark, bytes: usize| {
            let bytes = bytes as u32;
            FetchedPartitionHeader { log: *log, code, high_watermark, log_start, bytes }
        };
        match result {
            Ok((batches, log)) => {
                FetchedPartition { header: header(0, log.start, log.end, batches.len()), batches }
            }
            Err(code) => FetchedPartition { header: header(*code as u16, 0, 0, 0), batches: &[] },
        }
    });
    Some(framed(Api::Fetch, id, &FetchResponse { partitions: partitions.collect() }))
}

fn framed<'a>(api: Api, id: u32, body: &impl Message<'a>) -> Vec<u8> {
    let mut frame = Vec::new();
    put_frame(&mut frame, api, id, 0, body);
    frame
}

fn put_error(frame: &mut Vec<u8>, api: Api, id: u32, code: ErrorCode, words: &str) {
    put_frame(frame, api, id, code as u16, &ErrorBody { message: words });
}

/// A body that is encoded already.
struct Raw<'a>(&'a [u8]);

impl<'a> Message<'a> for Raw<'a> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.bytes(self.0);
    }

    fn decode(r: &mut Reader<'a>) -> Result<Self, ringmail_wire::protocol::DecodeError> {
        Ok(Self(r.rest()))
    }
}
