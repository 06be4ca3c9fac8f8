//! What is told of a broker's configuration under Kafka's names: what means something here, and the values that topics inherit.

use std::borrow::Cow;

use super::configs::documentation;
use crate::config::Config;
use crate::node::catalog::{ConfigKey, ConfigType, Source, TopicConfig, TopicValues};

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerConfig {
    pub(super) name: &'static str,
    pub(super) value: Option<String>,
    pub(super) config_type: ConfigType,
    pub(super) source: Source,
    pub(super) words: Cow<'static, str>,
}

/// Every entry, by name; those that brokers differ in have no value. `defaults` are what topics inherit.
pub fn broker_configs(config: &Config, defaults: &TopicValues) -> Vec<BrokerConfig> {
    let own = own(config).into_iter().map(|(name, value, config_type, words)| BrokerConfig {
        name,
        value: (!value.is_empty()).then_some(value),
        config_type,
        source: if CHOSEN.contains(&name) { Source::Broker } else { Source::Default },
        words: words.into(),
    });
    let mut configs: Vec<_> = own.chain(inherited(*defaults)).collect();
    configs.sort_unstable_by_key(|config| config.name);
    configs
}

/// What an operator chooses, or the machine.
const CHOSEN: [&str; 8] = [
    "advertised.listeners",
    "auto.create.topics.enable",
    "broker.id",
    "listeners",
    "log.dir",
    "log.dirs",
    "node.id",
    "num.partitions",
];

type Entry = (&'static str, String, ConfigType, &'static str);

fn own(config: &Config) -> Vec<Entry> {
    use ConfigType::{Boolean, Int, List, Long, Short, String as Text};
    let (limits, topics) = (&config.limits, &config.topics);
    let data = config.node.data.display().to_string();
    let hours = topics.retention_time.get().map_or(-1, |time| (time.millis() / 3_600_000) as i64);
    vec![
        ("advertised.listeners", String::new(), List, "Where clients are told to connect to."),
        (
            "auto.create.topics.enable",
            config.kafka.auto_create_topics.to_string(),
            Boolean,
            "Whether topics are created when they are first asked for (kafka.auto_create_topics).",
        ),
        ("broker.id", String::new(), Int, "The id of this broker, which is a shard (kafka.node_id_base)."),
        (
            "connections.max.idle.ms",
            limits.idle_timeout.millis().to_string(),
            Long,
            "How long a connection may be silent (limits.idle_timeout).",
        ),
        (
            "default.replication.factor",
            "1".to_owned(),
            Int,
            "Replicas of a topic that does not say: there is one.",
        ),
        ("delete.topic.enable", "true".to_owned(), Boolean, "Whether topics can be deleted."),
        (
            "fetch.max.bytes",
            limits.fetch_response.bytes().to_string(),
            Int,
            "The largest answer to one fetch (limits.fetch_response).",
        ),
        ("listeners", String::new(), List, "Where Kafka's clients are served (listen.kafka)."),
        ("log.dir", data.clone(), Text, "The data directory (node.data)."),
        ("log.dirs", data, Text, "The data directory (node.data)."),
        (
            "log.retention.hours",
            hours.to_string(),
            Int,
            "What log.retention.ms says, in hours (topics.retention_time).",
        ),
        (
            "max.connections",
            limits.connections.to_string(),
            Int,
            "Connections to the broker (limits.connections).",
        ),
        ("node.id", String::new(), Int, "The id of this broker, which is a shard (kafka.node_id_base)."),
        (
            "num.partitions",
            topics.partitions.to_string(),
            Int,
            "Partitions of a topic that does not say (topics.partitions).",
        ),
        (
            "offsets.topic.replication.factor",
            "1".to_owned(),
            Short,
            "Replicas of the topic of offsets: there is one.",
        ),
        (
            "socket.request.max.bytes",
            limits.frame.bytes().to_string(),
            Int,
            "The largest request (limits.frame).",
        ),
        (
            "transaction.state.log.min.isr",
            "1".to_owned(),
            Int,
            "Replicas that a transaction's state waits for.",
        ),
        (
            "transaction.state.log.replication.factor",
            "1".to_owned(),
            Short,
            "Replicas of the topic of transactions: there is one.",
        ),
    ]
}

/// What topics inherit.
fn inherited(defaults: TopicValues) -> impl Iterator<Item = BrokerConfig> {
    let topic = TopicConfig::new(defaults);
    ConfigKey::all().filter_map(move |key| {
        Some(BrokerConfig {
            name: key.key().broker?,
            value: Some(topic.inherited(key).into_owned()),
            config_type: key.key().rule.config_type(),
            source: topic.inherited_source(key),
            words: documentation(key.key()),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stand_in_order_each_once() {
        let defaults = TopicValues { max_message_bytes: 77, retention_bytes: None, retention_ms: Some(5) };
        let configs = broker_configs(&Config::default(), &defaults);
        assert!(configs.is_sorted_by(|a, b| a.name < b.name));
        let value = |name| {
            configs.iter().find(|config| config.name == name).and_then(|config| config.value.as_deref())
        };
        assert_eq!(value("message.max.bytes"), Some("77"));
        assert_eq!(value("log.retention.ms"), Some("5"));
        assert_eq!(value("num.partitions"), Some("1"));
        assert_eq!(value("default.replication.factor"), Some("1"));
        assert_eq!(value("listeners"), None, "each broker has its own");
    }
}
