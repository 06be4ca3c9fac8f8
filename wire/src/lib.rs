//! What Ringmail says on the wire and stores on disk: the record batch and the native protocol.
//!
//! Everything here is bytes in, types out. There is no I/O, no clock and no randomness, so the broker,
//! the SDK, the tests and the fuzzers share one implementation.
//!
//! * [`batch`] — the record batch: built by producers, checked once by the broker, stored and served
//!   as the same bytes, read in place by consumers.
//! * [`protocol`] — frames, requests, responses and error codes. `PROTOCOL.md` beside this crate's
//!   manifest is the specification; a test holds its example bytes.
//! * [`crc`] — the checksum of both.

pub mod batch;
pub mod crc;
pub mod protocol;
