//! Runs each deliberate bug until a check notices it.

use crate::run::{EPISODE_OPERATIONS, World, episodes};
use ringmail_shards::canary::{self, Canary};
use std::time::Instant;

/// Runs each canary from `seed` on, for up to so many operations, then the same without any; prints a table. Whether all were
/// caught, and nothing else.
pub fn all_are_caught(seed: u64, operations: u64, threads: usize) -> bool {
    println!("{:<20} {:<18} {:>12} {:>8}  seed", "canary", "caught by", "operations", "seconds");
    let begun = Instant::now();
    let mut escaped = 0;
    let mut slowest = 0;
    for &(canary, name) in Canary::ALL {
        canary::choose(Some(canary));
        let begun = Instant::now();
        match episodes(World::Engine, seed, operations, threads, |_, _| {}) {
            Err(failure) => {
                let needed = (failure.seed.wrapping_sub(seed) + 1) * EPISODE_OPERATIONS;
                slowest = slowest.max(needed);
                let (check, seconds) = (failure.violation.check.to_string(), begun.elapsed().as_secs_f64());
                println!("{name:<20} {check:<18} {needed:>12} {seconds:>8.1}  {}", failure.seed);
            }
            Ok(_) => {
                escaped += 1;
                println!(
                    "{name:<20} {:<18} {operations:>12} {:>8.1}",
                    "ESCAPED",
                    begun.elapsed().as_secs_f64()
                );
            }
        }
    }
    canary::choose(None);
    let control =
        episodes(World::Engine, seed, operations.min(slowest.max(EPISODE_OPERATIONS)), threads, |_, _| {});
    if let Err(failure) = &control {
        let words = &failure.violation.words;
        println!("{:<20} {:<18} {words}, seed {}", "none", failure.violation.check.to_string(), failure.seed);
    }
    let (of, caught) = (Canary::ALL.len(), Canary::ALL.len() - escaped);
    let control = if control.is_ok() { "passes" } else { "FAILS" };
    let seconds = begun.elapsed().as_secs();
    println!(
        "{caught} of {of} canaries caught, the slowest within {slowest} operations; without one the same {control}; {seconds} s"
    );
    escaped == 0 && control == "passes"
}
