//! The answer to Fetch: what is encoded, and between it stored batches by reference.

use bytes::Bytes;

use crate::api::Api;
use crate::codec::{Uuid, Wire, Writer};
use crate::frame::{begin_response, end_frame};
use crate::messages::Records;
use crate::messages::fetch::FetchedPartition;
use crate::messages::produce::NodeEndpoint;
use crate::produce::{Count, put_endpoints};

/// Where an answer goes.
pub trait Output {
    /// Takes bytes by copying them.
    fn copy(&mut self, bytes: &[u8]);

    /// Takes bytes by reference.
    fn share(&mut self, bytes: Bytes);
}

impl Output for Vec<u8> {
    fn copy(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn share(&mut self, bytes: Bytes) {
        self.extend_from_slice(&bytes);
    }
}

/// An answer to Fetch that is being written: [`Self::begin`], [`Self::topic`] for each topic, then [`Self::partition`] for
/// each of its partitions, at last [`Self::end`]. It keeps its memory for the next one.
#[derive(Debug, Default)]
pub struct FetchAnswer {
    version: i16,
    encoded: Vec<u8>,
    /// Batches, and how many of the encoded bytes come before them.
    shared: Vec<(usize, Bytes)>,
    shared_bytes: usize,
    topics: Count,
    partitions: Count,
}

/// What stands at the start of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FetchHead {
    /// Of the request.
    pub correlation: i32,
    /// Milliseconds that the client is asked to wait.
    pub throttle_time_ms: i32,
    /// Of the whole request.
    pub error_code: i16,
    /// 0 without a session.
    pub session_id: i32,
    /// How many topics follow.
    pub topics: usize,
}

impl FetchAnswer {
    /// Begins an answer in the version of the request; forgets what was there.
    pub fn begin(&mut self, version: i16, head: &FetchHead) {
        self.encoded.clear();
        self.shared.clear();
        self.shared_bytes = 0;
        (self.version, self.topics, self.partitions) = (version, Count(head.topics), Count(0));
        begin_response(&mut self.encoded, Api::Fetch, version, head.correlation);
        let mut w = self.writer();
        w.i32(head.throttle_time_ms);
        if version >= 7 {
            w.i16(head.error_code);
            w.i32(head.session_id);
        }
        w.length(Some(head.topics));
    }

    /// Begins a topic with so many partitions.
    ///
    /// # Panics
    /// If partitions of the one before are missing, or there are more topics than was said.
    pub fn topic(&mut self, name: &str, id: Uuid, partitions: usize) {
        self.topics.take(&self.partitions);
        self.partitions = Count(partitions);
        let by_id = self.version >= Api::FETCH_BY_ID;
        let mut w = self.writer();
        if by_id {
            w.uuid(id);
        } else {
            w.string(name);
        }
        w.length(Some(partitions));
        self.close_topic();
    }

    /// Adds a partition with these batches, whatever the partition says about its records.
    ///
    /// # Panics
    /// If the topic has more partitions than was said.
    pub fn partition(
        &mut self,
        mut partition: FetchedPartition<'_>,
        batches: impl IntoIterator<Item = Bytes>,
    ) {
        self.partitions.take(&Count(0));
        let (first, before) = (self.shared.len(), self.shared_bytes);
        for batch in batches {
            self.shared_bytes += batch.len();
            self.shared.push((0, batch));
        }
        partition.records = Records::Elsewhere(self.shared_bytes - before);
        let mut w = self.writer();
        partition.write(&mut w);
        let cut = w.cut().expect("the records are elsewhere");
        self.shared[first..].iter_mut().for_each(|(place, _)| *place = cut);
        self.close_topic();
    }

    fn close_topic(&mut self) {
        if self.partitions.is_done() {
            self.writer().no_tags();
        }
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.encoded.len() + self.shared_bytes
    }

    /// Whether nothing was begun.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends the answer and gives it to `out`. `endpoints` are where the leaders are that the partitions name.
    ///
    /// # Panics
    /// If there are fewer topics or partitions than was said.
    pub fn end(&mut self, endpoints: Vec<NodeEndpoint<'_>>, out: &mut impl Output) {
        self.topics.done(&self.partitions);
        put_endpoints(&mut self.writer(), endpoints, 16);
        end_frame(&mut self.encoded, 0, self.shared_bytes);
        let mut copied = 0;
        for (place, batch) in self.shared.drain(..) {
            if copied < place {
                out.copy(&self.encoded[copied..place]);
                copied = place;
            }
            out.share(batch);
        }
        out.copy(&self.encoded[copied..]);
    }

    fn writer(&mut self) -> Writer<'_> {
        Writer::new(&mut self.encoded, self.version, Api::Fetch.is_flexible(self.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::put_response;
    use crate::messages::fetch::{AbortedTransaction, FetchResponse, FetchedTopic};
    use crate::messages::produce::LeaderIdAndEpoch;

    /// Bytes as they come, to see what was shared.
    #[derive(Default)]
    struct Pieces(Vec<Bytes>);

    impl Output for Pieces {
        fn copy(&mut self, bytes: &[u8]) {
            self.0.push(Bytes::copy_from_slice(bytes));
        }

        fn share(&mut self, bytes: Bytes) {
            self.0.push(bytes);
        }
    }

    type Part = (FetchedPartition<'static>, Vec<Bytes>);

    fn parts() -> [Vec<Part>; 3] {
        let full = FetchedPartition {
            partition_index: 3,
            high_watermark: 100,
            last_stable_offset: 90,
            log_start_offset: 4,
            aborted_transactions: Some(vec![AbortedTransaction { producer_id: 7, first_offset: 50 }]),
            ..FetchedPartition::default()
        };
        let moved = FetchedPartition {
            error_code: 6,
            high_watermark: -1,
            current_leader: LeaderIdAndEpoch { leader_id: 1, leader_epoch: 5 },
            ..FetchedPartition::default()
        };
        let batches = vec![Bytes::from_static(b"first batch, second batch"), Bytes::from_static(b"third")];
        [vec![(full.clone(), batches), (moved, vec![])], vec![], vec![(full, vec![])]]
    }

    fn endpoints() -> Vec<NodeEndpoint<'static>> {
        vec![NodeEndpoint { node_id: 1, host: "host".into(), port: 9, rack: Some("rack".into()) }]
    }

    fn message(joined: &[Vec<Vec<u8>>]) -> FetchResponse<'_> {
        let topics = parts().into_iter().zip(joined).enumerate().map(|(k, (parts, joined))| {
            let partition =
                |((part, _), joined): (Part, _)| FetchedPartition { records: Records::Here(joined), ..part };
            FetchedTopic {
                topic: format!("topic-{k}").into(),
                topic_id: Uuid([k as u8; 16]),
                partitions: parts.into_iter().zip(joined.iter().map(Vec::as_slice)).map(partition).collect(),
            }
        });
        FetchResponse {
            throttle_time_ms: 1,
            error_code: 0,
            session_id: 99,
            responses: topics.collect(),
            node_endpoints: endpoints(),
        }
    }

    fn write(answer: &mut FetchAnswer, version: i16, out: &mut impl Output) {
        let head =
            FetchHead { correlation: 8, throttle_time_ms: 1, error_code: 0, session_id: 99, topics: 3 };
        answer.begin(version, &head);
        for (k, parts) in parts().into_iter().enumerate() {
            answer.topic(&format!("topic-{k}"), Uuid([k as u8; 16]), parts.len());
            parts.into_iter().for_each(|(part, batches)| answer.partition(part, batches));
        }
        answer.end(endpoints(), out);
    }

    #[test]
    fn it_is_what_the_message_would_be() {
        let mut answer = FetchAnswer::default();
        let joined: Vec<Vec<_>> =
            parts().iter().map(|parts| parts.iter().map(|(_, batches)| batches.concat()).collect()).collect();
        for version in Api::Fetch.versions() {
            let (mut expected, mut out) = (Vec::new(), Vec::new());
            put_response(&mut expected, version, 8, &message(&joined));
            write(&mut answer, version, &mut out);
            assert_eq!(out, expected, "version {version}");
        }
    }

    #[test]
    fn batches_are_not_copied() {
        let (mut answer, mut pieces) = (FetchAnswer::default(), Pieces::default());
        write(&mut answer, 16, &mut pieces);
        let batch = parts()[0][0].1[0].as_ptr();
        assert_eq!(pieces.0.len(), 4, "what comes before, two pieces of batches, what follows");
        assert_eq!(pieces.0[1].as_ptr(), batch);
    }
}
