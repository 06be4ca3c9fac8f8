//! The scenarios: what each does, what it should reach, and the code that runs it.

mod catch_up;
mod closed;
mod context;
mod each;
mod hostile;
mod idle;
mod paced;
mod produce;
mod requests;
mod restart;
mod tail;

use crate::error::{Error, Result};
use crate::report::{Goal, Outcome};

pub use context::Context;

/// One scenario.
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// What its figures should be.
    pub goals: &'static [Goal],
    /// Runs it.
    pub run: fn(&Context) -> Result<Outcome>,
}

/// Resident memory of the broker under any load, in MiB: 300 MB.
const MEMORY: Goal = Goal::less("broker_rss_peak_mib", 286.0, 150.0);

/// All scenarios, in the order in which they run.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "produce-100b",
        about: "Records of 100 B in batches of 64 KiB, 4 MiB in flight, synced, one partition, recycled segments",
        goals: &[Goal::more("ratio", 0.75, 0.9), Goal::less("broker_cpu_us_per_record", 0.1, 0.05), MEMORY],
        run: produce::produce_100b,
    },
    Scenario {
        name: "produce-each-100b",
        about: "The same records one by one through the SDK's Producer, which gathers them",
        goals: &[Goal::more("records_per_s", 4e6, 8e6), MEMORY],
        run: each::produce_each_100b,
    },
    Scenario {
        name: "produce-1k",
        about: "produce-100b with records of 1 KiB",
        goals: &[Goal::more("ratio", 0.7, 0.9), MEMORY],
        run: produce::produce_1k,
    },
    Scenario {
        name: "produce-1000-partitions",
        about: "produce-100b to 1,000 partitions in turn, against one partition on the same broker",
        goals: &[Goal::more("ratio", 0.7, 0.95), MEMORY],
        run: produce::produce_1000_partitions,
    },
    Scenario {
        name: "produce-10000-partitions",
        about: "The same to 10,000 partitions",
        goals: &[Goal::more("ratio", 0.7, 0.95), MEMORY],
        run: produce::produce_10000_partitions,
    },
    Scenario {
        name: "produce-unbatched",
        about: "One record of 100 B a request, 256 requests in flight, synced",
        goals: &[Goal::more("ratio", 0.7, 0.9), MEMORY],
        run: requests::produce_unbatched,
    },
    Scenario {
        name: "produce-one-in-flight",
        about: "One record of 100 B a request, the next one once it is acknowledged, synced",
        goals: &[Goal::more("ratio", 0.75, 0.9), MEMORY],
        run: requests::produce_one_in_flight,
    },
    Scenario {
        name: "produce-consume",
        about: "produce-100b with a consumer at the tail, every byte checked; the latency is end to end at half load",
        goals: &[Goal::more("ratio", 0.95, 0.99), Goal::less("p99_us", 20_000.0, 2_000.0), MEMORY],
        run: tail::produce_consume,
    },
    Scenario {
        name: "paced-1k",
        about: "100,000 records of 1 KiB a second in an open loop, synced, every record checked; the latency is end to end",
        goals: &[Goal::less("p99_us", 10_000.0, 2_000.0), Goal::more("ratio", 0.05, 0.25), MEMORY],
        run: paced::paced_1k,
    },
    Scenario {
        name: "catch-up",
        about: "Reading what is on disk alone, every byte checked: one partition, and one of 100 that were written in turn",
        goals: &[Goal::more("ratio", 0.7, 0.9), Goal::more("interleaved_ratio", 0.3, 0.6), MEMORY],
        run: catch_up::catch_up,
    },
    Scenario {
        name: "first-fill",
        about: "produce-100b into an empty data directory, against recycled segments",
        goals: &[Goal::more("ratio", 0.7, 0.95), MEMORY],
        run: produce::first_fill,
    },
    Scenario {
        name: "idle",
        about: "Nothing to do, a producer and a consumer connected; the ratio is the share of one core",
        goals: &[Goal::less("ratio", 0.005, 0.001), Goal::less("broker_rss_mib", 143.0, 100.0)],
        run: idle::idle,
    },
    Scenario {
        name: "hostile-peers",
        about: "produce-one-in-flight beside 9,960 peers: silent ones, and such that send a byte a second; the ratio is of p99, to alone",
        goals: &[Goal::less("ratio", 2.0, 1.2), MEMORY],
        run: hostile::hostile_peers,
    },
    Scenario {
        name: "restart",
        about: "Killed under load with much stored: the time until it answers again, all that was acknowledged there",
        goals: &[Goal::less("restart_s", 2.0, 0.5)],
        run: restart::restart,
    },
];

/// The scenario of that name.
///
/// # Errors
///
/// When there is none.
pub fn by_name(name: &str) -> Result<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name).ok_or_else(|| {
        let known: Vec<_> = ALL.iter().map(|scenario| scenario.name).collect();
        Error::Usage(format!("there is no scenario {name:?}; take one of {}", known.join(", ")))
    })
}
