//! Members of both protocols that come and go while the broker starts anew and its disk fills up: once there are members of
//! the new protocol, no partition is with two, and once things calm down all are with somebody.

use proptest::prelude::*;
use ringmail_coordinator::consumer::Partitions;
use ringmail_kafka::error::ErrorCode;

use crate::administration::list;
use crate::classic_client::{ClassicClient, TOPIC};
use crate::harness::{Client, Host};

const SLOTS: usize = 4;

#[derive(Debug, Clone)]
enum Step {
    StartOld(usize),
    StartNew(usize),
    Poll(usize),
    Leave(usize),
    Crash(usize),
    Restart,
    Full(bool),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let slot = 0..SLOTS;
    prop_oneof![
        3 => slot.clone().prop_map(Step::StartOld),
        3 => slot.clone().prop_map(Step::StartNew),
        20 => slot.clone().prop_map(Step::Poll),
        1 => slot.clone().prop_map(Step::Leave),
        1 => slot.prop_map(Step::Crash),
        1 => Just(Step::Restart),
        1 => any::<bool>().prop_map(Step::Full),
        4 => (1..4_000u64).prop_map(Step::Pass),
    ]
}

enum Process {
    None,
    Old(ClassicClient),
    New(Client),
}

struct World {
    host: Host,
    slots: Vec<Process>,
    cooperative: bool,
    started: usize,
}

impl World {
    fn new(cooperative: bool) -> Self {
        let mut host = Host::new();
        host.topics.create(TOPIC, 5);
        Self { host, slots: (0..SLOTS).map(|_| Process::None).collect(), cooperative, started: 0 }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::StartOld(slot) if matches!(self.slots[slot], Process::None) => {
                self.slots[slot] = Process::Old(ClassicClient::new(None, self.cooperative));
            }
            Step::StartNew(slot) if matches!(self.slots[slot], Process::None) => {
                self.started += 1;
                self.slots[slot] = Process::New(Client::new(&format!("n{}", self.started), &[TOPIC]));
            }
            Step::StartOld(_) | Step::StartNew(_) => {}
            Step::Poll(slot) => self.poll(slot),
            Step::Leave(slot) => {
                match &mut self.slots[slot] {
                    // One that is not known yet has nothing to leave, and crashes.
                    Process::New(client) if client.epoch > 0 => drop(client.leave(&mut self.host, -1)),
                    _ => {}
                }
                self.slots[slot] = Process::None;
            }
            Step::Crash(slot) => self.slots[slot] = Process::None,
            Step::Restart => {
                self.host.restart();
                self.slots.iter_mut().for_each(|process| {
                    if let Process::Old(client) = process {
                        client.lost_connection();
                    }
                });
            }
            Step::Full(full) => self.host.full = full,
            Step::Pass(ms) => self.host.pass(ms),
        }
        self.check();
    }

    fn poll(&mut self, slot: usize) {
        match &mut self.slots[slot] {
            Process::None => {}
            Process::Old(client) => client.poll(&mut self.host),
            Process::New(client) => match client.beat(&mut self.host) {
                Ok(_) => {}
                Err(ErrorCode::CoordinatorNotAvailable) => client.resync = true,
                Err(
                    ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId | ErrorCode::GroupIdNotFound,
                ) => client.abandon(),
                Err(other) => panic!("a client that follows the protocol is refused by {}", other.name()),
            },
        }
    }

    /// Of those that the group counts as members.
    fn check(&mut self) {
        let members = self.host.members();
        let mut all = Partitions::new();
        for process in &self.slots {
            let (id, owned) = match process {
                Process::None => continue,
                Process::Old(client) => (&client.id, &client.owned),
                Process::New(client) => (&client.id, &client.owned),
            };
            for &partition in owned.iter().filter(|_| members.contains(id)) {
                assert!(all.insert(partition), "{partition:?} is with {id} and another");
            }
        }
    }

    fn calm_down(&mut self) {
        self.host.full = false;
        for _ in 0..150 {
            (0..SLOTS).for_each(|slot| self.poll(slot));
            self.check();
            self.host.pass(1_000);
        }
        let counts: Vec<usize> = self
            .slots
            .iter()
            .filter_map(|process| match process {
                Process::None => None,
                Process::Old(client) => Some(client.owned.len()),
                Process::New(client) => Some(client.owned.len()),
            })
            .collect();
        if counts.is_empty() {
            return;
        }
        assert_eq!(counts.iter().sum::<usize>(), 5, "{counts:?}");
        assert!(counts.iter().max() <= counts.iter().min().map(|least| least + 1).as_ref(), "{counts:?}");
        let any_new = self.slots.iter().any(|process| matches!(process, Process::New(_)));
        let groups = list(&mut self.host, &[], &[]);
        assert_eq!(groups[0].group_state, "Stable");
        assert_eq!(groups[0].group_type, if any_new { "Consumer" } else { "Classic" });
    }
}

proptest! {
    #[test]
    fn groups_change_over_whatever_happens(
        cooperative in any::<bool>(),
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let mut world = World::new(cooperative);
        steps.into_iter().for_each(|step| world.run(step));
        world.calm_down();
    }
}
