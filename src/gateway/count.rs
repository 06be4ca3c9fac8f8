//! How many connections the whole broker has. Explored in all orders of its threads' steps by `models/`.

use crate::sync::Arc;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// Connections to the whole broker. The one number that shards share: it changes when a connection comes or goes, not with
/// requests.
#[derive(Debug, Clone)]
pub struct ConnectionCount {
    count: Arc<AtomicUsize>,
    limit: usize,
}

impl ConnectionCount {
    /// None yet, and at most `limit`.
    pub fn new(limit: usize) -> Self {
        Self { count: Arc::new(AtomicUsize::new(0)), limit }
    }

    /// Connections that there may be.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// A place for one more, until it is dropped; `None` only if there is none.
    pub fn take(&self) -> Option<Place> {
        // Counting first and looking then would let one that is refused keep another from the last place.
        let next = |count| (count < self.limit).then_some(count + 1);
        // The number guards no other memory, so that its order with that of others is of no matter.
        let taken = self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        taken.is_ok().then(|| Place(Arc::clone(&self.count)))
    }
}

/// One connection of the [`ConnectionCount`].
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
