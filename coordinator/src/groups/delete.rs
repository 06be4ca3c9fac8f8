//! OffsetDelete, DeleteGroups, and what becomes of the offsets of a deleted topic.

use std::collections::VecDeque;

use ringmail_kafka::codec::Uuid;
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Response;
use ringmail_kafka::messages::group_admin::{DeleteGroupsRequest, DeleteGroupsResponse, DeletedGroup};
use ringmail_kafka::messages::offsets::{
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteTopicResult, PartitionResult,
};

use super::Groups;
use super::offsets::tombstone;
use super::step::{Step, Then, batch, refusal};
use crate::machine::{CallId, Topics, WriteError};

/// Groups that are being deleted, a batch of records at a time.
#[derive(Debug)]
pub(crate) struct Deletion {
    call: CallId,
    left: VecDeque<String>,
    results: Vec<DeletedGroup<'static>>,
}

impl Deletion {
    /// What became of the first one that is left.
    fn done(&mut self, error: ErrorCode) {
        let group_id = self.left.pop_front().expect("there is one that something became of").into();
        self.results.push(DeletedGroup { group_id, error_code: error as i16 });
    }
}

impl Groups {
    pub(super) fn delete_groups(
        &mut self,
        call: CallId,
        request: &DeleteGroupsRequest<'_>,
        step: &mut Step<'_>,
    ) {
        let left = request.groups_names.iter().map(|name| name.clone().into_owned()).collect();
        self.go_on_deleting(Deletion { call, left, results: Vec::new() }, step);
    }

    /// Deletes what is left: first the offsets of a group, as many as fit into a batch, then the group.
    fn go_on_deleting(&mut self, mut deletion: Deletion, step: &mut Step<'_>) {
        while let Some(id) = deletion.left.front() {
            let error = if id.is_empty() {
                ErrorCode::InvalidGroupId
            } else {
                match self.directory.get(id) {
                    None => ErrorCode::GroupIdNotFound,
                    Some(group) if !group.is_empty() => ErrorCode::NonEmptyGroup,
                    Some(group) => {
                        let offsets = self.offsets.partitions(id).into_iter();
                        let offsets = offsets.map(|(topic, partition)| tombstone(id, topic, partition));
                        let records = batch(&mut offsets.chain(group.tombstones()));
                        return step.write(records, Then::Deleting(deletion));
                    }
                }
            };
            deletion.done(error);
        }
        let response = DeleteGroupsResponse { results: deletion.results, ..Default::default() };
        step.answer(deletion.call, Response::DeleteGroups(response));
    }

    /// A batch of records is stored that delete a group, or could not be.
    pub(super) fn deleted(
        &mut self,
        mut deletion: Deletion,
        result: Result<(), WriteError>,
        step: &mut Step<'_>,
    ) {
        match (result, deletion.left.front()) {
            (Err(error), _) => deletion.done(refusal(error)),
            (Ok(()), Some(id)) if self.directory.get(id).is_none() => deletion.done(ErrorCode::None),
            (Ok(()), _) => {}
        }
        self.go_on_deleting(deletion, step);
    }

    pub(super) fn offset_delete(
        &mut self,
        call: CallId,
        request: &OffsetDeleteRequest<'_>,
        topics: &dyn Topics,
        step: &mut Step<'_>,
    ) {
        let id = &*request.group_id;
        let checked = match self.directory.get(id) {
            _ if id.is_empty() => Err(ErrorCode::InvalidGroupId),
            None => Err(ErrorCode::GroupIdNotFound),
            Some(group) => group.check_offset_delete().map(|()| group),
        };
        let mut response = OffsetDeleteResponse::default();
        let mut records = Vec::new();
        match checked {
            Err(error) => response.error_code = error as i16,
            Ok(group) => {
                let known = self.offsets.partitions(id);
                for topic in &request.topics {
                    let error = if topics.topic(&topic.name).is_none() {
                        ErrorCode::UnknownTopicOrPartition
                    } else if group.is_subscribed_to(&topic.name) {
                        ErrorCode::GroupSubscribedToTopic
                    } else {
                        ErrorCode::None
                    };
                    let result = |&partition_index: &i32| PartitionResult {
                        partition_index,
                        error_code: error as i16,
                    };
                    response.topics.push(OffsetDeleteTopicResult {
                        name: topic.name.clone().into_owned().into(),
                        partitions: topic.partitions.iter().map(result).collect(),
                    });
                    if error == ErrorCode::None {
                        let present =
                            topic.partitions.iter().filter(|&&p| known.contains(&(&*topic.name, p)));
                        records.extend(present.map(|&partition| tombstone(id, &topic.name, partition)));
                    }
                }
            }
        }
        let response = Response::OffsetDelete(response);
        if records.is_empty() {
            step.answer(call, response);
        } else {
            step.write(records, Then::Answer(call, response));
        }
    }

    /// Offsets of a topic go with it.
    pub(super) fn forget_topic(&mut self, name: &str, id: Uuid, step: &mut Step<'_>) {
        let gone = self.offsets.of_topic(name, id);
        step.note(gone.iter().map(|(group, partition)| tombstone(group, name, *partition)));
    }
}
