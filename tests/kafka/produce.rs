//! Produce: what is stored, what is answered, and what is refused.

use std::time::{SystemTime, UNIX_EPOCH};

use ringmail_kafka::api::Api;
use ringmail_kafka::batch::{Batches, Compression};
use ringmail_kafka::messages::produce::{ProduceRequest, ProduceResponse, ProduceTopic, ProducedPartition};
use ringmail_kafka::messages::topics::{
    CreatableConfig, CreatableTopic, CreateTopicsRequest, CreateTopicsResponse,
};

use crate::batches::{batch, create, fetch, fetched, produce, records};
use crate::broker::{Broker, Data};
use crate::frames::{Answer, Kafka};

/// What became of the only topic's partitions.
#[track_caller]
fn produced(answer: &Answer, version: i16) -> Vec<ProducedPartition<'_>> {
    let mut response: ProduceResponse<'_> = answer.body(version);
    assert_eq!(response.responses.len(), 1);
    response.responses.remove(0).partition_responses
}

fn codes(partitions: &[ProducedPartition<'_>]) -> Vec<(i32, i16, i64)> {
    partitions.iter().map(|p| (p.index, p.error_code, p.base_offset)).collect()
}

#[test]
fn every_version_stores_and_gives_back_the_bytes_of_the_client() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = Kafka::connect(&broker);
    let id = create(&mut client, "t");
    let codecs =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    let mut stored = Vec::new();
    for version in Api::Produce.versions() {
        let codecs = codecs.iter().filter(|codec| version >= 7 || **codec != Compression::Zstd);
        for codec in codecs {
            let sent = batch(&["first", "second"], 1_000, *codec);
            let mut request = produce("t", -1, &[(0, &sent)]);
            let topics: Vec<ProduceTopic<'_>> =
                request.topic_data.iter().map(|topic| ProduceTopic { topic_id: id, ..topic }).collect();
            request.topic_data = topics.into();
            let answer = client.ask(version, &request);
            let offset = 2 * stored.len() as i64;
            assert_eq!(codes(&produced(&answer, version)), [(0, 0, offset)], "version {version}");
            stored.push(sent);
        }
    }
    let mut next = 0;
    for sent in &stored {
        let answer = client.ask(11, &fetch("t", &[(0, next)]));
        let partitions = fetched(&answer, 11);
        let bytes = partitions[0].records.bytes().expect("they are never null");
        let first = Batches::new(bytes).next().expect("there is one").expect("it is whole");
        assert_eq!((first.base_offset(), first.as_bytes().len()), (next, sent.len()));
        // All but the base offset and the epoch of the leader, which the CRC does not cover.
        assert_eq!(first.as_bytes()[16..], sent[16..]);
        next += 2;
    }
}

#[test]
fn partitions_on_several_shards_are_answered_as_one() {
    let data = Data::new();
    let broker =
        Broker::start_with(&data.path(), &["--set", "node.shards=2", "--set", "topics.partitions=4"]);
    let mut client = Kafka::connect(&broker);
    create(&mut client, "t");
    let batches: Vec<_> =
        ["a", "b", "c", "d"].iter().map(|value| batch(&[value], 1_000, Compression::None)).collect();
    let all: Vec<_> = (0..).zip(&batches).map(|(index, batch)| (index, &batch[..])).collect();
    // Readers see what is synced, and with it all that came before.
    for (acks, offset) in [(1, 0), (-1, 1)] {
        let answer = client.ask(9, &produce("t", acks, &all));
        let expected: Vec<_> = (0..4).map(|index| (index, 0, offset)).collect();
        assert_eq!(codes(&produced(&answer, 9)), expected);
    }
    let answer = client.ask(11, &fetch("t", &[(0, 0), (1, 0), (2, 0), (3, 0)]));
    let found: Vec<_> = fetched(&answer, 11).iter().map(records).collect();
    let expected = ["a", "b", "c", "d"].map(|value| vec![(0, value.to_owned()), (1, value.to_owned())]);
    assert_eq!(found, expected);
}

#[test]
fn each_partition_has_its_own_error() {
    let data = Data::new();
    let broker =
        Broker::start_with(&data.path(), &["--set", "node.shards=1", "--set", "topics.partitions=4"]);
    let mut client = Kafka::connect(&broker);
    create(&mut client, "t");
    let good = batch(&["good"], 1_000, Compression::None);
    let mut corrupt = good.clone();
    *corrupt.last_mut().expect("it is not empty") ^= 1;
    let mut old = good.clone();
    old[16] = 1;
    let large = batch(&[&"x".repeat(9 << 20)], 1_000, Compression::None);
    let parts = [(0, &good[..]), (1, &corrupt), (2, &old), (3, &large), (7, &good), (-1, &good)];
    let answer = client.ask(9, &produce("t", -1, &parts));
    let expected = [(0, 0, 0), (1, 2, -1), (2, 87, -1), (3, 10, -1), (7, 3, -1), (-1, 3, -1)];
    let partitions = produced(&answer, 9);
    assert_eq!(codes(&partitions), expected);
    assert!(partitions[1].error_message.is_some());
    let answer = client.ask(9, &produce("others", -1, &[(0, &good)]));
    assert_eq!(codes(&produced(&answer, 9)), [(0, 3, -1)]);
    let answer = client.ask(13, &produce("", -1, &[(0, &good)]));
    assert_eq!(codes(&produced(&answer, 13)), [(0, 100, -1)]);
    let answer = client.ask(9, &produce("t", 2, &[(0, &good)]));
    assert_eq!(codes(&produced(&answer, 9)), [(0, 21, -1)]);
    // Null in place of batches.
    let mut request = produce("t", -1, &[(0, &good)]);
    let topic = request.topic_data.iter().next().expect("there is one");
    let partition = topic.partition_data.iter().next().expect("there is one");
    let nothing = ringmail_kafka::messages::produce::ProducePartition {
        records: ringmail_kafka::messages::Records::Null,
        ..partition
    };
    request.topic_data = vec![ProduceTopic { partition_data: vec![nothing].into(), ..topic }].into();
    let answer = client.ask(9, &request);
    assert_eq!(codes(&produced(&answer, 9)), [(0, 87, -1)]);
}

/// Without acknowledgements there is no answer at all: what is answered next belongs to the next request.
#[test]
fn without_acknowledgements_there_is_no_answer() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = Kafka::connect(&broker);
    create(&mut client, "t");
    let sent = batch(&["a"], 1_000, Compression::None);
    for _ in 0..10 {
        client.send(9, &produce("t", 0, &[(0, &sent)]));
    }
    let answer = client.ask(9, &produce("t", -1, &[(0, &sent)]));
    assert_eq!(codes(&produced(&answer, 9)), [(0, 0, 10)]);
}

/// It is all that such a producer can notice.
#[test]
fn without_acknowledgements_an_error_ends_the_connection() {
    let data = Data::new();
    let broker =
        Broker::start_with(&data.path(), &["--set", "node.shards=2", "--set", "topics.partitions=2"]);
    create(&mut Kafka::connect(&broker), "t");
    let mut corrupt = batch(&["a"], 1_000, Compression::None);
    *corrupt.last_mut().expect("it is not empty") ^= 1;
    for partition in [0, 1, 2] {
        let mut client = Kafka::connect(&broker);
        client.send(9, &produce("t", 0, &[(partition, &corrupt)]));
        assert!(client.ends(), "partition {partition}");
    }
}

#[test]
fn a_producer_with_several_requests_under_way_gets_their_answers_in_order() {
    let data = Data::new();
    let broker =
        Broker::start_with(&data.path(), &["--set", "node.shards=2", "--set", "topics.partitions=4"]);
    let mut client = Kafka::connect(&broker);
    create(&mut client, "t");
    let sent = batch(&[&"x".repeat(100_000)], 1_000, Compression::None);
    let (mut bytes, mut expected) = (Vec::new(), Vec::new());
    for round in 0..200 {
        // The second is answered as soon as it is written, and may be ready first.
        let acks = if round % 2 == 0 { -1 } else { 1 };
        let (correlation, frame) = client.frame(9, &produce("t", acks, &[(round % 4, &sent)]));
        expected.push(correlation);
        bytes.extend_from_slice(&frame);
    }
    let mut writer = client.stream.try_clone().expect("a second handle");
    let sender = std::thread::spawn(move || std::io::Write::write_all(&mut writer, &bytes));
    for (round, correlation) in (0..).zip(expected) {
        let answer = client.receive();
        assert_eq!(answer.correlation, correlation);
        assert_eq!(codes(&produced(&answer, 9)), [(round % 4, 0, i64::from(round / 4))]);
    }
    sender.join().expect("it does not panic").expect("the broker reads");
}

#[test]
fn the_time_of_the_append_comes_back_where_the_topic_has_it() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = Kafka::connect(&broker);
    let config =
        CreatableConfig { name: "message.timestamp.type".into(), value: Some("LogAppendTime".into()) };
    let topic = CreatableTopic {
        name: "stamped".into(),
        num_partitions: 1,
        replication_factor: 1,
        configs: vec![config],
        ..CreatableTopic::default()
    };
    let answer =
        client.ask(7, &CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() });
    assert_eq!(answer.body::<CreateTopicsResponse<'_>>(7).topics[0].error_code, 0);
    let sent = batch(&["a"], 1_000, Compression::Lz4);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
    let answer = client.ask(9, &produce("stamped", -1, &[(0, &sent)]));
    let partitions = produced(&answer, 9);
    let (code, stamp) = (partitions[0].error_code, partitions[0].log_append_time_ms);
    assert_eq!(code, 0);
    assert!((now - 5_000..now + 60_000).contains(&stamp), "{stamp}");
    let answer = client.ask(11, &fetch("stamped", &[(0, 0)]));
    let partitions = fetched(&answer, 11);
    let bytes = partitions[0].records.bytes().expect("they are never null");
    let first = Batches::new(bytes).next().expect("there is one").expect("it is whole");
    first.check().expect("the CRC is that of the new bytes");
    assert!(first.has_append_time() && first.max_timestamp() == stamp);
}

/// More than a shard takes at once: the producer is slowed down, and nothing is lost or put in another order.
#[test]
fn a_fast_producer_is_slowed_down() {
    let data = Data::new();
    let small = ["limits.frame=1 MiB", "limits.batch=512 KiB", "limits.in_flight_per_connection=4 MiB"];
    let more = ["limits.in_flight_per_shard=4 MiB", "limits.fetch_response=1 MiB", "node.shards=2"];
    let settings = ["topics.partitions=8"].into_iter().chain(small).chain(more);
    let arguments: Vec<_> = settings.flat_map(|setting| ["--set", setting]).collect();
    let broker = Broker::start_with(&data.path(), &arguments);
    let mut client = Kafka::connect(&broker);
    create(&mut client, "t");
    let values: Vec<_> = (0..8).map(|k| char::from(b'a' + k).to_string().repeat(60_000)).collect();
    let batches: Vec<_> = values.iter().map(|value| batch(&[value], 1_000, Compression::None)).collect();
    let all: Vec<_> = (0..).zip(&batches).map(|(index, batch)| (index, &batch[..])).collect();
    let request: ProduceRequest<'_> = produce("t", -1, &all);
    let frames: Vec<_> = (0..100).map(|_| client.frame(9, &request)).collect();
    let expected: Vec<_> = frames.iter().map(|(correlation, _)| *correlation).collect();
    let mut writer = client.stream.try_clone().expect("a second handle");
    let sender = std::thread::spawn(move || {
        frames.iter().try_for_each(|(_, frame)| std::io::Write::write_all(&mut writer, frame))
    });
    for (offset, correlation) in (0..).zip(expected) {
        let answer = client.receive();
        assert_eq!(answer.correlation, correlation);
        let stored: Vec<_> = (0..8).map(|index| (index, 0, offset)).collect();
        assert_eq!(codes(&produced(&answer, 9)), stored);
    }
    sender.join().expect("it does not panic").expect("the broker reads");
}
