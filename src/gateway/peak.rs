//! Noticing that much was let go, so that its memory can be given back to the system.

use std::cell::Cell;

/// The most of something that there was, and what decrease of it counts.
#[derive(Debug)]
pub(super) struct Peak {
    highest: Cell<usize>,
    much: usize,
}

impl Peak {
    /// Nothing yet; a decrease by `much` counts.
    pub(super) fn new(much: usize) -> Self {
        Self { highest: Cell::new(0), much }
    }

    /// There is so much now.
    #[inline]
    pub(super) fn note(&self, now: usize) {
        self.highest.set(self.highest.get().max(now));
    }

    /// Whether, with so much now, at least half of what there was is gone. Then it is forgotten.
    pub(super) fn has_shrunk(&self, now: usize) -> bool {
        let highest = self.highest.get();
        let has_shrunk = now <= highest / 2 && highest - now >= self.much;
        if has_shrunk {
            self.highest.set(now);
        }
        has_shrunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_large_decrease_counts_and_only_once() {
        let peak = Peak::new(10);
        peak.note(8);
        assert!(!peak.has_shrunk(0));
        peak.note(30);
        peak.note(20);
        assert!(!peak.has_shrunk(16));
        assert!(peak.has_shrunk(15));
        assert!(!peak.has_shrunk(6));
        assert!(peak.has_shrunk(5));
    }
}
