//! Kafka's clients, unmodified, against a real broker: programs in the languages that their users write.
//!
//! Each program is given the address of a broker of its own, and prints `ok NAME` for each check that holds.
//! What they need is installed by `.ci/kafka-clients`.

#[path = "../native/broker.rs"]
#[allow(dead_code, reason = "the tests of the native protocol use the rest")]
mod broker;
#[path = "../native/client.rs"]
#[allow(dead_code, reason = "brokers know it")]
mod client;
mod ports;
mod program;

use program::{node, python};

#[test]
fn confluent_kafka_records() {
    python("confluent_records.py", &[]);
}

#[test]
fn confluent_kafka_replay() {
    python("confluent_replay.py", &[]);
}

#[test]
fn confluent_kafka_errors() {
    python("confluent_errors.py", &[]);
}

#[test]
fn confluent_kafka_administration() {
    python("confluent_admin.py", &[]);
}

#[test]
fn confluent_kafka_administration_of_groups() {
    python("confluent_admin_groups.py", &[]);
}

#[test]
fn confluent_kafka_groups() {
    python("confluent_groups.py", &[]);
}

#[test]
fn confluent_kafka_cooperative_groups() {
    python("confluent_cooperative.py", &[]);
}

#[test]
fn confluent_kafka_groups_of_the_new_protocol() {
    python("confluent_consumer_protocol.py", &[]);
}

#[test]
fn confluent_kafka_transactions() {
    python("confluent_transactions.py", &[]);
}

#[test]
fn confluent_kafka_while_the_broker_is_killed() {
    python("confluent_broker_kills.py", &[]);
}

#[test]
fn kafka_python() {
    python("kafka_python.py", &[]);
}

#[test]
fn aiokafka() {
    python("aiokafka_client.py", &[]);
}

#[test]
fn kafkajs() {
    node("kafkajs.js");
}

#[test]
fn kcat() {
    python("kcat.py", &[]);
}

#[test]
fn exactly_once_while_workers_are_killed() {
    python("exactly_once.py", &["workers"]);
}

#[test]
fn exactly_once_while_the_broker_is_killed() {
    python("exactly_once.py", &["broker"]);
}
