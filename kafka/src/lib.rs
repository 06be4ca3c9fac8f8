//! Kafka's protocol: bytes in, types out. No I/O, no clock, no randomness.
//!
//! * [`frame`] — frames and headers. [`api`] is the table of what there is, and in which versions.
//! * [`messages`] — the bodies of all requests and answers; [`codec`] is what they are made of.
//! * [`versions`] — the answer to ApiVersions, by which clients find out what they talk to.
//! * [`produce`], [`fetch`] — answers on the hot path, written piece by piece around batches that are not copied.
//! * [`batch`] — record batches: checked and patched as bytes, read and built where records are looked at.
//! * [`transcode`] — from batches of Ringmail to those of Kafka, and back.
//! * [`error`] — Kafka's error codes.

#![forbid(unsafe_code)]

pub mod api;
pub mod batch;
pub mod codec;
pub mod error;
pub mod fetch;
pub mod frame;
pub mod messages;
pub mod produce;
pub mod transcode;
pub mod versions;
