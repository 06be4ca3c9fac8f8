//! Setting, resetting, adding to and taking out of a topic's configuration.

use super::*;

const DEFAULTS: TopicValues =
    TopicValues { max_message_bytes: 1 << 20, retention_bytes: None, retention_ms: Some(1_000) };

fn set(key: &str, value: &str) -> (String, ConfigOp) {
    (key.to_owned(), ConfigOp::Set(value.to_owned()))
}

fn changed(edits: Vec<(String, ConfigOp)>) -> Result<TopicConfig, String> {
    TopicConfig::new(DEFAULTS).changed(&ConfigChange::Edit(edits), &DEFAULTS)
}

fn key(name: &str) -> ConfigKey {
    ConfigKey::find(name).unwrap()
}

#[test]
fn values_are_read_and_written_alike() {
    for (name, value) in [
        ("retention.ms", "-1"),
        ("retention.bytes", "0"),
        ("max.message.bytes", "4096"),
        ("cleanup.policy", "compact,delete"),
        ("compression.type", "zstd"),
        ("segment.bytes", "1048576"),
        ("min.cleanable.dirty.ratio", "0.01"),
    ] {
        let config = changed(vec![set(name, value)]).unwrap();
        assert_eq!((config.text(key(name)).as_ref(), config.source(key(name))), (value, Source::Topic));
        assert_eq!(config.own().collect::<Vec<_>>(), [(key(name), value)]);
        let stored = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<TopicConfig>(&stored).unwrap(), config);
    }
}

#[test]
fn what_nobody_has_set_comes_from_the_broker() {
    let config = TopicConfig::new(DEFAULTS);
    for (name, value, source) in [
        ("retention.ms", "1000", Source::Broker),
        ("max.message.bytes", "1048576", Source::Broker),
        ("retention.bytes", "-1", Source::Default),
        ("segment.ms", "604800000", Source::Default),
    ] {
        assert_eq!((config.text(key(name)).as_ref(), config.source(key(name))), (value, source), "{name}");
    }
}

#[test]
fn a_reset_takes_what_the_broker_says_now() {
    let newer = TopicValues { retention_ms: Some(7), ..DEFAULTS };
    let config = changed(vec![set("retention.ms", "5"), set("retention.bytes", "9")]).unwrap();
    let reset = ConfigChange::Edit(vec![("retention.ms".to_owned(), ConfigOp::Reset)]);
    let config = config.changed(&reset, &newer).unwrap();
    assert_eq!(config.text(ConfigKey::RETENTION_MS), "7");
    assert_eq!(config.own().collect::<Vec<_>>(), [(ConfigKey::RETENTION_BYTES, "9")]);

    let replace = ConfigChange::Replace(vec![("flush.ms".to_owned(), "1".to_owned())]);
    let config = config.changed(&replace, &newer).unwrap();
    assert_eq!(config.own().collect::<Vec<_>>(), [(key("flush.ms"), "1")]);
    assert_eq!(config.text(ConfigKey::RETENTION_BYTES), "-1");
}

#[test]
fn lists_grow_and_shrink() {
    let edit = |config: &TopicConfig, op| {
        let change = ConfigChange::Edit(vec![("cleanup.policy".to_owned(), op)]);
        config.changed(&change, &DEFAULTS)
    };
    let text = |config: &TopicConfig| config.text(ConfigKey::CLEANUP_POLICY).into_owned();
    let config = edit(&TopicConfig::new(DEFAULTS), ConfigOp::Append("compact,delete".to_owned())).unwrap();
    assert_eq!(text(&config), "delete,compact");
    let config = edit(&config, ConfigOp::Subtract("delete".to_owned())).unwrap();
    assert_eq!(text(&config), "compact");
    let error = edit(&config, ConfigOp::Subtract("compact".to_owned())).unwrap_err();
    assert!(error.contains("write compact, delete"), "{error}");
    let append = ("retention.ms".to_owned(), ConfigOp::Append("1".to_owned()));
    assert!(changed(vec![append]).unwrap_err().contains("is no list"));
}

#[test]
fn the_engine_is_told_of_what_the_policy_says() {
    let limits = vec![set("retention.bytes", "9"), set("cleanup.policy", "compact")];
    let config = changed(limits).unwrap();
    assert!(config.is_compacted());
    assert_eq!((config.log_config().retention_ms, config.log_config().retention_bytes), (None, None));
    let config = changed(vec![set("retention.bytes", "9"), set("cleanup.policy", "compact,delete")]).unwrap();
    assert_eq!(
        (config.log_config().retention_ms, config.log_config().retention_bytes),
        (Some(1_000), Some(9))
    );
    assert_eq!(config.log_config().max_batch_bytes, Some(1 << 20));
    let timestamps = |edits| changed(edits).unwrap().log_config().timestamps;
    let create =
        |before: i64, after| Timestamps::Create { before_ms: Some(before as u64), after_ms: Some(after) };
    assert_eq!(timestamps(vec![]), create(i64::MAX, 3_600_000), "Kafka's defaults");
    let bounds = [set("message.timestamp.before.max.ms", "5"), set("message.timestamp.after.max.ms", "6")];
    assert_eq!(timestamps(bounds.to_vec()), create(5, 6));
    assert_eq!(timestamps(vec![set("message.timestamp.type", "LogAppendTime")]), Timestamps::Append);
}

#[test]
fn what_was_written_at_first_is_read() {
    let stored = r#"{"values":{"max.message.bytes":5,"retention.bytes":null,"retention.ms":9},"own":["retention.ms"]}"#;
    let config: TopicConfig = serde_json::from_str(stored).unwrap();
    assert_eq!(config.own().collect::<Vec<_>>(), [(ConfigKey::RETENTION_MS, "9")]);
    assert_eq!(config.text(ConfigKey::MAX_MESSAGE_BYTES), "5");
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    for (name, value, words) in [
        ("retention.ms", "-2", "-1 for no limit"),
        ("retention.ms", "1 d", "whole number"),
        ("max.message.bytes", "2000000", "limits.batch"),
        ("max.message.bytes", "-1", "from 0"),
        ("cleanup.policy", "shred", "write compact, delete"),
        ("retention.mss", "1", "did you mean retention.ms?"),
        ("compression.type", "brotli", "one of uncompressed"),
        ("remote.storage.enable", "true", "no tiered storage"),
    ] {
        let error = changed(vec![set(name, value)]).unwrap_err();
        assert!(error.contains(words) && !error.contains('\n'), "{error}");
    }
    let lags = vec![set("min.compaction.lag.ms", "2"), set("max.compaction.lag.ms", "1")];
    assert!(changed(lags).unwrap_err().contains("write less"));
}
