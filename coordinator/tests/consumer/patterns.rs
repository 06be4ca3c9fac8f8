//! Subscriptions by pattern.

use ringmail_coordinator::consumer::{Change, MAX_PATTERNS};
use ringmail_kafka::error::ErrorCode;

use crate::harness::{Client, Heartbeat, Host, refused};

fn by_pattern(id: &str, pattern: &str) -> Client {
    Client { pattern: Some(pattern.to_owned()), ..Client::new(id, &[]) }
}

#[test]
fn a_pattern_matches_whole_names_of_topics_that_come_later_too() {
    let mut host = Host::new();
    host.topics.create("foo", 1);
    host.topics.create("foo-1", 1);
    host.topics.create("a-foo-1", 1);
    let mut client = by_pattern("m1", "foo-.*");
    client.join(&mut host).expect("joins");
    assert_eq!(client.owned, host.topics.partitions("foo-1"));
    host.restart();

    host.topics.create("foo-2", 2);
    host.pass(1_000);
    client.ping(&mut host).expect("stays");
    assert_eq!(client.owned.len(), 3);
    host.topics.delete("foo-1");
    host.pass(1_000);
    host.settle(&mut [&mut client]);
    assert_eq!(client.owned, host.topics.partitions("foo-2"));
    host.restart();
}

#[test]
fn names_and_a_pattern_add_up() {
    let mut host = Host::new();
    host.topics.create("x", 1);
    host.topics.create("y", 1);
    let mut client = Client { names: vec!["x".into()], ..by_pattern("m1", "x|y") };
    client.join(&mut host).expect("joins");
    assert_eq!(client.owned.len(), 2);

    let request = Heartbeat { subscribed_topic_regex: Some("".into()), ..client.quiet() };
    let answer = host.send(1, request).expect("an empty pattern takes it back");
    client.hear(&answer);
    host.settle(&mut [&mut client]);
    assert_eq!(client.owned, host.topics.partitions("x"));
    let gone = Change::Pattern("x|y".into(), None).encode("g");
    assert!(host.log.contains(&gone), "nobody asks for it any more");
    host.restart();
}

#[test]
fn what_is_no_pattern_is_refused() {
    let mut host = Host::new();
    refused(by_pattern("m1", "foo(").join(&mut host), ErrorCode::InvalidRegularExpression);
    assert!(host.log.is_empty());
    let mut client = by_pattern("m1", "foo");
    client.join(&mut host).expect("joins");
    let request = Heartbeat { subscribed_topic_regex: Some("[".into()), ..client.quiet() };
    refused(host.send(1, request), ErrorCode::InvalidRegularExpression);
}

#[test]
fn a_group_has_so_many_patterns_and_no_more() {
    let mut host = Host::new();
    host.topics.create("a", 1);
    for k in 0..MAX_PATTERNS {
        by_pattern(&format!("m{k}"), &format!("a|{k}")).join(&mut host).expect("joins");
    }
    refused(by_pattern("x", "x").join(&mut host), ErrorCode::InvalidRegularExpression);
    by_pattern("y", "a|0").join(&mut host).expect("others may ask for the same");
}
