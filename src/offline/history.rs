//! What all segments of a shard say of its logs: which offsets there should be, and which there are.

use std::collections::{HashMap, HashSet};

use super::findings::Offsets;

/// The logs of a shard.
#[derive(Debug, Default)]
pub(super) struct History {
    logs: HashMap<u64, Log>,
    dropped: HashSet<u64>,
}

#[derive(Debug, Default)]
struct Log {
    start: u64,
    /// The newest segment that says where the log ends, and where.
    end: (u64, u64),
    /// What sealed segments hold.
    held: Vec<(u64, u64)>,
    /// What others hold, by the number of the frame.
    unsealed: Vec<(u64, u64, u64)>,
}

impl History {
    /// A frame holds records.
    pub fn records(&mut self, Offsets { log, from, end }: Offsets, frame: u64, sealed: bool) {
        let log = self.logs.entry(log).or_default();
        if !sealed {
            log.unsealed.push((frame, from, end));
            return;
        }
        match log.held.last_mut() {
            Some(last) if last.1 == from => last.1 = end,
            _ => log.held.push((from, end)),
        }
    }

    /// The log begins at `offset`, or later.
    pub fn start(&mut self, log: u64, offset: u64) {
        let log = self.logs.entry(log).or_default();
        log.start = log.start.max(offset);
    }

    /// When `segment` was closed the log ended at `offset`.
    pub fn end(&mut self, log: u64, segment: u64, offset: u64) {
        let log = self.logs.entry(log).or_default();
        log.end = log.end.max((segment, offset));
    }

    /// The log was deleted: its number is never used again.
    pub fn dropped(&mut self, log: u64) {
        self.dropped.insert(log);
    }

    /// Adds what other segments say.
    pub fn merge(&mut self, other: Self) {
        self.dropped.extend(other.dropped);
        for (number, theirs) in other.logs {
            let log = self.logs.entry(number).or_default();
            log.start = log.start.max(theirs.start);
            log.end = log.end.max(theirs.end);
            log.held.extend(theirs.held);
            log.unsealed.extend(theirs.unsealed);
        }
    }

    /// Offsets that no segment holds though one should; frames from `cut` on do not count.
    pub fn missing(self, cut: u64) -> Vec<Offsets> {
        let mut missing = Vec::new();
        for (number, log) in self.logs {
            if self.dropped.contains(&number) {
                continue;
            }
            let mut held = log.held;
            held.extend(log.unsealed.iter().filter(|r| r.0 < cut).map(|r| (r.1, r.2)));
            held.sort_unstable();
            let mut next = log.start;
            for (from, end) in held.into_iter().chain([(log.end.1, log.end.1)]) {
                if from > next {
                    missing.push(Offsets { log: number, from: next, end: from });
                }
                next = next.max(end);
            }
        }
        missing.sort_unstable_by_key(|o| (o.log, o.from));
        missing
    }
}
