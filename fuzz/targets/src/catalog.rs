//! The catalog's log: records with any JSON in any parts, and changes that were planned and then altered here and there.

use arbitrary::Unstructured;
use ringmail::node::catalog::record::{Entry, Replay, encode};
use ringmail::node::catalog::{
    Catalog, CatalogLimits, Change, Command, ConfigChange, ConfigKey, ConfigOp, OFFSETS, Spread, TopicValues,
};
use ringmail_wire::batch::{Batch, BatchBuilder, Compression, HeadersBuf};

use crate::frames::number;

/// Entries of one input.
const MAX_ENTRIES: usize = 50;

/// Partitions of one topic, so that the catalog stays small.
const MAX_PARTITIONS: u32 = 8;

/// Reads the log that the input stands for.
pub fn catalog(input: &[u8]) {
    let mut log = Log { replay: Replay::default(), catalog: Catalog::default(), faithful: true };
    // Running out of input ends the log; it is not an error.
    let _ = log.write(&mut Unstructured::new(input));
    let (read, _) = log.replay.finish();
    check(&read);
    if log.faithful {
        assert_eq!(read, log.catalog, "what was planned is what is read");
    }
}

/// A log, read while it is written.
struct Log {
    replay: Replay,
    /// What was planned.
    catalog: Catalog,
    /// Whether the log holds just that.
    faithful: bool,
}

impl Log {
    fn write(&mut self, u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        for _ in 0..MAX_ENTRIES {
            if u.is_empty() {
                return Ok(());
            }
            match u.int_in_range(0..=7)? {
                0 => self.any(u)?,
                1 => self.entry(u, "snapshot", &json(&self.catalog.clone()))?,
                _ => {
                    if let Ok(change) = self.catalog.plan(command(u)?, &limits()) {
                        round_trip(&change);
                        self.entry(u, "change", &json(&change))?;
                        self.catalog.apply(&change).expect("it was planned on this state");
                    }
                }
            }
        }
        Ok(())
    }

    /// A record of anything.
    fn any(&mut self, u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        self.faithful = false;
        let kind = *u.choose(&["change", "snapshot", "other"])?;
        let (part, parts) = (u.int_in_range(0..=3)?, number(u)?);
        self.record(kind, part, parts, u.arbitrary()?);
        Ok(())
    }

    /// An entry, now and then with another number or cut into two parts.
    fn entry(&mut self, u: &mut Unstructured<'_>, kind: &str, json: &str) -> arbitrary::Result<()> {
        let json = if u.ratio(1, 3)? { self.with_another_number(u, json)? } else { json.to_owned() };
        if u.ratio(1, 4)? {
            let (start, end) = json.as_bytes().split_at(json.len() / 2);
            self.record(kind, 0, 2, start);
            self.record(kind, 1, 2, end);
        } else {
            self.record(kind, 0, 1, json.as_bytes());
        }
        Ok(())
    }

    fn with_another_number(&mut self, u: &mut Unstructured<'_>, json: &str) -> arbitrary::Result<String> {
        self.faithful = false;
        let bytes = json.as_bytes();
        let first = |at: usize| bytes[at].is_ascii_digit() && (at == 0 || !bytes[at - 1].is_ascii_digit());
        let numbers: Vec<usize> = (0..bytes.len()).filter(|at| first(*at)).collect();
        if numbers.is_empty() {
            return Ok(json.to_owned());
        }
        let at = *u.choose(&numbers)?;
        let rest = json[at..].trim_start_matches(|c: char| c.is_ascii_digit());
        Ok(format!("{}{}{rest}", &json[..at], number(u)?))
    }

    fn record(&mut self, kind: &str, part: u64, parts: u64, json: &[u8]) {
        let mut headers = HeadersBuf::new();
        for (name, value) in [("kind", kind), ("part", &part.to_string()), ("parts", &parts.to_string())] {
            headers.push(name.as_bytes(), Some(value.as_bytes())).expect("they are short");
        }
        let mut builder = BatchBuilder::new(1 << 20, Compression::None);
        builder.push(1000, None, Some(json), headers.as_bytes()).expect("inputs are short");
        let mut batch = Vec::new();
        builder.finish_into(&mut batch);
        self.take(&batch);
    }

    fn take(&mut self, batch: &[u8]) {
        let batch = Batch::parse(batch).expect("it was built");
        if let Err(error) = self.replay.batch(&batch) {
            self.faithful = false;
            assert!(!error.to_string().is_empty());
        }
    }
}

/// A change is read as it was written.
fn round_trip(change: &Change) {
    let again: Change = serde_json::from_str(&json(change)).expect("it was written");
    assert_eq!(&again, change);
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("string keys and finite numbers only")
}

/// What must be true of every catalog that was read.
fn check(catalog: &Catalog) {
    let mut partitions = 0;
    for (name, topic) in catalog.topics() {
        partitions += topic.partitions.len();
        assert_eq!(catalog.topic_of_id(topic.id), Some((name, topic)), "topics are found by their ids");
        for key in ConfigKey::all() {
            assert!(
                key.key().rule.admits(&topic.config.text(key)),
                "{} has a value that it can have",
                key.name()
            );
        }
        for partition in &topic.partitions {
            assert_eq!(catalog.owner(partition.log), Some(partition.shard), "partitions have owners");
        }
    }
    assert_eq!(catalog.partition_count(), partitions, "no two partitions share a log");
    let mut replay = Replay::default();
    for batch in encode(Entry::Snapshot(catalog), 1000) {
        let batch = Batch::parse(&batch).expect("it was built");
        replay.batch(&batch).expect("a snapshot is read as it was written");
    }
    assert_eq!(&replay.finish().0, catalog);
    let create = Command::Create {
        name: "one-more".to_owned(),
        partitions: Spread::Count(3),
        config: ConfigChange::NONE,
    };
    if let Ok(change) = catalog.plan(create, &limits()) {
        catalog.clone().apply(&change).expect("it was planned on this state");
    }
}

fn limits() -> CatalogLimits {
    let defaults = TopicValues { max_message_bytes: 1 << 20, retention_ms: None, retention_bytes: None };
    CatalogLimits {
        shards: 3,
        partitions_per_topic: MAX_PARTITIONS,
        partitions: 100,
        default_partitions: 2,
        defaults,
    }
}

fn command(u: &mut Unstructured<'_>) -> arbitrary::Result<Command> {
    let name = (*u.choose(&["topic", "other.1", "other_1", ""])?).to_owned();
    let config = if u.ratio(1, 4)? { config(u)? } else { ConfigChange::NONE };
    let partitions = u.int_in_range(0..=MAX_PARTITIONS + 1)?;
    Ok(match u.int_in_range(0..=7)? {
        0 | 1 => Command::Create { name, partitions: Spread::Count(partitions), config },
        2 => Command::Alter { name, partitions, config },
        3 => Command::Delete { name, id: u.arbitrary()? },
        4 => Command::Grow { name, partitions, on: u.ratio(1, 2)?.then(|| vec![1; partitions as usize / 2]) },
        5 => Command::CreateInternal { name: OFFSETS, partitions },
        6 => Command::AllocateProducerIds,
        _ => Command::Forget { logs: vec![number(u)?] },
    })
}

fn config(u: &mut Unstructured<'_>) -> arbitrary::Result<ConfigChange> {
    let keys =
        ["retention.ms", "retention.bytes", "max.message.bytes", "flush.ms", "cleanup.policy", "unknown"];
    let key = (*u.choose(&keys)?).to_owned();
    let value =
        if u.ratio(1, 2)? { number(u)?.to_string() } else { u.choose(&["compact", "delete"])?.to_string() };
    Ok(match u.int_in_range(0..=4)? {
        0 => ConfigChange::Edit(vec![(key, ConfigOp::Append(value))]),
        1 => ConfigChange::Edit(vec![(key, ConfigOp::Subtract(value))]),
        2 => ConfigChange::Edit(vec![(key, ConfigOp::Reset)]),
        3 => ConfigChange::Replace(vec![(key, value)]),
        _ => ConfigChange::Edit(vec![(key, ConfigOp::Set(value))]),
    })
}
