//! What is asked of a coordinator, in a form that travels between shards.

use bytes::Bytes;
use ringmail_kafka::api::Api;
use ringmail_kafka::codec::DecodeError;
use ringmail_kafka::messages::Request;
use ringmail_wire::protocol::LogId;

/// A request of a client, or of a shard on its behalf.
#[derive(Debug, Clone)]
pub struct CoordinatorQuestion {
    /// The log of the coordinator: a partition of an internal topic.
    pub log: LogId,
    /// What is asked.
    pub api: Api,
    /// The version of `body`, and of the answer.
    pub version: i16,
    /// What the client calls itself; empty if it does not say.
    pub client_id: String,
    /// The client's address, as Kafka writes it: `/127.0.0.1`.
    pub client_host: String,
    /// The body of the request, as the client sent it.
    pub body: Bytes,
}

impl CoordinatorQuestion {
    /// The request.
    ///
    /// # Errors
    /// If the body does not have the form of the API.
    pub fn request(&self) -> Result<Request<'_>, DecodeError> {
        Request::decode(self.api, self.version, &self.body)
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        self.client_id.len() + self.client_host.len() + self.body.len()
    }
}

/// What a shard has its coordinators do.
#[derive(Debug)]
pub enum Errand {
    /// Take a request; answered by [`Outcome::Coordinated`](crate::node::message::Outcome::Coordinated).
    Ask(CoordinatorQuestion),
    /// Store the end of a transaction in a coordinator's own log; answered by
    /// [`Outcome::Appended`](crate::node::message::Outcome::Appended).
    Mark {
        /// The log.
        log: LogId,
        /// The end.
        marker: ringmail_kafka::batch::Marker,
    },
    /// Give out a producer id; answered by [`Outcome::ProducerId`](crate::node::message::Outcome::ProducerId).
    ProducerId,
}
