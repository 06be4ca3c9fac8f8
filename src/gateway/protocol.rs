//! The protocols that are spoken.

use super::output::Output;
use crate::native;

/// A protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Ringmail's own.
    Native,
}

impl Protocol {
    /// Writes what a client is told when there are as many connections as there may be, `limit`.
    pub(super) fn put_too_many(self, output: &mut Output, limit: usize) {
        match self {
            Self::Native => native::put_too_many(output, limit),
        }
    }
}

/// What the protocol of a connection knows of it.
#[derive(Debug)]
pub enum Session {
    /// It speaks the native protocol.
    Native(native::Session),
}

impl Session {
    /// Which protocol it is.
    #[inline]
    pub fn protocol(&self) -> Protocol {
        match self {
            Self::Native(_) => Protocol::Native,
        }
    }
}
