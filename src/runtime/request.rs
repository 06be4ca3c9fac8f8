//! A request that many wait for: it is made once, and none of those who listen misses it. Explored in all orders of its
//! threads' steps by `models/`.

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// How one who listens is woken.
pub trait Wake {
    /// Has the listener look again, now or as soon as it waits.
    fn wake(&self);
}

/// The request, and those who are to be told.
#[derive(Debug)]
pub struct Request<W> {
    made: AtomicBool,
    /// Locked by each listener once, and by whoever requests.
    listeners: Mutex<Vec<W>>,
}

impl<W: Wake> Request<W> {
    /// Not made yet; nobody listens.
    pub fn new() -> Self {
        Self { made: AtomicBool::new(false), listeners: Mutex::new(Vec::new()) }
    }

    /// Makes the request. May be called on any thread, and again.
    pub fn make(&self) {
        // Before the lock: who takes the lock later to listen finds this, and who took it before is woken.
        self.made.store(true, Ordering::Release);
        let listeners = self.listeners.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        listeners.iter().for_each(Wake::wake);
    }

    /// Whether it was made. Who listens asks after it began to, and whenever it was woken.
    pub fn is_made(&self) -> bool {
        self.made.load(Ordering::Acquire)
    }

    /// Has `listener` woken when the request is made.
    pub fn listen(&self, listener: W) {
        self.listeners.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(listener);
    }
}

impl<W: Wake> Default for Request<W> {
    fn default() -> Self {
        Self::new()
    }
}
