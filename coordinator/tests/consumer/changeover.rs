//! A group that changes over to the other protocol while it works, member by member.

use ringmail_coordinator::consumer::Partitions;
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::groups::{JoinGroupProtocol, JoinGroupRequest};
use ringmail_kafka::messages::{Request, Response};

use crate::administration::list;
use crate::classic_client::{ClassicClient, TOPIC};
use crate::harness::{Client, Host};

const PARTITIONS: i32 = 7;

#[derive(Default)]
struct World {
    old: Vec<ClassicClient>,
    new: Vec<Client>,
}

impl World {
    /// Lets all do what is next, some times over; nobody ever has what another has.
    fn run(&mut self, host: &mut Host, seconds: usize) {
        for _ in 0..seconds {
            for k in 0..self.old.len() {
                self.old[k].poll(host);
                self.check();
            }
            for k in 0..self.new.len() {
                self.new[k].beat(host).expect("a member that follows the protocol is not refused");
                self.check();
            }
            host.pass(1_000);
        }
    }

    fn check(&self) {
        let mut all = Partitions::new();
        let owned = self.old.iter().flat_map(|client| &client.owned);
        for &partition in owned.chain(self.new.iter().flat_map(|client| &client.owned)) {
            assert!(all.insert(partition), "{partition:?} is with two members");
        }
    }

    /// Everything is with somebody, and nobody has much more than another.
    fn check_calm(&self, host: &Host) {
        let counts: Vec<usize> = self
            .old
            .iter()
            .map(|client| client.owned.len())
            .chain(self.new.iter().map(|client| client.owned.len()))
            .collect();
        assert_eq!(counts.iter().sum::<usize>(), host.topics.partitions(TOPIC).len(), "{counts:?}");
        assert!(counts.iter().max() <= counts.iter().min().map(|least| least + 1).as_ref(), "{counts:?}");
    }
}

fn kind(host: &mut Host) -> (String, String) {
    let groups = list(host, &[], &[]);
    (groups[0].group_type.to_string(), groups[0].group_state.to_string())
}

fn classic_group(cooperative: bool, is_static: bool) -> (Host, World) {
    let mut host = Host::new();
    host.topics.create(TOPIC, PARTITIONS);
    let mut world = World::default();
    for k in 0..3 {
        let instance = is_static.then(|| format!("i{k}"));
        world.old.push(ClassicClient::new(instance.as_deref(), cooperative));
    }
    world.run(&mut host, 20);
    world.check_calm(&host);
    assert_eq!(kind(&mut host), ("Classic".into(), "Stable".into()));
    (host, world)
}

fn there_and_back(cooperative: bool, is_static: bool, restarts: bool) {
    let (mut host, mut world) = classic_group(cooperative, is_static);
    for k in 0..3 {
        let mut old = world.old.remove(0);
        let new = format!("n{k}");
        world.new.push(match old.instance.clone() {
            Some(instance) => Client::of_instance(&new, &instance, &[TOPIC]),
            None => {
                old.leave(&mut host);
                Client::new(&new, &[TOPIC])
            }
        });
        world.run(&mut host, 20);
        world.check_calm(&host);
        assert_eq!(kind(&mut host), ("Consumer".into(), "Stable".into()));
        if restarts {
            host.restart();
        }
    }

    for k in 0..3 {
        let mut new = world.new.remove(0);
        new.leave(&mut host, if is_static { -2 } else { -1 }).expect("leaves");
        world.old.push(ClassicClient::new(new.instance.as_deref(), cooperative));
        world.run(&mut host, 20);
        if is_static {
            // Its place was kept for the new member.
            world.run(&mut host, 5);
        }
        world.check_calm(&host);
        let expected = if k < 2 { "Consumer" } else { "Classic" };
        assert_eq!(kind(&mut host), (expected.into(), "Stable".into()));
        if restarts {
            host.restart();
        }
    }
    world.run(&mut host, 20);
    world.check_calm(&host);
}

#[test]
fn eager_members_change_over_and_back() {
    there_and_back(false, false, false);
}

#[test]
fn cooperative_members_change_over_and_back() {
    there_and_back(true, false, false);
}

#[test]
fn static_members_change_over_and_back() {
    there_and_back(true, true, false);
}

#[test]
fn a_restart_on_the_way_changes_nothing() {
    there_and_back(true, false, true);
    there_and_back(false, true, true);
}

#[test]
fn who_waits_in_a_group_that_changes_over_is_told() {
    let (mut host, mut world) = classic_group(false, false);
    world.old.push(ClassicClient::new(None, false));
    // The new one waits for the others to join again, and they do not know yet.
    world.old[3].poll(&mut host);
    world.new.push(Client::new("n1", &[TOPIC]));
    world.new[0].join(&mut host).expect("joins");
    world.run(&mut host, 30);
    world.check_calm(&host);
    assert_eq!(kind(&mut host).0, "Consumer");
    assert_eq!(host.members().len(), 5);
}

#[test]
fn a_silent_classic_member_is_taken_out() {
    let (mut host, mut world) = classic_group(false, false);
    world.new.push(Client::new("n1", &[TOPIC]));
    world.run(&mut host, 20);
    world.old.pop();
    world.run(&mut host, 50);
    world.check_calm(&host);
    assert_eq!(host.members().len(), 3);
}

#[test]
fn a_classic_member_that_does_not_join_again_is_taken_out() {
    let (mut host, mut world) = classic_group(false, false);
    let stuck = world.old.pop().expect("three members");
    world.new.push(Client::new("n1", &[TOPIC]));
    for _ in 0..70 {
        let request = ringmail_kafka::messages::groups::HeartbeatRequest {
            group_id: "g".into(),
            generation_id: stuck.generation,
            member_id: stuck.id.clone().into(),
            group_instance_id: None,
        };
        let Response::Heartbeat(_) = host.call(4, Request::Heartbeat(request)) else { panic!() };
        world.run(&mut host, 1);
    }
    assert_eq!(host.members().len(), 3);
    world.run(&mut host, 10);
    world.check_calm(&host);
}

#[test]
fn a_refused_change_leaves_all_as_it_was() {
    let (mut host, mut world) = classic_group(true, false);
    host.full = true;
    let mut new = Client::new("n1", &[TOPIC]);
    assert_eq!(new.join(&mut host), Err(ErrorCode::CoordinatorNotAvailable));
    assert_eq!(kind(&mut host), ("Classic".into(), "Stable".into()));
    host.full = false;
    world.new.push(new);
    world.run(&mut host, 20);
    world.check_calm(&host);
}

#[test]
fn what_the_broker_cannot_read_does_not_change_over() {
    let mut host = Host::new();
    host.topics.create(TOPIC, 1);
    let request = |kind: &'static str, metadata: &'static [u8]| JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: kind.into(),
        protocols: vec![JoinGroupProtocol { name: "x".into(), metadata: metadata.into() }],
        ..Default::default()
    };
    host.ask(3, Request::JoinGroup(request("connect", b"")));
    host.pass(5_000);
    assert_eq!(Client::new("n1", &[TOPIC]).join(&mut host), Err(ErrorCode::GroupIdNotFound));
    host.pass(400_000);

    Client::new("n1", &[TOPIC]).join(&mut host).expect("the group has no members any more");
    for (kind, metadata) in [("connect", &b""[..]), ("consumer", b"\0\x01")] {
        let Response::JoinGroup(answer) = host.call(3, Request::JoinGroup(request(kind, metadata))) else {
            panic!()
        };
        assert_eq!(answer.error_code, ErrorCode::InconsistentGroupProtocol as i16);
    }
}

#[test]
fn what_a_classic_member_has_not_heard_to_give_up_is_still_its_own() {
    let mut host = Host::new();
    host.topics.create(TOPIC, PARTITIONS);
    let mut world = World::default();
    world.old.push(ClassicClient::new(None, true));
    world.run(&mut host, 10);
    world.old.push(ClassicClient::new(None, true));
    // The second one asks for an id and joins; the first one hears of it, joins again, and assigns.
    for client in [1, 1, 0, 0, 0] {
        world.old[client].poll(&mut host);
    }
    assert_eq!(kind(&mut host), ("Classic".into(), "Stable".into()));
    assert_eq!(world.old[0].owned.len(), PARTITIONS as usize, "it has not read the answer");

    world.new.push(Client::new("n1", &[TOPIC]));
    for _ in 0..3 {
        world.new[0].beat(&mut host).expect("joins, and stays");
        world.check();
    }
    world.run(&mut host, 20);
    world.check_calm(&host);
}
