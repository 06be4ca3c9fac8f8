//! Neighbouring partitions for each member, topic by topic.

use super::{Subscriber, Topic};
use crate::consumer::Partitions;

/// Static members come first, in the order of their instance ids, so that what they get does not depend on the ids they
/// have this time.
pub(super) fn assign(topics: &[Topic], members: &[Subscriber<'_>]) -> Vec<Partitions> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_key(|&index| {
        (members[index].instance.is_none(), members[index].instance, members[index].id)
    });
    let mut of_topic: Vec<Vec<usize>> = vec![Vec::new(); topics.len()];
    for &index in &order {
        for &topic in members[index].topics.iter() {
            of_topic[topic as usize].push(index);
        }
    }
    let mut assigned = vec![Partitions::new(); members.len()];
    for (topic, subscribers) in topics.iter().zip(of_topic).filter(|(_, subscribers)| !subscribers.is_empty())
    {
        let mut next = 0;
        for (count, index) in shares(topic.partitions, subscribers.len()).zip(subscribers) {
            assigned[index].extend((next..next + count).map(|number| (topic.id, number)));
            next += count;
        }
    }
    assigned
}

/// How many of `total` each of `count` gets: the first ones get one more where it does not come out even.
fn shares(total: i32, count: usize) -> impl Iterator<Item = i32> {
    let (share, rest) = (total.max(0) as usize / count, total.max(0) as usize % count);
    (0..count).map(move |index| (share + usize::from(index < rest)) as i32)
}
