//! OffsetForLeaderEpoch: where the epoch of a leader has ended. There is one, as leadership never changes and nothing that was
//! read is ever taken back: it ends where the partition does.

use std::borrow::Cow;

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Body;
use ringmail_kafka::messages::metadata::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};

use super::cluster::{LEADER_EPOCH, check_leader_epoch};
use super::partitions::{Part, by_topic};
use super::placement::partition_of;
use super::requests::{Handled, Refused, Request};
use super::sessions::Sessions;
use super::waiter::Reply;
use crate::node::logs::Logs;

impl Sessions<'_> {
    pub(super) fn offset_for_leader_epoch(
        &mut self,
        request: &Request<'_>,
        logs: &mut Logs,
    ) -> Result<Handled, Refused> {
        let wanted = OffsetForLeaderEpochRequest::decode(request.header.version, request.body)?;
        let mut parts = Vec::new();
        for topic in &wanted.topics {
            for partition in &topic.partitions {
                let found = partition_of(&topic.topic, partition.partition, logs);
                let found = found.ok_or(ErrorCode::UnknownTopicOrPartition);
                let checked = check_leader_epoch(partition.current_leader_epoch);
                parts.push(Part {
                    topic: topic.topic.to_string(),
                    partition: partition.partition,
                    log: found.map_or(0, |found| found.log),
                    wanted: partition.leader_epoch.into(),
                    result: found.and(checked).map(|()| 0),
                });
            }
        }
        self.weigh(&request.reply, parts.len());
        self.gather(request.reply, parts, logs);
        Ok(Handled::Done)
    }

    pub(super) fn answer_leader_epochs(&mut self, reply: &Reply, parts: &[Part]) {
        let partition = |part: &Part| {
            let mut answer = EpochEndOffset { partition: part.partition, ..EpochEndOffset::default() };
            match part.result {
                Ok(end) if part.wanted == i64::from(LEADER_EPOCH) => {
                    (answer.leader_epoch, answer.end_offset) = (LEADER_EPOCH, end);
                }
                // An epoch that never was.
                Ok(_) => {}
                Err(code) => answer.error_code = code.number(),
            }
            answer
        };
        let topics = by_topic(parts).map(|parts| OffsetForLeaderTopicResult {
            topic: Cow::Borrowed(&parts[0].topic),
            partitions: parts.iter().map(partition).collect(),
        });
        let topics = topics.collect();
        self.answer(reply, &OffsetForLeaderEpochResponse { throttle_time_ms: 0, topics });
    }
}
