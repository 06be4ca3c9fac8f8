//! Batches of Kafka, as clients send them.

use ringmail_kafka::batch::{BatchBuilder, BatchHead, Compression, Headers, Record};

/// A batch with a record for each timestamp, whose keys are numbers.
pub fn stamped(head: BatchHead, compression: Compression, timestamps: &[i64]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(head, 16 << 20, compression);
    for (offset, &timestamp) in (0..).zip(timestamps) {
        let key = offset.to_string();
        let (key, value, headers) = (Some(key.as_bytes()), Some(&b"value"[..]), Headers::default());
        builder.push(&Record { offset, timestamp, key, value, headers }, headers).expect("it fits");
    }
    let mut batch = Vec::new();
    builder.finish_into(&mut batch);
    batch
}

/// A batch of records without keys.
pub fn values(head: BatchHead, timestamp: i64, values: &[&[u8]]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(head, 16 << 20, Compression::None);
    for (offset, value) in (0..).zip(values) {
        let (value, headers) = (Some(*value), Headers::default());
        builder.push(&Record { offset, timestamp, key: None, value, headers }, headers).expect("it fits");
    }
    let mut batch = Vec::new();
    builder.finish_into(&mut batch);
    batch
}
