//! The records of the log, byte for byte as Kafka writes them.

use ringmail_coordinator::groups::record::*;
use ringmail_coordinator::machine::Record;
use ringmail_kafka::codec::Uuid;

use super::client::*;
use super::host::*;

fn bytes(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

#[test]
fn keys_have_kafkas_form() {
    let offset = Key::Offset { group: "g", topic: "to", partition: 3 };
    assert_eq!(offset.encode(), bytes("0001 0001 67 0002 746f 00000003"));
    assert_eq!(Key::Group("g").encode(), bytes("0002 0001 67"));
    assert_eq!(Key::decode(&bytes("0000 0001 67 0002 746f 00000003")), Ok(offset));
    assert_eq!(Key::decode(&bytes("0003 0001 67")), Ok(Key::Other(3)));
}

#[test]
fn offsets_have_kafkas_forms() {
    let plain = OffsetValue {
        offset: 5,
        leader_epoch: 2,
        metadata: "m",
        committed_ms: 9,
        expires_ms: None,
        topic_id: Uuid::ZERO,
    };
    let expiring = OffsetValue { leader_epoch: -1, expires_ms: Some(10), ..plain };
    let of_topic = OffsetValue { topic_id: Uuid([7; 16]), ..plain };
    let forms = [
        (plain, "0003 0000000000000005 00000002 0001 6d 0000000000000009"),
        (expiring, "0001 0000000000000005 0001 6d 0000000000000009 000000000000000a"),
        (
            of_topic,
            "0004 0000000000000005 00000002 02 6d 0000000000000009 01 00 10 07070707070707070707070707070707",
        ),
    ];
    for (value, form) in forms {
        assert_eq!(value.encode(), bytes(form));
        assert_eq!(OffsetValue::decode(&bytes(form)), Ok(value));
    }
    let oldest = bytes("0000 0000000000000005 0001 6d 0000000000000009");
    assert_eq!(OffsetValue::decode(&oldest), Ok(OffsetValue { leader_epoch: -1, ..plain }));
    assert!(OffsetValue::decode(&bytes("0005 0000000000000005")).is_err());
}

#[test]
fn groups_have_kafkas_forms() {
    let member = MemberValue {
        id: "m",
        instance_id: Some("i"),
        client_id: "c",
        client_host: "/h",
        rebalance_timeout_ms: 2,
        session_timeout_ms: 1,
        subscription: b"s",
        assignment: b"",
    };
    let group = GroupValue {
        protocol_type: "consumer",
        generation: 4,
        protocol: Some("range"),
        leader: Some("m"),
        since_ms: Some(9),
        members: vec![member],
    };
    let newest = "0003 0008 636f6e73756d6572 00000004 0005 72616e6765 0001 6d 0000000000000009 00000001
        0001 6d 0001 69 0001 63 0002 2f68 00000002 00000001 00000001 73 00000000";
    assert_eq!(group.encode(), bytes(newest));
    assert_eq!(GroupValue::decode(&bytes(newest)), Ok(group.clone()));
    let flexible = "0004 09 636f6e73756d6572 00000004 06 72616e6765 02 6d 0000000000000009 02
        02 6d 02 69 02 63 03 2f68 00000002 00000001 02 73 01 00 00";
    assert_eq!(GroupValue::decode(&bytes(flexible)), Ok(group.clone()));
    let oldest = "0000 0008 636f6e73756d6572 00000004 0005 72616e6765 0001 6d 00000001
        0001 6d 0001 63 0002 2f68 00000001 00000001 73 00000000";
    let before = MemberValue { instance_id: None, rebalance_timeout_ms: 1, ..member };
    let before = GroupValue { since_ms: None, members: vec![before], ..group };
    assert_eq!(GroupValue::decode(&bytes(oldest)), Ok(before));
}

#[test]
fn records_that_mean_nothing_are_passed_over() {
    let mut host = Host::new();
    stable(&mut host, "g", 1);
    commit(&mut host, "h", NOBODY, "a", 0, 1);
    let records = host.records();
    let mut inject = |key: Vec<u8>, value: Option<Vec<u8>>| host.inject(Record { key, value });
    for Record { key, value } in records {
        for cut in 0..key.len() {
            inject(key[..cut].to_vec(), value.clone());
        }
        let value = value.expect("no tombstones");
        for cut in 0..value.len() {
            inject(key.clone(), Some(value[..cut].to_vec()));
        }
        // Counts that lie cost nothing.
        let mut lies = value.clone();
        for at in 0..lies.len().saturating_sub(4) {
            let before = lies[at..at + 4].to_vec();
            lies[at..at + 4].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff]);
            inject(b"\x00\x02\x00\x01x".to_vec(), Some(lies.clone()));
            lies[at..at + 4].copy_from_slice(&before);
        }
    }
    host.restart();
    assert_eq!(state(&mut host, "g"), ("Stable".into(), 1));
    assert_eq!(position(&mut host, "h", "a"), 1);
}
