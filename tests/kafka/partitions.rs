//! Records that are deleted, and how large partitions are.

use ringmail_kafka::messages::cluster::*;
use ringmail_kafka::messages::topics::*;

use crate::broker::{Broker, Data};
use crate::frames::Kafka;
use crate::topics::{configured, create, topic};

fn delete(client: &mut Kafka, name: &str, offsets: &[i64]) -> Vec<(i64, i16)> {
    let partition =
        |(partition_index, offset): (i32, &i64)| DeleteRecordsPartition { partition_index, offset: *offset };
    let partitions = (0..).zip(offsets).map(partition).collect();
    let topics = vec![DeleteRecordsTopic { name: name.into(), partitions }];
    let answer = client.ask(2, &DeleteRecordsRequest { topics, timeout_ms: 1_000 });
    let response: DeleteRecordsResponse<'_> = answer.body(2);
    response.topics[0].partitions.iter().map(|p| (p.low_watermark, p.error_code)).collect()
}

#[test]
fn records_are_deleted_on_every_shard() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = Kafka::connect(&broker);
    create(&mut client, vec![topic("t", 4), configured("compacted", &[("cleanup.policy", Some("compact"))])]);
    let mut native = broker.client();
    for log in native.logs("t") {
        assert_eq!(native.produce(log, &["a", "b", "c"]), 0);
    }
    assert_eq!(delete(&mut client, "t", &[2, -1, 4, -2, 0]), [(2, 0), (3, 0), (-1, 1), (-1, 1), (-1, 3)]);
    assert_eq!(delete(&mut client, "t", &[1, 3]), [(2, 0), (3, 0)], "what is gone stays gone");
    assert_eq!(delete(&mut client, "compacted", &[0]), [(-1, 44)]);
    assert_eq!(delete(&mut client, "x", &[0]), [(-1, 3)]);
}

#[test]
fn each_broker_tells_the_size_of_its_partitions() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = Kafka::connect(&broker);
    create(&mut client, vec![topic("t", 4)]);
    let mut native = broker.client();
    for log in native.logs("t") {
        assert_eq!(native.produce(log, &["a"]), 0);
    }
    let mut seen = Vec::new();
    for port in &broker.kafka_ports {
        let mut client = Kafka::connect_to(&format!("127.0.0.1:{port}"));
        for version in 1..=5 {
            let answer = client.ask(version, &DescribeLogDirsRequest { topics: None });
            let response: DescribeLogDirsResponse<'_> = answer.body(version);
            let [dir] = &response.results[..] else { panic!("there is one directory") };
            assert_eq!((dir.error_code, &*dir.log_dir), (0, data.path().to_str().unwrap()));
            let partitions = &dir.topics[0].partitions;
            assert!(
                partitions.len() == 2 && partitions.iter().all(|p| p.partition_size > 0),
                "{partitions:?}"
            );
            seen.extend(partitions.iter().filter(|_| version == 5).map(|p| p.partition_index));
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3]);
}
