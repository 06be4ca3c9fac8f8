//! Every fuzz target over its committed corpus, and over mutations of it, on the stable toolchain.
//!
//! `RINGMAIL_FUZZ_SECONDS` is how long to mutate for each target (see [`SECONDS`]), `RINGMAIL_FUZZ_SEED` (1) what the
//! mutations follow from: the same seed gives the same inputs in the same order. `RINGMAIL_FUZZ_TARGET` picks one target.

mod mutate;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mutate::Mutator;
use ringmail_fuzz_targets::{TARGETS, Target};

/// Seconds of mutations per target if nothing else is said: targets run side by side, and all of them within two minutes on
/// two cores.
const SECONDS: u64 = 10;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} must be a whole number, not `{text}`")),
        Err(_) => default,
    }
}

/// All targets, or the one that was asked for.
fn targets() -> Vec<&'static Target> {
    match std::env::var("RINGMAIL_FUZZ_TARGET") {
        Ok(name) => vec![ringmail_fuzz_targets::target(&name)],
        Err(_) => TARGETS.iter().collect(),
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
fn run(target: &Target, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target.run(input))).is_err() {
        let name = target.name;
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("fuzz target {name} panicked on this input: keep it in fuzz/corpus/{name}\n{hex}");
    }
}

/// Does `work` for every target, on as many threads as there are cores.
fn for_each_target(work: impl Fn(&Target) + Sync) {
    let (targets, next) = (targets(), AtomicUsize::new(0));
    let worker = || {
        while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(target);
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(worker)).collect();
        for worker in workers {
            worker.join().expect("a target has failed: see above");
        }
    });
}

#[test]
fn over_the_corpus() {
    for_each_target(|target| {
        let inputs = corpus(target.name);
        assert!(!inputs.is_empty(), "fuzz/corpus/{} is empty", target.name);
        inputs.iter().for_each(|input| run(target, input));
    });
}

#[test]
fn over_mutations() {
    let length = Duration::from_secs(setting("RINGMAIL_FUZZ_SECONDS", SECONDS));
    let seed = setting("RINGMAIL_FUZZ_SEED", 1);
    for_each_target(|target| {
        let seeds = corpus(target.name);
        let mut mutator = Mutator::new(seed);
        let (start, mut inputs) = (Instant::now(), 0_u64);
        while start.elapsed() < length {
            run(target, &mutator.mutant(&seeds));
            inputs += 1;
        }
        println!("{}: {inputs} inputs", target.name);
    });
}
