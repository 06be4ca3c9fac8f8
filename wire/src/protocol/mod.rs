//! The native protocol: frames, requests, responses, error codes.
//!
//! Specified in `PROTOCOL.md`. A message is a frame: a 12-byte [`FrameHeader`], then a body. Requests are
//! pipelined and answered by correlation id, not always in order. A response whose code is not 0 carries
//! an [`ErrorBody`] instead of the body of its API.

mod api;
mod codec;
mod error;
mod fetch;
mod frame;
mod handshake;
mod metadata;
mod produce;
mod subscribe;
mod topics;

pub use api::Api;
pub use codec::{DecodeError, MAX_LIST_ITEMS, Message, Reader, Writer};
pub use error::{ErrorBody, ErrorCode};
pub use fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchedPartition, FetchedPartitionHeader, ListOffsetsQuery,
    ListOffsetsRequest, ListOffsetsResponse, ListedOffset, OffsetQuery,
};
pub use frame::{FRAME_HEADER_BYTES, FrameError, FrameHeader, PROTOCOL_VERSION, put_frame, put_produce};
pub use handshake::{HandshakeRequest, HandshakeResponse, features};
pub use metadata::{MetadataRequest, MetadataResponse, PartitionInfo, ShardInfo, TopicInfo};
pub use produce::{Acks, PRODUCE_PREFIX_BYTES, ProduceRequest, ProduceResponse};
pub use subscribe::{CreditRequest, PushHeader, SubscribeRequest, SubscribeResponse, UnsubscribeRequest};
pub use topics::{
    AlterTopicRequest, ConfigEntry, ConfigSource, CreateTopicRequest, DeleteRecordsRequest,
    DeleteRecordsResponse, DeleteTopicRequest, DescribeTopicRequest, DescribeTopicResponse,
    DescribedPartition, ListTopicsRequest, ListTopicsResponse, ListedTopic, TopicCreated,
};

/// The identity of a partition's log: never used again once the partition is deleted.
pub type LogId = u64;
