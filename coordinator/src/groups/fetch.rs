//! OffsetFetch.

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Response;
use ringmail_kafka::messages::offsets::{
    FetchedOffset, FetchedOffsetGroup, FetchedOffsetTopic, OffsetFetchGroup, OffsetFetchRequest,
    OffsetFetchResponse, OffsetFetchTopic,
};

use super::Groups;
use crate::machine::Topics;

/// The version from which on a request is of several groups.
const GROUPS: i16 = 8;
/// The version from which on an error can be one of a whole group.
const GROUP_ERRORS: i16 = 2;
/// The version from which on topics are named by their ids.
const TOPIC_IDS: i16 = 10;

const NO_OFFSET: i64 = -1;

fn fetched(partition_index: i32, error: ErrorCode) -> FetchedOffset<'static> {
    FetchedOffset {
        partition_index,
        committed_offset: NO_OFFSET,
        metadata: Some("".into()),
        error_code: error as i16,
        ..Default::default()
    }
}

/// What is asked of the offsets of a group.
struct Question<'a> {
    groups: &'a Groups,
    topics: &'a dyn Topics,
    group: &'a str,
    by_id: bool,
    /// Whether transactions that are open are waited for.
    require_stable: bool,
}

impl Question<'_> {
    fn partition(&self, topic: &str, partition: i32) -> FetchedOffset<'static> {
        let offsets = &self.groups.offsets;
        if self.require_stable && offsets.is_unstable(self.group, topic, partition) {
            return fetched(partition, ErrorCode::UnstableOffsetCommit);
        }
        let current = self.topics.topic(topic).map(|(id, _)| id);
        match offsets.get(self.group, topic, partition).filter(|offset| offset.is_of(current)) {
            None => fetched(partition, ErrorCode::None),
            Some(offset) => FetchedOffset {
                partition_index: partition,
                committed_offset: offset.offset,
                committed_leader_epoch: offset.leader_epoch,
                metadata: Some(offset.metadata.to_string().into()),
                error_code: ErrorCode::None as i16,
            },
        }
    }

    fn topic(&self, asked: &OffsetFetchTopic<'_>) -> FetchedOffsetTopic<'static> {
        let name = if self.by_id { self.topics.name(asked.topic_id) } else { Some(&*asked.name) };
        let partition = |&partition: &i32| match name {
            Some(name) => self.partition(name, partition),
            None => fetched(partition, ErrorCode::UnknownTopicId),
        };
        FetchedOffsetTopic {
            name: asked.name.clone().into_owned().into(),
            topic_id: asked.topic_id,
            partitions: asked.partition_indexes.iter().map(partition).collect(),
        }
    }

    /// All topics that the group has offsets of.
    fn all(&self) -> Vec<FetchedOffsetTopic<'static>> {
        let mut all = Vec::new();
        for (name, partitions) in self.groups.offsets.of(self.group).into_iter().flatten() {
            let current = self.topics.topic(name).map(|(id, _)| id);
            // Without an id there is no way to name it.
            if self.by_id && current.is_none() {
                continue;
            }
            let present = partitions.iter().filter(|(_, offset)| offset.is_of(current));
            let partitions: Vec<_> = present.map(|(&partition, _)| self.partition(name, partition)).collect();
            if !partitions.is_empty() {
                let topic_id = current.unwrap_or_default();
                all.push(FetchedOffsetTopic { name: name.clone().into(), topic_id, partitions });
            }
        }
        all
    }
}

impl Groups {
    fn fetch_group(
        &self,
        asked: &OffsetFetchGroup<'_>,
        (by_id, require_stable): (bool, bool),
        topics: &dyn Topics,
    ) -> FetchedOffsetGroup<'static> {
        let mut answer =
            FetchedOffsetGroup { group_id: asked.group_id.clone().into_owned().into(), ..Default::default() };
        let group = self.directory.get(&asked.group_id);
        let checked =
            group.map_or(Ok(()), |group| group.check_fetch(asked.member_id.as_deref(), asked.member_epoch));
        if let Err(error) = checked {
            answer.error_code = error as i16;
            return answer;
        }
        let question = Question { groups: self, topics, group: &asked.group_id, by_id, require_stable };
        answer.topics = match &asked.topics {
            Some(topics) => topics.iter().map(|topic| question.topic(topic)).collect(),
            None => question.all(),
        };
        answer
    }

    pub(super) fn offset_fetch(
        &self,
        version: i16,
        request: &OffsetFetchRequest<'_>,
        topics: &dyn Topics,
    ) -> Response<'static> {
        let how = (version >= TOPIC_IDS, request.require_stable);
        if version >= GROUPS {
            let groups = request.groups.iter().map(|group| self.fetch_group(group, how, topics)).collect();
            return Response::OffsetFetch(OffsetFetchResponse { groups, ..Default::default() });
        }
        let asked = OffsetFetchGroup {
            group_id: request.group_id.clone(),
            topics: request.topics.clone(),
            ..Default::default()
        };
        let group = self.fetch_group(&asked, how, topics);
        let mut response =
            OffsetFetchResponse { topics: group.topics, error_code: group.error_code, ..Default::default() };
        if version < GROUP_ERRORS && group.error_code != 0 {
            response.topics = refused_topics(&asked, group.error_code);
        }
        Response::OffsetFetch(response)
    }
}

/// The error of a group, where it can only be told of partitions.
fn refused_topics(asked: &OffsetFetchGroup<'_>, error_code: i16) -> Vec<FetchedOffsetTopic<'static>> {
    let topics = asked.topics.iter().flatten();
    topics
        .map(|topic| FetchedOffsetTopic {
            name: topic.name.clone().into_owned().into(),
            topic_id: topic.topic_id,
            partitions: topic
                .partition_indexes
                .iter()
                .map(|&partition| FetchedOffset { error_code, ..fetched(partition, ErrorCode::None) })
                .collect(),
        })
        .collect()
}
