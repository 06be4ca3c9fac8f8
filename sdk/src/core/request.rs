//! Requests and the answers that belong to them.

use std::marker::PhantomData;

use bytes::Bytes;
use ringmail_wire::protocol::{
    AlterTopicRequest, Api, CreateTopicRequest, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteTopicRequest, DescribeTopicRequest, DescribeTopicResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListTopicsRequest, ListTopicsResponse, Message, MetadataRequest, MetadataResponse, TopicCreated,
    UnsubscribeRequest, Writer,
};

use super::ProtocolError;

/// A request that is answered by one message of a known form.
pub trait Request {
    /// What it asks for.
    const API: Api;
    /// The form of the answer.
    type Response<'r>: Message<'r>;

    /// Appends the body of the request.
    fn encode_body(&self, out: &mut Writer<'_>);
}

macro_rules! requests {
    ($($api:ident: $request:ident $(<$q:lifetime>)? => $response:ty),* $(,)?) => {$(
        impl $(<$q>)? Request for $request $(<$q>)? {
            const API: Api = Api::$api;
            type Response<'r> = $response;

            fn encode_body(&self, out: &mut Writer<'_>) {
                self.encode(out);
            }
        }
    )*};
}

requests! {
    Metadata: MetadataRequest<'q> => MetadataResponse<'r>,
    CreateTopic: CreateTopicRequest<'q> => TopicCreated,
    AlterTopic: AlterTopicRequest<'q> => (),
    DeleteTopic: DeleteTopicRequest<'q> => (),
    ListTopics: ListTopicsRequest => ListTopicsResponse<'r>,
    DescribeTopic: DescribeTopicRequest<'q> => DescribeTopicResponse<'r>,
    Unsubscribe: UnsubscribeRequest => (),
    ListOffsets: ListOffsetsRequest => ListOffsetsResponse,
    DeleteRecords: DeleteRecordsRequest => DeleteRecordsResponse,
}

/// Asks for nothing but an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ping;

impl Request for Ping {
    const API: Api = Api::Ping;
    type Response<'r> = ();

    fn encode_body(&self, _: &mut Writer<'_>) {}
}

/// The body of the answer to an `R`, not decoded yet.
#[derive(Debug, Clone)]
pub struct Reply<R> {
    body: Bytes,
    request: PhantomData<R>,
}

impl<R: Request> Reply<R> {
    /// The answer with this body.
    pub fn new(body: Bytes) -> Self {
        Self { body, request: PhantomData }
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`ProtocolError::Malformed`].
    pub fn decode(&self) -> Result<R::Response<'_>, ProtocolError> {
        R::Response::from_body(&self.body)
            .map_err(|cause| ProtocolError::Malformed { api: R::API as u8, cause })
    }
}
