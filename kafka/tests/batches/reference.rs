//! The bytes of a batch are those that `kafka-protocol` writes.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records as theirs;
use proptest::prelude::*;
use ringmail_kafka::batch::{BatchHead, Compression};

use crate::records::{Sent, build, sent};

fn their_record(sent: &Sent, offset: i64, base: i64) -> theirs::Record {
    let header = |(name, value): &(Vec<u8>, Option<Vec<u8>>)| {
        let name = String::from_utf8(name.clone()).unwrap();
        (StrBytes::from_string(name), value.clone().map(Bytes::from))
    };
    theirs::Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: 3,
        producer_id: 9,
        producer_epoch: 1,
        timestamp_type: theirs::TimestampType::Creation,
        offset,
        sequence: 7 + (offset - base) as i32,
        timestamp: sent.timestamp,
        key: sent.key.clone().map(Bytes::from),
        value: sent.value.clone().map(Bytes::from),
        headers: sent.headers.iter().map(header).collect::<IndexMap<_, _>>(),
    }
}

/// Their headers are a map, so names are unlike each other; and they count timestamps from the least, where producers do so
/// from the first.
fn as_they_can(mut sent: Vec<Sent>) -> Vec<Sent> {
    for sent in &mut sent {
        let mut names = BTreeSet::new();
        sent.headers.retain(|(name, _)| names.insert(name.clone()));
        sent.timestamp = sent.timestamp.max(0);
    }
    sent[0].timestamp = sent.iter().map(|s| s.timestamp).min().unwrap_or(0);
    sent
}

proptest! {
    #[test]
    fn uncompressed_batches(sent in sent(false), first in 0..1_i64 << 40) {
        let sent = as_they_can(sent);
        let head = BatchHead { leader_epoch: 3, producer_id: 9, producer_epoch: 1, base_sequence: 7, ..BatchHead::default() };
        let (ours, offsets) = build(head, first, &sent, Compression::None);
        let records: Vec<_> = sent.iter().zip(&offsets).map(|(s, offset)| their_record(s, *offset, first)).collect();
        let mut out = BytesMut::new();
        let options = theirs::RecordEncodeOptions { version: 2, compression: theirs::Compression::None };
        theirs::RecordBatchEncoder::encode(&mut out, &records, &options).unwrap();
        prop_assert_eq!(&ours[..], &out[..]);
    }
}
