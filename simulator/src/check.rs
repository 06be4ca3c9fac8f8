//! What a world promises, and how it says that a promise is broken.

use std::fmt;

/// A promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// What was acknowledged as durable is there, after any crash.
    Lost,
    /// What a consumer was given, or could have been, is there after any crash.
    Unserved,
    /// Offsets count without a gap, in the order of the appends.
    Reordered,
    /// Nothing is there twice.
    Duplicated,
    /// Nothing is there that nobody submitted, in another log, or with other bytes.
    Phantom,
    /// What was deleted stays deleted, and only what may be deleted is.
    Deleted,
    /// Every request is answered once, in the words that its case has.
    Answer,
    /// Whoever waits is told.
    Forgotten,
    /// Without faults, everything ends in time.
    Stuck,
    /// Damage is reported where there is some, and only there.
    Damage,
    /// Memory and space stay bounded, and come back.
    Bounds,
    /// Nothing panics.
    Panic,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost",
            Self::Unserved => "served, then lost",
            Self::Reordered => "reordered",
            Self::Duplicated => "duplicated",
            Self::Phantom => "phantom",
            Self::Deleted => "deleted",
            Self::Answer => "answer",
            Self::Forgotten => "forgotten",
            Self::Stuck => "stuck",
            Self::Damage => "damage",
            Self::Bounds => "bounds",
            Self::Panic => "panic",
        })
    }
}

/// A broken promise: what a failed check unwinds with, so that an episode ends where it is found.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The promise.
    pub check: Check,
    /// What happened.
    pub words: String,
}

/// Ends the episode: a promise is broken.
pub fn violated(check: Check, words: impl Into<String>) -> ! {
    std::panic::panic_any(Violation { check, words: words.into() })
}

/// Ends the episode unless `kept`.
pub fn ensure(kept: bool, check: Check, words: impl FnOnce() -> String) {
    if !kept {
        violated(check, words());
    }
}
