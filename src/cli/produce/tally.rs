//! What became of the records that were sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ringmail_sdk::{Error, OnDelivery};

use crate::cli::error::CliError;

/// Counts records that were stored, and notes that one was not.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    stored: AtomicU64,
    failed: AtomicBool,
}

impl Tally {
    /// What a producer is to call.
    pub fn on_delivery(&self) -> OnDelivery {
        let counts = self.counts.clone();
        OnDelivery::new(move |batch| match &batch.result {
            Ok(_) | Err(Error::NotAcknowledged) => {
                counts.stored.fetch_add(batch.records.into(), Ordering::Relaxed);
            }
            Err(_) => counts.failed.store(true, Ordering::Relaxed),
        })
    }

    /// Whether a record failed.
    pub fn has_failed(&self) -> bool {
        self.counts.failed.load(Ordering::Relaxed)
    }

    /// The failure of the whole, of which `sent` records were sent.
    pub fn failure(&self, sent: u64, error: Error) -> CliError {
        CliError::NotAllStored { stored: self.counts.stored.load(Ordering::Relaxed), sent, cause: error }
    }
}
