//! The answer to Produce, written partition by partition.

use crate::api::Api;
use crate::codec::{Tags, Uuid, Wire, Writer};
use crate::frame::{begin_response, end_frame};
use crate::messages::produce::{NodeEndpoint, ProducedPartition};

/// An answer to Produce that is being written: [`Self::topic`] for each topic, then [`Self::partition`] for each of its
/// partitions, at last [`Self::end`]. How many there are is said beforehand, as it stands in the answer.
#[derive(Debug)]
#[must_use = "an answer without its end is cut short"]
pub struct ProduceAnswer<'b> {
    out: &'b mut Vec<u8>,
    version: i16,
    start: usize,
    topics: Count,
    partitions: Count,
}

impl<'b> ProduceAnswer<'b> {
    /// Begins an answer with so many topics, in the version of the request.
    pub fn begin(out: &'b mut Vec<u8>, version: i16, correlation: i32, topics: usize) -> Self {
        let start = begin_response(out, Api::Produce, version, correlation);
        writer(out, version).length(Some(topics));
        Self { out, version, start, topics: Count(topics), partitions: Count(0) }
    }

    /// Begins a topic with so many partitions.
    ///
    /// # Panics
    /// If partitions of the one before are missing, or there are more topics than was said.
    pub fn topic(&mut self, name: &str, id: Uuid, partitions: usize) {
        self.topics.take(&self.partitions);
        self.partitions = Count(partitions);
        let mut w = writer(self.out, self.version);
        if self.version >= Api::PRODUCE_BY_ID {
            w.uuid(id);
        } else {
            w.string(name);
        }
        w.length(Some(partitions));
        self.close_topic();
    }

    /// Adds a partition.
    ///
    /// # Panics
    /// If the topic has more partitions than was said.
    pub fn partition(&mut self, partition: &ProducedPartition<'_>) {
        self.partitions.take(&Count(0));
        partition.write(&mut writer(self.out, self.version));
        self.close_topic();
    }

    fn close_topic(&mut self) {
        if self.partitions.is_done() {
            writer(self.out, self.version).no_tags();
        }
    }

    /// Ends the answer. `endpoints` are where the leaders are that the partitions name.
    ///
    /// # Panics
    /// If there are fewer topics or partitions than was said.
    pub fn end(self, throttle_time_ms: i32, endpoints: Vec<NodeEndpoint<'_>>) {
        self.topics.done(&self.partitions);
        let mut w = writer(self.out, self.version);
        w.i32(throttle_time_ms);
        put_endpoints(&mut w, endpoints, 10);
        end_frame(self.out, self.start, 0);
    }
}

/// How many topics or partitions are still to come.
#[derive(Debug, Default)]
pub(crate) struct Count(pub usize);

impl Count {
    /// Takes one off; `inner` must be over.
    pub(crate) fn take(&mut self, inner: &Self) {
        assert!(inner.is_done(), "{} partitions of the topic before are missing", inner.0);
        self.0 = self.0.checked_sub(1).expect("there are no more than was said");
    }

    pub(crate) fn is_done(&self) -> bool {
        self.0 == 0
    }

    pub(crate) fn done(&self, inner: &Self) {
        assert!(self.is_done() && inner.is_done(), "{} topics, {} partitions are missing", self.0, inner.0);
    }
}

/// The tagged field at the end of the answers to Produce and Fetch.
pub(crate) fn put_endpoints(w: &mut Writer<'_>, endpoints: Vec<NodeEndpoint<'_>>, since: i16) {
    let mut tags = Tags::new();
    if !endpoints.is_empty() && w.version() >= since {
        tags.put(w, 0, &endpoints);
    }
    tags.finish(w);
}

fn writer(out: &mut Vec<u8>, version: i16) -> Writer<'_> {
    Writer::new(out, version, Api::Produce.is_flexible(version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::put_response;
    use crate::messages::produce::{LeaderIdAndEpoch, ProduceResponse, ProducedTopic, RecordError};

    fn partition(index: i32) -> ProducedPartition<'static> {
        ProducedPartition {
            index,
            base_offset: 77,
            log_append_time_ms: 1_700_000_000_000,
            log_start_offset: 5,
            ..ProducedPartition::default()
        }
    }

    #[test]
    fn it_is_what_the_message_would_be() {
        let refused = ProducedPartition {
            error_code: 6,
            base_offset: -1,
            record_errors: vec![RecordError { batch_index: 3, batch_index_error_message: None }],
            error_message: Some("moved".into()),
            current_leader: LeaderIdAndEpoch { leader_id: 2, leader_epoch: 9 },
            ..partition(4)
        };
        let endpoint = NodeEndpoint { node_id: 2, host: "host".into(), port: 9, rack: None };
        let topics = [vec![partition(0), refused], vec![], vec![partition(1)]];
        for version in Api::Produce.versions() {
            let responses = topics.iter().enumerate().map(|(k, partitions)| ProducedTopic {
                name: format!("topic-{k}").into(),
                topic_id: Uuid([k as u8; 16]),
                partition_responses: partitions.clone(),
            });
            let message = ProduceResponse {
                responses: responses.collect(),
                throttle_time_ms: 12,
                node_endpoints: vec![endpoint.clone()],
            };
            let mut expected = Vec::new();
            put_response(&mut expected, version, 8, &message);

            let mut out = Vec::new();
            let mut answer = ProduceAnswer::begin(&mut out, version, 8, topics.len());
            for (k, partitions) in topics.iter().enumerate() {
                answer.topic(&format!("topic-{k}"), Uuid([k as u8; 16]), partitions.len());
                partitions.iter().for_each(|partition| answer.partition(partition));
            }
            answer.end(12, vec![endpoint.clone()]);
            assert_eq!(out, expected, "version {version}");
        }
    }

    #[test]
    #[should_panic(expected = "1 partitions")]
    fn a_partition_too_few() {
        let mut out = Vec::new();
        let mut answer = ProduceAnswer::begin(&mut out, 9, 0, 1);
        answer.topic("topic", Uuid::ZERO, 1);
        answer.end(0, Vec::new());
    }
}
