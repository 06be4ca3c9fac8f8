//! Bodies of Kafka's requests and answers.

use ringmail_kafka::api::Api;
use ringmail_kafka::messages::{Request, Response};

/// The first byte picks the API, the second its version, the rest is the body: of a request, and of an answer.
pub fn kafka_messages(input: &[u8]) {
    let [pick, version, body @ ..] = input else { return };
    let api = Api::ALL[usize::from(*pick) % Api::ALL.len()];
    let versions = api.versions();
    let version = versions.start() + i16::from(*version) % (versions.end() - versions.start() + 1);

    let (mut encoded, mut again) = (Vec::new(), Vec::new());
    if let Ok(request) = Request::decode(api, version, body) {
        request.encode(version, &mut encoded);
        Request::decode(api, version, &encoded).expect("what is encoded decodes").encode(version, &mut again);
        assert_eq!(encoded, again);
    }
    (encoded, again) = (Vec::new(), Vec::new());
    if let Ok(response) = Response::decode(api, version, body) {
        response.encode(version, &mut encoded);
        Response::decode(api, version, &encoded)
            .expect("what is encoded decodes")
            .encode(version, &mut again);
        assert_eq!(encoded, again);
    }
}
