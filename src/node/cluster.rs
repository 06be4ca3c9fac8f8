//! The identity of a cluster, and of the topics in it.

use std::fmt;

use ringmail_kafka::codec::{Uuid, UuidError};
use serde::{Deserialize, Serialize};

/// Bytes of the cluster's identity that begin those of its topics.
const PREFIX_BYTES: usize = 8;

/// 16 random bytes that a data directory gets when it is set up. They are written as Kafka does it: 22 characters of URL-safe
/// base64, which do not begin with `-`, as a command line would take that for a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterId(Uuid);

impl ClusterId {
    /// The cluster with this identity; `None` if it cannot be one: then other bytes are to be drawn.
    pub fn new(bytes: [u8; 16]) -> Option<Self> {
        let uuid = Uuid(bytes);
        // Kafka gives meanings to the lowest of numbers.
        let low = bytes[..PREFIX_BYTES].iter().all(|byte| *byte == 0);
        (!low && !uuid.to_string().starts_with('-')).then_some(Self(uuid))
    }

    /// The identity of the topic with this id. One that is created again under the same name gets another.
    pub fn topic_uuid(self, topic: u64) -> Uuid {
        let mut bytes = self.0.0;
        bytes[PREFIX_BYTES..].copy_from_slice(&topic.to_be_bytes());
        Uuid(bytes)
    }

    /// The id of the topic with this identity, if it is of this cluster.
    pub fn topic_id(self, uuid: Uuid) -> Option<u64> {
        let (prefix, topic) = uuid.0.split_at(PREFIX_BYTES);
        (prefix == &self.0.0[..PREFIX_BYTES])
            .then(|| u64::from_be_bytes(topic.try_into().expect("the other 8 of 16 bytes")))
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for ClusterId {
    type Error = UuidError;

    fn try_from(text: String) -> Result<Self, UuidError> {
        let uuid: Uuid = text.parse()?;
        Self::new(uuid.0).ok_or(UuidError)
    }
}

impl From<ClusterId> for String {
    fn from(cluster: ClusterId) -> Self {
        cluster.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_have_identities_of_their_cluster() {
        let cluster = ClusterId::new([7; 16]).unwrap();
        let uuid = cluster.topic_uuid(0x0102);
        assert_eq!(uuid.0, [7, 7, 7, 7, 7, 7, 7, 7, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(cluster.topic_id(uuid), Some(0x0102));
        assert_eq!(ClusterId::new([8; 16]).unwrap().topic_id(uuid), None);
        assert_eq!(cluster.topic_id(Uuid::ZERO), None);
    }

    #[test]
    fn what_is_written_is_read() {
        let cluster = ClusterId::new([0x5a; 16]).unwrap();
        let text = serde_json::to_string(&cluster).unwrap();
        assert_eq!(text, "\"WlpaWlpaWlpaWlpaWlpaWg\"");
        assert_eq!(serde_json::from_str::<ClusterId>(&text).unwrap(), cluster);
        assert!(serde_json::from_str::<ClusterId>("\"-lpaWlpaWlpaWlpaWlpaWg\"").is_err());
        assert_eq!((ClusterId::new([0xfb; 16]), ClusterId::new([0; 16])), (None, None));
    }
}
