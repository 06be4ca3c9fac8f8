//! Sections of footers that were read, or that were just written: runs of extents in sealed segments.

use crate::format::footer::Run;
use crate::map::Map;
use std::collections::VecDeque;
use std::rc::Rc;

/// A segment, and where in its footer the section begins.
pub(crate) type SectionKey = (u64, u32);

/// Bytes of runs that are kept.
const BUDGET_BYTES: usize = 24 << 20;

/// Runs by section, the oldest going first once the budget is used up.
#[derive(Debug, Default)]
pub(crate) struct Sections {
    known: Map<SectionKey, Rc<Vec<Run>>>,
    order: VecDeque<SectionKey>,
    bytes: usize,
}

impl Sections {
    pub fn get(&self, key: SectionKey) -> Option<Rc<Vec<Run>>> {
        self.known.get(&key).cloned()
    }

    pub fn insert(&mut self, key: SectionKey, runs: Vec<Run>) -> Rc<Vec<Run>> {
        self.bytes += cost(&runs);
        let runs = Rc::new(runs);
        if let Some(old) = self.known.insert(key, runs.clone()) {
            self.bytes -= cost(&old);
        } else {
            self.order.push_back(key);
        }
        while self.bytes > BUDGET_BYTES && self.order.len() > 1 {
            let oldest = self.order.pop_front().expect("there are two");
            if let Some(old) = self.known.remove(&oldest) {
                self.bytes -= cost(&old);
            }
        }
        runs
    }

    pub fn forget_segment(&mut self, number: u64) {
        let Self { known, order, bytes } = self;
        order.retain(|key| key.0 != number);
        known.retain(|key, runs| {
            let keep = key.0 != number;
            if !keep {
                *bytes -= cost(runs);
            }
            keep
        });
    }
}

fn cost(runs: &[Run]) -> usize {
    std::mem::size_of_val(runs) + 64
}
