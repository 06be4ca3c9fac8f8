//! What a checker has found, and what was counted on the way.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Findings that are told in words; the others are counted.
const TOLD: usize = 20;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Acknowledged and not there.
    Lost,
    /// There more than once, and nobody asked for it to be sent again.
    Duplicated,
    /// Not where it was promised to be, or behind what was sent later.
    Reordered,
    /// There, and never sent.
    Phantom,
    /// Read by a consumer, and then not there.
    Gone,
    /// The broker or a client did what it must not.
    Broken,
}

/// Findings of all threads.
#[derive(Debug, Default)]
pub struct Findings {
    counts: [AtomicU64; 6],
    words: Mutex<Vec<String>>,
    /// Records that were acknowledged as written only, and that a power cut took.
    forgotten: AtomicU64,
    /// Records that are stored again since a producer that may do so sent them again.
    repeated: AtomicU64,
}

impl Findings {
    pub fn add(&self, kind: Kind, words: impl FnOnce() -> String) {
        self.counts[kind as usize].fetch_add(1, Ordering::SeqCst);
        let mut told = self.words.lock().unwrap();
        if told.len() < TOLD {
            told.push(format!("{kind:?}: {}", words()));
        }
    }

    pub fn note_forgotten(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
    }

    pub fn note_repeated(&self) {
        self.repeated.fetch_add(1, Ordering::SeqCst);
    }

    pub fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::SeqCst)
    }

    pub fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::SeqCst)
    }

    pub fn count(&self, kind: Kind) -> u64 {
        self.counts[kind as usize].load(Ordering::SeqCst)
    }

    /// Lost, duplicated, reordered, phantom, gone.
    pub fn counts(&self) -> [u64; 5] {
        [Kind::Lost, Kind::Duplicated, Kind::Reordered, Kind::Phantom, Kind::Gone]
            .map(|kind| self.count(kind))
    }

    pub fn is_clean(&self) -> bool {
        self.counts.iter().all(|count| count.load(Ordering::SeqCst) == 0)
    }

    /// The first findings, in words.
    pub fn words(&self) -> Vec<String> {
        self.words.lock().unwrap().clone()
    }
}

/// A number as people read it: 812,345.
pub struct Grouped(pub u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (k, digit) in digits.char_indices() {
            if k > 0 && (digits.len() - k).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}
