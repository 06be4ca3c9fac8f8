//! Configuration of topics and brokers: every key with type, default and source; changes as a whole, or not at all.

use ringmail_kafka::messages::configs::*;

use crate::broker::{Broker, Data};
use crate::frames::Kafka;
use crate::topics::{configured, create, topic};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Value, type, source, and whether it is read-only.
type Seen = (Option<String>, i8, i8, bool);

fn describe(client: &mut Kafka, resource_type: i8, name: &str, key: &str) -> Option<Seen> {
    let resource = DescribeConfigsResource {
        resource_type,
        resource_name: name.into(),
        configuration_keys: Some(vec![key.into()]),
    };
    let answer = client.ask(4, &DescribeConfigsRequest { resources: vec![resource], ..Default::default() });
    let response: DescribeConfigsResponse<'_> = answer.body(4);
    assert_eq!(response.results[0].error_code, 0, "{:?}", response.results[0].error_message);
    let config = response.results[0].configs.first()?;
    assert_eq!(config.name, key);
    let value = config.value.clone().map(|value| value.into_owned());
    Some((value, config.config_type, config.config_source, config.read_only))
}

fn seen(value: &str, kind: i8, source: i8) -> Option<Seen> {
    Some((Some(value.to_owned()), kind, source, false))
}

#[test]
fn a_topic_has_every_key_of_kafka() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = Kafka::connect(&broker);
    create(
        &mut client,
        vec![configured("t", &[("cleanup.policy", Some("compact")), ("flush.ms", Some("7"))])],
    );
    let resource =
        DescribeConfigsResource { resource_type: TOPIC, resource_name: "t".into(), configuration_keys: None };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: true,
    };
    for version in 1..=4 {
        let answer = client.ask(version, &request);
        let response: DescribeConfigsResponse<'_> = answer.body(version);
        let configs = &response.results[0].configs;
        assert_eq!(configs.len(), 33);
        let policy = configs.iter().find(|config| config.name == "cleanup.policy").unwrap();
        assert_eq!((policy.value.as_deref(), policy.config_source), (Some("compact"), 1));
        let synonyms: Vec<_> =
            policy.synonyms.iter().map(|s| (&*s.name, s.value.as_deref(), s.source)).collect();
        assert_eq!(
            synonyms,
            [("cleanup.policy", Some("compact"), 1), ("log.cleanup.policy", Some("delete"), 5)]
        );
        if version >= 3 {
            let flush = configs.iter().find(|config| config.name == "flush.ms").unwrap();
            assert_eq!((flush.value.as_deref(), flush.config_type), (Some("7"), 5));
            let words = flush.documentation.as_deref().unwrap();
            assert!(
                words.contains("Ringmail keeps and reports it, and does nothing else with it"),
                "{words}"
            );
            assert!(!policy.documentation.as_deref().unwrap().contains("Ringmail"));
        }
    }
    assert_eq!(describe(&mut client, TOPIC, "t", "min.cleanable.dirty.ratio"), seen("0.5", 6, 5));
    assert_eq!(describe(&mut client, TOPIC, "t", "compression.type"), seen("producer", 2, 5));
    assert_eq!(describe(&mut client, TOPIC, "t", "preallocate"), seen("false", 1, 5));
    assert_eq!(describe(&mut client, TOPIC, "t", "segment.bytes"), seen("1073741824", 3, 5));
    assert_eq!(describe(&mut client, TOPIC, "t", "no.such.key"), None);
}

#[test]
fn brokers_say_how_they_are_configured() {
    let data = Data::new();
    let arguments =
        ["--set", "node.shards=2", "--set", "topics.partitions=6", "--set", "topics.retention_time=1 h"];
    let broker = Broker::start_with(&data.path(), &arguments);
    let mut client = Kafka::connect(&broker);
    let read_only = |value: &str, kind, source| Some((Some(value.to_owned()), kind, source, true));
    assert_eq!(describe(&mut client, BROKER, "2", "num.partitions"), read_only("6", 3, 4));
    assert_eq!(describe(&mut client, BROKER, "2", "node.id"), read_only("2", 3, 4));
    assert_eq!(describe(&mut client, BROKER, "1", "log.retention.ms"), read_only("3600000", 5, 4));
    assert_eq!(describe(&mut client, BROKER, "1", "default.replication.factor"), read_only("1", 3, 5));
    let listeners = format!("PLAINTEXT://127.0.0.1:{}", broker.kafka_ports[1]);
    assert_eq!(describe(&mut client, BROKER, "2", "listeners"), read_only(&listeners, 7, 4));
    create(&mut client, vec![topic("t", -1)]);
    assert_eq!(describe(&mut client, TOPIC, "t", "retention.ms"), seen("3600000", 5, 4));

    for (resource_type, name, code) in [(BROKER, "3", 42), (BROKER, "x", 42), (TOPIC, "x", 3), (99, "", 42)] {
        let resource =
            DescribeConfigsResource { resource_type, resource_name: name.into(), configuration_keys: None };
        let answer =
            client.ask(4, &DescribeConfigsRequest { resources: vec![resource], ..Default::default() });
        let response: DescribeConfigsResponse<'_> = answer.body(4);
        assert_eq!(response.results[0].error_code, code, "{resource_type} {name}");
    }
    let answer = client.ask(1, &ListConfigResourcesRequest::default());
    let response: ListConfigResourcesResponse<'_> = answer.body(1);
    let listed: Vec<_> =
        response.config_resources.iter().map(|r| (&*r.resource_name, r.resource_type)).collect();
    assert_eq!(listed, [("t", 2), ("1", 4), ("2", 4)]);
}

#[test]
fn single_keys_are_changed() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = Kafka::connect(&broker);
    create(&mut client, vec![configured("t", &[("retention.ms", Some("5"))])]);
    let change =
        |client: &mut Kafka, validate_only: bool, edits: &[(&str, i8, Option<&str>)]| -> (i16, String) {
            let config = |(name, operation, value): &(&str, i8, Option<&str>)| IncrementalConfig {
                name: (*name).to_owned().into(),
                config_operation: *operation,
                value: value.map(|value| value.to_owned().into()),
            };
            let resource = IncrementalAlterConfigsResource {
                resource_type: TOPIC,
                resource_name: "t".into(),
                configs: edits.iter().map(config).collect(),
            };
            let answer =
                client.ask(1, &IncrementalAlterConfigsRequest { resources: vec![resource], validate_only });
            let response: IncrementalAlterConfigsResponse<'_> = answer.body(1);
            let altered = &response.responses[0];
            (altered.error_code, altered.error_message.clone().unwrap_or_default().into_owned())
        };
    let policy = |client: &mut Kafka| describe(client, TOPIC, "t", "cleanup.policy").unwrap().0.unwrap();
    assert_eq!(change(&mut client, false, &[("cleanup.policy", 2, Some("compact"))]).0, 0);
    assert_eq!(policy(&mut client), "delete,compact");
    assert_eq!(
        change(&mut client, false, &[("cleanup.policy", 3, Some("delete")), ("flush.ms", 0, Some("9"))]).0,
        0
    );
    assert_eq!(
        (policy(&mut client), describe(&mut client, TOPIC, "t", "flush.ms")),
        ("compact".to_owned(), seen("9", 5, 1))
    );
    assert_eq!(change(&mut client, true, &[("cleanup.policy", 1, None)]), (0, String::new()));
    assert_eq!(policy(&mut client), "compact", "it was only to be validated");

    for (edits, code, words) in [
        ([("flush.ms", 0, Some("1")), ("retention.ms", 0, Some("soon"))].as_slice(), 40, "whole number"),
        (&[("flush.ms", 0, Some("1")), ("retention.mss", 0, Some("1"))], 40, "did you mean"),
        (&[("flush.ms", 2, Some("1"))], 40, "is no list"),
        (&[("flush.ms", 0, None)], 40, "has no value"),
        (&[("flush.ms", 0, Some("1")), ("flush.ms", 1, None)], 42, "more than once"),
        (&[("flush.ms", 4, Some("1"))], 42, "no operation"),
    ] {
        let (seen_code, seen_words) = change(&mut client, false, edits);
        assert!(seen_code == code && seen_words.contains(words), "{seen_code} {seen_words}");
    }
    assert_eq!(
        describe(&mut client, TOPIC, "t", "flush.ms"),
        seen("9", 5, 1),
        "all of a change is made, or nothing"
    );
    assert_eq!(change(&mut client, false, &[("flush.ms", 1, None), ("retention.ms", 1, None)]).0, 0);
    assert_eq!(describe(&mut client, TOPIC, "t", "retention.ms"), seen("604800000", 5, 5));
}

#[test]
fn replacing_resets_what_is_not_named() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = Kafka::connect(&broker);
    create(&mut client, vec![configured("t", &[("retention.ms", Some("5")), ("flush.ms", Some("6"))])]);
    let resource = |resource_type, name: &'static str, key: &'static str| AlterConfigsResource {
        resource_type,
        resource_name: name.into(),
        configs: vec![AlterableConfig { name: key.into(), value: Some("8".into()) }],
    };
    let resources = vec![
        resource(TOPIC, "t", "flush.ms"),
        resource(TOPIC, "x", "flush.ms"),
        resource(BROKER, "1", "log.flush.interval.ms"),
    ];
    let answer = client.ask(2, &AlterConfigsRequest { resources, validate_only: false });
    let response: AlterConfigsResponse<'_> = answer.body(2);
    let codes: Vec<_> =
        response.responses.iter().map(|r| (r.resource_type, &*r.resource_name, r.error_code)).collect();
    assert_eq!(codes, [(TOPIC, "t", 0), (TOPIC, "x", 3), (BROKER, "1", 42)]);
    assert_eq!(describe(&mut client, TOPIC, "t", "flush.ms"), seen("8", 5, 1));
    assert_eq!(describe(&mut client, TOPIC, "t", "retention.ms"), seen("604800000", 5, 5));
    drop(broker);

    let broker = Broker::start(&data.path());
    let mut client = Kafka::connect(&broker);
    assert_eq!(describe(&mut client, TOPIC, "t", "flush.ms"), seen("8", 5, 1), "it is kept");
}
