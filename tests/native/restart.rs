//! What a restart keeps: everything that was acknowledged.

use std::time::Duration;

use ringmail_wire::protocol::*;

use crate::broker::{Broker, Data};
use crate::client::batch;
use crate::produce::read_all;

#[test]
fn a_stop_and_a_crash_keep_topics_and_records() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = broker.client();
    let logs = client.create("t", 4);
    let config = vec![ConfigEntry { key: "retention.bytes", value: "1000000" }];
    client.call(Api::AlterTopic, &AlterTopicRequest { partitions: 0, name: "t", config }).ok::<()>();
    client.create("gone", 2);
    client.call(Api::DeleteTopic, &DeleteTopicRequest { name: "gone" }).ok::<()>();
    let mut stop: Box<dyn FnOnce(Broker)> = Box::new(|broker| drop(broker.kill()));
    let mut broker = broker;
    for round in 0..4 {
        let mut client = broker.client();
        assert_eq!(client.logs("t"), logs);
        assert!(client.logs("gone").is_empty());
        for (number, log) in logs.iter().enumerate() {
            assert_eq!(client.produce(*log, &[&format!("{number} {round}")]), round);
            let expected: Vec<_> = (0..=round).map(|round| format!("{number} {round}")).collect();
            assert_eq!(read_all(&mut client, *log, expected.len()), expected);
        }
        let frame = client.call(Api::DescribeTopic, &DescribeTopicRequest { name: "t" });
        let described = frame.ok::<DescribeTopicResponse<'_>>();
        assert!(
            described
                .config
                .contains(&(ConfigEntry { key: "retention.bytes", value: "1000000" }, ConfigSource::Topic))
        );
        stop(broker);
        stop = if round % 2 == 0 {
            Box::new(|broker| drop(broker.stop()))
        } else {
            Box::new(|broker| drop(broker.kill()))
        };
        broker = Broker::start_two_shards(&data.path());
    }
    let more = broker.client().create("more", 1);
    assert!(more[0] > logs[3] + 2, "ids of deleted partitions are not used again");
}

/// The kernel closes the sockets of a killed broker some time after the process is gone.
#[test]
fn a_killed_broker_is_started_again_at_its_ports_at_once() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let (address, port) =
        (broker.address.clone(), format!("listen.shard_ports_from={}", broker.shard_ports[0]));
    broker.stop();
    for _ in 0..10 {
        let broker = Broker::start_with(
            &data.path(),
            &["--listen", &address, "--set", &port, "--set", "node.shards=1"],
        );
        let _clients: Vec<_> = (0..8).map(|_| broker.client()).collect();
        broker.kill();
    }
}

#[test]
fn a_crash_under_load_loses_nothing_that_was_acknowledged() {
    let data = Data::new();
    let mut acknowledged = 0;
    for round in 0..4 {
        let broker = Broker::start(&data.path());
        let mut client = broker.client();
        let log = if round == 0 { client.create("t", 1)[0] } else { client.logs("t")[0] };
        let (start, end) = client.offsets(log);
        assert!(start == 0 && end >= acknowledged, "{end} of {acknowledged}");
        let values = read_all(&mut client, log, end as usize);
        assert!(values.into_iter().eq((0..end).map(|number| number.to_string())));
        let mut sender = broker.client();
        let mut frames = Vec::new();
        for number in end..end + 20_000 {
            let request = ProduceRequest { log, acks: Acks::Synced, batch: &batch(&[&number.to_string()]) };
            put_frame(&mut frames, Api::Produce, number as u32, 0, &request);
        }
        let mut writer = sender.stream.try_clone().unwrap();
        // The broker is killed in the middle of it.
        let writing = std::thread::spawn(move || drop(std::io::Write::write_all(&mut writer, &frames)));
        for _ in 0..2_000 + 1_000 * round {
            acknowledged = sender.receive().ok::<ProduceResponse>().base_offset + 1;
        }
        broker.kill();
        while let Some(frame) = sender.try_receive() {
            acknowledged = frame.ok::<ProduceResponse>().base_offset + 1;
        }
        writing.join().unwrap();
    }
}

#[test]
fn more_and_fewer_shards_serve_everything() {
    let data = Data::new();
    let mut broker = Broker::start_with(&data.path(), &["--set", "node.shards=1", "--cores", "0"]);
    let mut all = broker.client().create("one", 3);
    for (cores, shards) in [(2, 3), (1, 1), (2, 4), (1, 2)] {
        broker.stop();
        let (shards_key, core_list) = (format!("node.shards={shards}"), if cores == 1 { "0" } else { "all" });
        broker = Broker::start_with(&data.path(), &["--set", &shards_key, "--cores", core_list]);
        let mut client = broker.client();
        all.extend(client.create(&format!("on-{cores}-{shards}"), 4));
        for log in &all {
            let offset = client.produce(*log, &["a"]);
            assert_eq!(client.fetch(*log, offset), ["a"]);
        }
    }
    assert_eq!(broker.shard_ports.len(), 4);
}

#[test]
fn a_deletion_is_complete_even_if_a_crash_cuts_it_short() {
    let data = Data::new();
    let mut broker = Broker::start_two_shards(&data.path());
    for number in 0..6 {
        let mut client = broker.client();
        let name = format!("t{number}");
        for log in client.create(&name, 4) {
            client.produce(log, &["a"]);
        }
        client.call(Api::DeleteTopic, &DeleteTopicRequest { name: &name }).ok::<()>();
        broker.kill();
        broker = Broker::start_two_shards(&data.path());
    }
    std::thread::sleep(Duration::from_millis(300));
    broker.stop();
    let words = Broker::start_two_shards(&data.path()).stop();
    assert!(!words.contains("belong to no topic"), "{words}");
}

#[test]
fn a_thousand_changes_of_the_catalog_are_read_back() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = broker.client();
    client.create("kept", 3);
    for number in 0..700 {
        let name = format!("t{}", number % 7);
        client.create(&name, 1);
        client.call(Api::DeleteTopic, &DeleteTopicRequest { name: &name }).ok::<()>();
    }
    let (kept, last) = (client.logs("kept"), client.create("last", 2));
    broker.kill();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = broker.client();
    assert_eq!((client.logs("kept"), client.logs("last")), (kept, last));
    let frame = client.call(Api::ListTopics, &ListTopicsRequest);
    assert_eq!(frame.ok::<ListTopicsResponse<'_>>().topics.len(), 2);
}
