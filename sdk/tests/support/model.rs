//! What the broker in memory holds, and how it answers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use ringmail_wire::batch::{Batch, set_base_offset};
use ringmail_wire::protocol::{
    AlterTopicRequest, Api, ConfigEntry, ConfigSource, CreateTopicRequest, DeleteRecordsRequest,
    DeleteRecordsResponse, DeleteTopicRequest, DescribeTopicRequest, DescribeTopicResponse,
    DescribedPartition, ErrorCode, FetchPartition, ListOffsetsRequest, ListOffsetsResponse,
    ListTopicsResponse, ListedOffset, ListedTopic, Message, MetadataRequest, MetadataResponse, OffsetQuery,
    PartitionInfo, ShardInfo, TopicCreated, TopicInfo, Writer,
};

/// What is done wrong to one produce request.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Nothing.
    None,
    /// Refused with this code, nothing being stored.
    Refuse(ErrorCode),
    /// Stored; the answer comes so much later.
    Late(Duration),
    /// Stored; the connection ends without an answer.
    StoreAndClose,
    /// Not stored; the connection ends without an answer.
    Close,
}

#[derive(Debug, Default)]
pub struct Log {
    pub shard: u16,
    pub start: u64,
    pub end: u64,
    /// Batches by their base offset.
    pub batches: BTreeMap<u64, Vec<u8>>,
}

impl Log {
    fn append(&mut self, batch: &[u8]) -> u64 {
        let mut batch = batch.to_vec();
        let base = self.end;
        self.end += u64::from(Batch::parse(&batch).unwrap().record_count());
        set_base_offset(&mut batch, base);
        self.batches.insert(base, batch);
        base
    }

    /// The batches from the one that holds `offset` on: at least one if there is one, and no more once there
    /// are `max_bytes`.
    pub fn read(&self, offset: u64, max_bytes: usize) -> Result<(Vec<u8>, u64), ErrorCode> {
        if offset < self.start || offset > self.end {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        let first = self.batches.range(..=offset).next_back().map_or(offset, |(base, _)| *base);
        let (mut bytes, mut next) = (Vec::new(), offset);
        for batch in self.batches.range(first..).map(|(_, batch)| batch) {
            let last = Batch::parse(batch).unwrap().last_offset();
            if last < offset {
                continue;
            }
            if !bytes.is_empty() && bytes.len() + batch.len() > max_bytes {
                break;
            }
            bytes.extend_from_slice(batch);
            next = last + 1;
        }
        Ok((bytes, next))
    }

    fn offset(&self, query: OffsetQuery) -> u64 {
        let time = match query {
            OffsetQuery::First => return self.start,
            OffsetQuery::Last => return self.end,
            OffsetQuery::Timestamp(time) => time,
        };
        let mut scratch = Vec::new();
        for batch in self.batches.values() {
            let batch = Batch::parse(batch).unwrap();
            let open = batch.open(&mut scratch).unwrap();
            let found = open.iter().find(|r| r.timestamp >= time).map(|r| r.offset);
            if let Some(offset) = found {
                return offset;
            }
        }
        self.end
    }
}

#[derive(Debug)]
pub struct Topic {
    pub id: u64,
    pub logs: Vec<u64>,
    pub config: Vec<(String, String)>,
}

/// Topics, logs, and what is to go wrong.
#[derive(Debug, Default)]
pub struct Model {
    pub topics: BTreeMap<String, Topic>,
    pub logs: HashMap<u64, Log>,
    pub ports: Vec<u16>,
    pub faults: VecDeque<Fault>,
    /// Whether produce requests are left unanswered, and undone, for now.
    pub stalled: bool,
    /// Handshakes that were agreed to.
    pub handshakes: usize,
    /// Whether nothing at all is answered, for now.
    pub mute: bool,
    /// Refuses every handshake.
    pub refuse: Option<ErrorCode>,
    pub max_frame: u32,
    /// Subscriptions of one connection, at most.
    pub max_subscriptions: usize,
    pub idle_timeout_ms: u32,
    /// Produce requests that came, pings that came, produce requests to a shard that is not the owner.
    pub produced: usize,
    pub pings: usize,
    pub misrouted: usize,
    /// Bytes that subscriptions were pushed.
    pub pushed_bytes: usize,
    next_log: u64,
}

type Answer = Result<Vec<u8>, (ErrorCode, String)>;

fn body<'a>(message: &impl Message<'a>) -> Answer {
    let mut out = Vec::new();
    message.encode(&mut Writer::new(&mut out));
    Ok(out)
}

fn refused<T>(code: ErrorCode, words: &str) -> Result<T, (ErrorCode, String)> {
    Err((code, words.to_owned()))
}

impl Model {
    pub fn create_topic(&mut self, name: &str, partitions: u32) -> u64 {
        let shards = self.ports.len().max(1) as u64;
        let logs = (0..u64::from(partitions)).map(|n| {
            self.next_log += 1;
            self.logs.insert(self.next_log, Log { shard: (n % shards) as u16, ..Log::default() });
            self.next_log
        });
        let logs = logs.collect();
        let id = 1000 + self.next_log;
        self.topics.insert(name.to_owned(), Topic { id, logs, config: Vec::new() });
        id
    }

    pub fn delete_topic(&mut self, name: &str) -> bool {
        let Some(topic) = self.topics.remove(name) else { return false };
        topic.logs.iter().for_each(|log| drop(self.logs.remove(log)));
        true
    }

    /// Stores a batch unless it is to be refused.
    pub fn produce(&mut self, log: u64, batch: &[u8]) -> Result<u64, (ErrorCode, String)> {
        if Batch::parse(batch).and_then(|batch| batch.check()).is_err() {
            return refused(ErrorCode::InvalidBatch, "not a batch");
        }
        match self.logs.get_mut(&log) {
            Some(log) => Ok(log.append(batch)),
            None => refused(ErrorCode::UnknownPartition, "no partition of that log"),
        }
    }

    /// Answers what needs no connection state.
    pub fn answer(&mut self, api: Api, request: &[u8]) -> Answer {
        match api {
            Api::Ping => {
                self.pings += 1;
                body(&())
            }
            Api::Metadata => self.metadata(MetadataRequest::from_body(request).unwrap()),
            Api::CreateTopic => self.create(CreateTopicRequest::from_body(request).unwrap()),
            Api::AlterTopic => self.alter(AlterTopicRequest::from_body(request).unwrap()),
            Api::DeleteTopic => {
                let name = DeleteTopicRequest::from_body(request).unwrap().name;
                if self.delete_topic(name) { body(&()) } else { unknown_topic(name) }
            }
            Api::ListTopics => {
                let topics = self.topics.iter();
                let topics =
                    topics.map(|(name, t)| ListedTopic { name, partitions: t.logs.len() as u32 }).collect();
                body(&ListTopicsResponse { topics })
            }
            Api::DescribeTopic => self.describe(DescribeTopicRequest::from_body(request).unwrap().name),
            Api::ListOffsets => self.list_offsets(&ListOffsetsRequest::from_body(request).unwrap()),
            Api::DeleteRecords => self.delete_records(DeleteRecordsRequest::from_body(request).unwrap()),
            other => panic!("{other:?} is answered by the connection"),
        }
    }

    fn metadata(&self, request: MetadataRequest<'_>) -> Answer {
        let shards = self.ports.iter().enumerate();
        let shards = shards.map(|(n, port)| ShardInfo { shard: n as u16, port: *port, host: "" }).collect();
        let wanted = |name: &str| request.topics.is_empty() || request.topics.contains(&name);
        let topics = self.topics.iter().filter(|(name, _)| wanted(name)).map(|(name, topic)| {
            let partition = |log: &u64| PartitionInfo { log: *log, shard: self.logs[log].shard };
            TopicInfo { name, id: topic.id, partitions: topic.logs.iter().map(partition).collect() }
        });
        body(&MetadataResponse { shards, topics: topics.collect() })
    }

    fn create(&mut self, request: CreateTopicRequest<'_>) -> Answer {
        if self.topics.contains_key(request.name) {
            return refused(ErrorCode::TopicExists, "there is a topic of that name");
        }
        let partitions = request.partitions.max(1);
        let id = self.create_topic(request.name, partitions);
        let config = request.config.iter().map(|c| (c.key.to_owned(), c.value.to_owned())).collect();
        self.topics.get_mut(request.name).unwrap().config = config;
        body(&TopicCreated { id, partitions })
    }

    fn alter(&mut self, request: AlterTopicRequest<'_>) -> Answer {
        let Some(topic) = self.topics.get_mut(request.name) else { return unknown_topic(request.name) };
        topic.config.extend(request.config.iter().map(|c| (c.key.to_owned(), c.value.to_owned())));
        while topic.logs.len() < request.partitions as usize {
            self.next_log += 1;
            self.logs.insert(self.next_log, Log::default());
            topic.logs.push(self.next_log);
        }
        body(&())
    }

    fn describe(&self, name: &str) -> Answer {
        let Some(topic) = self.topics.get(name) else { return unknown_topic(name) };
        let config =
            topic.config.iter().map(|(key, value)| (ConfigEntry { key, value }, ConfigSource::Topic));
        let partition = |id: &u64| {
            let log = &self.logs[id];
            let bytes = log.batches.values().map(|b| b.len() as u64).sum();
            let (log_start, high_watermark) = (log.start, log.end);
            DescribedPartition { log: *id, shard: log.shard, log_start, high_watermark, bytes }
        };
        let partitions = topic.logs.iter().map(partition).collect();
        body(&DescribeTopicResponse { id: topic.id, config: config.collect(), partitions })
    }

    fn list_offsets(&self, request: &ListOffsetsRequest) -> Answer {
        let answer = |log, found: Option<&Log>, query| match found {
            Some(found) => ListedOffset { log, code: 0, offset: found.offset(query) },
            None => ListedOffset { log, code: ErrorCode::UnknownPartition as u16, offset: 0 },
        };
        let offsets = request.queries.iter().map(|q| answer(q.log, self.logs.get(&q.log), q.query));
        body(&ListOffsetsResponse { offsets: offsets.collect() })
    }

    fn delete_records(&mut self, request: DeleteRecordsRequest) -> Answer {
        let Some(log) = self.logs.get_mut(&request.log) else {
            return refused(ErrorCode::UnknownPartition, "no partition of that log");
        };
        log.start = log.start.max(request.before.min(log.end));
        body(&DeleteRecordsResponse { log_start: log.start })
    }

    /// Reads for a fetch.
    pub fn fetch(&self, partition: &FetchPartition) -> Result<(Vec<u8>, &Log), ErrorCode> {
        let log = self.logs.get(&partition.log).ok_or(ErrorCode::UnknownPartition)?;
        Ok((log.read(partition.offset, partition.max_bytes as usize)?.0, log))
    }
}

fn unknown_topic(name: &str) -> Answer {
    refused(ErrorCode::UnknownTopic, &format!("there is no topic `{name}`"))
}
