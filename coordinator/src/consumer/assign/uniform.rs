//! As balanced as the subscriptions allow, and otherwise as little movement as possible.
//!
//! Members keep what they had. What nobody has goes to whoever has least of those who want it. Then, from the members with
//! least on, each takes a partition from one that has at least two more, if need be along others in between: one takes
//! from the next, which takes from the next, so that only the ends change their numbers. When there is no such chain the
//! assignment is as balanced as can be: neither the sum of squares of the members' numbers nor their maximum can be lower.
//!
//! Chains are looked for level by level. Once no chain ends at a member with `n` partitions or less, none ever will: all
//! that is held of what such members want, directly or along others, is held by members with at most `n + 1`, and later
//! chains cannot touch these.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::mem::replace;

use super::{Subscriber, Topic};
use crate::consumer::Partitions;

/// Nobody.
const NONE: u32 = u32::MAX;

/// How many partitions and subscriptions are looked at while balancing, at most, so that no group can hold up its shard:
/// about a tenth of a second's work. Groups of 1,000 members and 10,000 partitions that all want the same stay far below.
const BUDGET: usize = 50_000_000;

pub(super) fn assign(topics: &[Topic], members: &[Subscriber<'_>]) -> Vec<Partitions> {
    let mut work = Work::new(topics, members);
    work.keep(members);
    work.hand_out();
    work.balance();
    work.result(members.len())
}

struct Work<'a> {
    topics: &'a [Topic],
    /// The first partition of each topic, counted over all topics, and the end.
    first: Vec<usize>,
    /// Who is to have each partition.
    owner: Vec<u32>,
    /// Who had it so far.
    before: Vec<u32>,
    /// How many each member has.
    load: Vec<usize>,
    /// Who wants each topic.
    subscribers: Vec<Vec<u32>>,
    /// Which of the different subscriptions each member has, and what is in them.
    class: Vec<u32>,
    classes: Vec<&'a [u32]>,
    /// What is left of [`BUDGET`].
    budget: usize,
}

impl<'a> Work<'a> {
    fn new(topics: &'a [Topic], members: &'a [Subscriber<'_>]) -> Self {
        let mut first = vec![0];
        for topic in topics {
            first.push(first[first.len() - 1] + topic.partitions.max(0) as usize);
        }
        let count = first[topics.len()];
        let mut subscribers = vec![Vec::new(); topics.len()];
        let mut known: BTreeMap<&[u32], u32> = BTreeMap::new();
        let mut classes: Vec<&[u32]> = Vec::new();
        let mut class = Vec::new();
        for (member, wanted) in (0..).zip(members.iter().map(|member| &*member.topics)) {
            wanted.iter().for_each(|&topic| subscribers[topic as usize].push(member));
            class.push(*known.entry(wanted).or_insert_with(|| {
                classes.push(wanted);
                classes.len() as u32 - 1
            }));
        }
        Self {
            topics,
            first,
            owner: vec![NONE; count],
            before: vec![NONE; count],
            load: vec![0; members.len()],
            subscribers,
            class,
            classes,
            budget: BUDGET,
        }
    }

    fn partitions(&self, topic: u32) -> std::ops::Range<usize> {
        self.first[topic as usize]..self.first[topic as usize + 1]
    }

    /// Leaves members what they had, where they still want it and it still is there.
    fn keep(&mut self, members: &[Subscriber<'_>]) {
        for (index, member) in (0..).zip(members) {
            for (id, number) in member.held {
                let Ok(topic) = self.topics.binary_search_by_key(id, |topic| topic.id) else { continue };
                let is_there = (0..self.topics[topic].partitions).contains(number);
                if !is_there || member.topics.binary_search(&(topic as u32)).is_err() {
                    continue;
                }
                let partition = self.first[topic] + *number as usize;
                if self.owner[partition] == NONE {
                    self.owner[partition] = index;
                    self.before[partition] = index;
                    self.load[index as usize] += 1;
                }
            }
        }
    }

    /// Gives what nobody has to whoever has least; topics that few want first, as these have the least choice.
    fn hand_out(&mut self) {
        let mut order: Vec<u32> = (0..self.topics.len() as u32).collect();
        order.sort_by_key(|&topic| self.subscribers[topic as usize].len());
        for topic in order {
            let mut idle: Option<BinaryHeap<Reverse<(usize, u32)>>> = None;
            for partition in self.partitions(topic) {
                if self.owner[partition] != NONE {
                    continue;
                }
                let idle = idle.get_or_insert_with(|| {
                    let subscribers = self.subscribers[topic as usize].iter();
                    subscribers.map(|&member| Reverse((self.load[member as usize], member))).collect()
                });
                let Some(mut least) = idle.peek_mut() else { break };
                let Reverse((load, member)) = &mut *least;
                *load += 1;
                self.owner[partition] = *member;
                self.load[*member as usize] = *load;
            }
        }
    }

    fn balance(&mut self) {
        let mut by_load: BTreeSet<(usize, u32)> = self.load.iter().copied().zip(0..).collect();
        let Some(&(mut level, _)) = by_load.first() else { return };
        while by_load.last().is_some_and(|&(most, _)| most >= level + 2) {
            match self.find_chain(&by_load, level) {
                Some(chain) => self.shift(&chain, &mut by_load),
                None if self.budget == 0 => return,
                None => level += 1,
            }
        }
    }

    /// A chain from a member with `level` partitions or less to one with at least two more, the most that can be reached,
    /// so that nobody gives what it would have to get back. Each takes a partition, and is who the one before takes from.
    fn find_chain(&mut self, by_load: &BTreeSet<(usize, u32)>, level: usize) -> Option<Vec<Link>> {
        let &(most, _) = by_load.last()?;
        let mut links: Vec<Link> = Vec::new();
        let mut best: Option<(usize, usize)> = None;
        let mut queue: VecDeque<(u32, Option<usize>)> = VecDeque::new();
        let mut seen_topic = vec![false; self.topics.len()];
        let mut seen_class = vec![false; self.classes.len()];
        let mut seen_member = vec![false; self.load.len()];
        for &(_, member) in by_load.range(..(level + 1, 0)) {
            seen_member[member as usize] = true;
            // Of members that want the same the first one does for all.
            if !replace(&mut seen_class[self.class[member as usize] as usize], true) {
                queue.push_back((member, None));
            }
        }
        while let Some((taker, behind)) = queue.pop_front() {
            let wanted = self.classes[self.class[taker as usize] as usize];
            for &topic in wanted {
                self.budget = self.budget.checked_sub(1)?;
                if replace(&mut seen_topic[topic as usize], true) {
                    continue;
                }
                for partition in self.partitions(topic) {
                    self.budget = self.budget.checked_sub(1)?;
                    let giver = self.owner[partition];
                    if giver == NONE || replace(&mut seen_member[giver as usize], true) {
                        continue;
                    }
                    let (load, link) = (self.load[giver as usize], links.len());
                    links.push(Link { taker, giver, topic, behind });
                    if load == most {
                        return Some(unroll(&links, link));
                    }
                    if load >= level + 2 && best.is_none_or(|(than, _)| load > than) {
                        best = Some((load, link));
                    }
                    if !replace(&mut seen_class[self.class[giver as usize] as usize], true) {
                        queue.push_back((giver, Some(link)));
                    }
                }
            }
        }
        best.map(|(_, link)| unroll(&links, link))
    }

    /// Moves a partition along each link of a chain.
    fn shift(&mut self, chain: &[Link], by_load: &mut BTreeSet<(usize, u32)>) {
        for link in chain {
            let of_giver = |&partition: &usize| self.owner[partition] == link.giver;
            let (taker, partitions) = (link.taker, self.partitions(link.topic));
            // Best one that the taker had so far, next best one that the giver has not had so far.
            let rank = |&partition: &usize| match self.before[partition] {
                before if before == taker => 0,
                before if before != link.giver => 1,
                _ => 2,
            };
            let partition = partitions.filter(of_giver).min_by_key(rank);
            self.owner[partition.expect("a giver has a partition of the topic of its link")] = taker;
        }
        let (Some(start), Some(end)) = (chain.last(), chain.first()) else { return };
        for (member, change) in [(start.taker, 1), (end.giver, -1)] {
            let load = &mut self.load[member as usize];
            by_load.remove(&(*load, member));
            *load = load.checked_add_signed(change).expect("who gives has partitions");
            by_load.insert((*load, member));
        }
    }

    fn result(&self, members: usize) -> Vec<Partitions> {
        let mut lists = vec![Vec::new(); members];
        for (topic, partitions) in self.topics.iter().zip(self.first.windows(2)) {
            for (number, partition) in (0..).zip(partitions[0]..partitions[1]) {
                if let Some(list) = lists.get_mut(self.owner[partition] as usize) {
                    list.push((topic.id, number));
                }
            }
        }
        lists.into_iter().map(Partitions::from_iter).collect()
    }
}

/// One takes a partition of a topic from another.
#[derive(Clone, Copy)]
struct Link {
    taker: u32,
    giver: u32,
    topic: u32,
    /// The link in which the taker is the one that gives.
    behind: Option<usize>,
}

/// The chain that ends with a link, that link first.
fn unroll(links: &[Link], last: usize) -> Vec<Link> {
    std::iter::successors(Some(links[last]), |link| link.behind.map(|behind| links[behind])).collect()
}
