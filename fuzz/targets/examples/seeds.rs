//! Writes the seeds of the corpora, after a change of format: `cargo run -p ringmail-fuzz-targets --example seeds`.
//! Inputs that a fuzzer found stay as they are.

use std::fs;
use std::io;
use std::path::Path;

use ringmail::config::Config;
use ringmail_coordinator::groups::Groups;
use ringmail_coordinator::groups::record::{GroupValue, Key as KafkaKey, MemberValue, OffsetValue};
use ringmail_coordinator::machine::{
    Call, CallId, Effects, Machine, Now, Producer, Record, Replayed, Topics,
};
use ringmail_coordinator::transactions;
use ringmail_fuzz_targets::{MESSAGES, written_segment};
use ringmail_kafka::api::Api as KafkaApi;
use ringmail_kafka::batch as kafka;
use ringmail_kafka::codec::Uuid;
use ringmail_kafka::frame::{RequestHeader, put_request};
use ringmail_kafka::messages::consumer_groups::ConsumerGroupHeartbeatRequest;
use ringmail_kafka::messages::transactions::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AddPartitionsToTxnTransaction, EndTxnRequest,
    InitProducerIdRequest, TxnTopic,
};
use ringmail_kafka::messages::{Request, Response, groups::HeartbeatRequest, versions::ApiVersionsRequest};
use ringmail_shards::format::footer::{self, FooterExtent, LogSnapshot, Row, Run};
use ringmail_wire::batch::{BatchBuilder, Compression, HeadersBuf};
use ringmail_wire::protocol::{
    Acks, Api, ConfigEntry, CreateTopicRequest, ErrorBody, ErrorCode, FetchPartition, FetchRequest,
    FetchResponse, FetchedPartition, FetchedPartitionHeader, HandshakeRequest, ListTopicsResponse,
    ListedTopic, Message, MetadataRequest, MetadataResponse, PartitionInfo, ProduceRequest, ShardInfo,
    TopicInfo, Writer, features, put_frame,
};

fn batch(compression: Compression) -> Vec<u8> {
    let mut headers = HeadersBuf::new();
    headers.push(b"name", Some(b"value")).expect("a short header");
    headers.push(b"name", None).expect("a short header");
    let mut builder = BatchBuilder::new(1 << 16, compression);
    for k in 0..3 {
        let (key, headers) = if k == 1 { (None, &[][..]) } else { (Some(&b"key"[..]), headers.as_bytes()) };
        builder.push(1000 - k, key, Some(&b"value ".repeat(10)), headers).expect("a small record");
    }
    let mut batch = Vec::new();
    builder.finish_into(&mut batch);
    batch
}

fn body<'a>(message: &impl Message<'a>) -> Vec<u8> {
    let mut body = Vec::new();
    message.encode(&mut Writer::new(&mut body));
    body
}

/// Messages with something in them, by their names.
fn full_messages(batch: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let header = FetchedPartitionHeader {
        log: 7,
        code: 0,
        high_watermark: 3,
        log_start: 0,
        bytes: batch.len() as u32,
    };
    let config = vec![ConfigEntry { key: "retention.ms", value: "1000" }];
    let partitions = vec![PartitionInfo { log: 7, shard: 1 }];
    let fetch = FetchPartition { log: 7, offset: 0, max_bytes: 1 << 20 };
    vec![
        ("MetadataRequest", body(&MetadataRequest { topics: vec!["one", "two"] })),
        (
            "MetadataResponse",
            body(&MetadataResponse {
                shards: vec![ShardInfo { shard: 1, port: 9000, host: "host" }],
                topics: vec![TopicInfo { name: "one", id: 1, partitions }],
            }),
        ),
        ("CreateTopicRequest", body(&CreateTopicRequest { partitions: 2, name: "one", config })),
        (
            "ListTopicsResponse",
            body(&ListTopicsResponse { topics: vec![ListedTopic { name: "one", partitions: 2 }] }),
        ),
        ("ProduceRequest", body(&ProduceRequest { log: 7, acks: Acks::Synced, batch })),
        (
            "FetchRequest",
            body(&FetchRequest {
                max_wait_ms: 500,
                min_bytes: 1,
                max_bytes: 1 << 20,
                partitions: vec![fetch],
            }),
        ),
        (
            "FetchResponse",
            body(&FetchResponse { partitions: vec![FetchedPartition { header, batches: batch }] }),
        ),
        ("ErrorBody", body(&ErrorBody { message: "what is wrong, and what to do" })),
    ]
}

/// A section of a footer, the block that ends it, and that block without most of its padding.
fn footer() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let runs = [Run::new(4160, 144, 0, 1, 1000), Run::new(8256, 400, 1, 2, 990)];
    let row = Row {
        log: 7,
        base: 0,
        end: 3,
        max_timestamp: 1000,
        bytes: 544,
        section_at: 0,
        section_bytes: 0,
        relocated: false,
        lost: false,
    };
    let snapshots = [LogSnapshot { log: 7, start: 0, end: 3, dropped: false }];
    let footer = footer::build(0, 1, 3, &[FooterExtent { row, runs: &runs }], &snapshots, &[]);
    let section = footer.sections[..footer.rows[0].section_bytes as usize].to_vec();
    let mut end = footer.directory[..56 + 32].to_vec();
    end.resize(192 - 64, 0);
    end.extend_from_slice(&footer.directory[footer.directory.len() - 64..]);
    (section, footer.directory, end)
}

/// A batch of Kafka with headers, a key that is null, and a tombstone.
fn kafka_batch(compression: kafka::Compression) -> Vec<u8> {
    let head = kafka::BatchHead {
        producer_id: 5,
        producer_epoch: 0,
        base_sequence: 0,
        ..kafka::BatchHead::default()
    };
    let mut builder = kafka::BatchBuilder::new(head, 1 << 16, compression);
    let text = b"value ".repeat(10);
    for offset in 0..3 {
        let record = kafka::Record {
            offset,
            timestamp: 1000 - offset,
            key: (offset != 1).then_some(&b"key"[..]),
            value: (offset != 2).then_some(&text[..]),
            headers: kafka::Headers::default(),
        };
        let headers = [(&b"name"[..], Some(&b"value"[..])), (b"name", None)];
        builder.push(&record, headers.into_iter()).expect("a small record");
    }
    let mut batch = Vec::new();
    builder.finish_into(&mut batch);
    batch
}

/// A body of the first and of the last version of each API that decodes: empty strings and lists for a start.
fn kafka_bodies() -> impl Iterator<Item = (String, Vec<u8>)> {
    (0_u8..).zip(KafkaApi::ALL).flat_map(|(pick, api)| {
        let (first, last) = (api.info().first, api.info().last);
        [first, last].into_iter().map(move |version| {
            let filler = u8::from(api.is_flexible(version));
            let body = vec![filler; 64];
            let read = Request::decode(*api, version, &body).is_ok()
                || Response::decode(*api, version, &body).is_ok();
            let body = if read { body } else { vec![0; 64] };
            let input = [&[pick, (version - first) as u8], &body[..]].concat();
            (format!("{}-{version}", api.info().name), input)
        })
    })
}

/// Requests as a connection receives them.
fn kafka_requests() -> Vec<u8> {
    let mut stream = Vec::new();
    let header = |api, version| RequestHeader { api, version, correlation: 1, client_id: Some("seed") };
    let name =
        ApiVersionsRequest { client_software_name: "seed".into(), client_software_version: "1".into() };
    put_request(&mut stream, &header(KafkaApi::ApiVersions, 3), &name);
    let beat = HeartbeatRequest { group_id: "group".into(), ..HeartbeatRequest::default() };
    put_request(&mut stream, &header(KafkaApi::Heartbeat, 4), &beat);
    put_request(&mut stream, &header(KafkaApi::Heartbeat, 0), &beat);
    stream
}

/// An entry of a coordinator's log: its kind, and the key and the value with their lengths.
fn log_entry(kind: u8, key: &[u8], value: Option<&[u8]>) -> Vec<u8> {
    let sized = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    [vec![kind], sized(key), value.map_or(Vec::new(), sized)].concat()
}

/// A stable group of two members; offsets, some of a transaction and one that is forgotten; the end of that transaction.
fn coordinator_of_groups() -> Vec<u8> {
    let member = |id, instance_id| MemberValue {
        id,
        instance_id,
        client_id: "seed",
        client_host: "/127.0.0.1",
        rebalance_timeout_ms: 300_000,
        session_timeout_ms: 45_000,
        subscription: b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff",
        assignment: b"part",
    };
    let group = GroupValue {
        protocol_type: "consumer",
        generation: 3,
        protocol: Some("range"),
        leader: Some("m-1"),
        since_ms: Some(1),
        members: vec![member("m-1", None), member("m-2", Some("i"))],
    };
    let offset = OffsetValue {
        offset: 42,
        leader_epoch: 0,
        metadata: "note",
        committed_ms: 1_700_000_000_000,
        expires_ms: None,
        topic_id: Uuid::ZERO,
    };
    let expiring = OffsetValue { expires_ms: Some(1_700_000_000_001), ..offset };
    let of_topic = OffsetValue { topic_id: Uuid([7; 16]), ..offset };
    let at = |group, partition| KafkaKey::Offset { group, topic: "t", partition }.encode();
    let empty = GroupValue { members: Vec::new(), protocol: None, leader: None, ..group.clone() };
    [
        vec![0],
        log_entry(0, &KafkaKey::Group("g").encode(), Some(&group.encode())),
        log_entry(0, &KafkaKey::Group("empty").encode(), Some(&empty.encode())),
        log_entry(0, &at("g", 0), Some(&offset.encode())),
        log_entry(0, &at("g", 1), Some(&of_topic.encode())),
        log_entry(0, &at("simple", 0), Some(&expiring.encode())),
        log_entry(0x12, &at("g", 0), Some(&offset.encode())),
        log_entry(0x22, &at("staged", 0), Some(&offset.encode())),
        log_entry(1, &at("g", 1), None),
        vec![0x14, 0x2c],
        log_entry(1, &KafkaKey::Group("gone").encode(), None),
    ]
    .concat()
}

/// One topic, of two partitions.
struct OneTopic;

impl Topics for OneTopic {
    fn topic(&self, name: &str) -> Option<(Uuid, i32)> {
        (name == "t").then_some((Uuid([7; 16]), 2))
    }

    fn name(&self, id: Uuid) -> Option<&str> {
        (id == Uuid([7; 16])).then_some("t")
    }

    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(["t"].into_iter())
    }

    fn version(&self) -> u64 {
        1
    }
}

/// What is stored as two members come into a group of the new protocol, one by a pattern, and one leaves.
fn coordinator_of_consumers() -> Vec<u8> {
    let mut groups = Groups::default();
    let now = Now { clock_ms: 0, wall_ms: 1_700_000_000_000 };
    groups.loaded(1, now, &mut Effects::default());
    let mut log = vec![0];
    let mut records = 0;
    for (member, epoch, regex) in
        [("m-1", 0, None), ("m-2", 0, Some("t.*")), ("m-1", 1, None), ("m-2", -1, None)]
    {
        let request = Request::ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest {
            group_id: "g".into(),
            member_id: member.into(),
            member_epoch: epoch,
            rebalance_timeout_ms: 60_000,
            subscribed_topic_names: Some(if regex.is_none() { vec!["t".into()] } else { Vec::new() }),
            subscribed_topic_regex: regex.map(Into::into),
            topic_partitions: Some(Vec::new()),
            ..Default::default()
        });
        let (id, random) = (CallId(records), Uuid([1; 16]));
        let call = Call { id, version: 1, client_id: "seed", client_host: "/127.0.0.1", random, request };
        let mut effects = Effects::default();
        groups.request(call, &OneTopic, now, &mut effects);
        for write in effects.writes {
            for Record { key, value } in &write.records {
                log.extend(log_entry(u8::from(value.is_none()), key, value.as_deref()));
                let (value, timestamp_ms) = (value.as_deref(), now.wall_ms);
                groups.replay(Replayed { offset: records, timestamp_ms, producer: None, key, value });
                records += 1;
            }
            groups.written(write.tag, Ok(()), &OneTopic, now, &mut Effects::default());
        }
    }
    log
}

/// Transactions in all states.
fn coordinator_of_transactions() -> Vec<u8> {
    let mut log = vec![1];
    for (state, id) in transactions::State::ALL.into_iter().zip(1..) {
        let transaction = transactions::Transaction {
            producer: Producer { id, epoch: 3 },
            last_epoch: 2,
            previous_id: -1,
            next_id: -1,
            timeout_ms: 60_000,
            state,
            partitions: [("t".to_owned(), [0, 1].into())].into(),
            updated_ms: 1_700_000_000_000,
            started_ms: 1_700_000_000_000,
            ends_bump: id % 2 == 0,
        };
        let key = transactions::record::encode_key(&format!("t-{id}"));
        log.extend(log_entry(0, &key, Some(&transactions::record::encode_value(&transaction))));
    }
    log.extend(log_entry(1, &transactions::record::encode_key("t-1"), None));
    log
}

const PRODUCER: Producer = Producer { id: 7, epoch: 5 };

/// A log in which each state is somebody's, named by its number.
fn transactions_log() -> Vec<u8> {
    let mut log = vec![transactions::State::ALL.len() as u8];
    for (number, state) in ('0'..).zip(transactions::State::ALL) {
        let transaction = transactions::Transaction {
            producer: PRODUCER,
            last_epoch: 4,
            previous_id: 7,
            next_id: if state.is_prepared() { 8 } else { -1 },
            timeout_ms: 1000,
            state,
            partitions: transactions::Partitions::from([("a".to_owned(), [0, 1].into())]),
            updated_ms: 1_700_000_000_000,
            started_ms: 1_700_000_000_000,
            ends_bump: true,
        };
        let (key, value) = (
            transactions::record::encode_key(&number.to_string()),
            transactions::record::encode_value(&transaction),
        );
        log.extend((key.len() as u16).to_be_bytes());
        log.extend((value.len() as u16).to_be_bytes());
        log.extend(key.into_iter().chain(value));
    }
    log
}

/// The life of a transaction by its requests, for the one that is open and the one that is over.
fn transactions_requests(ends_in: i16) -> Vec<u8> {
    let topics = || vec![TxnTopic { name: "a".into(), partitions: vec![2] }];
    let (producer_id, producer_epoch) = (PRODUCER.id, PRODUCER.epoch);
    let mut input = transactions_log();
    for id in ["1", "4"] {
        let transaction = AddPartitionsToTxnTransaction {
            transactional_id: id.into(),
            producer_id,
            producer_epoch,
            verify_only: false,
            topics: topics(),
        };
        let adding = AddPartitionsToTxnRequest { transactions: vec![transaction], ..Default::default() };
        let transactional_id = || id.into();
        let offsets = AddOffsetsToTxnRequest {
            transactional_id: transactional_id(),
            producer_id,
            producer_epoch,
            group_id: "g".into(),
        };
        let end = EndTxnRequest {
            transactional_id: transactional_id(),
            producer_id,
            producer_epoch,
            committed: true,
        };
        let init = InitProducerIdRequest {
            transactional_id: Some(transactional_id()),
            transaction_timeout_ms: 1000,
            ..Default::default()
        };
        for (pick, version, request) in [
            (1, 5, Request::AddPartitionsToTxn(adding)),
            (2, 3, Request::AddOffsetsToTxn(offsets)),
            (3, ends_in, Request::EndTxn(end)),
            (0, 5, Request::InitProducerId(init)),
        ] {
            let mut body = Vec::new();
            request.encode(version, &mut body);
            input.extend([pick, version as u8]);
            input.extend((body.len() as u16).to_be_bytes());
            input.extend(body);
        }
    }
    input
}

fn write(target: &str, name: &str, input: &[u8]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), input)
}

fn main() -> io::Result<()> {
    let none = batch(Compression::None);
    for (name, compression) in
        [("none", Compression::None), ("lz4", Compression::Lz4), ("zstd", Compression::Zstd)]
    {
        write("record_batch", name, &batch(compression))?;
    }
    write("record_batch", "two", &none.repeat(2))?;

    for (pick, (name, read)) in (0_u8..).zip(MESSAGES) {
        // Every message has a form of nothing but zeros: numbers that are 0, strings and lists that are empty.
        let zeros = (0..64).map(|length| vec![0; length]).find(|body| read(body));
        write("native_messages", name, &[vec![pick], zeros.expect("such a form")].concat())?;
        for (_, body) in full_messages(&none).iter().filter(|(full, _)| full == name) {
            write("native_messages", &format!("{name}-full"), &[&[pick], &body[..]].concat())?;
        }
    }

    for compression in kafka::Compression::ALL {
        write("kafka_batch", compression.name(), &kafka_batch(compression))?;
    }
    for (name, input) in kafka_bodies() {
        write("kafka_messages", &name, &input)?;
    }
    write("kafka_frame", "requests", &kafka_requests())?;
    write("coordinator_records", "groups", &coordinator_of_groups())?;
    write("coordinator_records", "consumers", &coordinator_of_consumers())?;
    write("coordinator_records", "transactions", &coordinator_of_transactions())?;

    write("transactions", "log", &transactions_log())?;
    for version in [3, 5] {
        write("transactions", &format!("requests-{version}"), &transactions_requests(version))?;
    }

    write("config", "default", Config::default().render().as_bytes())?;
    write("config", "few", b"[log]\nsegment = \"64 MiB\"\n\n[node]\nshards = 2\n")?;

    let (section, directory, end) = footer();
    write("footer", "section", &section[..section.len() - 4])?;
    write("footer", "end", &directory)?;

    let unsealed = written_segment(4);
    write("segment", "unsealed", &unsealed)?;
    write("segment", "sealed", &[&unsealed[..unsealed.len() - end.len()], &end].concat())?;

    let handshake =
        HandshakeRequest { min_version: 1, max_version: 1, features: features::ALL, client: "seed" };
    let mut stream = Vec::new();
    put_frame(&mut stream, Api::Handshake, 1, 0, &handshake);
    write("frame", "handshake", &stream)?;
    put_frame(&mut stream, Api::Produce, 2, 0, &ProduceRequest { log: 7, acks: Acks::Synced, batch: &none });
    put_frame(&mut stream, Api::Fetch, 3, ErrorCode::UnknownPartition as u16, &ErrorBody { message: "no" });
    put_frame(&mut stream, Api::Ping, 4, 0, &());
    write("frame", "session", &stream)
}
