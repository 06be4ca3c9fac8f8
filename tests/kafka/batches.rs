//! Batches as clients send them, and the requests that they travel in.

use ringmail_kafka::batch::{Batch, BatchBuilder, BatchHead, Batches, Compression, Headers, Record};
use ringmail_kafka::codec::Uuid;
use ringmail_kafka::messages::Records;
use ringmail_kafka::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchedPartition,
};
use ringmail_kafka::messages::metadata::{MetadataRequest, MetadataResponse, MetadataTopic};
use ringmail_kafka::messages::produce::{ProducePartition, ProduceRequest, ProduceTopic};

use crate::frames::{Answer, Kafka};

/// A batch of these values, `timestamp` milliseconds after the epoch.
pub fn batch(values: &[&str], timestamp: i64, compression: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchHead::default(), 64 << 20, compression);
    for (offset, value) in (0..).zip(values) {
        let value = Some(value.as_bytes());
        let record = Record { offset, timestamp, key: Some(b"key"), value, headers: Headers::default() };
        builder.push(&record, std::iter::empty()).expect("the batch is small");
    }
    let mut bytes = Vec::new();
    builder.finish_into(&mut bytes);
    bytes
}

/// Appends a batch to each of these partitions of a topic.
pub fn produce<'a>(topic: &'a str, acks: i16, partitions: &[(i32, &'a [u8])]) -> ProduceRequest<'a> {
    let partition = |&(index, batch)| ProducePartition { index, records: Records::Here(batch) };
    let partition_data = partitions.iter().map(partition).collect::<Vec<_>>().into();
    let topic = ProduceTopic { name: topic.into(), topic_id: Uuid::ZERO, partition_data };
    ProduceRequest { acks, timeout_ms: 30_000, topic_data: vec![topic].into(), ..ProduceRequest::default() }
}

/// A fetch of these partitions of a topic, each from its offset.
pub fn fetch<'a>(topic: &'a str, partitions: &[(i32, i64)]) -> FetchRequest<'a> {
    let partition = |&(partition, fetch_offset)| FetchPartition {
        partition,
        fetch_offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let partitions = partitions.iter().map(partition).collect::<Vec<_>>().into();
    let topic = FetchTopic { topic: topic.into(), topic_id: Uuid::ZERO, partitions };
    FetchRequest { topics: vec![topic].into(), ..FetchRequest::default() }
}

/// A fetch that waits for `min_bytes` for up to `max_wait_ms`.
pub fn waiting<'a>(fetch: FetchRequest<'a>, min_bytes: i32, max_wait_ms: i32) -> FetchRequest<'a> {
    FetchRequest { min_bytes, max_wait_ms, ..fetch }
}

/// The partitions in the answer to a fetch of one topic.
#[track_caller]
pub fn fetched(answer: &Answer, version: i16) -> Vec<FetchedPartition<'_>> {
    let mut response: FetchResponse<'_> = answer.body(version);
    assert_eq!((response.error_code, response.responses.len()), (0, 1));
    response.responses.remove(0).partitions
}

/// Offsets and values of the records of a partition.
#[track_caller]
pub fn records(partition: &FetchedPartition<'_>) -> Vec<(i64, String)> {
    assert_eq!(partition.error_code, 0);
    let bytes = partition.records.bytes().expect("they are never null");
    let mut records = Vec::new();
    for batch in Batches::new(bytes) {
        read_into(&mut records, &batch.expect("batches are whole"));
    }
    records
}

fn read_into(records: &mut Vec<(i64, String)>, batch: &Batch<'_>) {
    batch.check().expect("its CRC is right");
    let mut scratch = Vec::new();
    let open = batch.open(&mut scratch, 64 << 20).expect("it decompresses");
    for record in open.records() {
        let record = record.expect("it has the form of one");
        let value = String::from_utf8_lossy(record.value.expect("it has a value")).into_owned();
        records.push((record.offset, value));
    }
}

/// Creates a topic by asking for it; gives its id.
pub fn create(client: &mut Kafka, name: &str) -> Uuid {
    let topic = MetadataTopic { topic_id: Uuid::ZERO, name: Some(name.into()) };
    let request = MetadataRequest { topics: Some(vec![topic]), ..MetadataRequest::default() };
    let answer = client.ask(12, &request);
    let response: MetadataResponse<'_> = answer.body(12);
    assert_eq!(response.topics[0].error_code, 0);
    response.topics[0].topic_id
}
