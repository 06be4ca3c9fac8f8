//! Arbitrary bytes: whatever comes, nothing panics.

use proptest::collection::vec;
use proptest::prelude::*;
use ringmail_wire::batch::{BATCH_HEADER_BYTES, Batch, Batches, Headers};
use ringmail_wire::crc::crc32c;
use ringmail_wire::protocol::{FrameHeader, Message};

use crate::messages::for_each_message;
use crate::records::{build, compressions, records};

/// Everything that can be done to bytes that may be batches.
fn read_everything(bytes: &[u8]) {
    let mut scratch = Vec::new();
    for batch in Batches::new(bytes).flatten() {
        let _ = (batch.check(), batch.crc(), batch.last_offset(), batch.max_timestamp());
        let Ok(open) = batch.open(&mut scratch) else { continue };
        for record in open.iter() {
            record.headers.for_each(drop);
            let _ = record.headers.check();
        }
    }
}

proptest! {
    #[test]
    fn as_batches(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Batch::parse(&bytes);
        read_everything(&bytes);
    }

    #[test]
    fn as_a_batch_with_a_good_header(
        records in records(),
        compression in compressions(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut bytes = build(&records, compression);
        for (at, byte) in changes {
            let at = BATCH_HEADER_BYTES + at.index(bytes.len() - BATCH_HEADER_BYTES);
            bytes[at] = byte;
        }
        let crc = crc32c(&bytes[16..]).to_le_bytes();
        bytes[12..16].copy_from_slice(&crc);
        read_everything(&bytes);
    }

    #[test]
    fn as_headers(bytes in vec(any::<u8>(), 0..100)) {
        let headers = Headers::new(&bytes);
        let items: Vec<_> = headers.collect();
        prop_assert_eq!(headers.check().is_ok(), items.iter().all(Result::is_ok));
        prop_assert_eq!(headers.is_empty(), items.is_empty());
    }

    #[test]
    fn as_a_frame(bytes in vec(any::<u8>(), 0..40)) {
        match FrameHeader::parse(&bytes) {
            Ok(None) => prop_assert!(bytes.len() < 12),
            Ok(Some(header)) => prop_assert_eq!(&header.to_bytes()[..], &bytes[..12]),
            Err(error) => prop_assert!(error.length < 8),
        }
    }

    /// What decodes also encodes, to a body that decodes to the same.
    #[test]
    fn as_messages(bytes in prop_oneof![vec(any::<u8>(), 0..200), vec(0_u8..3, 0..200)]) {
        for_each_message!(|name, Type| {
            if let Ok(message) = <Type as Message>::from_body(&bytes) {
                let mut body = Vec::new();
                message.encode(&mut ringmail_wire::protocol::Writer::new(&mut body));
                prop_assert_eq!(<Type as Message>::from_body(&body), Ok(message), "{}", name);
            }
        });
    }
}
