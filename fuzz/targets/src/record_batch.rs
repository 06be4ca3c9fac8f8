//! Record batches: any bytes, bytes with the checksum put right, and batches of any records.

use arbitrary::Unstructured;
use ringmail_wire::batch::{
    BATCH_HEADER_BYTES, Batch, BatchBuilder, Batches, CRC_START, Compression, Headers, HeadersBuf,
};
use ringmail_wire::crc::crc32c;

const LENGTH_FIELD: std::ops::Range<usize> = 8..12;
const CRC_FIELD: std::ops::Range<usize> = 12..16;
const BUILDER_LIMIT_BYTES: usize = 1 << 16;

/// All of it.
pub fn record_batch(input: &[u8]) {
    let _ = Headers::new(input).check();
    for batch in Batches::new(input).flatten() {
        read(&batch);
    }
    if let Some(signed) = sign(input)
        && let Ok(batch) = Batch::parse(&signed)
    {
        read(&batch);
    }
    // Running out of input ends the records; it is not an error.
    let _ = build_and_read(&mut Unstructured::new(input));
}

/// The input as one batch whose length and CRC are right, so that what comes after those is reached.
fn sign(input: &[u8]) -> Option<Vec<u8>> {
    if input.len() < BATCH_HEADER_BYTES {
        return None;
    }
    let mut batch = input.to_vec();
    batch[LENGTH_FIELD].copy_from_slice(&(input.len() as u32).to_le_bytes());
    let crc = crc32c(&batch[CRC_START..]);
    batch[CRC_FIELD].copy_from_slice(&crc.to_le_bytes());
    Some(batch)
}

/// Reads everything there is. In a batch that passes its check every record is there and whole, and none is
/// newer than the batch says.
fn read(batch: &Batch<'_>) {
    let checked = batch.check().is_ok();
    let mut scratch = Vec::new();
    let Ok(open) = batch.open(&mut scratch) else { return };
    assert_eq!(open.len(), batch.record_count() as usize);
    let mut raw_bytes = 0;
    for (k, record) in open.iter().enumerate() {
        let headers_are_whole = record.headers.check().is_ok();
        record.headers.for_each(drop);
        if !checked {
            continue;
        }
        assert_eq!(open.get(k), Some(record));
        assert_eq!(record.offset, batch.base_offset().wrapping_add(k as u64));
        assert!(record.timestamp <= batch.max_timestamp());
        assert!(headers_are_whole || batch.compression() != Compression::None);
        raw_bytes += record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        raw_bytes += record.headers.as_bytes().len();
    }
    assert!(!checked || raw_bytes == batch.heap_raw_length(), "the records are all of the heap");
}

/// Builds a batch from whatever records the input stands for, and reads them back.
fn build_and_read(input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let compression =
        Compression::from_bits(input.int_in_range(0..=2)?).expect("0, 1 and 2 are compressions");
    let mut builder = BatchBuilder::new(BUILDER_LIMIT_BYTES, compression);
    let mut headers = HeadersBuf::new();
    let mut sent = Vec::new();
    while !input.is_empty() && sent.len() < 100 {
        let timestamp: i64 = input.arbitrary()?;
        let (key, value): (Option<&[u8]>, Option<&[u8]>) = input.arbitrary()?;
        headers.clear();
        for _ in 0..input.int_in_range(0..=3)? {
            let (name, value): (&[u8], Option<&[u8]>) = input.arbitrary()?;
            // An input can be longer than a name may be.
            if headers.push(name, value).is_err() {
                break;
            }
        }
        if builder.push(timestamp, key, value, headers.as_bytes()).is_ok() {
            sent.push((timestamp, key, value, headers.clone()));
        }
    }
    if sent.is_empty() {
        return Ok(());
    }
    let mut bytes = Vec::new();
    builder.finish_into(&mut bytes);
    let batch = Batch::parse(&bytes).expect("what was built is a batch");
    batch.check().expect("what was built passes the check");
    let mut scratch = Vec::new();
    let open = batch.open(&mut scratch).expect("what was compressed decompresses");
    assert_eq!(open.len(), sent.len());
    for (read, (timestamp, key, value, headers)) in open.iter().zip(&sent) {
        assert_eq!((read.timestamp, read.key, read.value), (*timestamp, *key, *value));
        assert_eq!(read.headers.as_bytes(), headers.as_bytes());
    }
    Ok(())
}
