//! Answers stand in the order of the requests.

use ringmail_kafka::codec::Uuid;
use ringmail_kafka::messages::metadata::{MetadataRequest, MetadataTopic};
use ringmail_kafka::messages::versions::ApiVersionsRequest;

use crate::broker::{Broker, Data};
use crate::frames::Kafka;

/// The first waits for a topic to be created, the others could be answered at once.
#[test]
fn requests_sent_at_once_are_answered_in_their_order() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = Kafka::connect(&broker);
    let versions =
        ApiVersionsRequest { client_software_name: "test".into(), client_software_version: "1".into() };
    let (mut sent, mut expected) = (Vec::new(), Vec::new());
    for round in 0..50 {
        let topic = MetadataTopic { topic_id: Uuid::ZERO, name: Some(format!("topic-{round}").into()) };
        let creates = MetadataRequest { topics: Some(vec![topic]), ..MetadataRequest::default() };
        for (correlation, frame) in [client.frame(9, &creates), client.frame(3, &versions)] {
            expected.push(correlation);
            sent.extend_from_slice(&frame);
        }
    }
    client.send_bytes(&sent);
    let answered: Vec<_> = expected.iter().map(|_| client.receive().correlation).collect();
    assert_eq!(answered, expected);
}
