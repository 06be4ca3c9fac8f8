//! Why a request of a member is refused.

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::consumer_groups::ConsumerGroupHeartbeatResponse;

/// Why a request of a member is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Kafka's word for it.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
}

impl Refusal {
    /// A refusal with words of its own.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The request contradicts itself.
    pub(super) fn invalid(message: &str) -> Self {
        Self::new(ErrorCode::InvalidRequest, message)
    }

    /// The group has no such member.
    pub(super) fn unknown(member: &str) -> Self {
        Self::new(ErrorCode::UnknownMemberId, format!("The group has no member {member}."))
    }

    /// As the answer to a heartbeat.
    pub(crate) fn into_heartbeat(self) -> ConsumerGroupHeartbeatResponse<'static> {
        ConsumerGroupHeartbeatResponse {
            error_code: self.code as i16,
            error_message: Some(self.message.into()),
            ..Default::default()
        }
    }
}
