//! The protocols that are spoken.

use super::output::Output;
use crate::{kafka, native};

/// A protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Ringmail's own.
    Native,
    /// Kafka's.
    Kafka,
}

impl Protocol {
    /// Writes what a client is told when there are as many connections as there may be, `limit`.
    pub(super) fn put_too_many(self, output: &mut Output, limit: usize) {
        match self {
            Self::Native => native::put_too_many(output, limit),
            // Kafka has no words for it.
            Self::Kafka => {}
        }
    }
}

/// What the protocol of a connection knows of it.
#[derive(Debug)]
pub enum Session {
    /// It speaks the native protocol.
    Native(native::Session),
    /// It speaks Kafka's.
    Kafka(kafka::Session),
}

impl Session {
    /// Which protocol it is.
    #[inline]
    pub fn protocol(&self) -> Protocol {
        match self {
            Self::Native(_) => Protocol::Native,
            Self::Kafka(_) => Protocol::Kafka,
        }
    }
}
