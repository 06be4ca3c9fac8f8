//! A broker with healthy clients at work, and what it holds before, during and after a visit of peers that misbehave.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ringmail_wire::protocol::LogId;

use crate::broker::{Broker, Data, PATIENCE};
use crate::healthy::Healthy;
use crate::host::{descriptors, raise_descriptors, resident_kib};

/// Only one test at a time has its ten thousand connections.
static TURN: Mutex<()> = Mutex::new(());

/// How long healthy clients work before memory is looked at: caches are full then.
const WARM_UP: Duration = Duration::from_secs(1);

/// What the two shards may keep for the next visit, of what one took: the allocator 16 MiB at the end of each shard's memory,
/// and the shard 16 receive buffers of 256 KiB.
const KEPT_KIB: u64 = 2 * ((16 << 10) + 16 * 256);

/// What else may stay: free blocks between used ones, tables that keep the size that they once had.
const SLACK_KIB: u64 = 24 << 10;

/// What an idle connection may cost: two tasks with their futures and the runtime's bookkeeping, the entry in the table
/// of connections, a pending poll.
pub const CONNECTION_KIB: u64 = 10;

/// A broker with two shards, and healthy clients that are at work until the end.
pub struct Stage {
    pub broker: Broker,
    pub logs: Vec<LogId>,
    healthy: Option<Healthy>,
    idle_descriptors: usize,
    idle_kib: u64,
    peak_kib: u64,
    kept_kib: u64,
    _data: Data,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    /// Starts a broker with these settings beside small caches, and the healthy clients.
    pub fn set(settings: &[&str]) -> Self {
        // A test that failed has left nothing behind that matters to the next.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        raise_descriptors();
        let data = Data::new();
        let mut arguments = vec!["--set", "node.shards=2", "--set", "log.tail_cache=4 MiB"];
        arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
        let broker = Broker::start_with(&data.path(), &arguments);
        let logs = broker.client().create("healthy", 4);
        let healthy = Healthy::start(&broker, &logs);
        std::thread::sleep(WARM_UP);
        let (idle_descriptors, idle_kib) = (descriptors(broker.id()), resident_kib(broker.id()));
        Self {
            broker,
            logs,
            healthy: Some(healthy),
            idle_descriptors,
            idle_kib,
            peak_kib: 0,
            kept_kib: KEPT_KIB + SLACK_KIB,
            _data: data,
            _turn: turn,
        }
    }

    /// The addresses of both shards.
    pub fn addresses(&self) -> Vec<String> {
        self.broker.shard_ports.iter().map(|port| format!("127.0.0.1:{port}")).collect()
    }

    /// The broker keeps so much more on purpose, for the next time.
    pub fn keeps(&mut self, kib: u64) {
        self.kept_kib += kib;
    }

    /// Waits until the broker has so many more connections than in the beginning.
    #[track_caller]
    pub fn wait_for_connections(&self, count: usize) {
        self.wait("connections", || descriptors(self.broker.id()) >= self.idle_descriptors + count);
    }

    /// Waits until the broker has no more descriptors than in the beginning.
    #[track_caller]
    pub fn wait_for_places(&self) {
        self.wait("descriptors to come back", || descriptors(self.broker.id()) <= self.idle_descriptors);
    }

    /// Waits until something is so.
    #[track_caller]
    fn wait(&self, what: &str, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < deadline, "waiting in vain for {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Lets time pass, and notes how much memory the broker has at most.
    pub fn watch(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        loop {
            self.peak_kib = self.peak_kib.max(resident_kib(self.broker.id()));
            if Instant::now() >= deadline {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Holds what the visit took to `cap_kib`, and what is left of it to nothing; says how it went.
    #[track_caller]
    pub fn clear(mut self, what: &str, cap_kib: u64) {
        let id = self.broker.id();
        self.wait_for_places();
        let taken = self.peak_kib.saturating_sub(self.idle_kib);
        let deadline = Instant::now() + PATIENCE;
        let left = loop {
            let left = resident_kib(id).saturating_sub(self.idle_kib);
            if left <= self.kept_kib || Instant::now() >= deadline {
                break left;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let served = self.healthy.take().expect("the clients are at work until here").end();
        println!(
            "{what}: {served}; memory {} KiB, then {taken} KiB more (cap {cap_kib}), {left} KiB left",
            self.idle_kib
        );
        assert!(taken <= cap_kib, "{what}: the broker took {taken} KiB, more than {cap_kib}");
        assert!(left <= self.kept_kib, "{what}: {left} KiB of memory are not given back");
        self.broker.client().call(ringmail_wire::protocol::Api::Ping, &()).ok::<()>();
        let words = self.broker.stop();
        assert!(!words.contains("panicked") && !words.contains("ERROR"), "{words}");
    }
}
