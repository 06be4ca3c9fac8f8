//! The keys of a topic's configuration: all that Kafka 4.1 has, with its names, types, defaults and bounds.

use super::rule::Rule;
use crate::config::{closest, distance};

/// What a key does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// What it says.
    Acts,
    /// It is checked, kept and reported, and nothing else, because of this.
    Kept(&'static str),
}

/// A key.
#[derive(Debug, PartialEq, Eq)]
pub struct TopicKey {
    /// Its name.
    pub name: &'static str,
    /// What values it can have.
    pub rule: Rule,
    /// What holds if neither the topic nor the broker's configuration says otherwise.
    pub default: &'static str,
    /// What Kafka calls the broker's value, which holds where a topic sets none.
    pub broker: Option<&'static str>,
    /// What it does here.
    pub effect: Effect,
    /// One line for people.
    pub words: &'static str,
}

/// A key, as its place in the [table](KEYS). Keys are ordered by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigKey(u8);

impl ConfigKey {
    /// What becomes of old records.
    pub const CLEANUP_POLICY: Self = Self::known("cleanup.policy");
    /// The largest batch, in bytes.
    pub const MAX_MESSAGE_BYTES: Self = Self::known("max.message.bytes");
    /// How far timestamps may be in the future, in milliseconds.
    pub const TIMESTAMP_AFTER_MAX_MS: Self = Self::known("message.timestamp.after.max.ms");
    /// How far timestamps may be in the past, in milliseconds.
    pub const TIMESTAMP_BEFORE_MAX_MS: Self = Self::known("message.timestamp.before.max.ms");
    /// Whose timestamp a record has.
    pub const TIMESTAMP_TYPE: Self = Self::known("message.timestamp.type");
    /// Milliseconds before which a record is not compacted.
    pub const MIN_COMPACTION_LAG_MS: Self = Self::known("min.compaction.lag.ms");
    /// Milliseconds after which a record is compacted.
    pub const MAX_COMPACTION_LAG_MS: Self = Self::known("max.compaction.lag.ms");
    /// Whether old segments go to other storage.
    pub const REMOTE_STORAGE_ENABLE: Self = Self::known("remote.storage.enable");
    /// Bytes that a partition keeps; -1 for all.
    pub const RETENTION_BYTES: Self = Self::known("retention.bytes");
    /// Milliseconds that records are kept; -1 for ever.
    pub const RETENTION_MS: Self = Self::known("retention.ms");

    /// All of them, by name.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        (0..KEYS.len()).map(|place| Self(place as u8))
    }

    /// What there is to say of it.
    pub fn key(self) -> &'static TopicKey {
        &KEYS[usize::from(self.0)]
    }

    /// The name, as clients write it.
    pub fn name(self) -> &'static str {
        self.key().name
    }

    /// The key of this name.
    pub fn find(name: &str) -> Option<Self> {
        KEYS.binary_search_by_key(&name, |key| key.name).ok().map(|place| Self(place as u8))
    }

    /// The key of this name.
    ///
    /// # Errors
    /// In words, if there is none.
    pub(super) fn from_name(name: &str) -> Result<Self, String> {
        Self::find(name).ok_or_else(|| {
            let ranked = KEYS.iter().map(|key| (distance(name, key.name), key.name.to_owned()));
            match closest(ranked, name) {
                Some(nearest) => format!("there is no topic key {name:?}; did you mean {nearest}?"),
                None => format!(
                    "there is no topic key {name:?}; the keys are those of Kafka, such as retention.ms"
                ),
            }
        })
    }

    /// A key that is in the table; it does not compile otherwise.
    const fn known(name: &str) -> Self {
        let mut place = 0;
        while !equal(KEYS[place].name.as_bytes(), name.as_bytes()) {
            place += 1;
        }
        Self(place as u8)
    }
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut place = 0;
    while place < a.len() {
        if a[place] != b[place] {
            return false;
        }
        place += 1;
    }
    true
}

/// Why keys about replicas do nothing.
const ONE_REPLICA: Effect = Effect::Kept("a partition has one replica, which is durable");
/// Why keys about the files of a partition do nothing.
const ONE_LOG: Effect =
    Effect::Kept("partitions have no files of their own: a shard writes all of its partitions into one log");
/// Why keys about syncs do nothing.
const SYNCED: Effect =
    Effect::Kept("what is acknowledged is synced already, unless the producer asks for less");
/// Why keys about compression do nothing.
const AS_PRODUCED: Effect = Effect::Kept("batches are stored as their producers have compressed them");
/// Why keys about tiered storage do nothing.
const NO_TIERS: Effect = Effect::Kept("there is no tiered storage");
/// Why keys about compaction do nothing.
const NOT_COMPACTED: Effect = Effect::Kept("what a compacted topic could let go is kept so far");

/// All keys, by name.
pub static KEYS: &[TopicKey] = {
    const fn key(
        name: &'static str,
        rule: Rule,
        default: &'static str,
        broker: &'static str,
        effect: Effect,
        words: &'static str,
    ) -> TopicKey {
        let broker = if broker.is_empty() { None } else { Some(broker) };
        TopicKey { name, rule, default, broker, effect, words }
    }
    use Effect::Acts;
    use Rule::{Boolean, Int, Long, OneOf, Ratio, Replicas, SomeOf};
    const CODECS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
    const CLOCKS: &[&str] = &["CreateTime", "LogAppendTime"];
    const FOREVER: &str = "9223372036854775807";
    const MOST: i32 = i32::MAX;
    &[
        key(
            "cleanup.policy",
            SomeOf(&["compact", "delete"]),
            "delete",
            "log.cleanup.policy",
            Acts,
            "What becomes of old records: delete removes them by age and size, compact keeps the newest of each key.",
        ),
        key(
            "compression.gzip.level",
            Int(-1, 9),
            "-1",
            "compression.gzip.level",
            AS_PRODUCED,
            "The level of gzip where compression.type is gzip.",
        ),
        key(
            "compression.lz4.level",
            Int(1, 17),
            "9",
            "compression.lz4.level",
            AS_PRODUCED,
            "The level of lz4 where compression.type is lz4.",
        ),
        key(
            "compression.type",
            OneOf(CODECS),
            "producer",
            "compression.type",
            AS_PRODUCED,
            "How batches are compressed in the end; producer leaves them as they came.",
        ),
        key(
            "compression.zstd.level",
            Int(-131_072, 22),
            "3",
            "compression.zstd.level",
            AS_PRODUCED,
            "The level of zstd where compression.type is zstd.",
        ),
        key(
            "delete.retention.ms",
            Long(0),
            "86400000",
            "log.cleaner.delete.retention.ms",
            NOT_COMPACTED,
            "Milliseconds that a compacted topic keeps tombstones.",
        ),
        key(
            "file.delete.delay.ms",
            Long(0),
            "60000",
            "log.segment.delete.delay.ms",
            ONE_LOG,
            "Milliseconds before a file that is not needed is deleted.",
        ),
        key(
            "flush.messages",
            Long(1),
            FOREVER,
            "log.flush.interval.messages",
            SYNCED,
            "Records after which a sync is forced.",
        ),
        key(
            "flush.ms",
            Long(0),
            FOREVER,
            "log.flush.interval.ms",
            SYNCED,
            "Milliseconds after which a sync is forced.",
        ),
        key(
            "follower.replication.throttled.replicas",
            Replicas,
            "",
            "",
            ONE_REPLICA,
            "Replicas whose replication is throttled on the follower.",
        ),
        key(
            "index.interval.bytes",
            Int(0, MOST),
            "4096",
            "log.index.interval.bytes",
            ONE_LOG,
            "Bytes between entries of the offset index.",
        ),
        key(
            "leader.replication.throttled.replicas",
            Replicas,
            "",
            "",
            ONE_REPLICA,
            "Replicas whose replication is throttled on the leader.",
        ),
        key(
            "local.retention.bytes",
            Long(-2),
            "-2",
            "log.local.retention.bytes",
            NO_TIERS,
            "Bytes that stay local under tiered storage; -2 for what retention.bytes says.",
        ),
        key(
            "local.retention.ms",
            Long(-2),
            "-2",
            "log.local.retention.ms",
            NO_TIERS,
            "Milliseconds that records stay local under tiered storage; -2 for what retention.ms says.",
        ),
        key(
            "max.compaction.lag.ms",
            Long(1),
            FOREVER,
            "log.cleaner.max.compaction.lag.ms",
            NOT_COMPACTED,
            "Milliseconds after which a record of a compacted topic is compacted.",
        ),
        key(
            "max.message.bytes",
            Int(0, MOST),
            "8388608",
            "message.max.bytes",
            Acts,
            "Bytes of the largest batch; at most the broker's limits.batch.",
        ),
        key(
            "message.timestamp.after.max.ms",
            Long(0),
            "3600000",
            "log.message.timestamp.after.max.ms",
            Acts,
            "Milliseconds that the timestamp of a record may be ahead of the broker's clock, with CreateTime.",
        ),
        key(
            "message.timestamp.before.max.ms",
            Long(0),
            FOREVER,
            "log.message.timestamp.before.max.ms",
            Acts,
            "Milliseconds that the timestamp of a record may be behind the broker's clock, with CreateTime.",
        ),
        key(
            "message.timestamp.type",
            OneOf(CLOCKS),
            "CreateTime",
            "log.message.timestamp.type",
            Acts,
            "Whose timestamp a record has: the producer's, or the broker's at the append.",
        ),
        key(
            "min.cleanable.dirty.ratio",
            Ratio,
            "0.5",
            "log.cleaner.min.cleanable.ratio",
            NOT_COMPACTED,
            "The share of a compacted topic that is not compacted yet, from which on it is worth it.",
        ),
        key(
            "min.compaction.lag.ms",
            Long(0),
            "0",
            "log.cleaner.min.compaction.lag.ms",
            NOT_COMPACTED,
            "Milliseconds before which a record of a compacted topic is not compacted.",
        ),
        key(
            "min.insync.replicas",
            Int(1, MOST),
            "1",
            "min.insync.replicas",
            ONE_REPLICA,
            "Replicas that must have a batch before acks=all is answered.",
        ),
        key(
            "preallocate",
            Boolean,
            "false",
            "log.preallocate",
            ONE_LOG,
            "Whether space for files is taken ahead of use.",
        ),
        key(
            "remote.log.copy.disable",
            Boolean,
            "false",
            "",
            NO_TIERS,
            "Whether nothing more is copied to tiered storage.",
        ),
        key(
            "remote.log.delete.on.disable",
            Boolean,
            "false",
            "",
            NO_TIERS,
            "Whether what is in tiered storage is deleted when that is disabled.",
        ),
        key(
            "remote.storage.enable",
            Boolean,
            "false",
            "",
            NO_TIERS,
            "Whether old segments go to tiered storage.",
        ),
        key(
            "retention.bytes",
            Long(i64::MIN),
            "-1",
            "log.retention.bytes",
            Acts,
            "Bytes that each partition keeps where cleanup.policy has delete; -1 for all.",
        ),
        key(
            "retention.ms",
            Long(-1),
            "604800000",
            "log.retention.ms",
            Acts,
            "Milliseconds that records are kept where cleanup.policy has delete; -1 for ever.",
        ),
        key(
            "segment.bytes",
            Int(1 << 20, MOST),
            "1073741824",
            "log.segment.bytes",
            ONE_LOG,
            "Bytes of a segment file of a partition.",
        ),
        key(
            "segment.index.bytes",
            Int(4, MOST),
            "10485760",
            "log.index.size.max.bytes",
            ONE_LOG,
            "Bytes of the index of a segment file.",
        ),
        key(
            "segment.jitter.ms",
            Long(0),
            "0",
            "log.roll.jitter.ms",
            ONE_LOG,
            "Milliseconds by which segment files may end early, so that not all do at once.",
        ),
        key(
            "segment.ms",
            Long(1),
            "604800000",
            "log.roll.ms",
            ONE_LOG,
            "Milliseconds after which a segment file ends, however small it is.",
        ),
        key(
            "unclean.leader.election.enable",
            Boolean,
            "false",
            "unclean.leader.election.enable",
            ONE_REPLICA,
            "Whether a replica that lacks records may become leader.",
        ),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_in_order_and_their_defaults_fit() {
        assert!(KEYS.is_sorted_by(|a, b| a.name < b.name));
        assert_eq!(KEYS.len(), 33);
        for key in KEYS {
            assert_eq!(key.rule.check(key.default).as_deref(), Ok(key.default), "{}", key.name);
            assert_eq!(ConfigKey::from_name(key.name).map(ConfigKey::key), Ok(key));
            assert!(key.words.ends_with('.') && !key.words.contains('\n'), "{}", key.name);
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        assert!(ConfigKey::from_name("retention.mss").unwrap_err().contains("did you mean retention.ms?"));
        assert!(ConfigKey::from_name("zookeeper").unwrap_err().contains("the keys are those of Kafka"));
    }
}
