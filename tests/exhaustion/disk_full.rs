//! No room on the disk: in the broker's own fault, because of other files, and before it starts.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use ringmail_sdk::ErrorCode;

use crate::broker::Broker;
use crate::support::mount::Mount;
use crate::topic::Topic;
use crate::{mount, wait_until_said};

const FULL: &str = "the disk is full: writes are refused, reads go on";
const ROOM_AGAIN: &str = "the disk has room again";

fn data(mount: &Mount) -> PathBuf {
    mount.at().join("data")
}

/// Takes all room that is left; gives the file that has it.
fn take_all_room(at: &Path) -> PathBuf {
    let path = at.join("filler");
    let mut file = File::create(&path).unwrap();
    for size in [1 << 20, 4096, 512, 1] {
        let piece = vec![1; size];
        while file.write_all(&piece).and_then(|()| file.sync_data()).is_ok() {}
    }
    path
}

#[track_caller]
fn assert_full(error: &ringmail_sdk::Error) {
    assert_eq!(error.code(), Some(ErrorCode::StorageFull), "{error}");
    assert!(error.to_string().contains("no space is left"), "{error}");
}

#[test]
fn a_disk_that_the_broker_fills_refuses_writes_until_topics_are_deleted() {
    let Some(mount) = mount("a disk that the broker fills", 128) else { return };
    let broker = Broker::start(&data(&mount));
    let mut large = Topic::of(&broker, "large", Vec::new());
    let mut small = Topic::of(&broker, "small", Vec::new());
    small.send().unwrap();
    assert_full(&large.send_until_refused());
    assert_full(&small.send_until_refused());
    large.check();
    small.check();
    wait_until_said(&broker, FULL);
    assert_eq!(broker.said().matches(FULL).count(), 1, "said once: {}", broker.said());
    large.client.admin().delete_topic("large").unwrap();
    small.send_until_taken();
    small.check();
    wait_until_said(&broker, ROOM_AGAIN);
    broker.stop();
}

#[test]
fn a_disk_that_others_fill_refuses_writes_until_there_is_room() {
    let Some(mount) = mount("a disk that others fill", 160) else { return };
    let broker = Broker::start(&data(&mount));
    let mut topic = Topic::of(&broker, "t", Vec::new());
    for _ in 0..2 {
        topic.send_until_taken();
        let filler = take_all_room(mount.at());
        assert_full(&topic.send_until_refused());
        topic.check();
        wait_until_said(&broker, FULL);
        std::fs::remove_file(filler).unwrap();
        topic.send_until_taken();
        topic.check();
        topic.delete_records();
    }
    wait_until_said(&broker, ROOM_AGAIN);
    topic.send_until_taken();
    let known = topic.known();
    let log = broker.kill();
    assert!(!log.contains("panicked"), "{log}");
    let broker = Broker::start(&data(&mount));
    let mut topic = Topic::of(&broker, "t", known);
    topic.send_until_taken();
    topic.check();
    broker.stop();
}

/// An operator must be able to delete topics on a full disk, after a restart, too.
#[test]
fn a_broker_starts_on_a_full_disk_and_topics_can_be_deleted() {
    let Some(mount) = mount("a start on a full disk", 128) else { return };
    let mut known = Vec::new();
    for round in 0..3 {
        let broker = Broker::start(&data(&mount));
        let mut topic = Topic::of(&broker, "t", known);
        assert_full(&topic.send_until_refused());
        let _filler = take_all_room(mount.at());
        assert_full(&topic.send_until_refused());
        topic.check();
        known = topic.known();
        // A broker that was killed has more to do when it starts.
        if round == 1 {
            drop(broker.stop_failing());
        } else {
            broker.kill();
        }
    }
    let broker = Broker::start(&data(&mount));
    let mut topic = Topic::of(&broker, "t", known);
    topic.check();
    topic.send_until_refused();
    topic.check();
    topic.client.admin().create_topic("other", 1, &[]).unwrap();
    topic.client.admin().delete_topic("t").unwrap();
    let mut other = Topic::of(&broker, "another", Vec::new());
    other.send_until_taken();
    other.check();
    let log = broker.stop();
    assert!(!log.contains("panicked"), "{log}");
}
