//! Which assignor a group agrees on, and what its members read.

use std::collections::{BTreeSet, HashMap};

use ringmail_kafka::codec::{DecodeError, Reader};
use ringmail_kafka::messages::groups::JoinGroupProtocol;

use super::{CONSUMER, ClassicGroup};

impl ClassicGroup {
    /// Whether somebody who offers these assignors can be a member beside those that there are.
    pub(crate) fn supports(&self, protocol_type: &str, protocols: &[JoinGroupProtocol<'_>]) -> bool {
        if self.is_empty() {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let members = self.members.len();
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|p| self.supported.get(&*p.name).copied().unwrap_or(0) == members)
    }

    /// The assignor that most members like best of those that all have; of several the one that the first member likes
    /// best.
    pub(crate) fn select_protocol(&self) -> Option<String> {
        let all = self.members.len();
        let candidates = |name: &str| self.supported.get(name) == Some(&all);
        let mut votes: HashMap<&str, usize> = HashMap::new();
        for member in self.members.values() {
            let favourite = member.protocols.iter().find(|p| candidates(&p.name));
            let favourite = favourite.expect("nobody was let in without an assignor that all have");
            *votes.entry(&favourite.name).or_default() += 1;
        }
        let first = self.members.values().next()?;
        let by_preference = first.protocols.iter().rev().map(|p| &*p.name);
        by_preference.max_by_key(|name| votes.get(name)).map(ToOwned::to_owned)
    }

    /// The topics of all members' subscriptions; `None` if there is one that the broker cannot read.
    pub(super) fn read_subscriptions(&self) -> Option<BTreeSet<String>> {
        if self.protocol_type.as_deref() != Some(CONSUMER) {
            return None;
        }
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            let metadata = member.metadata(self.protocol.as_deref());
            topics.extend(subscription(metadata).ok()?.into_iter().map(ToOwned::to_owned));
        }
        Some(topics)
    }
}

/// The topics of a consumer's subscription. All versions of it begin alike.
pub(crate) fn subscription(metadata: &[u8]) -> Result<Vec<&str>, DecodeError> {
    let mut r = Reader::new(metadata, 0, false);
    r.at_field("subscription");
    r.i16()?;
    let mut topics = Vec::new();
    for _ in 0..r.count()? {
        topics.push(r.string()?);
    }
    Ok(topics)
}
