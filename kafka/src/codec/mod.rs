//! How fields stand in messages: numbers, strings, lists, tagged fields, and structures of them.

pub(crate) mod message;
mod reader;
mod uuid;
mod wire;
mod writer;

pub(crate) use message::{message, messages};
pub use reader::{MAX_LIST_ITEMS, Reader};
pub use uuid::{Uuid, UuidError};
pub use wire::{Blob, Str, Wire};
pub use writer::{Tags, Writer};

/// A body that does not have the form of its message. Kafka closes a connection that sends one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It ends within a field, or a count says more than can follow.
    #[error("the request ends within `{0}`")]
    Truncated(&'static str),
    /// A string is not UTF-8.
    #[error("`{0}` is not UTF-8")]
    NotUtf8(&'static str),
    /// A length is negative.
    #[error("`{0}` has the length {1}")]
    Length(&'static str, i64),
    /// A varint has too many bytes.
    #[error("`{0}` has a varint of more than 32 bits")]
    Varint(&'static str),
    /// Null where there must be a value.
    #[error("`{0}` is null")]
    Null(&'static str),
    /// The lists of the message have more than [`MAX_LIST_ITEMS`] items together.
    #[error("with `{0}` the request has over {MAX_LIST_ITEMS} items; split it")]
    TooMany(&'static str),
    /// A field has a value that means nothing.
    #[error("`{0}` has the unknown value {1}")]
    Value(&'static str, i64),
    /// The version is not one that this build reads.
    #[error("version {0} of this request is not supported")]
    Version(i16),
}
