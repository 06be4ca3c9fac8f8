//! Sets of partitions.

use std::collections::BTreeSet;

use ringmail_kafka::codec::Uuid;
use ringmail_kafka::messages::consumer_groups::TopicPartitions;

/// A partition: the id of its topic, and its number in it.
pub type Partition = (Uuid, i32);

/// Partitions, in order.
pub type Partitions = BTreeSet<Partition>;

/// As messages and records have them, topic by topic, from such.
pub(super) fn from_lists(lists: &[TopicPartitions]) -> Partitions {
    lists.iter().flat_map(|list| list.partitions.iter().map(|&number| (list.topic_id, number))).collect()
}

/// The same, the other way round.
pub(super) fn to_lists(partitions: &Partitions) -> Vec<TopicPartitions> {
    let mut lists: Vec<TopicPartitions> = Vec::new();
    for &(topic_id, number) in partitions {
        match lists.last_mut() {
            Some(list) if list.topic_id == topic_id => list.partitions.push(number),
            _ => lists.push(TopicPartitions { topic_id, partitions: vec![number] }),
        }
    }
    lists
}
