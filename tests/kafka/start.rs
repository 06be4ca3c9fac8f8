//! Where Kafka's clients are served, and where not.

use std::net::TcpListener;

use crate::broker::{Broker, Data, refused};

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let data = Data::new();
    let output = refused(&data.path(), &["--kafka", &address, "--set", "node.shards=1"]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(words.contains(&format!("{address} is in use")), "{words}");
}

#[test]
fn it_can_be_off() {
    let data = Data::new();
    let broker = Broker::start_with(&data.path(), &["--kafka", "off", "--set", "node.shards=1"]);
    assert_eq!((broker.kafka.as_str(), broker.kafka_ports.len()), ("off", 0));
}
