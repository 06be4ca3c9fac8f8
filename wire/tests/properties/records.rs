//! Records as a producer may send them, and batches of them.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use ringmail_wire::batch::{BatchBuilder, Compression, HeadersBuf};

/// A record that owns its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedRecord {
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// Any compression.
pub fn compressions() -> impl Strategy<Value = Compression> {
    prop_oneof![Just(Compression::None), Just(Compression::Lz4), Just(Compression::Zstd)]
}

/// Bytes that are at times absent, at times empty, at times random, at times compressible.
fn contents() -> impl Strategy<Value = Option<Vec<u8>>> {
    let bytes = prop_oneof![
        1 => Just(Vec::new()),
        4 => vec(any::<u8>(), 1..40),
        2 => (any::<u8>(), 1_usize..300).prop_map(|(byte, n)| vec![byte; n]),
    ];
    option::weighted(0.8, bytes)
}

/// Few names, so that they repeat.
fn headers() -> impl Strategy<Value = Vec<(Vec<u8>, Option<Vec<u8>>)>> {
    let name = prop_oneof![Just(b"a".to_vec()), Just(b"b".to_vec()), vec(any::<u8>(), 0..8)];
    let list = vec((name, option::of(vec(any::<u8>(), 0..12))), 1..5);
    prop_oneof![2 => Just(Vec::new()), 1 => list]
}

/// 1 to 30 records whose timestamps are within 24 days of the first, which may be any, in any order.
pub fn records() -> impl Strategy<Value = Vec<OwnedRecord>> {
    let first =
        prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(-1), Just(0), Just(1_700_000_000_000), any::<i64>()];
    let one = (
        prop_oneof![Just(0), Just(i32::MIN), Just(i32::MAX), any::<i32>()],
        contents(),
        contents(),
        headers(),
    );
    (first, vec(one, 1..30)).prop_map(|(first, ones)| {
        let timestamp =
            |k: usize, delta: i32| if k == 0 { first } else { first.saturating_add(delta.into()) };
        let records = ones.into_iter().enumerate();
        let record = records.map(|(k, (delta, key, value, headers))| OwnedRecord {
            timestamp: timestamp(k, delta),
            key,
            value,
            headers,
        });
        record.collect()
    })
}

/// The records as one batch.
pub fn build(records: &[OwnedRecord], compression: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(1 << 24, compression);
    let mut headers = HeadersBuf::new();
    for record in records {
        headers.clear();
        for (name, value) in &record.headers {
            headers.push(name, value.as_deref()).expect("short names and values");
        }
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        builder.push(record.timestamp, key, value, headers.as_bytes()).expect("within the limits");
    }
    let most = builder.len_bytes();
    let mut batch = Vec::new();
    builder.finish_into(&mut batch);
    assert!(batch.len() <= most, "a batch is never larger than its builder said");
    assert!(builder.is_empty());
    batch
}
