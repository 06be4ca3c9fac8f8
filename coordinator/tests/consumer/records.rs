//! What is stored, byte for byte as Kafka stores it; and bytes that are not.

use std::sync::Arc;

use proptest::prelude::*;
use ringmail_coordinator::consumer::{
    Change, ClassicMember, CurrentAssignment, MemberMetadata, MemberState, Partitions, ResolvedPattern,
    decode, is_of_consumer_groups,
};
use ringmail_coordinator::machine::Record;
use ringmail_kafka::codec::Uuid;

use crate::administration::delete;
use crate::harness::{Client, Host};

fn partitions() -> Partitions {
    [(Uuid([7; 16]), 1), (Uuid([7; 16]), 2)].into()
}

/// Two partitions of one topic in the flexible form: counts plus one, and no tagged fields.
fn encoded_partitions() -> Vec<u8> {
    [&[2][..], &[7; 16], &[3, 0, 0, 0, 1, 0, 0, 0, 2, 0]].concat()
}

fn changes() -> Vec<(Change, Vec<u8>, Vec<u8>)> {
    let key = |kind: u8, rest: &[u8]| [&[0, kind, 0, 1, b'g'][..], rest].concat();
    let member = [0, 2, b'm', b'1'];
    let id = || Arc::from("m1");
    let about = MemberMetadata {
        instance_id: Some("i".into()),
        client_id: "c".into(),
        client_host: "/h".into(),
        names: vec!["t".into()],
        pattern: Some("p".into()),
        rebalance_timeout_ms: 5,
        assignor: Some("range".into()),
        ..Default::default()
    };
    let about_bytes = b"\0\0\x02i\0\x02c\x03/h\x02\x02t\x02p\0\0\0\x05\x06range";
    let classic = ClassicMember { session_timeout_ms: 9, protocols: vec![("r".into(), vec![1, 2])] };
    let with_classic = MemberMetadata { classic: Some(classic), ..about.clone() };
    let classic_bytes = b"\x01\0\x0d\x01\0\0\0\x09\x02\x02r\x03\x01\x02\0\0";
    let current = CurrentAssignment {
        epoch: 4,
        previous_epoch: 3,
        state: MemberState::UnrevokedPartitions,
        assigned: partitions(),
        revoking: Partitions::new(),
    };
    let pattern =
        ResolvedPattern { topics: Arc::new(["t".to_owned()].into()), version: 2, timestamp_ms: 258 };
    vec![
        (Change::Group(Some((3, 0))), key(3, &[]), b"\0\0\0\0\0\x03\0".to_vec()),
        (Change::Group(Some((3, 5))), key(3, &[]), b"\0\0\0\0\0\x03\x01\0\x08\0\0\0\0\0\0\0\x05".to_vec()),
        (Change::Member(id(), Some(about)), key(5, &member), [&about_bytes[..], &[0]].concat()),
        (
            Change::Member(id(), Some(with_classic)),
            key(5, &member),
            [&about_bytes[..], classic_bytes].concat(),
        ),
        (Change::TargetEpoch(Some(3)), key(6, &[]), b"\0\0\0\0\0\x03\0".to_vec()),
        (
            Change::Target(id(), Some(partitions())),
            key(7, &member),
            [&[0, 0][..], &encoded_partitions(), &[0]].concat(),
        ),
        (
            Change::Current(id(), Some(current)),
            key(8, &member),
            [&[0, 0, 0, 0, 0, 4, 0, 0, 0, 3, 1][..], &encoded_partitions(), &[1, 0]].concat(),
        ),
        (
            Change::Pattern("p".into(), Some(pattern)),
            key(16, &[0, 1, b'p']),
            b"\0\0\x02\x02t\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\x01\x02\0".to_vec(),
        ),
    ]
}

#[test]
fn records_have_kafkas_form() {
    for (change, key, value) in changes() {
        let record = change.encode("g");
        assert_eq!(record.key, key, "{change:?}");
        assert_eq!(record.value.as_deref(), Some(&value[..]), "{change:?}");
        assert!(is_of_consumer_groups(&key));
        assert_eq!(decode(&key, Some(&value)), Ok(("g".to_owned(), change)));
    }
}

#[test]
fn tombstones_are_read_for_what_they_take_away() {
    for (change, key, _) in changes() {
        let (_, gone) = decode(&key, None).expect("a tombstone");
        assert_eq!(std::mem::discriminant(&gone), std::mem::discriminant(&change));
        assert_eq!(gone.encode("g").value, None);
    }
    assert_eq!(decode(&[0, 4, 0, 1, b'g'], Some(&[0, 0, 1, 0])), Ok(("g".to_owned(), Change::Topics)));
}

#[test]
fn newer_forms_and_other_kinds_are_not_taken_for_ours() {
    for kind in [0, 1, 2, 9, 10, 15, 17] {
        assert!(!is_of_consumer_groups(&[0, kind, 0, 1, b'g']));
        assert!(decode(&[0, kind, 0, 1, b'g'], None).is_err());
    }
    assert!(decode(&[0, 3, 0, 1, b'g'], Some(&[0, 1, 0, 0, 0, 3, 0])).is_err());
    assert!(!is_of_consumer_groups(&[0]));
}

proptest! {
    #[test]
    fn damaged_records_harm_nobody(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        which in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let (_, mut key, mut value) = which.get(&changes()).clone();
        for (at, byte) in damage {
            let bytes = if byte % 3 == 0 { &mut key } else { &mut value };
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        value.truncate(cut.index(value.len() + 1));
        let mut host = Host::new();
        host.topics.create("a", 1);
        host.log.push(Record { key, value: Some(value) });
        // Whatever it is taken for, the group goes on.
        host.read_back();
        let _ = Client::new("m9", &["a"]).join(&mut host);
        host.pass(300_000);
        let _ = host.describe();
        delete(&mut host);
        host.read_back();
    }

    #[test]
    fn any_bytes_are_read_or_refused(key in any::<Vec<u8>>(), value in any::<Option<Vec<u8>>>(), kind in 3u8..17) {
        let _ = decode(&key, value.as_deref());
        let key = [&[0, kind, 0, 1, b'g', 0, 1, b'm'][..], &key].concat();
        let value = value.map(|value| [&[0, 0][..], &value].concat());
        let _ = decode(&key, value.as_deref());
    }
}
