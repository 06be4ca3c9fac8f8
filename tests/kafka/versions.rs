//! ApiVersions and what stands in its answers.

use ringmail_kafka::api::Api;
use ringmail_kafka::messages::security::{SaslHandshakeRequest, SaslHandshakeResponse};
use ringmail_kafka::messages::versions::{ApiVersionsRequest, ApiVersionsResponse};

use crate::broker::{Broker, Data};
use crate::frames::Kafka;

fn ask() -> ApiVersionsRequest<'static> {
    ApiVersionsRequest { client_software_name: "test".into(), client_software_version: "1".into() }
}

#[test]
fn every_version_lists_ranges_that_are_whole() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = Kafka::connect(&broker);
    for version in 0..=4 {
        let answer = client.ask(version, &ask());
        let response: ApiVersionsResponse<'_> = answer.body(version);
        assert_eq!(response.error_code, 0);
        assert!(response.api_keys.iter().all(|api| api.min_version <= api.max_version));
        assert!(response.api_keys.iter().any(|api| api.api_key == Api::Metadata.key()));
        let kept_out = [71, 72];
        assert!(response.api_keys.iter().all(|api| !kept_out.contains(&api.api_key)));
    }
}

#[test]
fn transactions_and_groups_of_the_second_kind_are_finalized() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let answer = Kafka::connect(&broker).ask(4, &ask());
    let response: ApiVersionsResponse<'_> = answer.body(4);
    let finalized = response.finalized_features.iter().map(|f| (&*f.name, f.max_version_level));
    assert_eq!(finalized.collect::<Vec<_>>(), [("group.version", 1), ("transaction.version", 2)]);
    let supported = response.supported_features.iter().map(|f| (&*f.name, f.min_version, f.max_version));
    assert_eq!(supported.collect::<Vec<_>>(), [("group.version", 0, 1), ("transaction.version", 0, 2)]);
}

/// A newer client cannot know what this broker speaks: it is told in the oldest form, and asks again on the same connection.
#[test]
fn a_version_past_the_last_is_answered_in_version_0() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = Kafka::connect(&broker);
    client.send_raw(Api::ApiVersions, 99, b"whatever a later version has");
    let answer = client.receive();
    let response: ApiVersionsResponse<'_> = answer.body(0);
    let keys: Vec<_> = response.api_keys.iter().map(|api| (api.api_key, api.max_version)).collect();
    assert_eq!((response.error_code, &keys[..]), (35, &[(18, 4)][..]));
    let answer = client.ask(4, &ask());
    assert_eq!(answer.body::<ApiVersionsResponse<'_>>(4).error_code, 0);
}

#[test]
fn sasl_is_refused_in_words_of_the_protocol() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = Kafka::connect(&broker);
    let answer = client.ask(1, &SaslHandshakeRequest { mechanism: "PLAIN".into() });
    let response: SaslHandshakeResponse<'_> = answer.body(1);
    assert_eq!((response.error_code, response.mechanisms.len()), (34, 0));
    assert_eq!(client.ask(0, &ask()).body::<ApiVersionsResponse<'_>>(0).error_code, 0);
}
