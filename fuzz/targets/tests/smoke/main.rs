//! Every fuzz target over its committed corpus, and over mutations of it, on the stable toolchain.
//!
//! `RINGMAIL_FUZZ_SECONDS` (1) is how long to mutate for each target, `RINGMAIL_FUZZ_SEED` (1) what the
//! mutations follow from: the same seed gives the same inputs in the same order.

mod mutate;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mutate::Mutator;
use ringmail_fuzz_targets::{TARGETS, Target};

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} must be a whole number, not `{text}`")),
        Err(_) => default,
    }
}

fn corpus_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(name)
}

/// The committed inputs in the order of their names.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = corpus_of(name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Runs one input; if the target panics, says which input it was.
fn run(name: &str, target: Target, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("fuzz target {name} panicked on this input: keep it in fuzz/corpus/{name}\n{hex}");
    }
}

#[test]
fn over_the_corpus() {
    for (name, target) in TARGETS {
        let inputs = corpus(name);
        assert!(!inputs.is_empty(), "fuzz/corpus/{name} is empty");
        inputs.iter().for_each(|input| run(name, *target, input));
    }
}

#[test]
fn over_mutations() {
    let length = Duration::from_secs(setting("RINGMAIL_FUZZ_SECONDS", 1));
    let seed = setting("RINGMAIL_FUZZ_SEED", 1);
    for (name, target) in TARGETS {
        let seeds = corpus(name);
        let mut mutator = Mutator::new(seed);
        let (start, mut inputs) = (Instant::now(), 0_u64);
        while start.elapsed() < length {
            run(name, *target, &mutator.mutant(&seeds));
            inputs += 1;
        }
        println!("{name}: {inputs} inputs");
    }
}
