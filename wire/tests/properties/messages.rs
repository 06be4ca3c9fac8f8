//! Messages: what is encoded decodes to the same, and nothing else does.

use proptest::collection::vec;
use proptest::prelude::*;
use ringmail_wire::protocol::*;

/// Runs a block for every message there is, with its name and its type.
macro_rules! for_each_message {
    (|$name:ident, $type:ident| $block:block) => {
        $crate::messages::for_each_message!(@ $name, $type, $block,
            HandshakeRequest, HandshakeResponse, MetadataRequest, MetadataResponse, CreateTopicRequest,
            TopicCreated, AlterTopicRequest, DeleteTopicRequest, ListTopicsRequest, ListTopicsResponse,
            DescribeTopicRequest, DescribeTopicResponse, ProduceRequest, ProduceResponse, FetchRequest,
            FetchResponse, SubscribeRequest, SubscribeResponse, CreditRequest, UnsubscribeRequest,
            PushHeader, ListOffsetsRequest, ListOffsetsResponse, DeleteRecordsRequest,
            DeleteRecordsResponse, ErrorBody,
        )
    };
    (@ $name:ident, $type:ident, $block:block, $($message:ident,)*) => {$({
        #[allow(unused_imports)]
        use ringmail_wire::protocol::$message as $type;
        let $name = stringify!($message);
        $block
    })*};
}
pub(crate) use for_each_message;

fn encoded<'a>(message: &impl Message<'a>) -> Vec<u8> {
    let mut body = Vec::new();
    message.encode(&mut Writer::new(&mut body));
    body
}

/// Encodes, decodes, and cuts at every byte; returns the body.
macro_rules! round_trip {
    ($type:ident, $message:expr) => {
        round_trip!($type, $message, open_ended: None)
    };
    // The last bytes of the body are content without a length of its own: cutting them is not an error.
    ($type:ident, $message:expr, open_ended: $tail:expr) => {{
        let message = $message;
        let mut body = encoded(&message);
        match $type::from_body(&body) {
            Ok(read) => prop_assert_eq!(read, message),
            Err(error) => prop_assert!(false, "{}", error),
        }
        let tail: Option<usize> = $tail;
        for end in 0..body.len() - tail.unwrap_or(0) {
            prop_assert!($type::from_body(&body[..end]).is_err(), "{} of {} bytes", end, body.len());
        }
        if tail.is_none() {
            body.push(0);
            let longer = $type::from_body(&body);
            prop_assert!(longer.is_err(), "a byte too many gave {:?}", longer);
        }
    }};
}

type Pairs = Vec<(String, String)>;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z._-]{1,20}", any::<String>()]
}

fn pairs() -> impl Strategy<Value = Pairs> {
    vec((text(), text()), 0..5)
}

fn entries(pairs: &Pairs) -> Vec<ConfigEntry<'_>> {
    pairs.iter().map(|(key, value)| ConfigEntry { key, value }).collect()
}

prop_compose! {
    fn partitions()(list in vec(any::<(u64, u16)>(), 0..5)) -> Vec<PartitionInfo> {
        list.into_iter().map(|(log, shard)| PartitionInfo { log, shard }).collect()
    }
}

proptest! {
    #[test]
    fn handshake(versions in any::<(u8, u8)>(), features: u64, shard: u16, limits in any::<(u32, u32, u32)>(), name in text()) {
        let (min_version, max_version) = versions;
        round_trip!(HandshakeRequest, HandshakeRequest { min_version, max_version, features, client: &name });
        let (max_frame, max_in_flight, idle_timeout_ms) = limits;
        round_trip!(HandshakeResponse, HandshakeResponse {
            version: min_version, features, shard, max_frame, max_in_flight, idle_timeout_ms, server: &name,
        });
        round_trip!(ErrorBody, ErrorBody { message: &name });
    }

    #[test]
    fn metadata(
        names in vec(text(), 0..5),
        shards in vec((any::<(u16, u16)>(), text()), 0..5),
        topics in vec((text(), any::<u64>(), partitions()), 0..5),
    ) {
        round_trip!(MetadataRequest, MetadataRequest { topics: names.iter().map(String::as_str).collect() });
        let shards = shards.iter().map(|((shard, port), host)| ShardInfo { shard: *shard, port: *port, host });
        let topics =
            topics.iter().map(|(name, id, partitions)| TopicInfo { name, id: *id, partitions: partitions.clone() });
        round_trip!(MetadataResponse, MetadataResponse { shards: shards.collect(), topics: topics.collect() });
    }

    #[test]
    fn topics(partitions: u32, id: u64, name in text(), config in pairs(), listed in vec((text(), any::<u32>()), 0..5)) {
        round_trip!(CreateTopicRequest, CreateTopicRequest { partitions, name: &name, config: entries(&config) });
        round_trip!(TopicCreated, TopicCreated { id, partitions });
        round_trip!(AlterTopicRequest, AlterTopicRequest { partitions, name: &name, config: entries(&config) });
        round_trip!(DeleteTopicRequest, DeleteTopicRequest { name: &name });
        round_trip!(DescribeTopicRequest, DescribeTopicRequest { name: &name });
        round_trip!(ListTopicsRequest, ListTopicsRequest);
        let topics = listed.iter().map(|(name, partitions)| ListedTopic { name, partitions: *partitions }).collect();
        round_trip!(ListTopicsResponse, ListTopicsResponse { topics });
    }

    #[test]
    fn description(
        id: u64,
        config in vec((text(), text(), any::<bool>()), 0..5),
        partitions in vec(any::<(u64, u16, u64, u64, u64)>(), 0..5),
    ) {
        let config = config.iter().map(|(key, value, set)| {
            (ConfigEntry { key, value }, if *set { ConfigSource::Topic } else { ConfigSource::Default })
        });
        let partitions = partitions.into_iter().map(|(log, shard, log_start, high_watermark, bytes)| {
            DescribedPartition { log, shard, log_start, high_watermark, bytes }
        });
        let answer = DescribeTopicResponse { id, config: config.collect(), partitions: partitions.collect() };
        round_trip!(DescribeTopicResponse, answer);
    }

    #[test]
    fn produce(log: u64, base_offset: u64, acks in 0_u8..3, batch in vec(any::<u8>(), 0..50)) {
        let acks = Acks::from_number(acks).unwrap();
        let request = ProduceRequest { log, acks, batch: &batch };
        round_trip!(ProduceRequest, request, open_ended: Some(batch.len()));
        prop_assert_eq!(encoded(&request).len(), PRODUCE_PREFIX_BYTES + batch.len());
        round_trip!(ProduceResponse, ProduceResponse { base_offset });
    }

    #[test]
    fn fetch(
        max_wait_ms: u32, min_bytes: u32, max_bytes: u32,
        asked in vec(any::<(u64, u64, u32)>(), 0..5),
        got in vec((any::<(u64, u16, u64, u64)>(), vec(any::<u8>(), 0..20)), 0..5),
    ) {
        let partitions = asked.into_iter().map(|(log, offset, max_bytes)| FetchPartition { log, offset, max_bytes });
        let request = FetchRequest { max_wait_ms, min_bytes, max_bytes, partitions: partitions.collect() };
        round_trip!(FetchRequest, request);
        let partitions = got.iter().map(|((log, code, high_watermark, log_start), batches)| FetchedPartition {
            header: FetchedPartitionHeader {
                log: *log, code: *code, high_watermark: *high_watermark, log_start: *log_start,
                bytes: batches.len() as u32,
            },
            batches,
        });
        round_trip!(FetchResponse, FetchResponse { partitions: partitions.collect() });
    }

    #[test]
    fn subscribe(subscription: u32, log: u64, offset: u64, credit: u32, high_watermark: u64) {
        round_trip!(SubscribeRequest, SubscribeRequest { subscription, log, offset, credit });
        round_trip!(SubscribeResponse, SubscribeResponse { log_start: offset, high_watermark });
        round_trip!(CreditRequest, CreditRequest { subscription, bytes: credit });
        round_trip!(UnsubscribeRequest, UnsubscribeRequest { subscription });
        round_trip!(PushHeader, PushHeader { high_watermark });
    }

    #[test]
    fn offsets(
        queries in vec((any::<u64>(), 0..3, any::<i64>()), 0..5),
        answers in vec(any::<(u64, u16, u64)>(), 0..5),
        log: u64, before: u64,
    ) {
        let queries = queries.into_iter().map(|(log, kind, timestamp)| ListOffsetsQuery {
            log,
            query: [OffsetQuery::First, OffsetQuery::Last, OffsetQuery::Timestamp(timestamp)][kind as usize],
        });
        round_trip!(ListOffsetsRequest, ListOffsetsRequest { queries: queries.collect() });
        let offsets = answers.into_iter().map(|(log, code, offset)| ListedOffset { log, code, offset });
        round_trip!(ListOffsetsResponse, ListOffsetsResponse { offsets: offsets.collect() });
        round_trip!(DeleteRecordsRequest, DeleteRecordsRequest { log, before });
        round_trip!(DeleteRecordsResponse, DeleteRecordsResponse { log_start: before });
    }

    /// A string that is too long for its length is cut, between characters.
    #[test]
    fn long_strings(pad in 0_usize..4, character in any::<char>()) {
        let long = "x".repeat(pad) + &character.to_string().repeat(70_000);
        let body = encoded(&ErrorBody { message: &long });
        let read = ErrorBody::from_body(&body).unwrap().message;
        prop_assert!(long.starts_with(read) && read.len() > 65_535 - 4 && read.len() <= 65_535);
    }
}

#[test]
fn values_that_mean_nothing() {
    let mut produce = encoded(&ProduceRequest { log: 1, acks: Acks::None, batch: b"" });
    produce[8] = 3;
    assert_eq!(ProduceRequest::from_body(&produce), Err(DecodeError::Value("acks", 3)));

    let query = ListOffsetsQuery { log: 1, query: OffsetQuery::Last };
    let mut offsets = encoded(&ListOffsetsRequest { queries: vec![query] });
    offsets[12] = 9;
    assert_eq!(ListOffsetsRequest::from_body(&offsets), Err(DecodeError::Value("kind", 9)));

    assert_eq!(ErrorBody::from_body(&[1, 0, 0xff]), Err(DecodeError::NotUtf8("message")));
    assert_eq!(<()>::from_body(&[0]), Err(DecodeError::Trailing(1)));
}
