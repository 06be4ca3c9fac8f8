//! Starting and stopping where something is missing: one line that says what, and never a wait without an end.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::broker::{Broker, Data, Starting, command, refused};
use crate::descriptors::{NONE_LEFT, limit_descriptors, wait_until_stuck};
use crate::topic::Topic;
use crate::wait_until_said;

#[test]
fn too_little_memory_to_lock_is_said_in_one_line() {
    let data = Data::new();
    let broker = command(&data.path(), &["--set", "node.shards=1"]);
    let mut limited = Command::new("prlimit");
    limited.arg("--memlock=65536:65536").arg(broker.get_program()).args(broker.get_args()).env_clear();
    let words = Starting::spawn(limited).ready().err().expect("it does not start");
    let last = words.trim_end().lines().last().unwrap_or_default();
    assert!(last.contains("ringmail: locked memory is limited to 65536 bytes"), "{words}");
    assert!(last.contains("ulimit -l") && last.contains("LimitMEMLOCK="), "{words}");
}

/// The segment's format is too new: the log is not recovered, and waiting for that would be in vain.
#[test]
fn a_log_that_cannot_be_recovered_is_said_in_one_line() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut topic = Topic::of(&broker, "t", Vec::new());
    topic.send().unwrap();
    broker.stop();
    let shard = data.path().join("shard-000");
    for entry in std::fs::read_dir(shard).unwrap() {
        make_newer(&entry.unwrap().path());
    }
    let output = refused(&data.path(), &["--set", "node.shards=1"]);
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{words}");
    let last = words.lines().last().unwrap_or_default();
    assert!(last.starts_with("ringmail: ") && last.contains("format version 9"), "{words}");
}

/// Gives a segment's header block another version, with the checksum that belongs to it.
fn make_newer(segment: &std::path::Path) {
    let mut bytes = std::fs::read(segment).unwrap();
    if bytes.starts_with(b"RMSEGMNT") {
        bytes[12] = 9;
        let crc = ringmail_wire::crc::crc32c(&bytes[12..64]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        std::fs::write(segment, bytes).unwrap();
    }
}

/// A second signal does not wait for what the first one waits for, here a write that has no file to go to.
#[test]
fn a_second_signal_ends_the_broker_at_once() {
    let data = Data::new();
    let mut broker = Broker::start(&data.path());
    let mut topic = Topic::of(&broker, "t", Vec::new());
    topic.send().unwrap();
    limit_descriptors(&broker, NONE_LEFT);
    let begun = topic.begun();
    let sender = std::thread::spawn(move || {
        topic.send_until_refused();
        topic
    });
    wait_until_said(&broker, "no further segment can be created");
    wait_until_stuck(&begun);
    broker.signal("TERM");
    wait_until_said(&broker, "stopping");
    std::thread::sleep(Duration::from_millis(500));
    let second = Instant::now();
    broker.signal("TERM");
    let (status, log) = broker.wait();
    // A shell calls it 143.
    assert_eq!(status.signal(), Some(15), "{status}: {log}");
    assert!(second.elapsed() < Duration::from_secs(5), "the first signal allows ten: {log}");
    let known = sender.join().unwrap().known();
    let broker = Broker::start(&data.path());
    Topic::of(&broker, "t", known).check();
    broker.stop();
}
