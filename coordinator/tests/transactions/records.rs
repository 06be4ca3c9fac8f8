//! The forms of records: Kafka's, and what is done with bytes that have none of them.

use ringmail_coordinator::machine::{Machine, Producer, Replayed};
use ringmail_coordinator::transactions::record::{
    RecordError, decode_key, decode_value, encode_key, encode_value,
};
use ringmail_coordinator::transactions::{Partitions, Settings, State, Transaction, Transactions};

fn transaction() -> Transaction {
    Transaction {
        producer: Producer { id: 0x0102_0304_0506_0708, epoch: 0x090a },
        last_epoch: -1,
        previous_id: -1,
        next_id: -1,
        timeout_ms: 60_000,
        state: State::Ongoing,
        partitions: Partitions::from([("ab".to_owned(), [1, 258].into()), ("c".to_owned(), [0].into())]),
        updated_ms: 0x11,
        started_ms: 0x10,
        ends_bump: false,
    }
}

/// Bytes that are written down in hexadecimal, with spaces as one likes.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|c| !c.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

const FIXED: &str = "0102030405060708 090a 0000ea60 01";
const TIMES: &str = "0000000000000011 0000000000000010";

#[test]
fn keys_are_those_of_kafka() {
    assert_eq!(encode_key("my-id"), hex("0000 0005 6d792d6964"));
    assert_eq!(decode_key(&hex("0000 0005 6d792d6964")), Ok("my-id"));
    assert_eq!(decode_key(&hex("0001 0005 6d792d6964")), Err(RecordError::Version(1)));
    assert_eq!(decode_key(&hex("0000 0001 6d 79")), Err(RecordError::Trailing(1)));
    for bad in ["", "00", "0000", "0000 0005 6d79", "0000 ffff", "0000 0001 ff"] {
        assert!(matches!(decode_key(&hex(bad)), Err(RecordError::Decode(_))), "{bad}");
    }
}

#[test]
fn values_are_those_of_kafka() {
    let value = format!("0001 {FIXED} 03 03 6162 03 00000001 00000102 00 02 63 02 00000000 00 {TIMES} 00");
    assert_eq!(encode_value(&transaction()), hex(&value));
    assert_eq!(decode_value(&hex(&value)), Ok(transaction()));
    // Version 0 has no varints and no tags.
    let old = format!(
        "0000 {FIXED} 00000002 0002 6162 00000002 00000001 00000102 0001 63 00000001 00000000 {TIMES}"
    );
    assert_eq!(decode_value(&hex(&old)), Ok(transaction()));
}

#[test]
fn tagged_fields_are_there_if_they_say_something() {
    let full = Transaction { last_epoch: 5, previous_id: 6, next_id: 7, ends_bump: true, ..transaction() };
    let value = encode_value(&full);
    let tags = hex("04 00 08 0000000000000006 01 08 0000000000000007 02 02 0002 904e 02 0005");
    assert!(value.ends_with(&tags));
    assert_eq!(decode_value(&value), Ok(full));
    // Fields of later versions are passed over.
    let later = format!("0001 {FIXED} 01 {TIMES} 01 03 02 ffff");
    assert_eq!(decode_value(&hex(&later)).unwrap().partitions.len(), 0);
}

#[test]
fn a_producer_that_only_began_has_no_partitions_at_all() {
    let empty = Transaction { state: State::Empty, partitions: Partitions::new(), ..transaction() };
    let value = encode_value(&empty);
    assert_eq!(value, hex(&format!("0001 0102030405060708 090a 0000ea60 00 00 {TIMES} 00")));
    assert_eq!(decode_value(&value), Ok(empty));
    let old = format!("0000 0102030405060708 090a 0000ea60 00 ffffffff {TIMES}");
    assert_eq!(decode_value(&hex(&old)).unwrap().state, State::Empty);
}

#[test]
fn values_that_are_never_stored_are_refused() {
    let with = |fixed: &str| decode_value(&hex(&format!("0001 {fixed} 01 {TIMES} 00")));
    assert!(with(FIXED).is_ok());
    for (fixed, field) in [
        ("ffffffffffffffff 090a 0000ea60 01", "producer_id"),
        ("0102030405060708 ffff 0000ea60 01", "producer_epoch"),
        ("0102030405060708 090a ffffffff 01", "transaction_timeout_ms"),
        // Kafka's Dead and PrepareEpochFence are never stored.
        ("0102030405060708 090a 0000ea60 06", "transaction_status"),
        ("0102030405060708 090a 0000ea60 07", "transaction_status"),
        ("0102030405060708 090a 0000ea60 ff", "transaction_status"),
    ] {
        let Err(RecordError::Field(name, _)) = with(fixed) else { panic!("{field} is not refused") };
        assert_eq!(name, field);
    }
    assert_eq!(decode_value(&hex("0002")), Err(RecordError::Version(2)));
    assert_eq!(decode_value(&hex("ffff")), Err(RecordError::Version(-1)));
    // A million partitions in a few bytes.
    let lying = format!("0001 {FIXED} 02 02 61 c0843d {TIMES} 00");
    assert!(matches!(decode_value(&hex(&lying)), Err(RecordError::Decode(_))));
    let negative = format!("0001 {FIXED} 02 02 61 02 ffffffff 00 {TIMES} 00");
    assert_eq!(decode_value(&hex(&negative)), Err(RecordError::Field("partition_ids", -1)));
}

#[test]
fn every_prefix_is_refused() {
    let full = Transaction { last_epoch: 5, previous_id: 6, next_id: 7, ends_bump: true, ..transaction() };
    let value = encode_value(&full);
    for length in 0..value.len() {
        assert!(decode_value(&value[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn records_that_cannot_be_understood_are_passed_over() {
    let mut machine = Transactions::new(Settings::default());
    let (key, value) = (encode_key("t"), encode_value(&transaction()));
    let mut replay = |key: &[u8], value: Option<&[u8]>| {
        machine.replay(Replayed { offset: 0, timestamp_ms: 0, producer: None, key, value });
        machine.stored().count()
    };
    assert_eq!(replay(&[], Some(&value)), 0);
    assert_eq!(replay(&[0, 9, 1], None), 0);
    assert_eq!(replay(&key, None), 0, "a tombstone for what is not known");
    assert_eq!(replay(&key, Some(&value)), 1);
    assert_eq!(replay(&key, Some(&value[..20])), 1);
    assert_eq!(replay(&key, Some(&[])), 1);
    assert_eq!(replay(&key, None), 0);
}
