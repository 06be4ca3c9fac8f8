//! Clients that behave: they produce, read back what they produced, and time every answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use ringmail_wire::protocol::LogId;

use crate::broker::Broker;
use crate::client::Client;

/// Clients at work.
const CLIENTS: usize = 4;

/// Every so many-th record is large, so that its request takes several reads.
const LARGE_EVERY: u64 = 8;
const SMALL_BYTES: usize = 1 << 10;
const LARGE_BYTES: usize = 300 << 10;

/// Pause after each round, so that the clients do not take the machine to themselves.
const PAUSE: Duration = Duration::from_millis(4);

/// A latency past this is a defect on any machine, however busy: nobody is to wait until peers that misbehave have gone.
const LONGEST: Duration = Duration::from_secs(15);

/// Healthy clients, at work until they are told to stop.
pub struct Healthy {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Duration>>>,
}

impl Healthy {
    /// Starts them on the partitions of a topic, half at each shard's port.
    pub fn start(broker: &Broker, logs: &[LogId]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..CLIENTS)
            .map(|number| {
                let client = broker.client_at(number % broker.shard_ports.len());
                let (stop, log) = (Arc::clone(&stop), logs[number % logs.len()]);
                spawn(move || work(client, log, &stop))
            })
            .collect();
        Self { stop, clients }
    }

    /// Ends them; panics if one was not served. Gives what is to be said of them.
    pub fn end(self) -> Served {
        self.stop.store(true, Ordering::SeqCst);
        let latencies =
            self.clients.into_iter().flat_map(|client| client.join().expect("a healthy client is served"));
        let mut latencies: Vec<Duration> = latencies.collect();
        latencies.sort_unstable();
        let longest = *latencies.last().expect("healthy clients ask for something");
        assert!(longest < LONGEST, "a healthy client waited {longest:?} for an answer");
        Served { answers: latencies.len(), p99: latencies[(latencies.len() - 1) * 99 / 100], longest }
    }
}

/// How healthy clients were served.
pub struct Served {
    answers: usize,
    p99: Duration,
    longest: Duration,
}

impl std::fmt::Display for Served {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { answers, p99, longest } = self;
        write!(
            formatter,
            "{answers} requests of healthy clients answered, p99 {p99:.1?}, longest {longest:.1?}"
        )
    }
}

fn work(mut client: Client, log: LogId, stop: &AtomicBool) -> Vec<Duration> {
    let mut latencies = Vec::new();
    let (small, large) = ("s".repeat(SMALL_BYTES), "l".repeat(LARGE_BYTES));
    for round in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let value = if round % LARGE_EVERY == 0 { &large } else { &small };
        let asked = Instant::now();
        let offset = client.produce(log, &[value]);
        latencies.push(asked.elapsed());
        let asked = Instant::now();
        let values = client.fetch(log, offset);
        latencies.push(asked.elapsed());
        assert_eq!(values.first(), Some(value), "what was acknowledged is read back");
        std::thread::sleep(PAUSE);
    }
    latencies
}
