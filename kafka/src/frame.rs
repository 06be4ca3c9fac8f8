//! Frames and headers: how requests and answers stand in the stream.
//!
//! A frame is its length (`i32`, of what follows), a header, a body. The form of the header follows from the API and its
//! version, which stand at its start. The oldest header of requests, without a client id, belongs to none of the APIs here.

use crate::api::Api;
use crate::codec::{DecodeError, Reader, Writer};
use crate::messages::{Body, Response};

/// Bytes of the length that each frame begins with.
pub const LENGTH_BYTES: usize = 4;
/// Bytes of the shortest request: key, version, correlation id.
const SHORTEST_REQUEST: usize = 8;

/// A length that no frame may have: where the next frame begins is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Over the broker's limit.
    #[error("a request states {stated} bytes; the limit is {limit}")]
    TooLarge {
        /// What it states.
        stated: usize,
        /// What it may have.
        limit: usize,
    },
    /// Too short for a header, or negative.
    #[error("a request states {0} bytes; every request has at least 8: this is not Kafka's protocol")]
    TooShort(i32),
}

/// The length of the first request in `bytes`, its own length included; `None` while there are fewer than 4 bytes. A frame
/// may have `limit` bytes after its length.
///
/// # Errors
/// See [`FrameError`]; the connection cannot go on then.
#[inline]
pub fn request_length(bytes: &[u8], limit: usize) -> Result<Option<usize>, FrameError> {
    let Some(length) = bytes.first_chunk() else { return Ok(None) };
    let length = i32::from_be_bytes(*length);
    match usize::try_from(length) {
        Ok(stated) if stated > limit => Err(FrameError::TooLarge { stated, limit }),
        Ok(stated) if stated >= SHORTEST_REQUEST => Ok(Some(LENGTH_BYTES + stated)),
        _ => Err(FrameError::TooShort(length)),
    }
}

/// Why a request cannot be answered. Kafka closes the connection in each of these cases; only ApiVersions, which is how
/// clients find out, is answered in any version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// There is no API of this key.
    #[error("a request has the unknown API key {0}")]
    UnknownApi(i16),
    /// The version is not implemented.
    #[error("a request for {} is of version {version}; {:?} are supported", api.info().name, api.versions())]
    Version {
        /// The API.
        api: Api,
        /// What was asked for.
        version: i16,
    },
    /// The header is malformed.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

/// What stands before the body of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    /// What is asked for.
    pub api: Api,
    /// The version of request and answer; for ApiVersions it may be one that is not implemented.
    pub version: i16,
    /// Chosen by the client, repeated in the answer.
    pub correlation: i32,
    /// What the client calls itself.
    pub client_id: Option<&'a str>,
}

impl<'a> RequestHeader<'a> {
    /// The header at the start of `frame`, from which its length was taken off, and the body that follows it.
    ///
    /// # Errors
    /// See [`HeaderError`].
    pub fn parse(frame: &'a [u8]) -> Result<(Self, &'a [u8]), HeaderError> {
        let mut r = Reader::new(frame, 0, false);
        r.at_field("header");
        let key = r.i16()?;
        let version = r.i16()?;
        let correlation = r.i32()?;
        let api = Api::from_key(key).ok_or(HeaderError::UnknownApi(key))?;
        if !api.versions().contains(&version) && api != Api::ApiVersions {
            return Err(HeaderError::Version { api, version });
        }
        r.at_field("client_id");
        // Its length has the old form in every version, so that a broker can read it of any.
        let client_id = r.nullable_string()?;
        let mut r = Reader::new(r.rest(), version, api.request_header_has_tags(version));
        r.skip_tags()?;
        Ok((Self { api, version, correlation, client_id }, r.rest()))
    }

    /// Appends it, as a client does.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut w = Writer::new(out, self.version, false);
        w.i16(self.api.key());
        w.i16(self.version);
        w.i32(self.correlation);
        w.nullable_string(self.client_id);
        Writer::new(out, self.version, self.api.request_header_has_tags(self.version)).no_tags();
    }
}

/// Begins the frame of an answer: its length, to be written by [`end_frame`], and its header. Returns where it begins.
pub(crate) fn begin_response(out: &mut Vec<u8>, api: Api, version: i16, correlation: i32) -> usize {
    let start = out.len();
    let mut w = Writer::new(out, version, api.response_header_has_tags(version));
    w.i32(0);
    w.i32(correlation);
    w.no_tags();
    start
}

/// Writes the length of the frame that began at `start`, of which `elsewhere` bytes are not in `out`.
pub(crate) fn end_frame(out: &mut [u8], start: usize, elsewhere: usize) {
    let length = out.len() - start - LENGTH_BYTES + elsewhere;
    let length = i32::try_from(length).expect("answers have limits far below 2 GiB");
    out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
}

/// Appends a whole answer.
pub fn put_response<'a>(out: &mut Vec<u8>, version: i16, correlation: i32, body: &impl Body<'a>) {
    let start = begin_response(out, body.api(), version, correlation);
    body.encode(version, out);
    end_frame(out, start, 0);
}

/// Appends a whole answer of whichever API.
pub fn put_response_of(out: &mut Vec<u8>, api: Api, version: i16, correlation: i32, body: &Response<'_>) {
    let start = begin_response(out, api, version, correlation);
    body.encode(version, out);
    end_frame(out, start, 0);
}

/// Appends a whole request, as a client does.
pub fn put_request<'a>(out: &mut Vec<u8>, header: &RequestHeader<'_>, body: &impl Body<'a>) {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    header.encode(out);
    body.encode(header.version, out);
    end_frame(out, start, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_at_their_bounds() {
        assert_eq!(request_length(&[0, 0, 0], 100), Ok(None));
        assert_eq!(request_length(&[0, 0, 0, 100], 100), Ok(Some(104)));
        assert_eq!(
            request_length(&[0, 0, 0, 101], 100),
            Err(FrameError::TooLarge { stated: 101, limit: 100 })
        );
        assert_eq!(request_length(&[0, 0, 0, 7], 100), Err(FrameError::TooShort(7)));
        assert_eq!(request_length(&[0xff; 4], 100), Err(FrameError::TooShort(-1)));
        // The start of "GET / HTTP/1.1".
        assert!(matches!(request_length(b"GET ", 100 << 20), Err(FrameError::TooLarge { .. })));
    }

    #[test]
    fn headers_with_and_without_tags() {
        let mut bytes = Vec::new();
        for (api, version) in [(Api::Metadata, 8), (Api::Metadata, 9), (Api::SaslHandshake, 1)] {
            for client_id in [None, Some(""), Some("client")] {
                let header = RequestHeader { api, version, correlation: -7, client_id };
                bytes.clear();
                header.encode(&mut bytes);
                let tags = usize::from(version == 9);
                assert_eq!(bytes.len(), 10 + client_id.map_or(0, str::len) + tags);
                bytes.extend_from_slice(b"body");
                assert_eq!(RequestHeader::parse(&bytes), Ok((header, &b"body"[..])));
            }
        }
    }

    #[test]
    fn what_cannot_be_answered() {
        let header = |key: i16, version: i16| {
            [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 1], &[0xff, 0xff], &[0]].concat()
        };
        assert_eq!(RequestHeader::parse(&header(4, 0)), Err(HeaderError::UnknownApi(4)));
        assert_eq!(
            RequestHeader::parse(&header(0, 2)),
            Err(HeaderError::Version { api: Api::Produce, version: 2 })
        );
        let future = header(18, 99);
        let (future, body) = RequestHeader::parse(&future).unwrap();
        assert_eq!((future.version, future.correlation, body), (99, 1, &[][..]));
        assert_eq!(
            RequestHeader::parse(&header(18, 2)[..9]),
            Err(HeaderError::Malformed(DecodeError::Truncated("client_id")))
        );
    }
}
