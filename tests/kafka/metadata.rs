//! Metadata and DescribeCluster: brokers, topics, and topics that are created when they are asked for.

use ringmail_kafka::codec::Uuid;
use ringmail_kafka::messages::cluster::{DescribeClusterRequest, DescribeClusterResponse};
use ringmail_kafka::messages::metadata::{MetadataRequest, MetadataResponse, MetadataTopic};

use crate::broker::{Broker, Data};
use crate::frames::{Answer, Kafka};

fn by_name(name: &str, create: bool) -> MetadataRequest<'_> {
    let topic = MetadataTopic { topic_id: Uuid::ZERO, name: Some(name.into()) };
    MetadataRequest {
        topics: Some(vec![topic]),
        allow_auto_topic_creation: create,
        ..MetadataRequest::default()
    }
}

fn topic_error(answer: &Answer, version: i16) -> i16 {
    answer.body::<MetadataResponse<'_>>(version).topics[0].error_code
}

#[test]
fn each_shard_is_a_broker_and_leads_its_partitions() {
    let data = Data::new();
    let broker =
        Broker::start_with(&data.path(), &["--set", "node.shards=2", "--set", "topics.partitions=4"]);
    let mut client = Kafka::connect(&broker);
    for version in 4..=13 {
        let answer = client.ask(version, &by_name("orders", true));
        let response: MetadataResponse<'_> = answer.body(version);
        let ports: Vec<_> = response.brokers.iter().map(|b| (b.node_id, &*b.host, b.port)).collect();
        let expected =
            [0, 1].map(|shard| (shard + 1, "127.0.0.1", i32::from(broker.kafka_ports[shard as usize])));
        assert_eq!(ports, expected, "version {version}");
        assert_eq!((response.controller_id, response.cluster_id.as_deref().map(str::len)), (1, Some(22)));
        let [topic] = &response.topics[..] else { panic!("one topic was asked for") };
        assert_eq!((topic.error_code, topic.name.as_deref(), topic.partitions.len()), (0, Some("orders"), 4));
        let mut leaders: Vec<_> = topic.partitions.iter().map(|partition| partition.leader_id).collect();
        leaders.sort_unstable();
        assert_eq!(leaders, [1, 1, 2, 2]);
        for (index, partition) in (0..).zip(&topic.partitions) {
            assert_eq!((partition.partition_index, partition.error_code), (index, 0));
            assert_eq!(*partition.isr_nodes, [partition.leader_id]);
        }
    }
    // Every one of them answers.
    for port in &broker.kafka_ports {
        let answer = Kafka::connect_to(&format!("127.0.0.1:{port}")).ask(1, &by_name("orders", false));
        assert_eq!(topic_error(&answer, 1), 0);
    }
}

#[test]
fn topics_are_found_by_their_ids() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = Kafka::connect(&broker);
    let answer = client.ask(12, &by_name("orders", true));
    let topic_id = answer.body::<MetadataResponse<'_>>(12).topics[0].topic_id;
    assert!(!topic_id.is_zero());
    let ids = [topic_id, Uuid([7; 16])].map(|topic_id| MetadataTopic { topic_id, name: None });
    let by_id = MetadataRequest { topics: Some(ids.to_vec()), ..MetadataRequest::default() };
    let answer = client.ask(12, &by_id);
    let response: MetadataResponse<'_> = answer.body(12);
    let found: Vec<_> =
        response.topics.iter().map(|t| (t.error_code, t.name.as_deref(), t.topic_id)).collect();
    assert_eq!(found, [(0, Some("orders"), topic_id), (100, None, Uuid([7; 16]))]);
}

#[test]
fn topics_are_created_only_where_client_and_broker_want_it() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = Kafka::connect(&broker);
    assert_eq!(topic_error(&client.ask(4, &by_name("orders", false)), 4), 3);
    assert_eq!(topic_error(&client.ask(4, &by_name("a b", true)), 4), 17);
    assert_eq!(topic_error(&client.ask(4, &by_name("a b", false)), 4), 17);
    assert_eq!(topic_error(&client.ask(4, &by_name("__consumer_offsets", true)), 4), 3);
    // Version 3 has no flag: it always creates.
    assert_eq!(topic_error(&client.ask(3, &by_name("orders", false)), 3), 0);
    drop(broker);

    let arguments = ["--set", "node.shards=1", "--set", "kafka.auto_create_topics=false"];
    let broker = Broker::start_with(&data.path(), &arguments);
    let mut client = Kafka::connect(&broker);
    assert_eq!(topic_error(&client.ask(4, &by_name("orders", true)), 4), 0);
    assert_eq!(topic_error(&client.ask(4, &by_name("others", true)), 4), 3);
}

#[test]
fn all_topics_are_listed_and_none_if_none_are_named() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = Kafka::connect(&broker);
    for name in ["b", "a"] {
        assert_eq!(topic_error(&client.ask(4, &by_name(name, true)), 4), 0);
    }
    let names = |answer: &Answer, version| {
        let response: MetadataResponse<'_> = answer.body(version);
        response
            .topics
            .iter()
            .map(|topic| topic.name.as_deref().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    let none = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
    let all = MetadataRequest { topics: None, ..MetadataRequest::default() };
    assert_eq!(names(&client.ask(0, &none), 0), ["a", "b"], "version 0 has no other way to ask for all");
    assert_eq!(names(&client.ask(1, &all), 1), ["a", "b"]);
    assert!(names(&client.ask(13, &none), 13).is_empty());
}

#[test]
fn one_port_is_one_broker() {
    let data = Data::new();
    let arguments = ["--set", "node.shards=2", "--set", "kafka.single_port=true"];
    let told = ["--set", "kafka.advertised_host=broker.example", "--set", "kafka.node_id_base=7"];
    let broker = Broker::start_with(&data.path(), &[&arguments[..], &told].concat());
    assert!(broker.kafka_ports.is_empty());
    let answer = Kafka::connect(&broker).ask(0, &DescribeClusterRequest::default());
    let response: DescribeClusterResponse<'_> = answer.body(0);
    let port = broker.kafka.rsplit(':').next().and_then(|port| port.parse().ok());
    let brokers: Vec<_> = response.brokers.iter().map(|b| (b.broker_id, &*b.host, Some(b.port))).collect();
    assert_eq!((response.controller_id, brokers), (7, vec![(7, "broker.example", port)]));
    assert_eq!(response.cluster_id.len(), 22);
}

#[test]
fn other_ports_can_be_told() {
    let data = Data::new();
    let arguments = ["--set", "node.shards=2", "--set", "kafka.advertised_port=30000"];
    let broker = Broker::start_with(&data.path(), &arguments);
    let answer = Kafka::connect(&broker).ask(0, &DescribeClusterRequest::default());
    let response: DescribeClusterResponse<'_> = answer.body(0);
    let ports: Vec<_> = response.brokers.iter().map(|broker| (broker.broker_id, broker.port)).collect();
    assert_eq!(ports, [(1, 30_000), (2, 30_001)]);
}
