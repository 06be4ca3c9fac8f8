//! A broker that runs out of something: room on its disk, the disk itself, descriptors, memory. What clients and the operator are
//! told, what goes on, and what resumes by itself.

#[path = "../native/broker.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod broker;
#[path = "../native/client.rs"]
#[allow(dead_code, reason = "brokers know it")]
mod client;
mod descriptors;
mod disk_fails;
mod disk_full;
mod start;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod support;
mod topic;

use std::time::{Duration, Instant};

use broker::{Broker, PATIENCE};
use support::mount::Mount;

/// A file system of so many MiB; or word that the test is skipped, where none may be mounted.
fn mount(test: &str, mib: u64) -> Option<Mount> {
    match Mount::new(mib << 20) {
        Ok(mount) => Some(mount),
        Err(words) => {
            use std::io::Write;
            // Past the capture of the test's output: it is to be seen that nothing was tested.
            let _ = writeln!(std::io::stderr(), "{test}: skipped, file systems cannot be mounted: {words}");
            None
        }
    }
}

#[track_caller]
fn wait_until_said(broker: &Broker, words: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !broker.said().contains(words) {
        assert!(Instant::now() < deadline, "never said: {words}: {}", broker.said());
        std::thread::sleep(Duration::from_millis(20));
    }
}
