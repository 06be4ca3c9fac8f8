//! The catalog: planning, applying, and reading it back from its records.

use proptest::prelude::*;
use ringmail_wire::batch::Batch;

use super::record::{Entry, LARGEST_BATCH, Replay, ReplayError, encode};
use super::*;

const LIMITS: CatalogLimits = CatalogLimits {
    shards: 2,
    partitions_per_topic: 40_000,
    partitions: 50_000,
    default_partitions: 3,
    defaults: TopicValues { max_message_bytes: 1 << 20, retention_bytes: None, retention_ms: None },
};

fn create(name: &str, partitions: u32) -> Command {
    let partitions = if partitions == 0 { Spread::Default } else { Spread::Count(partitions) };
    Command::Create { name: name.to_owned(), partitions, config: ConfigChange::NONE }
}

fn grow(name: &str, partitions: u32, on: Option<&[ShardId]>) -> Command {
    Command::Grow { name: name.to_owned(), partitions, on: on.map(<[_]>::to_vec) }
}

fn alter(name: &str, partitions: u32, config: &[(&str, &str)]) -> Command {
    let entry = |(key, value): &(&str, &str)| ((*key).to_owned(), ConfigOp::Set((*value).to_owned()));
    let config = ConfigChange::Edit(config.iter().map(entry).collect());
    Command::Alter { name: name.to_owned(), partitions, config }
}

fn delete(name: &str) -> Command {
    Command::Delete { name: name.to_owned(), id: None }
}

fn run(catalog: &mut Catalog, command: Command) -> Result<Change, CatalogError> {
    let change = catalog.plan(command, &LIMITS)?;
    catalog.apply(&change).unwrap();
    Ok(change)
}

fn replay(batches: &[Vec<u8>]) -> Result<(Catalog, usize), ReplayError> {
    let mut replay = Replay::default();
    for batch in batches {
        let batch = Batch::parse(batch).unwrap();
        batch.check().unwrap();
        replay.batch(&batch)?;
    }
    Ok(replay.finish())
}

#[test]
fn a_topic_is_created_altered_and_deleted() {
    let mut catalog = Catalog::default();
    run(&mut catalog, create("orders", 0)).unwrap();
    let topic = catalog.topic("orders").unwrap().clone();
    assert_eq!(topic.partitions.iter().map(|partition| partition.log).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(catalog.owner(1), Some(topic.partitions[0].shard));
    assert_eq!(catalog.owner(CATALOG_LOG), None, "clients must not reach the catalog's log");

    run(&mut catalog, alter("orders", 5, &[("retention.ms", "10")])).unwrap();
    let topic = catalog.topic("orders").unwrap();
    assert_eq!(topic.partitions.len(), 5);
    assert_eq!(topic.config.log_config().retention_ms, Some(10));

    run(&mut catalog, delete("orders")).unwrap();
    assert_eq!((catalog.partition_count(), catalog.dropping().count()), (0, 5));
    run(&mut catalog, Command::Forget { logs: vec![1, 2, 3, 4, 5] }).unwrap();
    assert_eq!(catalog.dropping().count(), 0);
}

#[test]
fn ids_are_never_used_twice() {
    let mut catalog = Catalog::default();
    run(&mut catalog, create("a", 2)).unwrap();
    run(&mut catalog, delete("a")).unwrap();
    run(&mut catalog, create("a", 1)).unwrap();
    let topic = catalog.topic("a").unwrap();
    assert_eq!((topic.id, topic.partitions[0].log), (2, 3));

    run(&mut catalog, delete("a")).unwrap();
    let snapshot = encode(Entry::Snapshot(&catalog), 0);
    let (mut restored, _) = replay(&snapshot).unwrap();
    run(&mut restored, create("a", 1)).unwrap();
    let topic = restored.topic("a").unwrap();
    assert_eq!((topic.id, topic.partitions[0].log), (3, 4));
}

#[test]
fn refusals_say_what_to_do() {
    let mut catalog = Catalog::default();
    run(&mut catalog, create("a", 4)).unwrap();
    for (command, words) in [
        (create("a", 1), "exists already"),
        (create("a/b", 1), "write 1 to 249"),
        (create("b", 40_001), "limits.partitions_per_topic"),
        (alter("a", 3, &[]), "write 4 or more"),
        (alter("a", 40_001, &[]), "limits.partitions_per_topic"),
        (alter("a", 0, &[("retention.mss", "1")]), "did you mean retention.ms?"),
        (alter("b", 0, &[]), "there is no topic \"b\""),
        (delete("b"), "there is no topic \"b\""),
    ] {
        let error = run(&mut catalog, command).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    run(&mut catalog, create("big", 40_000)).unwrap();
    let error = run(&mut catalog, create("more", 10_000)).unwrap_err().to_string();
    assert!(error.contains("room for 9996") && error.contains("limits.partitions"), "{error}");
}

#[test]
fn topics_grow_where_they_are_told_to() {
    let mut catalog = Catalog::default();
    let on = Spread::On(vec![1, 1, 0]);
    run(&mut catalog, Command::Create { name: "a".to_owned(), partitions: on, config: ConfigChange::NONE })
        .unwrap();
    run(&mut catalog, grow("a", 5, Some(&[0, 1]))).unwrap();
    run(&mut catalog, grow("a", 7, None)).unwrap();
    let shards = |catalog: &Catalog| -> Vec<ShardId> {
        catalog.topic("a").unwrap().partitions.iter().map(|partition| partition.shard).collect()
    };
    assert_eq!(shards(&catalog)[..5], [1, 1, 0, 0, 1]);
    for (command, words) in [
        (grow("a", 7, None), "has 7 partitions already"),
        (grow("a", 1, None), "has 7 partitions already"),
        (grow("a", 9, Some(&[0])), "gets 2 more partitions, and 1 are assigned"),
        (grow("a", 8, Some(&[2])), "there is no shard 2"),
        (grow("b", 8, None), "there is no topic"),
    ] {
        let error = run(&mut catalog, command).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(shards(&catalog).len(), 7);
}

#[test]
fn names_that_are_alike_in_metrics_collide() {
    let mut catalog = Catalog::default();
    run(&mut catalog, create("a.b", 1)).unwrap();
    let error = run(&mut catalog, create("a_b", 1)).unwrap_err().to_string();
    assert!(error.contains("collides with topic a.b"), "{error}");
    run(&mut catalog, create("ab", 1)).unwrap();
    let (mut restored, _) = replay(&encode(Entry::Snapshot(&catalog), 0)).unwrap();
    assert!(run(&mut restored, create("a_b", 1)).is_err());
    run(&mut restored, delete("a.b")).unwrap();
    run(&mut restored, create("a_b", 1)).unwrap();
}

#[test]
fn topics_are_found_by_their_ids() {
    let mut catalog = Catalog::default();
    run(&mut catalog, create("a", 1)).unwrap();
    run(&mut catalog, create("b", 1)).unwrap();
    let (mut catalog, _) = replay(&encode(Entry::Snapshot(&catalog), 0)).unwrap();
    assert_eq!(catalog.topic_of_id(2).map(|(name, topic)| (name, topic.id)), Some(("b", 2)));
    let other = Command::Delete { name: "b".to_owned(), id: Some(1) };
    assert!(run(&mut catalog, other).is_err(), "another topic is meant");
    run(&mut catalog, Command::Delete { name: "b".to_owned(), id: Some(2) }).unwrap();
    assert_eq!(catalog.topic_of_id(2), None);
}

#[test]
fn internal_topics_are_the_brokers() {
    let mut catalog = Catalog::default();
    let refused = |catalog: &mut Catalog, command| {
        assert_eq!(run(catalog, command), Err(CatalogError::Internal(OFFSETS.to_owned())));
    };
    refused(&mut catalog, create(OFFSETS, 1));
    run(&mut catalog, Command::CreateInternal { name: OFFSETS, partitions: 3 }).unwrap();
    run(&mut catalog, create("a", 1)).unwrap();
    assert!(catalog.topic(OFFSETS).unwrap().config.is_compacted());
    refused(&mut catalog, grow(OFFSETS, 5, None));
    refused(&mut catalog, alter(OFFSETS, 5, &[]));
    refused(&mut catalog, delete(OFFSETS));
    run(&mut catalog, alter(OFFSETS, 0, &[("segment.bytes", "1048576")])).unwrap();
    let (restored, _) = replay(&encode(Entry::Snapshot(&catalog), 0)).unwrap();
    assert_eq!([1, 2, 3, 4].map(|log| restored.is_internal(log)), [true, true, true, false]);
}

#[test]
fn producer_ids_are_never_given_out_twice() {
    let mut catalog = Catalog::default();
    let allocate = |catalog: &mut Catalog| run(catalog, Command::AllocateProducerIds).unwrap();
    let first = allocate(&mut catalog);
    assert_eq!(first, Change::ProducerIds { first: 0, count: 1_000 });
    let second = allocate(&mut catalog);
    assert_eq!(second, Change::ProducerIds { first: 1_000, count: 1_000 });
    let mut batches = encode(Entry::Change(&first), 0);
    batches.extend(encode(Entry::Change(&second), 0));
    let (mut restored, _) = replay(&batches).unwrap();
    assert_eq!(restored, catalog);
    assert_eq!(allocate(&mut restored), Change::ProducerIds { first: 2_000, count: 1_000 });
    let (mut restored, _) = replay(&encode(Entry::Snapshot(&restored), 0)).unwrap();
    assert!(restored.apply(&second).is_err());
    assert_eq!(allocate(&mut restored), Change::ProducerIds { first: 3_000, count: 1_000 });
}

#[test]
fn a_change_that_does_not_fit_changes_nothing() {
    let mut catalog = Catalog::default();
    let created = run(&mut catalog, create("a", 1)).unwrap();
    let before = catalog.clone();
    assert!(catalog.apply(&created).is_err());
    let again = match created.clone() {
        Change::Created { topic, .. } => Change::Created { name: "b".to_owned(), topic },
        other => other,
    };
    assert!(catalog.apply(&again).is_err());
    assert!(catalog.apply(&Change::Deleted { name: "b".to_owned() }).is_err());
    assert_eq!(catalog, before);
}

#[test]
fn a_large_entry_is_cut_into_parts_and_counts_only_whole() {
    let mut catalog = Catalog::default();
    let mut batches = encode(Entry::Change(&run(&mut catalog, create("a", 1)).unwrap()), 1);
    let large = run(&mut catalog.clone(), create("big", 40_000)).unwrap();
    let parts = encode(Entry::Change(&large), 2);
    assert!(parts.len() > 1 && parts.iter().all(|part| part.len() <= LARGEST_BATCH));

    // A crash after the first part; then the broker starts again and another change follows.
    batches.push(parts[0].clone());
    assert_eq!(replay(&batches).unwrap(), (catalog.clone(), 1));
    batches.extend(encode(Entry::Change(&run(&mut catalog, create("b", 1)).unwrap()), 3));
    assert_eq!(replay(&batches).unwrap(), (catalog.clone(), 2));

    batches.extend(encode(Entry::Change(&run(&mut catalog, create("big", 40_000)).unwrap()), 4));
    assert_eq!(replay(&batches).unwrap(), (catalog, 3));
}

#[test]
fn what_is_not_the_catalogs_is_told_apart() {
    let mut builder = ringmail_wire::batch::BatchBuilder::new(1_000, ringmail_wire::batch::Compression::None);
    builder.push(0, None, Some(b"x"), &[]).unwrap();
    let mut batch = Vec::new();
    builder.finish_into(&mut batch);
    assert_eq!(replay(&[batch]), Err(ReplayError::Foreign(0)));
}

fn command() -> impl Strategy<Value = Command> {
    let name = prop_oneof![Just("a"), Just("b.c"), Just("b_c")];
    (name, 0_u32..6, 0..6).prop_map(|(name, partitions, kind)| match kind {
        0 => delete(name),
        1 => alter(name, partitions, &[("retention.bytes", "7")]),
        2 => grow(name, partitions, None),
        3 => Command::AllocateProducerIds,
        _ => create(name, partitions),
    })
}

proptest! {
    #[test]
    fn the_records_give_the_catalog_back(
        commands in prop::collection::vec(command(), 0..40),
        snapshot_after in 0_usize..40,
    ) {
        let mut catalog = Catalog::default();
        let mut batches = Vec::new();
        for (index, command) in commands.into_iter().enumerate() {
            if let Ok(change) = run(&mut catalog, command) {
                batches.extend(encode(Entry::Change(&change), 0));
            }
            if index == snapshot_after {
                batches = encode(Entry::Snapshot(&catalog), 0);
            }
        }
        let (restored, _) = replay(&batches).unwrap();
        prop_assert_eq!(&restored, &catalog);
        let logs: Vec<_> = restored.topics().flat_map(|(_, topic)| &topic.partitions).map(|p| p.log).collect();
        let distinct: std::collections::HashSet<_> = logs.iter().collect();
        prop_assert_eq!(distinct.len(), logs.len());
        prop_assert_eq!(restored.partition_count(), logs.len());
    }
}
