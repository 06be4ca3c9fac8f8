//! Bodies of messages.

use std::fmt::Debug;

use ringmail_wire::protocol::{self, Message, Writer};

/// A message's name, and what reads a body as that message and says whether it is one.
pub type Reading = (&'static str, fn(&[u8]) -> bool);

/// Decodes a body; what decodes must encode to as many bytes, which decode to the same.
fn round_trip<'a, M: Message<'a> + PartialEq + Debug>(body: &'a [u8], encoded: &'a mut Vec<u8>) -> bool {
    let Ok(message) = M::from_body(body) else { return false };
    message.encode(&mut Writer::new(encoded));
    assert_eq!(encoded.len(), body.len(), "every byte of the body has a meaning");
    assert_eq!(M::from_body(encoded), Ok(message));
    true
}

macro_rules! messages {
    ($($name:ident),* $(,)?) => {
        /// Every message there is.
        pub const MESSAGES: &[Reading] =
            &[$((stringify!($name), |body| round_trip::<protocol::$name>(body, &mut Vec::new()))),*];
    };
}

messages!(
    HandshakeRequest,
    HandshakeResponse,
    MetadataRequest,
    MetadataResponse,
    CreateTopicRequest,
    TopicCreated,
    AlterTopicRequest,
    DeleteTopicRequest,
    ListTopicsRequest,
    ListTopicsResponse,
    DescribeTopicRequest,
    DescribeTopicResponse,
    ProduceRequest,
    ProduceResponse,
    FetchRequest,
    FetchResponse,
    SubscribeRequest,
    SubscribeResponse,
    CreditRequest,
    UnsubscribeRequest,
    PushHeader,
    ListOffsetsRequest,
    ListOffsetsResponse,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    ErrorBody,
);

/// The first byte picks the message, the rest is its body.
pub fn native_messages(input: &[u8]) {
    let Some((&pick, body)) = input.split_first() else { return };
    let (_, read) = MESSAGES[usize::from(pick) % MESSAGES.len()];
    read(body);
}
