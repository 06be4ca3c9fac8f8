//! Producers that come and go, zombies, lost answers, restarts, full disks and time, all by chance from a seed, against what
//! must always hold:
//!
//! - a transaction has one outcome: what is decided is never changed, and a commit that was acknowledged is one;
//! - each of its partitions gets the marker of that outcome before the transaction is over, and no other;
//! - all partitions that were acknowledged are part of it;
//! - epochs never go back, no two producers get the same one, and an older producer does nothing any more;
//! - every request is answered once, and in the end nothing is left under way.

mod client;
mod history;

use ringmail_coordinator::machine::WriteError;

use crate::host::{Hold, Host};
use client::Clients;
use history::History;

const SEEDS: u64 = 300;
const STEPS: usize = 1500;
const WEEK_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// Numbers that look like chance (SplitMix64).
pub struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// How often things happened, over all seeds: a run in which nothing happens shows nothing.
#[derive(Debug, Default)]
pub struct Seen {
    pub commits: usize,
    pub aborts: usize,
    pub fenced: usize,
    pub late: usize,
    pub concurrent: usize,
    pub refused: usize,
    pub restarts: usize,
    pub forgotten: usize,
    pub rotated: usize,
}

struct World {
    host: Host,
    history: History,
    clients: Clients,
    chance: Chance,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut host = Host::new();
        host.hold = Hold { writes: true, sync: true, markers: true, producer_ids: true };
        let mut chance = Chance(seed);
        // With some seeds the epochs of a producer id are nearly used up.
        if seed.is_multiple_of(2) {
            history::put_producer_with_last_epochs(&mut host, "p", i16::MAX - 1 - chance.below(3) as i16);
        }
        let mut history = History::default();
        history.observe(&host);
        let clients = Clients::new(&mut chance);
        Self { host, history, clients, chance }
    }

    fn step(&mut self, seen: &mut Seen) {
        let Self { host, history, clients, chance } = self;
        match chance.below(40) {
            0..16 => clients.act(host, history, chance, seen),
            16..24 => {
                host.refuse = chance.one_in(12).then_some(WriteError::Unavailable);
                seen.refused += usize::from(host.refuse.is_some());
                host.take_write();
                host.refuse = None;
                history.observe(host);
                host.take_write();
            }
            24..26 => {
                let error = chance.one_in(8).then_some(WriteError::Unavailable);
                host.give_producer_id(error);
            }
            26..32 => {
                let new = host.log.len() - host.durable;
                let part = if chance.one_in(2) { new } else { chance.below(new + 1) };
                host.sync(host.durable + part);
            }
            32..36 => {
                for _ in 0..chance.below(4).min(host.due.len()) {
                    let index = chance.below(host.due.len());
                    history.check_marker(host, index);
                    if chance.one_in(6) {
                        host.write_marker(index);
                    } else {
                        host.mark(index);
                    }
                    history.observe(host);
                }
            }
            36 => host.pass(1 + chance.below(1000) as u64),
            37 if chance.one_in(6) => host.pass(20_000),
            38 if chance.one_in(5) => {
                host.restart();
                history.restarted(host);
                clients.restarted();
                seen.restarts += 1;
            }
            39 if chance.one_in(80) => {
                host.pass(WEEK_MS + 3_600_000);
                seen.forgotten += 1;
            }
            _ => {}
        }
        self.history.observe(&self.host);
    }

    /// Lets all come to its end.
    fn finish(&mut self, seen: &mut Seen) {
        for _ in 0..10 {
            self.host.pass(20_000);
            self.settle();
        }
        assert!(self.host.open.is_empty(), "not answered: {:?}", self.host.open);
        for (id, stored) in self.host.machine.stored() {
            assert!(stored.state.is_idle(), "{id} is left in {stored:?}");
        }
        self.clients.take_answers(&mut self.host, &self.history, &mut self.chance, seen);
    }
}

impl World {
    /// Does all that is to be done now, one after the other.
    fn settle(&mut self) {
        loop {
            let wrote = self.host.take_write() || self.host.give_producer_id(None);
            self.history.observe(&self.host);
            self.host.sync(usize::MAX);
            if !self.host.due.is_empty() {
                self.history.check_marker(&self.host, 0);
                self.host.mark(0);
            } else if !wrote {
                return;
            }
        }
    }
}

/// Says which seed it was, whatever goes wrong.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("that was seed {}", self.0);
        }
    }
}

#[test]
fn transactions_are_all_or_nothing_whatever_happens() {
    let mut seen = Seen::default();
    for seed in 0..SEEDS {
        let _named = Named(seed);
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step(&mut seen);
        }
        world.finish(&mut seen);
    }
    println!("{seen:?}");
    let Seen { commits, aborts, fenced, late, concurrent, refused, restarts, forgotten, rotated } = seen;
    for (what, times) in [
        ("commits", commits),
        ("aborts", aborts),
        ("fenced", fenced),
        ("late", late),
        ("concurrent", concurrent),
        ("refused", refused),
        ("restarts", restarts),
        ("forgotten", forgotten),
        ("rotated", rotated),
    ] {
        assert!(times > 10, "{what} happened {times} times only");
    }
}
