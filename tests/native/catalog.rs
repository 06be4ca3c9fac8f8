//! Topics: create, alter, describe, list, delete, from every shard.

use ringmail_wire::protocol::*;

use crate::broker::{Broker, Data};
use crate::client::Client;

fn create(client: &mut Client, name: &str, partitions: u32, config: &[(&str, &str)]) -> u16 {
    let config = config.iter().map(|(key, value)| ConfigEntry { key, value }).collect();
    client.call(Api::CreateTopic, &CreateTopicRequest { partitions, name, config }).header.code
}

#[test]
fn a_new_topic_is_there_on_every_shard_at_once() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut clients = [broker.client_at(0), broker.client_at(1)];
    for number in 0..30 {
        let (first, second) = clients.split_at_mut(1);
        let (creator, other) =
            if number % 2 == 0 { (&mut first[0], &mut second[0]) } else { (&mut second[0], &mut first[0]) };
        let name = format!("t{number}");
        creator.create(&name, 2);
        for log in other.logs(&name) {
            assert_eq!(other.produce(log, &["a"]), 0);
        }
        creator.call(Api::DeleteTopic, &DeleteTopicRequest { name: &name }).ok::<()>();
        assert!(other.logs(&name).is_empty());
    }
}

#[test]
fn topics_are_listed_and_described() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = broker.client_at(1);
    assert_eq!(create(&mut client, "b", 3, &[("retention.ms", "-1")]), 0);
    assert_eq!(create(&mut client, "a", 0, &[]), 0);
    let frame = client.call(Api::ListTopics, &ListTopicsRequest);
    let topics = frame.ok::<ListTopicsResponse<'_>>().topics;
    assert_eq!(topics, [ListedTopic { name: "a", partitions: 1 }, ListedTopic { name: "b", partitions: 3 }]);

    let logs = client.logs("b");
    client.produce(logs[2], &["x", "y"]);
    let frame = client.call(Api::DescribeTopic, &DescribeTopicRequest { name: "b" });
    let described = frame.ok::<DescribeTopicResponse<'_>>();
    let watermarks: Vec<_> = described.partitions.iter().map(|p| (p.log, p.high_watermark)).collect();
    assert_eq!(watermarks, [(logs[0], 0), (logs[1], 0), (logs[2], 2)]);
    assert!(described.partitions[2].bytes > 0);
    let entry = |key| described.config.iter().find(|(entry, _)| entry.key == key).unwrap();
    assert_eq!((entry("retention.ms").0.value, entry("retention.ms").1), ("-1", ConfigSource::Topic));
    assert_eq!((entry("retention.bytes").0.value, entry("retention.bytes").1), ("-1", ConfigSource::Default));
    assert_eq!(entry("cleanup.policy").0.value, "delete");
    assert_eq!(entry("max.message.bytes").0.value, (8 << 20).to_string());
}

#[test]
fn a_topic_is_altered() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = broker.client();
    let before = client.create("t", 2);
    client.produce(before[1], &["a"]);
    let config = vec![ConfigEntry { key: "max.message.bytes", value: "200" }];
    client.call(Api::AlterTopic, &AlterTopicRequest { partitions: 5, name: "t", config }).ok::<()>();
    let after = client.logs("t");
    assert_eq!((after.len(), &after[..2]), (5, &before[..]));
    assert_eq!(client.fetch(after[1], 0), ["a"]);
    for log in after {
        let large = crate::client::batch(&["x".repeat(300).as_str()]);
        let request = ProduceRequest { log, acks: Acks::Synced, batch: &large };
        assert_eq!(client.call(Api::Produce, &request).error(), ErrorCode::BatchTooLarge);
    }
    let config = vec![ConfigEntry { key: "max.message.bytes", value: "" }];
    client.call(Api::AlterTopic, &AlterTopicRequest { partitions: 0, name: "t", config }).ok::<()>();
    client.produce(before[0], &["x".repeat(300).as_str()]);
}

#[test]
fn what_cannot_be_is_refused() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = broker.client();
    assert_eq!(create(&mut client, "t", 2, &[]), 0);
    for (name, partitions, config, code) in [
        ("t", 1, [].as_slice(), ErrorCode::TopicExists),
        ("", 1, &[], ErrorCode::InvalidTopicName),
        ("a b", 1, &[], ErrorCode::InvalidTopicName),
        ("..", 1, &[], ErrorCode::InvalidTopicName),
        ("u", 10_001, &[], ErrorCode::InvalidPartitions),
        ("u", 1, &[("retention.mss", "1")], ErrorCode::InvalidConfig),
        ("u", 1, &[("cleanup.policy", "shred")], ErrorCode::InvalidConfig),
        ("__consumer_offsets", 1, &[], ErrorCode::InvalidTopicName),
        ("u", 1, &[("max.message.bytes", "1000000000")], ErrorCode::InvalidConfig),
    ] {
        assert_eq!(create(&mut client, name, partitions, config), code as u16, "{name}");
    }
    let request = AlterTopicRequest { partitions: 1, name: "t", config: vec![] };
    let frame = client.call(Api::AlterTopic, &request);
    assert_eq!(frame.error(), ErrorCode::InvalidPartitions);
    assert!(frame.words().contains("write 2 or more"), "{}", frame.words());
    for frame in [
        client.call(Api::DeleteTopic, &DeleteTopicRequest { name: "u" }),
        client.call(Api::DescribeTopic, &DescribeTopicRequest { name: "u" }),
    ] {
        assert_eq!(frame.error(), ErrorCode::UnknownTopic);
    }
    assert_eq!(client.logs("t").len(), 2);
}

#[test]
fn ten_thousand_partitions() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = broker.client();
    let logs = client.create("t", 10_000);
    assert_eq!(logs.len(), 10_000);
    for log in logs.iter().step_by(1_999) {
        assert_eq!(client.produce(*log, &["a"]), 0);
        assert_eq!(client.fetch(*log, 0), ["a"]);
    }
    let frame = client.call(Api::DescribeTopic, &DescribeTopicRequest { name: "t" });
    let described = frame.ok::<DescribeTopicResponse<'_>>();
    assert_eq!(described.partitions.iter().map(|partition| partition.high_watermark).sum::<u64>(), 6);
    client.call(Api::DeleteTopic, &DeleteTopicRequest { name: "t" }).ok::<()>();
}
