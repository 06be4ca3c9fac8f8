//! The bodies of the fuzz targets: each takes any bytes, and panics only if the code under test is wrong, or takes more
//! memory than the target allows.
//!
//! `fuzz_targets/` hands them to libFuzzer; the test `smoke` runs them over the committed corpus and over seeded
//! mutations of it, without coverage, on any toolchain.

#![deny(unsafe_code)]

mod catalog;
mod client;
mod config;
mod coordinator_records;
mod directory;
mod disk;
mod footer;
mod frame;
mod frames;
mod kafka_batch;
mod kafka_frame;
mod kafka_messages;
#[allow(unsafe_code, reason = "an allocator is unsafe by its interface")]
pub mod memory;
mod native_messages;
mod offline;
mod record_batch;
mod segment;
mod session;
mod superblock;
mod transactions;

pub use native_messages::{MESSAGES, Reading};
pub use segment::written_segment;

/// A target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of the folder of its corpus.
    pub name: &'static str,
    body: fn(&[u8]),
    memory: Memory,
}

/// The memory that a target may take: so many times its input, and so many bytes besides.
#[derive(Debug, Clone, Copy)]
struct Memory {
    times: usize,
    bytes: usize,
}

/// All targets.
///
/// The limits of memory hold for the target as a whole: what it copies of its input to put checksums right, and what it keeps
/// to compare, counts too.
pub const TARGETS: &[Target] = &[
    // Bytes: the batches that records are put into have room for 1 MiB.
    Target { name: "catalog", body: catalog::catalog, memory: Memory { times: 64, bytes: 8 << 20 } },
    // Bytes: what a read of a socket is given room for, and as much again when a frame is cut in two by it.
    Target { name: "client", body: client::client, memory: Memory { times: 16, bytes: 4 << 20 } },
    Target { name: "config", body: config::config, memory: Memory { times: 64, bytes: 256 << 10 } },
    // A record of a few bytes makes a group; the log is loaded twice.
    Target {
        name: "coordinator_records",
        body: coordinator_records::coordinator_records,
        memory: Memory { times: 256, bytes: 1 << 20 },
    },
    // Bytes: the files, their pattern, and what a shard takes that has to do with none of them.
    Target { name: "directory", body: directory::directory, memory: Memory { times: 4, bytes: 4 << 20 } },
    // A run of five bytes takes 24, twice while their list grows.
    // What is said of a log takes 7 bytes, and in memory up to 184 with what lists keep in reserve; and growing a list half as much again.
    Target { name: "footer", body: footer::footer, memory: Memory { times: 64, bytes: 16 << 10 } },
    // An item of a list takes up to 12 times the memory that it takes in a body; growing a list, half as much again.
    Target { name: "frame", body: frame::frame, memory: Memory { times: 24, bytes: 16 << 10 } },
    Target {
        name: "kafka_batch",
        body: kafka_batch::kafka_batch,
        memory: Memory { times: 64, bytes: 20 << 20 },
    },
    Target {
        name: "kafka_frame",
        body: kafka_frame::kafka_frame,
        memory: Memory { times: 24, bytes: 16 << 10 },
    },
    Target {
        name: "kafka_messages",
        body: kafka_messages::kafka_messages,
        memory: Memory { times: 64, bytes: 1 << 20 },
    },
    Target {
        name: "native_messages",
        body: native_messages::native_messages,
        memory: Memory { times: 24, bytes: 16 << 10 },
    },
    Target { name: "offline", body: offline::offline, memory: Memory { times: 4, bytes: 4 << 20 } },
    Target {
        name: "record_batch",
        body: record_batch::record_batch,
        memory: Memory { times: 64, bytes: 4 << 20 },
    },
    Target { name: "segment", body: segment::segment, memory: Memory { times: 256, bytes: 2 << 20 } },
    // Bytes: two shards with their disks. What a request may take is checked request by request.
    Target { name: "session", body: session::session, memory: Memory { times: 64, bytes: 8 << 20 } },
    Target {
        name: "superblock",
        body: superblock::superblock,
        memory: Memory { times: 16, bytes: 16 << 10 },
    },
    // A partition of its own topic takes 7 bytes in a record, and two nodes of trees in memory; answers repeat requests.
    Target {
        name: "transactions",
        body: transactions::transactions,
        memory: Memory { times: 128, bytes: 64 << 10 },
    },
];

/// The target of this name.
///
/// # Panics
/// If there is none.
pub fn target(name: &str) -> &'static Target {
    let found = TARGETS.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("there is no fuzz target {name}"))
}

impl Target {
    /// Runs an input.
    ///
    /// # Panics
    /// If the code under test is wrong, or takes too much memory.
    pub fn run(&self, input: &[u8]) {
        let ((), usage) = memory::measure(|| (self.body)(input));
        let limit = self.memory.times * input.len() + self.memory.bytes;
        let (name, bytes) = (self.name, input.len());
        assert!(usage.peak <= limit, "{name}: {usage:?} for {bytes} bytes of input; the limit is {limit}");
    }
}
