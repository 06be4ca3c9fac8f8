//! Who gets what: balanced, moving as little as can be, and fast.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use ringmail_coordinator::consumer::assign::{Subscriber, Topic};
use ringmail_coordinator::consumer::{Assignor, Partitions};
use ringmail_kafka::codec::Uuid;

fn topics(sizes: &[i32]) -> Vec<Topic> {
    let ids = (1u128..).map(|k| Uuid(k.to_be_bytes()));
    ids.zip(sizes).map(|(id, &partitions)| Topic { id, partitions }).collect()
}

/// Members named in order, with what they want.
fn assign(assignor: Assignor, topics: &[Topic], wants: &[Vec<u32>], held: &[Partitions]) -> Vec<Partitions> {
    let names: Vec<String> = (0..wants.len()).map(|k| format!("m{k:04}")).collect();
    let nothing = Partitions::new();
    let members: Vec<Subscriber<'_>> = (0..wants.len())
        .map(|k| Subscriber {
            id: &names[k],
            instance: None,
            topics: Arc::from(&wants[k][..]),
            held: held.get(k).unwrap_or(&nothing),
        })
        .collect();
    assignor.assign(topics, &members)
}

#[track_caller]
fn check(topics: &[Topic], wants: &[Vec<u32>], assigned: &[Partitions]) {
    let mut seen = Partitions::new();
    for (wanted, partitions) in wants.iter().zip(assigned) {
        for &(id, number) in partitions {
            let topic = topics.iter().position(|topic| topic.id == id).expect("a topic");
            assert!(number >= 0 && number < topics[topic].partitions);
            assert!(wanted.contains(&(topic as u32)), "nobody gets what it does not want");
            assert!(seen.insert((id, number)), "nobody gets what another has");
        }
    }
    for (index, topic) in (0..).zip(topics) {
        let wanted = wants.iter().any(|wanted| wanted.contains(&index));
        for number in 0..topic.partitions {
            assert_eq!(seen.contains(&(topic.id, number)), wanted, "all that is wanted is given");
        }
    }
}

/// Whether somebody could have less and another more, by handing partitions on along a chain of members.
fn could_be_fairer(topics: &[Topic], wants: &[Vec<u32>], assigned: &[Partitions]) -> bool {
    (0..wants.len()).any(|start| {
        let mut reached = BTreeSet::from([start]);
        let mut todo = vec![start];
        while let Some(taker) = todo.pop() {
            let wanted: BTreeSet<Uuid> =
                wants[taker].iter().map(|&topic| topics[topic as usize].id).collect();
            for (giver, held) in assigned.iter().enumerate() {
                if held.iter().any(|(id, _)| wanted.contains(id)) && reached.insert(giver) {
                    todo.push(giver);
                }
            }
        }
        reached.iter().any(|&end| assigned[end].len() > assigned[start].len() + 1)
    })
}

fn moved(before: &[Partitions], after: &[Partitions]) -> usize {
    before.iter().zip(after).map(|(before, after)| before.difference(after).count()).sum()
}

#[test]
fn a_new_member_takes_its_share_and_nothing_else_moves() {
    let topics = topics(&[10, 10]);
    let wants = vec![vec![0, 1]; 4];
    let before = assign(Assignor::Uniform, &topics, &wants[..3], &[]);
    assert_eq!(before.iter().map(BTreeSet::len).collect::<Vec<_>>(), [7, 7, 6]);
    let after = assign(Assignor::Uniform, &topics, &wants, &before);
    assert_eq!(after.iter().map(BTreeSet::len).collect::<Vec<_>>(), [5, 5, 5, 5]);
    assert_eq!(moved(&before, &after), 5);

    let without = assign(Assignor::Uniform, &topics, &wants[..3], &after);
    assert_eq!(moved(&after[..3], &without), 0, "who stays keeps all when another leaves");
}

#[test]
fn partitions_of_a_topic_are_spread() {
    let topics = topics(&[4, 4]);
    for partitions in assign(Assignor::Uniform, &topics, &vec![vec![0, 1]; 4], &[]) {
        assert_eq!(partitions.iter().map(|(id, _)| id).collect::<BTreeSet<_>>().len(), 2);
    }
}

#[test]
fn partitions_are_handed_on_where_they_cannot_go_directly() {
    // The first has 3 and shares a topic with the second, which shares one with the third.
    let topics = topics(&[3, 2, 1]);
    let wants = vec![vec![0], vec![0, 1], vec![1, 2]];
    let id = |k: u128| Uuid(k.to_be_bytes());
    let held = [
        Partitions::from([(id(1), 0), (id(1), 1), (id(1), 2)]),
        Partitions::from([(id(2), 0), (id(2), 1)]),
        Partitions::from([(id(3), 0)]),
    ];
    let after = assign(Assignor::Uniform, &topics, &wants, &held);
    check(&topics, &wants, &after);
    assert_eq!(after.iter().map(BTreeSet::len).collect::<Vec<_>>(), [2, 2, 2]);
    assert_eq!(moved(&held, &after), 2);
}

#[test]
fn range_gives_neighbours_and_the_same_numbers_of_topics() {
    let topics = topics(&[5, 5]);
    let assigned = assign(Assignor::Range, &topics, &vec![vec![0, 1]; 2], &[]);
    let numbers = |member: usize, topic: usize| -> Vec<i32> {
        assigned[member].iter().filter(|(id, _)| *id == topics[topic].id).map(|&(_, number)| number).collect()
    };
    for topic in 0..2 {
        assert_eq!((numbers(0, topic), numbers(1, topic)), (vec![0, 1, 2], vec![3, 4]));
    }
}

#[test]
fn range_puts_static_members_first() {
    let topics = topics(&[2]);
    let nothing = Partitions::new();
    let member = |id, instance| Subscriber { id, instance, topics: Arc::from([0]), held: &nothing };
    let members = [member("a", None), member("z", Some("i1"))];
    let assigned = Assignor::Range.assign(&topics, &members);
    assert_eq!(assigned[1], Partitions::from([(topics[0].id, 0)]));
}

#[test]
fn a_thousand_members_and_ten_thousand_partitions_take_no_time() {
    let topics = topics(&[100; 100]);
    let same: Vec<Vec<u32>> = vec![(0..100).collect(); 1_000];
    // Each its own three quarters of the topics.
    let own: Vec<Vec<u32>> =
        (0..1_000).map(|k| (0..100).filter(|t| (t * 7 + k) % 4 != 0).collect()).collect();
    // Many different ones: nearly each member has a list of its own.
    let odd: Vec<Vec<u32>> = (0..1_000u32)
        .map(|k| (0..100).filter(|t| k.wrapping_mul(2_654_435_761) >> (t % 32) & 1 == 1).collect())
        .collect();
    for wants in [same, own, odd] {
        let start = Instant::now();
        let half = assign(Assignor::Uniform, &topics, &wants[..500], &[]);
        let all = assign(Assignor::Uniform, &topics, &wants, &half);
        let one_less = assign(Assignor::Uniform, &topics, &wants[1..], &all[1..]);
        // Generous: the machine may be busy, and this is not an optimised build.
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        check(&topics, &wants, &all);
        assert!(one_less.iter().map(BTreeSet::len).sum::<usize>() <= 10_000);
        let (most, least) = (all.iter().map(BTreeSet::len).max(), all.iter().map(BTreeSet::len).min());
        println!("{:?} most {most:?} least {least:?}", start.elapsed());
    }
}

fn groups() -> impl Strategy<Value = (Vec<i32>, Vec<Vec<u32>>, Vec<Vec<u32>>)> {
    prop::collection::vec(0..7i32, 1..6).prop_flat_map(|sizes| {
        let count = sizes.len() as u32;
        let subscription = prop::collection::btree_set(0..count, 0..=count as usize);
        let members = prop::collection::vec(subscription.prop_map(|set| set.into_iter().collect()), 1..8);
        (Just(sizes), members.clone(), members)
    })
}

proptest! {
    #[test]
    fn uniform_is_as_fair_as_can_be((sizes, before, after) in groups()) {
        let topics = topics(&sizes);
        let first = assign(Assignor::Uniform, &topics, &before, &[]);
        check(&topics, &before, &first);
        prop_assert!(!could_be_fairer(&topics, &before, &first));
        let second = assign(Assignor::Uniform, &topics, &after, &first);
        check(&topics, &after, &second);
        prop_assert!(!could_be_fairer(&topics, &after, &second));
        let again = assign(Assignor::Uniform, &topics, &after, &second);
        prop_assert_eq!(again, second, "what is fair stays");
    }

    #[test]
    fn no_more_moves_than_needed_if_all_want_the_same(size in 0..40i32, before in 1..9usize, after in 1..9usize) {
        let topics = topics(&[size]);
        let first = assign(Assignor::Uniform, &topics, &vec![vec![0]; before], &[]);
        let second = assign(Assignor::Uniform, &topics, &vec![vec![0]; after], &first);
        let stays = before.min(after);
        let (share, rest) = (size as usize / after, size as usize % after);
        // The members that keep one more than the share are those that had the most.
        let mut kept: Vec<usize> = first[..stays].iter().map(|held| held.len()).collect();
        kept.sort_by(|a, b| b.cmp(a));
        let surplus: usize =
            kept.iter().enumerate().map(|(k, held)| held.saturating_sub(share + usize::from(k < rest))).sum();
        prop_assert_eq!(moved(&first[..stays], &second[..stays]), surplus);
    }

    #[test]
    fn range_gives_all_that_is_wanted((sizes, wants, _) in groups()) {
        let topics = topics(&sizes);
        let assigned = assign(Assignor::Range, &topics, &wants, &[]);
        check(&topics, &wants, &assigned);
    }
}
