//! Members come, stay, and leave.

use ringmail_coordinator::groups::Settings;
use ringmail_coordinator::machine::Topics;
use ringmail_kafka::error::ErrorCode;

use crate::harness::{Client, Heartbeat, Host, refused};

#[test]
fn the_first_member_gets_all_partitions_at_once() {
    let mut host = Host::new();
    host.topics.create("a", 3);
    let mut client = Client::new("m1", &["a"]);
    let answer = client.join(&mut host).expect("joins");
    assert_eq!(answer.error_code, 0);
    assert_eq!(answer.member_id.as_deref(), Some("m1"));
    assert_eq!(answer.member_epoch, 1);
    assert_eq!(answer.heartbeat_interval_ms, 5_000);
    assert_eq!(client.owned, host.topics.partitions("a"));
    assert_eq!(host.state(), "Stable");

    let answer = client.ping(&mut host).expect("stays");
    assert_eq!((answer.member_epoch, answer.assignment), (1, None), "nothing new is not told again");
}

#[test]
fn version_0_gives_ids_out_and_version_1_asks_for_them() {
    let mut host = Host::new();
    host.topics.create("a", 1);
    let request = Client::new("", &["a"]).full();
    let first = host.send(0, request.clone()).expect("joins").member_id.expect("an id");
    let second = host.send(0, request.clone()).expect("joins").member_id.expect("an id");
    assert!(!first.is_empty() && first != second);
    refused(host.send(1, request), ErrorCode::InvalidRequest);
}

#[test]
fn requests_that_contradict_themselves_are_refused() {
    let mut host = Host::new();
    let good = Client::new("m", &["a"]).full();
    let bad = [
        Heartbeat { group_id: "".into(), ..good.clone() },
        Heartbeat { instance_id: Some("".into()), ..good.clone() },
        Heartbeat { rack_id: Some("".into()), ..good.clone() },
        Heartbeat { rebalance_timeout_ms: -1, ..good.clone() },
        Heartbeat { topic_partitions: None, ..good.clone() },
        Heartbeat { subscribed_topic_names: None, ..good.clone() },
        Heartbeat { member_epoch: -2, ..good.clone() },
        Heartbeat { member_epoch: -3, ..good.clone() },
        Heartbeat { member_epoch: 1, member_id: "".into(), ..good.clone() },
    ];
    for request in bad {
        refused(host.send(1, request), ErrorCode::InvalidRequest);
    }
    let unknown = Heartbeat { server_assignor: Some("sticky".into()), ..good };
    refused(host.send(1, unknown), ErrorCode::UnsupportedAssignor);
    assert!(host.log.is_empty());
}

#[test]
fn who_leaves_gives_all_to_the_others() {
    let mut host = Host::new();
    host.topics.create("a", 4);
    let (mut one, mut two) = (Client::new("m1", &["a"]), Client::new("m2", &["a"]));
    one.join(&mut host).expect("joins");
    two.join(&mut host).expect("joins");
    host.settle(&mut [&mut one, &mut two]);
    assert_eq!((one.owned.len(), two.owned.len()), (2, 2));

    two.leave(&mut host, -1).expect("leaves");
    host.settle(&mut [&mut one]);
    assert_eq!(one.owned, host.topics.partitions("a"));
    refused(two.leave(&mut host, -1), ErrorCode::UnknownMemberId);

    one.leave(&mut host, -1).expect("leaves");
    assert_eq!(host.state(), "Empty");
    host.restart();
}

#[test]
fn a_full_group_takes_no_more() {
    let mut host = Host::with(Settings { group_consumer_max_size: 1, ..Settings::default() });
    host.topics.create("a", 1);
    let mut one = Client::new("m1", &["a"]);
    one.join(&mut host).expect("joins");
    refused(Client::new("m2", &["a"]).join(&mut host), ErrorCode::GroupMaxSizeReached);
    one.join(&mut host).expect("a member may come again");
}

#[test]
fn a_member_without_topics_is_one_all_the_same() {
    let mut host = Host::new();
    let mut client = Client::new("m1", &[]);
    assert_eq!(client.join(&mut host).expect("joins").member_epoch, 1);
    client.names = vec!["later".into()];
    client.resync = true;
    client.beat(&mut host).expect("changes what it wants");
    assert!(client.owned.is_empty());

    host.topics.create("later", 2);
    host.pass(1_000);
    client.ping(&mut host).expect("stays");
    assert_eq!(client.owned, host.topics.partitions("later"), "topics count once they are there");
}

#[test]
fn topics_that_grow_go_and_come_back_are_noticed() {
    let mut host = Host::new();
    let first = host.topics.create("a", 2);
    let mut client = Client::new("m1", &["a"]);
    client.join(&mut host).expect("joins");
    host.topics.grow("a", 5);
    host.pass(1_000);
    host.settle(&mut [&mut client]);
    assert_eq!(client.owned.len(), 5);
    let epoch = client.epoch;

    host.restart();
    host.settle(&mut [&mut client]);
    assert_eq!(client.epoch, epoch, "a restart changes no topics");

    host.topics.delete("a");
    host.pass(1_000);
    host.settle(&mut [&mut client]);
    assert!(client.owned.is_empty());

    assert_ne!(host.topics.create("a", 1), first);
    host.pass(1_000);
    host.settle(&mut [&mut client]);
    assert_eq!(client.owned, host.topics.partitions("a"), "the new topic, by its new id");
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    let mut host = Host::new();
    host.topics.create("a", 4);
    let mut one = Client::of_instance("m1", "i1", &["a"]);
    let mut two = Client::of_instance("m2", "i2", &["a"]);
    one.join(&mut host).expect("joins");
    two.join(&mut host).expect("joins");
    host.settle(&mut [&mut one, &mut two]);
    let (epoch, had) = (one.epoch, one.owned.clone());

    assert_eq!(one.leave(&mut host, -2).expect("leaves for now").member_epoch, -2);
    host.pass(10_000);
    two.beat(&mut host).expect("stays");
    assert_eq!(two.owned.len(), 2, "what it had is kept for it");
    host.restart();

    let mut again = Client::of_instance("m3", "i1", &["a"]);
    again.join(&mut host).expect("comes back");
    assert_eq!((again.epoch, &again.owned), (epoch, &had), "without a rebalance");
    two.ping(&mut host).expect("stays");
    assert_eq!(two.epoch, epoch);
    refused(one.beat(&mut host), ErrorCode::UnreleasedInstanceId);
    host.restart();
}

#[test]
fn a_static_member_that_stays_away_too_long_is_taken_out() {
    let mut host = Host::new();
    host.topics.create("a", 2);
    let mut one = Client::of_instance("m1", "i1", &["a"]);
    let mut two = Client::new("m2", &["a"]);
    one.join(&mut host).expect("joins");
    two.join(&mut host).expect("joins");
    host.settle(&mut [&mut one, &mut two]);
    one.leave(&mut host, -2).expect("leaves for now");
    for _ in 0..9 {
        two.beat(&mut host).expect("stays");
        host.pass(5_000);
    }
    host.settle(&mut [&mut two]);
    assert_eq!(two.owned.len(), 2);
}

#[test]
fn of_two_with_one_instance_id_the_younger_is_refused() {
    let mut host = Host::new();
    host.topics.create("a", 2);
    let mut older = Client::of_instance("m1", "i1", &["a"]);
    older.join(&mut host).expect("joins");
    refused(Client::of_instance("m2", "i1", &["a"]).join(&mut host), ErrorCode::UnreleasedInstanceId);
    older.ping(&mut host).expect("the older one does not notice");

    let stranger = Client { epoch: older.epoch, ..Client::of_instance("m2", "i1", &["a"]) };
    refused(host.send(1, stranger.quiet()), ErrorCode::FencedInstanceId);
    refused(host.send(1, Heartbeat { member_epoch: -1, ..stranger.quiet() }), ErrorCode::FencedInstanceId);
    let nobody = Client { epoch: 1, ..Client::of_instance("m2", "i2", &["a"]) };
    refused(host.send(1, nobody.quiet()), ErrorCode::UnknownMemberId);
}

#[test]
fn a_refused_write_changes_nothing() {
    let mut host = Host::new();
    host.topics.create("a", 2);
    let mut one = Client::new("m1", &["a"]);
    one.join(&mut host).expect("joins");
    let before = host.stored();
    host.full = true;
    refused(Client::new("m2", &["a"]).join(&mut host), ErrorCode::CoordinatorNotAvailable);
    host.topics.grow("a", 3);
    host.pass(1_000);
    refused(one.beat(&mut host), ErrorCode::CoordinatorNotAvailable);
    host.pass(100_000);
    assert_eq!(host.stored(), before);

    host.full = false;
    one.beat(&mut host).expect("heard of before its fencing could be written");
    assert_eq!(one.owned.len(), 3, "what was not written is not forgotten");
}

#[test]
fn describing_a_group_says_who_has_what() {
    let mut host = Host::new();
    let id = host.topics.create("a", 2);
    let mut client = Client::of_instance("m1", "i1", &["a"]);
    client.assignor = Some("range".into());
    client.join(&mut host).expect("joins");
    let group = host.describe();
    assert_eq!((group.group_epoch, group.assignment_epoch), (1, 1));
    assert_eq!((&*group.group_state, &*group.assignor_name), ("Stable", "range"));
    let [member] = &group.members[..] else { panic!("one member") };
    assert_eq!((&*member.member_id, member.instance_id.as_deref()), ("m1", Some("i1")));
    assert_eq!((&*member.client_id, &*member.client_host), ("client", "/127.0.0.1"));
    assert_eq!((member.member_epoch, member.member_type), (1, 1));
    for assignment in [&member.assignment, &member.target_assignment] {
        let [topic] = &assignment.topic_partitions[..] else { panic!("one topic") };
        assert_eq!((topic.topic_id, &*topic.topic_name, &topic.partitions[..]), (id, "a", &[0, 1][..]));
    }
    assert_eq!(host.topics.name(id), Some("a"));
}
