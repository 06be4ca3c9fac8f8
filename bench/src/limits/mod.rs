//! What this machine can do without a broker: the figures that every result is a ratio to.
//!
//! Machines differ by a factor of ten, and a virtual one by a factor of two from one minute to the next. A probe therefore
//! runs right before and right after a scenario, on the same cores and the same file system.

mod disk;
mod echo;
mod pages;
mod ring;

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::cpu::Cores;
use crate::error::{Error, Result};
use crate::load::Latencies;

/// One limit of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "&'static str")]
pub enum Limit {
    /// Bytes/s of O_DIRECT writes of 1 MiB, four in flight, each followed by its own fdatasync, over written extents.
    DiskWrite,
    /// The same without fdatasync.
    DiskWriteUnsynced,
    /// Bytes/s of O_DIRECT reads of 1 MiB, four in flight.
    DiskRead,
    /// 4 KiB write + fdatasync per second over written extents, one at a time.
    SyncDepth1,
    /// The same with four pairs in flight.
    SyncDepth4,
    /// Bytes/s of 64 KiB frames that a bare server reads and answers with 16 bytes each, 4 MiB in flight.
    EchoBandwidth,
    /// Requests/s of 128 bytes that a bare server answers with as many, 256 in flight, both sides writing whatever has
    /// gathered at once.
    EchoRequests,
    /// The same with a write for every request and for every answer, as servers do that gather nothing.
    EchoRequestsEach,
    /// The same, one in flight: the round trip.
    EchoRoundTrip,
}

/// What a probe measures with.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Directory on the file system under test; the probes' file is kept there, so that it is filled only once.
    pub dir: PathBuf,
    /// The cores of the two sides; disk probes run on the broker's.
    pub cores: Cores,
    /// How long one probe measures.
    pub length: Duration,
    /// Size of the probes' file, in bytes, whole MiB.
    pub span: u64,
}

impl Probe {
    /// Size of the probes' file: far more than a disk's own cache holds, yet written in a second.
    pub const SPAN: u64 = 1 << 30;
}

/// What a probe found.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// Which limit.
    pub limit: Limit,
    /// Bytes or operations per second, see [`Limit::unit`].
    pub per_second: f64,
    /// Median latency of one operation, in microseconds.
    pub p50_us: f64,
    /// 99th percentile of the same.
    pub p99_us: f64,
}

/// What a probe counted, before it is a figure.
struct Tally {
    per_second: f64,
    latencies: Latencies,
}

impl Limit {
    /// All limits, in the order of the report.
    pub const ALL: [Self; 9] = [
        Self::DiskWrite,
        Self::DiskWriteUnsynced,
        Self::DiskRead,
        Self::SyncDepth1,
        Self::SyncDepth4,
        Self::EchoBandwidth,
        Self::EchoRequests,
        Self::EchoRequestsEach,
        Self::EchoRoundTrip,
    ];

    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::DiskWrite => "disk_write",
            Self::DiskWriteUnsynced => "disk_write_unsynced",
            Self::DiskRead => "disk_read",
            Self::SyncDepth1 => "sync_depth_1",
            Self::SyncDepth4 => "sync_depth_4",
            Self::EchoBandwidth => "echo_bandwidth",
            Self::EchoRequests => "echo_requests",
            Self::EchoRequestsEach => "echo_requests_each",
            Self::EchoRoundTrip => "echo_round_trip",
        }
    }

    /// What `per_second` counts.
    pub fn unit(self) -> &'static str {
        match self {
            Self::DiskWrite | Self::DiskWriteUnsynced | Self::DiskRead | Self::EchoBandwidth => "bytes/s",
            Self::SyncDepth1 | Self::SyncDepth4 => "syncs/s",
            Self::EchoRequests | Self::EchoRequestsEach | Self::EchoRoundTrip => "requests/s",
        }
    }

    /// The limit of that name.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn by_name(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|limit| limit.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::Usage(format!("there is no limit {name:?}; take one of {known}"))
        })
    }

    /// Measures it.
    ///
    /// # Errors
    ///
    /// When the disk or the loopback interface refuses: full, no O_DIRECT, no io_uring.
    pub fn measure(self, probe: &Probe) -> Result<Figure> {
        let tally = match self {
            Self::DiskWrite => disk::stream_synced(probe),
            Self::DiskWriteUnsynced => disk::stream_unsynced(probe),
            Self::DiskRead => disk::read(probe),
            Self::SyncDepth1 => disk::sync(probe, 1),
            Self::SyncDepth4 => disk::sync(probe, 4),
            Self::EchoBandwidth => echo::bandwidth(probe),
            Self::EchoRequests => echo::requests(probe),
            Self::EchoRequestsEach => echo::requests_each(probe),
            Self::EchoRoundTrip => echo::round_trip(probe),
        }?;
        Ok(Figure {
            limit: self,
            per_second: tally.per_second,
            p50_us: tally.latencies.p50_us().unwrap_or(0.0),
            p99_us: tally.latencies.p99_us().unwrap_or(0.0),
        })
    }
}

impl From<Limit> for &'static str {
    fn from(limit: Limit) -> Self {
        limit.name()
    }
}

/// Runs a probe on a thread of its own, pinned to `core`, so that the caller's own pinning stays as it is.
fn on_core<T: Send>(core: usize, body: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let pinned = || {
        crate::cpu::pin(core)?;
        body()
    };
    std::thread::scope(|scope| {
        scope.spawn(pinned).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again_and_match_the_json() {
        for limit in Limit::ALL {
            assert_eq!(Limit::by_name(limit.name()).unwrap(), limit);
            assert_eq!(serde_json::to_string(&limit).unwrap(), format!("{:?}", limit.name()));
        }
        let error = Limit::by_name("nonsense").unwrap_err().to_string();
        assert!(error.contains("disk_write"), "{error}");
    }

    #[test]
    fn every_probe_measures_something() {
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let probe = Probe {
            dir: dir.path().to_path_buf(),
            cores: Cores { broker: 0, client: 0 },
            length: Duration::from_millis(60),
            span: 16 << 20,
        };
        for limit in Limit::ALL {
            let figure = limit.measure(&probe).unwrap();
            assert!(figure.per_second > 0.0, "{figure:?}");
            assert!(figure.p50_us > 0.0 && figure.p99_us >= figure.p50_us, "{figure:?}");
        }
    }
}
