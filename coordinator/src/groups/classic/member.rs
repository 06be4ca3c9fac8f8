//! A member of a group of the classic protocol.

use std::collections::HashSet;
use std::sync::Arc;

use ringmail_kafka::messages::groups::{JoinGroupMember, JoinGroupProtocol, JoinGroupRequest};

use crate::machine::CallId;

/// When a member that is waited for anyway is due.
pub(crate) const NEVER: u64 = u64::MAX;

/// An assignor that a member has, and what the member would tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Protocol {
    /// Shared by all members that come back from one record: there it stands once.
    pub(crate) name: Arc<str>,
    pub(crate) metadata: Vec<u8>,
}

/// The assignors of a request, in the order of the member's preference, each once.
pub(crate) fn protocols(request: &[JoinGroupProtocol<'_>]) -> Vec<Protocol> {
    let mut names = HashSet::new();
    let distinct = request.iter().filter(|protocol| names.insert(&*protocol.name));
    distinct
        .map(|protocol| Protocol { name: (&*protocol.name).into(), metadata: protocol.metadata.to_vec() })
        .collect()
}

/// A member.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) assignment: Vec<u8>,
    /// The JoinGroup that is answered when all have joined.
    pub(crate) joining: Option<CallId>,
    /// The SyncGroup that is answered when the leader has assigned.
    pub(crate) syncing: Option<CallId>,
    /// Whether it still has to ask for what it was assigned in this generation.
    pub(crate) must_sync: bool,
    /// Whether it has never had an answer to its JoinGroup: then it is not known whether it is still there.
    pub(crate) is_new: bool,
    /// When it is taken for dead.
    pub(crate) deadline_ms: u64,
}

impl Member {
    /// One that joins.
    pub(crate) fn joining(
        client_id: &str,
        client_host: &str,
        version: i16,
        request: &JoinGroupRequest<'_>,
    ) -> Self {
        let mut member = Self {
            instance_id: request.group_instance_id.clone().map(Into::into),
            client_id: client_id.to_owned(),
            client_host: client_host.to_owned(),
            rebalance_timeout_ms: 0,
            session_timeout_ms: 0,
            protocols: Vec::new(),
            assignment: Vec::new(),
            joining: None,
            syncing: None,
            must_sync: false,
            is_new: true,
            deadline_ms: NEVER,
        };
        member.update(version, request);
        member
    }

    /// Takes what a request says of it.
    pub(crate) fn update(&mut self, version: i16, request: &JoinGroupRequest<'_>) {
        self.protocols = protocols(&request.protocols);
        self.session_timeout_ms = request.session_timeout_ms;
        // Before version 1 there was one time for both.
        self.rebalance_timeout_ms =
            if version == 0 { request.session_timeout_ms } else { request.rebalance_timeout_ms };
    }

    /// Whether a request says of it what is known.
    pub(crate) fn matches(&self, request: &JoinGroupRequest<'_>) -> bool {
        self.protocols == protocols(&request.protocols)
    }

    /// What it tells an assignor; nothing if it does not have it.
    pub(crate) fn metadata(&self, protocol: Option<&str>) -> &[u8] {
        let own = self.protocols.iter().find(|own| Some(&*own.name) == protocol);
        own.map_or(&[], |own| &own.metadata)
    }

    /// Whether it is the broker that keeps it waiting, so that silence says nothing.
    pub(crate) fn is_kept_waiting(&self) -> bool {
        !self.is_new && (self.joining.is_some() || self.syncing.is_some())
    }

    /// Its time begins anew.
    pub(crate) fn seen(&mut self, clock_ms: u64) {
        self.deadline_ms = clock_ms + u64::try_from(self.session_timeout_ms).unwrap_or(0);
    }

    /// How many bytes it takes, as far as it decides that.
    pub(crate) fn bytes(&self) -> usize {
        let protocols: usize = self.protocols.iter().map(|p| p.name.len() + p.metadata.len()).sum();
        let instance = self.instance_id.as_ref().map_or(0, String::len);
        protocols + instance + self.client_id.len() + self.client_host.len()
    }

    /// What the leader is told of it.
    pub(crate) fn for_leader(&self, id: &str, protocol: Option<&str>) -> JoinGroupMember<'static> {
        JoinGroupMember {
            member_id: id.to_owned().into(),
            group_instance_id: self.instance_id.clone().map(Into::into),
            metadata: self.metadata(protocol).to_vec().into(),
        }
    }
}
