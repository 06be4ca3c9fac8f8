//! A stream of frames, as a broker or a client reads it.

use ringmail_wire::batch::Batches;
use ringmail_wire::protocol::{
    Api, ErrorBody, ErrorCode, FRAME_HEADER_BYTES, FrameHeader, Message, ProduceRequest,
};

use crate::MESSAGES;

/// Splits the stream into frames, and has each body read as everything that it might be.
pub fn frame(input: &[u8]) {
    let mut stream = input;
    loop {
        let header = match FrameHeader::parse(stream) {
            Ok(Some(header)) => header,
            Ok(None) => return assert!(stream.len() < FRAME_HEADER_BYTES),
            Err(error) => return assert!(error.length < 8),
        };
        assert_eq!(header.to_bytes(), stream[..FRAME_HEADER_BYTES], "the header is all of its bytes");
        let Some(frame) = stream.get(..header.frame_bytes()) else { return };
        read_body(header, &frame[FRAME_HEADER_BYTES..]);
        stream = &stream[header.frame_bytes()..];
    }
}

fn read_body(header: FrameHeader, body: &[u8]) {
    if header.code != 0 {
        let _ = (ErrorCode::from_number(header.code), ErrorBody::from_body(body));
        return;
    }
    match Api::from_number(header.api) {
        None => {}
        Some(Api::Produce) => {
            if let Ok(request) = ProduceRequest::from_body(body) {
                Batches::new(request.batch).flatten().for_each(|batch| _ = batch.check());
            }
        }
        Some(api) => {
            assert_eq!(api as u8, header.api);
            MESSAGES.iter().for_each(|(_, read)| _ = read(body));
        }
    }
}
