//! One pinned executor per shard.

mod host;

use std::fmt;
use std::io;
use std::sync::mpsc;
use std::time::Duration;

use futures_lite::future;
use glommio::{BuilderErrorKind, ExecutorJoinHandle, GlommioError, LocalExecutorBuilder, Placement};

use self::host::MEMLOCK;
pub use self::host::{allowed_cpus, check};
use super::timer::sleep;

/// Memory of an executor for its own direct I/O, in bytes: the least there is, as the disk has a ring of its own.
const IO_MEMORY: usize = 64 << 10;

/// Entries of an executor's submission queues. After as many completions it looks at its I/O again.
const RING_DEPTH: usize = 256;

/// How long tasks may run before the executor looks at its I/O unasked. glommio has a fault here: if this time is over
/// before it runs the first task, it goes to sleep beside tasks that could run. Hence long; tasks are to
/// [yield](super::task::yield_now) by themselves.
const PREEMPT_AFTER: Duration = Duration::from_secs(1);

/// How often an executor wakes without a reason, which ends such a sleep.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// The number of a CPU, as in `/proc/cpuinfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuId(pub usize);

impl fmt::Display for CpuId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Why the shards cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The kernel was built without io_uring, or is too old for it.
    #[error("this kernel has no io_uring: Linux 5.17 or newer is needed")]
    Missing,
    /// io_uring is forbidden.
    #[error(
        "io_uring is switched off: set the sysctl kernel.io_uring_disabled to 0, or allow io_uring in the container's seccomp profile"
    )]
    Disabled,
    /// An operation is missing.
    #[error("this kernel's io_uring lacks {0}: Linux 5.17 or newer is needed")]
    Incomplete(&'static str),
    /// The limit of locked memory.
    #[error(
        "locked memory is limited to {limit} bytes, less than {MEMLOCK}: raise it (ulimit -l, or LimitMEMLOCK= in the systemd unit)"
    )]
    LockedMemory {
        /// The limit, in bytes.
        limit: u64,
    },
    /// A CPU that cannot be used.
    #[error("CPU {cpu} does not exist, or is not allowed to this process: choose from {allowed}")]
    NoSuchCpu {
        /// What was asked for.
        cpu: CpuId,
        /// What there is, as a list of numbers.
        allowed: String,
    },
    /// No shard was asked for.
    #[error("no CPU was given: at least one shard is needed")]
    NoCpus,
    /// A shard panicked.
    #[error("shard {0} panicked: this is a defect of the broker, please report it with the log")]
    Panicked(usize),
    /// Anything else in starting an executor.
    #[error("shard {shard} could not be started: {source}")]
    Start {
        /// Which.
        shard: usize,
        /// Why.
        source: io::Error,
    },
    /// A system call at start-up.
    #[error("{doing} failed: {source}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

/// What a shard is told about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardContext {
    /// Its number, from 0.
    pub shard: usize,
    /// How many there are.
    pub shards: usize,
    /// Where it runs.
    pub cpu: CpuId,
}

/// A shard that runs.
#[derive(Debug)]
pub struct ShardHandle<T: Send + 'static> {
    shard: usize,
    executor: ExecutorJoinHandle<Option<T>>,
}

impl<T: Send + 'static> ShardHandle<T> {
    /// Blocks until the shard's work has ended, and gives its result.
    pub fn join(self) -> Result<T, RuntimeError> {
        let shard = self.shard;
        match self.executor.join() {
            Ok(Some(result)) => Ok(result),
            Ok(None) => Err(start_failed(shard, io::Error::other("another shard failed to start"))),
            Err(error) => Err(failed(shard, error)),
        }
    }
}

/// Starts a shard on each of `cpus`, which may repeat, and returns when all of them run, or none.
///
/// `prepare` is called here, once per shard, for what the shard takes along; what it returns is called on the shard's
/// thread, for the work that the shard does. The executors never spin: kernel threads share their cores.
pub fn run<P, W, F, T>(cpus: &[CpuId], mut prepare: P) -> Result<Vec<ShardHandle<T>>, RuntimeError>
where
    P: FnMut(ShardContext) -> W,
    W: FnOnce() -> F + Send + 'static,
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    check(cpus)?;
    let mut shards = Vec::with_capacity(cpus.len());
    let mut gates = Vec::with_capacity(cpus.len());
    for (shard, &cpu) in cpus.iter().enumerate() {
        let work = prepare(ShardContext { shard, shards: cpus.len(), cpu });
        let (handle, gate) = start(shard, cpu, work)?;
        shards.push(handle);
        gates.push(gate);
    }
    for gate in gates {
        // A shard that ended meanwhile says why when it is joined.
        let _ = gate.send(());
    }
    Ok(shards)
}

type Gate = mpsc::Sender<()>;

/// Starts one executor, which waits at its gate before it does its work.
fn start<W, F, T>(shard: usize, cpu: CpuId, work: W) -> Result<(ShardHandle<T>, Gate), RuntimeError>
where
    W: FnOnce() -> F + Send + 'static,
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    let (started, is_started) = mpsc::channel();
    let (gate, go) = mpsc::channel();
    let executor = LocalExecutorBuilder::new(Placement::Fixed(cpu.0))
        .name(&format!("shard-{shard}"))
        .io_memory(IO_MEMORY)
        .ring_depth(RING_DEPTH)
        .preempt_timer(PREEMPT_AFTER)
        .spawn(move || async move {
            // Nothing runs here yet, so that blocking is harmless.
            if started.send(()).is_err() || go.recv().is_err() {
                return None;
            }
            future::or(async { Some(work().await) }, heartbeat()).await
        })
        .map_err(|error| failed(shard, error))?;
    if is_started.recv().is_ok() {
        return Ok((ShardHandle { shard, executor }, gate));
    }
    // The executor was not even made: its thread has the reason.
    match executor.join() {
        Err(error) => Err(failed(shard, error)),
        Ok(_) => Err(start_failed(shard, io::Error::other("the executor ended at once"))),
    }
}

async fn heartbeat<T>() -> Option<T> {
    loop {
        sleep(HEARTBEAT).await;
    }
}

fn failed(shard: usize, error: GlommioError<()>) -> RuntimeError {
    match error {
        GlommioError::BuilderError(BuilderErrorKind::ThreadPanic(_)) => RuntimeError::Panicked(shard),
        GlommioError::IoError(source) => start_failed(shard, source),
        other => start_failed(shard, io::Error::other(other.to_string())),
    }
}

fn start_failed(shard: usize, source: io::Error) -> RuntimeError {
    RuntimeError::Start { shard, source }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn every_shard_runs_where_it_was_put() {
        let cpus = allowed_cpus().unwrap();
        let wanted = [cpus[0], cpus[cpus.len() - 1], cpus[0]];
        let shards = run(&wanted, |context| {
            move || async move {
                crate::runtime::timer::sleep(Duration::from_millis(1)).await;
                (context, allowed_cpus().unwrap())
            }
        })
        .unwrap();
        for (number, shard) in shards.into_iter().enumerate() {
            let (context, runs_on) = shard.join().unwrap();
            assert_eq!(context, ShardContext { shard: number, shards: 3, cpu: wanted[number] });
            assert_eq!(runs_on, [wanted[number]]);
        }
    }

    #[test]
    fn a_cpu_that_does_not_exist_is_named() {
        let error = run(&[CpuId(1000)], |_| || async {}).unwrap_err();
        assert!(matches!(error, RuntimeError::NoSuchCpu { cpu: CpuId(1000), .. }));
        assert!(error.to_string().starts_with("CPU 1000 does not exist"), "{error}");
        assert!(matches!(run(&[], |_| || async {}).unwrap_err(), RuntimeError::NoCpus));
    }

    #[test]
    fn a_panic_is_reported_by_the_shard_that_panicked() {
        let cpu = allowed_cpus().unwrap()[0];
        let others = Arc::new(AtomicUsize::new(0));
        let shards = run(&[cpu, cpu], |context| {
            let others = others.clone();
            move || async move {
                assert!(context.shard != 1, "shard 1 panics for this test");
                others.fetch_add(1, Ordering::Relaxed);
            }
        })
        .unwrap();
        let results: Vec<_> = shards.into_iter().map(ShardHandle::join).collect();
        assert!(results[0].is_ok());
        assert!(matches!(results[1], Err(RuntimeError::Panicked(1))));
        assert_eq!(others.load(Ordering::Relaxed), 1);
    }
}
