//! ListOffsets: the first, the next, by time.

use ringmail_kafka::batch::Compression;
use ringmail_kafka::messages::metadata::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};

use crate::batches::{batch, create, produce};
use crate::broker::{Broker, Data};
use crate::frames::Kafka;

/// Error code, offset and timestamp of a partition.
fn list(
    client: &mut Kafka,
    version: i16,
    partition_index: i32,
    timestamp: i64,
    epoch: i32,
) -> (i16, i64, i64) {
    let partition = ListOffsetsPartition { partition_index, current_leader_epoch: epoch, timestamp };
    let topic = ListOffsetsTopic { name: "t".into(), partitions: vec![partition] };
    let request = ListOffsetsRequest { topics: vec![topic], ..ListOffsetsRequest::default() };
    let answer = client.ask(version, &request);
    let response: ListOffsetsResponse<'_> = answer.body(version);
    let [topic] = &response.topics[..] else { panic!("one topic was asked for") };
    let [listed] = &topic.partitions[..] else { panic!("one partition was asked for") };
    assert_eq!(listed.partition_index, partition_index);
    (listed.error_code, listed.offset, listed.timestamp)
}

#[test]
fn offsets_are_found() {
    let data = Data::new();
    let broker =
        Broker::start_with(&data.path(), &["--set", "node.shards=2", "--set", "topics.partitions=2"]);
    let mut client = Kafka::connect(&broker);
    create(&mut client, "t");
    for partition in [0, 1] {
        for timestamp in [1_000, 3_000, 2_000] {
            let sent = batch(&["a", "b"], timestamp, Compression::Lz4);
            client.ask(9, &produce("t", -1, &[(partition, &sent)]));
        }
        let mut list = |version, timestamp| list(&mut client, version, partition, timestamp, -1);
        for version in 1..=11 {
            assert_eq!(list(version, -2), (0, 0, -1));
            assert_eq!(list(version, -1), (0, 6, -1));
            assert_eq!(list(version, 1_000), (0, 0, 1_000));
            assert_eq!(list(version, 1_001), (0, 2, 3_000));
            assert_eq!(list(version, 3_001), (0, -1, -1));
            let greatest = if version >= 7 { (0, 2, 3_000) } else { (35, -1, -1) };
            assert_eq!(list(version, -3), greatest, "version {version}");
        }
        assert_eq!(list(8, -4), (0, 0, -1));
        assert_eq!(list(9, -5), (0, -1, -1));
    }
    assert_eq!(list(&mut client, 4, 9, -1, -1), (3, -1, -1));
    assert_eq!(list(&mut client, 4, 0, -1, 5), (75, -1, -1));
    assert_eq!(list(&mut client, 4, 0, -1, 0), (0, 6, -1));
}
