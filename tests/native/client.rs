//! A client of raw frames, for what a well-behaved client would not do.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ringmail_wire::batch::{BatchBuilder, Batches, Compression};
use ringmail_wire::protocol::*;

use crate::broker::PATIENCE;

/// A frame that came from the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub header: FrameHeader,
    pub body: Vec<u8>,
}

impl Frame {
    /// The body of an answer that is no error.
    #[track_caller]
    pub fn ok<'a, M: Message<'a>>(&'a self) -> M {
        assert_eq!(self.header.code, 0, "{}", self.words());
        M::from_body(&self.body).expect("the broker's answers have the form of their API")
    }

    /// The code of an answer that is an error.
    #[track_caller]
    pub fn error(&self) -> ErrorCode {
        assert_ne!(self.header.code, 0, "an error was expected");
        ErrorCode::from_number(self.header.code)
    }

    /// What an error says.
    pub fn words(&self) -> String {
        match ErrorBody::from_body(&self.body) {
            Ok(error) => error.message.to_owned(),
            Err(_) => format!("{:?}", self.body),
        }
    }
}

/// A connection.
pub struct Client {
    pub stream: TcpStream,
    next: u32,
}

impl Client {
    /// Connects and introduces itself.
    pub fn connect(address: &str) -> Self {
        let mut client = Self::connect_silently(address);
        client.handshake();
        client
    }

    /// Connects, and says nothing yet.
    pub fn connect_silently(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the broker listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("a socket option");
        Self { stream, next: 1 }
    }

    pub fn handshake(&mut self) -> u16 {
        let hello =
            HandshakeRequest { min_version: 1, max_version: 1, features: features::ALL, client: "test" };
        self.call(Api::Handshake, &hello).ok::<HandshakeResponse<'_>>().shard
    }

    /// Sends a request; gives its correlation id.
    pub fn send<'a>(&mut self, api: Api, body: &impl Message<'a>) -> u32 {
        let mut frame = Vec::new();
        put_frame(&mut frame, api, self.next, 0, body);
        self.send_bytes(&frame);
        self.next += 1;
        self.next - 1
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the broker reads");
    }

    /// The next frame, whatever it is.
    #[track_caller]
    pub fn receive(&mut self) -> Frame {
        self.try_receive().expect("the broker has closed the connection")
    }

    /// The next frame, or `None` at the end.
    pub fn try_receive(&mut self) -> Option<Frame> {
        let mut header = [0; FRAME_HEADER_BYTES];
        match self.stream.read_exact(&mut header) {
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                return None;
            }
            result => result.expect("the broker answers in time"),
        }
        let header = FrameHeader::parse(&header).expect("a frame").expect("a whole header");
        let mut body = vec![0; header.body];
        self.stream.read_exact(&mut body).expect("the broker sends whole frames");
        Some(Frame { header, body })
    }

    /// Whether nothing comes for a while.
    pub fn hears_nothing(&mut self, wait: Duration) -> bool {
        self.stream.set_read_timeout(Some(wait)).expect("a timeout");
        let mut byte = [0];
        let result = self.stream.peek(&mut byte);
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        matches!(result, Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// Sends a request and waits for its answer, which is the next frame.
    #[track_caller]
    pub fn call<'a>(&mut self, api: Api, body: &impl Message<'a>) -> Frame {
        let correlation = self.send(api, body);
        let frame = self.receive();
        assert_eq!((frame.header.correlation, frame.header.api), (correlation, api as u8));
        frame
    }

    /// Creates a topic that keeps its records for ever, as the tests' are of 1970; gives the logs of its partitions.
    #[track_caller]
    pub fn create(&mut self, name: &str, partitions: u32) -> Vec<LogId> {
        let config = vec![ConfigEntry { key: "retention.ms", value: "-1" }];
        let frame = self.call(Api::CreateTopic, &CreateTopicRequest { partitions, name, config });
        assert_eq!(frame.ok::<TopicCreated>().partitions, partitions);
        self.logs(name)
    }

    /// The logs of a topic's partitions.
    pub fn logs(&mut self, name: &str) -> Vec<LogId> {
        self.partitions(name).iter().map(|partition| partition.log).collect()
    }

    /// A topic's partitions; none if it does not exist.
    pub fn partitions(&mut self, name: &str) -> Vec<PartitionInfo> {
        let frame = self.call(Api::Metadata, &MetadataRequest { topics: vec![name] });
        let topics = frame.ok::<MetadataResponse<'_>>().topics;
        topics.into_iter().next().map_or(Vec::new(), |topic| topic.partitions)
    }

    /// Produces records, and waits until they are synced; gives the offset of the first.
    #[track_caller]
    pub fn produce(&mut self, log: LogId, values: &[&str]) -> u64 {
        let batch = batch(values);
        let request = ProduceRequest { log, acks: Acks::Synced, batch: &batch };
        self.call(Api::Produce, &request).ok::<ProduceResponse>().base_offset
    }

    /// Fetches at once.
    #[track_caller]
    pub fn fetch(&mut self, log: LogId, offset: u64) -> Vec<String> {
        let frame = self.call(Api::Fetch, &fetch_request(log, offset, 0));
        fetched(&frame)
    }

    /// First and last offset.
    #[track_caller]
    pub fn offsets(&mut self, log: LogId) -> (u64, u64) {
        let query = |query| ListOffsetsQuery { log, query };
        let queries = vec![query(OffsetQuery::First), query(OffsetQuery::Last)];
        let frame = self.call(Api::ListOffsets, &ListOffsetsRequest { queries });
        let offsets = frame.ok::<ListOffsetsResponse>().offsets;
        assert_eq!((offsets[0].code, offsets[1].code), (0, 0));
        (offsets[0].offset, offsets[1].offset)
    }
}

/// A fetch of one partition: for a byte, if it may wait.
pub fn fetch_request(log: LogId, offset: u64, max_wait_ms: u32) -> FetchRequest {
    let max_bytes = 1 << 20;
    let partitions = vec![FetchPartition { log, offset, max_bytes }];
    FetchRequest { max_wait_ms, min_bytes: 1, max_bytes, partitions }
}

/// A batch of records with these values; their timestamps are 1000, 1001, ...
pub fn batch(values: &[&str]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(16 << 20, Compression::None);
    for (timestamp, value) in (1_000..).zip(values) {
        builder.push(timestamp, None, Some(value.as_bytes()), &[]).expect("a batch of a few records");
    }
    let mut batch = Vec::new();
    builder.finish_into(&mut batch);
    batch
}

/// The values in an answer to a fetch of one partition.
#[track_caller]
pub fn fetched(frame: &Frame) -> Vec<String> {
    let response = frame.ok::<FetchResponse<'_>>();
    let Some(partition) = response.partitions.first() else { return Vec::new() };
    assert_eq!(partition.header.code, 0);
    values(partition.batches)
}

/// The values in batches, all of which are checked.
#[track_caller]
pub fn values(batches: &[u8]) -> Vec<String> {
    let mut values = Vec::new();
    for batch in Batches::new(batches) {
        let batch = batch.expect("a batch");
        batch.check().expect("batches come as they were sent");
        let mut scratch = Vec::new();
        let records = batch.open(&mut scratch).expect("a batch that can be read");
        values.extend(records.iter().map(|record| text(record.value)));
    }
    values
}

fn text(value: Option<&[u8]>) -> String {
    String::from_utf8(value.expect("a value").to_vec()).expect("the tests' values are text")
}
