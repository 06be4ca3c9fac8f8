//! Work that is done for many at once: it is planned once, and whoever asks for it until it begins is served by it. Explored in
//! all orders of its threads' steps by `models/`.

use crate::sync::atomic::{AtomicBool, Ordering};

/// Whether the work is planned.
#[derive(Debug)]
pub struct Plan(AtomicBool);

impl Plan {
    /// Not planned.
    pub fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Asks for the work. Whether the caller is to see to it, since nobody else does.
    pub fn make(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// The work begins, or fails: what is asked for from here on has to be planned anew. What those who asked did before that
    /// is seen from here on, which takes a swap: a store would not be ordered behind theirs.
    pub fn end(&self) {
        self.0.swap(false, Ordering::AcqRel);
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self::new()
    }
}
