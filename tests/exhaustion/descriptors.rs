//! No more descriptors: connections are refused, those there are go on, and so does storing.

use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ringmail_sdk::blocking::Client;

use crate::broker::{Broker, Data, PATIENCE};
use crate::client::Client as RawClient;
use crate::topic::Topic;
use crate::wait_until_said;

/// Less than what is in use: no further descriptor is given.
pub const NONE_LEFT: usize = 3;

/// Records that are more than four segments.
const MORE_RECORDS: usize = 180;

fn open_descriptors(broker: &Broker) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", broker.id())).unwrap().count()
}

/// Sets the soft limit: whoever lowers the hard one may not be allowed to raise it again.
pub fn limit_descriptors(broker: &Broker, most: usize) {
    let limit = format!("--nofile={most}:");
    let set = Command::new("prlimit").args(["--pid", &broker.id().to_string(), &limit]).status();
    assert!(set.expect("prlimit can be run").success());
}

/// Waits until the record that another thread sends gets no answer.
pub fn wait_until_stuck(begun: &AtomicU64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let before = begun.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(1500));
        if begun.load(Ordering::SeqCst) == before {
            return;
        }
        assert!(Instant::now() < deadline, "writes never wait");
    }
}

/// Processor time that the broker has used.
fn used_ticks(broker: &Broker) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", broker.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn without_descriptors_connections_are_refused_and_everything_else_goes_on() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut topic = Topic::of(&broker, "t", Vec::new());
    topic.send().unwrap();
    let mut others: Vec<RawClient> = (0..6).map(|_| broker.client()).collect();
    // What is left is for files.
    let few = open_descriptors(&broker) + 20;
    limit_descriptors(&broker, few);
    let refused: Vec<_> = (0..20).map(|_| TcpStream::connect(&broker.address).unwrap()).collect();
    let before = used_ticks(&broker);
    std::thread::sleep(Duration::from_secs(1));
    assert!(used_ticks(&broker) - before < 50, "the broker spins while it cannot accept");
    wait_until_said(&broker, "cannot accept connections for now");
    assert_eq!(broker.said().matches("cannot accept connections for now").count(), 1, "{}", broker.said());

    // Segments get their files all the same.
    let before = open_descriptors(&broker);
    (0..90).for_each(|_| topic.send().unwrap_or_else(|error| panic!("{error}: {}", broker.said())));
    assert!(open_descriptors(&broker) > before, "segments were begun");
    topic.check();
    assert!(others.iter_mut().all(|client| client.logs("t").len() == 1), "connections go on");
    assert!(!broker.said().contains(" ERROR "), "{}", broker.said());

    drop(refused);
    limit_descriptors(&broker, few + 200);
    let deadline = Instant::now() + PATIENCE;
    while Client::connect(&broker.address).and_then(|client| client.ping()).is_err() {
        assert!(Instant::now() < deadline, "connections are never accepted again");
    }
    let log = broker.stop();
    assert!(!log.contains("panicked"), "{log}");
}

/// Too few descriptors for a further segment were taken for a full disk, and the client was told so.
#[test]
fn without_descriptors_for_files_writes_wait_and_go_on_later() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut topic = Topic::of(&broker, "t", Vec::new());
    topic.wait_for_answers();
    topic.send().unwrap();
    let limit = open_descriptors(&broker) + 1000;
    limit_descriptors(&broker, NONE_LEFT);
    let begun = topic.begun();
    // More than fits into the files that there are.
    let sender = std::thread::spawn(move || {
        (0..MORE_RECORDS).for_each(|_| topic.send().expect("writes wait, they are not refused"));
        topic
    });
    wait_until_said(&broker, "no further segment can be created");
    wait_until_stuck(&begun);
    assert!(!sender.is_finished(), "some writes have no file to go to");
    let said = broker.said();
    assert_eq!(said.matches("no further segment can be created").count(), 1, "{said}");
    assert!(said.contains("Too many open files") && !said.contains("the disk is full"), "{said}");
    limit_descriptors(&broker, limit);
    let topic = sender.join().unwrap();
    topic.check();
    let log = broker.stop();
    assert!(!log.contains("panicked"), "{log}");
}
