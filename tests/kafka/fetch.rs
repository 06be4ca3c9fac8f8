//! Fetch: long polls, limits, errors, and what came over the native protocol.

use std::time::{Duration, Instant};

use ringmail_kafka::api::Api;
use ringmail_kafka::batch::Compression;
use ringmail_kafka::codec::Uuid;
use ringmail_kafka::messages::Records;
use ringmail_kafka::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};

use crate::batches::{batch, create, fetch, fetched, produce, records, waiting};
use crate::broker::{Broker, Data};
use crate::frames::Kafka;

/// Appends these values as a batch of their own each.
fn append(client: &mut Kafka, topic: &str, partition: i32, values: &[&str]) {
    for value in values {
        let sent = batch(&[value], 1_000, Compression::None);
        client.ask(9, &produce(topic, -1, &[(partition, &sent)]));
    }
}

fn by_id(request: FetchRequest<'_>, topic_id: Uuid) -> FetchRequest<'_> {
    let topics: Vec<FetchTopic<'_>> =
        request.topics.iter().map(|topic| FetchTopic { topic_id, ..topic }).collect();
    FetchRequest { topics: topics.into(), ..request }
}

#[test]
fn every_version_reads() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = Kafka::connect(&broker);
    let id = create(&mut client, "t");
    append(&mut client, "t", 0, &["a", "b"]);
    for version in Api::Fetch.versions() {
        let answer = client.ask(version, &by_id(fetch("t", &[(0, 0)]), id));
        let partitions = fetched(&answer, version);
        assert_eq!(records(&partitions[0]), [(0, "a".to_owned()), (1, "b".to_owned())], "version {version}");
        let [partition] = &partitions[..] else { panic!("one was asked for") };
        assert_eq!((partition.high_watermark, partition.last_stable_offset), (2, 2));
        assert_eq!(partition.aborted_transactions, None);
        if version >= 5 {
            assert_eq!(partition.log_start_offset, 0);
        }
    }
}

#[test]
fn nothing_new_is_no_bytes_and_never_null() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = Kafka::connect(&broker);
    let id = create(&mut client, "t");
    for version in Api::Fetch.versions() {
        let request = FetchRequest { isolation_level: 1, ..by_id(fetch("t", &[(0, 0)]), id) };
        let answer = client.ask(version, &request);
        let partitions = fetched(&answer, version);
        assert_eq!(partitions[0].records, Records::Here(&[]), "version {version}");
        assert_eq!(partitions[0].aborted_transactions, Some(Vec::new()));
    }
}

#[test]
fn a_fetch_into_a_batch_gets_all_of_it() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = Kafka::connect(&broker);
    create(&mut client, "t");
    let sent = batch(&["a", "b", "c"], 1_000, Compression::Zstd);
    client.ask(9, &produce("t", -1, &[(0, &sent)]));
    let answer = client.ask(11, &fetch("t", &[(0, 2)]));
    let found = records(&fetched(&answer, 11)[0]);
    assert_eq!(found.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn the_first_batch_comes_whatever_the_limits() {
    let data = Data::new();
    let broker =
        Broker::start_with(&data.path(), &["--set", "node.shards=2", "--set", "topics.partitions=2"]);
    let mut client = Kafka::connect(&broker);
    create(&mut client, "t");
    let large = "x".repeat(10_000);
    for partition in [0, 1] {
        append(&mut client, "t", partition, &[&large, &large]);
    }
    let request = FetchRequest { max_bytes: 1, ..fetch("t", &[(0, 0), (1, 0)]) };
    let answer = client.ask(11, &request);
    let found: Vec<_> = fetched(&answer, 11).iter().map(|partition| records(partition).len()).collect();
    assert_eq!(found, [1, 0], "one batch, and the partition after it is there without any");
    let tiny = |partition| FetchPartition { partition_max_bytes: 0, ..partition };
    let topic = fetch("t", &[(1, 1)]).topics.iter().next().expect("there is one");
    let partitions: Vec<_> = topic.partitions.iter().map(tiny).collect();
    let topics = vec![FetchTopic { partitions: partitions.into(), ..topic }];
    let answer = client.ask(11, &FetchRequest { topics: topics.into(), ..FetchRequest::default() });
    assert_eq!(records(&fetched(&answer, 11)[0]).len(), 1);
}

#[test]
fn a_long_poll_ends_with_its_time_or_with_enough() {
    let data = Data::new();
    let broker =
        Broker::start_with(&data.path(), &["--set", "node.shards=2", "--set", "topics.partitions=2"]);
    let (mut client, mut producer) = (Kafka::connect(&broker), Kafka::connect(&broker));
    create(&mut client, "t");
    let both = || fetch("t", &[(0, 0), (1, 0)]);
    let since = Instant::now();
    let answer = client.ask(11, &waiting(both(), 1, 300));
    assert!(since.elapsed() >= Duration::from_millis(300), "nothing came, so it waits");
    assert!(fetched(&answer, 11).iter().all(|partition| records(partition).is_empty()));

    for partition in [0, 1] {
        let from = fetch("t", &[(partition, 0)]);
        let correlation = client.send(11, &waiting(from, 1, 60_000));
        std::thread::sleep(Duration::from_millis(50));
        append(&mut producer, "t", partition, &["a"]);
        let answer = client.receive();
        assert_eq!(answer.correlation, correlation);
        assert_eq!(records(&fetched(&answer, 11)[0]), [(0, "a".to_owned())]);
    }

    // Two batches of about 80 bytes are not enough, the third is.
    client.send(11, &waiting(fetch("t", &[(0, 1), (1, 1)]), 200, 60_000));
    append(&mut producer, "t", 0, &["b"]);
    append(&mut producer, "t", 1, &["c"]);
    client.stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let mut early = [0; 1];
    assert!(std::io::Read::read(&mut client.stream, &mut early).is_err(), "it is not enough yet");
    client.stream.set_read_timeout(Some(crate::broker::PATIENCE)).expect("a timeout");
    append(&mut producer, "t", 0, &["d"]);
    let answer = client.receive();
    let found: Vec<_> = fetched(&answer, 11).iter().map(|partition| records(partition).len()).collect();
    assert_eq!(found, [2, 1]);
}

/// It waited for its time although it was to be told at once.
#[test]
fn errors_are_told_at_once() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = Kafka::connect(&broker);
    create(&mut client, "t");
    append(&mut client, "t", 0, &["a"]);
    let codes = |client: &mut Kafka, version: i16, request: FetchRequest<'_>| {
        let since = Instant::now();
        let answer = client.ask(version, &waiting(request, 1 << 20, 60_000));
        assert!(since.elapsed() < Duration::from_secs(20));
        fetched(&answer, version).iter().map(|p| (p.partition_index, p.error_code)).collect::<Vec<_>>()
    };
    assert_eq!(codes(&mut client, 11, fetch("t", &[(0, 0), (5, 0)])), [(0, 0), (5, 3)]);
    assert_eq!(codes(&mut client, 11, fetch("others", &[(0, 0)])), [(0, 3)]);
    assert_eq!(codes(&mut client, 13, by_id(fetch("", &[(0, 0)]), Uuid([7; 16]))), [(0, 100)]);
    assert_eq!(codes(&mut client, 11, fetch("t", &[(0, 9)])), [(0, 1)]);
    assert_eq!(codes(&mut client, 11, fetch("t", &[(0, -5)])), [(0, 1)]);
    let newer = |partition| FetchPartition { current_leader_epoch: 3, ..partition };
    let topic = fetch("t", &[(0, 0)]).topics.iter().next().expect("there is one");
    let partitions: Vec<_> = topic.partitions.iter().map(newer).collect();
    let topics = vec![FetchTopic { partitions: partitions.into(), ..topic }];
    let request = FetchRequest { topics: topics.into(), ..FetchRequest::default() };
    assert_eq!(codes(&mut client, 11, request), [(0, 75)]);
}

/// A fetch that waits has nothing behind it taken, and what was sent behind it is answered after it.
#[test]
fn a_request_behind_a_long_poll_waits_for_it() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = Kafka::connect(&broker);
    create(&mut client, "t");
    let first = client.send(11, &waiting(fetch("t", &[(0, 0)]), 1, 300));
    let second = client.send(11, &fetch("t", &[(0, 0)]));
    assert_eq!([client.receive().correlation, client.receive().correlation], [first, second]);
}

#[test]
fn a_long_poll_ends_with_the_broker() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = Kafka::connect(&broker);
    create(&mut client, "t");
    client.send(11, &waiting(fetch("t", &[(0, 0)]), 1, 60_000));
    std::thread::sleep(Duration::from_millis(50));
    let since = Instant::now();
    broker.stop();
    assert!(since.elapsed() < Duration::from_secs(8), "nobody waits for the end of the grace");
    let answer = client.receive();
    assert!(records(&fetched(&answer, 11)[0]).is_empty());
}

#[test]
fn what_came_over_the_native_protocol_is_read_and_the_other_way_round() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let (mut client, mut native) = (Kafka::connect(&broker), broker.client());
    create(&mut client, "t");
    let log = native.logs("t")[0];
    native.produce(log, &["one", "two"]);
    append(&mut client, "t", 0, &["three"]);
    native.produce(log, &["four"]);
    let expected = ["one", "two", "three", "four"];
    let answer = client.ask(11, &fetch("t", &[(0, 0)]));
    let found: Vec<_> = records(&fetched(&answer, 11)[0]);
    let numbered: Vec<_> = (0..).zip(expected).map(|(offset, value)| (offset, value.to_owned())).collect();
    assert_eq!(found, numbered);
    assert_eq!(native.fetch(log, 0), expected);
}

#[test]
fn there_are_no_sessions_yet_and_clients_are_told_so() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = Kafka::connect(&broker);
    create(&mut client, "t");
    let begins = FetchRequest { session_epoch: 0, ..fetch("t", &[(0, 0)]) };
    let answer = client.ask(11, &begins);
    assert_eq!(answer.body::<FetchResponse<'_>>(11).session_id, 0);
    let goes_on = FetchRequest { session_id: 77, session_epoch: 1, ..FetchRequest::default() };
    let answer = client.ask(11, &goes_on);
    assert_eq!(answer.body::<FetchResponse<'_>>(11).error_code, 70);
}
