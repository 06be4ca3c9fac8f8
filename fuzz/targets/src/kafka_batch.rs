//! Kafka's record batches: any bytes, bytes with length and checksum put right, and what transcoding makes of them.

use ringmail_kafka::batch::{
    BATCH_HEADER_BYTES, Batch, Batches, CRC_START, Marker, check_produced, set_base_offset,
};
use ringmail_kafka::transcode::Transcoder;
use ringmail_wire::batch as ringmail;
use ringmail_wire::crc::crc32c;

const LENGTH_FIELD: std::ops::Range<usize> = 8..12;
const LENGTH_START: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_FIELD: std::ops::Range<usize> = 17..21;
const RECORDS_LIMIT_BYTES: usize = 1 << 20;

/// All of it.
pub fn kafka_batch(input: &[u8]) {
    let _ = check_produced(input, 13);
    for batch in Batches::new(input).flatten() {
        read(&batch);
    }
    if let Some(mut signed) = sign(input) {
        if let Ok(batch) = Batch::parse(&signed) {
            read(&batch);
        }
        set_base_offset(&mut signed, 1 << 40);
        if let Ok(batch) = Batch::parse(&signed) {
            transcode(&batch);
        }
    }
}

/// The input as one batch whose length, magic and CRC are right, so that what comes after those is reached.
fn sign(input: &[u8]) -> Option<Vec<u8>> {
    if input.len() < BATCH_HEADER_BYTES {
        return None;
    }
    let mut batch = input.to_vec();
    batch[LENGTH_FIELD].copy_from_slice(&((input.len() - LENGTH_START) as i32).to_be_bytes());
    batch[MAGIC_AT] = 2;
    let crc = crc32c(&batch[CRC_START..]);
    batch[CRC_FIELD].copy_from_slice(&crc.to_be_bytes());
    Some(batch)
}

/// Reads everything there is: offsets increase, and stay within the batch.
fn read(batch: &Batch<'_>) {
    let _ = (batch.check(), batch.last_sequence(), batch.delete_horizon(), Marker::decode(batch));
    let mut scratch = Vec::new();
    let Ok(open) = batch.open(&mut scratch, RECORDS_LIMIT_BYTES) else { return };
    let mut next = batch.base_offset();
    for record in open.records().flatten() {
        assert!(record.offset >= next || record.offset == i64::MAX);
        assert!(record.offset <= batch.last_offset());
        next = record.offset.saturating_add(1);
        record.headers.for_each(drop);
    }
}

/// What transcodes has the same records on the other side, and passes its check there.
fn transcode(batch: &Batch<'_>) {
    let (mut out, mut scratch) = (Vec::new(), Vec::new());
    let Ok(batches) = Transcoder::default().to_ringmail(batch, &mut out) else { return };
    let mut records = 0;
    assert_eq!(ringmail::Batches::new(&out).count(), batches);
    for batch in ringmail::Batches::new(&out) {
        let batch = batch.expect("what was transcoded is a batch");
        batch.check().expect("what was transcoded passes the check");
        records += batch.open(&mut scratch).expect("what was compressed decompresses").len();
    }
    assert!(batch.is_control() || records == batch.record_count() as usize);
}
