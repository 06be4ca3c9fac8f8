//! Topics: created, deleted, grown, described, and what is said of where they are.

use ringmail_kafka::codec::Uuid;
use ringmail_kafka::messages::cluster::*;
use ringmail_kafka::messages::metadata::*;
use ringmail_kafka::messages::topics::*;

use crate::broker::{Broker, Data};
use crate::frames::Kafka;

pub fn topic(name: &str, partitions: i32) -> CreatableTopic<'_> {
    CreatableTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: -1,
        ..CreatableTopic::default()
    }
}

fn assigned<'a>(name: &'a str, brokers: &[&[i32]]) -> CreatableTopic<'a> {
    let assignments = (0..).zip(brokers);
    let assignments = assignments.map(|(partition_index, brokers)| CreatableAssignment {
        partition_index,
        broker_ids: brokers.to_vec(),
    });
    CreatableTopic { assignments: assignments.collect(), ..topic(name, -1) }
}

pub fn configured<'a>(name: &'a str, configs: &[(&'a str, Option<&'a str>)]) -> CreatableTopic<'a> {
    let config = |(name, value): &(&'a str, Option<&'a str>)| CreatableConfig {
        name: (*name).into(),
        value: value.map(Into::into),
    };
    CreatableTopic { configs: configs.iter().map(config).collect(), ..topic(name, 1) }
}

/// Creates topics; gives the errors of those that could not be, and their words.
#[track_caller]
pub fn create(client: &mut Kafka, topics: Vec<CreatableTopic<'_>>) -> Vec<(i16, String)> {
    let answer = client.ask(7, &CreateTopicsRequest { topics, ..CreateTopicsRequest::default() });
    let response: CreateTopicsResponse<'_> = answer.body(7);
    let error = |topic: &CreatedTopic<'_>| {
        (topic.error_code, topic.error_message.clone().unwrap_or_default().into_owned())
    };
    response.topics.iter().map(error).collect()
}

fn leaders(client: &mut Kafka, name: &str) -> Vec<i32> {
    let topics = Some(vec![MetadataTopic { topic_id: Uuid::ZERO, name: Some(name.into()) }]);
    let answer = client
        .ask(12, &MetadataRequest { topics, allow_auto_topic_creation: false, ..MetadataRequest::default() });
    let response: MetadataResponse<'_> = answer.body(12);
    response.topics[0].partitions.iter().map(|partition| partition.leader_id).collect()
}

#[test]
fn topics_are_created_on_every_version() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = Kafka::connect(&broker);
    for version in 2..=7 {
        let name = format!("t{version}");
        let request = CreateTopicsRequest { topics: vec![topic(&name, 3)], ..CreateTopicsRequest::default() };
        let answer = client.ask(version, &request);
        let response: CreateTopicsResponse<'_> = answer.body(version);
        let [created] = &response.topics[..] else { panic!("one was asked for") };
        assert_eq!(
            (created.error_code, &*created.name, created.error_message.as_deref()),
            (0, name.as_str(), None)
        );
        assert_eq!(leaders(&mut client, &name).len(), 3, "it is there on every shard at once");
        if version >= 5 {
            assert_eq!((created.num_partitions, created.replication_factor), (3, 1));
            let configs = created.configs.as_ref().expect("Java dereferences them");
            let retention = configs.iter().find(|config| config.name == "retention.ms").unwrap();
            assert_eq!((retention.value.as_deref(), retention.config_source), (Some("604800000"), 5));
        }
        assert_eq!(created.topic_id.is_zero(), version < 7);
    }
}

#[test]
fn what_cannot_be_created_is_refused_by_itself() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = Kafka::connect(&broker);
    assert_eq!(create(&mut client, vec![topic("a.b", 1)])[0].0, 0);
    let refused: Vec<(CreatableTopic<'_>, i16, &str)> = vec![
        (topic("a.b", 1), 36, "exists already"),
        (topic("a_b", 1), 17, "collides with topic a.b"),
        (topic("a b", 1), 17, "contains ' '"),
        (topic("__consumer_offsets", 1), 17, "internal"),
        (topic("none", 0), 37, "write 1 or more"),
        (topic("many", 1 << 30), 37, "too many"),
        (CreatableTopic { replication_factor: 3, ..topic("three", 1) }, 38, "is 1 here"),
        (CreatableTopic { num_partitions: 2, ..assigned("both", &[&[1]]) }, 42, "are -1"),
        (assigned("two", &[&[1, 2]]), 39, "one replica"),
        (assigned("nowhere", &[&[7]]), 39, "no broker 7"),
        (configured("config", &[("retention.mss", Some("1"))]), 40, "did you mean retention.ms?"),
        (configured("value", &[("retention.ms", Some("soon"))]), 40, "whole number"),
        (configured("null", &[("retention.ms", None)]), 40, "has no value"),
        (topic("twice", 1), 42, "more than once"),
        (topic("twice", 2), 42, "more than once"),
    ];
    let mut all: Vec<_> = refused.iter().map(|(topic, ..)| topic.clone()).collect();
    all.push(topic("good", 1));
    let errors = create(&mut client, all);
    assert_eq!(errors.len(), refused.len(), "one that is named twice is answered once");
    for ((code, words), (topic, expected, contained)) in errors[..errors.len() - 1].iter().zip(&refused) {
        assert_eq!((code, words.contains(contained)), (expected, true), "{}: {words}", topic.name);
    }
    assert_eq!(errors.last().unwrap().0, 0, "the others are created");
}

#[test]
fn assigned_partitions_are_where_they_are_assigned_to() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = Kafka::connect(&broker);
    assert_eq!(create(&mut client, vec![assigned("t", &[&[2], &[2], &[1]])])[0].0, 0);
    assert_eq!(leaders(&mut client, "t"), [2, 2, 1]);
    let grow = |count, brokers: Option<&[&[i32]]>| CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name: "t".into(),
            count,
            assignments: brokers.map(|brokers| {
                brokers.iter().map(|b| CreatePartitionsAssignment { broker_ids: b.to_vec() }).collect()
            }),
        }],
        ..CreatePartitionsRequest::default()
    };
    for (request, code) in [
        (grow(3, None), 37),
        (grow(-1, None), 37),
        (grow(5, Some(&[&[1]])), 39),
        (grow(4, Some(&[&[3]])), 39),
        (CreatePartitionsRequest { validate_only: true, ..grow(4, None) }, 0),
        (grow(5, Some(&[&[1], &[1]])), 0),
    ] {
        let answer = client.ask(3, &request);
        let response: CreatePartitionsResponse<'_> = answer.body(3);
        assert_eq!((response.results[0].error_code, &*response.results[0].name), (code, "t"), "{request:?}");
    }
    assert_eq!(leaders(&mut client, "t"), [2, 2, 1, 1, 1]);
}

#[test]
fn validation_changes_nothing() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = Kafka::connect(&broker);
    let topics = vec![topic("t", 2), topic("a b", 1)];
    let answer =
        client.ask(7, &CreateTopicsRequest { topics, validate_only: true, ..CreateTopicsRequest::default() });
    let response: CreateTopicsResponse<'_> = answer.body(7);
    let seen: Vec<_> = response.topics.iter().map(|topic| (topic.error_code, topic.num_partitions)).collect();
    assert_eq!(seen, [(0, 2), (17, -1)]);
    assert!(leaders(&mut client, "t").is_empty());
}

#[test]
fn a_thousand_topics_come_with_one_request() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = Kafka::connect(&broker);
    let names: Vec<String> = (0..2_000).map(|k| format!("t{k}")).collect();
    let errors = create(&mut client, names.iter().map(|name| topic(name, 1)).collect());
    assert!(errors.len() == 2_000 && errors.iter().all(|(code, _)| *code == 0), "{errors:?}");
}

#[test]
fn topics_are_deleted_by_name_and_by_id() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = Kafka::connect(&broker);
    let answer = client.ask(
        7,
        &CreateTopicsRequest {
            topics: vec![topic("a", 1), topic("b", 1), topic("c", 1)],
            ..CreateTopicsRequest::default()
        },
    );
    let created: CreateTopicsResponse<'_> = answer.body(7);
    let id = created.topics[1].topic_id;

    let names = vec!["a".into(), "x".into()];
    let answer = client.ask(4, &DeleteTopicsRequest { topic_names: names, ..DeleteTopicsRequest::default() });
    let deleted: DeleteTopicsResponse<'_> = answer.body(4);
    let seen: Vec<_> =
        deleted.responses.iter().map(|topic| (topic.name.as_deref(), topic.error_code)).collect();
    assert_eq!(seen, [(Some("a"), 0), (Some("x"), 3)]);

    let by_id = |topic_id| DeleteTopic { name: None, topic_id };
    let topics = vec![by_id(id), by_id(Uuid([9; 16])), DeleteTopic { name: Some("c".into()), topic_id: id }];
    let answer = client.ask(6, &DeleteTopicsRequest { topics, ..DeleteTopicsRequest::default() });
    let deleted: DeleteTopicsResponse<'_> = answer.body(6);
    let seen: Vec<_> =
        deleted.responses.iter().map(|topic| (topic.name.as_deref(), topic.error_code)).collect();
    assert_eq!(seen, [(Some("b"), 0), (None, 100), (Some("c"), 42)]);
    assert_eq!(["a", "b", "c"].map(|name| leaders(&mut client, name).len()), [0, 0, 1]);

    // Created again, it is another.
    assert_eq!(create(&mut client, vec![topic("b", 1)])[0].0, 0);
    let answer =
        client.ask(6, &DeleteTopicsRequest { topics: vec![by_id(id)], ..DeleteTopicsRequest::default() });
    assert_eq!(answer.body::<DeleteTopicsResponse<'_>>(6).responses[0].error_code, 100);
}

#[test]
fn topics_are_described_page_by_page() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = Kafka::connect(&broker);
    create(&mut client, vec![topic("a", 3), topic("b", 3), topic("c", 3)]);
    let mut cursor: Option<(String, i32)> = None;
    let mut pages = Vec::new();
    loop {
        let request = DescribeTopicPartitionsRequest {
            topics: ["c", "a", "x", "b"].map(|name| TopicName { name: name.into() }).to_vec(),
            response_partition_limit: 4,
            cursor: cursor.as_ref().map(|(name, partition_index)| Cursor {
                topic_name: name.as_str().into(),
                partition_index: *partition_index,
            }),
        };
        let answer = client.ask(0, &request);
        let response: DescribeTopicPartitionsResponse<'_> = answer.body(0);
        let page: Vec<_> = response
            .topics
            .iter()
            .map(|topic| {
                let partitions: Vec<_> = topic.partitions.iter().map(|p| p.partition_index).collect();
                (topic.name.as_deref().unwrap_or_default().to_owned(), topic.error_code, partitions)
            })
            .collect();
        pages.push(page);
        match response.next_cursor {
            Some(next) => cursor = Some((next.topic_name.into_owned(), next.partition_index)),
            None => break,
        }
    }
    let row = |name: &str, code, partitions: &[i32]| (name.to_owned(), code, partitions.to_vec());
    assert_eq!(
        pages,
        [
            vec![row("a", 0, &[0, 1, 2]), row("b", 0, &[0])],
            vec![row("b", 0, &[1, 2]), row("c", 0, &[0, 1])],
            vec![row("c", 0, &[2]), row("x", 3, &[])],
        ]
    );
}

#[test]
fn replicas_are_where_they_are_to_stay() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = Kafka::connect(&broker);
    create(&mut client, vec![assigned("t", &[&[2]])]);
    let reassign = |partition_index, replicas: Option<&[i32]>| AlterPartitionReassignmentsRequest {
        topics: vec![ReassignableTopic {
            name: "t".into(),
            partitions: vec![ReassignablePartition {
                partition_index,
                replicas: replicas.map(<[i32]>::to_vec),
            }],
        }],
        ..AlterPartitionReassignmentsRequest::default()
    };
    for (request, code) in [
        (reassign(0, Some(&[2])), 0),
        (reassign(0, Some(&[1])), 39),
        (reassign(0, None), 85),
        (reassign(1, Some(&[1])), 3),
    ] {
        let answer = client.ask(0, &request);
        let response: AlterPartitionReassignmentsResponse<'_> = answer.body(0);
        assert_eq!(
            (response.error_code, response.responses[0].partitions[0].error_code),
            (0, code),
            "{request:?}"
        );
    }
    let answer = client.ask(0, &ListPartitionReassignmentsRequest::default());
    let ongoing: ListPartitionReassignmentsResponse<'_> = answer.body(0);
    assert_eq!((ongoing.error_code, ongoing.topics.len()), (0, 0));
    let topic_partitions = Some(vec![ringmail_kafka::messages::transactions::TxnTopic {
        name: "t".into(),
        partitions: vec![0, 1],
    }]);
    let answer = client.ask(2, &ElectLeadersRequest { topic_partitions, ..ElectLeadersRequest::default() });
    let elected: ElectLeadersResponse<'_> = answer.body(2);
    let codes: Vec<_> =
        elected.replica_election_results[0].partition_result.iter().map(|p| p.error_code).collect();
    assert_eq!(codes, [84, 3]);
}
