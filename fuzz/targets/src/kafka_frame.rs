//! Kafka's frames and headers, with the body of whatever they say.

use ringmail_kafka::api::Api;
use ringmail_kafka::frame::{LENGTH_BYTES, RequestHeader, request_length};
use ringmail_kafka::messages::Request;
use ringmail_kafka::versions::Offer;

const LIMIT: usize = 1 << 20;

/// Frames one after another, as a connection receives them.
pub fn kafka_frame(mut input: &[u8]) {
    while let Ok(Some(length)) = request_length(input, LIMIT) {
        assert!(length > LENGTH_BYTES && length <= LENGTH_BYTES + LIMIT);
        let Some((frame, rest)) = input.split_at_checked(length) else { return };
        input = rest;
        let Ok((header, body)) = RequestHeader::parse(&frame[LENGTH_BYTES..]) else { continue };
        assert!(body.len() < frame.len());
        if header.api == Api::ApiVersions {
            answer_versions(&header, body);
        } else {
            assert!(header.api.versions().contains(&header.version));
            let _ = Request::decode(header.api, header.version, body);
        }
    }
}

/// Every version of ApiVersions has an answer, unless its body is malformed.
fn answer_versions(header: &RequestHeader<'_>, body: &[u8]) {
    let offer = Offer { apis: Api::ALL, features: &[], features_epoch: 0 };
    let mut out = Vec::new();
    if offer.answer(header, body, &mut out).is_ok() {
        let correlation = i32::from_be_bytes([out[4], out[5], out[6], out[7]]);
        assert_eq!(correlation, header.correlation);
        assert_eq!(out.len(), LENGTH_BYTES + i32::from_be_bytes([out[0], out[1], out[2], out[3]]) as usize);
    }
}
