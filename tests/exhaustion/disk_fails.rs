//! A disk that takes no more writes, or nothing at all: the broker says so and confirms nothing more; reads go on where they can.

use std::path::PathBuf;
use std::time::Duration;

use ringmail_sdk::{ErrorCode, StartAt};

use crate::broker::{Broker, refused};
use crate::support::mount::Mount;
use crate::topic::Topic;
use crate::{mount, wait_until_said};

const FENCED: &str = "the log of this shard takes no more writes";

fn data(mount: &Mount) -> PathBuf {
    mount.at().join("data")
}

#[test]
fn a_disk_that_becomes_read_only_fences_the_log_and_reads_go_on() {
    let Some(mount) = mount("a disk that becomes read-only", 128) else { return };
    let mut broker = Broker::start(&data(&mount));
    let mut topic = Topic::of(&broker, "t", Vec::new());
    (0..50).for_each(|_| topic.send().unwrap());
    // The kernel does not remount what is being written to: it does so after an error, which this asks for.
    mount.make_read_only().unwrap();
    let error = topic.send_until_refused();
    assert_eq!(error.code(), Some(ErrorCode::StorageFailed), "{error}");
    assert!(error.to_string().to_lowercase().contains("read-only"), "{error}");
    topic.check();
    let error = topic.client.admin().create_topic("more", 1, &[]).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::StorageFailed), "{error}");
    topic.check();
    wait_until_said(&broker, FENCED);
    let said = broker.said();
    assert_eq!(said.matches(FENCED).count(), 1, "{said}");
    assert!(said.contains("ead-only"), "{said}");
    assert!(!said.contains("the disk is full"), "{said}");
    let known = topic.known();
    broker.signal("TERM");
    let (status, log) = broker.wait();
    assert!(status.success() && !log.contains("panicked"), "{status}: {log}");

    // A start says in one line what is wrong.
    let output = refused(&data(&mount), &[]);
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{words}");
    let last = words.lines().last().unwrap_or_default();
    assert!(last.starts_with("ringmail: cannot ") && last.contains("ead-only"), "{words}");

    mount.unmount().unwrap();
    mount.mount().unwrap();
    let broker = Broker::start(&data(&mount));
    let mut topic = Topic::of(&broker, "t", known);
    topic.check();
    topic.send().unwrap();
    broker.stop();
}

#[test]
fn a_disk_that_fails_fences_the_log_and_loses_nothing() {
    let Some(mount) = mount("a disk that fails", 128) else { return };
    let mut broker = Broker::start(&data(&mount));
    let mut topic = Topic::of(&broker, "t", Vec::new());
    (0..50).for_each(|_| topic.send().unwrap());
    mount.cut_off().unwrap();
    let error = topic.send_until_refused();
    assert_eq!(error.code(), Some(ErrorCode::StorageFailed), "{error}");
    // What is in memory is served; what is not fails with words.
    let mut consumer = topic.client.consumer();
    consumer.assign_topic("t", StartAt::Start).unwrap();
    match consumer.next_batch_within(Duration::from_secs(5)) {
        Ok(batch) => assert!(batch.is_some()),
        Err(error) => assert_eq!(error.code(), Some(ErrorCode::StorageFailed), "{error}"),
    }
    wait_until_said(&broker, FENCED);
    let said = broker.said();
    assert!(said.contains(FENCED) && said.contains("restart the broker"), "{said}");
    assert!(!said.contains("the disk is full"), "{said}");
    let known = topic.known();
    broker.signal("TERM");
    let (status, log) = broker.wait();
    assert!(status.success() && !log.contains("panicked"), "{status}: {log}");

    let output = refused(&data(&mount), &[]);
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.lines().last().unwrap_or_default().starts_with("ringmail: cannot "), "{words}");

    mount.unmount().unwrap();
    mount.mount().unwrap();
    let broker = Broker::start(&data(&mount));
    Topic::of(&broker, "t", known).check();
    broker.stop();
}
