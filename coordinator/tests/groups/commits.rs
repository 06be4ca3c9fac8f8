//! How far groups are (lines 6, 25 and 35 of what brokers get wrong).

use ringmail_coordinator::machine::WriteError;
use ringmail_kafka::codec::Uuid;
use ringmail_kafka::error::ErrorCode::*;
use ringmail_kafka::messages::offsets::*;
use ringmail_kafka::messages::{Request, Response};

use super::client::*;
use super::host::*;

#[test]
fn what_is_committed_is_read_back_with_its_note_and_epoch() {
    let mut host = Host::new();
    for (version, leader_epoch) in [(2, -1), (5, -1), (6, 7), (9, 7)] {
        let mut request = commit_request("g", NOBODY, "a", 0, 42 + i64::from(version));
        request.topics[0].partitions[0].committed_leader_epoch = 7;
        request.topics[0].partitions[0].committed_metadata = Some("Notiz ✓".into());
        assert_eq!(commit_with(&mut host, version, request), None);
        for _ in 0..2 {
            let offset = fetch(&mut host, "g", "a", 0);
            assert_eq!(offset.committed_offset, 42 + i64::from(version));
            assert_eq!(offset.metadata.as_deref(), Some("Notiz ✓"));
            assert_eq!((offset.committed_leader_epoch, offset.error_code), (leader_epoch, 0));
            host.restart();
        }
    }
}

#[test]
fn no_note_is_an_empty_one_and_one_that_is_too_long_is_refused() {
    let mut host = Host::new();
    let commit_note = |host: &mut Host, note: Option<String>| {
        let mut request = commit_request("g", NOBODY, "a", 0, 1);
        request.topics[0].partitions[0].committed_metadata = note.map(Into::into);
        commit_with(host, 8, request)
    };
    assert_eq!(commit_note(&mut host, Option::None), None);
    assert_eq!(fetch(&mut host, "g", "a", 0).metadata.as_deref(), Some(""));
    assert_eq!(commit_note(&mut host, Some("x".repeat(4096))), None);
    assert_eq!(commit_note(&mut host, Some("x".repeat(4097))), OffsetMetadataTooLarge);
    assert_eq!(fetch(&mut host, "g", "a", 0).metadata.map(|note| note.len()), Some(4096));
}

#[test]
fn of_a_group_that_does_not_exist_nothing_is_known_and_that_is_no_error() {
    let mut host = Host::new();
    let topic = OffsetFetchTopic { name: "a".into(), partition_indexes: vec![0, 1], ..Default::default() };
    for version in 1..=7 {
        let request = OffsetFetchRequest {
            group_id: "nowhere".into(),
            topics: Some(vec![topic.clone()]),
            ..Default::default()
        };
        let Response::OffsetFetch(answer) = host.ask(version, &Request::OffsetFetch(request)) else {
            panic!()
        };
        assert_eq!(answer.error_code, 0);
        for partition in &answer.topics[0].partitions {
            assert_eq!((partition.committed_offset, partition.error_code), (-1, 0));
            assert_eq!((partition.committed_leader_epoch, partition.metadata.as_deref()), (-1, Some("")));
        }
    }
    assert_eq!(position(&mut host, "nowhere", "a"), -1);
    assert_eq!(position(&mut host, "nowhere", "no such topic"), -1);
    assert_eq!(state(&mut host, "nowhere").0, "Dead", "asking does not make it one");
}

#[test]
fn several_groups_are_asked_at_once_and_null_asks_for_all_topics() {
    let mut host = Host::new();
    commit(&mut host, "one", NOBODY, "a", 0, 1);
    commit(&mut host, "one", NOBODY, "b", 3, 2);
    commit(&mut host, "two", NOBODY, "a", 0, 3);
    let group = |id: &'static str| OffsetFetchGroup { group_id: id.into(), ..Default::default() };
    let request =
        OffsetFetchRequest { groups: vec![group("one"), group("two"), group("none")], ..Default::default() };
    let Response::OffsetFetch(answer) = host.ask(8, &Request::OffsetFetch(request.clone())) else { panic!() };
    let all = answer.groups.iter().flat_map(|group| {
        group.topics.iter().flat_map(|topic| {
            topic
                .partitions
                .iter()
                .map(|p| (&*group.group_id, &*topic.name, p.partition_index, p.committed_offset))
        })
    });
    assert_eq!(all.collect::<Vec<_>>(), [("one", "a", 0, 1), ("one", "b", 3, 2), ("two", "a", 0, 3)]);
    assert!(answer.groups.iter().all(|group| group.error_code == 0));

    let Response::OffsetFetch(answer) = host.ask(10, &Request::OffsetFetch(request)) else { panic!() };
    assert_eq!(answer.groups[0].topics[1].topic_id, host.topic_id("b"));

    let old = OffsetFetchRequest { group_id: "one".into(), ..Default::default() };
    let Response::OffsetFetch(answer) = host.ask(2, &Request::OffsetFetch(old)) else { panic!() };
    assert_eq!(answer.topics.len(), 2);
}

#[test]
fn topics_can_be_named_by_their_ids() {
    let mut host = Host::new();
    let by_id = |id: Uuid| {
        let mut request = commit_request("g", NOBODY, "", 0, 5);
        request.topics[0].topic_id = id;
        request
    };
    let id = host.topic_id("a");
    assert_eq!(commit_with(&mut host, 10, by_id(id)), None);
    assert_eq!(commit_with(&mut host, 10, by_id(Uuid([99; 16]))), UnknownTopicId);
    assert_eq!(position(&mut host, "g", "a"), 5);
    for (topic_id, offset, expected) in [(id, 5, None), (Uuid([99; 16]), -1, UnknownTopicId)] {
        let topic = OffsetFetchTopic { topic_id, partition_indexes: vec![0], ..Default::default() };
        let group =
            OffsetFetchGroup { group_id: "g".into(), topics: Some(vec![topic]), ..Default::default() };
        let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
        let Response::OffsetFetch(answer) = host.ask(10, &Request::OffsetFetch(request)) else { panic!() };
        let topic = &answer.groups[0].topics[0];
        let partition = &topic.partitions[0];
        assert_eq!(
            (topic.topic_id, partition.committed_offset, error(partition.error_code)),
            (topic_id, offset, expected)
        );
    }
}

#[test]
fn only_partitions_that_there_are_have_offsets() {
    let mut host = Host::new();
    assert_eq!(commit(&mut host, "g", NOBODY, "nowhere", 0, 1), UnknownTopicOrPartition);
    assert_eq!(commit(&mut host, "g", NOBODY, "a", 100, 1), UnknownTopicOrPartition);
    assert_eq!(commit(&mut host, "g", NOBODY, "a", -1, 1), UnknownTopicOrPartition);
    assert_eq!(state(&mut host, "g").0, "Dead", "a group that nothing was kept for is none");
}

#[test]
fn only_members_of_the_generation_commit() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 1);
    let id = members[0].1.id.clone();
    assert_eq!(commit(&mut host, "g", (&id, 1), "a", 0, 1), None);
    assert_eq!(commit(&mut host, "g", (&id, 0), "a", 0, 2), IllegalGeneration);
    assert_eq!(commit(&mut host, "g", (&id, -1), "a", 0, 2), IllegalGeneration);
    assert_eq!(commit(&mut host, "g", ("made-up", 1), "a", 0, 2), UnknownMemberId);
    assert_eq!(
        commit(&mut host, "g", NOBODY, "a", 0, 2),
        UnknownMemberId,
        "somebody reads it who is a member"
    );
    assert_eq!(commit_with(&mut host, 9, commit_request("new", ("m", 1), "a", 0, 2)), GroupIdNotFound);
    assert_eq!(commit_with(&mut host, 8, commit_request("new", ("m", 1), "a", 0, 2)), IllegalGeneration);
    assert_eq!(position(&mut host, "g", "a"), 1);
    members[0].1.leave(&mut host);
    assert_eq!(commit(&mut host, "g", NOBODY, "a", 0, 2), None, "now nobody is");
}

#[test]
fn members_commit_while_others_join_but_not_before_they_have_synced() {
    let mut host = Host::new();
    let members = stable(&mut host, "g", 1);
    Joiner::new("g").try_join(&mut host);
    let again = members[0].0.try_join(&mut host);
    assert_eq!(members[0].1.commit(&mut host, "a", 0, 1), None, "what it did before it gives its part away");
    host.advance(10_000);
    let member = Member::new(&members[0].0, &joined(&mut host, again).expect("the other one has not come"));
    assert_eq!(member.commit(&mut host, "a", 0, 2), RebalanceInProgress);
    member.assign(&mut host);
    assert_eq!(member.commit(&mut host, "a", 0, 3), None);
}

#[test]
fn a_fenced_member_does_not_commit() {
    let mut host = Host::new();
    let joiner = Joiner::new("g").instance("i");
    let members = stable_of(&mut host, vec![joiner]);
    let restarted = Joiner { id: String::new(), ..members[0].0.clone() };
    restarted.try_join(&mut host);
    let mut request = commit_request("g", (&members[0].1.id, 1), "a", 0, 1);
    request.group_instance_id = Some("i".into());
    assert_eq!(commit_with(&mut host, 9, request), FencedInstanceId);
}

#[test]
fn a_commit_that_cannot_be_stored_is_none() {
    for (refused, expected) in
        [(WriteError::Unavailable, CoordinatorNotAvailable), (WriteError::TooLarge, InvalidCommitOffsetSize)]
    {
        let mut host = Host::new();
        assert_eq!(commit(&mut host, "g", NOBODY, "a", 0, 1), None);
        host.refuse = Some(refused);
        assert_eq!(commit(&mut host, "g", NOBODY, "a", 0, 2), expected);
        let mut mixed = commit_request("g", NOBODY, "nowhere", 0, 2);
        mixed.topics.extend(commit_request("g", NOBODY, "a", 0, 2).topics);
        assert_eq!(
            commit_with(&mut host, 9, mixed),
            UnknownTopicOrPartition,
            "what was wrong before stays so"
        );
        host.refuse = Option::None;
        assert_eq!(position(&mut host, "g", "a"), 1);
    }
}

#[test]
fn offsets_go_with_the_topic() {
    for is_told in [true, false] {
        let mut host = Host::new();
        host.create_topic("t", 10);
        commit(&mut host, "g", NOBODY, "t", 0, 1);
        commit(&mut host, "g", NOBODY, "a", 0, 2);
        host.delete_topic("t", is_told);
        assert_eq!(position(&mut host, "g", "t"), -1);
        host.create_topic("t", 10);
        assert_eq!(position(&mut host, "g", "t"), -1, "it is another topic");
        assert_eq!(commit(&mut host, "g", NOBODY, "t", 1, 3), None);
        host.advance(20 * MINUTE);
        host.restart();
        assert_eq!(position(&mut host, "g", "t"), -1);
        assert_eq!(fetch(&mut host, "g", "t", 1).committed_offset, 3);
        assert_eq!(position(&mut host, "g", "a"), 2);
        let tombstones = host.records().iter().filter(|record| record.value.is_none()).count();
        assert_eq!(tombstones, 1, "it is forgotten for good");
    }
}
