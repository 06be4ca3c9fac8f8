//! Members that come, go, crash, miss answers and change their minds, a broker that starts anew, topics that change: at no time
//! do two members have one partition, and once things calm down all partitions are with somebody, fairly.

use std::collections::BTreeSet;

use proptest::prelude::*;
use ringmail_coordinator::consumer::Partitions;
use ringmail_coordinator::machine::Topics;
use ringmail_kafka::error::ErrorCode;

use crate::harness::{Client, Host};

const CLIENTS: usize = 6;
const TOPICS: [&str; 4] = ["a", "ab", "b", "c"];
const PATTERNS: [&str; 4] = ["", "a.*", "b|c", ".*"];

#[derive(Debug, Clone)]
enum Step {
    Join(usize),
    /// Gives up what it was told to, and says so.
    Beat(usize),
    /// Gives nothing up yet.
    Ping(usize),
    /// The request is taken, its answer is lost.
    Lose(usize),
    Leave(usize),
    /// For now, if it is a static member.
    Away(usize),
    Crash(usize),
    Want(usize, Vec<bool>, usize),
    Topic(usize, i32),
    Restart,
    Full(bool),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..CLIENTS;
    prop_oneof![
        4 => client.clone().prop_map(Step::Join),
        12 => client.clone().prop_map(Step::Beat),
        6 => client.clone().prop_map(Step::Ping),
        2 => client.clone().prop_map(Step::Lose),
        1 => client.clone().prop_map(Step::Leave),
        1 => client.clone().prop_map(Step::Away),
        1 => client.clone().prop_map(Step::Crash),
        2 => (client, prop::collection::vec(any::<bool>(), TOPICS.len()), 0..PATTERNS.len())
            .prop_map(|(client, names, pattern)| Step::Want(client, names, pattern)),
        2 => (0..TOPICS.len(), 0..5i32).prop_map(|(topic, count)| Step::Topic(topic, count)),
        1 => Just(Step::Restart),
        1 => any::<bool>().prop_map(Step::Full),
        4 => (1..20_000u64).prop_map(Step::Pass),
    ]
}

struct World {
    host: Host,
    clients: Vec<Client>,
    /// How often processes were started: a new one has a new id.
    started: usize,
}

impl World {
    fn new() -> Self {
        let mut world = Self { host: Host::new(), clients: Vec::new(), started: 0 };
        for index in 0..CLIENTS {
            let client = world.process(index, &["a"], None);
            world.clients.push(client);
        }
        world
    }

    /// A process of a client: the first three are static members.
    fn process(&mut self, index: usize, names: &[&str], pattern: Option<String>) -> Client {
        self.started += 1;
        let instance = (index < 3).then(|| format!("i{index}"));
        Client {
            instance,
            pattern,
            rebalance_timeout_ms: 30_000,
            ..Client::new(&format!("m{}", self.started), names)
        }
    }

    fn crash(&mut self, index: usize) {
        let (names, pattern) = (self.clients[index].names.clone(), self.clients[index].pattern.clone());
        self.clients[index] = Client { names, ..self.process(index, &[], pattern) };
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Join(index) if self.clients[index].epoch == 0 => {
                let answer = self.clients[index].join(&mut self.host);
                self.settle_refusal(index, answer.err());
            }
            Step::Join(_) => {}
            Step::Beat(index) => self.beat(index),
            Step::Ping(index) if self.clients[index].epoch > 0 => {
                let client = &mut self.clients[index];
                let request = if client.resync { client.full() } else { client.quiet() };
                let answer = self.host.send(1, request);
                let refusal = answer.map(|answer| client.hear(&answer)).err();
                self.settle_refusal(index, refusal);
            }
            Step::Ping(_) => {}
            Step::Lose(index) => {
                let client = &mut self.clients[index];
                let request = client.full();
                let _ = self.host.send(1, request);
                client.resync = true;
            }
            Step::Leave(index) => self.leave(index, -1),
            Step::Away(index) if self.clients[index].instance.is_some() => self.leave(index, -2),
            Step::Away(_) => {}
            Step::Crash(index) => self.crash(index),
            Step::Want(index, names, pattern) => {
                let client = &mut self.clients[index];
                let chosen = TOPICS.iter().zip(names).filter(|(_, chosen)| *chosen);
                client.names = chosen.map(|(name, _)| (*name).to_owned()).collect();
                client.pattern = Some(PATTERNS[pattern].to_owned());
                client.resync = true;
            }
            Step::Topic(topic, count) => {
                let (name, before) = (TOPICS[topic], self.host.topics.topic(TOPICS[topic]));
                match before {
                    None => drop(self.host.topics.create(name, count)),
                    Some((_, before)) if before < count => self.host.topics.grow(name, count),
                    Some(_) => self.host.topics.delete(name),
                }
            }
            Step::Restart => self.host.restart(),
            Step::Full(full) => self.host.full = full,
            Step::Pass(ms) => self.host.pass(ms),
        }
        self.check();
    }

    fn beat(&mut self, index: usize) {
        let answer = self.clients[index].beat(&mut self.host);
        self.settle_refusal(index, answer.err());
    }

    fn leave(&mut self, index: usize, epoch: i32) {
        if self.clients[index].epoch > 0 && self.clients[index].leave(&mut self.host, epoch).is_ok() {
            self.crash(index);
        }
    }

    /// What a client does when it is refused.
    fn settle_refusal(&mut self, index: usize, code: Option<ErrorCode>) {
        match code {
            None => {}
            Some(
                ErrorCode::FencedMemberEpoch
                | ErrorCode::UnknownMemberId
                | ErrorCode::GroupIdNotFound
                | ErrorCode::UnreleasedInstanceId,
            ) => {
                self.clients[index].abandon();
            }
            Some(ErrorCode::CoordinatorNotAvailable) => self.clients[index].resync = true,
            Some(other) => panic!("a client that follows the protocol is refused by {}", other.name()),
        }
    }

    /// Those that the group counts as members, as they see themselves. Those that it has taken out are to stop by themselves, as
    /// their session is over.
    fn members(&mut self) -> impl Iterator<Item = &Client> {
        let stored = self.host.members();
        self.clients.iter().filter(move |client| stored.contains(&client.id) && client.epoch > 0)
    }

    fn check(&mut self) {
        let mut owned = Partitions::new();
        for client in self.members() {
            for &partition in &client.owned {
                assert!(owned.insert(partition), "{partition:?} is with {} and another", client.id);
            }
        }
    }

    /// Things calm down: each client is heard of every five seconds, and does what it is told.
    fn calm_down(&mut self) {
        self.host.full = false;
        for _ in 0..30 {
            (0..CLIENTS).for_each(|index| self.beat(index));
            self.check();
            self.host.pass(5_000);
        }
        self.host.restart();
        assert_eq!(self.members().count(), CLIENTS);
        assert_eq!(self.host.state(), "Stable");

        let wants: Vec<BTreeSet<&str>> = self.clients.iter().map(|client| self.wanted(client)).collect();
        for topic in TOPICS {
            let wanted = wants.iter().any(|wants| wants.contains(topic));
            for partition in self.host.topics.partitions(topic) {
                let owners =
                    self.clients.iter().zip(&wants).filter(|(client, _)| client.owned.contains(&partition));
                let owners: Vec<_> = owners.map(|(_, wants)| wants.contains(topic)).collect();
                assert_eq!(owners, vec![true; usize::from(wanted)], "{topic} {partition:?}");
            }
        }
        if wants.iter().all(|other| *other == wants[0]) {
            let counts = || self.clients.iter().map(|client| client.owned.len());
            assert!(counts().max() <= counts().min().map(|least| least + 1));
        }
        let (before, epoch) = (self.host.log.len(), self.host.describe().group_epoch);
        (0..CLIENTS).for_each(|index| self.beat(index));
        assert_eq!(
            (self.host.log.len(), self.host.describe().group_epoch),
            (before, epoch),
            "nothing goes on"
        );
    }

    fn wanted(&self, client: &Client) -> BTreeSet<&'static str> {
        let pattern: &[&str] = match client.pattern.as_deref() {
            Some("a.*") => &["a", "ab"],
            Some("b|c") => &["b", "c"],
            Some(".*") => &TOPICS,
            _ => &[],
        };
        TOPICS
            .into_iter()
            .filter(|name| client.names.iter().any(|own| own == name) || pattern.contains(name))
            .collect()
    }
}

proptest! {
    #[test]
    fn no_partition_is_with_two_members(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        world.host.topics.create("a", 4);
        for step in steps {
            world.run(step);
        }
        world.calm_down();
    }
}
