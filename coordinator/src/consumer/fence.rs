//! Members that are taken out because they are not heard of, or hold on to what they are to give up; and what is refused to
//! members that are behind.

use ringmail_kafka::error::ErrorCode;

use super::{Change, ConsumerGroup, Member, MemberId, MemberState, RETRY_MS, State};
use crate::groups::Committer;
use crate::machine::{Now, Record};

/// The version of OffsetCommit from which on it can say a member's epoch.
const COMMIT_WITH_EPOCH: i16 = 9;

impl ConsumerGroup {
    /// Time has passed: the records that take out those whose time is over.
    pub fn tick(&mut self, now: Now) -> Vec<Record> {
        let mut fenced = Vec::new();
        for (id, mut timer) in self.timers.due(now.clock_ms) {
            if timer.session <= now.clock_ms || self.holds_on(&id, timer.rebalance) {
                // If the records are refused, it is tried again.
                timer.session = now.clock_ms.saturating_add(RETRY_MS);
                fenced.push(id.clone());
            }
            timer.rebalance = None;
            self.timers.set(&id, timer);
        }
        match fenced.is_empty() {
            true => Vec::new(),
            false => self.encode(&self.without(&fenced)),
        }
    }

    /// Whether a member still has what it should have given up at the epoch that the deadline is of; or has not joined again,
    /// if it speaks the classic protocol.
    fn holds_on(&self, id: &MemberId, deadline: Option<(i32, u64)>) -> bool {
        self.state.members.get(id).zip(deadline).is_some_and(|(Member { about, current }, (epoch, _))| {
            let is_asked = about.classic.is_some() || current.state == MemberState::UnrevokedPartitions;
            is_asked && current.epoch == epoch
        })
    }

    /// What takes members out. The others get a new target at the next heartbeat of any of them.
    pub(super) fn without(&self, members: &[MemberId]) -> Vec<Change> {
        let epoch = Change::Group(Some((self.state.epoch.saturating_add(1), self.state.digest)));
        [epoch].into_iter().chain(members.iter().flat_map(State::removal)).collect()
    }

    /// Whether a member may commit offsets. Whoever is no member (epoch below 0) may do so if nobody is.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID; STALE_MEMBER_EPOCH, of a member of the classic protocol ILLEGAL_GENERATION; UNSUPPORTED_VERSION
    /// if the request is of a version that does not know of epochs.
    pub(crate) fn check_commit(&self, by: &Committer<'_>) -> Result<(), ErrorCode> {
        let Committer { member_id, instance_id, generation: epoch, is_transactional, version } = *by;
        if epoch < 0 && self.is_empty() {
            return Ok(());
        }
        // A transaction may leave out whose it is: its producer is fenced by other means.
        if is_transactional && epoch < 0 && member_id.is_empty() && instance_id.is_none() {
            return Ok(());
        }
        let member = self.state.members.get(member_id).ok_or(ErrorCode::UnknownMemberId)?;
        if !is_transactional && member.about.classic.is_none() && version < COMMIT_WITH_EPOCH {
            return Err(ErrorCode::UnsupportedVersion);
        }
        check_epoch(member, epoch)
    }

    /// Whether a member may fetch offsets; whoever does not say that it is one may.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID; STALE_MEMBER_EPOCH, of a member of the classic protocol ILLEGAL_GENERATION.
    pub(crate) fn check_fetch(&self, member_id: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        let Some(id) = member_id.filter(|id| !(id.is_empty() && epoch < 0)) else {
            return if epoch < 0 { Ok(()) } else { Err(ErrorCode::UnknownMemberId) };
        };
        check_epoch(self.state.members.get(id).ok_or(ErrorCode::UnknownMemberId)?, epoch)
    }

    /// Whether somebody in the group wants this topic: then its offsets are not to be deleted by hand.
    pub(crate) fn wants(&self, topic: &str) -> bool {
        self.state.members.values().any(|member| {
            let of_pattern =
                member.about.pattern.as_ref().and_then(|pattern| self.state.patterns.get(pattern));
            member.about.names.iter().any(|name| name == topic)
                || of_pattern.is_some_and(|pattern| pattern.topics.contains(topic))
        })
    }
}

fn check_epoch(member: &Member, epoch: i32) -> Result<(), ErrorCode> {
    match (epoch == member.current.epoch, &member.about.classic) {
        (true, _) => Ok(()),
        (false, None) => Err(ErrorCode::StaleMemberEpoch),
        (false, Some(_)) => Err(ErrorCode::IllegalGeneration),
    }
}
