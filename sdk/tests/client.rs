//! The client and its connections.

mod support;

use std::time::{Duration, Instant};

use ringmail_sdk::{Client, ClientConfig, ConfigSource, Error, ErrorCode, OffsetQuery, Record};
use support::{FakeBroker, client};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// An address that nobody listens on.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn nobody_there_is_said_at_once() {
    let address = nobody().await;
    let error = Client::connect(&address).await.unwrap_err();
    assert!(matches!(&error, Error::Connect { server, .. } if *server == address));
    assert!(error.to_string().contains("is the broker running there?"), "{error}");
    assert!(matches!(Client::connect("no port: none").await, Err(Error::Config(_))));
}

#[tokio::test]
async fn another_protocol_is_recognised() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            let _ = stream.read(&mut [0; 1000]).await;
        }
    });
    let error = Client::connect(&address).await.unwrap_err();
    assert!(matches!(error, Error::Protocol(_)), "{error}");
}

#[tokio::test]
async fn silence_is_not_waited_for_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let config = ClientConfig { connect_timeout: Duration::from_millis(100), ..ClientConfig::default() };
    let start = Instant::now();
    let error = Client::with_config(&address, config).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn the_broker_may_refuse_a_connection() {
    let broker = FakeBroker::start().await;
    broker.model().refuse = Some(ErrorCode::TooManyConnections);
    let error = Client::connect(&broker.address()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::TooManyConnections));
}

#[tokio::test]
async fn topics_are_managed() {
    let broker = FakeBroker::start().await;
    let client = client(&broker).await;
    let admin = client.admin();
    let created = admin.create_topic("orders", 3, &[("retention.ms", "1000")]).await.unwrap();
    assert_eq!(created.partitions, 3);
    let again = admin.create_topic("orders", 3, &[]).await.unwrap_err();
    assert_eq!(again.code(), Some(ErrorCode::TopicExists));
    let names: Vec<_> = admin.list_topics().await.unwrap().into_iter().map(|t| t.name).collect();
    assert_eq!(names, ["orders", "t"]);
    admin.alter_topic("orders", 5, &[("retention.bytes", "7")]).await.unwrap();
    let topic = admin.describe_topic("orders").await.unwrap();
    assert_eq!((topic.id, topic.partitions.len()), (created.id, 5));
    assert_eq!(topic.settings[1].key, "retention.bytes");
    assert_eq!(topic.settings[1].source, ConfigSource::Topic);
    admin.delete_topic("orders").await.unwrap();
    let gone = admin.describe_topic("orders").await.unwrap_err();
    assert_eq!(gone.code(), Some(ErrorCode::UnknownTopic));
    assert_eq!(gone.to_string(), "there is no topic `orders` (UnknownTopic)");
    assert_eq!(client.topics().await.unwrap().len(), 1);
}

#[tokio::test]
async fn offsets_are_listed_and_records_deleted() {
    let broker = FakeBroker::with_shards(3).await;
    let client = client(&broker).await;
    let producer = client.producer("t").await.unwrap();
    for n in 0..30 {
        producer.send(Record::new(b"x").partition(n % 3).timestamp(i64::from(n))).unwrap();
    }
    producer.flush().await.unwrap();
    let admin = client.admin();
    assert_eq!(admin.delete_records("t", 1, 4).await.unwrap(), 4);
    let queries = [
        (2, OffsetQuery::Last),
        (1, OffsetQuery::First),
        (0, OffsetQuery::Timestamp(12)),
        (1, OffsetQuery::Last),
    ];
    assert_eq!(admin.list_offsets("t", &queries).await.unwrap(), [10, 4, 4, 10]);
    let error = admin.list_offsets("t", &[(3, OffsetQuery::Last)]).await.unwrap_err();
    assert!(matches!(error, Error::UnknownPartition { partition: 3, .. }));
    assert_eq!(admin.delete_records("t", 0, u64::MAX).await.unwrap(), 10);
}

#[tokio::test]
async fn metadata_that_has_grown_old_is_asked_for_again() {
    let broker = FakeBroker::start().await;
    let client = client(&broker).await;
    client.topic("t").await.unwrap();
    broker.change(|model| {
        model.delete_topic("t");
        model.create_topic("t", 1);
    });
    assert_eq!(client.admin().list_offsets("t", &[(0, OffsetQuery::Last)]).await.unwrap(), [0]);
}

#[tokio::test]
async fn a_shard_whose_port_is_out_of_reach_is_asked_through_another() {
    let broker = FakeBroker::with_shards(2).await;
    let closed = nobody().await.rsplit_once(':').unwrap().1.parse().unwrap();
    broker.model().ports[1] = closed;
    let client = client(&broker).await;
    let producer = client.producer("t").await.unwrap();
    for n in 0..10 {
        producer.send(Record::new(b"x").partition(n % 2)).unwrap();
    }
    producer.flush().await.unwrap();
    assert_eq!(broker.stored("t", 1).len(), 5);
    assert!(broker.model().misrouted > 0);
}

#[tokio::test]
async fn a_lost_connection_is_made_again() {
    let mut broker = FakeBroker::start().await;
    let client = client(&broker).await;
    client.ping().await.unwrap();
    broker.hang_up();
    tokio::time::sleep(Duration::from_millis(20)).await;
    client.ping().await.unwrap();
    broker.stop().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(matches!(client.ping().await, Err(Error::Connect { .. })));
    broker.restart().await;
    client.ping().await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_kept_alive() {
    let broker = FakeBroker::start().await;
    broker.model().idle_timeout_ms = 600;
    let _client = client(&broker).await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    let pings = broker.model().pings;
    assert!((2..=5).contains(&pings), "{pings} pings in 900 ms");
}

#[tokio::test]
async fn a_broker_that_falls_silent_is_given_up() {
    let broker = FakeBroker::start().await;
    let config = ClientConfig { request_timeout: Duration::from_millis(600), ..ClientConfig::default() };
    let client = Client::with_config(&broker.address(), config).await.unwrap();
    let producer = client.producer("t").await.unwrap();
    broker.model().stalled = true;
    broker.model().mute = true;
    let ticket = producer.send(Record::new(b"x")).unwrap();
    let delivered = tokio::time::timeout(Duration::from_secs(5), producer.delivered(ticket)).await.unwrap();
    assert!(matches!(delivered, Err(Error::OutcomeUnknown(_))), "{delivered:?}");
}
