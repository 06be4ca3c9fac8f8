//! Subscriptions: credit, catching up, following, ending.

use std::time::Duration;

use ringmail_wire::protocol::*;

use crate::broker::{Broker, Data};
use crate::client::{Client, Frame, batch, values};

fn subscribe(client: &mut Client, subscription: u32, log: LogId, offset: u64, credit: u32) -> Frame {
    client.call(Api::Subscribe, &SubscribeRequest { subscription, log, offset, credit })
}

/// Receives pushes of one subscription until there are `count` values; gives them and the bytes of their batches.
#[track_caller]
fn pushed(client: &mut Client, subscription: u32, count: usize) -> (Vec<String>, usize) {
    let (mut found, mut bytes) = (Vec::new(), 0);
    while found.len() < count {
        let frame = client.receive();
        assert_eq!((frame.header.api, frame.header.correlation), (Api::Push as u8, subscription));
        assert_eq!(frame.header.code, 0, "{}", frame.words());
        let batches = &frame.body[PushHeader::BYTES..];
        bytes += batches.len();
        found.extend(values(batches));
    }
    assert_eq!(found.len(), count);
    (found, bytes)
}

#[test]
fn a_subscription_catches_up_and_then_follows() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let (mut consumer, mut producer) = (broker.client(), broker.client());
    let log = consumer.create("t", 1)[0];
    for value in ["a", "b", "c"] {
        producer.produce(log, &[value]);
    }
    let started = subscribe(&mut consumer, 9, log, 1, 1 << 20).ok::<SubscribeResponse>();
    assert_eq!(started, SubscribeResponse { log_start: 0, high_watermark: 3 });
    assert_eq!(pushed(&mut consumer, 9, 2).0, ["b", "c"]);
    for value in ["d", "e"] {
        producer.produce(log, &[value]);
        assert_eq!(pushed(&mut consumer, 9, 1).0, [value]);
    }
    let _: () = consumer.call(Api::Unsubscribe, &UnsubscribeRequest { subscription: 9 }).ok();
    producer.produce(log, &["f"]);
    assert!(consumer.hears_nothing(Duration::from_millis(200)));
}

#[test]
fn pushes_end_with_the_credit_and_go_on_with_more() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = broker.client();
    let log = client.create("t", 1)[0];
    let one = batch(&["0"]).len() as u32;
    for number in 0..8 {
        client.produce(log, &[&number.to_string()]);
    }
    // Credit for two batches and a byte: that byte lets a third through, and the next credit pays for it first.
    let _ = subscribe(&mut client, 1, log, 0, 2 * one + 1).ok::<SubscribeResponse>();
    assert_eq!(pushed(&mut client, 1, 3).0, ["0", "1", "2"]);
    assert!(client.hears_nothing(Duration::from_millis(200)));
    client.send(Api::Credit, &CreditRequest { subscription: 1, bytes: one - 1 });
    assert!(client.hears_nothing(Duration::from_millis(200)));
    client.send(Api::Credit, &CreditRequest { subscription: 1, bytes: 2 * one });
    assert_eq!(pushed(&mut client, 1, 2).0, ["3", "4"]);
    assert!(client.hears_nothing(Duration::from_millis(200)));
}

#[test]
fn many_subscriptions_share_a_connection_over_all_shards() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let (mut consumer, mut producer) = (broker.client_at(0), broker.client_at(1));
    let logs = consumer.create("t", 40);
    for (subscription, log) in (0..).zip(&logs) {
        let _ = subscribe(&mut consumer, subscription, *log, 0, 1 << 20).ok::<SubscribeResponse>();
    }
    for round in ["a", "b", "c"] {
        for log in &logs {
            producer.produce(*log, &[round]);
        }
        let mut heard = vec![false; logs.len()];
        for _ in &logs {
            let frame = consumer.receive();
            assert_eq!(values(&frame.body[PushHeader::BYTES..]), [round]);
            assert!(!std::mem::replace(&mut heard[frame.header.correlation as usize], true));
        }
    }
}

#[test]
fn a_slow_consumer_slows_only_itself() {
    const COUNT: usize = 600;
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let (mut slow, mut fast) = (broker.client(), broker.client());
    let log = fast.create("t", 1)[0];
    let large = "x".repeat(50_000);
    let _ = subscribe(&mut slow, 1, log, 0, u32::MAX).ok::<SubscribeResponse>();
    for _ in 0..COUNT {
        fast.produce(log, &[&large]);
    }
    // More than the sockets hold is still at the broker, and comes once it is asked for.
    let (found, bytes) = pushed(&mut slow, 1, COUNT);
    assert!(found.iter().all(|value| *value == large));
    assert!(bytes > COUNT * 50_000);
}

#[test]
fn what_a_subscription_cannot_be_is_told() {
    let data = Data::new();
    let broker =
        Broker::start_with(&data.path(), &["--set", "limits.subscriptions_per_connection=2", "--cores", "0"]);
    let mut client = broker.client();
    let log = client.create("t", 1)[0];
    client.produce(log, &["a"]);
    let mut code = |id, log, offset| subscribe(&mut client, id, log, offset, 0).header.code;
    assert_eq!(code(1, log, 2), ErrorCode::OffsetOutOfRange as u16);
    assert_eq!(code(1, 999, 0), ErrorCode::UnknownPartition as u16);
    assert_eq!(code(1, log, 1), 0);
    assert_eq!(code(1, log, 1), ErrorCode::InvalidSubscription as u16);
    assert_eq!(code(2, log, 1), 0);
    assert_eq!(code(3, log, 1), ErrorCode::InvalidSubscription as u16);
    let frame = client.call(Api::Unsubscribe, &UnsubscribeRequest { subscription: 7 });
    assert_eq!(frame.error(), ErrorCode::InvalidSubscription);
    client.send(Api::Credit, &CreditRequest { subscription: 7, bytes: 1 });
    client.call(Api::Ping, &()).ok::<()>();
}

#[test]
fn deleting_the_topic_ends_a_subscription_with_an_error() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut admin = broker.client();
    let logs = admin.create("t", 2);
    for shard in 0..2 {
        let mut client = broker.client_at(shard);
        for (id, log) in (0..).zip(&logs) {
            let _ = subscribe(&mut client, id, *log, 0, 1_000).ok::<SubscribeResponse>();
        }
        if shard == 0 {
            continue;
        }
        admin.call(Api::DeleteTopic, &DeleteTopicRequest { name: "t" }).ok::<()>();
        for _ in &logs {
            let frame = client.receive();
            assert_eq!((frame.header.api, frame.error()), (Api::Push as u8, ErrorCode::UnknownPartition));
        }
        assert_eq!(client.call(Api::Unsubscribe, &UnsubscribeRequest { subscription: 0 }).error(), {
            ErrorCode::InvalidSubscription
        });
    }
}
