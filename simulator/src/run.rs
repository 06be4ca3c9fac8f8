//! Many episodes, over several threads.

use crate::check::{Check, Violation};
use crate::figures::Figures;
use crate::trace::{Show, Trace};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Operations of one episode. Short ones see more configurations and more starts, long ones more of a log's life.
pub const EPISODE_OPERATIONS: u64 = 4000;
/// Between two reports of progress.
const PROGRESS: Duration = Duration::from_secs(30);

/// What is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum World {
    /// The engine: `ringmail-shards`, several of it.
    Engine,
    /// The node: shards with their connections, catalog and mesh, on the engine.
    Node,
}

impl World {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Engine, Self::Node];

    /// As the command line calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Node => "node",
        }
    }

    /// One episode. It unwinds where a promise is broken.
    fn run(self, seed: u64, operations: u64, trace: &mut Trace) -> Figures {
        match self {
            Self::Engine => crate::engine::run(seed, operations, trace),
            Self::Node => crate::node::run(seed, operations, trace),
        }
    }
}

/// A failed episode.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What was simulated.
    pub world: World,
    /// The episode's seed.
    pub seed: u64,
    /// Its operations.
    pub operations: u64,
    /// Operations that all episodes had made by then, about.
    pub after: u64,
    /// What is broken.
    pub violation: Violation,
}

/// Runs one episode.
///
/// # Errors
/// The first promise that is broken, a panic of what is tested included.
pub fn episode(world: World, seed: u64, operations: u64, show: Show) -> Result<Figures, Violation> {
    let mut trace = Trace::new(show);
    let result = catch_unwind(AssertUnwindSafe(|| world.run(seed, operations, &mut trace)));
    trace.finish();
    result.map_err(|payload| match payload.downcast::<Violation>() {
        Ok(violation) => *violation,
        Err(payload) => {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
            Violation { check: Check::Panic, words: text.unwrap_or("for no stated reason").into() }
        }
    })
}

/// Runs episodes with the seeds from `seed` on until there were so many operations, and gives their sum. `progress` is
/// told every few seconds how far that is.
///
/// # Errors
/// The first episode that failed; the others end then.
pub fn episodes(
    world: World,
    seed: u64,
    operations: u64,
    threads: usize,
    progress: impl Fn(&Figures, Duration),
) -> Result<Figures, Failure> {
    let begun = Instant::now();
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let sum = Mutex::new(Figures::default());
    let failure = Mutex::new(None::<Failure>);
    let lock = |sum: &Mutex<Figures>| *sum.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let k = next.fetch_add(1, Ordering::Relaxed);
            let Some(left) = operations.checked_sub(k * EPISODE_OPERATIONS).filter(|&left| left > 0) else {
                break;
            };
            let (seed, operations) = (seed.wrapping_add(k), left.min(EPISODE_OPERATIONS));
            match episode(world, seed, operations, Show::Nothing) {
                Ok(figures) => *sum.lock().unwrap_or_else(PoisonError::into_inner) += figures,
                Err(violation) => {
                    stop.store(true, Ordering::Relaxed);
                    let after = lock(&sum).operations;
                    let mut first = failure.lock().unwrap_or_else(PoisonError::into_inner);
                    first.get_or_insert(Failure { world, seed, operations, after, violation });
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut told = Instant::now();
        while workers.iter().any(|worker| !worker.is_finished()) {
            std::thread::sleep(Duration::from_millis(20));
            if told.elapsed() >= PROGRESS {
                told = Instant::now();
                progress(&lock(&sum), begun.elapsed());
            }
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(failure) => Err(failure),
        None => Ok(lock(&sum)),
    }
}
